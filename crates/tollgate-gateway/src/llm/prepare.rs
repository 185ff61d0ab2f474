//! Phase 7, before anything goes out: the request in the upstream's format, with its address and headers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::chat::Losses;
use tollgate_llm::formats::{AnswerFor, Format, Target};
use tollgate_llm::json::splice;
use tollgate_llm::providers::Provider;

use super::{Call, Llm, body_fault, images};
use crate::explain::timed_out;
use crate::policies::VIA;
use crate::route::Candidate;
use crate::settle::Ticket;
use crate::upstream::UpstreamRequest;

/// A request in the upstream's format, and what its answer needs.
pub(super) struct Prepared {
    pub(super) body: Bytes,
    pub(super) same_format: bool,
    pub(super) hide_usage: bool,
    pub(super) answer: AnswerFor,
}

/// Edits or translates the request of `call` for one candidate.
pub(super) async fn prepare(
    llm: &Llm,
    call: &Call,
    candidate: &Candidate,
    provider: &Provider,
    format: &'static dyn Format,
    ticket: &mut Ticket,
) -> Result<Prepared, Fault> {
    let deployment = &candidate.deployment;
    let inlined = if deployment.image_urls { &None } else { inlined(llm, call, candidate, ticket).await? };
    let text = inlined.as_deref().unwrap_or_else(|| call.text());
    let target = Target {
        model: candidate.upstream_model.to_string(),
        legacy_max_tokens: provider.legacy_max_tokens,
        stream_usage: deployment.stream_usage,
        max_output_tokens: deployment.facts.max_output_tokens,
        native_schema: deployment.facts.native_schema,
        no_sampling: deployment.facts.no_sampling,
    };
    if *call.peek.model != target.model {
        ticket.edited(format!("model: {}", target.model));
    }
    let created = ticket.gate().parts.clock.now().as_second();
    if format.name() == llm.format.name() {
        let found = match inlined {
            None => call.peek.found.clone(),
            Some(text) => llm.format.peek(text).map_err(|e| body_fault(&e))?.found,
        };
        let same = llm.format.same_format(text, found, &target).map_err(|e| body_fault(&e))?;
        let body = match (same.edits.is_empty(), inlined) {
            (true, None) => call.body.clone(),
            _ => Bytes::from(splice(text, same.edits)),
        };
        return Ok(Prepared {
            body,
            same_format: true,
            hide_usage: same.hide_usage,
            answer: AnswerFor { created, ..AnswerFor::default() },
        });
    }
    translate(llm, text, format, &target, created, ticket)
}

/// The body with its images fetched: once a call, whatever is tried, and within its time.
async fn inlined<'a>(
    llm: &Llm,
    call: &'a Call,
    candidate: &Candidate,
    ticket: &mut Ticket,
) -> Result<&'a Option<String>, Fault> {
    let total = candidate.deployment.timeouts.total;
    let deadline = ticket.arrived + total;
    let fetch = call.inlined.get_or_try_init(|| images::inline(llm.format, call.text(), ticket));
    match tokio::time::timeout_at(deadline, fetch).await {
        Ok(inlined) => inlined,
        Err(_) => Err(timed_out("the call did not end", total, "total_ms")),
    }
}

fn translate(
    llm: &Llm,
    text: &str,
    format: &dyn Format,
    target: &Target,
    created: i64,
    ticket: &mut Ticket,
) -> Result<Prepared, Fault> {
    let mut losses = Losses::default();
    let request = llm.format.read_request(text, &mut losses).map_err(|e| body_fault(&e))?;
    let (body, schema_tool) =
        format.write_request(&request, target, &mut losses).map_err(|e| body_fault(&e))?;
    if let Some(loss) = losses.first_harmful().filter(|_| !ticket.runtime.snapshot.drop_params) {
        let message = format!(
            "`{}` cannot be sent to an upstream that speaks {}: {}; with `drop_params: true` it is left out",
            loss.member,
            format.name(),
            loss.why
        );
        return Err(Fault::new(FaultClass::Unsupported, message).param(loss.member.clone()));
    }
    for loss in losses.iter() {
        ticket.edited(format!("{}: {}", loss.member, loss.why));
    }
    let answer = AnswerFor { created, stream_usage: request.stream_usage, schema_tool };
    Ok(Prepared { body: body.into(), same_format: false, hide_usage: false, answer })
}

/// What goes out.
#[expect(clippy::too_many_arguments, reason = "each is one part of a request line, its headers or its body")]
pub(super) fn request(
    llm: &Llm,
    call: &Call,
    candidate: &Candidate,
    provider: &Provider,
    format: &dyn Format,
    path: &str,
    body: Bytes,
    ticket: &Ticket,
) -> Result<UpstreamRequest, Fault> {
    let deployment = &candidate.deployment;
    let base = (provider.normalise_base_url)(&deployment.base_url);
    let uri: Uri = format!("{base}{path}").parse().map_err(|_| {
        Fault::new(FaultClass::Internal, format!("the address of {} does not parse", deployment.id))
    })?;
    let mut headers = HeaderMap::with_capacity(12);
    if format.name() == llm.format.name() {
        for name in format.request_headers() {
            for value in call.head.headers.get_all(*name) {
                headers.append(HeaderName::from_static(name), value.clone());
            }
        }
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(HeaderName::from_static(VIA), via(call, &ticket.gate().parts.instance));
    (provider.headers)(&mut headers, deployment.api_key.as_ref());
    for (name, value) in &deployment.headers {
        headers.insert(name.clone(), value.clone());
    }
    Ok(UpstreamRequest {
        deployment: std::sync::Arc::clone(&deployment.id),
        provider: deployment.provider,
        format: format.name(),
        uri,
        headers,
        body,
        connect_timeout: deployment.timeouts.connect,
    })
}

/// The gates that the call has passed, and this one.
fn via(call: &Call, instance: &str) -> HeaderValue {
    let mut names: Vec<&str> = crate::policies::passed(&call.head).collect();
    names.push(instance);
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static("tollgate"))
}
