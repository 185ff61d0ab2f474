//! Spans: a call, and below it each of its attempts.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use tollgate_core::call::CallId;

use super::call::{Attempt, Call, provider_of};
use super::names;
use super::values::{number, text, texts};

/// The spans of `call`.
pub(super) fn of(call: &Call) -> Vec<Span> {
    let attempts =
        call.attempts.iter().enumerate().filter_map(|(index, attempt)| of_attempt(call, index, attempt));
    std::iter::once(of_call(call)).chain(attempts).collect()
}

fn of_call(call: &Call) -> Span {
    let operation = names::operation(&call.surface);
    let mut attributes = vec![
        text(names::OPERATION, operation),
        text(names::CALL_ID, &call.call_id),
        text(names::PRINCIPAL, &format!("{}/{}", call.principal.sub.kind, call.principal.sub.id)),
        text(names::SURFACE, &call.surface),
        text(names::OUTCOME, &call.outcome),
        number(names::HTTP_STATUS, call.status),
    ];
    if !call.model.is_empty() {
        attributes.push(text(names::REQUEST_MODEL, &call.model));
    }
    if !call.deployment.is_empty() {
        attributes.push(text(names::PROVIDER, call.provider()));
        attributes.push(text(names::DEPLOYMENT, &call.deployment));
    }
    if let Some(usage) = call.usage {
        attributes.push(number(names::INPUT_TOKENS, usage.input_tokens));
        attributes.push(number(names::OUTPUT_TOKENS, usage.output_tokens));
    }
    attributes.extend(call.cost().map(|nano| number(names::COST_NANO_USD, nano)));
    if !call.chosen.is_empty() {
        attributes.push(texts(names::TOOLS_CHOSEN, call.chosen.iter().map(|chosen| chosen.name.as_str())));
    }
    if let Some(fault) = &call.fault {
        attributes.push(text(names::ERROR_TYPE, &fault.class));
        attributes.push(text(names::BLAME, &fault.blame));
        attributes.push(text(names::SIDE_EFFECT, &fault.side_effect));
    }
    Span {
        trace_id: bytes(&call.trace.trace_id),
        span_id: bytes(&call.trace.span_id),
        parent_span_id: call.trace.parent_span_id.as_deref().map(bytes).unwrap_or_default(),
        name: named(operation, &call.model),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: call.began_ns(),
        end_time_unix_nano: call.ended_ns(),
        attributes,
        status: status(call.fault.as_ref().map(|fault| fault.message.as_str())),
        ..Default::default()
    }
}

fn of_attempt(call: &Call, index: usize, attempt: &Attempt) -> Option<Span> {
    let id: CallId = call.call_id.parse().ok()?;
    let number_of = u32::try_from(index + 1).ok()?;
    let operation = names::operation(&call.surface);
    let mut attributes = vec![
        text(names::OPERATION, operation),
        text(names::PROVIDER, provider_of(&attempt.deployment)),
        text(names::DEPLOYMENT, &attempt.deployment),
    ];
    let model = attempt.deployment.split_once('/').map_or("", |(_, model)| model);
    attributes.push(text(names::REQUEST_MODEL, model));
    attributes.extend(attempt.status.map(|status| number(names::HTTP_STATUS, status)));
    attributes.extend(attempt.fault.as_deref().map(|fault| text(names::ERROR_TYPE, fault)));
    if let Some(usage) = attempt.usage {
        attributes.push(number(names::INPUT_TOKENS, usage.input_tokens));
        attributes.push(number(names::OUTPUT_TOKENS, usage.output_tokens));
    }
    let began = call.began_ns() + attempt.started_us * 1_000;
    // Who answered goes on until the call ends; who failed has ended when that was known.
    let ended = match attempt.fault {
        Some(_) => began + attempt.waited_us * 1_000,
        None => call.ended_ns(),
    };
    Some(Span {
        trace_id: bytes(&call.trace.trace_id),
        span_id: bytes(&id.span(number_of).to_string()),
        parent_span_id: bytes(&call.trace.span_id),
        name: named(operation, model),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: began,
        end_time_unix_nano: ended.max(began),
        attributes,
        status: status(attempt.fault.as_deref()),
        ..Default::default()
    })
}

/// As the conventions name spans: the operation and the model.
fn named(operation: &str, model: &str) -> String {
    if model.is_empty() { operation.to_owned() } else { format!("{operation} {model}") }
}

fn status(why: Option<&str>) -> Option<Status> {
    why.map(|why| Status { message: why.to_owned(), code: StatusCode::Error.into() })
}

/// The bytes that hexadecimal digits stand for.
fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    digits.map_while(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}
