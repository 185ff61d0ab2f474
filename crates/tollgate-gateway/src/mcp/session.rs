//! Clients' sessions. A session's id holds what the gate must know of the client, encrypted and authenticated, so that
//! any instance that has the key understands it, also after a restart. It is no credential: whose it is is checked against
//! who presents it, each time.

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::digest::DigestKey;
use tollgate_core::principal::Principal;
use tollgate_core::seal;
use tollgate_mcp::revision::Revision;
use uuid::Uuid;

use super::bounded::Bounded;
use super::client::Client;

/// What the key is for: nothing that was encrypted for another purpose is a session.
const PURPOSE: &[u8] = b"tollgate mcp session 1";

/// The most that a client may say of itself, in bytes: the id goes into a header.
pub(crate) const LARGEST: usize = 4_096;

/// The longest id that is looked at.
const LONGEST: usize = 16 << 10;

/// The session of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Its name: what of the session may stand in records.
    pub(crate) name: String,
    /// The run of the instance at which it began, and which holds what servers keep for it.
    pub(crate) life: String,
}

/// How long a key seals, in seconds. A session lasts no longer, so two keys open all that is good.
const PERIOD: i64 = 7 * 24 * 3_600;

/// What sessions are sealed with. Each period has a key of its own, which is derived: instances with the same secret have
/// the same keys, also after a restart, and need not tell each other.
#[derive(Clone, Debug)]
pub struct SealKeys {
    /// The first one seals; all of them open.
    roots: Vec<DigestKey>,
    /// Sessions that began earlier are over.
    not_before: Option<Timestamp>,
}

impl SealKeys {
    /// Keys from the secrets `roots`, the newest first, for sessions that began at `not_before` or later.
    pub fn new(roots: Vec<DigestKey>, not_before: Option<Timestamp>) -> Self {
        Self { roots, not_before }
    }

    /// Those that `snapshot` says; where it has no secret that instances share, those of this instance's own, `own`.
    pub(crate) fn of(snapshot: &Snapshot, own: &DigestKey) -> Self {
        let secrets = snapshot.secrets.key.iter().chain(&snapshot.secrets.before);
        let mut roots: Vec<DigestKey> =
            secrets.map(|secret| DigestKey::derive(secret.expose().as_bytes())).collect();
        if roots.is_empty() {
            roots.push(own.clone());
        }
        Self::new(roots, snapshot.sessions_not_before)
    }
}

/// The key of `root` for a period.
fn key(root: &DigestKey, period: u32) -> [u8; 32] {
    root.digest(&[b"tollgate mcp session keys, period ".as_slice(), &period.to_be_bytes()].concat()).bytes()
}

fn period(now: Timestamp) -> u32 {
    u32::try_from(now.as_second() / PERIOD).unwrap_or(0)
}

/// So many sessions that clients have ended are remembered; what is older has seldom anything left to end.
const MOST_ENDED: usize = 100_000;

/// Seals sessions and opens them.
#[derive(Debug)]
pub struct Seals {
    keys: ArcSwap<SealKeys>,
    life: String,
    /// Sessions that clients have ended here.
    ended: Mutex<Bounded<String, ()>>,
}

/// What an id holds. Short names: it goes with every request.
#[derive(Debug, Deserialize, Serialize)]
struct Sealed {
    /// The session's name.
    n: String,
    /// At which run of an instance it began.
    l: String,
    /// Whose it is.
    p: String,
    /// At which address of the gate.
    a: String,
    /// The revision.
    r: String,
    /// What the client can do.
    c: String,
    /// Who it says that it is.
    i: Option<String>,
    /// When it ends, in seconds since 1970.
    e: i64,
    /// When it began, in seconds since 1970.
    b: i64,
}

/// Why an id is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSession {
    /// It was not made by this gate, or with a key that it has no more.
    #[error("the session is not known to this gate")]
    Unknown,
    /// It has ended.
    #[error("the session has ended")]
    Over,
    /// It is somebody else's, or of another address.
    #[error("the session is not one of this caller at this address")]
    Foreign,
}

