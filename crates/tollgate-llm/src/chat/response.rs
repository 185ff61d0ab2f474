//! What a model answers, whole or as a stream.

use tollgate_core::fault::UpstreamError;
use tollgate_core::usage::Usage;

use super::Sealed;

/// A whole answer.
#[derive(Debug, Default)]
pub struct Response {
    /// The upstream's id for it.
    pub id: String,
    /// The model, as the upstream calls it.
    pub model: String,
    /// When it was made, seconds since 1970; 0 where the upstream does not say.
    pub created: i64,
    /// The answers; more than one only where several were asked for.
    pub choices: Vec<Choice>,
    /// What it used.
    pub usage: Option<Usage>,
}

impl Response {
    /// The same, with what an upstream leaves out that says neither an id nor the model.
    #[must_use]
    pub fn named(mut self, id: &str, model: &str) -> Self {
        name(&mut self.id, id);
        name(&mut self.model, model);
        self
    }
}

fn name(said: &mut String, otherwise: &str) {
    if said.is_empty() {
        otherwise.clone_into(said);
    }
}

/// One answer.
#[derive(Debug, Default)]
pub struct Choice {
    /// What was said, in order.
    pub said: Vec<Said>,
    /// Why it ended.
    pub stop: StopReason,
    /// How likely each token was, where that was asked for.
    pub logprobs: Vec<TokenLogprob>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Where it has that from.
        citations: Vec<Citation>,
    },
    /// The text of a refusal.
    Refusal(String),
    /// What the model thought.
    Thinking {
        /// The thought, or its summary; may be empty.
        text: String,
        /// By which the model knows it again.
        seal: Option<Sealed>,
    },
    /// What the model thought and shows to nobody.
    Redacted(Sealed),
    /// A tool that the model wants called.
    ToolCall(ToolCall),
    /// A picture that the model made.
    Image {
        /// Such as `image/png`.
        media_type: String,
        /// Base64.
        data: String,
    },
}

/// A tool that the model wants called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Ties the result to the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments: a JSON object as text.
    pub arguments: String,
    /// By which the model knows again why it called.
    pub seal: Option<Sealed>,
}

/// Where an answer has something from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Citation {
    /// The source's address.
    pub url: String,
    /// Its title.
    pub title: Option<String>,
    /// What of it is cited.
    pub cited: Option<String>,
    /// Which characters of the answer's text it is for, where the upstream says so.
    pub span: Option<(u64, u64)>,
}

/// How likely a token of the answer was.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token and its probability.
    pub token: Likely,
    /// Other tokens that were likely there.
    pub top: Vec<Likely>,
}

/// A token and the natural logarithm of its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Likely {
    /// Its text.
    pub token: String,
    /// The logarithm.
    pub logprob: f64,
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StopReason {
    /// It was complete.
    #[default]
    End,
    /// One of the client's stop texts came up; which, where the upstream says so.
    StopText(Option<String>),
    /// It reached the longest answer that was asked for.
    MaxTokens,
    /// It wants tools called.
    ToolCalls,
    /// The model or the provider's filter refused.
    Refused,
    /// The context window was full.
    ContextFull,
    /// The provider paused a long turn; sending it back goes on.
    Paused,
}

