//! `generationConfig` of a request, into the neutral form.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::lenient::Whole;
use super::schema::to_json_schema;
use crate::chat::{Effort, Json, Losses, OutputFormat, Reasoning, Request};
use crate::formats::{body, note_unknown};
use crate::json::BodyError;

body! {
    /// How the answer is made.
    GenerationConfig<'a> {
        "temperature" => temperature: f64,
        "topP" | "top_p" => top_p: f64,
        "topK" | "top_k" => top_k: Whole,
        "seed" => seed: Whole,
        "presencePenalty" | "presence_penalty" => presence_penalty: f64,
        "frequencyPenalty" | "frequency_penalty" => frequency_penalty: f64,
        "candidateCount" | "candidate_count" => candidates: Whole,
        "maxOutputTokens" | "max_output_tokens" => max_output_tokens: Whole,
        "stopSequences" | "stop_sequences" => stop: Vec<String>,
        "responseLogprobs" | "response_logprobs" => response_logprobs: bool,
        "logprobs" => logprobs: Whole,
        "responseMimeType" | "response_mime_type" => media_type: String,
        "responseSchema" | "response_schema" => schema: &'a RawValue,
        "responseJsonSchema" | "response_json_schema" | "_responseJsonSchema" => json_schema: &'a RawValue,
        "responseModalities" | "response_modalities" => modalities: Vec<String>,
        "thinkingConfig" | "thinking_config" => thinking: ThinkingConfig<'a>,
    }
}

body! {
    /// How the model thinks.
    ThinkingConfig<'a> {
        "includeThoughts" | "include_thoughts" => shown: bool,
        "thinkingBudget" | "thinking_budget" => budget: Whole,
        "thinkingLevel" | "thinking_level" => level: String,
    }
}

const AT: &str = "generationConfig.";

/// Members that say only how closely something is looked at.
const HARMLESS: &[&str] = &["mediaResolution", "media_resolution", "enableEnhancedCivicAnswers"];

/// Takes over what `config` says.
pub(super) fn configure<'a>(
    request: &mut Request<'a>,
    config: GenerationConfig<'a>,
    losses: &mut Losses,
) -> Result<(), BodyError> {
    note_unknown(&config.unknown, AT, HARMLESS, losses);
    let text_only = |all: &Vec<String>| all.iter().all(|modality| modality.eq_ignore_ascii_case("text"));
    if !config.modalities.as_ref().is_none_or(text_only) {
        losses.lose(format!("{AT}responseModalities"), "only text is asked for elsewhere");
    }
    let logprobs = config.logprobs.and_then(Whole::count).unwrap_or(0);
    request.temperature = config.temperature;
    request.top_p = config.top_p;
    request.top_k = config.top_k.and_then(Whole::count);
    request.seed = config.seed.map(|seed| seed.0);
    request.presence_penalty = config.presence_penalty;
    request.frequency_penalty = config.frequency_penalty;
    request.candidates = config.candidates.and_then(Whole::count);
    request.max_output_tokens = config.max_output_tokens.and_then(Whole::count);
    request.stop = config.stop.unwrap_or_default();
    request.logprobs = config.response_logprobs.unwrap_or(false).then_some(logprobs);
    if let Some(thinking) = config.thinking {
        note_unknown(&thinking.unknown, "generationConfig.thinkingConfig.", &[], losses);
        request.reasoning = reasoning(&thinking)?;
    }
    let schema: Option<Json<'a>> = config.json_schema.map(Cow::Borrowed);
    let schema = schema.or_else(|| config.schema.map(to_json_schema));
    request.output = output(config.media_type.as_deref(), schema, losses);
    Ok(())
}

/// A budget of -1 leaves it to the model.
fn reasoning(thinking: &ThinkingConfig<'_>) -> Result<Reasoning, BodyError> {
    let level = thinking.level.as_deref().map(str::to_ascii_lowercase);
    let level = level.filter(|level| level != "thinking_level_unspecified");
    let mut reasoning = Reasoning { shown: thinking.shown, ..Reasoning::default() };
    if let Some(level) = level {
        let unknown = || {
            BodyError::shape(
                "generationConfig.thinkingConfig.thinkingLevel",
                format!("`{level}` is not known"),
            )
        };
        reasoning.effort = Some(Effort::named(&level).ok_or_else(unknown)?);
    }
    match thinking.budget.map(|budget| budget.0) {
        Some(0) => reasoning.effort = Some(Effort::None),
        Some(tokens) => reasoning.budget_tokens = u64::try_from(tokens).ok(),
        None => {}
    }
    Ok(reasoning)
}

fn output<'a>(
    media_type: Option<&str>,
    schema: Option<Json<'a>>,
    losses: &mut Losses,
) -> Option<OutputFormat<'a>> {
    match (media_type, schema) {
        // Google holds the answer to the schema, but a schema that others call strict must say more than this one may.
        (None | Some("application/json"), Some(schema)) => {
            Some(OutputFormat::JsonSchema { name: "answer".to_owned(), schema, strict: None })
        }
        (Some("application/json"), None) => Some(OutputFormat::JsonObject),
        (None | Some("" | "text/plain"), _) => None,
        (Some(_), _) => {
            losses.lose(format!("{AT}responseMimeType"), "answers of this type have no counterpart");
            None
        }
    }
}
