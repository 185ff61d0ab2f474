//! The most that a request can make a provider bill, read from the request alone: what a strict budget holds for it.
//!
//! A token stands for one byte of UTF-8 at least in every tokenizer that providers publish, so a prompt has no more tokens
//! than bytes, plus what the format wraps around each message and tool. JSON only ever lengthens a text. What has no such
//! bound (documents, sound, prompts that the provider keeps, tools that it runs itself, members that this version does not
//! know) is refused, with its name.

use tollgate_core::price::{Cost, Price};

use crate::chat::{Kept, Losses, Part, Request, Source};
use crate::embeddings::Input;
use crate::formats::Surface;

/// The most that a request can use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// How many answers are asked for, each with its own ceiling; none of embeddings.
    pub answers: u64,
    /// The longest answer that is asked for, in tokens; `None` where the request does not say.
    pub max_output_tokens: Option<u64>,
    /// Whether the prompt is written to a cache, which costs more.
    pub caches: bool,
}

/// What a format wraps around a conversation, its tools included. Anthropic documents at most 804 tokens for tool use.
const AROUND_ALL: u64 = 1_024;

/// What it wraps around a message or a piece of one; OpenAI documents 3 and 1.
const AROUND_EACH: u64 = 16;

/// What it wraps around a tool.
const AROUND_TOOL: u64 = 64;

/// The most that a picture is billed as by the large providers: 48,169 tokens for gpt-4o-mini, less for all others.
const PICTURE: u64 = 50_000;

/// Capacities that cost no more than the list price.
const TIERS: [&str; 6] = ["default", "auto", "standard", "standard_only", "flex", "batch"];

impl Bound {
    /// The most that the request `text`, of a client who speaks `surface`, can use; or what of it has no bound.
    pub fn of(surface: &'static dyn Surface, text: &str) -> Result<Self, String> {
        let bytes = text.len() as u64;
        if let Some(client) = surface.chat_client() {
            let mut losses = Losses::new(client.spelling());
            let request = client.read_request(text, &mut losses).map_err(|error| error.to_string())?;
            unknown(&losses)?;
            return of_chat(&request, bytes);
        }
        if let Some(client) = surface.embeddings_client() {
            let mut losses = Losses::default();
            let request = client.read_request(text, &mut losses).map_err(|error| error.to_string())?;
            unknown(&losses)?;
            let tokens = request.inputs.iter().map(|input| match input {
                Input::Text(_) => AROUND_EACH,
                Input::Tokens(tokens) => tokens.len() as u64,
            });
            return Ok(Self { input_tokens: bytes + tokens.sum::<u64>(), ..Self::default() });
        }
        Err("nobody can say beforehand what this kind of call costs at most".to_owned())
    }

    /// The most that it costs at `price`, with answers of up to `output_tokens` each.
    pub fn cost(&self, price: &Price, output_tokens: u64) -> Cost {
        price.most(self.input_tokens, self.answers.saturating_mul(output_tokens), self.caches)
    }

    /// The longest answer, of `most` tokens at most, that costs no more than `nano` at `price`; `None` where not even the
    /// prompt can be paid.
    pub fn affordable(&self, price: &Price, nano: u64, most: u64) -> Option<u64> {
        let fits = |output| matches!(self.cost(price, output), Cost::Known(cost) if cost <= nano);
        if !fits(0) {
            return None;
        }
        let (mut low, mut high) = (0, most);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if fits(middle) { low = middle } else { high = middle - 1 }
        }
        Some(low)
    }
}

/// Members without which an answer is the same, and which cost nothing either. That others are left out of a translation
/// says nothing of what they cost where they are not: some buy speed, or a place.
const COST_NOTHING: [&str; 17] = [
    "client_metadata",
    "diagnostics",
    "eager_input_streaming",
    "include",
    "max_tool_calls",
    "mediaResolution",
    "media_resolution",
    "partMetadata",
    "part_metadata",
    "response",
    "responseJsonSchema",
    "response_json_schema",
    "safetySettings",
    "safety_settings",
    "store",
    "stream_options",
    "truncation",
];

