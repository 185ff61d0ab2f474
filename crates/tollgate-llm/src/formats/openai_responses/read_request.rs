//! A request, into the neutral form.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::read_input::{WrittenItem, push_item};
use super::read_tools::{WrittenTool, push_tool, tool_choice};
use crate::chat::{Effort, Losses, Message, OutputFormat, Part, Request, Role, Text};
use crate::formats::content::Content;
use crate::formats::{body, note_unknown};
use crate::json::{BodyError, read_all};

body! {
    /// The members that mean something here.
    Written<'a> {
        "model" => model: String,
        "input" => input: Content<'a, WrittenItem<'a>>,
        "instructions" => instructions: Text<'a>,
        "tools" => tools: Vec<WrittenTool<'a>>,
        "tool_choice" => tool_choice: &'a RawValue,
        "parallel_tool_calls" => parallel_tools: bool,
        "text" => text: WrittenText<'a>,
        "reasoning" => reasoning: WrittenReasoning,
        "max_output_tokens" => max_output_tokens: u64,
        "temperature" => temperature: f64,
        "top_p" => top_p: f64,
        "top_logprobs" => top_logprobs: u64,
        "include" => include: Vec<String>,
        "user" => user: String,
        "safety_identifier" => safety_identifier: String,
        "prompt_cache_key" => prompt_cache_key: String,
        "service_tier" => service_tier: String,
        "metadata" => metadata: &'a RawValue,
        "stream" => stream: bool,
        "store" => store: bool,
        "truncation" => truncation: String,
        "background" => background: bool,
        "previous_response_id" => previous_response_id: IgnoredAny,
        "conversation" => conversation: IgnoredAny,
        "prompt" => prompt: IgnoredAny,
    }
}

#[derive(Deserialize)]
struct WrittenText<'a> {
    #[serde(borrow)]
    format: Option<WrittenOutput<'a>>,
    verbosity: Option<String>,
}

#[derive(Deserialize)]
struct WrittenOutput<'a> {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct WrittenReasoning {
    effort: Option<String>,
    summary: Option<String>,
    /// The older name of `summary`.
    generate_summary: Option<String>,
}

/// Members without which the answer is the same.
const HARMLESS: &[&str] = &[
    "stream_options",
    "prompt_cache_retention",
    "prompt_cache_options",
    "max_tool_calls",
    "client_metadata",
];

/// Asks for the probabilities of tokens.
const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

/// Asks for what is always given.
const INCLUDE_SEALED: &str = "reasoning.encrypted_content";

pub(super) fn read<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, BodyError> {
    let mut written: Written<'a> = read_all(body)?;
    refuse_what_was_kept(&written)?;
    lose_own_members(&written, losses);
    let mut request = Request {
        model: written.model.take().ok_or_else(|| BodyError::shape("model", "is required"))?,
        parallel_tools: written.parallel_tools,
        max_output_tokens: written.max_output_tokens,
        temperature: written.temperature,
        top_p: written.top_p,
        logprobs: logprobs(&written),
        user: written.safety_identifier.take().or(written.user.take()),
        prompt_cache_key: written.prompt_cache_key.take(),
        service_tier: written.service_tier.take(),
        metadata: written.metadata.map(Cow::Borrowed),
        stream: written.stream.unwrap_or(false),
        stream_usage: true,
        ..Request::default()
    };
    if let Some(text) = written.text.take() {
        request.verbosity = text.verbosity;
        request.output = text.format.map(output).transpose()?.flatten();
    }
    if let Some(reasoning) = written.reasoning.take() {
        read_reasoning(reasoning, &mut request)?;
    }
    for (index, tool) in written.tools.take().unwrap_or_default().into_iter().enumerate() {
        push_tool(&mut request.tools, tool, index, losses)?;
    }
    if let Some(choice) = written.tool_choice {
        request.tool_choice = tool_choice(choice, &mut request.tools, losses)?;
    }
    read_conversation(written.instructions, written.input, &mut request.messages, losses)?;
    Ok(request)
}

/// Another provider has none of what OpenAI kept, and an answer without it would be to another question.
fn refuse_what_was_kept(written: &Written<'_>) -> Result<(), BodyError> {
    const WHOLE: &str = "is kept by OpenAI and this model is served by another API: send the whole conversation as \
                         `input` instead";
    let kept = [
        ("previous_response_id", written.previous_response_id.is_some(), WHOLE),
        ("conversation", written.conversation.is_some(), WHOLE),
        (
            "prompt",
            written.prompt.is_some(),
            "is kept by OpenAI and this model is served by another API: send its text as `instructions` instead",
        ),
        (
            "background",
            written.background == Some(true),
            "has no counterpart where this model is served: wait for the answer, or stream it",
        ),
    ];
    match kept.into_iter().find(|(_, present, _)| *present) {
        Some((member, _, why)) => Err(BodyError::shape(member, why)),
        None => Ok(()),
    }
}

