//! Writing messages. Ids, params and results are JSON text already.

use std::borrow::Cow;

use crate::json::{object, quoted};
use crate::revision::Revision;

/// An error to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// Its kind, of [`codes`](super::codes).
    pub code: i64,
    /// For people.
    pub message: Cow<'a, str>,
    /// JSON text, where there is some.
    pub data: Option<Cow<'a, str>>,
}

/// The request `method`, with the id that the JSON text `id` is.
pub fn request(id: &str, method: &str, params: Option<&str>) -> String {
    said(Some(id), method, params)
}

/// The notification `method`.
pub fn notification(method: &str, params: Option<&str>) -> String {
    said(None, method, params)
}

fn said(id: Option<&str>, method: &str, params: Option<&str>) -> String {
    let version = ("jsonrpc", Cow::Borrowed("\"2.0\""));
    let id = id.map(|id| ("id", Cow::Borrowed(id)));
    let method = ("method", Cow::Owned(quoted(method)));
    let params = params.map(|params| ("params", Cow::Borrowed(params)));
    object([version].into_iter().chain(id).chain([method]).chain(params))
}

/// The answer `result` to the request `id`.
pub fn response(id: &str, result: &str) -> String {
    object([
        ("jsonrpc", Cow::Borrowed("\"2.0\"")),
        ("id", Cow::Borrowed(id)),
        ("result", Cow::Borrowed(result)),
    ])
}

/// The answer that there is none. Where the request's id is not known, older revisions say null, as JSON-RPC does, and
/// newer ones nothing.
pub fn error(id: Option<&str>, failure: &Failure<'_>, revision: Revision) -> String {
    let code = Cow::Owned(failure.code.to_string());
    let message = Cow::Owned(quoted(&failure.message));
    let data = failure.data.as_deref().map(|data| ("data", Cow::Borrowed(data)));
    let body = object([("code", code), ("message", message)].into_iter().chain(data));
    let id = match id {
        None if revision >= Revision::V2025_11_25 => None,
        id => Some(("id", Cow::Borrowed(id.unwrap_or("null")))),
    };
    let version = ("jsonrpc", Cow::Borrowed("\"2.0\""));
    object([version].into_iter().chain(id).chain([("error", Cow::Owned(body))]))
}
