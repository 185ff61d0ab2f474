//! Errors whose codes other revisions have other words for.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Kept, Notes, Way};
use crate::json::{Object, elements, object, quoted};
use crate::message::{ErrorBody, codes};
use crate::method::Method;
use crate::revision::Revision;

/// What becomes of an error.
pub(super) enum Told<'a> {
    /// It stays one.
    Error(Cow<'a, str>),
    /// The listener's revision says this in a result.
    Result(String),
}

/// The error `error` that the method `method` ended with.
pub(super) fn told<'a>(error: &ErrorBody<'a>, method: &str, way: Way, notes: &mut Notes) -> Told<'a> {
    let code = match error.code {
        codes::RESOURCE_NOT_FOUND if way.into_stateless() && method == "resources/read" => {
            codes::INVALID_PARAMS
        }
        codes::INVALID_PARAMS if way.out_of_stateless() && names_a_resource(error, method) => {
            codes::RESOURCE_NOT_FOUND
        }
        codes::URL_ELICITATION_REQUIRED if way.into_stateless() => {
            let may_ask = Method::find(method).is_some_and(|method| method.may_ask);
            return match questions(error).filter(|_| may_ask) {
                Some(result) => Told::Result(result),
                None => Told::Error(Cow::Borrowed(error.text)),
            };
        }
        codes::URL_ELICITATION_REQUIRED if way.to < Revision::V2025_11_25 => {
            notes.note("error", Kept::Nearly, "a plain error, with the address to visit in its message");
            return Told::Error(with_addresses(error));
        }
        _ => return Told::Error(Cow::Borrowed(error.text)),
    };
    let Some(mut draft) = Object::read(error.text).map(Object::draft) else {
        return Told::Error(Cow::Borrowed(error.text));
    };
    draft.set("code", code.to_string());
    Told::Error(draft.finish())
}

/// Whether the params were not wrong but named a resource that is not there: servers say which (2026-07-28, resources).
fn names_a_resource(error: &ErrorBody<'_>, method: &str) -> bool {
    method == "resources/read" && error.data.and_then(Object::read).is_some_and(|data| data.has("uri"))
}

/// The addresses that somebody must visit first, as questions. Once they are answered the request is made again, and
/// the answers are for nobody: the server sees for itself who was there.
fn questions(error: &ErrorBody<'_>) -> Option<String> {
    let mut questions: Vec<(String, String)> = Vec::new();
    let mut keys = HashSet::new();
    for params in visits(error)? {
        let key = Object::read(params)?.string("elicitationId")?.into_owned();
        if !keys.insert(key.clone()) {
            return None;
        }
        questions.push((key, format!(r#"{{"method":"elicitation/create","params":{params}}}"#)));
    }
    if questions.is_empty() {
        return None;
    }
    let questions =
        object(questions.iter().map(|(key, question)| (key.as_str(), Cow::Borrowed(question.as_str()))));
    let kind = quoted("input_required");
    Some(object([("resultType", Cow::Owned(kind)), ("inputRequests", Cow::Owned(questions))]))
}

/// The addresses that an error says are to be visited, each with what belongs to it.
fn visits<'a>(error: &ErrorBody<'a>) -> Option<Vec<&'a str>> {
    elements(Object::read(error.data?)?.get("elicitations")?)
}

/// The error with the addresses in its message, where people see them who have no other way.
fn with_addresses<'a>(error: &ErrorBody<'a>) -> Cow<'a, str> {
    let Some(mut draft) = Object::read(error.text).map(Object::draft) else {
        return Cow::Borrowed(error.text);
    };
    let urls = visits(error).unwrap_or_default().into_iter().filter_map(|v| Object::read(v)?.string("url"));
    let shown: String = [error.message.clone()].into_iter().chain(urls).collect::<Vec<_>>().join(" ");
    draft.set("message", quoted(&shown));
    draft.finish()
}
