//! Which path is what.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::{HeaderValue, Method, Response, header};
use tollgate_core::config::identity::RESOURCE_METADATA;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::formats::anthropic_messages::AnthropicMessages;
use tollgate_llm::formats::openai_chat::OpenAiChat;
use tollgate_llm::formats::openai_embeddings::OpenAiEmbeddings;
use tollgate_llm::formats::openai_images::OpenAiImages;
use tollgate_llm::formats::openai_responses::OpenAiResponses;
use tollgate_llm::formats::{Surface, cohere_rerank};
use tollgate_llm::providers::Operation;

use super::{google, managed, resource, site, status};
use crate::answer::AnswerBody;
use crate::gate::Gate;
use crate::inbound::Inbound;
use crate::llm::{InAddress, Llm, deployments, models};
use crate::mcp::{self, McpVoice};
use crate::voice::Voice;
use crate::{pipeline, web};

/// Paths of calls, without the version that some SDKs put before them.
const CALLS: &[(&str, &dyn Surface, Operation)] = &[
    ("/chat/completions", &OpenAiChat, Operation::Chat),
    ("/responses", &OpenAiResponses, Operation::Chat),
    ("/messages", &AnthropicMessages, Operation::Chat),
    ("/messages/count_tokens", &AnthropicMessages, Operation::CountTokens),
    ("/embeddings", &OpenAiEmbeddings, Operation::Embed),
    ("/images/generations", &OpenAiImages, Operation::MakeImages),
    ("/images/edits", &OpenAiImages, Operation::EditImages),
    ("/rerank", &cohere_rerank::V1, Operation::Rerank),
    // Cohere's versions differ in what they can say.
    ("/v2/rerank", &cohere_rerank::V2, Operation::Rerank),
];

/// Versions that SDKs put before a path.
const VERSIONS: [&str; 2] = ["/v1", "/v1beta"];

/// Answers one request.
pub async fn handle(gate: &Arc<Gate>, inbound: Inbound) -> Response<AnswerBody> {
    // It is for one host, or nobody can say for which (RFC 9112 §3.2).
    if inbound.head.headers.get_all(header::HOST).iter().nth(1).is_some() {
        let fault = Fault::new(FaultClass::Invalid, "there are two `Host` headers");
        return pipeline::refuse_stranger(gate, &fault, &models::surface(&inbound), inbound.peer);
    }
    // A host of its own: nothing of what follows is there.
    if let Some(application) = web::application_of(&gate.runtime().snapshot, &inbound) {
        return Box::pin(web::handle(gate, &application, inbound)).await;
    }
    let path = inbound.head.uri.path().to_owned();
    let bare = bare(&path);
    let reading = inbound.head.method == Method::GET || inbound.head.method == Method::HEAD;
    if let Some(managed) = gate.parts.managed.as_ref().filter(|managed| managed.takes(&path)) {
        return managed::answer(gate, &**managed, inbound).await;
    }
    // Calls are boxed: what is moved with a request until it is known what it is stays small.
    if let Some(address) = tools_at(&path) {
        let address = decoded(address);
        return guarded(Box::pin(mcp::handle(gate, inbound, &address)), &McpVoice::default()).await;
    }
    if let Some(of) = path.strip_prefix(RESOURCE_METADATA)
        && reading
        && let Some(answer) = resource::metadata(gate, of)
    {
        return answer;
    }
    if let Some(llm) = call_at(bare, inbound.head.uri.query()) {
        if inbound.head.method != Method::POST {
            return wrong_method(gate, &inbound, "POST", &llm);
        }
        return guarded(Box::pin(pipeline::run(gate, &llm, inbound)), &llm).await;
    }
    // After calls, whose paths none of these has: they do not wait for it to be looked at.
    if let Some(site) = &gate.parts.site
        && site.takes(&gate.runtime().snapshot, &path)
    {
        return Box::pin(site::answer(gate, &**site, inbound)).await;
    }
    let model = bare.strip_prefix("/models").map(|rest| rest.strip_prefix('/').unwrap_or(rest));
    match (bare, model) {
        ("/models", _) if reading => models::answer(gate, &inbound, None).await,
        (_, Some(id)) if reading && bare.starts_with("/models/") && !id.is_empty() => {
            models::answer(gate, &inbound, Some(&decoded(id))).await
        }
        ("/model/info", _) if reading => deployments::info(gate, &inbound).await,
        _ if reading => {
            let answered = status::answer(gate, &inbound, &path).await;
            answered.unwrap_or_else(|| no_such_path(gate, &inbound, &path))
        }
        ("/models", _) => wrong_method(gate, &inbound, "GET", &models::surface(&inbound)),
        _ => no_such_path(gate, &inbound, &path),
    }
}

/// The path without its version.
fn bare(path: &str) -> &str {
    let rest =
        VERSIONS.iter().find_map(|version| path.strip_prefix(version).filter(|rest| rest.starts_with('/')));
    rest.unwrap_or(path)
}

/// The call that a path stands for.
fn call_at(bare: &str, query: Option<&str>) -> Option<Llm> {
    let known = CALLS.iter().find(|(known, ..)| *known == bare);
    let (surface, operation, address) = match known {
        Some((_, surface, operation)) => (*surface, *operation, InAddress::default()),
        None => google::call_at(bare, query)?,
    };
    Some(Llm { surface, operation, address })
}

/// What stands behind `/mcp/`, where the path is one at which clients find tools.
fn tools_at(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/mcp")?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/') }
}

/// Runs a call. A panic is a defect of the gate: the ticket records it, and the client is told.
fn guarded<'a>(
    call: impl Future<Output = Response<AnswerBody>> + Send + 'a,
    voice: &'a dyn Voice,
) -> impl Future<Output = Response<AnswerBody>> + Send + 'a {
    AssertUnwindSafe(call).catch_unwind().map(move |answered| {
        answered.unwrap_or_else(|_| {
            let fault = Fault::new(
                FaultClass::Internal,
                "the gate failed while it handled the call; its record says so",
            );
            crate::reject::stranger(&fault, voice)
        })
    })
}

fn wrong_method(
    gate: &Gate,
    inbound: &Inbound,
    allowed: &'static str,
    voice: &dyn Voice,
) -> Response<AnswerBody> {
    let fault = Fault::new(FaultClass::MethodNotAllowed, format!("this path takes {allowed}"));
    let mut response = pipeline::refuse_stranger(gate, &fault, voice, inbound.peer);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

fn no_such_path(gate: &Gate, inbound: &Inbound, path: &str) -> Response<AnswerBody> {
    let voice = models::surface(inbound);
    // Not what may be a query that was encoded: it may hold a key.
    let path = path.split("%3F").next().unwrap_or_default().split("%3f").next().unwrap_or_default();
    let shown: String = path.chars().take(100).collect();
    let known: Vec<&str> =
        CALLS.iter().map(|(path, ..)| *path).chain(["/models", "/models/MODEL:generateContent"]).collect();
    let message = format!(
        "there is nothing at {} {shown}; calls go to {} (with or without /v1)",
        inbound.head.method,
        known.join(", ")
    );
    pipeline::refuse_stranger(gate, &Fault::new(FaultClass::RouteNotFound, message), &voice, inbound.peer)
}

/// `text` with its percent-encoded bytes (RFC 3986 §2.1) decoded: SDKs encode the slash in a model's name.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| *first == b'%').and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_once() {
        assert_eq!(decoded("openai%2Fgpt-4o"), "openai/gpt-4o");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%25%2"), "%%2");
    }
}
