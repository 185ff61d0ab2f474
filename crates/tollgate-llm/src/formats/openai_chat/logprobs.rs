//! `logprobs` of a choice.

use serde::{Deserialize, Serialize};

use crate::chat::{Likely, TokenLogprob};

/// The probabilities of an answer's tokens.
#[derive(Deserialize, Serialize)]
pub(super) struct Logprobs {
    #[serde(default)]
    content: Option<Vec<Token>>,
    /// Of a refusal; clients expect the member.
    #[serde(default, skip_deserializing)]
    refusal: Option<()>,
}

#[derive(Deserialize, Serialize)]
struct Token {
    #[serde(flatten)]
    token: Wire,
    #[serde(default)]
    top_logprobs: Vec<Wire>,
}

#[derive(Deserialize, Serialize)]
struct Wire {
    token: String,
    logprob: f64,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
}

impl Wire {
    fn of(likely: &Likely) -> Self {
        let bytes = Some(likely.token.as_bytes().to_vec());
        Self { token: likely.token.clone(), logprob: likely.logprob, bytes }
    }

    fn into_neutral(self) -> Likely {
        Likely { token: self.token, logprob: self.logprob }
    }
}

impl Logprobs {
    pub(super) fn of(tokens: &[TokenLogprob]) -> Self {
        let token = |token: &TokenLogprob| Token {
            token: Wire::of(&token.token),
            top_logprobs: token.top.iter().map(Wire::of).collect(),
        };
        Self { content: Some(tokens.iter().map(token).collect()), refusal: None }
    }

    pub(super) fn into_neutral(self) -> Vec<TokenLogprob> {
        let token = |token: Token| TokenLogprob {
            token: token.token.into_neutral(),
            top: token.top_logprobs.into_iter().map(Wire::into_neutral).collect(),
        };
        self.content.unwrap_or_default().into_iter().map(token).collect()
    }
}