fn lose_own_members(written: &Written<'_>, losses: &mut Losses) {
    note_unknown(&written.unknown, "", HARMLESS, losses);
    if written.store == Some(true) {
        losses
            .leave_out("store", "the answer is not kept; send the whole conversation with the next request");
    }
    if written.truncation.as_deref() == Some("auto") {
        losses.leave_out("truncation", "a conversation that is too long is refused, not shortened");
    }
    let known = |include: &str| matches!(include, INCLUDE_LOGPROBS | INCLUDE_SEALED);
    if written.include.iter().flatten().any(|include| !known(include)) {
        losses.leave_out("include", "is about tools of the provider's, of which there are none");
    }
}

fn logprobs(written: &Written<'_>) -> Option<u64> {
    let included = written.include.iter().flatten().any(|include| include == INCLUDE_LOGPROBS);
    written.top_logprobs.filter(|top| *top > 0).or(included.then_some(0))
}

fn read_reasoning(written: WrittenReasoning, request: &mut Request<'_>) -> Result<(), BodyError> {
    if let Some(effort) = written.effort {
        let known = Effort::named(&effort);
        request.reasoning.effort = Some(
            known.ok_or_else(|| BodyError::shape("reasoning.effort", format!("`{effort}` is not known")))?,
        );
    }
    if written.summary.or(written.generate_summary).is_some() {
        request.reasoning.shown = Some(true);
    }
    Ok(())
}

fn read_conversation<'a>(
    instructions: Option<Text<'a>>,
    input: Option<Content<'a, WrittenItem<'a>>>,
    messages: &mut Vec<Message<'a>>,
    losses: &mut Losses,
) -> Result<(), BodyError> {
    messages.extend(instructions.map(|text| Message { role: Role::System, parts: vec![Part::Text(text)] }));
    match input.ok_or_else(|| BodyError::shape("input", "is required"))? {
        Content::Text(text) => messages.push(Message { role: Role::User, parts: vec![Part::Text(text)] }),
        Content::Parts(items) => {
            for (index, item) in items.into_iter().enumerate() {
                push_item(messages, item, index, losses)?;
            }
        }
    }
    Ok(())
}

fn output(written: WrittenOutput<'_>) -> Result<Option<OutputFormat<'_>>, BodyError> {
    let required = |member: &str| BodyError::shape(format!("text.format.{member}"), "is required");
    Ok(match written.kind.as_str() {
        "text" => None,
        "json_object" => Some(OutputFormat::JsonObject),
        "json_schema" => Some(OutputFormat::JsonSchema {
            name: written.name.ok_or_else(|| required("name"))?,
            schema: Cow::Borrowed(written.schema.ok_or_else(|| required("schema"))?),
            strict: written.strict,
        }),
        other => return Err(BodyError::shape("text.format.type", format!("`{other}` is not known"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(member: &str) -> String {
        let body = format!(r#"{{"model":"m","input":"hi",{member}}}"#);
        read(&body, &mut Losses::default()).unwrap_err().to_string()
    }

    #[test]
    fn what_openai_keeps_is_refused_with_what_to_do_instead() {
        assert!(refused(r#""previous_response_id":"resp_1""#).contains("send the whole conversation"));
        assert!(refused(r#""conversation":{"id":"conv_1"}"#).starts_with("`conversation`"));
        assert!(refused(r#""prompt":{"id":"pmpt_1"}"#).contains("`instructions`"));
        assert!(refused(r#""background":true"#).contains("stream it"));
        let body = r#"{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}"#;
        let error = read(body, &mut Losses::default()).unwrap_err().to_string();
        assert!(error.starts_with("`input[0]`") && error.contains("send the item itself"), "{error}");
        let body = r#"{"model":"m","input":[],"previous_response_id":null,"background":false,"prompt":null}"#;
        assert!(read(body, &mut Losses::default()).is_ok());
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(refused(r#""reasoning":{"effort":"huge"}"#), "`reasoning.effort`: `huge` is not known");
        assert_eq!(
            refused(r#""text":{"format":{"type":"json_schema","name":"n"}}"#),
            "`text.format.schema`: is required"
        );
        assert_eq!(refused(r#""tools":[{"type":"function"}]"#), "`tools[0].name`: is required");
        assert!(
            read(r#"{"model":"m"}"#, &mut Losses::default()).unwrap_err().to_string().contains("`input`")
        );
        let body = r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text"}]}]}"#;
        let error = read(body, &mut Losses::default()).unwrap_err().to_string();
        assert_eq!(error, "`input[0].content[0].text`: is required");
    }
}
