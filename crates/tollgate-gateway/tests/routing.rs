//! Phase 5 and 7: who is tried, in which order, and what happens when it fails. Time is paused: waiting costs none.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tollgate_testkit::{Answer, Reply, TestGate};

fn ok() -> Reply {
    Reply::json(
        200,
        &json!({ "choices": [{ "message": { "content": "hi" } }], "usage": { "prompt_tokens": 1, "completion_tokens": 1 } }),
    )
}

fn error(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": { "message": message, "type": "t", "code": null } }))
}

fn two(extra: &str) -> TestGate {
    TestGate::new(&format!(
        "models:
  m:
    - {{ provider: openai_compatible, base_url: 'http://a', order: 1 }}
    - {{ provider: openai_compatible, base_url: 'http://b', order: 2 }}
  other: [{{ provider: openai_compatible, base_url: 'http://c' }}]
  long: [{{ provider: openai_compatible, base_url: 'http://d' }}]
{extra}"
    ))
}

const A: &str = "openai_compatible/m@a";
const B: &str = "openai_compatible/m@b";
const C: &str = "openai_compatible/other@c";
const D: &str = "openai_compatible/long@d";

fn deployment(answer: &Answer) -> &str {
    answer.header("x-tollgate-deployment")
}

#[tokio::test(start_paused = true)]
async fn order_decides_and_weight_shares() {
    let gate = two("");
    gate.upstream.on(A, ok());
    assert_eq!(deployment(&gate.chat("m", "x").await), A);

    let gate = TestGate::new(
        "models:\n  m:\n    - { provider: openai_compatible, base_url: 'http://a', weight: 3 }\n    - { provider: openai_compatible, base_url: 'http://b' }\n    - { provider: openai_compatible, base_url: 'http://never', weight: 0 }\n",
    );
    let mut count: HashMap<String, u32> = HashMap::new();
    for _ in 0..400 {
        gate.upstream.on("openai_compatible", ok());
        *count.entry(deployment(&gate.chat("m", "x").await).to_owned()).or_default() += 1;
    }
    assert!((270..330).contains(&count[A]), "{count:?}");
    assert_eq!(count.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_goes_to_the_next_deployment_without_a_pause() {
    for failure in [
        error(500, "x"),
        error(429, "x"),
        error(529, "x"),
        Reply::NoConnection,
        Reply::Broken,
        Reply::raw(200, "text/html", "<html>"),
    ] {
        let gate = two("");
        gate.upstream.on(A, failure);
        gate.upstream.on(B, ok());
        let started = Instant::now();
        let got = gate.chat("m", "x").await;
        assert_eq!((got.status, deployment(&got), got.header("x-tollgate-attempts")), (200, B, "2"));
        assert!(started.elapsed() < Duration::from_millis(1));
        let kinds: Vec<_> = gate.journal.entries().iter().map(|e| e["entry"].clone()).collect();
        assert_eq!(kinds, ["opened", "attempt", "closed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn going_around_again_takes_a_pause_that_grows() {
    let gate = two("routing: { retries: 4, backoff_ms: 1000, allowed_fails: 100 }\n");
    for _ in 0..2 {
        gate.upstream.on(A, error(500, "a"));
        gate.upstream.on(B, error(500, "b"));
    }
    gate.upstream.on(A, ok());
    let started = Instant::now();
    let got = gate.chat("m", "x").await;
    assert_eq!(gate.upstream.asked(), [A, B, A, B, A]);
    assert_eq!(got.status, 200);
    // Pauses of 0.5–1 s, 1–2 s and 2–4 s.
    assert!((3500..7000).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_and_a_long_one_is_not_waited_for() {
    let one = "models:\n  m: [{ provider: openai_compatible, base_url: 'http://a' }]\nrouting: { retries: 1, backoff_max_ms: 5000 }\n";
    let gate = TestGate::new(one);
    gate.upstream.on(A, error(429, "slow down").header("retry-after", "3"));
    gate.upstream.on(A, ok());
    let started = Instant::now();
    assert_eq!(gate.chat("m", "x").await.status, 200);
    assert_eq!(started.elapsed(), Duration::from_secs(3));

    let gate = TestGate::new(one);
    gate.upstream.on(A, error(429, "slow down").header("retry-after", "60"));
    let got = gate.chat("m", "x").await;
    assert_eq!((got.status, got.header("retry-after")), (429, "60"));
    assert_eq!(gate.upstream.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_client_did_wrong_is_not_tried_again() {
    let gate = two("routing: { fallbacks: { m: [other] } }\n");
    gate.upstream.on(A, Reply::json(400, &json!({ "error": { "message": "bad temperature", "type": "invalid_request_error", "param": "temperature", "code": "x" } })));
    let got = gate.chat("m", "x").await;
    assert_eq!(got.status, 400);
    let error = &got.json()["error"];
    assert_eq!(
        (&error["type"], &error["param"], &error["code"]),
        (&json!("invalid_request_error"), &json!("temperature"), &json!("x"))
    );
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("bad temperature")
            && message.contains(A)
            && message.contains(got.header("x-tollgate-call-id")),
        "{message}"
    );
    assert_eq!(got.header("x-should-retry"), "false");
    assert_eq!(gate.upstream.asked(), [A]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_the_gates_fault_and_another_deployment_may_do() {
    let gate = two("");
    gate.upstream.on(A, error(401, "Incorrect API key provided: sk-abc***"));
    gate.upstream.on(B, error(401, "Incorrect API key provided: sk-abc***"));
    let got = gate.chat("m", "x").await;
    assert_eq!(got.status, 502);
    assert!(!got.text().contains("sk-abc"), "{}", got.text());
    assert!(got.text().contains("refused the gate's credential"));
    assert_eq!(gate.upstream.asked(), [A, B], "not twice the same");
    assert_eq!(got.json()["error"]["tollgate"]["blame"], "gate");
}

#[tokio::test(start_paused = true)]
async fn fallbacks_go_by_why_it_failed() {
    let routing = "routing: { retries: 0, fallbacks: { m: [other] }, context_window_fallbacks: { m: [long] }, content_policy_fallbacks: { m: [long] } }\n";
    let cases = [
        (error(500, "x"), C),
        (error(400, "This model's maximum context length is 8192 tokens"), D),
        (Reply::json(400, &json!({ "error": { "message": "x", "code": "content_filter" } })), D),
        (error(401, "x"), C),
    ];
    for (failure, expected) in cases {
        let gate = two(routing);
        gate.upstream.on(A, failure);
        gate.upstream.on(B, error(500, "x"));
        gate.upstream.on(C, ok());
        gate.upstream.on(D, ok());
        let got = gate.chat("m", "x").await;
        assert_eq!((got.status, deployment(&got)), (200, expected), "{:?}", gate.upstream.asked());
        assert_eq!(got.header("x-tollgate-model"), "m", "the name that the client used");
    }
    let gate = two("routing: { default_fallbacks: [other] }\n");
    (0..3).for_each(|_| gate.upstream.on("openai_compatible/m", error(500, "x")));
    gate.upstream.on(C, ok());
    assert_eq!(deployment(&gate.chat("m", "x").await), C);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_keeps_failing_rests_and_comes_back() {
    let gate = two("routing: { allowed_fails: 2, cooldown_ms: 30000 }\n");
    for _ in 0..3 {
        gate.upstream.on(A, error(500, "x"));
        gate.upstream.on(B, ok());
        gate.chat("m", "x").await;
    }
    gate.upstream.on(B, ok());
    assert_eq!(deployment(&gate.chat("m", "x").await), B);
    assert_eq!(gate.upstream.asked().last().unwrap(), B, "the one that rests is not asked first");
    let events = gate.journal.of_kind("event");
    assert_eq!((&events[0]["event"], &events[0]["detail"]["deployment"]), (&json!("cooldown"), &json!(A)));
    // A reload in between does not wake it.
    gate.publish("models:\n  m:\n    - { provider: openai_compatible, base_url: 'http://a', order: 1 }\n    - { provider: openai_compatible, base_url: 'http://b', order: 2 }\n");
    gate.upstream.on(B, ok());
    assert_eq!(deployment(&gate.chat("m", "x").await), B);
    tokio::time::sleep(Duration::from_secs(31)).await;
    gate.upstream.on(A, ok());
    assert_eq!(deployment(&gate.chat("m", "x").await), A);
}

#[tokio::test(start_paused = true)]
async fn when_everything_rests_calls_are_tried_all_the_same() {
    let gate = TestGate::new(
        "models:\n  m: [{ provider: openai_compatible, base_url: 'http://a' }]\nrouting: { allowed_fails: 0, retries: 0 }\n",
    );
    gate.upstream.on(A, error(500, "x"));
    assert_eq!(gate.chat("m", "x").await.status, 500);
    gate.upstream.on(A, ok());
    assert_eq!(gate.chat("m", "x").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn rpm_and_tpm_hold_by_the_minute() {
    let gate = TestGate::new(
        "models:\n  m: [{ provider: openai_compatible, base_url: 'http://a', rpm: 2 }]\n  t: [{ provider: openai_compatible, base_url: 'http://t', tpm: 2 }]\n",
    );
    for expected in [200, 200, 429] {
        gate.upstream.on(A, ok());
        let got = gate.chat("m", "x").await;
        assert_eq!(got.status, expected);
        assert!(expected == 200 || got.header("retry-after") == "60");
    }
    gate.upstream.on("openai_compatible/t", ok());
    assert_eq!(gate.chat("t", "x").await.status, 200);
    assert_eq!(gate.chat("t", "x").await.status, 429, "two tokens were used");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(gate.chat("m", "x").await.status, 200);
    assert_eq!(gate.journal.of_kind("closed").len(), 6);
}

#[tokio::test(start_paused = true)]
async fn attempts_and_time_are_bounded() {
    let gate =
        two("routing: { retries: 100, allowed_fails: 1000, backoff_ms: 1 }\nlimits: { attempts: 5 }\n");
    (0..100).for_each(|_| gate.upstream.on("openai_compatible", error(500, "x")));
    let got = gate.chat("m", "x").await;
    assert_eq!((got.status, gate.upstream.asked().len()), (500, 5));

    let gate = two(
        "routing: { retries: 100, backoff_ms: 4000 }\ntimeouts: { total_ms: 10000, first_byte_ms: 3000 }\n",
    );
    (0..100).for_each(|_| gate.upstream.on("openai_compatible", Reply::Hang));
    let started = Instant::now();
    let got = gate.chat("m", "x").await;
    assert_eq!(got.status, 504);
    assert!(started.elapsed() <= Duration::from_secs(10), "{:?}", started.elapsed());
    // Promise: what a provider may bill for an attempt that timed out is charged, as an estimate.
    assert_eq!(gate.closed()["usage"]["source"], "estimated");
    assert_eq!(gate.closed()["cost_nano_usd"], "unknown");
}

#[tokio::test(start_paused = true)]
async fn patterns_serve_what_they_match() {
    let gate = TestGate::new(
        "models:\n  'openai/*': [{ provider: openai, model: '*' }]\n  'openai/gpt-4o': [{ provider: openai, model: exact }]\n",
    );
    gate.upstream.on("openai", ok());
    gate.chat("openai/gpt-4o-mini", "x").await;
    assert_eq!(gate.upstream.last_body()["model"], "gpt-4o-mini");
    assert_eq!(gate.closed()["cost_nano_usd"], 150 + 600, "priced as the model that it stands for");
    gate.upstream.on("openai", ok());
    gate.chat("openai/gpt-4o", "x").await;
    assert_eq!(gate.upstream.last_body()["model"], "exact");
}

#[tokio::test(start_paused = true)]
async fn patience_is_kept_with_the_deployment_that_asked_for_it() {
    let gate = two("routing: { retries: 3, backoff_ms: 100, allowed_fails: 100, cooldown_ms: 0 }\n");
    gate.upstream.on(A, error(429, "slow down").header("retry-after", "60"));
    gate.upstream.on(B, error(500, "x"));
    gate.upstream.on(B, ok());
    let got = gate.chat("m", "x").await;
    assert_eq!((got.status, gate.upstream.asked()), (200, vec![A.to_owned(), B.to_owned(), B.to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_preferred_to_a_model_that_rests() {
    let gate = TestGate::new(
        "models:
  m: [{ provider: openai_compatible, base_url: 'http://a' }]
  other: [{ provider: openai_compatible, base_url: 'http://c' }]
routing: { retries: 0, allowed_fails: 0, fallbacks: { m: [other] } }
",
    );
    gate.upstream.on(A, error(500, "x"));
    gate.upstream.on(C, ok());
    gate.upstream.on(C, ok());
    gate.chat("m", "x").await;
    gate.chat("m", "x").await;
    assert_eq!(gate.upstream.asked(), [A, C, C], "the one that rests is not asked");
    // When the fallback fails too, the model is asked all the same.
    gate.upstream.on(C, error(500, "x"));
    gate.upstream.on(A, ok());
    assert_eq!(deployment(&gate.chat("m", "x").await), A);
}

#[tokio::test(start_paused = true)]
async fn the_same_upstream_with_two_credentials_has_two_healths() {
    let gate = TestGate::new(
        "models:
  one: [{ provider: openai, model: gpt-4o, api_key: sk-team-one, rpm: 1 }]
  two: [{ provider: openai, model: gpt-4o, api_key: sk-team-two, rpm: 1 }]
",
    );
    (0..2).for_each(|_| gate.upstream.on("openai", ok()));
    assert_eq!(gate.chat("one", "x").await.status, 200);
    assert_eq!(gate.chat("two", "x").await.status, 200, "another credential has its own limit");
    assert_eq!(gate.chat("one", "x").await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_that_went_out_is_charged_once() {
    let gate = two("routing: { retries: 1 }\ntimeouts: { first_byte_ms: 1000 }\n");
    gate.upstream.on(A, Reply::Hang);
    gate.upstream.on(B, Reply::Hang);
    let call = gate
        .begin(tollgate_testkit::request("/v1/chat/completions", &tollgate_testkit::chat("m", "x", false)));
    assert!(tokio::time::timeout(Duration::from_millis(1500), call).await.is_err());
    let closed = gate.closed();
    let each = tollgate_testkit::chat("m", "x", false).to_string().len().div_ceil(4);
    assert_eq!(closed["usage"]["input_tokens"], 2 * each, "the one that timed out and the one that was left");

    let gate = two("routing: { retries: 0 }\n");
    gate.upstream.on(A, Reply::NoConnection);
    gate.chat("m", "x").await;
    assert!(gate.closed().get("usage").is_none(), "nothing went out");
}

#[tokio::test(start_paused = true)]
async fn an_absurd_retry_after_is_only_a_long_one() {
    for value in ["1e19", "18446744073709551615", "inf", "NaN", "-5", "soon", "1e400"] {
        let gate = two("routing: { retries: 1 }\n");
        gate.upstream.on(A, error(429, "slow down").header("retry-after", value));
        gate.upstream.on(B, ok());
        let got = gate.chat("m", "x").await;
        assert_eq!((got.status, deployment(&got)), (200, B), "{value}");
        assert_eq!(gate.closed()["outcome"], "ok");
    }
}

/// Three deployments of one model, of which only the price and the weight differ.
fn three(routing: &str) -> TestGate {
    TestGate::new(&format!(
        "models:
  m:
    - {{ provider: openai_compatible, base_url: 'http://a', price: {{ input_usd_per_mtok: '3', output_usd_per_mtok: '9' }} }}
    - {{ provider: openai_compatible, base_url: 'http://b', price: {{ input_usd_per_mtok: '1', output_usd_per_mtok: '2' }} }}
    - {{ provider: openai_compatible, base_url: 'http://e' }}
routing: {{ {routing} }}
"
    ))
}

const E: &str = "openai_compatible/m@e";

#[tokio::test(start_paused = true)]
async fn the_cheapest_is_asked_and_the_record_says_why() {
    let gate = three("strategy: cost");
    gate.upstream.on(B, error(500, "x"));
    gate.upstream.on(A, ok());
    assert_eq!(deployment(&gate.chat("m", "x").await), A, "the next cheapest");
    let route = &gate.closed()["route"];
    assert_eq!(route["strategy"], "cost");
    let considered: Vec<_> =
        route["considered"].as_array().unwrap().iter().map(|c| c["deployment"].as_str().unwrap()).collect();
    assert_eq!(considered, [B, A, E]);
    assert_eq!(route["considered"][2]["because"], "no price");
    assert!(route["considered"][0]["because"].as_str().unwrap().starts_with("about "), "{route}");
}

#[tokio::test(start_paused = true)]
async fn the_soonest_is_asked_once_all_were_measured() {
    let gate = three("strategy: latency");
    let speeds = [(A, 300), (B, 100), (E, 900)];
    for _ in 0..12 {
        for (id, millis) in speeds {
            gate.upstream.clear(id);
            gate.upstream.on(id, ok().after(Duration::from_millis(millis)));
        }
        gate.chat("m", "x").await;
    }
    let asked = gate.upstream.asked();
    let count = |id: &str| asked.iter().filter(|asked| *asked == id).count();
    assert_eq!(
        (count(A), count(E), count(B)),
        (1, 1, 10),
        "each is measured, then the fastest is kept: {asked:?}"
    );
    // What was measured long ago is measured again.
    tokio::time::advance(Duration::from_mins(2)).await;
    for (id, _) in speeds {
        gate.upstream.clear(id);
        gate.upstream.on(id, ok());
    }
    gate.chat("m", "x").await;
    let closed = gate.journal.of_kind("closed");
    let last = closed.last().unwrap();
    assert_eq!(last["route"]["considered"][0]["because"], "not measured of late");
}

#[tokio::test(start_paused = true)]
async fn the_least_busy_is_asked() {
    let gate = three("strategy: least_busy");
    for id in [A, B, E] {
        gate.upstream.on(id, Reply::Hang);
        gate.upstream.on(id, ok());
    }
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let gate = std::sync::Arc::clone(&gate.gate);
            let request =
                tollgate_testkit::request("/v1/chat/completions", &tollgate_testkit::chat("m", "x", false));
            let (head, body) = request.into_parts();
            tokio::spawn(async move {
                let body = tollgate_gateway::inbound::ClientBody::Memory(body);
                let inbound =
                    tollgate_gateway::inbound::Inbound { head, body, arrived: Instant::now(), peer: None };
                tollgate_gateway::serve::handle(&gate, inbound).await
            })
        })
        .collect();
    while gate.upstream.asked().len() < 3 {
        tokio::task::yield_now().await;
    }
    let mut asked = gate.upstream.asked();
    asked.sort();
    assert_eq!(asked, [A, B, E], "each has one in flight");
    for call in &calls {
        call.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_has_rules_of_its_own() {
    let gate = TestGate::new(
        "models:
  m:
    - { provider: openai_compatible, base_url: 'http://a', order: 1 }
    - { provider: openai_compatible, base_url: 'http://b', order: 2 }
routing: { retries: 0, allowed_fails: 100, models: { m: { allowed_fails: 0 } } }
",
    );
    gate.upstream.on(A, error(500, "x"));
    gate.upstream.on(B, ok());
    assert_eq!(gate.chat("m", "x").await.status, 500);
    assert_eq!(deployment(&gate.chat("m", "x").await), B, "one failure was enough here");
    let error = std::panic::catch_unwind(|| {
        TestGate::new("models: { m: [{ provider: openai }] }\nrouting: { models: { n: {} } }\n")
    });
    assert!(error.is_err(), "a rule for a model that is not configured");
}

/// Two deployments in order, and a second one is asked after 100 ms.
fn hedging() -> TestGate {
    two("routing: { hedge_ms: 100, retries: 1 }")
}

#[tokio::test(start_paused = true)]
async fn a_slow_deployment_is_overtaken_and_both_are_recorded() {
    let gate = hedging();
    gate.upstream.on(A, ok().after(Duration::from_secs(5)));
    gate.upstream.on(B, ok().after(Duration::from_millis(300)));
    let begun = Instant::now();
    let answer = gate.chat("m", "x").await;
    assert_eq!((answer.status, deployment(&answer)), (200, B));
    assert_eq!(begun.elapsed(), Duration::from_millis(400));
    assert_eq!(gate.upstream.under_way(), 0, "the slow one is cancelled");
    let closed = gate.closed();
    let faults: Vec<_> = closed["attempts"].as_array().unwrap().iter().map(|a| a["fault"].clone()).collect();
    assert_eq!(faults, [json!("superseded"), json!(null)]);
    assert_eq!(closed["usage"]["source"], "estimated", "what the slow one bills is not known: {closed}");
    let attempt = &gate.journal.of_kind("attempt")[0];
    assert_eq!((&attempt["hedge"], &attempt["deployment"]), (&json!(true), &json!(B)));
    assert_eq!(attempt.get("after"), None);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_deployment_is_asked_alone() {
    let gate = hedging();
    gate.upstream.on(A, ok().after(Duration::from_millis(90)));
    assert_eq!(deployment(&gate.chat("m", "x").await), A);
    assert_eq!(gate.upstream.asked(), [A]);
}

#[tokio::test(start_paused = true)]
async fn when_the_second_fails_the_first_goes_on_and_when_both_fail_retries_follow() {
    let gate = hedging();
    gate.upstream.on(A, ok().after(Duration::from_secs(2)));
    gate.upstream.on(B, error(500, "x"));
    let answer = gate.chat("m", "x").await;
    assert_eq!((answer.status, deployment(&answer)), (200, A));
    assert_eq!(gate.closed()["attempts"].as_array().unwrap().len(), 2);

    let gate = hedging();
    gate.upstream.on(A, error(500, "a").after(Duration::from_secs(2)));
    gate.upstream.on(B, error(500, "b"));
    gate.upstream.on(A, ok());
    let answer = gate.chat("m", "x").await;
    assert_eq!(
        (answer.status, gate.upstream.asked()),
        (500, vec![A.to_owned(), B.to_owned()]),
        "one retry: the hedge"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_a_race_is_charged_for_both() {
    let gate = hedging();
    gate.upstream.on(A, Reply::Hang);
    gate.upstream.on(B, Reply::Hang);
    let call = tokio::time::timeout(Duration::from_secs(1), gate.chat("m", "x")).await;
    assert!(call.is_err());
    let closed = gate.closed();
    assert_eq!(closed["outcome"], "client_gone");
    let prompt = tollgate_core::usage::estimate_tokens(chat_bytes());
    assert_eq!(closed["usage"]["input_tokens"], json!(2 * prompt), "{closed}");
}

fn chat_bytes() -> u64 {
    tollgate_testkit::chat("m", "x", false).to_string().len() as u64
}