/// Whose session it is.
pub(crate) fn whose(principal: &Principal) -> String {
    format!("{}/{}", principal.sub.kind.name(), principal.sub.id)
}

impl Seals {
    /// Seals with `keys`, for sessions that begin in the run `life` of this instance.
    pub fn new(keys: SealKeys, life: &str) -> Self {
        Self {
            keys: ArcSwap::from_pointee(keys),
            life: life.to_owned(),
            ended: Mutex::new(Bounded::new(MOST_ENDED)),
        }
    }

    /// Seals with `keys` from now on.
    pub fn set(&self, keys: SealKeys) {
        self.keys.store(keys.into());
    }

    /// The session is over, as its client says.
    pub(crate) fn end(&self, session: &Session) {
        self.ended.lock().insert(session.name.clone(), ());
    }

    /// Whether the client of the session has ended it here.
    pub(crate) fn has_ended(&self, session: &Session) -> bool {
        self.is_among_ended(&session.name)
    }

    fn is_among_ended(&self, name: &String) -> bool {
        self.ended.lock().get(name).is_some()
    }

    /// A session for `client`, which speaks for `principal` at `address`, and its id; `None` where that would be too long.
    pub(crate) fn begin(
        &self,
        client: &mut Client,
        principal: &Principal,
        address: &str,
        now: Timestamp,
    ) -> Option<String> {
        let keys = self.keys.load();
        let name = Uuid::now_v7().simple().to_string();
        if client.capabilities.len() + client.info.as_ref().map_or(0, String::len) > LARGEST {
            return None;
        }
        let sealed = Sealed {
            n: name.clone(),
            l: self.life.clone(),
            p: whose(principal),
            a: address.to_owned(),
            r: client.revision.name().to_owned(),
            c: client.capabilities.clone(),
            i: client.info.clone(),
            e: now.as_second() + PERIOD,
            b: now.as_second(),
        };
        let period = period(now);
        let key = key(keys.roots.first()?, period);
        let id = seal(period, &key, &serde_json::to_vec(&sealed).ok()?)?;
        client.session = Some(Session { name, life: self.life.clone() });
        Some(id)
    }

    /// The client whose session `id` is, where that is one of `principal` at `address`.
    pub(crate) fn open(
        &self,
        id: &str,
        principal: &Principal,
        address: &str,
        now: Timestamp,
    ) -> Result<Client, NoSession> {
        let keys = self.keys.load();
        let sealed = open(&keys.roots, id, period(now))
            .and_then(|plain| serde_json::from_slice::<Sealed>(&plain).ok());
        let sealed = sealed.ok_or(NoSession::Unknown)?;
        if sealed.p != whose(principal) || sealed.a != address {
            return Err(NoSession::Foreign);
        }
        let ended = || self.is_among_ended(&sealed.n);
        let revoked = keys.not_before.is_some_and(|first| sealed.b < first.as_second());
        if sealed.e <= now.as_second() || revoked || ended() {
            return Err(NoSession::Over);
        }
        Ok(Client {
            revision: Revision::parse(&sealed.r).ok_or(NoSession::Unknown)?,
            info: sealed.i,
            capabilities: sealed.c,
            log_level: None,
            session: Some(Session { name: sealed.n, life: sealed.l }),
        })
    }
}

fn seal(number: u32, key: &[u8; 32], content: &[u8]) -> Option<String> {
    let sealed = seal::seal(key, PURPOSE, content)?;
    Some(URL_SAFE_NO_PAD.encode([&number.to_be_bytes()[..], &sealed].concat()))
}

