//! Golden fixtures: what each format becomes in the other. `fixtures/FROM-to-TO/{request,response,stream}/` holds
//! `CASE.in.*`, written by hand, and `CASE.out.*`, which is compared to the byte. After a wanted change:
//! `UPDATE_FIXTURES=1 cargo test -p tollgate-llm --test golden`, then read the difference.
//!
//! What is written for Amazon Bedrock has passed botocore's validation of parameters for Converse and ConverseStream.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod shared;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::chat::{Event, Kept, Losses, Text};
use tollgate_llm::formats::{AnswerFor, ChatClient, ChatUpstream, Kind, Shown, Surface, Target, find};
use tollgate_llm::framing::{EventReader, Framing};
use tollgate_llm::sse::SseReader;

/// What the upstream of a case is like, told by its format and the case's name.
fn target(to: &str, case: &str) -> Target {
    let model = match (to, case.rsplit('-').next()) {
        ("bedrock_converse", Some("nova")) => "us.amazon.nova-2-lite-v1:0",
        ("bedrock_converse", _) => "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        _ if case.ends_with("-2-5") => "gemini-2.5-flash",
        _ => "upstream-model",
    };
    Target {
        model: model.into(),
        adaptive_thinking: case.ends_with("-adaptive"),
        stream_usage: true,
        max_output_tokens: Some(8192),
        native_schema: case.ends_with("-native"),
        ..Target::default()
    }
}

fn answer(case: &str) -> AnswerFor {
    AnswerFor {
        created: 1_700_000_000,
        stream_usage: true,
        schema_tool: case == "schema-tool",
        base64: case.starts_with("base64"),
        ..AnswerFor::default()
    }
}

/// The client's half of the format called `name`.
fn client(name: &str) -> &'static dyn ChatClient {
    surface(name).chat_client().unwrap()
}

/// The surface called `name`.
fn surface(name: &str) -> &'static dyn Surface {
    find(name).unwrap().surface().unwrap()
}

/// The upstream's half of the format called `name`.
fn upstream(name: &str) -> &'static dyn ChatUpstream {
    find(name).unwrap().chat_upstream().unwrap()
}

/// A request, and below it what was lost.
fn lost(body: &[u8], schema_tool: bool, losses: &Losses) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    let losses: Vec<String> = losses
        .iter()
        .map(|l| {
            let mark = match l.kept {
                Kept::Nearly => "~ ",
                Kept::LeftOut => "",
                Kept::Not => "! ",
            };
            format!("{mark}{}: {}", l.member, l.why)
        })
        .collect();
    pretty(&serde_json::json!({ "body": body, "losses": losses, "schema_tool": schema_tool }))
}

/// A translated request.
fn request(from: &str, to: &str, case: &str, text: &str) -> String {
    let (from, to, target) = (surface(from), find(to).unwrap(), target(to, case));
    let mut losses = Losses::default();
    match from.kind() {
        Kind::Chat => {
            let from = from.chat_client().unwrap();
            losses = Losses::new(from.spelling());
            let read = from.read_request(text, &mut losses).unwrap();
            let to = to.chat_upstream().unwrap();
            let (body, schema_tool) = to.write_request(&read, &target, &mut losses).unwrap();
            lost(&body, schema_tool, &losses)
        }
        Kind::Embeddings => {
            let read = from.embeddings_client().unwrap().read_request(text, &mut losses).unwrap();
            let to = to.embeddings_upstream().unwrap();
            lost(&to.write_request(&read, &target, &mut losses).unwrap(), false, &losses)
        }
        Kind::Rerank => {
            let read = from.rerank_client().unwrap().read_request(text, &mut losses).unwrap();
            lost(&to.rerank_upstream().unwrap().write_request(&read, &target, &mut losses), false, &losses)
        }
        Kind::Images => panic!("pictures are not translated"),
    }
}

