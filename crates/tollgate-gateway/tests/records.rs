//! Promise 3 and what a record says: nothing leaves that is not on record, and calls are tied by their cause.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tollgate_llm::simulator::Piece;
use tollgate_testkit::{Reply, TestGate, chat, request};

const MODELS: &str = "models:
  sim: [{ provider: simulator, price: { input_usd_per_mtok: 10, output_usd_per_mtok: 30 } }]
  gpt: [{ provider: openai, model: gpt-4o }]
routing: { retries: 1, backoff_ms: 0 }
";

const PATH: &str = "/v1/chat/completions";

fn tool(name: &str, description: &str) -> Value {
    json!({ "type": "function", "function": { "name": name, "description": description, "parameters": { "type": "object" } } })
}

fn asking(messages: &Value, tools: &[Value], stream: bool) -> Value {
    json!({ "model": "sim", "stream": stream, "messages": messages, "tools": tools })
}

/// A prompt that carries the result of the call `id`.
fn with_result(id: &str) -> Value {
    json!([
        { "role": "user", "content": "Please call look" },
        { "role": "assistant", "content": null, "tool_calls": [{ "id": id, "type": "function", "function": { "name": "look", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": id, "content": "a secret" },
    ])
}

#[tokio::test]
async fn the_next_prompt_belongs_to_the_call_that_chose_the_tool() {
    for stream in [false, true] {
        let gate = TestGate::new(MODELS);
        let user = json!([{ "role": "user", "content": "Please call look" }]);
        let first = gate.post(PATH, &asking(&user, &[tool("look", "Looks.")], stream)).await;
        let chosen = gate.closed()["chosen"].clone();
        assert_eq!((chosen.as_array().unwrap().len(), &chosen[0]["name"]), (1, &json!("look")), "{stream}");
        let id = chosen[0]["id"].as_str().unwrap();
        gate.post(PATH, &asking(&with_result(id), &[tool("look", "Looks.")], stream)).await;
        gate.post(PATH, &asking(&with_result("call_of_somebody_else"), &[], stream)).await;
        let opened = gate.journal.of_kind("opened");
        assert_eq!(opened[1]["trace"]["trace_id"], opened[0]["trace"]["trace_id"]);
        assert_eq!(
            opened[1]["trace"]["cause"],
            json!({ "by": "tool_call", "call_id": first.header("x-tollgate-call-id"), "tool_call_id": id })
        );
        assert_eq!(opened[1]["results"], json!([id]));
        assert!(opened[2]["trace"].get("cause").is_none());
        assert_ne!(opened[2]["trace"]["trace_id"], opened[0]["trace"]["trace_id"]);
    }
}

/// Tool description drift, seen from the record alone.
#[tokio::test]
async fn another_description_of_a_tool_is_another_digest() {
    let gate = TestGate::new(MODELS);
    let user = json!([{ "role": "user", "content": "hi" }]);
    for description in ["Looks.", "Looks.", "Looks, and deletes."] {
        gate.post(PATH, &asking(&user, &[tool("look", description)], false)).await;
    }
    let opened = gate.journal.of_kind("opened");
    let digest = |at: usize| opened[at]["tools"]["digest"].clone();
    assert_eq!((digest(0), &opened[0]["tools"]["names"]), (digest(1), &json!(["look"])));
    assert_ne!(digest(0), digest(2));
    assert_eq!(opened[0]["request_digest"], opened[1]["request_digest"]);
    assert_ne!(opened[0]["request_digest"], opened[2]["request_digest"]);
    assert_eq!(opened[0]["effect"], "read");
    assert!(opened[0]["reservation"]["cost_nano_usd"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn an_attempt_says_what_it_used_and_whether_something_happened() {
    let gate = TestGate::new(MODELS);
    for _ in 0..2 {
        gate.upstream.on("openai/gpt-4o", Reply::json(429, &json!({ "error": { "message": "slow down" } })));
    }
    let answer = gate.chat("gpt", "x").await;
    let closed = gate.closed();
    assert_eq!(closed["fault"]["side_effect"], "none");
    assert_eq!(answer.json()["error"]["tollgate"]["side_effect"], "none");
    let gate = TestGate::new(MODELS);
    gate.upstream.on("openai/gpt-4o", Reply::raw(200, "application/json", "not JSON"));
    gate.upstream.on("openai/gpt-4o", Reply::Broken);
    gate.chat("gpt", "x").await;
    assert_eq!(gate.closed()["fault"]["side_effect"], "certain", "the first attempt was answered with 200");
    let gate = TestGate::new(MODELS);
    gate.upstream.on("openai/gpt-4o", Reply::Broken);
    gate.upstream.on("openai/gpt-4o", Reply::NoConnection);
    gate.chat("gpt", "x").await;
    assert_eq!(gate.closed()["fault"]["side_effect"], "possible");
    let gate = TestGate::new(MODELS);
    gate.chat("sim", "x").await;
    let closed = gate.closed();
    assert_eq!(closed["attempts"][0]["cost_nano_usd"], closed["cost_nano_usd"]);
}

/// Promise 3: an answer whose end cannot be recorded is not handed over as if it were complete.
#[tokio::test]
async fn what_cannot_be_closed_does_not_end_well() {
    let gate = TestGate::new(MODELS);
    let response = gate.begin(request(PATH, &chat("sim", "hello", true))).await;
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert!(first.is_data());
    gate.journal.set_broken(true);
    let (mut text, mut broke) = (String::new(), false);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => text.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap_or_default())),
            Err(_) => broke = true,
        }
    }
    assert!(broke && !text.contains("[DONE]"), "{text}");
    let whole = gate.chat("sim", "hello").await;
    assert_eq!((whole.status, &whole.json()["error"]["tollgate"]["fault"]), (503, &json!("unrecordable")));
}

/// Promise 3, with `sync: every`: nothing goes out and nothing comes back before its entry is on the disk.
#[tokio::test(start_paused = true)]
async fn calls_wait_until_their_entries_are_safe() {
    let gate = TestGate::new(MODELS);
    gate.journal.safe_to(0);
    gate.upstream.on("openai/gpt-4o", Reply::stream(vec![Piece::Send(
        b"data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n".to_vec(),
    )]));
    let begin = gate.begin(request(PATH, &chat("gpt", "hello", true)));
    let mut begin = std::pin::pin!(begin);
    let soon = Duration::from_secs(5);
    assert!(tokio::time::timeout(soon, &mut begin).await.is_err());
    assert_eq!((gate.upstream.requests().len(), gate.journal.of_kind("opened").len()), (0, 1));
    gate.journal.safe_to(1);
    let mut body = begin.await.into_body();
    let mut text = String::new();
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            text.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap_or_default()));
        }
    };
    let mut rest = std::pin::pin!(rest);
    assert!(tokio::time::timeout(soon, &mut rest).await.is_err());
    assert_eq!(gate.journal.of_kind("closed").len(), 1, "it is settled, and its last piece waits");
    gate.journal.safe_to(2);
    rest.await;
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn content_is_kept_as_the_configuration_says() {
    let kept = |bodies: &str| {
        format!("{MODELS}capture: {{ bodies: {bodies}, inline_bytes: 100000, models: {{ gpt: none }} }}\n")
    };
    let frames = |entry: &Value| entry["capture"]["frames"].as_array().cloned().unwrap_or_default();
    let gate = TestGate::new(&kept("full"));
    gate.chat_stream("sim", "mail ann@mail.example.org").await;
    let (opened, closed) = (gate.journal.of_kind("opened").remove(0), gate.closed());
    assert!(frames(&opened)[0]["text"].as_str().unwrap().contains("ann@mail"));
    let directions: Vec<_> =
        frames(&closed).iter().map(|f| f["direction"].as_str().unwrap().to_owned()).collect();
    assert_eq!(directions[0], "to_upstream");
    assert!(directions.iter().filter(|d| *d == "from_upstream").count() > 3, "every piece: {directions:?}");
    assert_eq!(directions.last().map(String::as_str), Some("to_client"));
    let gate = TestGate::new(&kept("redacted"));
    gate.chat_stream("sim", "mail ann@mail.example.org").await;
    let entries = json!(gate.journal.entries()).to_string();
    assert!(!entries.contains("ann@mail") && entries.contains("[email]"), "{entries}");
    let gate = TestGate::new(&kept("none"));
    gate.chat("sim", "mail ann@mail.example.org").await;
    assert!(!json!(gate.journal.entries()).to_string().contains("mail"));
    let gate = TestGate::new(&kept("full").replace("inline_bytes: 100000", "inline_bytes: 0"));
    gate.chat("sim", "mail ann@mail.example.org").await;
    let opened = gate.journal.of_kind("opened").remove(0);
    let aside = gate.journal.aside(opened["capture"]["file"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8(aside).unwrap().contains("ann@mail"));
    let gate = TestGate::new(&kept("full").replace("inline_bytes", "call_bytes: 10, inline_bytes"));
    gate.chat("sim", "a long prompt").await;
    assert!(gate.journal.of_kind("opened")[0]["capture"]["left_out_bytes"].as_u64().unwrap() > 10);
}

/// The caller's own users and tags are on record, bounded, whatever dialect says them.
#[tokio::test]
async fn a_call_says_for_whom_it_is_made_and_what_it_is_counted_under() {
    let gate = TestGate::new(MODELS);
    let hello = json!([{ "role": "user", "content": "hi" }]);
    let said = |more: Value| {
        let mut body = json!({ "model": "sim", "max_tokens": 9, "messages": hello, "input": "hi" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let last = |kind: &str| gate.journal.of_kind(kind).pop().unwrap();
    let end_user = async |path: &str, more: Value| {
        let answer = gate.post(path, &said(more)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(last("opened")["end_user"], last("closed")["end_user"]);
        last("opened")["end_user"].clone()
    };
    assert_eq!(end_user(PATH, json!({ "user": "ann" })).await, "ann");
    assert_eq!(end_user(PATH, json!({ "safety_identifier": "a\u{7}nn" })).await, "ann");
    assert_eq!(end_user(PATH, json!({ "user": "x".repeat(1_000) })).await, "x".repeat(128));
    assert_eq!(end_user(PATH, json!({})).await, Value::Null);
    assert_eq!(end_user("/v1/messages", json!({ "metadata": { "user_id": "bob" } })).await, "bob");
    assert_eq!(end_user("/v1/responses", json!({ "user": "eve" })).await, "eve");
    let mut tagged = request(PATH, &chat("sim", "hi", false));
    tagged.headers_mut().insert("x-tollgate-tags", "batch, team:red,batch".parse().unwrap());
    tagged.headers_mut().insert("x-litellm-tags", "night".parse().unwrap());
    gate.send(tagged).await;
    let tags = json!(["batch", "team:red", "night"]);
    assert_eq!((&last("opened")["tags"], &last("closed")["tags"]), (&tags, &tags));
}
