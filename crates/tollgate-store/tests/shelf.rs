//! One suite that everything runs which documents are shared over: PostgreSQL, and Valkey or Redis, which are real servers,
//! started here on free ports; and SQLite, which one instance shares with itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod server;
mod valkey;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tollgate_core::ports::{Rewritten, Shelf};
use tollgate_store::{open_registry, open_shelf};

fn rewritten(name: &str, version: u64, text: &str) -> Rewritten {
    let ends = Some(Timestamp::now() + SignedDuration::from_hours(1));
    Rewritten { name: name.to_owned(), version, text: text.to_owned(), ends }
}

async fn read(shelf: &Arc<dyn Shelf>, names: &[&str]) -> Vec<(u64, Option<String>)> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    shelf.read(&names).await.unwrap().each
}

async fn only_what_was_read_is_rewritten(shelf: &Arc<dyn Shelf>) {
    assert_eq!(read(shelf, &["a", "b"]).await, [(0, None), (0, None)]);
    let first = [rewritten("b", 0, "{\"x\":1}"), rewritten("a", 0, "{\"it's \\\"me\\\"\":2}")];
    assert_eq!(shelf.write(&first).await.unwrap(), [true, true]);
    let both = read(shelf, &["a", "b"]).await;
    assert_eq!(both[0], (1, Some("{\"it's \\\"me\\\"\":2}".to_owned())), "in the order of the question");
    let next = [rewritten("a", 1, "{}"), rewritten("b", 0, "stale"), rewritten("c", 3, "never was")];
    assert_eq!(shelf.write(&next).await.unwrap(), [true, false, false]);
    assert_eq!(
        read(shelf, &["c", "b", "a"]).await,
        [(0, None), (1, Some("{\"x\":1}".to_owned())), (2, Some("{}".to_owned()))]
    );
    let apart = Timestamp::now().duration_since(shelf.read(&["a".to_owned()]).await.unwrap().now);
    assert!(apart.abs() < SignedDuration::from_secs(5), "{apart}");
}

/// Of several who write at once over the same version, one does.
async fn one_of_many_writes(shelf: &Arc<dyn Shelf>) {
    let writers = (0..16).map(|number| {
        let shelf = Arc::clone(shelf);
        // In either order, so that whoever locks one waits for whoever has locked the other.
        let mut names = ["x", "y", "z"];
        if number % 2 == 0 {
            names.reverse();
        }
        tokio::spawn(async move {
            let documents: Vec<Rewritten> =
                names.iter().map(|name| rewritten(name, 0, &number.to_string())).collect();
            let written = shelf.write(&documents).await.unwrap();
            written.iter().filter(|written| **written).count()
        })
    });
    let mut written = 0;
    for writer in writers.collect::<Vec<_>>() {
        written += writer.await.unwrap();
    }
    assert_eq!(written, 3);
    for round in 1..20 {
        let again: Vec<_> = (0..4)
            .map(|_| {
                let shelf = Arc::clone(shelf);
                tokio::spawn(async move { shelf.write(&[rewritten("x", round, "r")]).await.unwrap()[0] })
            })
            .collect();
        let mut won = 0;
        for writer in again {
            won += usize::from(writer.await.unwrap());
        }
        assert_eq!(won, 1, "round {round}");
    }
}

async fn who_is_named_is_found(shelf: &Arc<dyn Shelf>) {
    let documents =
        [rewritten("key/k/b/day@1", 0, "{\"me\":{\"used\":1}}"), rewritten("other", 0, "{\"menu\":1}")];
    shelf.write(&documents).await.unwrap();
    assert_eq!(shelf.naming("me").await.unwrap(), ["key/k/b/day@1"]);
    assert_eq!(shelf.naming("nobody").await.unwrap(), [""; 0]);
}

async fn suite(url: &str) {
    passes(&open_shelf(url).await.unwrap()).await;
}

async fn passes(shelf: &Arc<dyn Shelf>) {
    only_what_was_read_is_rewritten(shelf).await;
    one_of_many_writes(shelf).await;
    who_is_named_is_found(shelf).await;
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let open = async || open_registry(None, folder.path()).await.unwrap().shelf;
    passes(&open().await).await;
    assert_eq!(read(&open().await, &["a"]).await[0].0, 2, "it is there after a restart");
    #[cfg(unix)]
    for file in std::fs::read_dir(folder.path()).unwrap() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} is for its owner only", file.file_name());
    }
}

#[tokio::test]
async fn postgres() {
    let server = server::Server::start().await;
    suite(&server.url).await;
    let shelf = open_shelf(&server.url).await.unwrap();
    assert_eq!(shelf.read(&[]).await.unwrap().life, "", "what was committed is not forgotten");
}

#[tokio::test]
async fn valkey_or_redis() {
    let mut server = valkey::Server::start().await;
    suite(&server.url).await;
    let shelf = open_shelf(&server.url).await.unwrap();
    let before = shelf.read(&["a".to_owned()]).await.unwrap();
    assert_eq!(before.each[0].0, 2);
    server.restart().await;
    let mut after = shelf.read(&["a".to_owned()]).await;
    while after.is_err() {
        after = shelf.read(&["a".to_owned()]).await;
    }
    let after = after.unwrap();
    assert_ne!(before.life, after.life, "it has forgotten, and says so");
    assert_eq!(after.each[0].0, 0);
    assert_eq!(shelf.write(&[rewritten("a", 0, "{}")]).await.unwrap(), [true], "and takes it anew");
}

#[tokio::test]
async fn who_is_away_is_said_to_be() {
    let unreachable = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for scheme in ["postgres", "redis"] {
        let opened = open_shelf(&format!("{scheme}://{unreachable}/")).await;
        assert!(opened.is_err(), "{scheme}");
    }
}
