//! Reading messages from bytes.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::scan::scan;
use super::{ErrorBody, Id, Kind, Message, codes, meta};
use crate::json::{Object, elements, string};
use crate::revision::Revision;

/// How large what is read may be. Every one is the caller's to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub bytes: usize,
    /// Objects and lists inside one another, the message itself included.
    pub depth: usize,
    /// Bytes of an id or a progress token, as written.
    pub id_bytes: usize,
    /// Bytes of a method's name.
    pub method_bytes: usize,
    /// Digits of a number.
    pub number_bytes: usize,
    /// Messages of a batch.
    pub batch: usize,
}

/// What a body holds.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// A message.
    One(Message<'a>),
    /// Several, which only 2025-03-26 allows: none of them `initialize`, and at least one.
    Batch(Vec<Message<'a>>),
}

/// Why a body is refused. What it says holds nothing of the body but a member's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More bytes than allowed.
    #[error("the message is longer than {0} bytes")]
    TooLong(usize),
    /// Not UTF-8, which JSON is.
    #[error("the message is not UTF-8")]
    NotUtf8,
    /// Not JSON; the parser's reason.
    #[error("the message is not JSON: {0}")]
    NotJson(String),
    /// Nested deeper than allowed.
    #[error("the message nests deeper than {0}")]
    TooDeep(usize),
    /// A member stands twice in one object, escapes resolved.
    #[error("the member `{0}` stands twice in one object")]
    Twice(String),
    /// A member's name is half a surrogate pair.
    #[error("a member's name is not valid Unicode")]
    BadName,
    /// A member that some parsers take for one that the protocol knows.
    #[error(
        "the member `{0}` is not spelled as the protocol spells it, and some readers would take it for that"
    )]
    Lookalike(String),
    /// A number that no common reader holds.
    #[error("a number is too large or too long")]
    Number,
    /// A batch, which this revision has not.
    #[error("batches are not a part of MCP {0}")]
    Batch(&'static str),
    /// A batch without messages, or with too many.
    #[error("a batch has at least one message and at most {0}")]
    BatchSize(usize),
    /// JSON, but not a message of JSON-RPC 2.0 as MCP has them.
    #[error("not a message of MCP: {0}")]
    NotAMessage(&'static str),
}

impl Refusal {
    /// The error code of the answer. Its id is unknown: what cannot be read cannot say whose answer it wants.
    pub fn code(&self) -> i64 {
        match self {
            Self::NotUtf8 | Self::NotJson(_) => codes::PARSE_ERROR,
            _ => codes::INVALID_REQUEST,
        }
    }
}

/// Reads what `bytes` hold, from somebody who speaks `revision`.
pub fn read<'a>(bytes: &'a [u8], revision: Revision, limits: &Limits) -> Result<Body<'a>, Refusal> {
    if bytes.len() > limits.bytes {
        return Err(Refusal::TooLong(limits.bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::NotUtf8)?;
    // Skips over values without recursion: how deep they are is found out next, and nothing before that may recurse.
    serde_json::from_str::<&RawValue>(text).map_err(|e| Refusal::NotJson(reason(&e)))?;
    let text = text.trim_ascii();
    if text.starts_with('[') {
        return batch(text, revision, limits).map(Body::Batch);
    }
    scan(text, limits)?;
    message(text, limits).map(Body::One)
}

/// Reads a message again that [`read`] has let through, or that this crate has written: nothing is checked a second time but
/// its shape. What nobody has read yet must not get here.
pub fn reread(bytes: &[u8]) -> Result<Message<'_>, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::NotUtf8)?;
    shaped(Object::read(text.trim_ascii()).ok_or(NO_OBJECT)?)
}

/// The parser's reason, without anything of the text.
fn reason(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "it ends too early" } else { "a syntax error" };
    format!("{what}, at line {} column {}", error.line(), error.column())
}

fn batch<'a>(text: &'a str, revision: Revision, limits: &Limits) -> Result<Vec<Message<'a>>, Refusal> {
    if !revision.allows_batches() {
        return Err(Refusal::Batch(revision.name()));
    }
    // A batch is a list around its messages, which may be as deep as they may be alone.
    scan(text, &Limits { depth: limits.depth.saturating_add(1), ..*limits })?;
    let parts = elements(text).ok_or(Refusal::NotAMessage("not a list of messages"))?;
    if parts.is_empty() || parts.len() > limits.batch {
        return Err(Refusal::BatchSize(limits.batch));
    }
    let messages: Vec<Message<'a>> =
        parts.into_iter().map(|part| message(part, limits)).collect::<Result<_, _>>()?;
    // Until it is answered nobody knows whether the other side has batches (2025-03-26, lifecycle).
    if messages.iter().any(|message| message.method() == Some("initialize")) {
        return Err(Refusal::NotAMessage("`initialize` stands in a batch"));
    }
    let requests = |m: &&Message<'_>| m.method().is_some();
    let said = messages.iter().filter(requests).count();
    if said != 0 && said != messages.len() {
        return Err(Refusal::NotAMessage("a batch holds both answers and requests"));
    }
    Ok(messages)
}

const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// Members of params by which the gate decides, or which name somebody.
const DECIDING: [&str; 15] = [
    "_meta",
    "name",
    "uri",
    "arguments",
    "cursor",
    "ref",
    "level",
    "progressToken",
    "requestId",
    "protocolVersion",
    "capabilities",
    "inputResponses",
    "requestState",
    "taskId",
    "notifications",
];

