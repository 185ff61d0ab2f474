//! What reads a server outside of requests, over HTTP: a stream that is opened when somebody listens, and opened again when
//! it ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tollgate_mcp::message::{Kind, request};

use super::http::{Http, is_events};
use super::stream::Stream;
use super::{Heard, LinkError, ServerSaid, wire};

/// Before a stream that ended is opened again, at first; it doubles.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A stream may stay open for so long; then it is opened again.
const LONGEST: Duration = Duration::from_hours(12);

/// What reads a server outside of requests.
#[derive(Debug, Default)]
pub(super) struct Pumps {
    /// The params with which a stateless server is asked for what it says unasked.
    pub(super) listens: Option<String>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Pumps {
    pub(super) fn new(listens: Option<String>) -> Self {
        Self { listens, running: Mutex::default() }
    }

    /// Begins to listen, unless that has been done.
    pub(super) fn listen(&self, http: &Arc<Http>, said: &ServerSaid, events: &broadcast::Sender<Heard>) {
        if !said.revision.transport().listens_by_get && self.listens.is_none() {
            return;
        }
        let mut running = self.running.lock();
        if running.is_none() {
            let (http, events) = (Arc::clone(http), events.clone());
            *running = Some(tokio::spawn(pump(http, self.listens.clone(), events)));
        }
    }
}

impl Drop for Pumps {
    fn drop(&mut self) {
        if let Some(running) = self.running.lock().take() {
            running.abort();
        }
    }
}

async fn pump(http: Arc<Http>, listens: Option<String>, events: broadcast::Sender<Heard>) {
    let mut pause = PAUSE;
    while http.is_open() {
        let begun = Instant::now();
        match once(&http, listens.as_deref(), &events).await {
            // It has no such stream.
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => tracing::debug!(%error, "a tool server's stream ended"),
        }
        pause = if begun.elapsed() > LONGEST_PAUSE { PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::time::sleep(pause).await;
    }
}

/// Reads one stream to its end. Says whether there was one.
async fn once(
    http: &Arc<Http>,
    listens: Option<&str>,
    events: &broadcast::Sender<Heard>,
) -> Result<bool, LinkError> {
    let deadline = Instant::now() + LONGEST;
    let response = match listens {
        Some(params) => {
            let text = request(&http.number().to_string(), "subscriptions/listen", Some(params));
            http.post(text, &HeaderMap::new(), deadline).await?
        }
        None => http.get(None, deadline).await?,
    };
    if !response.status.is_success() || !is_events(&response.headers) {
        return Ok(!matches!(response.status.as_u16(), 400..=499) && !response.status.is_success());
    }
    let mut stream = Stream::new(response.body, http, deadline);
    loop {
        let text = stream.message(http).await?;
        if let Some(heard) = heard(&text, http)? {
            // Nobody may be listening just now.
            let _ = events.send(heard);
        }
    }
}

fn heard(text: &Bytes, http: &Http) -> Result<Option<Heard>, LinkError> {
    let message = wire::heard(text, http.revision())?;
    Ok(match message.kind() {
        Kind::Notification { .. } => Some(Heard::Notification(text.clone())),
        Kind::Request { .. } => Some(Heard::Request(text.clone())),
        // The end of a subscription, or an answer that nobody waits for here.
        _ => None,
    })
}