fn open(roots: &[DigestKey], id: &str, now: u32) -> Option<Vec<u8>> {
    if id.len() > LONGEST {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(id).ok()?;
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    let number = u32::from_be_bytes(*number);
    // Clocks differ: an instance that is ahead may have begun the next period.
    if number.abs_diff(now) > 1 {
        return None;
    }
    roots.iter().find_map(|root| seal::open(&key(root, number), PURPOSE, rest))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tollgate_core::principal::ActorKind;

    use super::*;

    fn client() -> Client {
        Client {
            revision: Revision::V2025_06_18,
            info: Some(r#"{"name":"c","version":"1"}"#.to_owned()),
            capabilities: r#"{"sampling":{}}"#.to_owned(),
            log_level: None,
            session: None,
        }
    }

    fn seals(roots: &[&[u8]], not_before: Option<Timestamp>) -> Seals {
        let roots = roots.iter().map(|root| DigestKey::derive(root)).collect();
        Seals::new(SealKeys::new(roots, not_before), "this run")
    }

    const WEEK: Duration = Duration::from_secs(PERIOD.unsigned_abs());

    #[test]
    fn a_session_works_wherever_its_secret_is_and_for_whom_it_was_made() {
        let now = Timestamp::UNIX_EPOCH + WEEK * 100 + Duration::from_secs(1_000);
        let (ann, bob) = (Principal::direct(ActorKind::Key, "ann"), Principal::direct(ActorKind::Key, "bob"));
        let mut client = client();
        let id = seals(&[b"one"], None).begin(&mut client, &ann, "", now).unwrap();
        let there = seals(&[b"two", b"one"], None);
        let opened = there.open(&id, &ann, "", now).unwrap();
        assert_eq!((opened.revision, &opened.capabilities), (client.revision, &client.capabilities));
        assert_eq!(opened.session, client.session);
        let later = now + WEEK - Duration::from_secs(1);
        assert!(there.open(&id, &ann, "", later).is_ok(), "also when the next key seals");
        assert_eq!(there.open(&id, &ann, "", now + WEEK).unwrap_err(), NoSession::Over);
        assert_eq!(there.open(&id, &ann, "", now + WEEK * 2).unwrap_err(), NoSession::Unknown);
        assert_eq!(there.open(&id, &bob, "", now).unwrap_err(), NoSession::Foreign);
        assert_eq!(there.open(&id, &ann, "files", now).unwrap_err(), NoSession::Foreign);
        let revoked = seals(&[b"one"], Some(now + Duration::from_secs(1)));
        assert_eq!(revoked.open(&id, &ann, "", now).unwrap_err(), NoSession::Over);
        assert_eq!(seals(&[b"two"], None).open(&id, &ann, "", now).unwrap_err(), NoSession::Unknown);
        there.end(opened.session.as_ref().unwrap());
        assert_eq!(there.open(&id, &ann, "", now).unwrap_err(), NoSession::Over, "as its client says");
    }

    #[test]
    fn what_was_altered_is_no_session() {
        let ann = Principal::direct(ActorKind::Key, "ann");
        let seals = seals(&[b"one"], None);
        let id = seals.begin(&mut client(), &ann, "", Timestamp::UNIX_EPOCH).unwrap();
        for at in 0..id.len() {
            let mut altered = id.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            // The last character holds bits that are no part of any byte.
            let opened = seals.open(&altered, &ann, "", Timestamp::UNIX_EPOCH);
            assert!(opened.is_err(), "{at}");
        }
        for id in ["", "a", "AAAA", "é", &"A".repeat(100_000)] {
            assert_eq!(seals.open(id, &ann, "", Timestamp::UNIX_EPOCH).unwrap_err(), NoSession::Unknown);
        }
    }

    #[test]
    fn a_client_that_says_too_much_has_no_session() {
        let ann = Principal::direct(ActorKind::Key, "ann");
        let mut client = Client { capabilities: format!(r#"{{"x":"{}"}}"#, "y".repeat(LARGEST)), ..client() };
        assert_eq!(seals(&[b"one"], None).begin(&mut client, &ann, "", Timestamp::UNIX_EPOCH), None);
    }
}
