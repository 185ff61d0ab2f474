//! What servers ask in the middle of a request. A stateful server sends a request of its own and goes on when it is
//! answered. A stateless one ends the request with questions (`input_required`), and the client makes it again with the
//! answers (2026-07-28, multi round-trip requests).
//!
//! Towards a stateless client, the gate keeps the stateful server's request open, ends the client's with the server's
//! questions ([`ask`]) and finds the answers in the retry ([`Retry`]). Towards a stateful client, it asks what a
//! stateless server wants to know ([`Asked::request`]) and makes the request again itself ([`retry`]).

use std::borrow::Cow;

use super::answer::result_for;
use super::hello::without_members;
use super::{Notes, Unsayable, Way, elicitation, sampling};
use crate::json::{Object, object, quoted, string};
use crate::message::meta::PROGRESS_TOKEN;
use crate::message::{Message, request, response};
use crate::revision::Revision;

/// A question of a stateless server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// By what the server knows it.
    pub key: Cow<'a, str>,
    /// What is asked for.
    pub method: Cow<'a, str>,
    /// A JSON object, where there is one.
    pub params: Option<&'a str>,
}

/// A result that asks something first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequired<'a> {
    /// The questions. There may be none: then the request is only to be made again.
    pub asked: Vec<Asked<'a>>,
    /// What the server wants to hear again: a JSON string that is nobody else's business.
    pub state: Option<&'a str>,
}

impl<'a> InputRequired<'a> {
    /// The questions of `result`; `None` where it asks nothing, or not as it must.
    pub fn of(result: &'a str) -> Option<Self> {
        let result = Object::read(result)?;
        if result.string("resultType").as_deref() != Some("input_required") {
            return None;
        }
        let state = match result.get("requestState") {
            Some(state) => Some(string(state).map(|_| state)?),
            None => None,
        };
        let mut asked = Vec::new();
        if let Some(questions) = result.get("inputRequests") {
            let questions = Object::read(questions)?;
            for (key, question) in questions.iter() {
                let question = Object::read(question)?;
                let (method, params) = (question.string("method")?, question.get("params"));
                asked.push(Asked { key: key.to_owned().into(), method, params });
            }
        }
        (state.is_some() || !asked.is_empty()).then_some(Self { asked, state })
    }
}

impl Asked<'_> {
    /// The capability without which a client is not to be asked this; `None` of a method that nobody may ask.
    pub fn capability(&self) -> Option<&'static str> {
        let params = self.params.and_then(Object::read);
        let is =
            |name: &str, value: &str| params.as_ref().and_then(|p| p.string(name)).as_deref() == Some(value);
        match self.method.as_ref() {
            "sampling/createMessage"
                if params.as_ref().is_some_and(|p| p.has("tools") || p.has("toolChoice")) =>
            {
                Some("sampling.tools")
            }
            "sampling/createMessage" => Some("sampling"),
            "elicitation/create" if is("mode", "url") => Some("elicitation.url"),
            "elicitation/create" => Some("elicitation.form"),
            "roots/list" => Some("roots"),
            _ => None,
        }
    }

    /// The question as a request to a stateful client that speaks `to`, with the id that the JSON text `id` is.
    pub fn request(&self, id: &str, to: Revision, notes: &mut Notes) -> Result<String, Unsayable> {
        if self.capability().is_none() {
            return Err(Unsayable("servers may not ask this of a client"));
        }
        let Some(mut params) = self.params.and_then(Object::read).map(Object::draft) else {
            return Ok(request(id, &self.method, self.params));
        };
        match self.method.as_ref() {
            "sampling/createMessage" => sampling::params(&mut params, to, notes),
            "elicitation/create" if to < Revision::V2025_06_18 => {
                return Err(Unsayable("the client's revision knows no elicitation"));
            }
            "elicitation/create" => elicitation::params(&mut params, to, Some(&self.key), notes)?,
            _ => {}
        }
        Ok(request(id, &self.method, Some(&params.finish())))
    }
}

