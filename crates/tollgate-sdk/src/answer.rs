//! What a provider answered.

use tollgate_core::price::Cost;
use tollgate_core::usage::Usage;
use tollgate_llm::chat::{Choice, Response, Said, StopReason, ToolCall};

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    response: Response,
    cost: Cost,
}

impl Answer {
    pub(crate) fn new(response: Response, cost: Cost) -> Self {
        Self { response, cost }
    }

    fn first(&self) -> Option<&Choice> {
        self.response.choices.first()
    }

    /// The text; empty where the model said none.
    pub fn text(&self) -> String {
        self.first().and_then(Choice::text).unwrap_or_default()
    }

    /// What the model thought, where the provider shows it.
    pub fn thinking(&self) -> Option<String> {
        let thoughts = self.first()?.said.iter().filter_map(|said| match said {
            Said::Thinking { text, .. } => Some(text.as_str()),
            _ => None,
        });
        Some(thoughts.collect::<String>()).filter(|text| !text.is_empty())
    }

    /// The tools that the model wants called.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.first().into_iter().flat_map(Choice::calls)
    }

    /// Why the answer ended.
    pub fn stop(&self) -> Option<&StopReason> {
        self.first().map(|choice| &choice.stop)
    }

    /// The model, as the provider calls it.
    pub fn model(&self) -> &str {
        &self.response.model
    }

    /// What it used; `None` where the provider does not say.
    pub fn usage(&self) -> Option<Usage> {
        self.response.usage
    }

    /// What it cost at the list price; unknown where there is none.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// All of it, in the form that all formats share.
    pub fn response(&self) -> &Response {
        &self.response
    }
}

/// Vectors of texts.
#[derive(Debug)]
pub struct Embedding {
    /// One for each text, in order.
    pub vectors: Vec<Vec<f32>>,
    /// What it used; `None` where the provider does not say.
    pub usage: Option<Usage>,
    /// What it cost at the list price.
    pub cost: Cost,
}
