//! How a call at a server ended: whether its answer is what the tool's contract says, and whether it says of itself that
//! something went wrong. Nothing of the answer is taken away; what the gate knows of it is put beside it.

use serde_json::Value;
use tollgate_core::config::tools::ToolServer;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_mcp::json::Object;
use tollgate_mcp::message::{Kind, Message, codes};
use tollgate_mcp::revision::Revision;

use super::conversation::Wanted;
use super::trouble;

/// How a call ended that was answered.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The message for the client, with its id.
    pub(crate) message: String,
    /// What went wrong, as the server says.
    pub(crate) fault: Option<Fault>,
    /// Whether it is a question that must be answered before the call goes on.
    pub(crate) question: bool,
    /// The HTTP status that goes with it, where it is not wrapped in a stream.
    pub(crate) status: u16,
}

/// The status of an answer that is an error with `code`, to a client that speaks `revision` (2026-07-28, streamable HTTP).
fn status(code: i64, revision: Revision) -> u16 {
    match code {
        codes::METHOD_NOT_FOUND if revision.is_stateless() => 404,
        codes::HEADER_MISMATCH
        | codes::MISSING_REQUIRED_CLIENT_CAPABILITY
        | codes::UNSUPPORTED_PROTOCOL_VERSION
            if revision.is_stateless() =>
        {
            400
        }
        _ => 200,
    }
}

/// What becomes of `heard`, which is `said` in the client's words.
pub(super) fn ended(
    wanted: &Wanted,
    server: &ToolServer,
    heard: &Message<'_>,
    said: String,
) -> Result<Ended, Fault> {
    match heard.kind() {
        Kind::Response { result, .. } => {
            let read = Object::read(result);
            let kind = read.as_ref().and_then(|read| read.string("resultType"));
            let asks = kind.as_deref() == Some("input_required");
            let failed = read.as_ref().is_some_and(|result| result.get("isError") == Some("true"));
            if let Some(tool) = wanted.aimed.tool.as_ref().filter(|_| !failed) {
                let complete = kind.is_none_or(|kind| kind == "complete");
                let structured = read.as_ref().and_then(|result| result.get("structuredContent"));
                if complete && tool.tool.output_schema().is_some() {
                    let value = structured.and_then(|text| serde_json::from_str::<Value>(text).ok());
                    tool.schemas.result(value.as_ref()).map_err(|problems| {
                        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                        let why =
                            format!("its result is not what its output schema says: {}", problems.join("; "));
                        Fault::new(FaultClass::BadUpstream, format!("{}: {why}", server.name))
                    })?;
                }
            }
            let fault = (failed && wanted.aimed.tool.is_some()).then(|| {
                Fault::new(FaultClass::ToolFailed, format!("{}: the tool says that it failed", server.name))
            });
            Ok(Ended { message: told(wanted, said), fault, status: 200, question: asks })
        }
        Kind::Error { error, .. } => {
            let fault = Some(trouble::said(server, &wanted.method, error));
            Ok(Ended {
                message: told(wanted, said),
                fault,
                status: status(error.code, wanted.client.revision),
                question: false,
            })
        }
        _ => Err(trouble::unreadable(server, &wanted.method, &"it is no answer")),
    }
}

/// The answer, which says so where the server has forgotten what it knew of the client.
fn told(wanted: &Wanted, said: String) -> String {
    if wanted.renewed { with_beside(&said, RENEWED, "true").unwrap_or(said) } else { said }
}

/// In `_meta`: the server has forgotten what it knew of the client.
const RENEWED: &str = "tollgate/session_renewed";

/// `message`, an answer, with `fault` as data beside what the server says: in the result's `_meta`, or in the error's
/// `data` where that is an object or nothing.
pub(super) fn with_fault(message: &str, fault: &str) -> Option<String> {
    with_beside(message, super::voice::FAULT, fault)
}

fn with_beside(message: &str, name: &str, value: &str) -> Option<String> {
    let whole = Object::read(message)?;
    let (outer, inner) = if whole.has("result") { ("result", "_meta") } else { ("error", "data") };
    let mut answer = whole.object(outer)?.draft();
    let beside = match answer.was().get(inner) {
        None => format!("{{\"{name}\":{value}}}"),
        Some(text) => {
            let mut beside = Object::read(text)?.draft();
            beside.set(name, value);
            beside.finish().into_owned()
        }
    };
    answer.set(inner, beside);
    let answer = answer.finish().into_owned();
    let mut whole = whole.draft();
    whole.set(outer, answer);
    Some(whole.finish().into_owned())
}

#[cfg(test)]
mod tests {
    use super::with_fault;

    #[test]
    fn what_the_server_says_stays_beside_the_fault() {
        let added = |text: &str| with_fault(text, r#"{"class":"x"}"#);
        assert_eq!(
            added(r#"{"id":1,"result":{"isError":true,"_meta":{"a":1}}}"#).unwrap(),
            r#"{"id":1,"result":{"isError":true,"_meta":{"a":1,"tollgate/fault":{"class":"x"}}}}"#
        );
        assert_eq!(
            added(r#"{"id":1,"error":{"code":-1,"message":"m"}}"#).unwrap(),
            r#"{"id":1,"error":{"code":-1,"message":"m","data":{"tollgate/fault":{"class":"x"}}}}"#
        );
        assert_eq!(
            added(r#"{"id":1,"error":{"code":-1,"message":"m","data":[1]}}"#),
            None,
            "a list has no room"
        );
    }
}
