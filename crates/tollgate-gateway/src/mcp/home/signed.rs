//! What an instance hands on to another is signed with the secret that they share: for whom the request came in, and that
//! an instance has let it in. Each signature is good once, and for a short time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::digest::{Digest, DigestKey};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::secret::Secret;
use uuid::Uuid;

use crate::gate::Gate;
use crate::inbound::{ClientBody, Inbound};

/// The header that holds the signature.
pub(crate) const HANDED_ON: &str = "x-tollgate-handed-on";

/// How far clocks of instances may be apart.
const SKEW: Duration = Duration::from_secs(60);

/// Signatures that are remembered; beyond that, nothing more is taken until some are too old.
const MOST: usize = 200_000;

/// Signatures that were used, so that none is used again.
#[derive(Debug, Default)]
pub(crate) struct Nonces(Mutex<HashMap<Uuid, Instant>>);

impl Nonces {
    fn is_new(&self, nonce: Uuid) -> bool {
        let mut used = self.0.lock();
        if used.len() >= MOST {
            used.retain(|_, since| since.elapsed() < SKEW * 2);
        }
        used.len() < MOST && used.insert(nonce, Instant::now()).is_none()
    }
}

/// What is signed besides the request.
struct Signed<'a> {
    from: &'a str,
    at: i64,
    nonce: Uuid,
    body: Digest,
}

/// Whose request it is: a signature is for no other key and no other session.
const WHOSE: [&str; 5] = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "mcp-session-id"];

impl Signed<'_> {
    /// The signature, for the run `life` of an instance.
    fn signature(&self, secret: &Secret, head: &Parts, life: &str) -> Digest {
        let said = WHOSE
            .iter()
            .flat_map(|name| head.headers.get_all(*name))
            .flat_map(|value| [value.as_bytes(), b"\n"]);
        let whose = key(secret).digest(&said.collect::<Vec<_>>().concat());
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let Self { from, at, nonce, body } = self;
        let text = format!(
            "tollgate handed on 1\n{life}\n{}\n{path}\n{whose}\n{from}\n{at}\n{nonce}\n{body}",
            head.method.as_str()
        );
        key(secret).digest(text.as_bytes())
    }
}

fn key(secret: &Secret) -> DigestKey {
    DigestKey::derive(secret.expose().as_bytes())
}

/// The header that goes with a request that came from `from` to the run `life` of an instance.
pub(super) fn sign(
    (secret, life): (&Secret, &str),
    head: &Parts,
    body: &Bytes,
    from: Option<IpAddr>,
    now: Timestamp,
) -> String {
    let from = from.map_or("-".to_owned(), |from| from.to_string());
    let signed =
        Signed { from: &from, at: now.as_second(), nonce: Uuid::now_v7(), body: key(secret).digest(body) };
    let signature = signed.signature(secret, head, life);
    format!("{from} {} {} {} {signature}", signed.at, signed.nonce, signed.body)
}

/// The request as it came to the instance that has handed it on, where one has.
pub(in crate::mcp) async fn accept(
    gate: &Gate,
    snapshot: &Snapshot,
    inbound: Inbound,
) -> Result<(Inbound, bool), Box<(Inbound, Fault)>> {
    if !inbound.head.headers.contains_key(HANDED_ON) {
        return Ok((inbound, false));
    }
    let forged = |inbound| {
        let why = format!("`{HANDED_ON}` is not the signature of an instance of this gate, or is used again");
        Box::new((inbound, Fault::new(FaultClass::Forbidden, why)))
    };
    let Some((secret, from, body)) = verified(gate, snapshot, &inbound.head) else {
        return Err(forged(inbound));
    };
    let Inbound { mut head, body: sent, arrived, .. } = inbound;
    let rest = |head, bytes| Inbound { head, body: ClientBody::Memory(bytes), arrived, peer: from };
    match sent.read(snapshot).await {
        Ok(bytes) if key(&secret).digest(&bytes) == body => {
            head.headers.remove(HANDED_ON);
            Ok((rest(head, bytes), true))
        }
        Ok(bytes) => Err(forged(rest(head, bytes))),
        Err(fault) => Err(Box::new((rest(head, Bytes::new()), fault))),
    }
}

/// The secret that the request was signed with, from where it came at first, and the digest of its body.
fn verified(gate: &Gate, snapshot: &Snapshot, head: &Parts) -> Option<(Secret, Option<IpAddr>, Digest)> {
    let (signed, signature) = parsed(&head.headers)?;
    let now = gate.parts.clock.now();
    let apart = now.as_second().abs_diff(signed.at);
    if apart > SKEW.as_secs() {
        return None;
    }
    let secrets = snapshot.secrets.key.iter().chain(&snapshot.secrets.before);
    let is_by = |secret: &&Secret| {
        let ours = Secret::new(signed.signature(secret, head, gate.parts.peers.life()).to_string());
        ours.matches(signature.to_string().as_bytes())
    };
    let secret = secrets.into_iter().find(is_by)?;
    let from = match signed.from {
        "-" => None,
        from => Some(from.parse().ok()?),
    };
    gate.tools.nonces.is_new(signed.nonce).then(|| (secret.clone(), from, signed.body))
}

fn parsed(headers: &HeaderMap) -> Option<(Signed<'_>, Digest)> {
    let mut all = headers.get_all(HANDED_ON).iter();
    let text = all.next()?.to_str().ok().filter(|text| text.len() < 512)?;
    if all.next().is_some() {
        return None;
    }
    let mut parts = text.split(' ');
    let mut next = || parts.next();
    let signed = Signed {
        from: next()?,
        at: next()?.parse().ok()?,
        nonce: next()?.parse().ok()?,
        body: next()?.parse().ok()?,
    };
    let signature = next()?.parse().ok()?;
    parts.next().is_none().then_some((signed, signature))
}
