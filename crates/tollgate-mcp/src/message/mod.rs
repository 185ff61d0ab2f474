//! JSON-RPC 2.0 as MCP uses it: one message at a time, read from bytes by borrowing and written by splicing.
//!
//! Two readers of one message must never disagree on what it asks for: what stands twice, or in a spelling that some
//! parser takes for another, is refused before anything is decided ([`read`]). Ids belong to whoever gave them;
//! [`rewrite`] exchanges all of a message's at once, and a message with one that nobody knows does not pass.

mod code;
mod id;
pub mod meta;
mod read;
mod rewrite;
mod scan;
mod write;

pub use code::{CODES, Code, codes};
pub use id::Id;
pub use read::{Body, Limits, Refusal, read, reread};
pub use rewrite::{Foreign, Place, mentions, rewrite};
pub use write::{Failure, error, notification, request, response};

use std::borrow::Cow;

use crate::json::{Draft, Object};

/// A message, as parts of the text that it was read from.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    object: Object<'a>,
    kind: Kind<'a>,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Something is asked for, and an answer expected.
    Request {
        /// Whoever asks recognises the answer by it.
        id: Id<'a>,
        /// What is asked for.
        method: Cow<'a, str>,
        /// A JSON object, where there is one.
        params: Option<&'a str>,
    },
    /// Something is told, and no answer expected.
    Notification {
        /// What is told.
        method: Cow<'a, str>,
        /// A JSON object, where there is one.
        params: Option<&'a str>,
    },
    /// An answer.
    Response {
        /// Of the request.
        id: Id<'a>,
        /// A JSON object.
        result: &'a str,
    },
    /// An answer that says why there is none.
    Error {
        /// Of the request; `None` where its reader could not tell.
        id: Option<Id<'a>>,
        /// What went wrong.
        error: ErrorBody<'a>,
    },
}

/// The `error` of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody<'a> {
    /// The whole of it, unknown members included: a JSON object.
    pub text: &'a str,
    /// Its kind; [`codes`] names those that are known.
    pub code: i64,
    /// For people.
    pub message: Cow<'a, str>,
    /// Any JSON, where there is some.
    pub data: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// What it is.
    pub fn kind(&self) -> &Kind<'a> {
        &self.kind
    }

    /// The text that it was read from, without white space around it.
    pub fn text(&self) -> &'a str {
        self.object.text().trim_ascii()
    }

    /// The method of a request or notification.
    pub fn method(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request { method, .. } | Kind::Notification { method, .. } => Some(method),
            Kind::Response { .. } | Kind::Error { .. } => None,
        }
    }

    /// The params of a request or notification.
    pub fn params(&self) -> Option<&'a str> {
        match &self.kind {
            Kind::Request { params, .. } | Kind::Notification { params, .. } => *params,
            Kind::Response { .. } | Kind::Error { .. } => None,
        }
    }

    /// The id of a request or an answer.
    pub fn id(&self) -> Option<&Id<'a>> {
        match &self.kind {
            Kind::Request { id, .. } | Kind::Response { id, .. } => Some(id),
            Kind::Error { id, .. } => id.as_ref(),
            Kind::Notification { .. } => None,
        }
    }

    /// The members of the message itself, to be changed.
    pub fn draft(&self) -> Draft<'a> {
        self.object.clone().draft()
    }
}
