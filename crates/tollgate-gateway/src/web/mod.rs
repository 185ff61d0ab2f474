//! Ordinary web applications behind the gate: whoever is in front of the browser is known before a request goes on, and the
//! application is told by a signed header who that is.
//!
//! What is recorded is not every request but who is let into what, and who is not: once in a session for each decision. No
//! decision counts that could not be recorded.

mod ask;
mod decide;
mod forward;
mod headers;
mod origin;
mod paths;
mod switch;
mod voice;

use std::sync::Arc;

use http::{HeaderMap, Method, Response, StatusCode, header};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::web::{OWN_PATHS, WebApplication};
use tollgate_core::fault::{Fault, FaultClass};

use self::decide::Asked;
pub(crate) use self::decide::Decisions;
pub(crate) use self::switch::Open as OpenSockets;
use self::voice::WebVoice;
use crate::answer::AnswerBody;
use crate::gate::{Gate, Runtime};
use crate::inbound::Inbound;
use crate::pipeline::refuse_stranger;
use crate::policies::has_passed;

/// The application that a request is for, by the host that it names.
pub(crate) fn application_of(snapshot: &Snapshot, inbound: &Inbound) -> Option<Arc<WebApplication>> {
    let authority = inbound.head.uri.authority().map(http::uri::Authority::as_str);
    snapshot.web.at(authority.or_else(|| inbound.header("host"))?).cloned()
}

/// A request on its way to an application.
struct Visit<'a> {
    gate: &'a Arc<Gate>,
    runtime: Arc<Runtime>,
    application: &'a Arc<WebApplication>,
}

/// Answers a request for `application`.
pub(crate) async fn handle(
    gate: &Arc<Gate>,
    application: &Arc<WebApplication>,
    inbound: Inbound,
) -> Response<AnswerBody> {
    let visit = Visit { gate, runtime: gate.runtime(), application };
    if let Some(own) = inbound.head.uri.path().strip_prefix(OWN_PATHS).map(str::to_owned) {
        return visit.own(&own, inbound).await;
    }
    let (peer, page) = (inbound.peer, Page::of(&inbound.head));
    match visit.pass(inbound).await {
        Ok(response) => response,
        Err(fault) => visit.refused(&fault, peer, &page),
    }
}

impl Visit<'_> {
    /// Lets a request pass that may, and sends it on.
    async fn pass(&self, inbound: Inbound) -> Result<Response<AnswerBody>, Fault> {
        if self.application.upstream.is_none() {
            let why = "a proxy carries this application's requests, and this one came past it";
            return Err(Fault::new(FaultClass::RouteNotFound, why));
        }
        if matches!(inbound.head.method, Method::CONNECT | Method::TRACE) {
            let why = "an application is not asked with this method";
            return Err(Fault::new(FaultClass::MethodNotAllowed, why));
        }
        if has_passed(&inbound.head, &self.gate.parts.instance) {
            let why = "the `upstream` of this application leads back to the gate";
            return Err(Fault::new(FaultClass::Loop, why));
        }
        origin::check(&inbound.head.headers, Some(&inbound.head.method), self.application)?;
        let asked = Asked {
            method: Some(inbound.head.method.as_str()),
            path: Some(inbound.head.uri.path()),
            peer: inbound.peer,
        };
        let passed = self.decide(&inbound.head.headers, &asked).await?;
        forward::forward(self, inbound, passed).await
    }

    /// Answers what is asked of the gate itself at the application's host.
    async fn own(&self, path: &str, inbound: Inbound) -> Response<AnswerBody> {
        // Where the gate carries the requests, nobody has to ask.
        let asks = self.application.upstream.is_none();
        match path {
            "auth" if asks => self.asked(&inbound, false).await,
            "forward-auth" if asks => self.asked(&inbound, true).await,
            _ => self.signing_in(inbound).await,
        }
    }

    async fn signing_in(&self, inbound: Inbound) -> Response<AnswerBody> {
        let (peer, page) = (inbound.peer, Page::of(&inbound.head));
        let Inbound { head, body, .. } = inbound;
        let snapshot = &self.runtime.snapshot;
        let body = match body.read_small(snapshot).await {
            Ok(body) => body,
            Err(fault) => return self.refused(&fault, peer, &page),
        };
        let Some(site) = &self.gate.parts.site else {
            return self.refused(&nobody_signs_in(), peer, &page);
        };
        let request = http::Request::from_parts(head, body);
        site.at_application(snapshot, self.application, request, peer).await.map(AnswerBody::whole)
    }

    /// Tells a browser why it is not let in: by where to sign in, where it shows a page and that would help.
    fn refused(&self, fault: &Fault, peer: Option<std::net::IpAddr>, page: &Page) -> Response<AnswerBody> {
        if let Some(to) = page.path.as_deref().filter(|_| fault.class == FaultClass::Unauthenticated) {
            return redirect(&sign_in_at(to));
        }
        let voice = WebVoice { application: self.application };
        let mut response = refuse_stranger(self.gate, fault, &voice, peer);
        let said = page.is_shown.then(|| {
            let site = self.gate.parts.site.as_ref()?;
            site.page_of(&self.runtime.snapshot, self.application, fault)
        });
        if let Some(said) = said.flatten() {
            let (head, body) = said.into_parts();
            response.headers_mut().extend(head.headers);
            *response.body_mut() = AnswerBody::whole(body);
        }
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
        // What is left of the body is not read.
        headers.insert(header::CONNECTION, http::HeaderValue::from_static("close"));
        response
    }
}

fn nobody_signs_in() -> Fault {
    Fault::new(FaultClass::Unavailable, "nobody can sign in at this gate")
}

/// Where a browser is sent first whose user is to sign in, and then to go to `path`.
fn sign_in_at(path: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("to", path).finish();
    format!("{OWN_PATHS}sign-in?{query}")
}

fn redirect(to: &str) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(to) = http::HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}

/// What a browser does with an answer.
struct Page {
    /// Whether somebody reads it.
    is_shown: bool,
    /// Where the browser is, where it asks for that as a page, and can be sent to sign in and back.
    path: Option<String>,
}

impl Page {
    fn of(head: &http::request::Parts) -> Self {
        let uri = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        Self::at(&head.headers, &head.method, uri)
    }

    fn at(headers: &HeaderMap, method: &Method, uri: &str) -> Self {
        let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let html = said("accept").is_some_and(|accept| accept.contains("text/html"));
        // Fetch Metadata says it to the point; not every browser sends it.
        let is_shown = said("sec-fetch-mode").map_or(html, |mode| mode == "navigate");
        let path = (is_shown && method == Method::GET).then(|| uri.to_owned());
        Self { is_shown, path }
    }
}
