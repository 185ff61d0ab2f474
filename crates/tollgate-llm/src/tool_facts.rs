//! What records keep of tools in every mode: which were offered, which results a prompt carries, which the model chose.

use memchr::memmem::Finder;
use serde::Serialize;
use serde_json::Value;

use crate::chat::{Losses, Part, Response, ToolCall, bare_id};
use crate::formats::ChatClient;
use crate::json::canonical;

/// Names that are kept of very many tools.
const MOST_NAMES: usize = 256;

/// Ids of results that are kept: the latest of a long conversation.
const MOST_RESULTS: usize = 64;

/// The longest name or id that is kept: providers take 64 characters.
const LONGEST: usize = 128;

/// `text`, cut to what is kept. The same for a choice and for its result, so that they stay tied.
pub fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// What a request says of tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolFacts {
    /// How many are offered.
    pub count: usize,
    /// Their names, in the order of the request; the first of them where there are very many.
    pub names: Vec<String>,
    /// All of them with descriptions and schemas, in canonical JSON: what a digest is made of.
    pub definitions: String,
    /// The calls whose results the prompt carries, the latest last.
    pub results: Vec<String>,
}

/// A tool as it is digested: the same in every format.
#[derive(Serialize)]
struct Definition<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
}

/// Whether `body` may say something of tools. All formats have `tool` or `unction` in the names of what does; a name
/// may be written with escapes.
pub fn may_mention_tools(body: &str) -> bool {
    let bytes = body.as_bytes();
    [&b"tool"[..], b"unction", b"\\u00"].iter().any(|word| Finder::new(word).find(bytes).is_some())
}

/// What a request in `client`'s format says of tools; `Err` where it cannot be read, though an upstream may.
pub fn in_request(client: &dyn ChatClient, body: &str) -> Result<ToolFacts, String> {
    let request = client.read_request(body, &mut Losses::default()).map_err(|e| e.to_string())?;
    let definitions: Vec<Definition<'_>> = request
        .tools
        .iter()
        .map(|tool| Definition {
            name: &tool.name,
            description: tool.description.as_ref().map(|text| text.decoded().into_owned()),
            schema: tool.schema.as_ref().and_then(|schema| serde_json::from_str(schema.get()).ok()),
        })
        .collect();
    let definitions = if definitions.is_empty() {
        String::new()
    } else {
        serde_json::to_value(&definitions).map(|value| canonical(&value)).unwrap_or_default()
    };
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let mut results: Vec<String> = parts
        .filter_map(|part| match part {
            Part::ToolResult { id, .. } => Some(clipped(&bare_id(id.as_ref().into())).to_owned()),
            _ => None,
        })
        .collect();
    results.drain(..results.len().saturating_sub(MOST_RESULTS));
    let names = request.tools.iter().take(MOST_NAMES).map(|tool| clipped(&tool.name).to_owned()).collect();
    Ok(ToolFacts { count: request.tools.len(), names, definitions, results })
}

/// The calls that an answer chose, in all of its choices.
pub fn chosen(response: &Response) -> impl Iterator<Item = &ToolCall> {
    response.choices.iter().flat_map(crate::chat::Choice::calls)
}

/// What an answer said, as JSON: its texts and tool calls.
pub fn transcript(response: &Response) -> String {
    let choices = response.choices.iter().map(|choice| {
        let calls = choice.calls().map(|call| {
            serde_json::json!({ "id": bare_id(call.id.as_str().into()), "name": call.name, "arguments": call.arguments })
        });
        let calls: Vec<Value> = calls.collect();
        serde_json::json!({ "text": choice.text().or(choice.refusal()), "tool_calls": calls })
    });
    Value::Array(choices.collect()).to_string()
}

/// The arguments of a call as they are digested: canonical where they are JSON, as they are otherwise.
pub fn canonical_arguments(arguments: &str) -> String {
    serde_json::from_str::<Value>(arguments).map_or_else(|_| arguments.to_owned(), |value| canonical(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::ALL;

    fn client(name: &str) -> &'static dyn ChatClient {
        let format = ALL.iter().find(|format| format.name() == name).unwrap();
        format.surface().and_then(|surface| surface.chat_client()).unwrap()
    }

    #[test]
    fn every_format_tells_the_same_of_the_same_tools() {
        let schema = r#"{"type":"object","properties":{"city":{"type":"string"}}}"#;
        let mut all = Vec::new();
        for (format, body) in [
            (
                "openai_chat",
                format!(
                    r#"{{"model":"m","messages":[{{"role":"user","content":"x"}},{{"role":"assistant","content":null,"tool_calls":[{{"id":"call_1","type":"function","function":{{"name":"w","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"call_1","content":"sun"}}],"tools":[{{"type":"function","function":{{"name":"w","description":"d","parameters":{schema}}}}}]}}"#
                ),
            ),
            (
                "anthropic_messages",
                format!(
                    r#"{{"model":"m","max_tokens":5,"messages":[{{"role":"user","content":"x"}},{{"role":"assistant","content":[{{"type":"tool_use","id":"call_1","name":"w","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"call_1","content":"sun"}}]}}],"tools":[{{"name":"w","description":"d","input_schema":{schema}}}]}}"#
                ),
            ),
            (
                "openai_responses",
                format!(
                    r#"{{"model":"m","input":[{{"role":"user","content":"x"}},{{"type":"function_call","call_id":"call_1","name":"w","arguments":"{{}}"}},{{"type":"function_call_output","call_id":"call_1","output":"sun"}}],"tools":[{{"type":"function","name":"w","description":"d","strict":false,"parameters":{schema}}}]}}"#
                ),
            ),
            (
                "gemini",
                format!(
                    r#"{{"contents":[{{"role":"user","parts":[{{"text":"x"}}]}},{{"role":"model","parts":[{{"functionCall":{{"id":"call_1","name":"w","args":{{}}}}}}]}},{{"role":"user","parts":[{{"functionResponse":{{"id":"call_1","name":"w","response":{{"r":"sun"}}}}}}]}}],"tools":[{{"functionDeclarations":[{{"name":"w","description":"d","parameters":{schema}}}]}}]}}"#
                ),
            ),
        ] {
            assert!(may_mention_tools(&body), "{format}");
            let facts = in_request(client(format), &body).unwrap();
            assert_eq!((facts.count, facts.results.len()), (1, 1), "{format}");
            all.push((facts.names, facts.definitions));
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:#?}");
    }

    #[test]
    fn plain_prompts_are_not_read_and_escapes_hide_nothing() {
        assert!(!may_mention_tools(r#"{"messages":[{"role":"user","content":"hello\nthere"}]}"#));
        assert!(may_mention_tools(r#"{"messages":[],"t\u006fols":[]}"#));
    }

    #[test]
    fn arguments_that_mean_the_same_are_the_same() {
        assert_eq!(
            canonical_arguments(r#"{ "b": 1, "a": {"d":[1, 2],"c":null} }"#),
            r#"{"a":{"c":null,"d":[1,2]},"b":1}"#
        );
        assert_eq!(canonical_arguments("{cut off"), "{cut off");
    }
}
