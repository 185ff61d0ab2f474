//! Which path is what.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::{HeaderValue, Method, Response, header};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::formats::Surface;
use tollgate_llm::formats::anthropic_messages::AnthropicMessages;
use tollgate_llm::formats::openai_chat::OpenAiChat;
use tollgate_llm::formats::openai_embeddings::OpenAiEmbeddings;
use tollgate_llm::formats::openai_images::OpenAiImages;
use tollgate_llm::providers::Operation;

use super::status;
use crate::answer::AnswerBody;
use crate::gate::Gate;
use crate::inbound::Inbound;
use crate::llm::{Llm, models};
use crate::pipeline;

/// Paths of calls, without the version that some SDKs put before them.
const CALLS: &[(&str, Llm)] = &[
    ("/chat/completions", Llm { surface: &OpenAiChat, operation: Operation::Chat }),
    ("/messages", Llm { surface: &AnthropicMessages, operation: Operation::Chat }),
    ("/messages/count_tokens", Llm { surface: &AnthropicMessages, operation: Operation::CountTokens }),
    ("/embeddings", Llm { surface: &OpenAiEmbeddings, operation: Operation::Embed }),
    ("/images/generations", Llm { surface: &OpenAiImages, operation: Operation::MakeImages }),
    ("/images/edits", Llm { surface: &OpenAiImages, operation: Operation::EditImages }),
];

/// Answers one request.
pub async fn handle(gate: &Arc<Gate>, inbound: Inbound) -> Response<AnswerBody> {
    let path = inbound.head.uri.path().to_owned();
    let bare = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(&path);
    if let Some((_, llm)) = CALLS.iter().find(|(known, _)| *known == bare) {
        if inbound.head.method != Method::POST {
            return wrong_method(gate, "POST", llm.surface);
        }
        return call(gate, llm, inbound).await;
    }
    let reading = inbound.head.method == Method::GET || inbound.head.method == Method::HEAD;
    let model = bare.strip_prefix("/models").map(|rest| rest.strip_prefix('/').unwrap_or(rest));
    match (bare, model) {
        ("/models", _) if reading => models::answer(gate, &inbound, None),
        (_, Some(id)) if reading && bare.starts_with("/models/") && !id.is_empty() => {
            models::answer(gate, &inbound, Some(&decoded(id)))
        }
        _ if reading => {
            status::answer(gate, &inbound, &path).unwrap_or_else(|| no_such_path(gate, &inbound, &path))
        }
        ("/models", _) => wrong_method(gate, "GET", &OpenAiChat),
        _ => no_such_path(gate, &inbound, &path),
    }
}

/// Runs a call. A panic is a defect of the gate: the ticket records it, and the client is told.
async fn call(gate: &Arc<Gate>, llm: &Llm, inbound: Inbound) -> Response<AnswerBody> {
    match AssertUnwindSafe(pipeline::run(gate, llm, inbound)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            let fault = Fault::new(
                FaultClass::Internal,
                "the gate failed while it handled the call; its record says so",
            );
            crate::reject::stranger(&fault, llm.surface)
        }
    }
}

fn wrong_method(gate: &Gate, allowed: &'static str, format: &dyn Surface) -> Response<AnswerBody> {
    let fault = Fault::new(FaultClass::MethodNotAllowed, format!("this path takes {allowed}"));
    let mut response = pipeline::refuse_stranger(gate, &fault, format);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

fn no_such_path(gate: &Gate, inbound: &Inbound, path: &str) -> Response<AnswerBody> {
    let anthropic = inbound.head.headers.contains_key("anthropic-version");
    let format: &dyn Surface = if anthropic { &AnthropicMessages } else { &OpenAiChat };
    let shown: String = path.chars().take(100).collect();
    let known: Vec<&str> = CALLS.iter().map(|(path, _)| *path).chain(["/models"]).collect();
    let message = format!(
        "there is nothing at {} {shown}; calls go to {} (with or without /v1)",
        inbound.head.method,
        known.join(", ")
    );
    pipeline::refuse_stranger(gate, &Fault::new(FaultClass::RouteNotFound, message), format)
}

/// `text` with its percent-encoded bytes (RFC 3986 §2.1) decoded: SDKs encode the slash in a model's name.
fn decoded(text: &str) -> String {
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
