//! What clients tell: answers to questions that they were asked, and notifications. None of it is a call of its own; what
//! there is to it belongs to a call that is under way, and to the same caller.

use bytes::Bytes;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_mcp::bridge::{Notes, Way, answered, client_result};
use tollgate_mcp::json::Object;
use tollgate_mcp::message::{Failure, Kind, Message, error};
use tollgate_mcp::revision::Revision;

use super::ask::message;
use super::client::Client;
use super::link::Link;
use super::questions::{Question, Waits};
use super::trouble;
use crate::gate::Gate;

/// What a client says to a question that it does not want to answer.
const CANCELLED: &str = r#"{"action":"cancel"}"#;

/// Takes what `client` tells in the message `text`.
pub(super) async fn take(gate: &Gate, client: &Client, text: &Bytes) -> Result<(), Fault> {
    let unreadable = |why: String| Fault::new(FaultClass::Invalid, why);
    let told = message(text).map_err(unreadable)?;
    match told.kind() {
        Kind::Notification { method, params } => {
            notified(gate, client, method, *params);
            Ok(())
        }
        Kind::Response { id, .. } => reply(gate, client, id.raw(), &told).await,
        Kind::Error { id: Some(id), .. } => reply(gate, client, id.raw(), &told).await,
        Kind::Error { id: None, .. } | Kind::Request { .. } => Ok(()),
    }
}

fn notified(gate: &Gate, client: &Client, method: &str, params: Option<&str>) {
    let Some(session) = &client.session else { return };
    if method == "notifications/cancelled"
        && let Some(id) =
            params.and_then(Object::read).and_then(|params| params.get("requestId").map(str::to_owned))
    {
        gate.tools.running.call_off(&session.name, &id);
    }
}

/// An answer of a client goes to whoever waits for it.
async fn reply(gate: &Gate, client: &Client, id: &str, told: &Message<'_>) -> Result<(), Fault> {
    let session = client.session.as_ref().map_or("", |session| &session.name);
    let Some(Question { revision, waits, .. }) = gate.tools.questions.take(id, session) else {
        let why = "nobody waits for this answer: it was given before, or nothing was asked under this id";
        return Err(Fault::new(FaultClass::Invalid, why).param("id"));
    };
    match waits {
        Waits::Server(link, question) => to_server(&link, &question, revision, told).await,
        Waits::Request(waiting, key, method) => {
            let way = Way::new(revision, Revision::NEWEST);
            let said = match told.kind() {
                Kind::Response { result, .. } => {
                    client_result(result, &method, way, None, &mut Notes::default()).into_owned()
                }
                _ if method == "elicitation/create" => CANCELLED.to_owned(),
                // There is no way to say so: the request ends.
                _ => String::new(),
            };
            // Whoever waited may be gone.
            let _ = waiting.send((key, said)).await;
            Ok(())
        }
    }
}

async fn to_server(link: &Link, question: &str, from: Revision, told: &Message<'_>) -> Result<(), Fault> {
    let unreadable = |why: String| trouble::unreadable(link.server(), "its question", &why);
    let question = message(question.as_bytes()).map_err(unreadable)?;
    let id = question.id().map(|id| id.raw().to_owned()).unwrap_or_default();
    let said = match told.kind() {
        Kind::Error { error: body, .. } => {
            let failure =
                Failure { code: body.code, message: body.message.clone(), data: body.data.map(Into::into) };
            error(Some(&id), &failure, link.revision())
        }
        Kind::Response { result, .. } => {
            answered(&id, &question, result, Way::new(from, link.revision()), &mut Notes::default())
        }
        _ => return Ok(()),
    };
    link.answer(&said).await.map_err(|error| trouble::fault(link.server(), &error))
}