fn unknown(losses: &Losses) -> Result<(), String> {
    let free = |member: &str| {
        let last = member.rsplit('.').next().unwrap_or_default();
        COST_NOTHING.contains(&last)
    };
    let costly = losses.iter().find(|loss| match loss.kept {
        Kept::Not => true,
        Kept::LeftOut => !free(&loss.member),
        Kept::Nearly => false,
    });
    match costly {
        Some(loss) => Err(format!("nobody can say beforehand what `{}` costs at most", loss.member)),
        None if losses.more() > 0 => Err("nobody can say beforehand what so many members cost".to_owned()),
        None => Ok(()),
    }
}

fn of_chat(request: &Request<'_>, bytes: u64) -> Result<Bound, String> {
    if let Some(tier) = request.service_tier.as_deref().filter(|tier| !TIERS.contains(tier)) {
        return Err(format!("what the service tier {tier:?} costs is not known"));
    }
    let caches = request.tools.iter().any(|tool| tool.cache.is_some());
    let mut beyond = Beyond { caches, ..Beyond::default() };
    for message in &request.messages {
        beyond.tokens += AROUND_EACH;
        message.parts.iter().try_for_each(|part| beyond.add(part))?;
    }
    let tools = request.tools.len() as u64 * AROUND_TOOL;
    let text = bytes.saturating_sub(beyond.picture_bytes);
    Ok(Bound {
        input_tokens: text.saturating_add(beyond.tokens).saturating_add(AROUND_ALL + tools),
        // What asks for no answer, or for one of no length, gets one all the same where the upstream does not know of it.
        answers: request.candidates.unwrap_or(1).max(1),
        max_output_tokens: request.max_output_tokens.filter(|longest| *longest > 0),
        caches: beyond.caches,
    })
}

/// Whether something that is said to be a picture is one: by its type, or by how its address ends, which is what
/// providers that fetch it themselves go by.
fn is_picture(source: &Source<'_>) -> bool {
    const ENDINGS: [&str; 5] = [".png", ".jpg", ".jpeg", ".gif", ".webp"];
    match source {
        Source::Base64 { media_type, .. } => media_type.starts_with("image/"),
        Source::Url(url) => {
            let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
            ENDINGS.iter().any(|ending| path.ends_with(ending))
        }
    }
}

/// What is billed beyond the bytes of texts.
#[derive(Default)]
struct Beyond {
    tokens: u64,
    /// Bytes of base64 that are billed as pictures and not as text.
    picture_bytes: u64,
    caches: bool,
}

