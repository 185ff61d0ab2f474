//! Amazon Bedrock and Vertex AI: a client's call reaches them at the right address, signed or with a token, and comes
//! back translated.

use serde_json::{Value, json};
use tollgate_llm::simulator::Piece;
use tollgate_testkit::{Reply, TestGate, frame};

const BEDROCK: &str = "models:
  claude:
    - provider: bedrock
      model: us.anthropic.claude-sonnet-4-5-20250929-v1:0
      aws: { region: us-east-1, access_key_id: AKIDEXAMPLE, secret_access_key: very-secret }
routing: { retries: 0 }
";

const PATH: &str =
    "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0";

const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

fn usage() -> Value {
    json!({ "inputTokens": 10, "outputTokens": 4, "totalTokens": 114, "cacheReadInputTokens": 100 })
}

#[tokio::test]
async fn a_chat_is_signed_and_comes_back_with_its_usage() {
    let gate = TestGate::new(BEDROCK);
    let answer = json!({
        "output": { "message": { "role": "assistant", "content": [{ "text": "Hello." }] } },
        "stopReason": "end_turn", "usage": usage(), "metrics": { "latencyMs": 5 },
    });
    gate.upstream.on("bedrock", Reply::json(200, &answer).header("x-amzn-requestid", "req-1"));
    let got = gate.chat("claude", "Hi").await;
    assert_eq!(got.status, 200, "{}", got.text());
    let body = got.json();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello.");
    assert_eq!(body["usage"]["prompt_tokens"], 110);
    assert_eq!(body["model"], "us.anthropic.claude-sonnet-4-5-20250929-v1:0");
    assert_eq!(body["id"], got.header("x-tollgate-call-id"), "the upstream names no id");

    let sent = gate.upstream.requests().pop().unwrap();
    assert_eq!(sent.uri.to_string(), format!("{PATH}/converse"));
    assert_eq!(
        gate.upstream.last_body(),
        json!({ "messages": [{ "role": "user", "content": [{ "text": "Hi" }] }] })
    );
    let authorization = sent.headers["authorization"].to_str().unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    assert!(authorization.contains("/us-east-1/bedrock/aws4_request"), "{authorization}");

    let closed = gate.closed();
    assert_eq!(
        closed["usage"],
        json!({ "input_tokens": 110, "output_tokens": 4, "cache_read_tokens": 100, "source": "reported" })
    );
    assert!(closed["cost_nano_usd"].as_u64().unwrap() > 0, "the catalog knows its price");
}

