//! A conversation to be answered, written as OpenAI's chat format has it: that is the form that most people know.

use serde_json::{Map, Value, json};

/// A conversation to be answered.
#[derive(Clone, Debug)]
pub struct Chat {
    pub(crate) model: String,
    messages: Vec<Value>,
    members: Map<String, Value>,
}

impl Chat {
    /// An empty conversation with `model`, written as `provider/model`.
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: model.into(), messages: Vec::new(), members: Map::new() }
    }

    /// Instructions.
    #[must_use]
    pub fn system(self, text: impl Into<String>) -> Self {
        self.said("system", text.into())
    }

    /// What the user says.
    #[must_use]
    pub fn user(self, text: impl Into<String>) -> Self {
        self.said("user", text.into())
    }

    /// What the model said before.
    #[must_use]
    pub fn assistant(self, text: impl Into<String>) -> Self {
        self.said("assistant", text.into())
    }

    fn said(self, role: &str, text: String) -> Self {
        self.message(json!({ "role": role, "content": text }))
    }

    /// Any message, as OpenAI's chat format has it: pictures, tool calls, tool results.
    #[must_use]
    pub fn message(mut self, message: Value) -> Self {
        self.messages.push(message);
        self
    }

    /// Any other member of OpenAI's chat format: `temperature`, `tools`, `response_format`.
    #[must_use]
    pub fn with(mut self, member: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(member.into(), value.into());
        self
    }

    /// The longest answer, in tokens.
    #[must_use]
    pub fn max_tokens(self, tokens: u64) -> Self {
        self.with("max_completion_tokens", tokens)
    }

    /// The request's body for the model that the provider calls `model`.
    pub(crate) fn body(&self, model: &str, stream: bool) -> String {
        let mut body = self.members.clone();
        body.insert("model".to_owned(), model.into());
        body.insert("messages".to_owned(), self.messages.clone().into());
        if stream {
            body.insert("stream".to_owned(), true.into());
            body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
        } else {
            body.remove("stream");
        }
        Value::Object(body).to_string()
    }
}
