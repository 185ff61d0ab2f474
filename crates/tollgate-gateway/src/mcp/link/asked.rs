//! A request over HTTP, and what is heard of it: its answer, or the stream that ends with that, and what the server asks
//! meanwhile on the stream that belongs to no request.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tollgate_mcp::message::{Kind, codes, notification};

use super::http::{Http, collected, essence};
use super::stream::Stream;
use super::wire::{self, of_progress, progress};
use super::{Heard, LinkError};
use crate::upstream::UpstreamResponse;

/// What a server may ask outside of requests before it is heard; more is refused.
const MOST_WAITING: usize = 64;

/// A request, and what is heard of it. Dropped before it is answered, it is called off.
pub(super) struct Asked {
    http: Arc<Http>,
    id: u64,
    token: Option<String>,
    source: Source,
    hears: mpsc::Receiver<Heard>,
    /// Whether the server has asked something, and may wait for somebody to think.
    waits: bool,
    /// Whether the server is told when nobody waits for the answer any more.
    told_off: bool,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("id", &self.id).finish_non_exhaustive()
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<Source, LinkError>> + Send>>;

/// Where the answer comes from.
enum Source {
    /// It is on its way.
    Sending(Sending),
    /// The whole answer.
    Whole(Option<Bytes>),
    /// A stream of messages.
    Stream(Box<Stream>),
}

impl Asked {
    /// The request `id` for `method`: its text, headers, and until when it must be answered.
    pub(super) fn new(
        http: &Arc<Http>,
        id: u64,
        token: Option<String>,
        method: &str,
        (text, headers, deadline): (String, HeaderMap, Instant),
    ) -> Self {
        let (hear, hears) = mpsc::channel(MOST_WAITING);
        http.under_way.lock().insert(id, hear);
        let (sender, begins) = (Arc::clone(http), method == "initialize");
        let source = Source::Sending(Box::pin(async move {
            let response = sender.post(text, &headers, deadline).await?;
            if begins {
                sender.keep_session(&response);
            }
            sender.source(response, deadline).await
        }));
        // In a stateless revision to close the stream is to say so (2026-07-28, cancellation).
        let told_off = !begins && !http.revision().is_stateless();
        Self { http: Arc::clone(http), id, token, source, hears, waits: false, told_off }
    }

    /// What is heard next.
    pub(super) async fn next(&mut self) -> Result<Heard, LinkError> {
        loop {
            let idle = (!self.waits).then_some(self.http.server.timeouts.idle);
            let text = tokio::select! {
                Some(heard) = self.hears.recv() => {
                    self.waits = true;
                    return Ok(heard);
                }
                text = self.source.next(&self.http, idle) => text.inspect_err(|_| self.told_off = false)?,
            };
            if let Some(heard) = self.heard(text)? {
                self.waits |= matches!(heard, Heard::Request(_));
                return Ok(heard);
            }
        }
    }

    /// What `text` is to whoever asked.
    fn heard(&mut self, text: Bytes) -> Result<Option<Heard>, LinkError> {
        let text = self.http.scrubbed(text);
        let message = wire::heard(&text, self.http.revision())?;
        let ours = message.id().and_then(|id| id.as_u64()) == Some(self.id);
        Ok(match message.kind() {
            Kind::Response { .. } if ours => {
                self.told_off = false;
                Some(Heard::Answer(text.clone()))
            }
            // A server that could not read the request does not know its id.
            Kind::Error { id, .. } if ours || id.is_none() => {
                self.told_off = false;
                Some(Heard::Answer(text.clone()))
            }
            Kind::Response { .. } | Kind::Error { .. } => {
                return Err(LinkError::Garbage(
                    "it answers another request than the one that was sent".to_owned(),
                ));
            }
            Kind::Request { .. } => Some(Heard::Request(text.clone())),
            Kind::Notification { .. } => match (of_progress(&message), &self.token) {
                (Some(id), Some(token)) if id == self.id => {
                    let told = std::str::from_utf8(&text).ok().and_then(|text| progress(text, token));
                    told.map(|told| Heard::Notification(told.into()))
                }
                (Some(_), _) => None,
                (None, _) => Some(Heard::Notification(text.clone())),
            },
        })
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.http.under_way.lock().remove(&self.id);
        if !self.told_off || !self.http.is_open() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let params = format!("{{\"requestId\":{},\"reason\":\"the client went away\"}}", self.id);
        let text = notification("notifications/cancelled", Some(&params));
        let http = Arc::clone(&self.http);
        runtime.spawn(async move {
            if let Err(error) = http.tell(text).await {
                tracing::debug!(%error, "a tool server was not told that nobody waits any more");
            }
        });
    }
}

impl Source {
    /// The next message. What has come of a request that is on its way stays here, whenever this is dropped.
    async fn next(&mut self, http: &Http, idle: Option<Duration>) -> Result<Bytes, LinkError> {
        if let Self::Sending(sending) = self {
            *self = sending.await?;
        }
        match self {
            Self::Whole(text) => {
                let over = || LinkError::Garbage("it ended without an answer".to_owned());
                text.take().ok_or_else(over)
            }
            Self::Stream(stream) => stream.message(http, idle).await,
            Self::Sending(_) => Err(LinkError::Garbage("it was not sent".to_owned())),
        }
    }
}

impl Http {
    async fn source(&self, response: UpstreamResponse, deadline: Instant) -> Result<Source, LinkError> {
        let essence = essence(&response.headers);
        if response.status.is_success() && essence == "text/event-stream" {
            return Ok(Source::Stream(Box::new(Stream::new(response.body, self, deadline))));
        }
        if essence != "application/json" {
            if response.status.is_success() {
                let shown: String = essence.chars().take(60).collect();
                return Err(LinkError::Garbage(format!("it sent {shown:?} where a message was expected")));
            }
            return Err(self.refused(response).await);
        }
        let UpstreamResponse { status, headers, body } = response;
        let limit = self.server.limits.message_bytes;
        let collecting = collected(body, limit);
        let total = self.server.timeouts.total;
        let text = match tokio::time::timeout_at(deadline, collecting).await {
            Ok(text) => text?,
            Err(_) => {
                return Err(LinkError::TooLate {
                    what: "the call did not end",
                    limit: total,
                    setting: "total_ms",
                });
            }
        };
        if status.is_success() {
            return Ok(Source::Whole(Some(text)));
        }
        // An error may be said in a message, whatever the status; but not that a session is gone.
        let told = wire::heard(&text, self.revision()).ok();
        let says = told.is_some_and(|message| matches!(message.kind(), Kind::Error { error, .. } if error.code != codes::PARSE_ERROR || status == StatusCode::BAD_REQUEST));
        let gone = status == StatusCode::NOT_FOUND && self.has_session();
        if says && !gone && !matches!(status.as_u16(), 401 | 403 | 429) {
            return Ok(Source::Whole(Some(text)));
        }
        Err(self.refusal(status, &headers, &text))
    }
}
