//! Links that are open, by server and audience. One is opened when it is needed first, and closed when nobody has used it for
//! as long as the configuration says.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tollgate_core::config::tools::{Reached, ToolServer, Transport as Travels};
use tollgate_mcp::bridge::ClientHello;
use tollgate_mcp::capability;

use super::handshake::{With, greet};
use super::http::Http;
use super::pumps::Pumps;
use super::{ClientSays, Link, LinkError, Transport, sse, stdio};
use crate::mcp::tokens::Tokens;
use crate::upstream::Upstream;

/// Messages outside of requests that whoever listens may be behind.
const MOST_EVENTS: usize = 64;

/// After a server could not be reached, at first; it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often links that nobody uses are looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// For all links to be closed when the gate stops.
const TO_CLOSE: Duration = Duration::from_secs(5);

/// What links are opened with.
pub struct Means {
    /// Carries requests.
    pub upstream: Arc<dyn Upstream>,
    /// Tokens for servers that want them.
    pub tokens: Tokens,
    /// The binary that guards programs; `None` starts them without a guard.
    pub shim: Option<PathBuf>,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").field("shim", &self.shim).finish_non_exhaustive()
    }
}

/// The place of one link.
#[derive(Debug)]
struct Slot {
    /// For whom it was opened first.
    owner: String,
    link: tokio::sync::Mutex<Option<Arc<Link>>>,
    used: Mutex<Instant>,
}

/// How often a server could not be reached of late.
#[derive(Clone, Copy, Debug)]
struct Failing {
    until: Instant,
    pause: Duration,
}

/// The number of the next link.
static NEXT: AtomicU64 = AtomicU64::new(1);

type Key = (Arc<str>, String);

