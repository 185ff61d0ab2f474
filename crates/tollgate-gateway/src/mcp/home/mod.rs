//! Which instance answers a client. What servers keep for a client (a session, a program, a question that waits for its
//! answer) is in the memory of one instance, and requests may come to any. So each client has a home: that of a session is
//! where it began, and everything else of a principal goes to the same instance for as long as the same ones are there. An
//! instance hands a request on to its home as it came, and all phases happen there.

mod hand_on;
mod signed;

use tollgate_core::digest::DigestKey;
use tollgate_core::ports::{Peer, Peers};
use tollgate_mcp::bridge::Retry;

pub(super) use self::hand_on::{DRAINING, NotHandedOn, hand_on};
pub(crate) use self::signed::Nonces;
pub(super) use self::signed::accept;
use super::client::Client;
use super::endpoint::Endpoint;
use super::parked;
use super::said::Asked;

/// An instance that is to answer a client.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) peer: Peer,
    /// Whether it holds something for this client. Another one can answer what it does not.
    pub(super) holds: bool,
}

/// The home of `client`, where that is another instance.
pub(super) fn elsewhere(
    peers: &dyn Peers,
    endpoint: &Endpoint,
    whose: &str,
    (client, asked): (&Client, Option<&Asked>),
) -> Option<Home> {
    let waits_at =
        || Retry::of(asked?.params.as_deref())?.state.as_deref().and_then(parked::life).map(str::to_owned);
    let life = client.session.as_ref().map(|session| session.life.clone()).or_else(waits_at);
    let life = life.as_deref();
    if life == Some(peers.life()) {
        return None;
    }
    let present = peers.present();
    if let Some(peer) = present.iter().find(|peer| life == Some(&*peer.life)) {
        return Some(Home { peer: peer.clone(), holds: true });
    }
    let begins = || asked.is_some_and(|asked| asked.method == "initialize" || client.revision.is_stateless());
    let of_gate = asked.is_some_and(|asked| is_answered_here(&asked.method));
    // Where the home of a session is gone, all that is the principal's has another.
    if (life.is_none() && !begins()) || of_gate || endpoint.servers.iter().all(|server| server.shared) {
        return None;
    }
    let peer = of(whose, &present)?;
    (*peer.life != *peers.life()).then_some(Home { peer, holds: life.is_some() })
}

/// Whether the gate answers `method` itself, of what it knows.
fn is_answered_here(method: &str) -> bool {
    matches!(method, "ping" | "server/discover") || method.ends_with("/list")
}

/// The home of `whose` among `present`: where an instance comes or goes, only what is its own moves (rendezvous hashing).
fn of(whose: &str, present: &[Peer]) -> Option<Peer> {
    let key = DigestKey::derive(b"tollgate home of principals");
    let weight = |peer: &&Peer| key.digest(format!("{}\n{whose}", peer.life).as_bytes());
    present.iter().max_by_key(weight).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(lives: &[&str]) -> Vec<Peer> {
        lives.iter().map(|life| Peer { life: (*life).into(), url: format!("http://{life}").into() }).collect()
    }

    #[test]
    fn a_principal_moves_only_when_its_home_goes_or_becomes_the_new_one() {
        let three = peers(&["a", "b", "c"]);
        let mut at_home = [0; 3];
        for number in 0..300 {
            let whose = format!("key/{number}");
            let home = of(&whose, &three).unwrap();
            at_home[three.iter().position(|peer| *peer == home).unwrap()] += 1;
            let without: Vec<Peer> = three.iter().filter(|peer| *peer.life != *"c").cloned().collect();
            let then = of(&whose, &without).unwrap();
            assert!(*home.life == *"c" || home == then, "{whose}");
        }
        assert!(at_home.iter().all(|count| *count > 50), "{at_home:?}");
        assert_eq!(of("key/1", &[]), None);
    }
}
