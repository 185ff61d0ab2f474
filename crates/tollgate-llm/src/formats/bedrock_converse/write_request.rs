//! A request, from the neutral form. Model and streaming stand in the address.

use serde::Serialize;
use serde_json::value::RawValue;

use super::blocks::OutBlock;
use super::models::Maker;
use super::tools::{OutToolConfig, config};
use super::write_content::{OutTurn, Writer};
use crate::chat::{Effort, Feature, Kept, Losses, OutputFormat, Request, Unsaid, note_unsaid};
use crate::formats::Target;
use crate::formats::claude::{OutThinking, Sampling, thinking};
use crate::formats::numbers::Number;
use crate::json::BodyError;

/// What this format has no word for.
const UNSAID: &[Unsaid] = &[
    (Feature::Seed, Kept::Not, "the upstream takes no seed"),
    (Feature::FrequencyPenalty, Kept::Not, "has no counterpart"),
    (Feature::PresencePenalty, Kept::Not, "has no counterpart"),
    (Feature::Candidates, Kept::Not, "the upstream gives one answer"),
    (Feature::Logprobs, Kept::Not, "the upstream reports no probabilities"),
    (Feature::Audio, Kept::Not, "the upstream takes no sound"),
    (Feature::JsonObject, Kept::Not, "`json_object` has no counterpart: give a schema (`json_schema`)"),
    (Feature::User, Kept::LeftOut, "the upstream takes no user"),
    (Feature::Verbosity, Kept::LeftOut, "has no counterpart and does not change what is said"),
    (Feature::ServiceTier, Kept::LeftOut, "the tiers of one provider are not those of another"),
    (Feature::PromptCacheKey, Kept::LeftOut, "has no counterpart and does not change the answer"),
    (Feature::Metadata, Kept::LeftOut, "has no counterpart and does not change the answer"),
    (Feature::ImageDetail, Kept::LeftOut, "pictures are looked at as closely as they are large"),
    (Feature::DeveloperRole, Kept::Nearly, "a developer's instructions are the system's"),
];

/// What only some models are told here.
const UNCACHED: &[Unsaid] = &[(Feature::CacheMarks, Kept::LeftOut, "the model's prompts are not cached so")];
const UNHELD: &[Unsaid] =
    &[(Feature::StrictTools, Kept::Nearly, "the model is not held to the schema of its arguments")];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Out<'r> {
    messages: Vec<OutTurn<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<OutBlock<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inference_config: Option<OutInference<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<OutToolConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutConfig<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_model_request_fields: Option<OutFields>,
}

#[derive(Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct OutInference<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Number>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'r [String],
}

#[derive(Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct OutConfig<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text_format: Option<OutFormat<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
}

#[derive(PartialEq, Serialize)]
struct OutFormat<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    structure: OutStructure<'r>,
}

#[derive(PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
enum OutStructure<'r> {
    /// The schema is a text here.
    JsonSchema {
        #[serde(skip_serializing_if = "str::is_empty")]
        name: &'r str,
        schema: &'r str,
    },
}

/// What the model's maker calls what only its models take.
#[derive(Default, PartialEq, Serialize)]
struct OutFields {
    /// Of Claude.
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<OutThinking>,
    /// Of Claude and Mistral.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    /// Of Command.
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<u64>,
    /// Of Nova.
    #[serde(rename = "inferenceConfig", skip_serializing_if = "Option::is_none")]
    inference: Option<NovaInference>,
    /// Of Nova 2.
    #[serde(rename = "reasoningConfig", skip_serializing_if = "Option::is_none")]
    reasoning: Option<NovaReasoning>,
    /// Of OpenAI's open models.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
}

#[derive(PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NovaInference {
    top_k: u64,
}

#[derive(PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NovaReasoning {
    #[serde(rename = "type")]
    kind: &'static str,
    max_reasoning_effort: &'static str,
}

