//! A request on its way to an application, and the answer back: both as they come.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tollgate_core::fault::{Fault, FaultClass};

use super::decide::Passed;
use super::switch::Opened;
use super::{Visit, headers, origin, switch};
use crate::answer::AnswerBody;
use crate::explain::timed_out;
use crate::inbound::{ClientBody, Inbound};
use crate::policies::{VIA, via};
use crate::upstream::SendError;

/// Sends `inbound` on, in the name of whoever has `passed`.
pub(super) async fn forward(
    visit: &Visit<'_>,
    mut inbound: Inbound,
    passed: Passed,
) -> Result<Response<AnswerBody>, Fault> {
    let switching = switches(&inbound);
    if switching {
        origin::check_socket(&inbound.head.headers, visit.application)?;
    }
    let client = inbound.head.extensions.remove::<OnUpgrade>().filter(|_| switching);
    let session = match &passed {
        Passed::Known(visitor) => Some(visitor.session.clone()),
        Passed::Anybody => None,
    };
    // What was asked with is asked with again as long as the answer lasts; where nobody had to be known, only of a WebSocket.
    let opened = (switching || session.is_some()).then(|| Opened {
        gate: Arc::clone(visit.gate),
        application: Arc::clone(&visit.application.name),
        method: inbound.head.method.as_str().to_owned(),
        headers: inbound.head.headers.clone(),
        path: inbound.head.uri.path().to_owned(),
        peer: inbound.peer,
        session,
    });
    let request = onwards(visit, inbound, passed, switching)?;
    let mut response = answered(visit, request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let (Some(client), Some(opened)) = (client, opened) else {
            let why = "the application switches to another protocol without having been asked to";
            return Err(Fault::new(FaultClass::BadUpstream, why));
        };
        switch::join(visit, opened, client, &mut response)?;
        headers::strip_answer(response.headers_mut());
        switch::say(response.headers_mut());
        return Ok(response.map(|_| AnswerBody::whole(bytes::Bytes::new())));
    }
    headers::strip_answer(response.headers_mut());
    Ok(response.map(|body| match opened.filter(|opened| opened.session.is_some()) {
        Some(opened) => AnswerBody::watched(body, async move { switch::no_longer(&opened).await }),
        None => AnswerBody::Forwarded(body, None),
    }))
}

/// The head of the answer to `request`. How long the rest takes is the application's affair, and the browser's; so is how
/// long a body takes to come.
async fn answered(visit: &Visit<'_>, request: Request<ClientBody>) -> Result<Response<Incoming>, Fault> {
    let timeouts = visit.application.timeouts;
    let (limit, setting) = if request.body().is_end_stream() {
        (timeouts.first_byte, "first_byte_ms")
    } else {
        (timeouts.total, "total_ms")
    };
    let asking = visit.gate.parts.upstream.forward(request, timeouts.connect);
    match tokio::time::timeout(limit, asking).await {
        Ok(answered) => answered.map_err(|error| failed(visit, &error)),
        Err(_) => Err(timed_out("the application did not answer", limit, setting)),
    }
}

fn onwards(
    visit: &Visit<'_>,
    inbound: Inbound,
    passed: Passed,
    switching: bool,
) -> Result<Request<ClientBody>, Fault> {
    let Inbound { head, body, peer, .. } = inbound;
    let via = via(&head, &visit.gate.parts.instance);
    let unsized_body = !body.is_end_stream() && body.size_hint().exact().is_none();
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = at(visit, &head.uri)?;
    *request.headers_mut() = head.headers;
    let all = request.headers_mut();
    headers::strip(all, visit.application);
    headers::say_from_where(all, visit.application, peer);
    all.insert(VIA, via);
    if switching {
        switch::say(all);
    }
    // Also where a method seldom has a body: it is not dropped.
    if unsized_body {
        all.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if let Passed::Known(visitor) = passed {
        all.extend(visitor.headers);
    }
    Ok(request)
}

/// Where the application has what the browser asks for at `uri`.
fn at(visit: &Visit<'_>, uri: &Uri) -> Result<Uri, Fault> {
    let wrong = || Fault::new(FaultClass::Invalid, "the address cannot be sent on");
    let mut parts = visit.application.upstream.clone().ok_or_else(wrong)?.into_parts();
    parts.path_and_query = uri.path_and_query().cloned().or(parts.path_and_query);
    Uri::from_parts(parts).map_err(|_| wrong())
}

/// Whether a browser asks for a WebSocket (RFC 6455 §4.1).
fn switches(inbound: &Inbound) -> bool {
    let head = &inbound.head;
    let has = |name: header::HeaderName, token: &str| {
        let lines = head.headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
    };
    head.method == Method::GET
        && head.version == Version::HTTP_11
        && has(header::UPGRADE, "websocket")
        && has(header::CONNECTION, "upgrade")
}

fn failed(visit: &Visit<'_>, error: &SendError) -> Fault {
    let name = &visit.application.name;
    let (SendError::Connect(why) | SendError::Broken(why)) = error;
    tracing::warn!(application = &**name, why, "an application does not answer");
    let class = match error {
        SendError::Connect(_) => FaultClass::Connect,
        SendError::Broken(_) => FaultClass::Cut,
    };
    Fault::new(class, format!("the application `{name}` does not answer"))
}
