//! What reads a server outside of requests, over HTTP: a stream that is opened when somebody listens, and opened again when
//! it ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tollgate_mcp::message::{Kind, request};

use super::http::{Http, is_events};
use super::pipe::LARGEST_TOLD;
use super::stream::Stream;
use super::{Heard, LinkError, ServerSaid, wire};

/// Before a stream that ended is opened again, at first; it doubles.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A stream may stay open for so long; then it is opened again.
const LONGEST: Duration = Duration::from_hours(12);

/// How long a request waits at most for the server to begin its stream.
const TO_BEGIN: Duration = Duration::from_secs(2);

/// What reads a server outside of requests.
#[derive(Debug)]
pub(super) struct Pumps {
    /// The params with which a stateless server is asked for what it says unasked.
    pub(super) listens: Option<String>,
    running: Mutex<Option<JoinHandle<()>>>,
    /// Whether the stream has begun, or there is none.
    begun: watch::Sender<bool>,
}

impl Pumps {
    pub(super) fn new(listens: Option<String>) -> Self {
        Self { listens, running: Mutex::default(), begun: watch::Sender::new(false) }
    }

    /// Begins to listen, unless that has been done.
    pub(super) fn listen(&self, http: &Arc<Http>, said: &ServerSaid, events: &broadcast::Sender<Heard>) {
        if !said.revision.transport().listens_by_get && self.listens.is_none() {
            return;
        }
        let mut running = self.running.lock();
        if running.is_none() {
            let (http, events) = (Arc::clone(http), events.clone());
            let (listens, begun) = (self.listens.clone(), self.begun.clone());
            *running = Some(tokio::spawn(async move {
                pump(&http, listens.as_deref(), &events, &begun).await;
                begun.send_replace(true);
            }));
        }
    }

    /// Waits until the stream has begun, where it is listened to: what a server asks before that is lost.
    pub(super) async fn begun(&self) {
        if self.running.lock().is_none() {
            return;
        }
        let mut begun = self.begun.subscribe();
        // Some servers send nothing, not even a head, before they have something to say.
        let _ = tokio::time::timeout(TO_BEGIN, begun.wait_for(|begun| *begun)).await;
    }
}

impl Drop for Pumps {
    fn drop(&mut self) {
        if let Some(running) = self.running.lock().take() {
            running.abort();
        }
    }
}

async fn pump(
    http: &Arc<Http>,
    listens: Option<&str>,
    events: &broadcast::Sender<Heard>,
    begun: &watch::Sender<bool>,
) {
    let mut pause = PAUSE;
    while http.is_open() {
        let since = Instant::now();
        match once(http, listens, events, begun).await {
            // It has no such stream.
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => tracing::debug!(%error, "a tool server's stream ended"),
        }
        pause = if since.elapsed() > LONGEST_PAUSE { PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::time::sleep(pause).await;
    }
}

/// Reads one stream to its end. Says whether there was one.
async fn once(
    http: &Arc<Http>,
    listens: Option<&str>,
    events: &broadcast::Sender<Heard>,
    begun: &watch::Sender<bool>,
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
    begun.send_replace(true);
    let mut stream = Stream::new(response.body, http, deadline);
    loop {
        let text = stream.message(http, None).await?;
        if let Some(heard) = heard(&text, http)? {
            hand(heard, http, events).await?;
        }
    }
}

/// Hands `heard` to whoever it is for: what is asked to whoever made a request last, as long as that is under way, and
/// everything else to whoever listens.
async fn hand(heard: Heard, http: &Http, events: &broadcast::Sender<Heard>) -> Result<(), LinkError> {
    let Heard::Request(text) = &heard else {
        if let Heard::Notification(text) = &heard
            && text.len() > LARGEST_TOLD
        {
            return Ok(());
        }
        // Nobody may be listening just now.
        let _ = events.send(heard);
        return Ok(());
    };
    if let Some(pong) = wire::pong(text) {
        return http.tell(pong).await;
    }
    let last = http.asked_last();
    // What a session is asked that callers share is nobody's who only listens.
    let listens = || !http.server.shared && events.send(heard.clone()).is_ok();
    if last.is_some_and(|last| last.try_send(heard.clone()).is_ok()) || listens() {
        return Ok(());
    }
    match wire::nobody(text, http.revision()) {
        Some(nobody) => http.tell(nobody).await,
        None => Ok(()),
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
