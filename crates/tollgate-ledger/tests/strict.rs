//! Promise 4: a strict budget is never passed. What is held is the most that a call can cost, answers are as long as the
//! rest pays for, and what has no bound is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_core::access::HolderKind;
use tollgate_testkit::{Answer, Reply};

use support::{Governed, why};

fn strict(usd: &str) -> Value {
    json!([{ "id": "cap", "amount_usd": usd, "window": "total", "strict": true }])
}

/// An answer of OpenAI's that used so many tokens.
fn answered(input: u64, output: u64) -> Reply {
    Reply::json(
        200,
        &json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o",
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "hi" }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output },
        }),
    )
}

struct World {
    governed: Governed,
    key: String,
}

impl World {
    async fn new(usd: &str) -> Self {
        let governed = Governed::new().await;
        let made = governed.made(HolderKind::Key, "k", json!({ "budgets": strict(usd) })).await;
        let key = made.secret.unwrap().expose().to_owned();
        Self { governed, key }
    }

    async fn chat(&self, body: Value) -> Answer {
        self.governed.post(&self.key, "/v1/chat/completions", &body).await
    }

    fn spent(&self) -> u64 {
        let (spent, held) = self.governed.standing(HolderKind::Key, "k")[0];
        assert_eq!(held, 0, "nothing is under way");
        spent
    }

    /// What the upstream was last asked.
    fn sent(&self) -> Value {
        serde_json::from_slice(&self.governed.gate.upstream.requests().pop().unwrap().body).unwrap()
    }
}

fn hello(more: Value) -> Value {
    let mut body = json!({ "model": "gpt", "messages": [{ "role": "user", "content": "hello" }] });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    body
}

#[tokio::test]
async fn an_answer_is_as_long_as_the_rest_pays_for() {
    // 10 and 30 micro-dollars a token: a prompt of about 1,200 tokens at most costs about 0.012 USD.
    let world = World::new("0.030").await;
    world.governed.gate.upstream.on("openai/gpt-4o", answered(9, 20));
    let answer = world.chat(hello(json!({ "max_tokens": 50_000 }))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ceiling = world.sent()["max_tokens"].as_u64().unwrap();
    assert!((100..1_000).contains(&ceiling), "{ceiling}");
    let edits = world.governed.closed()["edits"].to_string();
    assert!(edits.contains("budget") && edits.contains(&ceiling.to_string()), "{edits}");
    assert_eq!(world.spent(), 9 * 10_000 + 20 * 30_000, "what it really was");
    world.governed.gate.upstream.on("openai/gpt-4o", answered(9, 5));
    world.chat(hello(json!({ "max_completion_tokens": 60 }))).await;
    assert_eq!(world.sent()["max_completion_tokens"], 60, "what fits is not touched");
    assert!(world.sent().get("max_tokens").is_none());
}

#[tokio::test]
async fn what_would_leave_no_room_for_an_answer_is_refused() {
    let world = World::new("0.0112").await;
    let refused = world.chat(hello(json!({ "max_tokens": 50_000 }))).await;
    assert_eq!((refused.status, refused.header("x-should-retry")), (429, "false"));
    assert!(
        why(&refused).starts_with("budget_exceeded the budget `cap` of key `k` has no room"),
        "{}",
        why(&refused)
    );
    assert!(world.governed.gate.upstream.requests().is_empty(), "nothing was sent");
    assert_eq!(world.spent(), 0);
}

#[tokio::test]
async fn what_has_no_bound_or_no_price_is_refused() {
    let world = World::new("100").await;
    let refused = |answer: Answer| {
        assert_eq!(answer.status, 400, "{}", answer.text());
        why(&answer)
    };
    let search = refused(world.chat(hello(json!({ "web_search_options": {} }))).await);
    assert!(
        search.contains("the strict budget `cap` of key `k` does not allow this call")
            && search.contains("web_search_options"),
        "{search}"
    );
    let unpriced = refused(world.chat(hello(json!({ "model": "free", "max_tokens": 5 }))).await);
    assert!(unpriced.contains("has no price"), "{unpriced}");
    let unbounded = refused(world.chat(hello(json!({ "model": "sim" }))).await);
    assert!(unbounded.contains("say so (max_tokens)"), "{unbounded}");
    let picture = json!({ "model": "gpt", "prompt": "a cat" });
    let picture = refused(world.governed.post(&world.key, "/v1/images/generations", &picture).await);
    assert!(picture.contains("this kind of call"), "{picture}");
}

/// Whoever said nothing of what it used may have used everything.
#[tokio::test]
async fn what_nobody_has_counted_counts_as_the_most() {
    let world = World::new("1").await;
    let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o",
        "choices": [{ "index": 0, "delta": { "content": "hi" }, "finish_reason": null }] });
    world.governed.gate.upstream.on("openai/gpt-4o", Reply::openai_stream(&[chunk]));
    let answer = world.chat(hello(json!({ "max_tokens": 100, "stream": true }))).await;
    assert_eq!(answer.status, 200);
    let closed = world.governed.closed();
    assert_eq!(closed["usage"]["source"], "estimated");
    assert!(world.spent() > 100 * 30_000, "its longest answer, and its prompt: {}", world.spent());
    assert!(closed["cost_nano_usd"].as_u64().unwrap() < world.spent(), "the record says what is known");
}