#[tokio::test]
async fn a_stream_of_frames_becomes_chunks_however_the_network_cuts_it() {
    let frames = [
        frame("messageStart", br#"{"role":"assistant"}"#),
        frame("contentBlockDelta", br#"{"contentBlockIndex":0,"delta":{"text":"Hello"}}"#),
        frame("contentBlockDelta", br#"{"contentBlockIndex":0,"delta":{"text":"."}}"#),
        frame("contentBlockStop", br#"{"contentBlockIndex":0}"#),
        frame("messageStop", br#"{"stopReason":"end_turn"}"#),
        frame("metadata", json!({ "usage": usage(), "metrics": { "latencyMs": 5 } }).to_string().as_bytes()),
    ]
    .concat();
    for size in [1, 50, 10_000] {
        let gate = TestGate::new(BEDROCK);
        let pieces = frames.chunks(size).map(|piece| Piece::Send(piece.to_vec())).collect();
        gate.upstream.on("bedrock", event_stream(pieces));
        let got = gate.chat_stream("claude", "Hi").await;
        assert!(got.text().contains(r#""content":"Hello""#), "{}", got.text());
        assert!(got.text().ends_with("data: [DONE]\n\n"), "{}", got.text());
        assert_eq!(gate.upstream.requests()[0].uri.to_string(), format!("{PATH}/converse-stream"));
        let closed = gate.closed();
        assert_eq!((&closed["usage"]["input_tokens"], &closed["outcome"]), (&json!(110), &json!("ok")));
    }
}

fn event_stream(pieces: Vec<Piece>) -> Reply {
    let mut reply = Reply::stream(pieces);
    if let Reply::Answer { headers, .. } = &mut reply {
        *headers = vec![("content-type", EVENT_STREAM.to_owned())];
    }
    reply
}

#[tokio::test]
async fn what_is_wrong_with_a_stream_is_told_as_what_it_is() {
    let slow = frame("exception:throttlingException", br#"{"message":"Too many requests"}"#);
    let mut damaged = frame("messageStart", br#"{"role":"assistant"}"#);
    damaged[20] ^= 1;
    let html = Reply::stream(vec![Piece::Send(b"data: {}\n\n".to_vec())]);
    for (reply, status, fault) in [
        (event_stream(vec![Piece::Send(slow)]), 429, "rate_limited"),
        (event_stream(vec![Piece::Send(damaged)]), 502, "bad_upstream_response"),
        (html, 502, "bad_upstream_response"),
        (
            Reply::json(400, &json!({ "message": "Input is too long for requested model." })),
            400,
            "context_window",
        ),
    ] {
        let gate = TestGate::new(BEDROCK);
        gate.upstream.on("bedrock", reply);
        let got = gate.chat_stream("claude", "Hi").await;
        assert_eq!(
            (got.status, &got.json()["error"]["tollgate"]["fault"]),
            (status, &json!(fault)),
            "{}",
            got.text()
        );
    }
}

#[tokio::test]
async fn a_bedrock_key_is_a_bearer_token() {
    let gate = TestGate::new(
        "models:\n  m: [{ provider: bedrock, model: amazon.nova-lite-v1:0, api_key: abc, aws: { region: eu-west-1 } }]\n",
    );
    gate.upstream.on("bedrock", Reply::json(200, &json!({ "output": { "message": { "content": [] } } })));
    assert_eq!(gate.chat("m", "Hi").await.status, 200);
    assert_eq!(gate.upstream.requests()[0].headers["authorization"], "Bearer abc");
}

const VERTEX: &str = "models:
  claude:
    - provider: vertex_ai
      model: claude-sonnet-4-5@20250929
      api_key: ya29.token
      google: { project: my-project, location: us-east5 }
  gemini:
    - provider: vertex_ai
      model: gemini-2.5-flash
      api_key: ya29.token
      google: { project: my-project, location: global }
";

#[tokio::test]
async fn claude_at_vertex_is_named_by_the_address_and_not_by_the_body() {
    let gate = TestGate::new(VERTEX);
    let base = "https://us-east5-aiplatform.googleapis.com/v1/projects/my-project/locations/us-east5";
    let models = format!("{base}/publishers/anthropic/models");
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": [{ "type": "text", "text": "Hello." }], "stop_reason": "end_turn",
        "usage": { "input_tokens": 3, "output_tokens": 2 },
    });
    for _ in 0..2 {
        gate.upstream.on("vertex_ai/claude", Reply::json(200, &answer));
    }
    // Translated from OpenAI's format.
    let got = gate.chat("claude", "Hi").await;
    assert_eq!(got.json()["choices"][0]["message"]["content"], "Hello.", "{}", got.text());
    let body = gate.upstream.last_body();
    assert_eq!((&body["anthropic_version"], body.get("model")), (&json!("vertex-2023-10-16"), None));
    let sent = gate.upstream.requests().pop().unwrap();
    assert_eq!(sent.uri.to_string(), format!("{models}/claude-sonnet-4-5@20250929:rawPredict"));
    assert_eq!(sent.headers["authorization"], "Bearer ya29.token");

    // In Anthropic's own, where the rest of the body is not touched.
    let asked = json!({ "model": "claude", "max_tokens": 5, "future": { "b": 1 }, "messages": [] });
    let got = gate.post("/v1/messages", &asked).await;
    assert_eq!(got.json(), answer);
    let expected = json!({ "max_tokens": 5, "future": { "b": 1 }, "messages": [], "anthropic_version": "vertex-2023-10-16" });
    assert_eq!(gate.upstream.last_body(), expected);

    // Tokens are counted at one address for all models, so there the body names it.
    gate.upstream.on("vertex_ai/claude", Reply::json(200, &json!({ "input_tokens": 7 })));
    let asked = json!({ "model": "claude", "messages": [] });
    assert_eq!(gate.post("/v1/messages/count_tokens", &asked).await.json(), json!({ "input_tokens": 7 }));
    let sent = gate.upstream.requests().pop().unwrap();
    assert_eq!(sent.uri.to_string(), format!("{models}/count-tokens:rawPredict"));
    assert_eq!(gate.upstream.last_body()["model"], "claude-sonnet-4-5@20250929");
}

#[tokio::test]
async fn gemini_at_vertex_speaks_googles_format() {
    let gate = TestGate::new(VERTEX);
    let answer = json!({
        "candidates": [{ "content": { "role": "model", "parts": [{ "text": "Hello." }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5 },
    });
    gate.upstream.on("vertex_ai/gemini", Reply::json(200, &answer));
    let got = gate.chat("gemini", "Hi").await;
    assert_eq!(got.json()["choices"][0]["message"]["content"], "Hello.", "{}", got.text());
    let sent = gate.upstream.requests().pop().unwrap();
    let base = "https://aiplatform.googleapis.com/v1/projects/my-project/locations/global";
    assert_eq!(
        sent.uri.to_string(),
        format!("{base}/publishers/google/models/gemini-2.5-flash:generateContent")
    );
    assert!(gate.closed()["cost_nano_usd"].as_u64().unwrap() > 0, "the catalog knows its price");
}