/// A translated answer. One that repeats documents repeats these.
fn response(from: &str, to: &str, case: &str, text: &str) -> String {
    let (from, to, answer) = (find(from).unwrap(), surface(to), answer(case));
    let documents = [Text::new("the first"), Text::new("the second")];
    let body = match to.kind() {
        Kind::Chat => {
            let read = from.chat_upstream().unwrap().read_response(text.as_bytes()).unwrap();
            to.chat_client().unwrap().write_response(&read.named("call-id", "upstream-model"), &answer)
        }
        Kind::Embeddings => {
            let read = from.embeddings_upstream().unwrap().read_response(text.as_bytes()).unwrap();
            to.embeddings_client().unwrap().write_response(&read, &answer)
        }
        Kind::Rerank => {
            let read = from.rerank_upstream().unwrap().read_response(text.as_bytes()).unwrap();
            let documents = case.starts_with("documents").then_some(&documents[..]);
            to.rerank_client().unwrap().write_response(&read, documents)
        }
        Kind::Images => panic!("pictures are not translated"),
    };
    pretty(&serde_json::from_slice(&body).unwrap())
}

fn stream(from: &dyn ChatUpstream, to: &dyn ChatClient, answer: &AnswerFor, text: &str) -> String {
    let mut events = EventReader::new(from.framing(), 1 << 20);
    match from.framing() {
        Framing::Sse => events.push(text.as_bytes()),
        Framing::AwsEventStream => text.lines().for_each(|line| events.push(&framed(line))),
    }
    let (mut reader, mut writer) = (from.stream_reader(), to.stream_writer(answer));
    let mut out = Vec::new();
    let mut open = false;
    while let Some(event) = events.next_event().unwrap().or_else(|| events.finish()) {
        for event in reader.read(&event).unwrap() {
            open |= matches!(event, Event::Stop(_));
            open &= event != Event::Done;
            writer.write(event.named("call-id", "upstream-model"), &mut out);
        }
    }
    // Not every format marks the end of a stream that has stopped.
    if open {
        writer.write(Event::Done, &mut out);
    }
    String::from_utf8(out).unwrap()
}

/// A line `{"event", "data"}` as the frame that it stands for.
fn framed(line: &str) -> Vec<u8> {
    let line: Value = serde_json::from_str(line).unwrap();
    tollgate_testkit::frame(line["event"].as_str().unwrap(), line["data"].to_string().as_bytes())
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

fn cases() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.to_string_lossy().contains(".in.") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"), &mut found);
    found.sort();
    found
}

/// What a case becomes. Frames are written as lines, and become server-sent events.
fn expected(path: &Path) -> PathBuf {
    let out = path.to_string_lossy().replace(".in.", ".out.");
    out.strip_suffix(".jsonl").map_or(PathBuf::from(&out), |stem| format!("{stem}.sse").into())
}

/// Direction, kind and name of a case.
fn parts(path: &Path) -> (String, String, String, String) {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let kind = path.parent().unwrap();
    let direction = name(kind.parent().unwrap());
    let (from, to) = direction.split_once("-to-").unwrap();
    let case = name(path).split('.').next().unwrap().to_owned();
    (from.to_owned(), to.to_owned(), name(kind), case)
}

