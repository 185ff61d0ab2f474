//! Phase 8: streams that fail, that are left, that go slowly. Time is paused.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::Instant;
use tollgate_llm::simulator::Piece;
use tollgate_testkit::{Reply, TestGate, chat, request};

const MODELS: &str = "models:
  gpt: [{ provider: openai, model: gpt-4o, order: 1 }, { provider: openai_compatible, base_url: 'http://spare', order: 2 }]
  claude: [{ provider: anthropic, model: claude-sonnet-4-5 }]
routing: { retries: 1 }
timeouts: { first_byte_ms: 5000, idle_ms: 2000, total_ms: 60000 }
";

fn chunk(text: &str) -> Piece {
    Piece::Send(format!("data: {}\n\n", json!({ "id": "c", "model": "m", "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }] })).into_bytes())
}

fn whole() -> Reply {
    Reply::openai_stream(&[
        json!({ "id": "s", "model": "m", "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "spare" } }] }),
        json!({ "id": "s", "model": "m", "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }),
    ])
}

fn send(text: &str) -> Piece {
    Piece::Send(text.as_bytes().to_vec())
}

fn error_event() -> Piece {
    send("data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"code\":null}}\n\n")
}

#[tokio::test(start_paused = true)]
async fn before_its_first_byte_a_failing_stream_falls_over_to_the_next_deployment() {
    let failures = [
        Reply::stream(vec![]),
        Reply::stream(vec![Piece::Cut]),
        Reply::stream(vec![error_event()]),
        Reply::stream(vec![send(": keep-alive\n\n"), send("data: not JSON\n\n")]),
        Reply::stream(vec![send(": keep-alive\n\n"), Piece::Hang]),
        Reply::stream(vec![send("data: {\"id\":")]),
        Reply::raw(200, "text/html; charset=utf-8", "<html>502</html>"),
        Reply::raw(200, "application/json", "{}"),
        Reply::Hang,
    ];
    for failure in failures {
        let gate = TestGate::new(MODELS);
        let shown = format!("{failure:?}");
        gate.upstream.on("openai/gpt-4o", failure);
        gate.upstream.on("openai_compatible", whole());
        let got = gate.chat_stream("gpt", "x").await;
        assert_eq!(got.status, 200, "{shown}: {}", got.text());
        assert!(
            got.text().contains("spare")
                && got.text().ends_with("data: [DONE]\n\n")
                && !got.text().contains("error"),
            "{shown}"
        );
        assert_eq!(gate.closed()["attempts"].as_array().unwrap().len(), 2);
        assert_eq!(gate.closed()["outcome"], "ok");
    }
}

/// The stream of a client that speaks `path`'s format, when the upstream fails after its first byte.
async fn broken_after_first_byte(path: &str, model: &str, failure: Vec<Piece>) -> (TestGate, String) {
    let gate = TestGate::new(MODELS);
    gate.upstream
        .on("openai/gpt-4o", Reply::stream([vec![chunk("Hel"), chunk("lo")], failure].concat_pieces()));
    let mut body = chat(model, "x", true);
    body["max_tokens"] = json!(9);
    let text = gate.post(path, &body).await.text();
    (gate, text)
}

trait ConcatPieces {
    fn concat_pieces(self) -> Vec<Piece>;
}

impl ConcatPieces for [Vec<Piece>; 2] {
    fn concat_pieces(self) -> Vec<Piece> {
        self.into_iter().flatten().collect()
    }
}

type Failure = (fn() -> Vec<Piece>, &'static str);

#[tokio::test(start_paused = true)]
async fn after_its_first_byte_a_failing_stream_ends_with_an_error_in_the_clients_format() {
    let failures: [Failure; 6] = [
        (|| vec![Piece::Cut], "upstream_cut"),
        (|| vec![], "upstream_cut"),
        (|| vec![error_event()], "upstream_failed"),
        (|| vec![send("data: {\"id\": oops}\n\n")], "bad_upstream_response"),
        (|| vec![Piece::Hang], "timeout"),
        (|| vec![Piece::Send(vec![b'x'; 9 << 20])], "bad_upstream_response"),
    ];
    for (failure, class) in failures {
        let (gate, text) = broken_after_first_byte("/v1/chat/completions", "gpt", failure()).await;
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        let error: Value = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(error["error"]["tollgate"]["fault"], class, "{text}");
        assert_eq!(error["error"]["tollgate"]["tried"][0]["fault"], class, "{text}");
        assert!(text.contains("Hel") && !text.contains("[DONE]"));

        let (other, text) = broken_after_first_byte("/v1/messages", "gpt", failure()).await;
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        let error: Value = serde_json::from_str(last.strip_prefix("event: error\ndata: ").unwrap()).unwrap();
        assert_eq!((&error["type"], &error["tollgate"]["fault"]), (&json!("error"), &json!(class)));
        for gate in [gate, other] {
            let closed = gate.closed();
            assert_eq!(
                (&closed["outcome"], &closed["fault"]["class"], &closed["status"]),
                (&json!("failed"), &json!(class), &json!(200))
            );
            assert_eq!(closed["usage"]["source"], "estimated");
            assert!(closed["cost_nano_usd"].as_u64().unwrap() > 0);
            assert_eq!(gate.upstream.asked().len(), 1, "nobody takes over in the middle");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_its_last_event_is_whole_when_the_model_had_stopped() {
    let gate = TestGate::new(MODELS);
    let stop =
        json!({ "id": "c", "model": "m", "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] });
    let pieces = || vec![chunk("Hi"), send(&format!("data: {stop}\n\n"))];
    gate.upstream.on("openai", Reply::stream(pieces()));
    assert!(!gate.chat_stream("gpt", "x").await.text().contains("error"));
    gate.upstream.on("openai", Reply::stream(pieces()));
    let mut body = chat("gpt", "x", true);
    body["max_tokens"] = json!(9);
    let text = gate.post("/v1/messages", &body).await.text();
    assert!(text.ends_with("data: {\"type\":\"message_stop\"}\n\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_record_stands_before_the_last_piece_leaves() {
    let gate = TestGate::new(MODELS);
    gate.upstream.on(
        "openai",
        Reply::stream(vec![
            chunk("a"),
            Piece::Wait(Duration::from_secs(1)),
            chunk("b"),
            send("data: [DONE]\n\n"),
        ]),
    );
    let mut response = gate.begin(request("/v1/chat/completions", &chat("gpt", "x", true))).await;
    while let Some(frame) = response.body_mut().frame().await {
        let data = frame.unwrap().into_data().unwrap();
        let closed = gate.journal.of_kind("closed").len();
        assert_eq!(closed, usize::from(data.ends_with(b"[DONE]\n\n")));
    }
    assert_eq!(gate.closed()["outcome"], "ok");
    assert!(gate.closed()["first_byte_us"].as_u64().unwrap() < 1_000_000);
    assert!(gate.closed()["duration_us"].as_u64().unwrap() >= 1_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_cancels_the_upstream_and_is_charged_for_what_passed() {
    let gate = TestGate::new(MODELS);
    gate.upstream.on("openai", Reply::stream(vec![chunk("some words that were read"), Piece::Hang]));
    let mut response = gate.begin(request("/v1/chat/completions", &chat("gpt", "x", true))).await;
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(gate.gate.open_calls(), 1);
    drop(response);
    let closed = gate.closed();
    assert_eq!(
        (&closed["outcome"], &closed["fault"]["class"]),
        (&json!("client_gone"), &json!("client_gone"))
    );
    assert!(
        closed["usage"]["output_tokens"].as_u64().unwrap() >= 5
            && closed["cost_nano_usd"].as_u64().unwrap() > 0
    );
    assert_eq!(gate.gate.open_calls(), 0);

    // Before the first byte, too: the request may have been sent.
    let gate = TestGate::new(MODELS);
    gate.upstream.on("openai", Reply::Hang);
    let call = gate.begin(request("/v1/chat/completions", &chat("gpt", "x", true)));
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    assert_eq!(gate.closed()["outcome"], "client_gone");
    assert!(gate.closed()["cost_nano_usd"].as_u64().unwrap() > 0);
    assert_eq!(gate.upstream.under_way(), 0, "the upstream was cancelled");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_trickles_is_cut_off_at_the_total_and_one_that_pauses_at_idle() {
    let gate = TestGate::new(MODELS);
    let trickle = std::iter::repeat_with(|| [chunk("."), Piece::Wait(Duration::from_millis(1900))])
        .take(100)
        .flatten()
        .collect();
    gate.upstream.on("openai", Reply::stream(trickle));
    let started = Instant::now();
    let got = gate.chat_stream("gpt", "x").await;
    assert!(got.text().contains("total_ms"));
    assert_eq!(started.elapsed(), Duration::from_secs(60));

    let gate = TestGate::new(MODELS);
    gate.upstream
        .on("openai", Reply::stream(vec![chunk("."), Piece::Wait(Duration::from_millis(2100)), chunk(".")]));
    assert!(gate.chat_stream("gpt", "x").await.text().contains("idle_ms"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_holds_the_upstream_back() {
    let gate = TestGate::new(MODELS);
    gate.upstream.on(
        "openai",
        Reply::stream((0..1000).map(|_| chunk("x")).chain([send("data: [DONE]\n\n")]).collect()),
    );
    let mut response = gate.begin(request("/v1/chat/completions", &chat("gpt", "x", true))).await;
    for _ in 0..10 {
        let data = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(data.len() < 400, "one piece in, one piece out: nothing piles up");
    }
    assert_eq!(gate.gate.open_calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn comments_without_an_answer_do_not_pile_up() {
    let gate = TestGate::new(MODELS);
    let comments = std::iter::repeat_with(|| send(&":\n\n".repeat(1000))).take(100).collect();
    gate.upstream.on("openai/gpt-4o", Reply::stream(comments));
    gate.upstream.on("openai_compatible", whole());
    assert!(gate.chat_stream("gpt", "x").await.text().contains("spare"));
    assert_eq!(gate.closed()["attempts"][0]["fault"], "bad_upstream_response");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_faster_than_its_client_still_ends_at_the_total() {
    let gate = TestGate::new(MODELS);
    gate.upstream.on("openai", Reply::stream((0..10_000).map(|_| chunk("x")).collect()));
    let mut response = gate.begin(request("/v1/chat/completions", &chat("gpt", "x", true))).await;
    let mut text = String::new();
    while let Some(frame) = response.body_mut().frame().await {
        text = String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(text.contains("total_ms"), "{text}");
}

/// What an early leaver is charged is near what was read, whatever frame the upstream puts around it.
#[tokio::test(start_paused = true)]
async fn the_estimate_counts_content_and_not_its_frame() {
    let gate = TestGate::new(MODELS);
    let framed = || {
        send(
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"four\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"SkWvZKxSkWvZKx\"}\n\n",
        )
    };
    gate.upstream.on("openai", Reply::stream((0..100).map(|_| framed()).chain([Piece::Hang]).collect()));
    let mut response = gate.begin(request("/v1/chat/completions", &chat("gpt", "x", true))).await;
    for _ in 0..100 {
        response.body_mut().frame().await.unwrap().unwrap();
    }
    drop(response);
    assert_eq!(gate.closed()["usage"]["output_tokens"], 100);
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_not_billed_by_the_length_of_its_base64() {
    let gate = TestGate::new(MODELS);
    gate.upstream.on("openai", Reply::Hang);
    let url = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(100_000));
    let body = json!({ "model": "gpt", "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": url } }] }] });
    let call = gate.begin(request("/v1/chat/completions", &body));
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    let tokens = gate.closed()["usage"]["input_tokens"].as_u64().unwrap();
    assert!((1_000..2_000).contains(&tokens), "{tokens}");
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_stops_in_the_middle_is_given_up_and_one_that_thinks_is_not() {
    let gate = TestGate::new(MODELS);
    let body = json!({ "choices": [{ "message": { "content": "hi" } }] }).to_string();
    let pieces = |pause: u64| {
        vec![
            Piece::Wait(Duration::from_secs(4)),
            send(&body[..10]),
            Piece::Wait(Duration::from_secs(pause)),
            send(&body[10..]),
        ]
    };
    let answer = |pause| Reply::Answer {
        status: 200,
        headers: vec![("content-type", "application/json".into())],
        pieces: pieces(pause),
    };
    gate.upstream.on("openai/gpt-4o", answer(1));
    assert_eq!(
        gate.chat("gpt", "x").await.status,
        200,
        "four seconds before the first piece are within first_byte_ms"
    );
    gate.upstream.on("openai/gpt-4o", answer(3));
    gate.upstream.on("openai_compatible", answer(3));
    let got = gate.chat("gpt", "x").await;
    assert!(got.status == 502 && got.text().contains("idle_ms"), "{}", got.text());
}
