//! Promise 7: when client and upstream speak the same format, bodies pass untouched but for a closed list of edits.

use serde_json::json;
use tollgate_llm::simulator::Piece;
use tollgate_testkit::{Reply, TestGate, request};

const MODELS: &str = "models:
  gpt: [{ provider: openai, model: gpt-4o }]
  claude: [{ provider: anthropic, model: claude-sonnet-4-5 }]
";

#[tokio::test]
async fn unknown_members_pass_both_ways_in_place() {
    let gate = TestGate::new(MODELS);
    let answer = r#"{"id":"x", "choices":[{"message":{"content":"hi","new":[1.50]}}],  "future":{"b":1,"a":2},"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
    gate.upstream.on("openai", Reply::raw(200, "application/json", answer));
    let mut sent = request("/v1/chat/completions", &json!({}));
    let body = r#"{"z_future" : {"deep":[1e2]} ,"model":"gpt", "messages":[{"role":"user","content":"\u00e9","x":null}]}"#;
    *sent.body_mut() = body.into();
    let got = gate.send(sent).await;
    assert_eq!(got.text(), answer);
    let upstream = gate.upstream.requests().pop().unwrap();
    assert_eq!(String::from_utf8_lossy(&upstream.body), body.replace("\"gpt\"", "\"gpt-4o\""));
    assert_eq!(upstream.uri, "https://api.openai.com/v1/chat/completions");
    assert_eq!(upstream.headers["authorization"], "Bearer sk-openai-secret");
    assert_eq!(upstream.headers["accept-encoding"], "identity");
}

#[tokio::test]
async fn usage_is_asked_for_read_and_taken_out_again() {
    let gate = TestGate::new(MODELS);
    let first = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null,"obfuscation":"xy"}"#;
    let stop = r#"data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#;
    let usage = r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":4}}}"#;
    let stream = |parts: &[&str]| parts.iter().map(|p| format!("{p}\n\n")).collect::<String>();
    let all = stream(&[first, stop, usage, "data: [DONE]"]);
    gate.upstream.on("openai", Reply::stream(vec![Piece::Send(all.clone().into_bytes())]));
    let got = gate.chat_stream("gpt", "x").await;
    let expected = stream(&[
        &first.replace(",\"usage\":null", ""),
        &stop.replace(",\"usage\":null", ""),
        "data: [DONE]",
    ]);
    assert_eq!(got.text(), expected);
    assert_eq!(gate.upstream.last_body()["stream_options"], json!({ "include_usage": true }));
    let closed = gate.closed();
    assert_eq!(
        closed["usage"],
        json!({ "input_tokens": 11, "output_tokens": 7, "cache_read_tokens": 4, "source": "reported" })
    );
    // 7 × 2.50 + 4 × 1.25 + 7 × 10 micro-dollars
    assert_eq!(closed["cost_nano_usd"], 7 * 2_500 + 4 * 1_250 + 7 * 10_000);

    // Whoever asks for usage gets it, untouched.
    gate.upstream.on("openai", Reply::stream(vec![Piece::Send(all.clone().into_bytes())]));
    let body = json!({ "model": "gpt", "stream": true, "stream_options": { "include_usage": true }, "messages": [] });
    assert_eq!(gate.post("/v1/chat/completions", &body).await.text(), all);
}

#[tokio::test]
async fn a_stream_passes_to_the_byte_however_the_network_cuts_it() {
    let stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1,\"cache_read_input_tokens\":100}}}\n\n: comment\n\nevent: future_event\ndata: {\"type\":\"future_event\",\"x\":\"ü\"}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":6}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    for size in [1, 7, 1000] {
        let gate = TestGate::new(MODELS);
        gate.upstream.on(
            "anthropic",
            Reply::stream(stream.as_bytes().chunks(size).map(|c| Piece::Send(c.to_vec())).collect()),
        );
        let mut sent = request(
            "/v1/messages",
            &json!({ "model": "claude", "max_tokens": 5, "stream": true, "messages": [] }),
        );
        sent.headers_mut().insert("anthropic-beta", "something-2026".parse().unwrap());
        sent.headers_mut().insert("cookie", "session=secret".parse().unwrap());
        sent.headers_mut().insert("x-api-key", "the-clients-own".parse().unwrap());
        let got = gate.send(sent).await;
        assert_eq!(got.text(), stream, "pieces of {size}");
        assert_eq!(gate.closed()["usage"]["input_tokens"], 109);
        assert_eq!(gate.closed()["usage"]["output_tokens"], 6);
        // Promise 6: the client's credentials stay here; what means something to the format goes on.
        let upstream = gate.upstream.requests().pop().unwrap();
        assert_eq!(upstream.headers["anthropic-beta"], "something-2026");
        assert_eq!(upstream.headers["x-api-key"], "sk-ant-secret");
        assert!(!upstream.headers.contains_key("cookie"));
    }
}

#[tokio::test]
async fn count_tokens_is_relayed_where_the_upstream_counts_and_estimated_where_it_does_not() {
    let gate = TestGate::new(MODELS);
    gate.upstream.on("anthropic", Reply::json(200, &json!({ "input_tokens": 14 })));
    let body =
        |model: &str| json!({ "model": model, "messages": [{ "role": "user", "content": "count me" }] });
    let got = gate.post("/v1/messages/count_tokens", &body("claude")).await;
    assert_eq!(got.json(), json!({ "input_tokens": 14 }));
    assert_eq!(gate.upstream.requests()[0].uri, "https://api.anthropic.com/v1/messages/count_tokens");
    assert!(gate.closed().get("cost_nano_usd").is_none(), "counting costs nothing");

    let got = gate.post("/messages/count_tokens", &body("gpt")).await;
    assert!(got.json()["input_tokens"].as_u64().unwrap() > 5);
    assert_eq!(got.header("x-tollgate-usage-source"), "estimated");
    assert_eq!(gate.upstream.requests().len(), 1, "nothing was sent");
}

/// Servers that follow an older OpenAI know only `max_tokens`; OpenAI itself refuses it for newer models.
#[tokio::test]
async fn the_longest_answer_is_called_what_the_provider_calls_it() {
    let gate = TestGate::new(
        "models:\n  new: [{ provider: openai }]\n  old: [{ provider: openai_compatible, base_url: 'http://a' }]\n",
    );
    for (model, member) in [("new", "max_completion_tokens"), ("old", "max_tokens")] {
        gate.upstream
            .on("openai", Reply::json(200, &json!({ "choices": [{ "message": { "content": "hi" } }] })));
        let body =
            json!({ "model": model, "max_tokens": 7, "messages": [{ "role": "user", "content": "x" }] });
        assert_eq!(gate.post("/v1/messages", &body).await.status, 200);
        assert_eq!(gate.upstream.last_body()[member], 7);
    }
}
