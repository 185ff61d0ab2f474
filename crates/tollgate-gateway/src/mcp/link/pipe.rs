//! Many requests over one stream of messages: a child's standard input and output, or the older HTTP transport with its one
//! stream of events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use tollgate_core::config::tools::ToolServer;
use tollgate_mcp::message::{Kind, notification};
use tollgate_mcp::revision::Revision;

use super::quiet::Quiet;
use super::wire::{self, of_progress, outgoing, progress};
use super::{Heard, LinkError};

/// What a server may tell about one request before anybody listens; more is left out.
const MOST_WAITING: usize = 128;

/// The largest notification that is kept for whoever listens, in bytes: many of them must not fill the memory.
pub(super) const LARGEST_TOLD: usize = 256 << 10;

/// Messages that wait for the server to read. Whoever has more waits.
pub(super) const MOST_OUTGOING: usize = 64;

/// A stream of messages, and who waits for which of them.
#[derive(Debug)]
pub(super) struct Pipe {
    out: mpsc::Sender<Bytes>,
    revision: Mutex<Revision>,
    events: broadcast::Sender<Heard>,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    next: AtomicU64,
    server: Arc<ToolServer>,
    /// Why it is over, once it is.
    over: watch::Sender<Option<LinkError>>,
    /// Whether nothing is left of what was behind it.
    gone: watch::Sender<bool>,
}

/// Whoever waits for an answer.
#[derive(Debug)]
struct Waiting {
    told: mpsc::Sender<Heard>,
    answer: oneshot::Sender<Bytes>,
    /// The progress token of whoever asked.
    token: Option<String>,
}

impl Pipe {
    /// What is to be sent goes to `out`; what belongs to no request to `events`.
    pub(super) fn new(
        server: &Arc<ToolServer>,
        out: mpsc::Sender<Bytes>,
        events: broadcast::Sender<Heard>,
    ) -> Arc<Self> {
        Arc::new(Self {
            out,
            revision: Mutex::new(Revision::NEWEST_STATEFUL),
            events,
            waiting: Mutex::default(),
            next: AtomicU64::new(1),
            server: Arc::clone(server),
            over: watch::Sender::new(None),
            gone: watch::Sender::new(true),
        })
    }

    /// The server speaks `revision`.
    pub(super) fn speaks(&self, revision: Revision) {
        *self.revision.lock() = revision;
    }

    pub(super) fn is_open(&self) -> bool {
        self.over.borrow().is_none()
    }

    /// Resolves when it is over.
    pub(super) async fn until_over(&self) {
        let _ = self.over.subscribe().wait_for(Option::is_some).await;
    }

    /// There is something behind it, until [`Pipe::is_gone`] is said.
    pub(super) fn is_there(&self) {
        self.gone.send_replace(false);
    }

    /// Nothing is left of what was behind it.
    pub(super) fn is_gone(&self) {
        self.gone.send_replace(true);
    }