impl Choice {
    /// All of its text; `None` when it has none.
    pub fn text(&self) -> Option<String> {
        let texts = self.said.iter().filter_map(|said| match said {
            Said::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.reduce_text()
    }

    /// All of its refusal; `None` when it has none.
    pub fn refusal(&self) -> Option<String> {
        let texts = self.said.iter().filter_map(|said| match said {
            Said::Refusal(text) => Some(text.as_str()),
            _ => None,
        });
        texts.reduce_text()
    }

    /// Its calls, in order.
    pub fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.said.iter().filter_map(|said| match said {
            Said::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// Its citations, in order.
    pub fn citations(&self) -> impl Iterator<Item = &Citation> {
        self.said.iter().flat_map(|said| match said {
            Said::Text { citations, .. } => citations.as_slice(),
            _ => &[],
        })
    }
}

trait ReduceText<'a>: Iterator<Item = &'a str> + Sized {
    fn reduce_text(mut self) -> Option<String> {
        let mut all = self.next()?.to_owned();
        all.extend(self);
        Some(all)
    }
}

impl<'a, I: Iterator<Item = &'a str>> ReduceText<'a> for I {}

/// A piece of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The answer begins.
    Start {
        /// The upstream's id for it.
        id: String,
        /// The model, as the upstream calls it.
        model: String,
        /// What is known of the usage by now.
        usage: Option<Usage>,
    },
    /// More text.
    Text(String),
    /// Where the text so far has something from.
    Citation(Citation),
    /// How likely the tokens of the last text were.
    Logprobs(Vec<TokenLogprob>),
    /// More of a refusal.
    Refusal(String),
    /// More of a thought.
    Thinking(String),
    /// The thought so far is complete; this is its seal.
    ThinkingSeal(Sealed),
    /// A thought that is shown to nobody.
    Redacted(Sealed),
    /// A tool call begins. Calls are numbered from 0.
    ToolStart {
        /// Which call.
        index: usize,
        /// Ties the result to the call.
        id: String,
        /// The tool.
        name: String,
        /// By which the model knows again why it called.
        seal: Option<Sealed>,
    },
    /// More of a call's arguments.
    ToolArguments {
        /// Which call.
        index: usize,
        /// A piece of a JSON object's text.
        fragment: String,
    },
    /// A picture that the model made.
    Image {
        /// Such as `image/png`.
        media_type: String,
        /// Base64.
        data: String,
    },
    /// The model has stopped.
    Stop(StopReason),
    /// The usage so far; the last one counts.
    Usage(Usage),
    /// The answer is complete.
    Done,
    /// The upstream failed in the middle.
    Failed(UpstreamError),
}

impl Event {
    /// The same, with what an upstream leaves out that says neither an id nor the model.
    #[must_use]
    pub fn named(mut self, by_id: &str, by_model: &str) -> Self {
        if let Self::Start { id, model, .. } = &mut self {
            name(id, by_id);
            name(model, by_model);
        }
        self
    }
}

/// The whole answer that `events` are the pieces of.
pub fn collect(events: impl IntoIterator<Item = Event>) -> Response {
    let mut response = Response::default();
    let mut choice = Choice::default();
    // Where each call stands.
    let mut calls: Vec<(usize, usize)> = Vec::new();
    for event in events {
        let said = &mut choice.said;
        match event {
            Event::Start { id, model, usage } => {
                (response.id, response.model, response.usage) = (id, model, usage);
            }
            Event::Text(more) => match said.last_mut() {
                Some(Said::Text { text, .. }) => text.push_str(&more),
                _ => said.push(Said::Text { text: more, citations: Vec::new() }),
            },
            Event::Citation(citation) => {
                if let Some(Said::Text { citations, .. }) =
                    said.iter_mut().rfind(|s| matches!(s, Said::Text { .. }))
                {
                    citations.push(citation);
                }
            }
            Event::Logprobs(more) => choice.logprobs.extend(more),
            Event::Refusal(more) => match said.last_mut() {
                Some(Said::Refusal(text)) => text.push_str(&more),
                _ => said.push(Said::Refusal(more)),
            },
            Event::Thinking(more) => match said.last_mut() {
                Some(Said::Thinking { text, seal: None }) => text.push_str(&more),
                _ => said.push(Said::Thinking { text: more, seal: None }),
            },
            Event::ThinkingSeal(sealed) => match said.last_mut() {
                Some(Said::Thinking { seal: seal @ None, .. }) => *seal = Some(sealed),
                _ => said.push(Said::Thinking { text: String::new(), seal: Some(sealed) }),
            },
            Event::Redacted(sealed) => said.push(Said::Redacted(sealed)),
            Event::ToolStart { index, id, name, seal } => {
                calls.push((index, said.len()));
                said.push(Said::ToolCall(ToolCall { id, name, arguments: String::new(), seal }));
            }
            Event::ToolArguments { index, fragment } => {
                let at = calls.iter().find(|(known, _)| *known == index).map(|(_, at)| *at);
                if let Some(Said::ToolCall(call)) = at.and_then(|at| said.get_mut(at)) {
                    call.arguments.push_str(&fragment);
                }
            }
            Event::Image { media_type, data } => said.push(Said::Image { media_type, data }),
            Event::Stop(reason) => choice.stop = reason,
            Event::Usage(usage) => response.usage = Some(usage),
            Event::Done | Event::Failed(_) => {}
        }
    }
    response.choices.push(choice);
    response
}
