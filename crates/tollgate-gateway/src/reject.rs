//! The one place where a fault becomes a response.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::record::Outcome;
use tollgate_llm::formats::Shown;

use crate::answer::AnswerBody;
use crate::ticket::Ticket;
use crate::voice::Voice;

/// A response that shows `fault` to the client of an identified call, and closes the call.
pub(crate) async fn call(mut ticket: Ticket, fault: &Fault, voice: &dyn Voice) -> Response<AnswerBody> {
    let body = ticket.show(fault, |shown| voice.write_error(shown));
    let mut response = response(fault, voice, body);
    identify(&ticket, response.headers_mut());
    ticket.status(response.status().as_u16());
    if let AnswerBody::Whole(Some(body)) = response.body() {
        ticket.sending(body);
    }
    let outcome = match fault.class {
        FaultClass::ClientGone => Outcome::ClientGone,
        FaultClass::Lost => Outcome::Unknown,
        _ if ticket.attempts() == 0 => Outcome::Refused,
        _ => Outcome::Failed,
    };
    // What cannot be recorded is refused anyway, and was logged.
    let _ = ticket.settle(outcome, Some(fault)).await;
    response
}

/// A response for whoever was not identified, or asked for what is no call.
pub(crate) fn stranger(fault: &Fault, voice: &dyn Voice) -> Response<AnswerBody> {
    let body = voice.write_error(&Shown::stranger(fault));
    response(fault, voice, body)
}

fn response(fault: &Fault, voice: &dyn Voice, body: Vec<u8>) -> Response<AnswerBody> {
    let status = voice.status(fault);
    let mut response = Response::new(AnswerBody::whole(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = fault.retry_after {
        // Whole seconds (RFC 9110 §10.2.3), rounded up: earlier would be too early.
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
        );
    }
    if let Some(challenge) = voice.challenge(fault).and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if !fault.retryable() {
        // The SDKs obey this header; without it they try a 5xx again that cannot succeed.
        headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
    }
    response
}

/// The headers that tell a client which call this was and who answered.
pub(crate) fn identify(ticket: &Ticket, headers: &mut HeaderMap) {
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("x-tollgate-call-id", &ticket.call_id.to_string());
    if let Some(model) = ticket.model() {
        put("x-tollgate-model", model);
    }
    if let Some(target) = ticket.target() {
        put("x-tollgate-deployment", target.id());
    }
    headers.insert(HeaderName::from_static("x-tollgate-attempts"), HeaderValue::from(ticket.attempts()));
    ticket.tell_limits(headers);
}
