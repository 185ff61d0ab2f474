//! An upstream that answers at once: a chat completion, or a stream of 20 chunks where one is asked for; and at `/mcp` a
//! tool server with one tool.

use std::convert::Infallible;

use anyhow::Result;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"stub","choices":[{"index":0,"message":{"role":"assistant","content":"The quick brown fox jumps over the lazy dog.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":10,"total_tokens":22}}"#;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Serves until killed.
pub(crate) async fn serve(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let builder = Builder::new(TokioExecutor::new());
            // A connection that breaks is the load generator's end.
            let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let tools = request.uri().path() == "/mcp";
    let body = request.into_body().collect().await?.to_bytes();
    if tools {
        return Ok(tool_server(&body));
    }
    let streamed = body.windows(13).any(|w| w == b"\"stream\":true");
    let (content_type, body) = if streamed {
        ("text/event-stream", chunks())
    } else {
        ("application/json", Full::new(Bytes::from_static(ANSWER.as_bytes())).boxed_unsync())
    };
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static(content_type));
    Ok(response)
}

/// Streamable HTTP of 2025-11-25, as little of it as a client needs.
fn tool_server(body: &[u8]) -> Response<Body> {
    let asked: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let result = match asked["method"].as_str() {
        Some("initialize") => {
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"stub","version":"1"}}"#
        }
        Some("tools/list") => {
            r#"{"tools":[{"name":"echo","description":"Says what it is told.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}}]}"#
        }
        Some("tools/call") => r#"{"content":[{"type":"text","text":"hello"}]}"#,
        Some("ping") => "{}",
        _ => "",
    };
    let text = match (result, &asked["id"]) {
        ("", _) => String::new(),
        (result, id) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    if result.is_empty() {
        *response.status_mut() = if body.is_empty() { 405 } else { 202 }.try_into().unwrap_or_default();
        return response;
    }
    let headers = response.headers_mut();
    headers.insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    if asked["method"] == "initialize" {
        headers.insert("mcp-session-id", hyper::header::HeaderValue::from_static("stub"));
    }
    response
}

/// Twenty chunks, the usage and the end, each a frame of its own.
fn chunks() -> Body {
    let start = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"stub","choices":[{"index":0,"delta":"#;
    let mut events: Vec<String> = (0..20).map(|n| format!(r#"data: {start}{{"content":" word{n}"}},"logprobs":null,"finish_reason":null}}],"usage":null}}"#)).collect();
    events.push(format!(r#"data: {start}{{}},"logprobs":null,"finish_reason":"stop"}}],"usage":null}}"#));
    events.push(r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"stub","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":20,"total_tokens":32}}"#.to_owned());
    events.push("data: [DONE]".to_owned());
    let frames = events.into_iter().map(|event| Ok(Frame::data(Bytes::from(event + "\n\n"))));
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}
