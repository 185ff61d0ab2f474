//! An answer, into the neutral form and from it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollgate_core::usage::{Usage, UsageSource};

use crate::chat::Text;
use crate::formats::cohere_chat::usage::WireUsage;
use crate::json::Members;
use crate::rerank::{Ranked, Response};

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    id: Option<String>,
    results: Vec<WrittenRank>,
    meta: Option<WireUsage>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct WrittenRank {
    index: u64,
    relevance_score: Box<RawValue>,
}

/// What servers that are not Cohere's report: a reranking has no output, so all of its tokens are input.
#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

/// Some report both: which of them is billed, the price says.
fn counted(meta: Option<WireUsage>, tokens: Option<Tokens>) -> Option<Usage> {
    let tokens = tokens.and_then(|tokens| tokens.total_tokens.or(tokens.prompt_tokens));
    let tokens =
        tokens.map(|input_tokens| Usage { input_tokens, source: UsageSource::Reported, ..Usage::default() });
    match (meta.and_then(|meta| meta.counted()), tokens) {
        (Some(meta), Some(tokens)) if meta.input_tokens == 0 => {
            Some(Usage { input_tokens: tokens.input_tokens, ..meta })
        }
        (meta, tokens) => meta.or(tokens),
    }
}

pub(super) fn read(body: &[u8]) -> Result<Response, String> {
    let written: Written = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let rank = |rank: WrittenRank| Ranked { index: rank.index, relevance_score: rank.relevance_score };
    Ok(Response {
        id: written.id.unwrap_or_default(),
        results: written.results.into_iter().map(rank).collect(),
        usage: counted(written.meta, written.usage),
    })
}

/// Only what the meter needs.
pub(super) fn usage(body: &str) -> Result<Option<Usage>, String> {
    let members = Members::find(body, &["results", "meta", "usage"]).map_err(|e| e.to_string())?;
    if members.get("results").is_none() {
        return Err("it has no `results`".to_owned());
    }
    let meta = members.read("meta").map_err(|e| e.to_string())?;
    Ok(counted(meta, members.read("usage").map_err(|e| e.to_string())?))
}

#[derive(Serialize)]
struct Out<'r> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'r str,
    results: Vec<OutRank<'r>>,
    meta: OutMeta,
}

#[derive(Serialize)]
struct OutRank<'r> {
    index: u64,
    relevance_score: &'r RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<OutDocument<'r>>,
}

#[derive(Serialize)]
struct OutDocument<'r> {
    text: &'r Text<'r>,
}

#[derive(Serialize)]
struct OutMeta {
    billed_units: OutUnits,
}

#[derive(Serialize)]
struct OutUnits {
    #[serde(skip_serializing_if = "Option::is_none")]
    search_units: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
}

pub(super) fn write(response: &Response, documents: Option<&[Text<'_>]>) -> Vec<u8> {
    let document = |index: u64| {
        let text = documents?.get(usize::try_from(index).ok()?)?;
        Some(OutDocument { text })
    };
    let results = response.results.iter().map(|Ranked { index, relevance_score }| OutRank {
        index: *index,
        relevance_score,
        document: document(*index),
    });
    let used = response.usage.unwrap_or_default();
    let units = OutUnits {
        search_units: Some(used.searches).filter(|searches| *searches > 0),
        input_tokens: Some(used.input_tokens).filter(|tokens| *tokens > 0),
    };
    crate::json::written(&Out {
        id: &response.id,
        results: results.collect(),
        meta: OutMeta { billed_units: units },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_searches_or_tokens_or_both() {
        let used = |text: &str| {
            let body = format!(r#"{{"results":[]{text}}}"#);
            let used = usage(&body).unwrap();
            assert_eq!(used, read(body.as_bytes()).unwrap().usage);
            used.map(|used| (used.searches, used.input_tokens))
        };
        assert_eq!(used(r#","meta":{"billed_units":{"search_units":2}}"#), Some((2, 0)));
        assert_eq!(used(r#","usage":{"total_tokens":56}"#), Some((0, 56)));
        assert_eq!(
            used(r#","meta":{"billed_units":{"search_units":1.0}},"usage":{"prompt_tokens":9}"#),
            Some((1, 9))
        );
        assert_eq!(used(r#","meta":{"api_version":{"version":"2"}},"usage":null"#), None);
        assert!(usage(r#"{"message":"no"}"#).is_err());
    }
}