pub(super) fn write(
    request: &Request<'_>,
    target: &Target,
    losses: &mut Losses,
) -> Result<(Vec<u8>, bool), BodyError> {
    let maker = Maker::of(&target.model);
    note_unsaid(request, UNSAID, losses);
    note_unsaid(request, if maker.caches() { &[] } else { UNCACHED }, losses);
    note_unsaid(request, if target.native_schema { &[] } else { UNHELD }, losses);
    let (system, messages) = Writer::new(maker, losses).conversation(&request.messages)?;
    let (named, schema) = match &request.output {
        Some(OutputFormat::JsonSchema { name, schema, .. }) => (name.as_str(), Some(&**schema)),
        _ => ("", None),
    };
    // A model that answers to a schema by itself is asked to; any other is made to call a tool with that schema,
    // whose arguments are then the answer.
    let schema_tool = schema.filter(|_| !target.native_schema);
    let text_format = schema.filter(|_| target.native_schema).map(|schema| format(named, schema));
    let tool_config = config(request, schema_tool, target, losses);
    let forced = tool_config.as_ref().is_some_and(OutToolConfig::forces);
    let mut fields = OutFields::default();
    let effort = reasoning(request, target, forced, &mut fields, losses);
    let sampling = Sampling::of(request, target, fields.thinking.is_some(), losses);
    top_k(maker, sampling.top_k, &mut fields, losses);
    let out = Out {
        messages,
        system,
        inference_config: present(OutInference {
            // Where nobody asks for less, it is as long as the model can.
            max_tokens: request.max_output_tokens,
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            stop_sequences: &request.stop,
        }),
        tool_config,
        output_config: present(OutConfig { text_format, effort }),
        additional_model_request_fields: present(fields),
    };
    Ok((crate::json::written(&out), schema_tool.is_some()))
}

/// `value`, unless it says nothing.
fn present<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

fn format<'r>(name: &'r str, schema: &'r RawValue) -> OutFormat<'r> {
    OutFormat { kind: "json_schema", structure: OutStructure::JsonSchema { name, schema: schema.get() } }
}

/// How the model is to think, and Claude's effort.
fn reasoning(
    request: &Request<'_>,
    target: &Target,
    forced: bool,
    fields: &mut OutFields,
    losses: &mut Losses,
) -> Option<&'static str> {
    let wanted = request.reasoning;
    let maker = Maker::of(&target.model);
    if maker == Maker::Claude {
        let longest = request.max_output_tokens.or(target.max_output_tokens);
        let (thinking, effort) = thinking(request, target, longest, forced, losses);
        fields.thinking = thinking;
        return effort;
    }
    let effort = wanted.effort.or(wanted.budget_tokens.map(Effort::of_budget))?;
    let feature = if wanted.effort.is_some() { Feature::ReasoningEffort } else { Feature::ReasoningBudget };
    let word = match effort {
        Effort::None => return None,
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::XHigh | Effort::Max => "high",
    };
    match maker {
        Maker::GptOss => fields.reasoning_effort = Some(word),
        Maker::Nova2 => {
            // Beside its highest effort the model takes neither sampling nor a longest answer.
            let bounded =
                [request.temperature.is_some(), request.top_p.is_some(), request.max_output_tokens.is_some()];
            let too_high = word == "high" && bounded.contains(&true);
            let word = if too_high { "medium" } else { word };
            fields.reasoning = Some(NovaReasoning { kind: "enabled", max_reasoning_effort: word });
        }
        _ => {
            losses.lose(feature, "the model is not told how much to think");
            return None;
        }
    }
    if wanted.effort.is_none_or(|effort| effort.name() != word) {
        losses.approximate(feature, "the model knows low, medium and high");
    }
    None
}

fn top_k(maker: Maker, top_k: Option<u64>, fields: &mut OutFields, losses: &mut Losses) {
    let Some(k) = top_k else { return };
    match maker {
        Maker::Claude | Maker::Mistral => fields.top_k = Some(k),
        Maker::Command => fields.k = Some(k),
        Maker::Nova | Maker::Nova2 => fields.inference = Some(NovaInference { top_k: k }),
        Maker::GptOss | Maker::Other => losses.lose(Feature::TopK, "the model takes no such parameter"),
    }
}