/// Members of results by which the gate decides what a client gets to see, or whether it is asked something.
const SHOWING: [&str; 14] = [
    "_meta",
    "capabilities",
    "content",
    "contents",
    "inputRequests",
    "isError",
    "messages",
    "nextCursor",
    "prompts",
    "resources",
    "resourceTemplates",
    "resultType",
    "structuredContent",
    "tools",
];

const NO_OBJECT: Refusal = Refusal::NotAMessage("not an object");

fn message<'a>(text: &'a str, limits: &Limits) -> Result<Message<'a>, Refusal> {
    let object = Object::read(text).ok_or(NO_OBJECT)?;
    well_spelled(&object, &ENVELOPE)?;
    let message = shaped(object)?;
    within(&message, limits)?;
    match &message.kind {
        Kind::Request { params, .. } | Kind::Notification { params, .. } => params.map_or(Ok(()), decides)?,
        Kind::Response { result, .. } => {
            let result = Object::read(result).ok_or(Refusal::NotAMessage("`result` is not an object"))?;
            well_spelled(&result, &SHOWING)?;
        }
        Kind::Error { .. } => {}
    }
    Ok(message)
}

/// The message that `object` is.
fn shaped(object: Object<'_>) -> Result<Message<'_>, Refusal> {
    if object.string("jsonrpc").as_deref() != Some("2.0") {
        return Err(Refusal::NotAMessage("`jsonrpc` is not \"2.0\""));
    }
    let kind = match (object.get("method"), object.get("result"), object.get("error")) {
        (Some(method), None, None) => {
            let method = string(method).ok_or(Refusal::NotAMessage("`method` is not a string"))?;
            let params = object.get("params");
            match id(&object)? {
                Some(id) => Kind::Request { id, method, params },
                None => Kind::Notification { method, params },
            }
        }
        (None, Some(result), None) => {
            let id = id(&object)?.ok_or(Refusal::NotAMessage("an answer without an id"))?;
            Kind::Response { id, result }
        }
        (None, None, Some(_)) => Kind::Error { id: error_id(&object)?, error: error_body(&object)? },
        (None, None, None) => return Err(Refusal::NotAMessage("neither `method` nor `result` nor `error`")),
        _ => return Err(Refusal::NotAMessage("more than one of `method`, `result` and `error`")),
    };
    Ok(Message { object, kind })
}

/// Whether what others keep of a message is no longer than it may be.
fn within(message: &Message<'_>, limits: &Limits) -> Result<(), Refusal> {
    if message.method().is_some_and(|method| method.is_empty() || method.len() > limits.method_bytes) {
        return Err(Refusal::NotAMessage("`method` is empty or too long"));
    }
    if message.id().is_some_and(|id| id.raw().len() > limits.id_bytes) {
        return Err(Refusal::NotAMessage("`id` is too long"));
    }
    Ok(())
}

/// Whether everybody reads the same in the params `text` of a request or a notification.
fn decides(text: &str) -> Result<(), Refusal> {
    let params = Object::read(text).ok_or(Refusal::NotAMessage("`params` is not an object"))?;
    well_spelled(&params, &DECIDING)?;
    if let Some(object) = params.object("_meta") {
        well_spelled(&object, &[meta::PROGRESS_TOKEN])?;
        well_spelled(&object, &meta::OF_REQUESTS)?;
    }
    Ok(())
}

fn id<'a>(object: &Object<'a>) -> Result<Option<Id<'a>>, Refusal> {
    let Some(raw) = object.get("id") else { return Ok(None) };
    Id::read(raw).map(Some).ok_or(Refusal::NotAMessage("`id` is neither a string nor an integer"))
}

/// JSON-RPC answers what it could not read with the id null, some revisions with none.
fn error_id<'a>(object: &Object<'a>) -> Result<Option<Id<'a>>, Refusal> {
    if object.get("id") == Some("null") { Ok(None) } else { id(object) }
}

fn error_body<'a>(object: &Object<'a>) -> Result<ErrorBody<'a>, Refusal> {
    let wrong = Refusal::NotAMessage("`error` has no integer `code` and string `message`");
    let read = || {
        let error = object.object("error")?;
        let code = error.get("code")?.parse().ok()?;
        let message: Cow<'a, str> = error.string("message")?;
        Some(ErrorBody { text: error.text(), code, message, data: error.get("data") })
    };
    read().ok_or(wrong)
}

/// Refuses members whose names some parsers would take for one of `known`: several match without regard to case, as
/// Unicode folds it, and let the last one win.
fn well_spelled(object: &Object<'_>, known: &[&str]) -> Result<(), Refusal> {
    for (name, _) in object.iter() {
        let like = |known: &&&str| **known != name && alike(name, known);
        if let Some(known) = known.iter().find(like) {
            return Err(Refusal::Lookalike((*known).to_owned()));
        }
    }
    Ok(())
}

/// Whether `name` is `known`, which is ASCII, without regard to case.
fn alike(name: &str, known: &str) -> bool {
    if name.is_ascii() { name.eq_ignore_ascii_case(known) } else { folded(name).eq(folded(known)) }
}

/// The characters of `name` without case. Two beyond ASCII fold to ASCII letters: the long s and the Kelvin sign.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    })
}
