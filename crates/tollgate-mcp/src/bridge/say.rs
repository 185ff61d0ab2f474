//! Requests and notifications.

use std::borrow::Cow;

use super::hello::without_members;
use super::{ClientHello, Notes, Unsayable, Way, elicitation, sampling};
use crate::json::{Draft, Object, quoted};
use crate::message::meta::{OF_REQUESTS, SUBSCRIPTION_ID};
use crate::message::{Kind, Message};

/// The request or notification `message` in the listener's words. `hello` is what the client said of itself; servers'
/// messages need none. Ids stay: exchanging them is for [`rewrite`](crate::message::rewrite).
///
/// Takes what [`fate`](crate::method::fate) says is forwarded, and `initialize` and `server/discover`, each of which
/// becomes the other where the listener wants that. Answers come back as they are: [`answer`](super::answer) is for
/// them.
pub fn say<'a>(
    message: &Message<'a>,
    way: Way,
    hello: Option<&ClientHello<'_>>,
    notes: &mut Notes,
) -> Result<Cow<'a, str>, Unsayable> {
    let is_request = matches!(message.kind(), Kind::Request { .. });
    let Some(method) = message.method() else { return Ok(Cow::Borrowed(message.text())) };
    if way.is_short() && method != "initialize" {
        return Ok(Cow::Borrowed(message.text()));
    }
    let params = Object::read(message.params().unwrap_or("{}")).ok_or(Unsayable("params are no object"))?;
    let (mut draft, mut params) = (message.draft(), params.draft());
    match method {
        "initialize" => initialize(&mut draft, &mut params, way, hello, notes)?,
        "server/discover" if way.out_of_stateless() => {
            draft.set("method", quoted("initialize"));
            hello.ok_or(NO_HELLO)?.initialize(&mut params, way.to, notes);
        }
        "sampling/createMessage" => sampling::params(&mut params, way.to, notes),
        "elicitation/create" => elicitation::params(&mut params, way.to, None, notes)?,
        _ => {}
    }
    if is_request && way.into_stateless() {
        // What a client cannot promise there is noted once, when it says hello.
        let (mut again, first) = (Notes::default(), method == "initialize");
        let notes = if first { notes } else { &mut again };
        let meta = hello.ok_or(NO_HELLO)?.meta(params.was().get("_meta"), way.to, notes);
        params.set("_meta", meta);
    }
    if way.out_of_stateless() {
        let names: &[&str] = if is_request { &OF_REQUESTS } else { &[SUBSCRIPTION_ID] };
        params.map("_meta", |meta| without_members(meta, names));
        // Answers to what the server asked went to it on their own.
        if is_request && crate::method::Method::find(method).is_some_and(|method| method.may_ask) {
            params.remove("inputResponses");
            params.remove("requestState");
        }
    }
    draft.put("params", params.finish());
    Ok(draft.finish())
}

const NO_HELLO: Unsayable = Unsayable("nobody knows who asks");

/// `initialize`, to somebody who speaks another revision that has it or to somebody who has none.
fn initialize(
    draft: &mut Draft<'_>,
    params: &mut Draft<'_>,
    way: Way,
    hello: Option<&ClientHello<'_>>,
    notes: &mut Notes,
) -> Result<(), Unsayable> {
    let hello = hello.ok_or(NO_HELLO)?;
    if way.to.is_stateless() {
        draft.set("method", quoted("server/discover"));
        ["protocolVersion", "capabilities", "clientInfo"].iter().for_each(|name| params.remove(name));
    } else {
        hello.initialize(params, way.to, notes);
    }
    Ok(())
}