#[test]
fn every_fixture_becomes_what_it_should() {
    let mut wrong = String::new();
    let cases = cases();
    assert!(cases.len() >= 25);
    for path in cases {
        let (from, to, kind, case) = parts(&path);
        let text = std::fs::read_to_string(&path).unwrap();
        let got = match kind.as_str() {
            "request" => request(&from, &to, &case, &text),
            "response" => response(&from, &to, &case, &text),
            "stream" => stream(upstream(&from), client(&to), &answer(&case), &text),
            other => panic!("{other}"),
        };
        let expected = expected(&path);
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::write(&expected, &got).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != got {
            write!(wrong, "\n{}:\n{got}", expected.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The document as plain JSON Schema: `nullable` is OpenAPI's, and the kinds that its `oneOf`s list overlap.
fn plain(value: &mut Value) {
    if let Value::Object(members) = value {
        if let Some(kinds) = members.remove("oneOf") {
            members.insert("anyOf".into(), kinds);
        }
        if members.get("nullable") == Some(&Value::Bool(true))
            && let Some(kind @ Value::String(_)) = members.get("type").cloned()
        {
            members.insert("type".into(), serde_json::json!([kind, "null"]));
        }
        members.values_mut().for_each(plain);
    } else if let Value::Array(values) = value {
        values.iter_mut().for_each(plain);
    }
}

/// The published schema of OpenAI's API, for the type called `name`.
fn openai_schema(name: &str) -> Option<jsonschema::Validator> {
    let mut document: Value = serde_json::from_str(&shared::read("specs/openai/openapi.json")?).unwrap();
    plain(&mut document);
    // It forbids null where the real API sends it.
    let choice = &mut document["components"]["schemas"]["CreateChatCompletionStreamResponse"]["properties"]["choices"]
        ["items"];
    for member in ["finish_reason", "logprobs"] {
        let was = choice["properties"][member].take();
        choice["properties"][member] = serde_json::json!({ "anyOf": [was, { "type": "null" }] });
    }
    document["$ref"] = Value::from(format!("#/components/schemas/{name}"));
    Some(jsonschema::validator_for(&document).unwrap())
}

fn check(schema: &jsonschema::Validator, value: &Value, what: &dyn std::fmt::Debug) {
    let errors: Vec<String> =
        schema.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{what:?}: {errors:#?}\n{value}");
}

fn chunks(stream: &str) -> Vec<Value> {
    stream
        .lines()
        .filter_map(|l| l.strip_prefix("data: "))
        .filter(|d| *d != "[DONE]")
        .map(|d| serde_json::from_str(d).unwrap())
        .collect()
}

#[test]
fn what_we_write_for_openai_fits_the_published_schema() {
    let (Some(request_schema), Some(response_schema), Some(chunk_schema)) = (
        openai_schema("CreateChatCompletionRequest"),
        openai_schema("CreateChatCompletionResponse"),
        openai_schema("CreateChatCompletionStreamResponse"),
    ) else {
        return;
    };
    for path in cases().into_iter().filter(|p| p.to_string_lossy().contains("-to-openai_chat")) {
        let (_, _, kind, _) = parts(&path);
        let out = std::fs::read_to_string(expected(&path)).unwrap();
        match kind.as_str() {
            "request" => check(&request_schema, &serde_json::from_str::<Value>(&out).unwrap()["body"], &path),
            "response" => check(&response_schema, &serde_json::from_str(&out).unwrap(), &path),
            _ => chunks(&out).iter().for_each(|chunk| check(&chunk_schema, chunk, &path)),
        }
    }
    // The simulator's own answers, too.
    let openai = client("openai_chat");
    for prompt in ["Hello", "please call f"] {
        let body = |stream: bool| {
            serde_json::json!({ "model": "m", "stream": stream, "stream_options": { "include_usage": true },
            "messages": [{ "role": "user", "content": prompt }],
            "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }] })
        };
        let bytes = |stream: bool| played(openai, &body(stream).to_string(), stream);
        check(&response_schema, &serde_json::from_slice(&bytes(false)).unwrap(), &prompt);
        chunks(&String::from_utf8(bytes(true)).unwrap())
            .iter()
            .for_each(|chunk| check(&chunk_schema, chunk, &prompt));
    }
}

#[test]
fn what_we_write_for_openai_responses_fits_the_published_schema() {
    let (Some(request_schema), Some(response_schema), Some(event_schema)) =
        (openai_schema("CreateResponse"), openai_schema("Response"), openai_schema("ResponseStreamEvent"))
    else {
        return;
    };
    let events = |stream: &str, what: &dyn std::fmt::Debug| {
        for (number, event) in chunks(stream).iter().enumerate() {
            check(&event_schema, event, what);
            assert_eq!(event["sequence_number"], number, "{what:?}");
        }
    };
    for path in cases().into_iter().filter(|p| p.to_string_lossy().contains("-to-openai_responses")) {
        let (_, _, kind, _) = parts(&path);
        let out = std::fs::read_to_string(expected(&path)).unwrap();
        match kind.as_str() {
            "request" => check(&request_schema, &serde_json::from_str::<Value>(&out).unwrap()["body"], &path),
            "response" => check(&response_schema, &serde_json::from_str(&out).unwrap(), &path),
            _ => events(&out, &path),
        }
    }
    // The requests that the fixtures begin with fit, too: they are what clients write.
    for path in cases().into_iter().filter(|p| p.to_string_lossy().contains("/openai_responses-to-")) {
        let (_, _, kind, case) = parts(&path);
        if kind == "request" && !["agent", "losses"].contains(&case.as_str()) {
            let written = std::fs::read_to_string(&path).unwrap();
            check(&request_schema, &serde_json::from_str(&written).unwrap(), &path);
        }
    }
    // The simulator's own answers, too.
    let responses = client("openai_responses");
    for prompt in ["Hello", "please call f"] {
        let body = serde_json::json!({ "model": "m", "input": prompt,
            "tools": [{ "type": "function", "name": "f", "parameters": { "type": "object" } }] })
        .to_string();
        check(&response_schema, &serde_json::from_slice(&played(responses, &body, false)).unwrap(), &prompt);
        let streamed = String::from_utf8(played(responses, &body, true)).unwrap();
        events(&streamed, &prompt);
        assert!(streamed.contains("event: response.completed"), "{streamed}");
    }
    // And so does an error in the middle of a stream.
    for class in [FaultClass::Cut, FaultClass::RateLimited] {
        let fault = Fault::new(class, "It broke.");
        let shown = Shown::stranger(&fault);
        let told = surface("openai_responses").write_stream_error(&shown, &answer(""));
        events(&String::from_utf8(told).unwrap(), &class);
    }
}

/// What the simulator sends.
fn played(format: &dyn ChatClient, body: &str, stream: bool) -> Vec<u8> {
    let sent = |piece| if let tollgate_llm::simulator::Piece::Send(bytes) = piece { bytes } else { vec![] };
    tollgate_llm::simulator::play(format, body, stream, 1).pieces.into_iter().flat_map(sent).collect()
}

#[test]
fn recorded_anthropic_streams_are_read_whole_and_translated() {
    let (anthropic, openai) = (upstream("anthropic_messages"), client("openai_chat"));
    let Some(chunk_schema) = openai_schema("CreateChatCompletionStreamResponse") else { return };
    let recorded = [
        ("basic_response", "Hello there!", "stop", 6),
        ("tool_use_response", "I'll check the current weather in Paris for you.", "tool_calls", 65),
        (
            "incomplete_partial_json_response",
            "I'll create a comprehensive tax guide for someone with multiple W2s and save it in a file called taxes.txt. Let me do that for you now.",
            "length",
            124,
        ),
        ("refusal_response", "", "content_filter", 0),
        ("compaction_response", "Hello there!", "stop", 8),
        ("fallback_response", "Hello there!", "stop", 8),
        ("fallback_credit_response", "Hello there!", "stop", 8),
    ];
    for (name, text, finish, output_tokens) in recorded {
        let Some(recording) = shared::read(&format!("specs/anthropic/streams/{name}.txt")) else { return };
        let out =
            stream(anthropic, openai, &AnswerFor { stream_usage: true, ..AnswerFor::default() }, &recording);
        let chunks = chunks(&out);
        chunks.iter().for_each(|chunk| check(&chunk_schema, chunk, &name));
        let said: String =
            chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(said, text, "{name}");
        assert!(chunks.iter().any(|c| c["choices"][0]["finish_reason"] == finish), "{name}: {out}");
        assert_eq!(chunks.last().unwrap()["usage"]["completion_tokens"], output_tokens, "{name}");
        assert!(out.ends_with("data: [DONE]\n\n"));

        // The watcher sees the same usage as the translation, and its last event.
        let mut watcher = surface("anthropic_messages").watcher(&AnswerFor::default());
        let mut events = SseReader::new(1 << 20);
        events.push(recording.as_bytes());
        let mut last = None;
        while let Some(event) = events.next_event().unwrap().or_else(|| events.finish()) {
            last = Some(watcher.event(&event));
        }
        assert_eq!(last, Some(tollgate_llm::formats::Watch::Last), "{name}");
        assert_eq!(watcher.usage().unwrap().output_tokens, output_tokens, "{name}");
    }
}
