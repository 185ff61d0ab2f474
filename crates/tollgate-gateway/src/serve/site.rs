//! The place of what is for anybody who knows where it is: pages on which people sign in, and what programs ask there. The gate
//! reads its requests, within limits for strangers; who answers them is chosen in the composition root.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tollgate_core::access::NotLetIn;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::web::WebApplication;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::identity::{Telling, Visitor};
use tollgate_llm::formats::openai_chat::OpenAiChat;

use crate::answer::AnswerBody;
use crate::gate::Gate;
use crate::identify::{self, Identified};
use crate::inbound::Inbound;
use crate::reject;
use crate::upstream::Boxed;
use crate::voice::InFormat;

/// Answers requests of whoever asks, and finds out by itself who that is.
pub trait Site: Send + Sync {
    /// Whether it answers at `path`, as `snapshot` configures it.
    fn takes(&self, snapshot: &Snapshot, path: &str) -> bool;

    /// Answers a request of whoever is at `peer`.
    fn answer<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        request: Request<Bytes>,
        peer: Option<IpAddr>,
    ) -> Boxed<'a, Response<Bytes>>;

    /// Whoever is signed in in the browser that has sent `headers`; `None` where nobody says so.
    fn signed_in<'a>(&'a self, snapshot: &'a Snapshot, headers: &'a HeaderMap) -> Option<Telling<'a>>;

    /// Whoever has signed in to `application` in the browser that has sent `headers`; `None` where nobody has.
    fn visitor<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        application: &'a WebApplication,
        headers: &'a HeaderMap,
    ) -> Boxed<'a, Result<Option<Visitor>, NotLetIn>>;

    /// Answers a request for what is the gate's own at the host of `application`.
    fn at_application<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        application: &'a WebApplication,
        request: Request<Bytes>,
        peer: Option<IpAddr>,
    ) -> Boxed<'a, Response<Bytes>>;

    /// A page that says why somebody is not let into `application`.
    fn page_of(
        &self,
        snapshot: &Snapshot,
        application: &WebApplication,
        fault: &Fault,
    ) -> Option<Response<Bytes>>;

    /// Where a browser is sent whose user is to sign in, and then to go to `path`; `None` where nobody signs in.
    fn sign_in_at(&self, snapshot: &Snapshot, path: &str) -> Option<String>;
}

/// Whoever is signed in in the browser that manages the gate with `inbound`; `None` where that is no browser's request, or
/// one that brings another credential.
pub(super) async fn signed_in(
    gate: &Gate,
    snapshot: &Snapshot,
    inbound: &Inbound,
) -> Option<Result<Identified, Fault>> {
    let site = gate.parts.site.as_ref().filter(|_| !identify::brings_credential(inbound))?;
    let telling = site.signed_in(snapshot, &inbound.head.headers)?;
    // A cookie comes along with whatever another site makes the browser send.
    if !inbound.head.method.is_safe() && !is_from_own_page(snapshot, inbound) {
        let why = "a page of another site may not do this in the name of whoever is signed in";
        return Some(Err(Fault::new(FaultClass::Forbidden, why)));
    }
    let now = gate.parts.clock.now();
    let caller = telling.await.and_then(|subject| gate.parts.access.of(&subject, now));
    Some(caller.map(Identified::from).map_err(|why| why.fault()))
}

/// Whether a page of the gate itself has sent `inbound` (Fetch Metadata; browsers that do not send it send `Origin`).
fn is_from_own_page(snapshot: &Snapshot, inbound: &Inbound) -> bool {
    match (inbound.header("sec-fetch-site"), inbound.header("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => snapshot.identity.url.as_deref() == Some(origin),
        (None, None) => false,
    }
}

/// Where a browser is sent that shows `inbound` as a page and whose user is not signed in.
pub(super) fn to_sign_in(
    gate: &Gate,
    snapshot: &Snapshot,
    inbound: &Inbound,
) -> Option<Response<AnswerBody>> {
    let is_page = inbound.header("accept").is_some_and(|accept| accept.contains("text/html"));
    let reads = inbound.head.method == Method::GET && is_page && !identify::brings_credential(inbound);
    let site = gate.parts.site.as_ref().filter(|_| reads)?;
    let path = inbound.head.uri.path_and_query().map_or("/", |path| path.as_str());
    let to = HeaderValue::from_str(&site.sign_in_at(snapshot, path)?).ok()?;
    let mut response = Response::new(AnswerBody::whole(Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, to);
    Some(response)
}

/// The answer to a request for `site`.
pub(super) async fn answer(gate: &Gate, site: &dyn Site, inbound: Inbound) -> Response<AnswerBody> {
    let runtime = gate.runtime();
    let Inbound { head, body, peer, .. } = inbound;
    match body.read_small(&runtime.snapshot).await {
        Ok(body) => {
            let request = Request::from_parts(head, body);
            site.answer(&runtime.snapshot, request, peer).await.map(AnswerBody::whole)
        }
        Err(fault) => {
            let mut refused = reject::stranger(&fault, &InFormat(&OpenAiChat));
            // What is left of the body is not read.
            refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            refused
        }
    }
}