/// A first attempt that never answered may be billed whole: it stays held beside the second, and counts at the end.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_nobody_has_counted_is_held_beside_the_next() {
    let world = World::new("1").await;
    let upstream = &world.governed.gate.upstream;
    upstream.on("openai/gpt-4o", Reply::Hang);
    upstream.on("openai/gpt-4o", answered(9, 20));
    let answer = world.chat(hello(json!({ "max_tokens": 1_000 }))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.governed.closed()["attempts"].as_array().unwrap().len(), 2);
    assert!(world.spent() >= 2 * 1_000 * 30_000, "both, as they may have been: {}", world.spent());

    // Where there is room for one such call and not for two, there is none for a second attempt.
    let world = World::new("0.045").await;
    let upstream = &world.governed.gate.upstream;
    upstream.on("openai/gpt-4o", Reply::Hang);
    upstream.on("openai/gpt-4o", answered(9, 20));
    let refused = world.chat(hello(json!({ "max_tokens": 1_000 }))).await;
    assert_eq!(upstream.asked().len(), 1, "{}", refused.text());
    assert!(world.spent() <= 45_000_000);
}

#[tokio::test]
async fn a_dearer_fallback_gets_a_shorter_answer() {
    let world = World::new("0.25").await;
    for _ in 0..2 {
        world.governed.gate.upstream.on("openai/gpt-4o", Reply::json(500, &json!({})));
    }
    let answer = world.chat(hello(json!({ "model": "falls", "max_tokens": 2_000 }))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let closed = world.governed.closed();
    assert_eq!(closed["attempts"].as_array().unwrap().len(), 3);
    assert!(closed["edits"].to_string().contains("an answer of at most"), "{}", closed["edits"]);
    assert!(world.spent() <= 250_000_000);
}

/// Many at once, each of which uses what it may: the budget is used, and not passed.
#[tokio::test(start_paused = true)]
async fn many_at_once_do_not_pass_it() {
    let world = World::new("0.5").await;
    for _ in 0..200 {
        world.governed.gate.upstream.on("openai/gpt-4o", answered(1_000, 300).after(Duration::from_secs(1)));
    }
    let calls = (0..64).map(|_| world.chat(hello(json!({ "max_tokens": 300 }))));
    let answers = futures_util::future::join_all(calls).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 429)));
    assert!((15..40).contains(&done), "{done}");
    // One after the other the rest can be spent.
    let mut last = 200;
    while last == 200 {
        last = world.chat(hello(json!({ "max_tokens": 300 }))).await.status;
    }
    let spent = world.spent();
    assert!((480_000_000..=500_000_000).contains(&spent), "less than a call is left: {spent}");
}

#[tokio::test]
async fn every_dialect_is_told_its_ceiling() {
    let world = World::new("0.06").await;
    for (path, body, words) in [
        (
            "/v1/responses",
            json!({ "model": "gpt", "input": "hello", "max_output_tokens": 90_000 }),
            "max_output_tokens",
        ),
        (
            "/v1/messages",
            json!({ "model": "gpt", "max_tokens": 90_000, "messages": [{ "role": "user", "content": "hello" }] }),
            "max_completion_tokens",
        ),
        (
            "/v1beta/models/gpt:generateContent",
            json!({ "contents": [{ "parts": [{ "text": "hello" }] }] }),
            "max_completion_tokens",
        ),
    ] {
        world.governed.gate.upstream.on("openai/gpt-4o", Reply::json(400, &json!({})));
        world.governed.post(&world.key, path, &body).await;
        let sent = world.sent();
        let ceiling = sent[words].as_u64();
        assert!(ceiling.is_some_and(|ceiling| (100..2_000).contains(&ceiling)), "{path}: {sent}");
    }
}
