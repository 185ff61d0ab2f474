//! Phase 1: who calls.

use std::future::ready;
use std::net::IpAddr;

use futures_util::future::Either;
use tollgate_core::access::{By, Caller, NotLetIn};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::identity::Presented;
use tollgate_core::principal::{ActorKind, Principal};

use crate::gate::Gate;
use crate::inbound::Inbound;

/// Headers that SDKs put a key into, besides `Authorization: Bearer`.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "api-key", "x-goog-api-key"];

/// Whoever was identified.
#[derive(Clone, Debug)]
pub struct Identified {
    /// On whose behalf the request is made.
    pub principal: Principal,
    /// Whose rules hold; `None` for whoever runs the gate.
    pub caller: Option<Caller>,
}

impl Identified {
    fn as_operator(kind: ActorKind) -> Self {
        Self { principal: Principal::direct(kind, kind.name()), caller: None }
    }

    /// Whether calls to `model` are allowed.
    pub(crate) fn may_call(&self, model: &str) -> bool {
        self.caller.as_ref().is_none_or(|caller| caller.who_forbids(model).is_none())
    }
}

impl From<Caller> for Identified {
    fn from(caller: Caller) -> Self {
        Self { principal: caller.principal(), caller: Some(caller) }
    }
}

/// Who is behind a request's credential, or why they are refused. Only a token may take a while, whose issuer's keys are
/// fetched first; whatever is presented, nothing of the request is borrowed for so long.
pub(crate) fn identify<'a>(
    gate: &'a Gate,
    snapshot: &'a Snapshot,
    inbound: &Inbound,
) -> impl Future<Output = Result<Identified, Fault>> + Send + use<'a> {
    let in_query = key_in_query(inbound.head.uri.query());
    if snapshot.master_key.is_none()
        && let Err(fault) = local_only(inbound)
    {
        return Either::Left(ready(Err(fault)));
    }
    let by_key = by_key(gate, snapshot, inbound, in_query.as_deref());
    let may_be = |presented: &&str| gate.parts.tokens.may_be(presented);
    let both = snapshot.identity.wants_both(inbound.head.uri.path());
    let token = match &by_key {
        // Where both are wanted, one of them lets nobody in.
        Ok(Identified { caller: Some(_), .. }) if both => bearer(inbound).filter(may_be).map(str::to_owned),
        // Whoever is known by a key is known.
        Ok(Identified { caller: Some(_), .. }) => None,
        Ok(identified) if identified.principal.sub.kind == ActorKind::Master => None,
        _ if snapshot.identity.issuers.is_empty() => None,
        // A token stands in the one header that is made for it (RFC 6750 §2.1), never in an address.
        _ => bearer(inbound).filter(may_be).map(str::to_owned),
    };
    match token {
        // Of a key that is known and refused, that is said.
        Some(_) if both && by_key.as_ref().is_err_and(|fault| fault.class == FaultClass::Forbidden) => {
            Either::Left(ready(by_key))
        }
        None if both => Either::Left(ready(by_key.and_then(without_token))),
        None => Either::Left(ready(by_key)),
        Some(token) => {
            let path = inbound.head.uri.path().to_owned();
            let key = by_key.ok().and_then(|identified| identified.caller);
            Either::Right(by_token(gate, snapshot, (key, both), token, path))
        }
    }
}

/// Whoever brings a key where a token is wanted, too: the holder of the master key is let in all the same, for when issuers
/// are away.
fn without_token(identified: Identified) -> Result<Identified, Fault> {
    match identified.caller {
        None => Ok(identified),
        Some(_) => Err(Fault::new(FaultClass::Unauthenticated, BOTH)),
    }
}

/// What is wanted where one is not enough.
const BOTH: &str = "here a key and a token are wanted: the token in `Authorization: Bearer TOKEN`, the key in `x-api-key: KEY`";

async fn by_token(
    gate: &Gate,
    snapshot: &Snapshot,
    (key, both): (Option<Caller>, bool),
    token: String,
    path: String,
) -> Result<Identified, Fault> {
    let now = gate.parts.clock.now();
    let presented = Presented { token: &token, path: &path };
    let subject = gate.parts.tokens.subject(&snapshot.identity, presented, now).await;
    let caller = subject.and_then(|subject| gate.parts.access.of(&subject, now));
    let person = caller.map_err(|why| why.fault())?;
    match key {
        None if both => Err(Fault::new(FaultClass::Unauthenticated, BOTH)),
        None => Ok(person.into()),
        Some(key) => {
            let through = key.principal().sub;
            let caller = key.together_with(&person).map_err(|why| why.fault())?;
            let mut principal = person.principal();
            principal.act.push(through);
            principal.team = caller.principal().team;
            Ok(Identified { principal, caller: Some(caller) })
        }
    }
}

fn by_key(
    gate: &Gate,
    snapshot: &Snapshot,
    inbound: &Inbound,
    in_query: Option<&str>,
) -> Result<Identified, Fault> {
    let mut refused = None;
    let (access, now) = (&*gate.parts.access, gate.parts.clock.now());
    let mut known = |presented: &str| match access.identify(presented, inbound.peer, now) {
        Ok(caller) => Some(caller),
        Err(why) => {
            // Of several that are refused, the one that is known says more.
            refused = refused.take().filter(|before| *before != NotLetIn::Unknown).or(Some(why));
            None
        }
    };
    let Some(master_key) = &snapshot.master_key else {
        // Without a master key SDKs still send something: what is no key is what everybody on this machine may send.
        let caller = presented(inbound, in_query).find_map(&mut known);
        return match (caller, refused) {
            (Some(caller), _) => Ok(caller.into()),
            (None, None | Some(NotLetIn::Unknown | NotLetIn::Unready)) => {
                Ok(Identified::as_operator(ActorKind::Local))
            }
            (None, Some(why)) => Err(why.fault()),
        };
    };
    // Some SDKs send several headers, of which one is a leftover from the environment.
    if presented(inbound, in_query).any(|key| master_key.matches(key.as_bytes())) {
        return Ok(Identified::as_operator(ActorKind::Master));
    }
    match (presented(inbound, in_query).find_map(&mut known), refused) {
        (Some(caller), _) => Ok(caller.into()),
        (None, Some(why)) => Err(why.fault()),
        (None, None) => Err(Fault::new(
            FaultClass::Unauthenticated,
            "no key was sent: it goes into `Authorization: Bearer KEY` or `x-api-key: KEY`",
        )),
    }
}

