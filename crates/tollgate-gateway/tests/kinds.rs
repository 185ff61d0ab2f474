//! Calls that are no chats: vectors, pictures and reranking, between formats and within one.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tollgate_testkit::{Reply, TestGate, request};

const MODELS: &str = "models:
  small: [{ provider: openai, model: text-embedding-3-small }]
  cohere: [{ provider: cohere, model: embed-v4.0, api_key: co-secret, base_url: 'https://api.cohere.com/v1' }]
  gemini: [{ provider: gemini, model: gemini-embedding-001, api_key: g-secret }]
  claude: [{ provider: anthropic, model: claude-sonnet-4-5 }]
  picture: [{ provider: openai, model: gpt-image-1 }]
  dalle: [{ provider: openai, model: dall-e-3, price: { usd_per_image: \"0.04\" } }]
  unpriced: [{ provider: openai, model: painter-of-tomorrow }]
  rerank: [{ provider: cohere, model: rerank-v3.5, api_key: co-secret, price: { usd_per_1k_searches: 2 } }]
  local: [{ provider: vllm, model: bge, base_url: 'http://a/v1', price: { usd_per_1k_searches: 2 } }]
";

fn raw(path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let mut request = request(path, &json!({}));
    *request.body_mut() = body.into();
    request
}

/// The address and the body of the last request to an upstream.
fn sent(gate: &TestGate) -> (String, Value) {
    let uri = gate.upstream.requests().last().map(|request| request.uri.to_string());
    (uri.unwrap_or_default(), gate.upstream.last_body())
}

#[tokio::test]
async fn embeddings_of_the_same_format_pass_to_the_byte() {
    let gate = TestGate::new(MODELS);
    let answer = r#"{"object":"list", "data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}"#;
    gate.upstream.on("openai", Reply::raw(200, "application/json", answer));
    let body = r#"{"input" : [[1,2],[3]], "model":"small","encoding_format":"base64","future":1}"#;
    let got = gate.send(raw("/v1/embeddings", body)).await;
    assert_eq!((got.status, got.text()), (200, answer.to_owned()));
    let upstream = gate.upstream.requests().pop().unwrap();
    assert_eq!(upstream.uri, "https://api.openai.com/v1/embeddings");
    assert_eq!(String::from_utf8_lossy(&upstream.body), body.replace("small", "text-embedding-3-small"));
    let closed = gate.closed();
    assert_eq!(closed["usage"], json!({ "input_tokens": 5, "output_tokens": 0, "source": "reported" }));
    // 5 tokens at 0.02 dollars for a million
    assert_eq!(closed["cost_nano_usd"], 100);
}

#[tokio::test]
async fn embeddings_are_translated_for_cohere() {
    let gate = TestGate::new(MODELS);
    let answer = json!({ "id": "e", "embeddings": { "float": [[1.0, -0.5]] }, "meta": { "billed_units": { "input_tokens": 3 } } });
    for (encoding, vector) in [("float", json!([1.0, -0.5])), ("base64", json!("AACAPwAAAL8="))] {
        gate.upstream.on("cohere", Reply::json(200, &answer));
        let body =
            json!({ "model": "cohere", "input": "x", "encoding_format": encoding, "input_type": "query" });
        let got = gate.post("/v1/embeddings", &body).await;
        assert_eq!(got.json()["data"], json!([{ "object": "embedding", "index": 0, "embedding": vector }]));
        assert_eq!(
            (&got.json()["model"], &got.json()["usage"]["prompt_tokens"]),
            (&json!("embed-v4.0"), &json!(3))
        );
        let (uri, body) = sent(&gate);
        assert_eq!(uri, "https://api.cohere.com/v2/embed", "the version was taken off the base URL");
        let expected = json!({ "model": "embed-v4.0", "texts": ["x"], "input_type": "search_query", "embedding_types": ["float"] });
        assert_eq!(body, expected);
        assert_eq!(gate.upstream.requests()[0].headers["authorization"], "Bearer co-secret");
    }
    let got = gate.post("/v1/embeddings", &json!({ "model": "cohere", "input": [1, 2] })).await;
    assert_eq!((got.status, &got.json()["error"]["param"]), (400, &json!("input")));
    assert_eq!(gate.upstream.requests().len(), 2, "nothing was sent");
}

#[tokio::test]
async fn embeddings_are_translated_for_gemini() {
    let gate = TestGate::new(MODELS);
    let body = |encoding: &str| json!({ "model": "gemini", "input": ["x", "y"], "dimensions": 2, "encoding_format": encoding });
    let answer = json!({ "embeddings": [{ "values": [1.0, -0.5] }, { "values": [0.0, 1.0] }] });
    gate.upstream.on("gemini", Reply::json(200, &answer));
    let got = gate.post("/v1/embeddings", &body("float")).await;
    assert_eq!(got.json()["data"][1], json!({ "object": "embedding", "index": 1, "embedding": [0.0, 1.0] }));
    assert_eq!(got.header("x-tollgate-usage-source"), "estimated", "Google reports none");
    assert!(got.json()["usage"]["prompt_tokens"].as_u64() > Some(0));
    assert_eq!(gate.closed()["usage"]["source"], "estimated");
    let (uri, sent) = sent(&gate);
    assert_eq!(
        uri,
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-embedding-001:batchEmbedContents"
    );
    let one = |text: &str| json!({ "model": "models/gemini-embedding-001", "content": { "parts": [{ "text": text }] }, "outputDimensionality": 2 });
    assert_eq!(sent, json!({ "requests": [one("x"), one("y")] }));
    gate.upstream.on("gemini", Reply::json(200, &answer));
    let got = gate.post("/v1/embeddings", &body("base64")).await;
    assert_eq!(got.json()["data"][0]["embedding"], "AACAPwAAAL8=");
}

#[tokio::test]
async fn pictures_are_billed_by_tokens_or_by_the_piece() {
    let tokens = json!({ "created": 1, "data": [{ "b64_json": "AAAA" }], "usage": { "input_tokens": 10, "output_tokens": 272, "total_tokens": 282, "input_tokens_details": { "text_tokens": 10, "image_tokens": 0 } } });
    let two = json!({ "created": 1, "data": [{ "url": "http://a" }, { "url": "http://b" }] });
    let usage =
        json!({ "input_tokens": 10, "output_tokens": 272, "output_image_tokens": 272, "source": "reported" });
    let pieces = json!({ "input_tokens": 0, "output_tokens": 0, "images": 2, "source": "reported" });
    for (model, answer, usage, cost) in [
        ("picture", &tokens, usage, None),
        ("dalle", &two, pieces.clone(), Some(json!(80_000_000))),
        ("unpriced", &two, pieces, Some(json!("unknown"))),
    ] {
        let gate = TestGate::new(MODELS);
        gate.upstream.on("openai", Reply::json(200, answer));
        let got =
            gate.post("/v1/images/generations", &json!({ "model": model, "prompt": "a cat", "n": 2 })).await;
        assert_eq!(got.json(), *answer, "{model}");
        assert_eq!(sent(&gate).0, "https://api.openai.com/v1/images/generations");
        let closed = gate.closed();
        assert_eq!(closed["usage"], usage, "{model}");
        match cost {
            Some(cost) => assert_eq!(closed["cost_nano_usd"], cost, "{model}"),
            None => assert!(closed["cost_nano_usd"].as_u64() > Some(0), "{closed}"),
        }
    }
}

#[tokio::test]
async fn a_picture_to_be_changed_passes_as_a_form_whose_model_is_replaced() {
    let gate = TestGate::new(MODELS);
    let answer = json!({ "created": 1, "data": [{ "b64_json": "AAAA" }] });
    gate.upstream.on("openai", Reply::json(200, &answer));
    let picture = b"\x89PNG\r\n\x1a\n\xff\x00--b1 picture";
    let form = |model: &str| {
        let mut body = b"--b1\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n".to_vec();
        body.extend_from_slice(picture);
        body.extend_from_slice(
            format!("\r\n--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b1\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na cat\r\n--b1--\r\n")
                .as_bytes(),
        );
        body
    };
    let mut request = raw("/v1/images/edits", form("picture"));
    let content_type = "multipart/form-data; boundary=b1";
    request.headers_mut().insert("content-type", content_type.parse().unwrap());
    let got = gate.send(request).await;
    assert_eq!((got.status, got.json()), (200, answer));
    let upstream = gate.upstream.requests().pop().unwrap();
    assert_eq!(upstream.uri, "https://api.openai.com/v1/images/edits");
    assert_eq!(upstream.headers["content-type"], content_type);
    assert_eq!(upstream.body, form("gpt-image-1"), "the picture is untouched");
}

#[tokio::test]
async fn reranking_within_a_format_passes_to_the_byte() {
    let gate = TestGate::new(MODELS);
    let answer = r#"{"id":"r", "model":"bge","usage":{"total_tokens":56},"results":[{"index":1,"document":{"text":"b"},"relevance_score":0.9980}]}"#;
    gate.upstream.on("vllm", Reply::raw(200, "application/json", answer));
    let body = r#"{"model":"local", "query":"q","documents":["a",{"text":"b"}],"truncate_prompt_tokens":9}"#;
    let got = gate.send(raw("/v1/rerank", body)).await;
    assert_eq!((got.status, got.text()), (200, answer.to_owned()));
    let upstream = gate.upstream.requests().pop().unwrap();
    assert_eq!(upstream.uri, "http://a/v1/rerank");
    assert_eq!(String::from_utf8_lossy(&upstream.body), body.replace("\"local\"", "\"bge\""));
    assert_eq!(gate.closed()["usage"]["input_tokens"], 56);

    // Cohere's second version passes to Cohere, with what only it can say.
    let gate = TestGate::new(MODELS);
    let answer = r#"{"id":"r","results":[{"index":0,"relevance_score":0.50,"relevant_spans":[]}],"meta":{"billed_units":{"search_units":3}}}"#;
    gate.upstream.on("cohere", Reply::raw(200, "application/json", answer));
    let body =
        json!({ "model": "rerank", "query": "q", "documents": ["a"], "relevant_spans": { "mode": "fast" } });
    assert_eq!(gate.post("/v2/rerank", &body).await.text(), answer);
    let (uri, sent) = sent(&gate);
    assert_eq!(
        (uri.as_str(), &sent["relevant_spans"]["mode"]),
        ("https://api.cohere.com/v2/rerank", &json!("fast"))
    );
    // three searches at 2 dollars for a thousand
    assert_eq!(gate.closed()["cost_nano_usd"], 6_000_000);
}

#[tokio::test]
async fn a_client_gets_its_documents_back_from_an_upstream_that_repeats_none() {
    let gate = TestGate::new(MODELS);
    let answer = json!({ "id": "r", "results": [{ "index": 1, "relevance_score": 0.9 }, { "index": 0, "relevance_score": 0.1 }], "meta": { "billed_units": { "search_units": 1 } } });
    gate.upstream.on("cohere", Reply::json(200, &answer));
    let documents = json!(["a", { "text": "\u{e9}\n" }]);
    let body = json!({ "model": "rerank", "query": "q", "documents": documents, "top_n": 2, "return_documents": true });
    let got = gate.post("/rerank", &body).await;
    let expected = json!({
        "id": "r",
        "results": [
            { "index": 1, "relevance_score": 0.9, "document": { "text": "\u{e9}\n" } },
            { "index": 0, "relevance_score": 0.1, "document": { "text": "a" } },
        ],
        "meta": { "billed_units": { "search_units": 1 } },
    });
    assert_eq!(got.json(), expected);
    let (uri, sent) = sent(&gate);
    assert_eq!(uri, "https://api.cohere.com/v2/rerank");
    let expected =
        json!({ "model": "rerank-v3.5", "query": "q", "documents": ["a", "\u{e9}\n"], "top_n": 2 });
    assert_eq!(sent, expected);
    let closed = gate.closed();
    assert_eq!(closed["usage"]["searches"], 1);
    assert_eq!(closed["cost_nano_usd"], 2_000_000);

    // What cannot be said is refused in Cohere's words.
    let body = json!({ "model": "rerank", "query": "q", "documents": [], "rank_fields": ["title"] });
    let got = gate.post("/v1/rerank", &body).await;
    assert_eq!(got.status, 400);
    assert!(got.json()["message"].as_str().unwrap().contains("`rank_fields`"), "{}", got.text());
}

#[tokio::test]
async fn searches_are_estimated_where_nobody_counts_them() {
    for (provider, model) in [("cohere", "rerank"), ("vllm", "local")] {
        let gate = TestGate::new(MODELS);
        gate.upstream.on(provider, Reply::json(200, &json!({ "results": [] })));
        let documents = vec!["d"; 101];
        let body = json!({ "model": model, "query": "q", "documents": documents });
        assert_eq!(gate.post("/v1/rerank", &body).await.status, 200);
        let closed = gate.closed();
        assert_eq!(closed["usage"]["searches"], 2, "{model}");
        assert_eq!(closed["usage"]["source"], "estimated", "{model}");
        assert_eq!(closed["cost_nano_usd"], 4_000_000, "{model}");
    }
}

#[tokio::test]
async fn a_provider_that_lacks_the_kind_says_so() {
    let gate = TestGate::new(&format!("{MODELS}  play: [{{ provider: simulator }}]\n"));
    for (path, model, lacks) in [
        ("/v1/embeddings", "claude", "openai_embeddings"),
        ("/v1/rerank", "small", "cohere_rerank"),
        ("/v2/rerank", "play", "cohere_rerank_v2"),
        ("/v1/images/generations", "cohere", "openai_images"),
    ] {
        let body = json!({ "model": model, "input": "x", "prompt": "x", "query": "q", "documents": ["a"] });
        let got = gate.post(path, &body).await;
        assert_eq!(got.status, 400, "{path}");
        let error = got.json();
        let message = error["message"].as_str().or(error["error"]["message"].as_str()).unwrap();
        assert!(message.contains(&format!("this provider has no {lacks}")), "{path}: {message}");
    }
    assert!(gate.upstream.requests().is_empty());
}

/// Cohere does not say which model answers; clients expect to be told.
#[tokio::test]
async fn a_chat_with_cohere_names_the_model_that_was_asked() {
    let gate = TestGate::new(
        "models:\n  command: [{ provider: cohere, model: command-a-03-2025, api_key: co-secret }]\n",
    );
    let answer = json!({ "id": "c", "finish_reason": "COMPLETE", "message": { "role": "assistant", "content": [{ "type": "text", "text": "hi" }] }, "usage": { "billed_units": { "input_tokens": 4, "output_tokens": 2 }, "tokens": { "input_tokens": 70, "output_tokens": 3 } } });
    gate.upstream.on("cohere", Reply::json(200, &answer));
    let got = gate.chat("command", "hello").await;
    assert_eq!(got.json()["model"], "command-a-03-2025");
    assert_eq!(got.json()["choices"][0]["message"]["content"], "hi");
    assert_eq!(sent(&gate).0, "https://api.cohere.com/v2/chat");
    let closed = gate.closed();
    assert_eq!(closed["usage"]["input_tokens"], 4, "what is billed counts");
    // 4 tokens at 2.50 and 2 at 10 dollars for a million
    assert_eq!(closed["cost_nano_usd"], 30_000);

    let events = [
        json!({ "type": "message-start", "id": "s", "delta": { "message": { "role": "assistant", "content": [] } } }),
        json!({ "type": "content-delta", "index": 0, "delta": { "message": { "content": { "text": "hi" } } } }),
        json!({ "type": "message-end", "delta": { "finish_reason": "COMPLETE", "usage": { "billed_units": { "input_tokens": 4, "output_tokens": 2 } } } }),
    ];
    let stream = events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap()));
    gate.upstream.on("cohere", Reply::raw(200, "text/event-stream", stream.collect::<String>()));
    let got = gate.chat_stream("command", "hello").await.text();
    assert!(got.contains("\"model\":\"command-a-03-2025\"") && got.contains("\"content\":\"hi\""), "{got}");
    assert!(got.ends_with("data: [DONE]\n\n"), "{got}");
}