impl Beyond {
    fn add(&mut self, part: &Part<'_>) -> Result<(), String> {
        self.tokens = self.tokens.saturating_add(AROUND_EACH);
        match part {
            Part::Image { source, .. } => {
                if !is_picture(source) {
                    return Err("nobody can say beforehand what it costs at most where a picture is expected and something else is, or may be".to_owned());
                }
                self.tokens = self.tokens.saturating_add(PICTURE);
                if let Source::Base64 { data, .. } = source {
                    self.picture_bytes = self.picture_bytes.saturating_add(data.len() as u64);
                }
            }
            Part::Document { .. } => {
                return Err("nobody can say beforehand what a document costs at most".to_owned());
            }
            Part::Audio(_) => return Err("nobody can say beforehand what sound costs at most".to_owned()),
            Part::ToolResult { parts, .. } => parts.iter().try_for_each(|part| self.add(part))?,
            Part::CacheMark(_) => self.caches = true,
            Part::Text(_)
            | Part::Refusal(_)
            | Part::ToolCall { .. }
            | Part::Thinking { .. }
            | Part::Redacted(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_core::price::Rates;

    use super::*;
    use crate::formats;

    fn of(surface: &str, text: &str) -> Result<Bound, String> {
        Bound::of(formats::find(surface).and_then(|format| format.surface()).unwrap(), text)
    }

    #[test]
    fn a_prompt_has_no_more_tokens_than_bytes_and_what_is_wrapped_around() {
        let text =
            r#"{"model":"m","n":3,"max_tokens":7,"messages":[{"role":"user","content":"h\u00e9llo"}]}"#;
        let bound = of("openai_chat", text).unwrap();
        assert_eq!((bound.answers, bound.max_output_tokens, bound.caches), (3, Some(7), false));
        assert!(bound.input_tokens > text.len() as u64 && bound.input_tokens < text.len() as u64 + 2_000);
        let picture = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/b.png?c"}}]}]}"#;
        assert!(of("openai_chat", picture).unwrap().input_tokens > PICTURE);
        // A picture's bytes are no text; a text that looks like base64 is.
        let run = "A".repeat(100_000);
        let here = picture.replace("https://a.example/b.png?c", &format!("data:image/png;base64,{run}"));
        assert!(of("openai_chat", &here).unwrap().input_tokens < PICTURE + 2_000);
        assert!(of("openai_chat", &text.replace("llo", &run)).unwrap().input_tokens > 100_000);
        let marked = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}"#;
        assert!(of("anthropic_messages", marked).unwrap().caches);
        let gemini = r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"candidateCount":2,"maxOutputTokens":5}}"#;
        assert_eq!(of("gemini", gemini).unwrap().answers, 2);
        let none = r#"{"model":"m","n":0,"max_tokens":0,"messages":[],"store":true}"#;
        let none = of("openai_chat", none).unwrap();
        assert_eq!((none.answers, none.max_output_tokens), (1, None), "an answer comes all the same");
        assert_eq!(of("openai_embeddings", r#"{"model":"m","input":["a","b"]}"#).unwrap().answers, 0);
    }

    /// Whatever could cost more than its bytes, or is not known to this version, is refused by name.
    #[test]
    fn what_has_no_bound_is_refused() {
        for (surface, text, why) in [
            ("openai_chat", r#"{"model":"m","messages":[],"web_search_options":{}}"#, "web_search_options"),
            ("openai_chat", r#"{"model":"m","messages":[],"from_tomorrow":1}"#, "from_tomorrow"),
            ("openai_chat", r#"{"model":"m","messages":[],"service_tier":"priority"}"#, "priority"),
            (
                "openai_chat",
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA"}}]}]}"#,
                "document",
            ),
            (
                "openai_responses",
                r#"{"model":"m","input":"x","previous_response_id":"r"}"#,
                "previous_response_id",
            ),
            ("openai_responses", r#"{"model":"m","input":"x","tools":[{"type":"web_search"}]}"#, "tools[0]"),
            (
                "anthropic_messages",
                r#"{"model":"m","max_tokens":9,"messages":[],"mcp_servers":[{"type":"url","url":"https://a","name":"n"}]}"#,
                "mcp_servers",
            ),
            ("gemini", r#"{"contents":[],"cachedContent":"c"}"#, "cachedContent"),
            ("anthropic_messages", r#"{"model":"m","max_tokens":9,"messages":[],"speed":"fast"}"#, "speed"),
            (
                "anthropic_messages",
                r#"{"model":"m","max_tokens":9,"messages":[],"inference_geo":"us"}"#,
                "inference_geo",
            ),
            (
                "anthropic_messages",
                r#"{"model":"m","max_tokens":9,"messages":[],"betas":["context-1m"]}"#,
                "betas",
            ),
            (
                "openai_chat",
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:video/mp4;base64,AAAA"}}]}]}"#,
                "a picture is expected",
            ),
            (
                "openai_chat",
                r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/film.mp4"}}]}]}"#,
                "a picture is expected",
            ),
            ("openai_images", r#"{"model":"m","prompt":"x"}"#, "this kind of call"),
        ] {
            let error = of(surface, text).unwrap_err();
            assert!(error.contains(why), "{surface} {text}: {error}");
        }
    }

    proptest! {
        /// Promise 4 rests on it: what is affordable is paid by what there is, and one token more is not.
        #[test]
        fn the_longest_affordable_answer_is_just_affordable(
            input in 0_u64..2_000_000, answers in 1_u64..5, nano in 0_u64..10_000_000_000, output in 1_u64..100_000_000,
        ) {
            let price = Price { rates: Rates { input: 2_500_000, output: output * 1_000, ..Rates::default() }, tiers: vec![] };
            let bound = Bound { input_tokens: input, answers, ..Bound::default() };
            let paid = |tokens| matches!(bound.cost(&price, tokens), Cost::Known(cost) if cost <= nano);
            match bound.affordable(&price, nano, 10_000) {
                None => prop_assert!(!paid(0)),
                Some(tokens) => prop_assert!(paid(tokens) && (tokens == 10_000 || !paid(tokens + 1))),
            }
        }
    }
}
