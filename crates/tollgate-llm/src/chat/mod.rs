//! The neutral form in which two formats meet: a conversation, the tools offered, the answer, and the answer as
//! a stream of events. It holds what at least two formats can say; what only one can say is a [`Loss`].

mod request;
mod response;

pub use request::{ImageSource, Message, OutputFormat, Part, Request, Role, Tool, ToolChoice};
pub use response::{Event, Response, StopReason, ToolCall};

/// A request member that the other side cannot express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The member, as the client wrote it.
    pub member: String,
    /// Why it cannot be kept.
    pub why: &'static str,
    /// Whether the answer would differ without it. What is harmless is left out and noted; what is not is
    /// refused, unless the configuration says `drop_params`.
    pub harmless: bool,
}

/// What a translation could not keep.
#[derive(Debug, Default)]
pub struct Losses(Vec<Loss>);

impl Losses {
    /// Notes a member without which the answer would differ.
    pub fn lose(&mut self, member: impl Into<String>, why: &'static str) {
        self.0.push(Loss { member: member.into(), why, harmless: false });
    }

    /// Notes a member that can be left out without a difference to the answer.
    pub fn leave_out(&mut self, member: impl Into<String>, why: &'static str) {
        self.0.push(Loss { member: member.into(), why, harmless: true });
    }

    /// The first that must not be dropped silently.
    pub fn first_harmful(&self) -> Option<&Loss> {
        self.0.iter().find(|loss| !loss.harmless)
    }

    /// All, in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &Loss> {
        self.0.iter()
    }
}
