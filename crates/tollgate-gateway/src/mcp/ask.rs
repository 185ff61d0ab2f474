//! One request of the gate's own over a link, in the link's words, and its answer.

use std::sync::Arc;

use http::HeaderMap;
use tokio::time::Instant;
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_mcp::bridge::{Answer, Notes, Way, answer, say};
use tollgate_mcp::message::{Kind, Message, request, reread};
use tollgate_mcp::revision::Revision;

use super::client::Client;
use super::link::wire::nobody;
use super::link::{Heard, Link};
use super::trouble;

/// What the gate speaks where it asks for itself.
pub(super) const OWN: Revision = Revision::NEWEST_STATEFUL;

/// The gate as a client: it lists what servers have for clients that can do all of this.
pub(super) fn gate_as_client() -> Client {
    Client {
        revision: OWN,
        info: Some(concat!(r#"{"name":"tollgate","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#).to_owned()),
        capabilities: r#"{"roots":{"listChanged":true},"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}}}"#
            .to_owned(),
        log_level: None,
        session: None,
    }
}

/// The message that `text` is, which was read when it came, or which the gate has written.
pub(super) fn message(text: &[u8]) -> Result<Message<'_>, String> {
    reread(text).map_err(|refusal| refusal.to_string())
}

/// The request `method` of `client` in the words of a server that speaks `to`: its method and its params.
pub(super) fn in_words(
    client: &Client,
    method: &str,
    params: Option<&str>,
    to: Revision,
) -> Result<(String, Option<String>), Fault> {
    let way = Way::new(client.revision, to);
    if way.is_short() && method != "initialize" {
        return Ok((method.to_owned(), params.map(str::to_owned)));
    }
    let text = request("0", method, params);
    let unsayable = |why: String| Fault::new(FaultClass::Unsupported, why);
    let said = message(text.as_bytes()).map_err(unsayable)?;
    let words = say(&said, way, Some(&client.hello()), &mut Notes::default())
        .map_err(|error| unsayable(error.to_string()))?;
    let words = message(words.as_bytes()).map_err(unsayable)?;
    Ok((words.method().unwrap_or(method).to_owned(), words.params().map(str::to_owned)))
}

/// Asks `method` over `link` for the gate itself. The result is in the gate's own words: a JSON object.
pub(super) async fn ask(
    link: &Arc<Link>,
    method: &str,
    params: Option<&str>,
    deadline: Instant,
) -> Result<String, Fault> {
    let client = gate_as_client();
    let (name, words) = in_words(&client, method, params, link.revision())?;
    let failed = |error| trouble::fault(link.server(), &error);
    let mut exchange =
        link.ask(&name, words.as_deref(), &HeaderMap::new(), deadline).await.map_err(failed)?;
    loop {
        match exchange.next().await.map_err(failed)? {
            Heard::Notification(_) => {}
            Heard::Request(text) => refuse(link, &text).await,
            Heard::Answer(text) => return result(link, method, &text),
        }
    }
}

fn result(link: &Link, method: &str, text: &[u8]) -> Result<String, Fault> {
    let garbage = |why: String| {
        Fault::new(
            FaultClass::BadUpstream,
            format!("{}: the answer to {method} cannot be read: {why}", link.server().name),
        )
    };
    let heard = message(text).map_err(garbage)?;
    let way = Way::new(link.revision(), OWN);
    let Answer::Says(said) = answer(&heard, method, way, None, &mut Notes::default()) else {
        return Err(garbage("it asks something".to_owned()));
    };
    let said = message(said.as_bytes()).map_err(garbage)?;
    match said.kind() {
        Kind::Response { result, .. } => Ok((*result).to_owned()),
        Kind::Error { error, .. } => Err(trouble::said(link.server(), method, error)),
        _ => Err(garbage("it is no answer".to_owned())),
    }
}

/// Tells a server that asks something of the gate itself that nobody is here to answer.
pub(super) async fn refuse(link: &Arc<Link>, text: &[u8]) {
    if let Some(answer) = nobody(text, link.revision()) {
        // A link that is broken is found out by whoever uses it next.
        let _ = link.answer(&answer).await;
    }
}
