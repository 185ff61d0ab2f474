//! What somebody of one revision says, in words that somebody of another understands.
//!
//! **One function per subject, not one step per revision.** From one revision to the next MCP mostly adds words, and the
//! schemas leave every object open: a member that a listener does not know is overlooked by it, so it stays. What is
//! left to do depends on the listener alone: it closes a few unions (kinds of content, of elicitation) and requires a
//! few members (`resultType`, `ttlMs`, `_meta` of requests). A chain of steps would read each message up to four times
//! to arrive at the same, so each subject knows what its listener lacks and says it in one pass.
//!
//! Everything here borrows: where nothing is to be said differently the text is returned as it came, to the byte. What
//! is lost or said in other words is noted ([`Notes`]), and what a listener has no word for is kept for it in `_meta`
//! under a name of ours, so that it is still there for whoever looks.
//!
//! The one step that is more than words is between stateful revisions and stateless ones. A stateful side says things
//! once (who it is, its log level, its subscriptions) and servers ask questions in between; a stateless one says
//! everything in each request and servers ask in results. The functions here make either out of the other; *when* to
//! say something, and what to remember, is for whoever carries the messages. [`method::fate`](crate::method::fate)
//! tells which methods are concerned.

mod answer;
mod content;
mod elicitation;
mod error;
mod hello;
mod input;
mod log;
mod notes;
mod prompts;
mod sampling;
mod say;
mod subscription;
mod tools;

pub use answer::{Answer, answer, client_result};
pub use hello::{ClientHello, Era, HelloError, discover_result, era, initialize_result, unsupported_version};
pub use input::{Asked, InputRequired, Retry, answered, ask, retry};
pub use log::{Level, wanted};
pub use notes::{Kept, Note, Notes};
pub use say::say;
pub use subscription::{Filter, acknowledged, closed, listen, tagged};

use crate::revision::Revision;

/// From whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// What the speaker speaks.
    pub from: Revision,
    /// What the listener speaks.
    pub to: Revision,
}

impl Way {
    /// From somebody who speaks `from` to somebody who speaks `to`.
    pub const fn new(from: Revision, to: Revision) -> Self {
        Self { from, to }
    }

    /// From `to` to `from`: the way of an answer.
    pub const fn back(self) -> Self {
        Self { from: self.to, to: self.from }
    }

    /// Whether both sides speak the same: then every word stays as it is, but for who a client says that it is.
    pub fn is_short(self) -> bool {
        self.from == self.to
    }

    fn into_stateless(self) -> bool {
        !self.from.is_stateless() && self.to.is_stateless()
    }

    fn out_of_stateless(self) -> bool {
        self.from.is_stateless() && !self.to.is_stateless()
    }
}

/// Something that the listener's revision has no way to say, and without which the message would ask for something
/// else. Whoever said it is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsayable(pub &'static str);
