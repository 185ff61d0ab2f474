//! Who is told of changes of single resources. Stateful servers are asked to tell of one (`resources/subscribe`), stateless
//! ones over a stream for each; stateful clients subscribe to one, stateless ones name all that they want in one request.

use std::sync::Arc;

use tokio::time::Instant;
use tollgate_core::fault::Fault;
use tollgate_mcp::bridge::{Filter, Notes, listen};
use tollgate_mcp::json::quoted;

use super::ask::{ask, message};
use super::client::Client;
use super::link::Link;
use super::trouble;

/// Has the server at `link` tell `who`, whose client it is, of the resource at `uri`.
pub(super) async fn watch(
    link: &Arc<Link>,
    (client, who): (&Client, &str),
    uri: &str,
    deadline: Instant,
) -> Result<(), Fault> {
    let failed = |error| trouble::fault(link.server(), &error);
    if !link.begins_to_watch(uri, who).map_err(failed)? {
        return Ok(());
    }
    let told = if link.revision().is_stateless() {
        let filter = Filter { uris: vec![uri.to_owned()], ..Filter::default() };
        let text = listen("0", &filter, &client.hello(), link.revision(), &mut Notes::default());
        let params = message(text.as_bytes()).ok();
        let params = params.and_then(|asked| asked.params().map(str::to_owned)).unwrap_or_default();
        link.read_of(uri, params, deadline).await.map_err(failed)
    } else {
        ask(link, "resources/subscribe", Some(&of(uri)), deadline).await.map(drop)
    };
    if told.is_err() {
        link.ends_to_watch(uri, who);
    }
    told
}

/// `who` does not want to be told of the resource at `uri` any more.
pub(super) async fn unwatch(link: &Arc<Link>, who: &str, uri: &str, deadline: Instant) -> Result<(), Fault> {
    if !link.ends_to_watch(uri, who) || link.revision().is_stateless() {
        return Ok(());
    }
    ask(link, "resources/unsubscribe", Some(&of(uri)), deadline).await.map(drop)
}

fn of(uri: &str) -> String {
    format!("{{\"uri\":{}}}", quoted(uri))
}
