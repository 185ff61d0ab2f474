//! A request, into the neutral form.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::read_message::{WrittenMessage, push_message};
use crate::chat::{Effort, Losses, OutputFormat, Request, Tool, ToolChoice};
use crate::formats::content::Content;
use crate::formats::{body, note_unknown};
use crate::json::{BodyError, read_all};

body! {
    /// The members that mean something here, the widespread ones of compatible servers among them.
    Written<'a> {
        "model" => model: String,
        "messages" => messages: Vec<WrittenMessage<'a>>,
        "tools" => tools: Vec<WrittenTool<'a>>,
        "tool_choice" => tool_choice: &'a RawValue,
        "parallel_tool_calls" => parallel_tools: bool,
        "response_format" => response_format: WrittenOutput<'a>,
        "max_tokens" => max_tokens: u64,
        "max_completion_tokens" => max_completion_tokens: u64,
        "temperature" => temperature: f64,
        "top_p" => top_p: f64,
        "top_k" => top_k: u64,
        "stop" => stop: Content<'a, String>,
        "user" => user: String,
        "safety_identifier" => safety_identifier: String,
        "stream" => stream: bool,
        "stream_options" => stream_options: StreamOptions,
        "n" => n: u64,
        "seed" => seed: i64,
        "frequency_penalty" => frequency_penalty: f64,
        "presence_penalty" => presence_penalty: f64,
        "logprobs" => logprobs: bool,
        "top_logprobs" => top_logprobs: u64,
        "logit_bias" => logit_bias: serde_json::Map<String, serde_json::Value>,
        "reasoning_effort" => reasoning_effort: String,
        "thinking" => thinking: WrittenThinking,
        "verbosity" => verbosity: String,
        "service_tier" => service_tier: String,
        "prompt_cache_key" => prompt_cache_key: String,
        "metadata" => metadata: &'a RawValue,
        "modalities" => modalities: Vec<String>,
        "functions" => functions: IgnoredAny,
        "function_call" => function_call: IgnoredAny,
    }
}

#[derive(Deserialize)]
struct WrittenTool<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    description: Option<crate::chat::Text<'a>>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct WrittenOutput<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    json_schema: Option<JsonSchema<'a>>,
}

#[derive(Deserialize)]
struct JsonSchema<'a> {
    name: String,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Anthropic's member, which clients of other gateways send here too.
#[derive(Deserialize)]
struct WrittenThinking {
    #[serde(rename = "type")]
    kind: String,
    budget_tokens: Option<u64>,
}

/// Members without which the answer is the same.
const HARMLESS: &[&str] = &["store", "prompt_cache_retention", "prompt_cache_options"];

pub(super) fn read<'a>(body: &'a str, losses: &mut Losses) -> Result<Request<'a>, BodyError> {
    let mut written: Written<'a> = read_all(body)?;
    lose_own_members(&written, losses);
    let mut request = Request {
        model: written.model.ok_or_else(|| BodyError::shape("model", "is required"))?,
        parallel_tools: written.parallel_tools,
        max_output_tokens: written.max_completion_tokens.or(written.max_tokens),
        temperature: written.temperature,
        top_p: written.top_p,
        top_k: written.top_k,
        seed: written.seed,
        frequency_penalty: written.frequency_penalty,
        presence_penalty: written.presence_penalty,
        candidates: written.n,
        logprobs: written.logprobs.unwrap_or(false).then(|| written.top_logprobs.unwrap_or(0)),
        user: written.safety_identifier.or(written.user),
        stream: written.stream.unwrap_or(false),
        stream_usage: written.stream_options.is_some_and(|o| o.include_usage),
        verbosity: written.verbosity,
        service_tier: written.service_tier,
        prompt_cache_key: written.prompt_cache_key,
        metadata: written.metadata.map(Cow::Borrowed),
        tool_choice: written.tool_choice.map(tool_choice).transpose()?.flatten(),
        output: written.response_format.map(output).transpose()?.flatten(),
        stop: match written.stop {
            None => Vec::new(),
            Some(Content::Text(text)) => vec![text.decoded().into_owned()],
            Some(Content::Parts(texts)) => texts,
        },
        ..Request::default()
    };
    if let Some(effort) = written.reasoning_effort {
        let known = Effort::named(&effort);
        request.reasoning.effort = Some(
            known.ok_or_else(|| BodyError::shape("reasoning_effort", format!("`{effort}` is not known")))?,
        );
    }
    if let Some(thinking) = written.thinking.filter(|thinking| thinking.kind != "disabled") {
        request.reasoning.budget_tokens = thinking.budget_tokens;
        request.reasoning.shown = Some(true);
    }
    let messages = written.messages.take().ok_or_else(|| BodyError::shape("messages", "is required"))?;
    for (index, message) in messages.into_iter().enumerate() {
        push_message(&mut request.messages, message, index, losses)?;
    }
    for (index, tool) in written.tools.take().unwrap_or_default().into_iter().enumerate() {
        match tool.function {
            Some(function) if tool.kind == "function" => request.tools.push(Tool {
                name: function.name,
                description: function.description,
                schema: function.parameters.map(Cow::Borrowed),
                strict: function.strict,
                cache: None,
            }),
            _ => losses.lose(format!("tools[{index}]"), "only tools of type `function` have a counterpart"),
        }
    }
    Ok(request)
}

fn lose_own_members(written: &Written<'_>, losses: &mut Losses) {
    note_unknown(&written.unknown, "", HARMLESS, losses);
    let own = [
        ("logit_bias", written.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty())),
        ("modalities", written.modalities.as_ref().is_some_and(|m| m.iter().any(|m| m != "text"))),
        ("functions", written.functions.is_some()),
        ("function_call", written.function_call.is_some()),
    ];
    for (member, _) in own.into_iter().filter(|(_, present)| *present) {
        losses.lose(member, "has no counterpart");
    }
}

fn tool_choice(raw: &RawValue) -> Result<Option<ToolChoice>, BodyError> {
    #[derive(Deserialize)]
    struct Named {
        function: NamedFunction,
    }
    #[derive(Deserialize)]
    struct NamedFunction {
        name: String,
    }
    Ok(match raw.get() {
        "null" => None,
        "\"auto\"" => Some(ToolChoice::Auto),
        "\"none\"" => Some(ToolChoice::None),
        "\"required\"" => Some(ToolChoice::Required),
        other => {
            let named: Named = serde_json::from_str(other).map_err(|_| {
                BodyError::shape("tool_choice", "must be `auto`, `none`, `required` or a function by name")
            })?;
            Some(ToolChoice::Named(named.function.name))
        }
    })
}

fn output(written: WrittenOutput<'_>) -> Result<Option<OutputFormat<'_>>, BodyError> {
    Ok(match (written.kind.as_str(), written.json_schema) {
        ("text", _) => None,
        ("json_object", _) => Some(OutputFormat::JsonObject),
        ("json_schema", Some(JsonSchema { name, schema: Some(schema), strict })) => {
            Some(OutputFormat::JsonSchema { name, schema: Cow::Borrowed(schema), strict })
        }
        ("json_schema", _) => {
            return Err(BodyError::shape("response_format.json_schema.schema", "is required"));
        }
        (other, _) => {
            return Err(BodyError::shape("response_format.type", format!("`{other}` is not known")));
        }
    })
}