    /// Resolves when nothing is left of what was behind it.
    pub(super) async fn until_gone(&self) {
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    /// It is over, and everybody who waits is told why.
    pub(super) fn close(&self, why: &str) {
        self.fail(LinkError::Broken(why.to_owned()));
    }

    /// The same, for a reason that is more than that it broke off.
    pub(super) fn fail(&self, error: LinkError) {
        self.over.send_if_modified(|over| {
            let first = over.is_none();
            if first {
                *over = Some(error);
            }
            first
        });
        self.waiting.lock().clear();
    }

    pub(super) async fn send(&self, message: Bytes) -> Result<(), LinkError> {
        self.out.send(message).await.map_err(|_| self.broken())
    }

    fn broken(&self) -> LinkError {
        let why = self.over.borrow().clone();
        why.unwrap_or_else(|| LinkError::Broken("the connection is over".to_owned()))
    }

    pub(super) async fn ask(
        self: &Arc<Self>,
        method: &str,
        params: Option<&str>,
        deadline: Instant,
    ) -> Result<Asked, LinkError> {
        if !self.is_open() {
            return Err(LinkError::NotSent(self.broken().to_string()));
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (text, token) = outgoing(id, method, params);
        let (told, hears) = mpsc::channel(MOST_WAITING);
        let (answer, answers) = oneshot::channel();
        self.waiting.lock().insert(id, Waiting { told, answer, token });
        let asked = Asked { pipe: Arc::clone(self), id, hears, answers, quiet: Quiet::begins(), over: false };
        match tokio::time::timeout_at(deadline, self.send(text.into())).await {
            Ok(sent) => sent.map(|()| asked),
            Err(_) => Err(LinkError::NotSent("the server does not read what it is sent".to_owned())),
        }
    }

    /// Takes what the server has sent. An error says that nothing it sends can be relied on.
    pub(super) fn heard(&self, text: Bytes) -> Result<(), LinkError> {
        let revision = *self.revision.lock();
        let message = wire::heard(&text, revision)?;
        match message.kind() {
            Kind::Response { id, .. } | Kind::Error { id: Some(id), .. } => {
                let waiting = id.as_u64().and_then(|id| self.waiting.lock().remove(&id));
                match waiting {
                    // Whoever asked may be gone.
                    Some(waiting) => drop(waiting.answer.send(text)),
                    None => tracing::debug!("a tool server answers what nobody asked, or twice"),
                }
            }
            Kind::Error { id: None, .. } => tracing::debug!("a tool server could not read what it was sent"),
            Kind::Notification { method, .. } => {
                let logged = method == "notifications/message";
                self.notified(of_progress(&message), logged, text.clone());
            }
            Kind::Request { .. } => self.asked(text.clone()),
        }
        Ok(())
    }

    /// Progress belongs to its request. What a server logs it logs of something: of the request that was made last, where
    /// there is one. The rest is for whoever listens.
    fn notified(&self, of: Option<u64>, logged: bool, text: Bytes) {
        if text.len() > LARGEST_TOLD {
            tracing::debug!(bytes = text.len(), "a tool server tells more at once than anybody is told");
            return;
        }
        let waiting = self.waiting.lock();
        let Some(id) = of else {
            let unclear = self.server.shared && waiting.len() != 1;
            match waiting.values().next_back().filter(|_| logged) {
                _ if logged && unclear => {}
                Some(last) => drop(last.told.try_send(Heard::Notification(text))),
                None => drop(self.events.send(Heard::Notification(text))),
            }
            return;
        };
        let Some(of) = waiting.get(&id) else { return };
        let told = of.token.as_ref().and_then(|token| progress(std::str::from_utf8(&text).ok()?, token));
        if let Some(told) = told {
            // What is too much to be heard is left out: a flood fills no memory.
            drop(of.told.try_send(Heard::Notification(told.into())));
        }
    }

    fn asked(&self, text: Bytes) {
        let waiting = self.waiting.lock();
        // Of a session that callers share nobody can tell whom of several the server means.
        let certain = !self.server.shared || waiting.len() == 1;
        let unheard = match waiting.values().next_back().filter(|_| certain) {
            Some(last) => last.told.try_send(Heard::Request(text.clone())).is_err(),
            // Nor is it anybody's who only listens.
            None if self.server.shared => true,
            None => self.events.send(Heard::Request(text.clone())).is_err(),
        };
        drop(waiting);
        if unheard {
            let revision = *self.revision.lock();
            let answer = wire::pong(&text).or_else(|| wire::nobody(&text, revision));
            if let Some(answer) = answer {
                drop(self.out.try_send(answer.into()));
            }
        }
    }
}

/// A request over a pipe.
#[derive(Debug)]
pub(super) struct Asked {
    pipe: Arc<Pipe>,
    id: u64,
    hears: mpsc::Receiver<Heard>,
    answers: oneshot::Receiver<Bytes>,
    quiet: Quiet,
    over: bool,
}

impl Asked {
    pub(super) async fn next(&mut self) -> Result<Heard, LinkError> {
        let heard = tokio::select! {
            // What was told before the answer is heard before it.
            biased;
            Some(heard) = self.hears.recv() => Ok(heard),
            answer = &mut self.answers => {
                self.over = true;
                answer.map(Heard::Answer).map_err(|_| self.pipe.broken())
            }
            late = self.quiet.too_long(&self.pipe.server.timeouts) => Err(late),
        };
        if let Ok(heard) = &heard {
            self.quiet.heard(heard);
        }
        heard
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        if self.pipe.waiting.lock().remove(&self.id).is_some() {
            let params = format!("{{\"requestId\":{},\"reason\":\"the client went away\"}}", self.id);
            let text = notification("notifications/cancelled", Some(&params));
            // A server that reads nothing has no use for it.
            drop(self.pipe.out.try_send(text.into()));
        }
    }
}
