//! Phase 7 for an LLM call: one attempt at one deployment.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use tokio::time::Instant;
use tollgate_core::config::snapshot::{Deployment, Timeouts};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::record::Direction;
use tollgate_core::usage::{Usage, UsageSource, estimate_tokens};
use tollgate_llm::chat::{Losses, ToolCall};
use tollgate_llm::formats::{Format, RerankClient, classify};
use tollgate_llm::framing::Framing;
use tollgate_llm::providers::{Endpoint, Operation};
use tollgate_llm::tool_facts;

use super::crossing::Crossing;
use super::prepare::{Prepared, prepare, request};
use super::stage::Stage;
use super::{Answer, Call, Llm};
use crate::attempt::Failed;
use crate::explain::{self, timed_out};
use crate::gathered::Gathered;
use crate::leg::Leg;
use crate::relay::Stream;
use crate::route::Candidate;
use crate::upstream::{SendError, UpstreamBody, UpstreamResponse};

/// The largest error body that is read.
const ERROR_BYTES: usize = 64 << 10;

/// One attempt.
pub(super) async fn send(
    llm: &Llm,
    call: &Call,
    candidate: &Candidate,
    ticket: &mut Leg,
) -> Result<Answer, Failed> {
    let deployment = &candidate.deployment;
    let provider = tollgate_llm::providers::find(deployment.provider)
        .ok_or_else(|| Fault::new(FaultClass::Internal, format!("no adapter for {}", deployment.id)))?;
    let Some(format) =
        provider.format_for(llm.surface, deployment.format.as_deref(), &candidate.upstream_model)
    else {
        return Err(cannot(llm, deployment).into());
    };
    let endpoint = Endpoint {
        operation: llm.operation,
        format: format.name(),
        model: &candidate.upstream_model,
        stream: call.peek.stream,
        base_url: &deployment.base_url,
        api_version: deployment.api_version.as_deref(),
    };
    let counts = llm.operation == Operation::CountTokens;
    let path = (provider.path)(&endpoint).filter(|_| !counts || format.name() == llm.surface.name());
    let Some(path) = path else {
        if counts {
            return count_here(llm, ticket).map_err(Failed::from);
        }
        return Err(cannot(llm, deployment).into());
    };
    let prepared = prepare(llm, call, candidate, provider, format, ticket).await?;
    let mut request = request(llm, call, candidate, provider, format, &path, prepared.body.clone(), ticket)?;
    let gate = std::sync::Arc::clone(ticket.gate());
    let total_deadline = ticket.arrived + deployment.timeouts.total;
    if deployment.cloud.is_some() {
        // Boxed: most deployments have a plain key.
        let authorized = Box::pin(gate.credentials.authorize(&gate, candidate, &mut request));
        match tokio::time::timeout_at(total_deadline, authorized).await {
            Ok(authorized) => authorized?,
            Err(_) => {
                return Err(timed_out("the call did not end", deployment.timeouts.total, "total_ms").into());
            }
        }
    }
    let first_deadline = (Instant::now() + deployment.timeouts.first_byte).min(total_deadline);
    let upstream = std::sync::Arc::clone(&ticket.gate().parts.upstream);
    ticket.shoot(Direction::ToUpstream, &prepared.body);
    ticket.sent();
    let sent = tokio::time::timeout_at(first_deadline, upstream.send(request)).await;
    let response = match sent {
        Err(_) => return Err(first_byte_too_late(deployment.timeouts.first_byte, ticket)),
        Ok(Err(SendError::Connect(why))) => {
            let fault = Fault::new(FaultClass::Connect, format!("no connection: {why}"));
            return Err(explained(fault, candidate).into());
        }
        Ok(Err(SendError::Broken(why))) => {
            let fault =
                explained(Fault::new(FaultClass::Cut, format!("the connection broke: {why}")), candidate);
            return Err(Failed { fault, billed: Some(ticket.prompt_only()) });
        }
        Ok(Ok(response)) => response,
    };
    ticket.answered(response.status.as_u16(), format.request_id(&response.headers));
    if !response.status.is_success() {
        return Err(refused(response, candidate, format, first_deadline, ticket).await.into());
    }
    let exchange = Exchange { candidate, prepared: &prepared, framing: format.framing(), total_deadline };
    if call.peek.stream && !counts {
        exchange.stream(response, first_deadline, ticket).await
    } else {
        exchange.whole(llm, call, response, ticket).await
    }
}

