//! What a stateless server tells of single resources, over a stream for each (2026-07-28, subscriptions). It is heard with
//! everything else that the server says outside of requests.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tollgate_mcp::bridge::Filter;
use tollgate_mcp::message::Kind;
use tollgate_mcp::revision::Revision;

use super::{Heard, Link, LinkError, Transport, wire};

/// Resources that are watched over one link.
const MOST: usize = 1_000;

/// A stream may stay open for so long; then it is opened again.
const LONGEST: Duration = Duration::from_hours(12);

/// Before a stream that ended is opened again.
const PAUSE: Duration = Duration::from_secs(2);

/// Resources that are watched, each by whom.
#[derive(Debug, Default)]
pub(super) struct Watches(Mutex<HashMap<String, Watch>>);

#[derive(Debug)]
struct Watch {
    by: HashSet<String>,
    /// What reads its stream; a stateful server tells of it by itself.
    reading: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(reading) = self.reading.take() {
            reading.abort();
        }
    }
}

/// What a stream is opened over.
struct Reading {
    transport: Transport,
    params: String,
    revision: Revision,
    events: broadcast::Sender<Heard>,
}

impl Link {
    /// Notes that `who` watches the resource at `uri`. Whether nobody did before, and the server is to be told.
    pub(in crate::mcp) fn begins_to_watch(&self, uri: &str, who: &str) -> Result<bool, LinkError> {
        let mut watches = self.watches.0.lock();
        let full = || LinkError::NotSent(format!("{MOST} resources are watched already, or one by so many"));
        if let Some(watch) = watches.get_mut(uri) {
            if watch.by.len() >= MOST {
                return Err(full());
            }
            watch.by.insert(who.to_owned());
            return Ok(false);
        }
        if watches.len() >= MOST {
            return Err(full());
        }
        watches.insert(uri.to_owned(), Watch { by: HashSet::from([who.to_owned()]), reading: None });
        Ok(true)
    }

    /// Whether `who` watches the resource at `uri`.
    pub(in crate::mcp) fn is_watched(&self, uri: &str, who: &str) -> bool {
        self.watches.0.lock().get(uri).is_some_and(|watch| watch.by.contains(who))
    }

    /// Notes that `who` does not watch the resource at `uri` any more. Whether nobody does now, and the server is to be
    /// told.
    pub(in crate::mcp) fn ends_to_watch(&self, uri: &str, who: &str) -> bool {
        let mut watches = self.watches.0.lock();
        let Some(watch) = watches.get_mut(uri) else { return false };
        watch.by.remove(who) && watch.by.is_empty() && watches.remove(uri).is_some()
    }

    /// Reads what a stateless server tells of `uri` when it is asked to with `params`, until nobody watches it any more.
    /// Returns when the server has said that it will.
    pub(in crate::mcp) async fn read_of(
        &self,
        uri: &str,
        params: String,
        deadline: Instant,
    ) -> Result<(), LinkError> {
        let transport = self.transport.clone();
        let reading = Reading { transport, params, revision: self.revision(), events: self.events.clone() };
        let (begun, begins) = oneshot::channel();
        let reading = tokio::spawn(read(reading, begun));
        match self.watches.0.lock().get_mut(uri) {
            Some(watch) => watch.reading = Some(reading),
            None => reading.abort(),
        }
        let limit = self.server.timeouts.first_byte;
        let late = LinkError::TooLate {
            what: "the server did not say that it tells of the resource",
            limit,
            setting: "first_byte_ms",
        };
        match tokio::time::timeout_at(deadline.min(Instant::now() + limit), begins).await {
            Ok(Ok(begun)) => begun,
            Ok(Err(_)) => Err(LinkError::Broken("the stream ended before it began".to_owned())),
            Err(_) => Err(late),
        }
    }
}

async fn read(reading: Reading, begun: oneshot::Sender<Result<(), LinkError>>) {
    let mut begun = Some(begun);
    loop {
        let ended = once(&reading, &mut begun).await;
        // Whoever waits for the beginning is told why there is none.
        if let Some(begun) = begun.take() {
            let _ = begun.send(ended);
            return;
        }
        if !reading.transport.is_open() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Reads one stream to its end.
async fn once(
    reading: &Reading,
    begun: &mut Option<oneshot::Sender<Result<(), LinkError>>>,
) -> Result<(), LinkError> {
    let deadline = Instant::now() + LONGEST;
    let params = Some(reading.params.as_str());
    let mut asked =
        reading.transport.ask("subscriptions/listen", params, &HeaderMap::new(), deadline).await?;
    loop {
        let text = match asked.next().await? {
            Heard::Notification(text) => text,
            Heard::Request(_) => continue,
            Heard::Answer(text) => return ended(&text, reading.revision),
        };
        let told = wire::heard(&text, reading.revision)?;
        if told.method() == Some("notifications/subscriptions/acknowledged") {
            if Filter::of(told.params()).is_none_or(|granted| granted.uris.is_empty()) {
                return Err(LinkError::Garbage("it does not tell of this resource".to_owned()));
            }
            if let Some(begun) = begun.take() {
                let _ = begun.send(Ok(()));
            }
        } else {
            // Nobody may be listening just now.
            let _ = reading.events.send(Heard::Notification(text.clone()));
        }
    }
}

/// The end of a stream, which may say that there is none.
fn ended(text: &bytes::Bytes, revision: Revision) -> Result<(), LinkError> {
    match wire::heard(text, revision)?.kind() {
        Kind::Error { error, .. } => {
            let said = tollgate_mcp::hidden::excerpt(&error.message, 200);
            Err(LinkError::Garbage(format!("it does not tell of the resource: {said}")))
        }
        _ => Ok(()),
    }
}
