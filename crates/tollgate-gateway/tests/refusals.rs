//! Bad input, strangers, and what cannot be done: a clear error in the client's format, one record, no panic.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tollgate_testkit::{Answer, Reply, TestGate, chat, request};

const MODELS: &str = "models:
  gpt: [{ provider: openai, model: gpt-4o }]
  claude: [{ provider: anthropic, model: claude-sonnet-4-20250514 }]
limits: { request_body_bytes: 5000, request_depth: 20 }
";

const KEYED: &str = "master_key: sk-master-1234
models:
  gpt: [{ provider: openai, model: gpt-4o }]
";

fn raw(path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let mut request = request(path, &json!({}));
    *request.body_mut() = body.into();
    request
}

/// Whether `answer` is an error as `path`'s SDKs read it.
fn is_error_for(path: &str, answer: &Answer) -> bool {
    let body = answer.json();
    if path.contains("messages") {
        body["type"] == "error" && body["error"]["type"].is_string() && body["error"]["message"].is_string()
    } else {
        let error = &body["error"];
        error["message"].is_string()
            && error["type"].is_string()
            && error.get("param").is_some()
            && error.get("code").is_some()
    }
}

#[tokio::test]
async fn bad_bodies_are_refused_with_the_reason_and_one_record() {
    let deep = format!("{{\"model\":\"gpt\",\"x\":{}{}}}", "[".repeat(30), "]".repeat(30));
    let cases: Vec<(Bytes, u16, &str)> = vec![
        ("".into(), 400, "empty"),
        ("{\"model\":".into(), 400, "not valid JSON"),
        ("hello".into(), 400, "not valid JSON"),
        ("[]".into(), 400, "object"),
        ("{}".into(), 400, "`model`"),
        (r#"{"model":7}"#.into(), 400, "`model`"),
        (r#"{"model":null}"#.into(), 400, "`model`"),
        (r#"{"model":"gpt","stream":"yes"}"#.into(), 400, "`stream`"),
        (r#"{"model":"gpt","max_tokens":-1}"#.into(), 400, "max_tokens"),
        (r#"{"model":"gpt","model":"claude"}"#.into(), 400, "twice"),
        (r#"{"model":"gpt","mod\u0065l":"claude"}"#.into(), 400, "twice"),
        (r#"{"model":"gtp"}"#.into(), 404, "did you mean `gpt`"),
        (r#"{"model":"nothing like it"}"#.into(), 404, "GET /v1/models"),
        (r#"{"model":"gpt\r\nx-evil: 1"}"#.into(), 404, "no model"),
        (Bytes::from_static(b"{\"model\":\"gpt\xff\"}"), 400, "UTF-8"),
        (deep.into(), 400, "nests deeper"),
        (format!("{{\"model\":\"gpt\",\"x\":\"{}\"}}", "x".repeat(6000)).into(), 413, "request_body_bytes"),
        (format!("{{\"model\":\"{}\"}}", "x".repeat(600)).into(), 400, "longer than"),
    ];
    for path in ["/v1/chat/completions", "/v1/messages", "/chat/completions", "/messages"] {
        for (body, status, says) in &cases {
            let gate = TestGate::new(MODELS);
            let got = gate.send(raw(path, body.clone())).await;
            let shown = String::from_utf8_lossy(body).into_owned();
            assert_eq!(got.status, *status, "{path} {shown}: {}", got.text());
            assert!(is_error_for(path, &got) && got.text().contains(says), "{path} {shown}: {}", got.text());
            let closed = gate.closed();
            assert_eq!((&closed["outcome"], &closed["status"]), (&json!("refused"), &json!(*status)));
            assert_eq!(got.header("x-tollgate-call-id"), closed["call_id"]);
            assert!(gate.upstream.requests().is_empty());
        }
    }
}

#[tokio::test]
async fn other_content_types_and_encodings_are_refused() {
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-type", ""),
        ("content-encoding", "gzip"),
    ] {
        let gate = TestGate::new(MODELS);
        let mut sent = request("/v1/chat/completions", &chat("gpt", "x", false));
        sent.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(gate.send(sent).await.status, 415, "{name}: {value}");
    }
}

#[tokio::test]
async fn strangers_are_refused_counted_and_leave_no_record() {
    let gate = TestGate::new(KEYED);
    let with = |name: &'static str, value: &str| {
        let mut sent = request("/v1/chat/completions", &chat("gpt", "x", false));
        sent.headers_mut().insert(name, value.parse().unwrap());
        sent
    };
    let none = request("/v1/chat/completions", &chat("gpt", "x", false));
    for sent in [
        none,
        with("authorization", "Bearer sk-master-123"),
        with("authorization", "Basic sk-master-1234"),
        with("authorization", "Bearer "),
        with("x-api-key", "sk-master-12345"),
        with("authorization", "sk-master-1234"),
    ] {
        let got = gate.send(sent).await;
        assert_eq!((got.status, got.header("www-authenticate")), (401, "Bearer"));
        assert_eq!(got.json()["error"]["code"], "invalid_api_key");
        assert!(!got.text().contains("sk-master"), "{}", got.text());
    }
    assert!(gate.journal.entries().is_empty() && gate.upstream.requests().is_empty());
    assert!(gate.gate.metrics.render().contains("tollgate_strangers_total{reason=\"unauthenticated\"} 6"));
    for (name, value) in [
        ("authorization", "Bearer sk-master-1234"),
        ("authorization", "bearer sk-master-1234"),
        ("x-api-key", "sk-master-1234"),
        ("api-key", "sk-master-1234"),
    ] {
        gate.upstream.on("openai", Reply::json(200, &json!({ "choices": [] })));
        assert_eq!(gate.send(with(name, value)).await.status, 200, "{name}: {value}");
    }
    // The models' names and the counters are for holders of the key, too.
    let get = |path: &str| Request::get(path).header("host", "x").body(Bytes::new()).unwrap();
    for path in ["/v1/models", "/v1/models/gpt", "/metrics", "/model/info", "/v1/model/info", "/health"] {
        assert_eq!(gate.send(get(path)).await.status, 401, "{path}");
    }
    for path in ["/livez", "/readyz", "/health/liveliness", "/health/readiness"] {
        assert_eq!(gate.send(get(path)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn without_a_master_key_no_web_page_and_no_other_machine_is_served() {
    let gate = TestGate::new(MODELS);
    for (name, value) in [("host", "evil.example"), ("origin", "https://evil.example"), ("origin", "null")] {
        let mut sent = request("/v1/chat/completions", &chat("gpt", "x", false));
        sent.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(gate.send(sent).await.status, 403, "{name}: {value}");
    }
    assert!(gate.upstream.requests().is_empty());
}

#[tokio::test]
async fn a_call_that_has_passed_this_gate_is_refused() {
    let gate = TestGate::new(MODELS);
    for via in ["test-gate", "another, test-gate", "1,2,3,4,5,6,7,8"] {
        let mut sent = request("/v1/chat/completions", &chat("gpt", "x", false));
        sent.headers_mut().insert("x-tollgate-via", via.parse().unwrap());
        let got = gate.send(sent).await;
        assert_eq!(got.status, 508, "{via}");
        assert!(got.text().contains("OPENAI_BASE_URL"));
    }
    let mut sent = request("/v1/chat/completions", &chat("gpt", "x", false));
    sent.headers_mut().insert("x-tollgate-via", "another".parse().unwrap());
    gate.upstream.on("openai", Reply::json(200, &json!({ "choices": [] })));
    assert_eq!(gate.send(sent).await.status, 200);
    assert_eq!(gate.upstream.requests()[0].headers["x-tollgate-via"], "another, test-gate");
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_sent() {
    let gate = TestGate::new(MODELS);
    gate.journal.set_broken(true);
    let got = gate.chat("gpt", "x").await;
    assert_eq!((got.status, got.json()["error"]["tollgate"]["fault"].clone()), (503, json!("unrecordable")));
    assert!(gate.upstream.requests().is_empty());
    let ready = || Request::get("/readyz").body(Bytes::new()).unwrap();
    assert_eq!(gate.send(ready()).await.status, 503);
    gate.journal.set_broken(false);
    gate.upstream.on("openai", Reply::json(200, &json!({ "choices": [] })));
    assert_eq!(gate.chat("gpt", "x").await.status, 200);
    assert_eq!(gate.send(ready()).await.status, 200);
}

#[tokio::test]
async fn a_gate_that_is_stopping_takes_no_new_calls() {
    let gate = TestGate::new(MODELS);
    gate.gate.drain();
    let got = gate.chat("gpt", "x").await;
    assert_eq!((got.status, gate.closed()["fault"]["class"].clone()), (503, json!("draining")));
    assert_eq!(gate.send(Request::get("/readyz").body(Bytes::new()).unwrap()).await.status, 503);
}

#[tokio::test]
async fn what_the_other_format_cannot_say_is_refused_or_dropped_by_name() {
    let mut body = chat("claude", "x", false);
    body["n"] = json!(2);
    body["store"] = json!(true);
    let gate = TestGate::new(MODELS);
    let got = gate.post("/v1/chat/completions", &body).await;
    assert_eq!((got.status, got.json()["error"]["param"].clone()), (400, json!("n")));
    assert!(got.text().contains("drop_params"));

    let gate = TestGate::new(&format!("{MODELS}drop_params: true\n"));
    let answer = json!({ "id": "msg", "type": "message", "role": "assistant", "model": "m", "content": [{ "type": "text", "text": "hi" }], "stop_reason": "end_turn", "usage": { "input_tokens": 1, "output_tokens": 1 } });
    gate.upstream.on("anthropic", Reply::json(200, &answer));
    assert_eq!(gate.post("/v1/chat/completions", &body).await.status, 200);
    let edits = gate.closed()["edits"].to_string();
    assert!(edits.contains("n: ") && edits.contains("store: "), "{edits}");
}

#[tokio::test]
async fn secrets_that_an_upstream_echoes_do_not_come_back() {
    let gate = TestGate::new(
        "models:\n  gpt: [{ provider: openai, model: gpt-4o, headers: { x-extra: header-secret } }]\nrouting: { retries: 0 }\n",
    );
    for (status, body) in [
        (
            400,
            json!({ "error": { "message": "bad header Bearer sk-openai-secret and header-secret", "type": "sk-openai-secret", "param": "sk-openai-secret", "code": "sk-openai-secret" } }),
        ),
        (500, json!({ "error": "sk-openai-secret" })),
        (401, json!({ "error": { "message": "sk-openai-secret" } })),
    ] {
        gate.upstream.on("openai", Reply::json(status, &body));
        let got = gate.chat("gpt", "x").await;
        assert!(
            !got.text().contains("secret\"")
                && !got.text().contains("sk-openai")
                && !got.text().contains("header-secret"),
            "{}",
            got.text()
        );
    }
    gate.upstream.on("openai", Reply::raw(200, "text/event-stream", "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"error\":{\"message\":\"sk-openai-secret\"}}\n\n"));
    assert!(!gate.chat_stream("gpt", "x").await.text().contains("sk-openai"));
    let records = Value::from(gate.journal.entries()).to_string();
    assert!(!records.contains("sk-openai") && !records.contains("header-secret"));
}

#[tokio::test]
async fn unknown_paths_and_methods_say_what_there_is() {
    let gate = TestGate::new(MODELS);
    let ask = |method: &str, path: &str| {
        Request::builder().method(method).uri(path).header("host", "localhost").body(Bytes::new()).unwrap()
    };
    let got = gate.send(ask("POST", "/v1/nothing")).await;
    assert_eq!(got.status, 404);
    assert!(got.text().contains("/chat/completions"));
    let got = gate.send(ask("GET", "/v1/chat/completions")).await;
    assert_eq!((got.status, got.header("allow")), (405, "POST"));
    assert_eq!(gate.send(ask("DELETE", "/v1/models")).await.status, 405);
    assert_eq!(gate.send(ask("GET", "/v1/models/nothing")).await.status, 404);
    let models = gate.send(ask("GET", "/v1/models")).await.json();
    assert_eq!(models["data"].as_array().unwrap().len(), 2);
    assert_eq!(gate.send(ask("GET", "/models/gpt")).await.json()["id"], "gpt");
    assert!(gate.journal.entries().is_empty());
}

/// Promise 6.
#[tokio::test]
async fn what_stands_behind_the_models_is_told_without_secrets() {
    let gate = TestGate::new(
        "models:\n  m:\n  - { provider: openai, model: gpt-4o, api_key: sk-secret-0123456789, price: { input_usd_per_mtok: 2.5, output_usd_per_mtok: 10 } }\n",
    );
    let ask = |path: &str| Request::get(path).header("host", "localhost").body(Bytes::new()).unwrap();
    let got = gate.send(ask("/v1/model/info")).await;
    assert!(!got.text().contains("secret"), "{}", got.text());
    let of = &got.json()["data"][0];
    assert_eq!((&of["model_name"], &of["litellm_params"]["model"]), (&json!("m"), &json!("openai/gpt-4o")));
    assert_eq!(of["model_info"]["input_cost_per_token"], json!(0.0000025));
    let health = gate.send(ask("/health")).await.json();
    assert_eq!((&health["healthy_count"], &health["unhealthy_count"]), (&json!(1), &json!(0)));
    assert_eq!(health["healthy_endpoints"][0]["model"], "openai/gpt-4o");
    assert!(gate.upstream.requests().is_empty(), "nothing was called");
}

#[tokio::test]
async fn images_by_url_are_refused_with_the_reason_where_only_bytes_are_taken() {
    let gate = TestGate::new(
        "models:\n  m: [{ provider: openai_compatible, base_url: 'http://a', image_urls: false }]\n",
    );
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "https://pictures.example/cat.png" } }] }] });
    let got = gate.post("/v1/chat/completions", &body).await;
    assert_eq!(got.status, 400);
    assert!(got.text().contains("egress.image_hosts"), "{}", got.text());
    let events = gate.journal.of_kind("event");
    assert_eq!(
        (&events[0]["event"], &events[0]["detail"]["host"]),
        (&json!("egress"), &json!("pictures.example"))
    );
}

#[tokio::test]
async fn a_wrong_member_of_a_translated_body_is_named() {
    let cases = [
        (json!({ "temperature": "hot" }), "temperature", "expected a number"),
        (json!({ "messages": "hi" }), "messages", "expected a list"),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": 7 }] }] }),
            "messages[0].content[0].text",
            "expected a string",
        ),
        (
            json!({ "messages": [{ "role": "wizard", "content": "x" }] }),
            "messages[0].role",
            "`wizard` is no role",
        ),
        (
            json!({ "messages": [{ "role": "tool", "content": "x" }] }),
            "messages[0].tool_call_id",
            "is required",
        ),
        (json!({ "tool_choice": "sometimes" }), "tool_choice", "must be"),
    ];
    for (members, param, says) in cases {
        let gate = TestGate::new(MODELS);
        let mut body = chat("claude", "x", false);
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let got = gate.post("/v1/chat/completions", &body).await;
        assert_eq!((got.status, got.json()["error"]["param"].clone()), (400, json!(param)), "{}", got.text());
        assert!(got.text().contains(says), "{}", got.text());
    }
}

/// An id that carries a seal, inside of something that is itself replaced or removed: two edits of one place.
#[tokio::test]
async fn edits_of_one_place_do_not_break_the_gate() {
    let yaml = "models:\n  m: [{ provider: anthropic, model: up }]\n  r: [{ provider: openai, model: up, format: openai_responses }]\n  g: [{ provider: gemini, model: up, api_key: k }]\n";
    let sealed = "dG9sbGdhdGU6Z2VtaW5pOmFiYw==";
    let cases = [
        ("/v1beta/models/g:generateContent", json!({ "model": "a__seal_Z2VtaW5pOng", "contents": [] })),
        (
            "/v1/responses",
            json!({ "model": "r", "input": [{ "type": "reasoning", "id": "c1__seal_Z2VtaW5pOng", "encrypted_content": sealed }] }),
        ),
        (
            "/v1/messages",
            json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": [{ "type": "thinking", "id": "c1__seal_Z2VtaW5pOng", "thinking": "", "signature": sealed }] }] }),
        ),
    ];
    for (path, body) in cases {
        let gate = TestGate::new(yaml);
        let got = gate.post(path, &body).await;
        assert_ne!(got.status, 500, "{path}: {}", got.text());
        assert!(!gate.upstream.requests().is_empty(), "{path}: it was sent");
        let sent = String::from_utf8_lossy(&gate.upstream.requests()[0].body).into_owned();
        assert!(serde_json::from_str::<serde_json::Value>(&sent).is_ok(), "{sent}");
    }
}

#[tokio::test]
async fn a_secret_that_is_cut_off_is_not_shown() {
    let gate = TestGate::new("models: { m: [{ provider: openai }] }\n");
    let text = format!("{}sk-openai-secret", "x".repeat(190));
    gate.upstream.on("openai", Reply::raw(400, "text/plain", text));
    let got = gate.chat("m", "x").await;
    assert!(!got.text().contains("sk-openai-s"), "{}", got.text());
    assert!(!gate.closed().to_string().contains("sk-openai-s"));
}

#[tokio::test]
async fn a_models_name_leads_nowhere_else() {
    let gate = TestGate::new(
        "models: { 'azure/*': [{ provider: azure, model: '*', base_url: 'http://a', api_key: k }] }\n",
    );
    for name in ["azure/..", "azure/.", "azure/x/../y"] {
        assert_eq!(gate.chat(name, "x").await.status, 400, "{name}");
    }
    gate.chat("azure/a b?c#d/e%2f\r\n", "x").await;
    let uri = gate.upstream.requests()[0].uri.to_string();
    assert!(
        uri.starts_with("http://a/openai/deployments/a%20b%3Fc%23d%2Fe%252f%0D%0A/chat/completions?"),
        "{uri}"
    );
}
