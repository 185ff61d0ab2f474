//! What a chat request can ask for beside the conversation itself: the rows of `docs/translation.md`, and the words
//! in which a client is told that an upstream cannot do something.

use super::{Losses, OutputFormat, Part, Request, Role};

macro_rules! features {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal, $present:expr;)+) => {
        /// Something that a request can ask for. One line each: the name that OpenAI's chat format has for it, and
        /// whether a request asks for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Feature { $($(#[doc = $doc])+ $variant,)+ }

        impl Feature {
            /// Every feature.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name where a client's format has none of its own.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }

            /// Whether `request` asks for it.
            pub fn is_in(self, request: &Request<'_>) -> bool {
                match self { $(Self::$variant => { let is_in: fn(&Request<'_>) -> bool = $present; is_in(request) })+ }
            }
        }
    };
}

features! {
    /// Sampling temperature.
    Temperature, "temperature", |r| r.temperature.is_some();
    /// Nucleus sampling.
    TopP, "top_p", |r| r.top_p.is_some();
    /// Sampling from the k likeliest tokens.
    TopK, "top_k", |r| r.top_k.is_some();
    /// A seed for repeatable answers.
    Seed, "seed", |r| r.seed.is_some();
    /// A penalty for tokens by how often they came up.
    FrequencyPenalty, "frequency_penalty", |r| r.frequency_penalty.is_some_and(|p| p != 0.0);
    /// A penalty for tokens that came up.
    PresencePenalty, "presence_penalty", |r| r.presence_penalty.is_some_and(|p| p != 0.0);
    /// Several answers at once.
    Candidates, "n", |r| r.candidates.is_some_and(|n| n > 1);
    /// Probabilities of tokens.
    Logprobs, "logprobs", |r| r.logprobs.is_some();
    /// Texts that end the answer.
    Stop, "stop", |r| !r.stop.is_empty();
    /// How much the model may think, as a word.
    ReasoningEffort, "reasoning_effort", |r| r.reasoning.effort.is_some();
    /// How much the model may think, in tokens.
    ReasoningBudget, "reasoning_budget", |r| r.reasoning.budget_tokens.is_some();
    /// Thinking as a part of the answer.
    ShownThinking, "reasoning_summary", |r| r.reasoning.shown == Some(true);
    /// Some JSON object as the answer.
    JsonObject, "response_format", |r| matches!(r.output, Some(OutputFormat::JsonObject));
    /// An answer that fits a schema.
    JsonSchema, "response_format", |r| matches!(r.output, Some(OutputFormat::JsonSchema { .. }));
    /// Whether several tools may be called at once.
    ParallelTools, "parallel_tool_calls", |r| r.parallel_tools.is_some();
    /// Arguments that fit their schema exactly.
    StrictTools, "tools.strict", |r| r.tools.iter().any(|t| t.strict == Some(true));
    /// The end user.
    User, "user", |r| r.user.is_some();
    /// How long-winded the answer is.
    Verbosity, "verbosity", |r| r.verbosity.is_some();
    /// Which capacity the provider uses.
    ServiceTier, "service_tier", |r| r.service_tier.is_some();
    /// Which requests share a cached prompt.
    PromptCacheKey, "prompt_cache_key", |r| r.prompt_cache_key.is_some();
    /// Labels that the provider keeps.
    Metadata, "metadata", |r| r.metadata.is_some();
    /// Marks up to which the prompt is cached.
    CacheMarks, "cache_control", |r| r.tools.iter().any(|t| t.cache.is_some()) || r.any_part(|p| matches!(p, Part::CacheMark(_)));
    /// A developer's instructions, apart from the system's.
    DeveloperRole, "developer", |r| r.messages.iter().any(|m| m.role == Role::Developer);
    /// Pictures.
    Images, "image", |r| r.any_part(|p| matches!(p, Part::Image { .. }));
    /// How closely a picture is looked at.
    ImageDetail, "image_url.detail", |r| r.any_part(|p| matches!(p, Part::Image { detail: Some(_), .. }));
    /// Documents.
    Documents, "file", |r| r.any_part(|p| matches!(p, Part::Document { .. }));
    /// Sound.
    Audio, "input_audio", |r| r.any_part(|p| matches!(p, Part::Audio(_)));
    /// Thinking of an earlier turn, sealed by the model that thought it.
    SealedThinking, "thinking", |r| r.any_part(|p| matches!(p, Part::Thinking { .. } | Part::Redacted(_)));
    /// A tool result that is marked as an error.
    ToolErrors, "is_error", |r| r.any_part(|p| matches!(p, Part::ToolResult { is_error: true, .. }));
    /// Pictures and documents in a tool result.
    ToolMedia, "tool_result", |r| r.any_part(|p| matches!(p, Part::ToolResult { parts, .. } if parts.iter().any(|p| !matches!(p, Part::Text(_) | Part::CacheMark(_)))));
}

/// Something that an upstream's format cannot say, what becomes of it, and why.
pub type Unsaid = (Feature, super::Kept, &'static str);

/// Notes everything that `request` asks for and the format of the table `cannot` has no word for.
pub fn note_unsaid(request: &Request<'_>, cannot: &[Unsaid], losses: &mut Losses) {
    for (feature, kept, why) in cannot.iter().filter(|(feature, ..)| feature.is_in(request)) {
        match kept {
            super::Kept::Nearly => losses.approximate(*feature, why),
            super::Kept::LeftOut => losses.leave_out(*feature, why),
            super::Kept::Not => losses.lose(*feature, why),
        }
    }
}
