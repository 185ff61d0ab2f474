//! Answers: results and errors.

use std::borrow::Cow;

use super::error::{Told, told};
use super::hello::{discover_result, initialize_result};
use super::{InputRequired, Notes, Way, elicitation, prompts, sampling, tools};
use crate::json::{Draft, Object, quoted};
use crate::message::{Kind, Message};
use crate::method::{Method, Side};

/// What becomes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// It is this message.
    Says(Cow<'a, str>),
    /// It is no answer yet: a stateless server asks something first, and the listener is to be asked that.
    Asks(InputRequired<'a>),
    /// A result of a type that the listener's revision does not have, and that nobody may guess the meaning of.
    Unknown(Cow<'a, str>),
}

/// The answer `message` to a request of the method `method`, as whoever asked named it, in the listener's words.
/// `asked` are the params of a server's request as the server sent them; for other requests it does not matter.
pub fn answer<'a>(
    message: &Message<'a>,
    method: &str,
    way: Way,
    asked: Option<&str>,
    notes: &mut Notes,
) -> Answer<'a> {
    if way.is_short() {
        return Answer::Says(Cow::Borrowed(message.text()));
    }
    let mut draft = message.draft();
    match message.kind() {
        Kind::Response { result, .. } => {
            let read = Object::read(result);
            let kind = read.as_ref().and_then(|result| result.string("resultType"));
            match kind.as_deref().filter(|_| way.out_of_stateless()) {
                None | Some("complete") => {}
                Some("input_required") => match InputRequired::of(result) {
                    Some(asks) => return Answer::Asks(asks),
                    None => return Answer::Unknown("input_required".into()),
                },
                Some(_) => return Answer::Unknown(kind.unwrap_or_default()),
            }
            draft.put("result", result_for(result, method, way, asked, notes));
        }
        Kind::Error { error, .. } => match told(error, method, way, notes) {
            Told::Error(text) => draft.put("error", text),
            Told::Result(result) => {
                draft.remove("error");
                draft.set("result", result);
            }
        },
        Kind::Request { .. } | Kind::Notification { .. } => {}
    }
    Answer::Says(draft.finish())
}

/// The result `text` of the method `method` in the listener's words.
pub(super) fn result_for<'a>(
    text: &'a str,
    method: &str,
    way: Way,
    asked: Option<&str>,
    notes: &mut Notes,
) -> Cow<'a, str> {
    match method {
        "initialize" => return initialize_result(text, way.to, notes),
        "server/discover" if way.into_stateless() => return discover_result(text, &[way.to], notes),
        "elicitation/create" => return elicitation::result(text, asked),
        _ => {}
    }
    let Some(mut draft) = Object::read(text).map(Object::draft) else { return Cow::Borrowed(text) };
    match method {
        "tools/list" => tools::list(&mut draft, way, notes),
        "tools/call" => tools::result(&mut draft, way, notes),
        "prompts/get" => prompts::result(&mut draft, way.to, notes),
        "sampling/createMessage" => sampling::result(&mut draft, way.to, notes),
        _ => {}
    }
    let method = Method::find(method);
    // A client's answers have no type: they travel inside another request.
    if !method.is_some_and(|method| method.by == Side::Server) {
        typed(&mut draft, way, method.is_some_and(|method| method.cacheable));
    }
    draft.finish()
}

/// What stateless revisions require of every result, and what older clients refuse of an empty one.
fn typed(draft: &mut Draft<'_>, way: Way, cacheable: bool) {
    if way.out_of_stateless() {
        draft.remove("resultType");
    } else if way.into_stateless() {
        // Whatever a stateful server calls so is not this: nothing of it may be taken for a question.
        draft.set("resultType", quoted("complete"));
        if cacheable && !draft.was().has("ttlMs") {
            draft.set("ttlMs", "0");
        }
        if cacheable && !draft.was().has("cacheScope") {
            draft.set("cacheScope", quoted("private"));
        }
    }
}

/// What a client answered to what a server asked, to go into the retry of a request to a stateless server.
pub fn client_result<'a>(
    result: &'a str,
    method: &str,
    way: Way,
    asked: Option<&str>,
    notes: &mut Notes,
) -> Cow<'a, str> {
    if way.is_short() {
        return Cow::Borrowed(result);
    }
    result_for(result, method, way, asked, notes)
}
