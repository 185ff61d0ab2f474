//! How likely the tokens of an answer were.

use serde::Deserialize;

use crate::chat::{Likely, TokenLogprob};

/// A piece of the answer's text. It may be several tokens, whose texts are not told apart.
#[derive(Deserialize)]
pub(super) struct Piece {
    text: Option<String>,
    #[serde(default)]
    logprobs: Option<Vec<f64>>,
}

impl Piece {
    /// As one token, with the probability that all of its tokens came up.
    pub(super) fn into_neutral(self) -> Option<TokenLogprob> {
        let logprob = self.logprobs?.into_iter().reduce(|sum, next| sum + next)?;
        Some(TokenLogprob { token: Likely { token: self.text?, logprob }, top: Vec::new() })
    }
}
