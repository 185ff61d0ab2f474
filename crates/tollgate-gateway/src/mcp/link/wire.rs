//! Messages on the way to a server and back: their ids and progress tokens are the link's own there.

use bytes::Bytes;
use tollgate_mcp::json::Object;
use tollgate_mcp::message::meta::PROGRESS_TOKEN;
use tollgate_mcp::message::{
    Body, Failure, Id, Kind, Limits, Message, codes, error, read, request, response,
};
use tollgate_mcp::revision::Revision;

use super::LinkError;
use crate::mcp::ask::message;

/// The request `method`, under the number `id`, and the progress token that it had.
pub(super) fn outgoing(id: u64, method: &str, params: Option<&str>) -> (String, Option<String>) {
    let exchanged = params.and_then(|params| exchanged(params, id));
    match exchanged {
        Some((params, token)) => (request(&id.to_string(), method, Some(&params)), Some(token)),
        None => (request(&id.to_string(), method, params), None),
    }
}

/// The params with `id` for the progress token that they have, and that token.
fn exchanged(params: &str, id: u64) -> Option<(String, String)> {
    let params = Object::read(params)?;
    let meta = params.object("_meta")?;
    let token = meta.get(PROGRESS_TOKEN)?.to_owned();
    let mut meta = meta.draft();
    meta.set(PROGRESS_TOKEN, id.to_string());
    let meta = meta.finish().into_owned();
    let mut params = params.draft();
    params.set("_meta", meta);
    Some((params.finish().into_owned(), token))
}

/// A notification of progress with the token that whoever asked gave.
pub(super) fn progress(text: &str, token: &str) -> Option<String> {
    let whole = Object::read(text)?;
    let mut params = whole.object("params")?.draft();
    params.set(PROGRESS_TOKEN, token);
    let params = params.finish().into_owned();
    let mut whole = whole.draft();
    whole.set("params", params);
    Some(whole.finish().into_owned())
}

/// The request whose progress `message` tells, by the link's number for it.
pub(super) fn of_progress(message: &Message<'_>) -> Option<u64> {
    if message.method() != Some("notifications/progress") {
        return None;
    }
    let params = Object::read(message.params()?)?;
    Id::read(params.get(PROGRESS_TOKEN)?)?.as_u64()
}

/// The answer to `text`, where it asks whether the gate is there.
pub(super) fn pong(text: &[u8]) -> Option<String> {
    let asked = message(text).ok()?;
    match asked.kind() {
        Kind::Request { id, method, .. } if method == "ping" => Some(response(id.raw(), "{}")),
        _ => None,
    }
}

/// The answer to what a server asks in `text` when nobody is there to be asked.
pub(in crate::mcp) fn nobody(text: &[u8], revision: Revision) -> Option<String> {
    let asked = message(text).ok()?;
    let failure = Failure {
        code: codes::METHOD_NOT_FOUND,
        message: "nobody is here to answer this: it was asked outside of a client's request".into(),
        data: None,
    };
    Some(error(Some(asked.id()?.raw()), &failure, revision))
}

/// How messages of servers are read; their size has been limited by then.
const FROM_SERVERS: Limits =
    Limits { bytes: usize::MAX, depth: 128, id_bytes: 256, method_bytes: 128, number_bytes: 64, batch: 100 };

/// The message that a server has sent, which nobody has read yet.
pub(super) fn heard(text: &Bytes, revision: Revision) -> Result<Message<'_>, LinkError> {
    let why = match read(text, revision, &FROM_SERVERS) {
        Ok(Body::One(message)) => return Ok(message),
        Ok(Body::Batch(_)) => "several messages where one was expected".to_owned(),
        Err(refusal) => refusal.to_string(),
    };
    Err(LinkError::Garbage(format!("what it sends cannot be read: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_progress_token_is_the_links_own_on_the_way() {
        let params = r#"{"name":"t","_meta":{"progressToken":"mine","x":1}}"#;
        let (text, token) = outgoing(7, "tools/call", Some(params));
        assert_eq!(token.as_deref(), Some("\"mine\""));
        assert!(text.contains(r#""_meta":{"progressToken":7,"x":1}"#), "{text}");
        let told = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1}}"#;
        let read = message(told.as_bytes()).unwrap();
        assert_eq!(of_progress(&read), Some(7));
        assert!(progress(told, "\"mine\"").unwrap().contains(r#""progressToken":"mine""#));
        assert_eq!(outgoing(8, "ping", None).1, None);
    }
}
