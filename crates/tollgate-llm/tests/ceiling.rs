//! A shorter answer than the request asks for, in each format that clients speak.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use tollgate_llm::formats::{Address, Target, find};
use tollgate_llm::json::splice;

fn edited(format: &str, body: &str, legacy: bool) -> Value {
    let surface = find(format).unwrap().surface().unwrap();
    let address = Address { model: Some("m"), ..Address::default() };
    let found = surface.peek(body, &address).unwrap().found;
    let target = Target {
        model: "m".into(),
        output_ceiling: Some(7),
        legacy_max_tokens: legacy,
        stream_usage: true,
        ..Target::default()
    };
    let same = surface.same_format(body, found, &target).unwrap();
    serde_json::from_slice(&splice(body, same.edits)).unwrap()
}

#[test]
fn every_format_says_it_in_its_own_words() {
    for (format, body, pointer) in [
        ("openai_chat", r#"{"model":"m","messages":[]}"#, "/max_completion_tokens"),
        ("openai_chat", r#"{"model":"m","max_tokens":99,"stream":true}"#, "/max_tokens"),
        ("openai_chat", r#"{"model":"x","max_tokens":99,"max_completion_tokens":98}"#, "/max_tokens"),
        (
            "openai_chat",
            r#"{"model":"x","max_tokens":99,"max_completion_tokens":98}"#,
            "/max_completion_tokens",
        ),
        ("openai_responses", r#"{"model":"m","input":"x"}"#, "/max_output_tokens"),
        ("openai_responses", r#"{"model":"m","max_output_tokens":null}"#, "/max_output_tokens"),
        ("anthropic_messages", r#"{"model":"m","messages":[]}"#, "/max_tokens"),
        ("anthropic_messages", r#"{"model":"m","max_tokens":99}"#, "/max_tokens"),
        ("gemini", "{}", "/generationConfig/maxOutputTokens"),
        ("gemini", r#"{"generationConfig":null}"#, "/generationConfig/maxOutputTokens"),
        ("gemini", r#"{"generationConfig":{"topK":1}}"#, "/generationConfig/maxOutputTokens"),
        (
            "gemini",
            r#"{"generation_config":{"max_output_tokens":99}}"#,
            "/generation_config/max_output_tokens",
        ),
    ] {
        let edited = edited(format, body, false);
        assert_eq!(edited.pointer(pointer), Some(&7.into()), "{format} {body}: {edited}");
    }
    let newer = edited("openai_chat", r#"{"model":"m","max_completion_tokens":99}"#, true);
    assert_eq!((&newer["max_tokens"], &newer["max_completion_tokens"]), (&7.into(), &7.into()));
    let legacy = edited("openai_chat", r#"{"model":"m","messages":[]}"#, true);
    assert_eq!(legacy["max_tokens"], 7, "as servers know it that know only this word");
}
