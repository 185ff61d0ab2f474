//! Phase 7, before anything goes out: the request in the upstream's format, with its address and headers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::chat::{Kept, Losses};
use tollgate_llm::formats::{AnswerFor, Format, Surface, Target};
use tollgate_llm::json::splice;
use tollgate_llm::providers::{Operation, Provider};

use super::crossing::Crossing;
use super::{Call, Llm, body_fault, images};
use crate::explain::timed_out;
use crate::leg::Leg;
use crate::policies::{VIA, via};
use crate::route::Candidate;
use crate::upstream::UpstreamRequest;

/// A request in the upstream's format, and what its answer needs.
pub(super) struct Prepared {
    pub(super) body: Bytes,
    pub(super) crossing: Crossing,
    pub(super) answer: AnswerFor,
}

/// Edits or translates the request of `call` for one candidate.
pub(super) async fn prepare(
    llm: &Llm,
    call: &Call,
    candidate: &Candidate,
    provider: &Provider,
    format: &'static dyn Format,
    ticket: &mut Leg,
) -> Result<Prepared, Fault> {
    let deployment = &candidate.deployment;
    let inlined = if deployment.image_urls || call.form.is_some() {
        &None
    } else {
        inlined(llm, call, candidate, ticket).await?
    };
    let text = inlined.as_deref().unwrap_or_else(|| call.text());
    let target = Target {
        model: candidate.upstream_model.to_string(),
        legacy_max_tokens: provider.legacy_max_tokens,
        stream_usage: deployment.stream_usage,
        max_output_tokens: deployment.facts.max_output_tokens,
        output_ceiling: ticket.output_ceiling,
        native_schema: deployment.facts.native_schema,
        no_sampling: deployment.facts.no_sampling,
        adaptive_thinking: deployment.facts.adaptive_thinking,
        model_in_address: provider.anthropic_version.is_some() && llm.operation == Operation::Chat,
        anthropic_version: provider.anthropic_version,
    };
    if *call.peek.model != target.model {
        ticket.edited("model", target.model.clone());
    }
    if let Some(ceiling) = target.output_ceiling {
        ticket.edited("budget", format!("an answer of at most {ceiling} tokens"));
    }
    let crossing = Crossing::between(llm.surface, format)?;
    let answer = AnswerFor {
        created: ticket.gate().parts.clock.now().as_second(),
        array: call.peek.array,
        ..AnswerFor::default()
    };
    match crossing {
        Crossing::Same(surface) => edited(surface, llm, call, inlined.as_deref(), &target, answer),
        crossing => translated(crossing, text, call.peek.stream, &target, answer, (format, ticket)),
    }
}

/// The request with the edits that an upstream of the same format needs.
fn edited(
    surface: &'static dyn Surface,
    llm: &Llm,
    call: &Call,
    inlined: Option<&str>,
    target: &Target,
    answer: AnswerFor,
) -> Result<Prepared, Fault> {
    if let Some(form) = &call.form {
        let body = [&call.body[..form.model.start], target.model.as_bytes(), &call.body[form.model.end..]];
        return Ok(Prepared { body: body.concat().into(), crossing: Crossing::Same(surface), answer });
    }
    let text = inlined.unwrap_or_else(|| call.text());
    let found = match inlined {
        None => call.peek.found.clone(),
        Some(text) => surface.peek(text, &llm.address.facts()).map_err(|e| body_fault(&e))?.found,
    };
    let mut same = surface.same_format(text, found, target).map_err(|e| body_fault(&e))?;
    same.edits.extend(tollgate_llm::chat::bare_ids(text));
    let body = match (same.edits.is_empty(), inlined) {
        (true, None) => call.body.clone(),
        _ => Bytes::from(splice(text, same.edits)),
    };
    let answer = AnswerFor { hide_usage: same.hide_usage, ..answer };
    Ok(Prepared { body, crossing: Crossing::Same(surface), answer })
}