/// The answer to the request `id` of a stateless client: the requests that a stateful server makes in the meantime, each
/// under a key. `state` is a JSON string with which the client's retry is recognised.
pub fn ask(
    id: &str,
    questions: &[(&str, &Message<'_>)],
    state: Option<&str>,
    notes: &mut Notes,
) -> Result<String, Unsayable> {
    let mut asked = Vec::new();
    for (key, question) in questions {
        let method = question.method().ok_or(Unsayable("only requests are questions"))?;
        if !matches!(method, "sampling/createMessage" | "elicitation/create" | "roots/list") {
            return Err(Unsayable("a stateless client can only be asked for samples, input and roots"));
        }
        asked.push((*key, Cow::Owned(question_text(method, question.params(), notes)?)));
    }
    let questions = (!asked.is_empty()).then(|| ("inputRequests", Cow::Owned(object(asked))));
    let state = state.map(|state| ("requestState", Cow::Borrowed(state)));
    let kind = ("resultType", Cow::Owned(quoted("input_required")));
    Ok(response(id, &object([kind].into_iter().chain(questions).chain(state))))
}

/// A question has no id, and nobody to tell progress to: both are the stateful server's own.
fn question_text(method: &str, params: Option<&str>, notes: &mut Notes) -> Result<String, Unsayable> {
    let name = ("method", Cow::Owned(quoted(method)));
    let Some(mut draft) = params.and_then(Object::read).map(Object::draft) else {
        return Ok(object([name]));
    };
    draft.map("_meta", |meta| without_members(meta, &[PROGRESS_TOKEN]));
    if method == "elicitation/create" {
        elicitation::params(&mut draft, Revision::NEWEST, None, notes)?;
    }
    Ok(object([name, ("params", draft.finish())]))
}

/// What a stateless client says when it makes a request again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry<'a> {
    /// The answers, by the keys of the questions: JSON objects.
    pub answers: Vec<(String, &'a str)>,
    /// What it was to repeat.
    pub state: Option<Cow<'a, str>>,
}

impl<'a> Retry<'a> {
    /// What `params` say of an earlier try; `None` where they say nothing.
    pub fn of(params: Option<&'a str>) -> Option<Self> {
        let params = Object::read(params?)?;
        let state = params.string("requestState");
        let answers = params.object("inputResponses");
        if state.is_none() && answers.is_none() {
            return None;
        }
        let answers = answers.iter().flat_map(|all| all.iter().map(|(key, text)| (key.to_owned(), text)));
        let answers = answers.filter(|(_, text)| text.starts_with('{')).collect();
        Some(Self { answers, state })
    }
}

/// The answer that a stateful server waits for, under the id of its own request: what the client said in `result`.
pub fn answered(id: &str, question: &Message<'_>, result: &str, way: Way, notes: &mut Notes) -> String {
    let method = question.method().unwrap_or_default();
    response(id, &result_for(result, method, way, question.params(), notes))
}

/// The request `message` to a stateless server made again under another id, with the `answers` to its questions and the
/// `state` that it wants to hear again.
pub fn retry(
    message: &Message<'_>,
    id: &str,
    answers: &[(&str, &str)],
    state: Option<&str>,
) -> Option<String> {
    let mut draft = message.draft();
    let mut params = Object::read(message.params().unwrap_or("{}"))?.draft();
    // What an earlier retry said is over.
    params.remove("inputResponses");
    params.remove("requestState");
    if !answers.is_empty() {
        params.set("inputResponses", object(answers.iter().map(|(key, text)| (*key, Cow::Borrowed(*text)))));
    }
    if let Some(state) = state {
        params.set("requestState", state);
    }
    draft.set("id", id);
    draft.set("params", params.finish().into_owned());
    Some(draft.finish().into_owned())
}