/// `fault` in words that are fit for clients and records.
fn explained(fault: Fault, candidate: &Candidate) -> Fault {
    explain::explained(fault, &candidate.clone().into())
}

/// The provider has no such operation.
fn cannot(llm: &Llm, deployment: &Deployment) -> Fault {
    let message = format!("{}: this provider has no {}", deployment.id, llm.surface.name());
    Fault::new(FaultClass::Unsupported, message)
}

/// Counts tokens for an upstream that has no such operation: an estimate, and the answer says so.
fn count_here(llm: &Llm, ticket: &mut Leg) -> Result<Answer, Fault> {
    let tokens = ticket.prompt_only().input_tokens;
    ticket.edited("count_tokens", "estimated by the gate");
    let body = llm
        .surface
        .write_token_count(tokens)
        .ok_or_else(|| Fault::new(FaultClass::Unsupported, "tokens cannot be counted here"))?;
    Ok(Answer::Whole {
        headers: HeaderMap::new(),
        body: body.into(),
        usage: None,
        source: Some(UsageSource::Estimated),
        chosen: Vec::new(),
    })
}

fn first_byte_too_late(limit: Duration, ticket: &Leg) -> Failed {
    Failed {
        fault: timed_out("the upstream did not begin to answer", limit, "first_byte_ms"),
        billed: Some(ticket.prompt_only()),
    }
}

/// An answer whose status is no success.
async fn refused(
    mut response: UpstreamResponse,
    candidate: &Candidate,
    format: &dyn Format,
    deadline: Instant,
    ticket: &Leg,
) -> Fault {
    let body = match tokio::time::timeout_at(
        deadline,
        collect(&mut response.body, ERROR_BYTES, &candidate.deployment.timeouts),
    )
    .await
    {
        Ok(Ok(body)) => body,
        _ => Bytes::new(),
    };
    ticket.shoot(Direction::FromUpstream, &body);
    let error = format.read_error(response.status, &body);
    let class = classify(&error);
    let message = match class {
        // What it says is about the gate's credential, and may show a part of it.
        FaultClass::UpstreamRefused if matches!(error.status, 401..=403) => {
            format!("the upstream refused the gate's credential (status {})", error.status)
        }
        _ => format!("{} (status {})", error.message, error.status),
    };
    let upstream = (class != FaultClass::UpstreamRefused).then(|| Box::new(error));
    let fault = Fault { retry_after: retry_after(&response.headers), upstream, ..Fault::new(class, message) };
    explained(fault, candidate)
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3), or OpenAI's `retry-after-ms`. A date is not read: it would need
/// the upstream's clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"))?;
    // Nobody waits for longer, and a clock cannot count to every number that an upstream may write.
    const LONGEST: Duration = Duration::from_hours(24 * 365);
    Duration::try_from_secs_f64(seconds).ok().map(|wait| wait.min(LONGEST))
}

/// A request that was sent and whose answer has begun.
struct Exchange<'a> {
    candidate: &'a Candidate,
    prepared: &'a Prepared,
    framing: Framing,
    total_deadline: Instant,
}

