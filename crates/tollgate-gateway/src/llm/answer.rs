//! Phases 8 and 9 for an LLM call.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use tollgate_core::price::Cost;
use tollgate_core::record::Outcome;
use tollgate_core::usage::{Usage, UsageSource};
use tollgate_llm::chat::ToolCall;
use tollgate_llm::formats::AnswerFor;

use crate::answer::AnswerBody;
use crate::reject;
use crate::relay::{Relay, Stream};
use crate::ticket::Ticket;
use crate::voice::InFormat;

/// What an upstream answered, in the client's format.
#[derive(Debug)]
pub enum Answer {
    /// All of it.
    Whole {
        /// The upstream's headers that mean something to the client.
        headers: HeaderMap,
        /// The body.
        body: Bytes,
        /// What it used; `None` where the operation costs nothing.
        usage: Option<Usage>,
        /// Set where the answer is a count, and says who counted.
        source: Option<UsageSource>,
        /// The tool calls that the model chose.
        chosen: Vec<ToolCall>,
    },
    /// Its beginning; the rest comes.
    Stream {
        /// The upstream's headers that mean something to the client.
        headers: HeaderMap,
        /// The rest.
        stream: Box<Stream>,
        /// How the client wants it.
        answer: AnswerFor,
    },
}

/// Hands the answer to the client.
pub(super) async fn relay(answer: Answer, mut ticket: Ticket, surface: InFormat) -> Response<AnswerBody> {
    ticket.status(200);
    match answer {
        Answer::Whole { headers, body, usage, source, chosen } => {
            if let Some(usage) = usage {
                ticket.charge(usage);
            }
            ticket.attempt_succeeded();
            ticket.first_byte();
            ticket.sending(&body);
            ticket.model_chose(chosen.iter());
            let mut response = respond(headers, &ticket, "application/json", AnswerBody::whole(body));
            tell_usage(&ticket, source, response.headers_mut());
            // An answer that cannot be recorded is not handed over.
            match ticket.settle(Outcome::Ok, None).await {
                Ok(()) => response,
                Err(fault) => reject::stranger(&fault, &surface),
            }
        }
        Answer::Stream { headers, stream, answer } => {
            let mut response =
                respond(headers, &ticket, surface.0.stream_content_type(&answer), AnswerBody::Whole(None));
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            *response.body_mut() =
                AnswerBody::Relayed(Box::new(Relay::new(*stream, ticket, surface.0, answer)));
            response
        }
    }
}

fn respond(
    headers: HeaderMap,
    ticket: &Ticket,
    content_type: &'static str,
    body: AnswerBody,
) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reject::identify(ticket, response.headers_mut());
    response
}

/// Cost, tokens and overhead stand in headers where they are known before the body.
fn tell_usage(ticket: &Ticket, counted: Option<UsageSource>, headers: &mut HeaderMap) {
    let micros = u64::try_from(ticket.overhead().as_micros()).unwrap_or(u64::MAX);
    headers.insert(HeaderName::from_static("x-tollgate-overhead-us"), HeaderValue::from(micros));
    let source = match (counted, ticket.total()) {
        (Some(source), _) => source,
        (None, Some((usage, cost))) => {
            headers.insert(
                HeaderName::from_static("x-tollgate-input-tokens"),
                HeaderValue::from(usage.input_tokens),
            );
            headers.insert(
                HeaderName::from_static("x-tollgate-output-tokens"),
                HeaderValue::from(usage.output_tokens),
            );
            let cost = match cost {
                Cost::Known(_) => {
                    HeaderValue::from_str(&cost.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
                }
                Cost::Unknown => HeaderValue::from_static("unknown"),
            };
            headers.insert(HeaderName::from_static("x-tollgate-cost-usd"), cost);
            usage.source
        }
        (None, None) => return,
    };
    let source = match source {
        UsageSource::Reported => "reported",
        UsageSource::Estimated => "estimated",
    };
    headers.insert(HeaderName::from_static("x-tollgate-usage-source"), HeaderValue::from_static(source));
}
