//! The model catalog: prices and limits by provider and model.
//!
//! `models.txt` is made by `cargo xtask catalog` and sorted by name, so that a look-up is a binary search in
//! the text itself: nothing is parsed at start and nothing is kept on the heap.

use serde::Deserialize;
use tollgate_core::ports::{Catalog, ModelFacts};
use tollgate_core::price::Price;

static MODELS: &str = include_str!("models.txt");

/// The catalog that is part of the binary.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn;

/// One line: the name, a tab, and this as JSON. Members are short because there are thousands of lines.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "in")]
    max_input_tokens: Option<u64>,
    #[serde(rename = "out")]
    max_output_tokens: Option<u64>,
    #[serde(default, rename = "schema")]
    native_schema: bool,
    #[serde(default, rename = "nosampling")]
    no_sampling: bool,
    #[serde(default, rename = "adaptive")]
    adaptive_thinking: bool,
    price: Option<Price>,
}

impl Catalog for BuiltIn {
    fn facts(&self, provider: &str, model: &str) -> Option<ModelFacts> {
        let line = names(provider, model).find_map(|name| find(MODELS, &name))?;
        let line: Line = serde_json::from_str(line).ok()?;
        Some(ModelFacts {
            max_input_tokens: line.max_input_tokens,
            max_output_tokens: line.max_output_tokens,
            native_schema: line.native_schema,
            no_sampling: line.no_sampling,
            adaptive_thinking: line.adaptive_thinking,
            price: line.price,
        })
    }
}

/// What a provider's models may be called in the catalog, which divides some providers up: the beginnings of names.
const ELSEWHERE: &[(&str, &[&str])] = &[
    ("bedrock", &["bedrock_converse/", "bedrock/"]),
    ("bedrock_converse", &["bedrock_converse/", "bedrock/"]),
    ("cohere", &["cohere/", "cohere_chat/"]),
    ("cohere_chat", &["cohere_chat/", "cohere/"]),
    (
        "vertex_ai",
        &[
            "vertex_ai/",
            "vertex_ai-language-models/",
            "vertex_ai-language-models/vertex_ai/",
            "vertex_ai-anthropic_models/vertex_ai/",
        ],
    ),
];

/// The names that `model` may have. Before a slash stands what does not change the model: a region, the kind of an
/// ARN, a publisher.
fn names(provider: &str, model: &str) -> impl Iterator<Item = String> {
    let divided = ELSEWHERE.iter().find(|(known, _)| *known == provider).map(|(_, beginnings)| *beginnings);
    let bare = model.rsplit('/').next().unwrap_or(model);
    let beginnings = divided.unwrap_or_default();
    let whole = beginnings.iter().map(|beginning| format!("{beginning}{model}")).collect::<Vec<_>>();
    let bare = beginnings.iter().map(|beginning| format!("{beginning}{bare}")).collect::<Vec<_>>();
    let plain = divided.is_none().then(|| format!("{provider}/{model}"));
    plain.into_iter().chain(whole).chain(bare)
}

/// The JSON of the line that begins with `name` and a tab.
fn find<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (mut low, mut high) = (0, text.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let start =
            text.as_bytes()[low..middle].iter().rposition(|b| *b == b'\n').map_or(low, |at| low + at + 1);
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let (key, rest) = text[start..end].split_once('\t').unwrap_or((&text[start..end], ""));
        match key.cmp(name) {
            std::cmp::Ordering::Equal => return Some(rest),
            std::cmp::Ordering::Less => low = (end + 1).min(high),
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_found_and_read() {
        let names: Vec<_> = MODELS.lines().filter_map(|l| l.split_once('\t')).collect();
        assert!(names.len() > 1000, "{}", names.len());
        assert!(names.is_sorted_by(|a, b| a.0 < b.0));
        for (name, json) in names {
            assert_eq!(find(MODELS, name), Some(json), "{name}");
            serde_json::from_str::<Line>(json).unwrap();
        }
        for name in ["", "a", "openai/gpt-4o-", "zzz", "openai/gpt-4"] {
            let known = MODELS.lines().any(|l| l.split_once('\t').is_some_and(|(n, _)| n == name));
            assert_eq!(find(MODELS, name).is_some(), known, "{name}");
        }
    }

    #[test]
    fn a_known_model_has_its_list_price() {
        let facts = BuiltIn.facts("openai", "gpt-4o").unwrap();
        let rates = facts.price.unwrap().rates;
        assert_eq!((rates.input, rates.output), (2_500_000, 10_000_000));
        assert_eq!(facts.max_output_tokens, Some(16384));
    }

    #[test]
    fn a_provider_with_two_names_has_all_of_its_models_under_both() {
        for provider in ["cohere", "cohere_chat"] {
            for model in ["command-a-03-2025", "embed-v4.0", "rerank-v3.5"] {
                assert!(BuiltIn.facts(provider, model).is_some_and(|facts| facts.price.is_some()), "{model}");
            }
        }
    }

    #[test]
    fn models_of_divided_providers_are_found_by_the_names_that_people_write() {
        for (provider, model) in [
            ("bedrock", "us.anthropic.claude-opus-4-6-v1"),
            ("bedrock", "converse/us.anthropic.claude-opus-4-6-v1"),
            ("bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-6-v1"),
            ("bedrock_converse", "amazon.nova-lite-v1:0"),
            ("vertex_ai", "gemini-2.5-flash"),
            ("vertex_ai", "google/gemini-2.5-flash"),
            ("vertex_ai", "claude-opus-4-6"),
        ] {
            assert!(BuiltIn.facts(provider, model).is_some(), "{provider}/{model}");
        }
        assert!(BuiltIn.facts("bedrock", "nothing").is_none());
    }
}