impl Exchange<'_> {
    async fn stream(
        &self,
        response: UpstreamResponse,
        deadline: Instant,
        ticket: &mut Leg,
    ) -> Result<Answer, Failed> {
        self.expect_type(&response, self.framing.content_type())
            .map_err(|fault| Failed { fault, billed: Some(ticket.prompt_only()) })?;
        let answer = &self.prepared.answer;
        let stage = match self.prepared.crossing {
            Crossing::Same(surface) => {
                let listens = surface.chat_upstream().filter(|_| ticket.listens());
                Stage::same(surface.watcher(answer), listens.map(|upstream| upstream.stream_reader()))
            }
            Crossing::Chat(client, upstream) => {
                let (reader, writer) = (upstream.stream_reader(), client.stream_writer(answer));
                Stage::translated(reader, writer, self.names(ticket), ticket.listens())
            }
            Crossing::Embeddings(..) | Crossing::Rerank(..) => {
                let fault = Fault::new(FaultClass::Unsupported, "answers of this kind are not streamed");
                return Err(fault.param("stream").into());
            }
        };
        let headers = self.kept_headers(&response.headers);
        let event_limit = ticket.runtime.snapshot.limits.stream_event_bytes;
        let mut stream = Stream::new(response.body, stage, self.framing, event_limit, ticket.stream_film());
        let limit = self.candidate.deployment.timeouts.first_byte;
        match tokio::time::timeout_at(deadline, stream.first()).await {
            Err(_) => Err(first_byte_too_late(limit, ticket)),
            Ok(Err(fault)) => Err(Failed {
                fault: explained(fault, self.candidate),
                billed: Some(stream.usage(ticket.prompt_only())),
            }),
            Ok(Ok(())) => Ok(Answer::Stream { headers, stream: Box::new(stream), answer: answer.clone() }),
        }
    }

    async fn whole(
        &self,
        llm: &Llm,
        call: &Call,
        mut response: UpstreamResponse,
        ticket: &mut Leg,
    ) -> Result<Answer, Failed> {
        self.expect_type(&response, "application/json")
            .map_err(|fault| Failed { fault, billed: Some(ticket.prompt_only()) })?;
        let billed = || Some(ticket.prompt_only());
        let limit = ticket.runtime.snapshot.limits.response_body_bytes;
        let total = self.candidate.deployment.timeouts.total;
        let body = match tokio::time::timeout_at(
            self.total_deadline,
            collect(&mut response.body, limit, &self.candidate.deployment.timeouts),
        )
        .await
        {
            Err(_) => {
                return Err(Failed {
                    fault: timed_out("the call did not end", total, "total_ms"),
                    billed: billed(),
                });
            }
            Ok(Err(why)) => {
                let fault = Fault::new(FaultClass::Cut, format!("the upstream's answer broke off: {why}"));
                return Err(Failed { fault: explained(fault, self.candidate), billed: billed() });
            }
            Ok(Ok(body)) => body,
        };
        let garbage = |why: &str| {
            let fault =
                Fault::new(FaultClass::BadUpstream, format!("the upstream's answer cannot be read: {why}"));
            Failed { fault: explained(fault, self.candidate), billed: billed() }
        };
        ticket.shoot(Direction::FromUpstream, &body);
        let text = std::str::from_utf8(&body).map_err(|_| garbage("it is not UTF-8"))?;
        let headers = self.kept_headers(&response.headers);
        let (body, usage, chosen) = self.read(llm, call, &body, text, ticket).map_err(|why| garbage(&why))?;
        Ok(Answer::Whole { headers, body, usage, source: None, chosen })
    }

    /// The answer in the client's format, what it used, and the tool calls in it; why where it is none.
    fn read(
        &self,
        llm: &Llm,
        call: &Call,
        body: &Bytes,
        text: &str,
        ticket: &Leg,
    ) -> Result<(Bytes, Option<Usage>, Vec<ToolCall>), String> {
        let answer = &self.prepared.answer;
        Ok(match self.prepared.crossing {
            Crossing::Same(surface) => {
                let usage = surface.response_usage(text)?.filter(Usage::says_something);
                let guess = || match (llm.operation, surface.rerank_client()) {
                    (Operation::Rerank, Some(client)) => rerank_estimate(client, call, ticket),
                    _ => estimate(ticket, text.len()),
                };
                let billed = llm.operation != Operation::CountTokens;
                let listens = surface.chat_upstream().filter(|_| ticket.listens());
                let said = listens.and_then(|upstream| upstream.read_response(body).ok());
                let chosen = said.iter().flat_map(tool_facts::chosen).cloned().collect();
                (body.clone(), billed.then(|| usage.unwrap_or_else(guess)), chosen)
            }
            Crossing::Chat(client, upstream) => {
                let (id, model) = self.names(ticket);
                let read = upstream.read_response(body)?.named(&id, &model);
                let usage =
                    read.usage.filter(Usage::says_something).unwrap_or_else(|| estimate(ticket, text.len()));
                let chosen = tool_facts::chosen(&read).cloned().collect();
                (client.write_response(&read, answer).into(), Some(usage), chosen)
            }
            Crossing::Embeddings(client, upstream) => {
                let mut read = upstream.read_response(body)?;
                if read.model.is_empty() {
                    read.model = self.names(ticket).1;
                }
                // The client's format has no word for "not counted", and a zero would be wrong.
                let usage = *read.usage.get_or_insert_with(|| ticket.prompt_only());
                (client.write_response(&read, answer).into(), Some(usage), Vec::new())
            }
            Crossing::Rerank(client, upstream) => {
                let read = upstream.read_response(body)?;
                let usage = read
                    .usage
                    .filter(Usage::says_something)
                    .unwrap_or_else(|| rerank_estimate(client, call, ticket));
                let request = client.read_request(call.text(), &mut Losses::default());
                let documents = request.ok().filter(|_| answer.documents).map(|request| request.documents);
                (client.write_response(&read, documents.as_deref()).into(), Some(usage), Vec::new())
            }
        })
    }

    /// What stands for the id and the model of an answer that says neither: the call's id, and what was asked for.
    fn names(&self, ticket: &Leg) -> (String, String) {
        (ticket.call_id.to_string(), self.candidate.upstream_model.to_string())
    }

    /// HTML from a proxy in between, or a stream where none was asked for, is no answer.
    fn expect_type(&self, response: &UpstreamResponse, expected: &str) -> Result<(), Fault> {
        let sent =
            response.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let essence = sent.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        let shown: String = essence.chars().take(60).collect();
        let message = format!("the upstream sent {shown:?} where {expected} was expected");
        Err(explained(Fault::new(FaultClass::BadUpstream, message), self.candidate))
    }

    fn kept_headers(&self, upstream: &HeaderMap) -> HeaderMap {
        let Crossing::Same(surface) = self.prepared.crossing else { return HeaderMap::new() };
        let kept = upstream.iter().filter(|(name, _)| surface.response_headers(name.as_str()));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// What a reranking used whose answer does not say so: a search for every hundred documents, as Cohere counts, and
/// the tokens of the request. The model's price says which of them is billed.
fn rerank_estimate(client: &dyn RerankClient, call: &Call, ticket: &Leg) -> Usage {
    const DOCUMENTS: usize = 100;
    let request = client.read_request(call.text(), &mut Losses::default());
    let searches = request.map_or(1, |request| request.documents.len().div_ceil(DOCUMENTS));
    Usage { searches: searches as u64, ..ticket.prompt_only() }
}

fn estimate(ticket: &Leg, answer_bytes: usize) -> Usage {
    Usage { output_tokens: estimate_tokens(answer_bytes as u64), ..ticket.prompt_only() }
}

/// A whole body. Its head may come long before the model has thought of the rest: the first piece has as long as a
/// first byte has.
async fn collect(body: &mut UpstreamBody, limit: usize, timeouts: &Timeouts) -> Result<Bytes, String> {
    let mut gathered = Gathered::new(limit);
    let (mut patience, mut setting) = (timeouts.first_byte, "first_byte_ms");
    let late = |patience: Duration, setting| {
        format!("it did not go on within {} ms (timeouts.{setting})", patience.as_millis())
    };
    loop {
        let piece =
            tokio::time::timeout(patience, body.piece()).await.map_err(|_| late(patience, setting))?;
        let Some(piece) = piece.transpose()? else { return Ok(gathered.finish()) };
        let too_large = |_| format!("it is larger than {limit} bytes (limits.response_body_bytes)");
        gathered.push(piece).map_err(too_large)?;
        (patience, setting) = (timeouts.idle, "idle_ms");
    }
}
