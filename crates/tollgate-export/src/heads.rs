//! Publishing signed heads outside of the gate: whoever rewrites the journal cannot rewrite those.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use http::{Method, Uri};
use tokio::sync::watch;
use tollgate_core::config::recording::{Address, Publish};
use tollgate_core::config::snapshot::Cloud;
use tollgate_core::deliver::{Deliver, Parcel};
use tollgate_journal::{Signed, Statement};

use crate::trying::Trying;

/// Publishes each head to `target` for as long as the future lives.
pub async fn publish(deliver: Arc<dyn Deliver>, target: Publish, mut heads: watch::Receiver<Option<Signed>>) {
    let mut trying = Trying::new(&*deliver, "head");
    heads.mark_changed();
    while heads.changed().await.is_ok() {
        let Some(head) = heads.borrow_and_update().clone() else { continue };
        let Ok(mut line) = serde_json::to_vec(&head) else { continue };
        line.push(b'\n');
        match &target {
            Publish::File(path) => {
                if let Err(error) = append(path, &line) {
                    tracing::warn!(%error, file = %path.display(), "the head cannot be published");
                }
            }
            // One try each: the next head says more than this one.
            Publish::Url(address) => drop(trying.once(posted(address, line)).await),
            Publish::Object(address, cloud) => {
                if let Some(parcel) = object(address, cloud, &head, line) {
                    drop(trying.once(parcel).await);
                }
            }
        }
    }
}

fn append(path: &Path, line: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line)?;
    file.sync_data()
}

fn posted(address: &Address, body: Vec<u8>) -> Parcel {
    Parcel {
        uri: address.uri.clone(),
        method: Method::POST,
        content_type: "application/json",
        headers: address.headers.clone(),
        body,
        sign: None,
    }
}

/// An object of its own for each head, below the address, so that none replaces another: a store can forbid that.
fn object(address: &Address, cloud: &Cloud, head: &Signed, body: Vec<u8>) -> Option<Parcel> {
    let Ok(Statement::Head(stated)) = head.statement() else { return None };
    let base = address.uri.to_string();
    let uri = format!("{}/{}/{:020}.json", base.trim_end_matches('/'), stated.instance, stated.seq);
    Some(Parcel {
        uri: uri.parse::<Uri>().ok()?,
        method: Method::PUT,
        content_type: "application/json",
        headers: address.headers.clone(),
        body,
        sign: Some(cloud.clone()),
    })
}