/// Whether a server is reached as before. Most often nothing was written anew.
pub(in crate::mcp) fn is_same(one: &Arc<ToolServer>, other: &Arc<ToolServer>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

fn key(server: &ToolServer, audience: &str) -> Key {
    (Arc::clone(&server.name), audience.to_owned())
}

#[derive(Debug, Default)]
struct Open {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    failing: Mutex<HashMap<Arc<str>, Failing>>,
}

/// Links that are open.
#[derive(Debug)]
pub struct Links {
    means: Arc<Means>,
    open: Arc<Open>,
    opened: watch::Sender<u64>,
    sweeping: std::sync::Once,
}

impl Links {
    /// None yet.
    pub fn new(means: Means) -> Self {
        Self {
            means: Arc::new(means),
            open: Arc::default(),
            opened: watch::Sender::new(0),
            sweeping: std::sync::Once::new(),
        }
    }

    /// Changes when a link is opened.
    pub fn opened(&self) -> watch::Receiver<u64> {
        self.opened.subscribe()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.open.slots.lock().len()
    }

    /// The link of `audience`, which is `owner`'s, to `server`. Where there is none, or it is over, or was opened with
    /// another configuration, one is opened in the name of the client that `says` who it is: by one at a time, and others
    /// wait for it.
    pub async fn get(
        &self,
        server: &Arc<ToolServer>,
        (audience, owner): (&str, &str),
        says: ClientSays<'_>,
        deadline: Instant,
    ) -> Result<Arc<Link>, LinkError> {
        self.sweeping.call_once(|| drop(tokio::spawn(sweep(Arc::downgrade(&self.open)))));
        let slot = self.slot(server, audience, owner)?;
        let late = || {
            let limit = server.timeouts.first_byte;
            LinkError::TooLate {
                what: "no session with the server was begun",
                limit,
                setting: "first_byte_ms",
            }
        };
        let mut link = tokio::time::timeout_at(deadline, slot.link.lock()).await.map_err(|_| late())?;
        if let Some(open) = link.as_ref().filter(|link| link.is_open() && is_same(&link.server, server)) {
            return Ok(Arc::clone(open));
        }
        *link = None;
        self.rested(server)?;
        let limit = deadline.min(Instant::now() + server.timeouts.first_byte);
        // Boxed: most calls find a link that is open.
        let opening = Box::pin(opened(&self.means, server, &says, limit));
        let opening = tokio::time::timeout_at(limit, opening);
        match opening.await.unwrap_or_else(|_| Err(late())) {
            Ok(opened) => {
                self.open.failing.lock().remove(&server.name);
                *link = Some(Arc::clone(&opened));
                self.opened.send_modify(|count| *count += 1);
                Ok(opened)
            }
            Err(error) => {
                // A server that answers is there, whatever it does not like of this client.
                if matches!(error, LinkError::NotSent(_) | LinkError::Broken(_) | LinkError::TooLate { .. }) {
                    self.failed(server);
                }
                Err(unsent(error))
            }
        }
    }

    /// The link of `audience` to `server`, where there is one.
    pub fn find(&self, server: &ToolServer, audience: &str) -> Option<Arc<Link>> {
        let slot = self.open.slots.lock().get(&key(server, audience)).cloned()?;
        let link = slot.link.try_lock().ok()?.clone();
        link.filter(|link| link.is_open())
    }

    /// Closes the links of `audience`, in whosever name they are.
    pub fn close_audience(&self, audience: &str) {
        let mut slots = self.open.slots.lock();
        let is_its =
            |of: &str| of.strip_prefix(audience).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        let gone: Vec<Key> = slots.keys().filter(|(_, of)| is_its(of)).cloned().collect();
        for slot in gone.iter().filter_map(|key| slots.remove(key)) {
            tokio::spawn(close(slot));
        }
    }

    /// Closes every link, and waits until that is done or takes too long.
    pub async fn close_all(&self) {
        let all: Vec<Arc<Slot>> = self.open.slots.lock().drain().map(|(_, slot)| slot).collect();
        let closing = join_all(all.into_iter().map(close));
        if tokio::time::timeout(TO_CLOSE, closing).await.is_err() {
            tracing::warn!("sessions with tool servers were left open");
        }
    }

    fn slot(&self, server: &Arc<ToolServer>, audience: &str, owner: &str) -> Result<Arc<Slot>, LinkError> {
        let key = key(server, audience);
        let mut slots = self.open.slots.lock();
        if let Some(slot) = slots.get(&key) {
            *slot.used.lock() = Instant::now();
            return Ok(Arc::clone(slot));
        }
        let most = server.limits.sessions;
        let of_server =
            |slots: &HashMap<Key, Arc<Slot>>| slots.keys().filter(|(name, _)| *name == server.name).count();
        if of_server(&slots) >= most {
            // Whoever wants another one gives one up, and otherwise whoever has not used theirs for longest, where nothing
            // is under way.
            let idle = slots.iter().filter(|((name, _), slot)| *name == server.name && is_idle(slot));
            let first = |slot: &Arc<Slot>| (slot.owner != owner, *slot.used.lock());
            let oldest = idle.min_by_key(|(_, slot)| first(slot)).map(|(key, _)| key.clone());
            match oldest.and_then(|key| slots.remove(&key)) {
                Some(slot) => drop(tokio::spawn(close(slot))),
                None => return Err(LinkError::Full(most)),
            }
        }
        let slot = Slot {
            owner: owner.to_owned(),
            link: tokio::sync::Mutex::default(),
            used: Mutex::new(Instant::now()),
        };
        let slot = Arc::new(slot);
        slots.insert(key, Arc::clone(&slot));
        Ok(slot)
    }

    /// Whether the server may be tried: one that has just failed is left in peace for a moment.
    fn rested(&self, server: &ToolServer) -> Result<(), LinkError> {
        let failing = self.open.failing.lock().get(&server.name).copied();
        let wait =
            failing.map_or(Duration::ZERO, |failing| failing.until.saturating_duration_since(Instant::now()));
        if wait.is_zero() {
            return Ok(());
        }
        let why =
            format!("it could not be reached a moment ago, and is tried again in {} ms", wait.as_millis());
        Err(LinkError::NotSent(why))
    }

    fn failed(&self, server: &ToolServer) {
        let mut failing = self.open.failing.lock();
        let pause = failing.get(&server.name).map_or(PAUSE, |failing| (failing.pause * 2).min(LONGEST_PAUSE));
        failing.insert(Arc::clone(&server.name), Failing { until: Instant::now() + pause, pause });
    }
}

/// While a session is begun nothing of a client's is sent.
fn unsent(error: LinkError) -> LinkError {
    match error {
        LinkError::Broken(why) => LinkError::NotSent(why),
        LinkError::SessionGone => LinkError::NotSent("the server forgot the session at once".to_owned()),
        error => error,
    }
}

async fn opened(
    means: &Arc<Means>,
    server: &Arc<ToolServer>,
    says: &ClientSays<'_>,
    deadline: Instant,
) -> Result<Arc<Link>, LinkError> {
    let events = broadcast::Sender::new(MOST_EVENTS);
    let transport = match &server.reached {
        Reached::Command(command) => Transport::Pipe(stdio::start(means, server, command, events.clone())?),
        Reached::Url(url) if url.transport == Travels::Sse => {
            Transport::Pipe(sse::open(means, server, (url, says.acting), events.clone(), deadline).await?)
        }
        Reached::Url(url) => Transport::Http(Http::new(means, server, url, says.acting)),
    };
    let with = match &transport {
        Transport::Http(http) => With::Http(http),
        Transport::Pipe(pipe) => With::Pipe(pipe),
    };
    let greeted = greet(&with, server, says, deadline).await;
    match greeted {
        Ok((said, listens)) => {
            let server = Arc::clone(server);
            let link = Link {
                number: NEXT.fetch_add(1, Ordering::Relaxed),
                server,
                said,
                transport,
                events,
                pumps: Pumps::new(listens),
                watches: Default::default(),
            };
            if may_be_asked(&says.hello) {
                link.listen();
                link.pumps.begun().await;
            }
            Ok(Arc::new(link))
        }
        Err(error) => {
            if let Transport::Pipe(pipe) = &transport {
                pipe.close("no session was begun");
            }
            Err(error)
        }
    }
}

/// Whether a server may ask the client anything.
fn may_be_asked(hello: &ClientHello<'_>) -> bool {
    let can = |what| capability::has(hello.capabilities, what);
    ["sampling", "elicitation", "roots"].into_iter().any(can)
}

/// Whether nobody uses the link of a slot just now.
fn is_idle(slot: &Arc<Slot>) -> bool {
    let Ok(link) = slot.link.try_lock() else { return false };
    link.as_ref().is_none_or(|link| Arc::strong_count(link) == 1)
}

async fn close(slot: Arc<Slot>) {
    let link = slot.link.lock().await.take();
    if let Some(link) = link {
        link.close().await;
    }
}

/// Closes links that nobody has used for long.
async fn sweep(open: Weak<Open>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(open) = open.upgrade() else { return };
        let mut slots = open.slots.lock();
        let over = |slot: &Arc<Slot>| {
            let Ok(link) = slot.link.try_lock() else { return false };
            let Some(link) = link.as_ref() else { return slot.used.lock().elapsed() >= SWEEP };
            let in_use = Arc::strong_count(link) > 1;
            if in_use {
                *slot.used.lock() = Instant::now();
            }
            !in_use && (!link.is_open() || slot.used.lock().elapsed() >= link.server.limits.idle)
        };
        let gone: Vec<Key> =
            slots.iter().filter(|(_, slot)| over(slot)).map(|(key, _)| key.clone()).collect();
        for slot in gone.iter().filter_map(|key| slots.remove(key)) {
            tokio::spawn(close(slot));
        }
    }
}
