//! `logprobsResult` of a candidate.

use serde::{Deserialize, Serialize};

use crate::chat::{Likely, TokenLogprob};

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogprobsResult {
    #[serde(default)]
    top_candidates: Vec<Top>,
    #[serde(default)]
    chosen_candidates: Vec<Wire>,
}

#[derive(Default, Deserialize, Serialize)]
struct Top {
    #[serde(default)]
    candidates: Vec<Wire>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    token: String,
    #[serde(default)]
    log_probability: f64,
}

impl Wire {
    fn of(likely: &Likely) -> Self {
        Self { token: likely.token.clone(), log_probability: likely.logprob }
    }

    fn into_neutral(self) -> Likely {
        Likely { token: self.token, logprob: self.log_probability }
    }
}

impl LogprobsResult {
    pub(super) fn of(tokens: &[TokenLogprob]) -> Option<Self> {
        let top = |token: &TokenLogprob| Top { candidates: token.top.iter().map(Wire::of).collect() };
        (!tokens.is_empty()).then(|| Self {
            top_candidates: tokens.iter().map(top).collect(),
            chosen_candidates: tokens.iter().map(|token| Wire::of(&token.token)).collect(),
        })
    }

    pub(super) fn into_neutral(self) -> Vec<TokenLogprob> {
        let tops = self.top_candidates.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
        let token = |(chosen, top): (Wire, Option<Top>)| TokenLogprob {
            token: chosen.into_neutral(),
            top: top.unwrap_or_default().candidates.into_iter().map(Wire::into_neutral).collect(),
        };
        self.chosen_candidates.into_iter().zip(tops).map(token).collect()
    }
}
