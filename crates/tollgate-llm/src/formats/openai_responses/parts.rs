//! The parts of a message: texts with what belongs to them, and refusals.

use serde::{Deserialize, Serialize};

use crate::chat::{Citation, Likely, TokenLogprob};

/// A part of a message.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    /// Text.
    OutputText {
        #[serde(default)]
        text: String,
        #[serde(default)]
        annotations: Vec<Annotation>,
        #[serde(default)]
        logprobs: Option<Vec<Token>>,
    },
    /// A refusal.
    Refusal {
        #[serde(default)]
        refusal: String,
    },
    /// Whatever else there may be one day.
    #[serde(other)]
    Other,
}

impl Part {
    pub(super) fn text(text: String) -> Self {
        Self::OutputText { text, annotations: Vec::new(), logprobs: Some(Vec::new()) }
    }
}

/// A citation, or something else that stands beside a text.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Annotation {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    start_index: u64,
    #[serde(default)]
    end_index: u64,
}

impl Annotation {
    /// `citation`; where it does not say what it is for, it is for all of the text, of `length` characters.
    pub(super) fn of(citation: &Citation, length: u64) -> Self {
        let (start_index, end_index) = citation.span.unwrap_or((0, length));
        Self {
            kind: "url_citation".to_owned(),
            url: Some(citation.url.clone()),
            title: Some(citation.title.clone().unwrap_or_default()),
            start_index,
            end_index,
        }
    }

    /// The citation that it is, if it is one of an address.
    pub(super) fn into_neutral(self) -> Option<Citation> {
        Some(Citation {
            url: self.url.filter(|_| self.kind == "url_citation")?,
            title: self.title.filter(|title| !title.is_empty()),
            cited: None,
            span: (self.end_index > 0).then_some((self.start_index, self.end_index)),
        })
    }
}

/// How likely a token was, and which others were.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Token {
    #[serde(flatten)]
    token: Wire,
    #[serde(default)]
    top_logprobs: Vec<Wire>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Wire {
    #[serde(default)]
    token: String,
    #[serde(default)]
    logprob: f64,
    #[serde(default, skip_deserializing)]
    bytes: Vec<u8>,
}

impl Wire {
    fn of(likely: &Likely) -> Self {
        Self { token: likely.token.clone(), logprob: likely.logprob, bytes: likely.token.as_bytes().to_vec() }
    }

    fn into_neutral(self) -> Likely {
        Likely { token: self.token, logprob: self.logprob }
    }
}

impl Token {
    pub(super) fn of(token: &TokenLogprob) -> Self {
        Self { token: Wire::of(&token.token), top_logprobs: token.top.iter().map(Wire::of).collect() }
    }

    pub(super) fn into_neutral(self) -> TokenLogprob {
        let top = self.top_logprobs.into_iter().map(Wire::into_neutral).collect();
        TokenLogprob { token: self.token.into_neutral(), top }
    }
}