/// The body with its images fetched: once a call, whatever is tried, and within its time.
async fn inlined<'a>(
    llm: &Llm,
    call: &'a Call,
    candidate: &Candidate,
    ticket: &mut Leg,
) -> Result<&'a Option<String>, Fault> {
    let total = candidate.deployment.timeouts.total;
    let deadline = ticket.arrived + total;
    let fetch = call.inlined.get_or_try_init(|| images::inline(llm.surface, call.text(), ticket));
    match tokio::time::timeout_at(deadline, fetch).await {
        Ok(inlined) => inlined,
        Err(_) => Err(timed_out("the call did not end", total, "total_ms")),
    }
}

/// The request in the upstream's format. What cannot be kept is refused, or noted in the record.
fn translated(
    crossing: Crossing,
    text: &str,
    stream: bool,
    target: &Target,
    answer: AnswerFor,
    (format, ticket): (&dyn Format, &mut Leg),
) -> Result<Prepared, Fault> {
    let (mut losses, mut answer) = (Losses::default(), answer);
    let wrong = |error| body_fault(&error);
    let body = match crossing {
        Crossing::Same(_) => text.as_bytes().to_vec(),
        Crossing::Chat(client, upstream) => {
            losses = Losses::new(client.spelling());
            let mut request = client.read_request(text, &mut losses).map_err(wrong)?;
            // Not every format says in the body whether the answer is streamed.
            request.stream = stream;
            request.max_output_tokens = target.output_ceiling.or(request.max_output_tokens);
            let (body, schema_tool) = upstream.write_request(&request, target, &mut losses).map_err(wrong)?;
            answer.schema_tool = schema_tool;
            answer.stream_usage = request.stream_usage;
            body
        }
        Crossing::Embeddings(client, upstream) => {
            let request = client.read_request(text, &mut losses).map_err(wrong)?;
            answer.base64 = request.base64;
            upstream.write_request(&request, target, &mut losses).map_err(wrong)?
        }
        Crossing::Rerank(client, upstream) => {
            let request = client.read_request(text, &mut losses).map_err(wrong)?;
            answer.documents = request.return_documents;
            upstream.write_request(&request, target, &mut losses)
        }
    };
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
        let by = if loss.kept == Kept::Not { "drop_params" } else { "translation" };
        ticket.edited(by, format!("{}: {}", loss.member, loss.why));
    }
    if losses.more() > 0 {
        ticket.edited("translation", format!("and {} more", losses.more()));
    }
    Ok(Prepared { body: body.into(), crossing, answer })
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
    ticket: &Leg,
) -> Result<UpstreamRequest, Fault> {
    let deployment = &candidate.deployment;
    let base = (provider.normalise_base_url)(&deployment.base_url);
    let uri: Uri = format!("{base}{path}").parse().map_err(|_| {
        Fault::new(FaultClass::Internal, format!("the address of {} does not parse", deployment.id))
    })?;
    let mut headers = HeaderMap::with_capacity(12);
    if format.name() == llm.surface.name() {
        // What a beta costs has no bound.
        let beta = |name: &&&str| ticket.output_ceiling.is_none() || !name.ends_with("-beta");
        for name in llm.surface.request_headers().iter().filter(beta) {
            for value in call.head.headers.get_all(*name) {
                headers.append(HeaderName::from_static(name), value.clone());
            }
        }
    }
    let content_type = call.form.as_ref().and_then(|form| HeaderValue::from_str(&form.content_type).ok());
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(HeaderName::from_static(VIA), via(&call.head, &ticket.gate().parts.instance));
    if let Ok(trace) = HeaderValue::from_str(&ticket.trace.to_string()) {
        headers.insert(HeaderName::from_static("traceparent"), trace);
    }
    (provider.headers)(&mut headers, deployment.api_key.as_ref());
    for (name, value) in &deployment.headers {
        headers.insert(name.clone(), value.clone());
    }
    Ok(UpstreamRequest {
        deployment: std::sync::Arc::clone(&deployment.id),
        provider: deployment.provider,
        format: format.name(),
        stream: call.peek.stream && llm.operation != Operation::CountTokens,
        method: http::Method::POST,
        uri,
        headers,
        body,
        connect_timeout: deployment.timeouts.connect,
        reach: deployment.reach,
    })
}
