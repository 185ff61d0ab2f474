//! A stream of messages that answers a request, or that a server opens by itself.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tollgate_llm::sse::SseReader;

use super::LinkError;
use super::http::{Http, essence, too_large};
use crate::upstream::UpstreamBody;

/// How often a stream that ended too early is taken up again, at most.
const MOST_RESUMPTIONS: u32 = 100;

/// Before a stream is taken up again, where the server does not say how long to wait; and the longest that is waited.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A stream of messages, which may be taken up again where it broke off.
#[derive(Debug)]
pub(super) struct Stream {
    body: UpstreamBody,
    reader: SseReader,
    /// The last event's id.
    last: Option<String>,
    /// How long to wait before it is taken up again.
    pause: Duration,
    resumed: u32,
    deadline: Instant,
    /// When something came last.
    since: Instant,
    /// When it is taken up again, after it broke off: why. Kept here, whenever whoever waits looks away for a moment.
    resumes: Option<(Instant, String)>,
}

impl Stream {
    pub(super) fn new(body: UpstreamBody, http: &Http, deadline: Instant) -> Self {
        let reader = SseReader::new(http.server.limits.message_bytes);
        Self {
            body,
            reader,
            last: None,
            pause: PAUSE,
            resumed: 0,
            deadline,
            since: Instant::now(),
            resumes: None,
        }
    }

    /// The next message. For longer than `idle` nothing may come, be it only a sign of life.
    pub(super) async fn message(&mut self, http: &Http, idle: Option<Duration>) -> Result<Bytes, LinkError> {
        loop {
            if let Some((at, why)) = self.resumes.clone() {
                tokio::time::sleep_until(at).await;
                self.resume(http, why).await?;
                self.resumes = None;
                self.since = Instant::now();
            }
            let limit = http.server.limits.message_bytes;
            while let Some(event) = self.reader.next_event().map_err(|_| too_large(limit))? {
                self.note(&event.raw);
                if !event.data.is_empty() {
                    return Ok(event.data);
                }
            }
            let piece = tokio::select! {
                piece = self.body.piece() => piece,
                late = too_long(self.since, idle) => return Err(late),
            };
            self.since = Instant::now();
            match piece {
                Some(Ok(bytes)) => self.reader.push(&bytes),
                ended => {
                    // Some servers leave the last blank line out; what broke off is no message.
                    if ended.is_none()
                        && let Some(event) = self.reader.finish()
                    {
                        self.note(&event.raw);
                        return Ok(event.data);
                    }
                    let why = match ended {
                        Some(Err(why)) => format!("the answer broke off: {why}"),
                        _ => "the stream ended without an answer".to_owned(),
                    };
                    self.resumes = Some((self.may_resume(http, &why)?, why));
                }
            }
        }
    }

    /// Notes what an event says of the stream itself.
    fn note(&mut self, raw: &[u8]) {
        for line in raw.split(|byte| matches!(byte, b'\n' | b'\r')) {
            let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'))
            else {
                continue;
            };
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                // The header that it goes into holds no more.
                "id" if value.len() <= 1_024 => {
                    self.last = Some(value.to_owned()).filter(|last| !last.is_empty())
                }
                "retry" => {
                    if let Ok(ms) = value.parse() {
                        self.pause = Duration::from_millis(ms).min(LONGEST_PAUSE);
                    }
                }
                _ => {}
            }
        }
    }

    /// When the stream that broke off may be taken up again, where the server has said how (2025-11-25, resumability).
    fn may_resume(&mut self, http: &Http, why: &str) -> Result<Instant, LinkError> {
        let at = Instant::now() + self.pause;
        let can = self.last.is_some() && http.revision().transport().resumes;
        if !can || self.resumed >= MOST_RESUMPTIONS || at >= self.deadline {
            return Err(LinkError::Broken(why.to_owned()));
        }
        self.resumed += 1;
        Ok(at)
    }

    /// Takes the stream up where it broke off.
    async fn resume(&mut self, http: &Http, why: String) -> Result<(), LinkError> {
        let response = http.get(self.last.as_deref(), self.deadline).await.map_err(|error| match error {
            LinkError::NotSent(more) => {
                LinkError::Broken(format!("{why}; it could not be taken up again: {more}"))
            }
            error => error,
        })?;
        if !response.status.is_success() || essence(&response.headers) != "text/event-stream" {
            let status = response.status.as_u16();
            return Err(LinkError::Broken(format!(
                "{why}; it could not be taken up again (status {status})"
            )));
        }
        self.body = response.body;
        self.reader = SseReader::new(http.server.limits.message_bytes);
        Ok(())
    }
}

/// Resolves when nothing has come for longer than `idle`.
async fn too_long(since: Instant, idle: Option<Duration>) -> LinkError {
    let Some(limit) = idle else { return std::future::pending().await };
    tokio::time::sleep_until(since + limit).await;
    LinkError::TooLate { what: "the server's stream did not go on", limit, setting: "idle_ms" }
}