/// Everything in a request that may be a key.
fn presented<'a>(inbound: &'a Inbound, in_query: Option<&'a str>) -> impl Iterator<Item = &'a str> {
    bearer(inbound)
        .into_iter()
        .chain(KEY_HEADERS.iter().filter_map(|name| inbound.header(name)))
        .chain(in_query)
}

/// Whether a request brings anything that may be a key or a token.
pub(crate) fn brings_credential(inbound: &Inbound) -> bool {
    let named =
        ["authorization"].iter().chain(&KEY_HEADERS).any(|name| inbound.head.headers.contains_key(*name));
    named || key_in_query(inbound.head.uri.query()).is_some()
}

/// What is presented in `Authorization: Bearer …`.
fn bearer(inbound: &Inbound) -> Option<&str> {
    let (scheme, token) = inbound.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// `caller`, who was let in before, as they are now: by the configuration of now, where they presented a token.
pub(crate) fn again(
    gate: &Gate,
    snapshot: &Snapshot,
    caller: &Caller,
    peer: Option<IpAddr>,
) -> Result<Caller, NotLetIn> {
    if let By::Token(subject) = caller.by()
        && subject.identity != snapshot.identity
    {
        return Err(NotLetIn::Token("was taken by another configuration; present it again".to_owned()));
    }
    gate.parts.access.again(caller, peer, gate.parts.clock.now())
}

/// `?key=…`, as Google's older clients send it. The address is neither logged nor recorded.
fn key_in_query(query: Option<&str>) -> Option<String> {
    let key = query?.split('&').find_map(|pair| pair.strip_prefix("key="))?;
    Some(crate::serve::decoded(key))
}

/// Promise 5: without a master key only programs on this machine are served, and no web page that a browser on
/// this machine happens to show. A page gives itself away by its origin, or, when it has rebound its own name to
/// this machine, by the name in `Host`.
fn local_only(inbound: &Inbound) -> Result<(), Fault> {
    let authority = inbound.head.uri.authority().map(http::uri::Authority::as_str);
    let host = authority.or_else(|| inbound.header("host")).unwrap_or_default();
    let refuse = |what: &str| {
        Err(Fault::new(FaultClass::Forbidden, format!("{what}; configure a master key to serve others")))
    };
    if inbound.peer.is_some_and(|peer| !peer.to_canonical().is_loopback()) {
        return refuse("without a master key only this machine is served");
    }
    if inbound.head.headers.get_all("host").iter().count() > 1 || !is_local(host) {
        return refuse("without a master key the `Host` must be this machine's");
    }
    if inbound.header("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return refuse("without a master key no web page is served");
    }
    match inbound.header("origin") {
        None if inbound.head.headers.contains_key("origin") => refuse("the `Origin` is not readable"),
        None => Ok(()),
        Some(origin) => {
            let bare = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            if bare == Some(host) { Ok(()) } else { refuse("without a master key no web page is served") }
        }
    }
}

fn is_local(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<http::uri::Authority>() else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::ClientBody;

    fn from(host: &str, origin: Option<&str>) -> Result<(), Fault> {
        let mut request = http::Request::builder().uri("/v1/models").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        local_only(&Inbound {
            head,
            body: ClientBody::Memory("".into()),
            arrived: tokio::time::Instant::now(),
            peer: None,
        })
    }

    /// Promise 5.
    #[test]
    fn a_page_that_hides_its_origin_gives_itself_away() {
        for (site, served) in
            [("cross-site", false), ("same-site", false), ("same-origin", true), ("none", true)]
        {
            let request = http::Request::builder().uri("/v1/models").header("host", "127.0.0.1");
            let (head, ()) = request.header("sec-fetch-site", site).body(()).unwrap().into_parts();
            let body = ClientBody::Memory("".into());
            let inbound = Inbound { head, body, arrived: tokio::time::Instant::now(), peer: None };
            assert_eq!(local_only(&inbound).is_ok(), served, "{site}");
        }
    }

    /// Promise 5.
    #[test]
    fn a_web_page_cannot_reach_a_gate_without_a_master_key() {
        for host in ["localhost:4000", "127.0.0.1:4000", "[::1]:4000", "127.0.0.1", "LOCALHOST:1"] {
            assert!(from(host, None).is_ok(), "{host}");
            assert!(from(host, Some(&format!("http://{host}"))).is_ok());
            for origin in [
                "https://evil.example",
                "null",
                "http://localhost:9999",
                "",
                "http://localhost:4000.evil.example",
            ] {
                assert!(from(host, Some(origin)).is_err(), "{host} {origin}");
            }
        }
        for host in [
            "evil.example",
            "evil.example:4000",
            "localhost.evil.example",
            "",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "localhost@evil.example",
        ] {
            assert!(from(host, None).is_err(), "{host}");
        }
    }
}
