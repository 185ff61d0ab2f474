//! Talking to the other instances: which part of each shared rule is whose. What is read is written back only where
//! nobody else has written meanwhile, so several instances need no lock between them.
//!
//! Calls never wait for it while the instance's own parts suffice. Where they do not, all calls that lack something are
//! served by one exchange.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tollgate_core::ledger::{Book, Due, Lease, ReleaseError, Roster, Sheet, SheetKey, Taken, Urgency, Wish};
use tollgate_core::ports::{Documents, Peer, Rewritten, Shelf};
use tollgate_core::query::QueryError;
use tollgate_core::record::Counted;
use uuid::Uuid;

/// The document that says which instances there are.
const ROSTER: &str = "instances";

/// How many sheets are exchanged at once.
const BATCH: usize = 500;

/// How often an exchange is tried where somebody else was faster.
const TRIES: u32 = 40;

/// How long the search for what this instance has taken before may take: it looks at everything.
const SEARCH: Duration = Duration::from_secs(30);

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an instance shares with others.
pub struct Sharing {
    shelf: Arc<dyn Shelf>,
    /// This instance: never the same for two data folders.
    who: Arc<str>,
    /// This run of this instance.
    pub(crate) life: Arc<str>,
    /// Where the others reach this instance; `None` where they do not, and once it stops.
    peer: Mutex<Option<Peer>>,
    /// The instances, as they were when last heard of, and when that was.
    seen: Mutex<Option<(Roster, Timestamp, Instant)>>,
    /// For how long leases are good that are not renewed.
    lease: Duration,
    /// Until when they are good, by this machine's monotonic clock; `None` before the first time.
    usable_until: Mutex<Option<Instant>>,
    /// Whether what was taken was given up since.
    gave_up: AtomicBool,
    /// How often calls have asked, and up to which of them was answered, and how.
    asked: AtomicU64,
    answered: watch::Sender<(u64, Result<(), String>)>,
    wake: Notify,
}

impl std::fmt::Debug for Sharing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sharing").field("who", &self.who).finish_non_exhaustive()
    }
}

/// What was read, and what becomes of it.
struct Exchange {
    asked: Instant,
    documents: Documents,
    roster: Roster,
    sheets: Vec<(Due, Sheet, Option<Taken>)>,
}

impl Sharing {
    /// Shares over `shelf` as `who`, with leases that last for `lease`. The others are told to reach it at
    /// `url`.
    pub fn new(shelf: Arc<dyn Shelf>, who: Arc<str>, lease: Duration, url: Option<Arc<str>>) -> Self {
        let life: Arc<str> = Uuid::now_v7().simple().to_string().into();
        let peer = url.map(|url| Peer { life: Arc::clone(&life), url });
        Self {
            shelf,
            who,
            life,
            peer: Mutex::new(peer),
            seen: Mutex::default(),
            lease,
            usable_until: Mutex::default(),
            gave_up: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            answered: watch::Sender::new((0, Ok(()))),
            wake: Notify::new(),
        }
    }

    /// Whether the leases that this instance has must not be used any more, or not yet.
    pub(crate) fn lapsed(&self) -> bool {
        self.usable_until.lock().is_none_or(|until| Instant::now() >= until)
    }

    /// Gives up what this instance has taken, where it must not be used any more: once, until it is good again.
    pub(crate) fn lapse(&self, book: &mut Book) {
        let lapsed = self.lapsed();
        if self.gave_up.swap(lapsed, Ordering::SeqCst) != lapsed && lapsed {
            book.lapse();
        }
    }

    /// The instances that can be reached now.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        let seen = self.seen.lock();
        let Some((roster, then, at)) = &*seen else { return Vec::new() };
        roster.peers(later(*then, at.elapsed())).cloned().collect()
    }

    /// The others are told, with the next exchange, that this instance cannot be reached any more.
    pub(crate) fn vanish(&self) {
        *self.peer.lock() = None;
        self.wake.notify_one();
    }

    /// Waits for an exchange that begins after this moment.
    pub async fn ask(&self) -> Result<(), String> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        let mut answered = self.answered.subscribe();
        let answer = answered.wait_for(|(answered, _)| *answered >= number).await;
        answer.map_or_else(|_| Err("the gate is stopping".to_owned()), |answer| answer.1.clone())
    }

    /// Exchanges what is due whenever calls ask, and from time to time, for as long as the task lives.
    pub(crate) async fn keep(&self, book: &Mutex<Book>, before: &Mutex<HashMap<Arc<str>, Vec<Counted>>>) {
        // What is not used is given back soon where others may wait for it, and within a second otherwise.
        const SOONER: Duration = Duration::from_millis(200);
        const LATER: Duration = Duration::from_secs(1);
        let (mut all_at, mut rejoined, mut failing) = (Instant::now(), false, false);
        loop {
            let _ = timeout(SOONER, self.wake.notified()).await;
            let urgency = if Instant::now() >= all_at { Urgency::Soon } else { Urgency::Now };
            if urgency == Urgency::Soon {
                all_at = Instant::now() + LATER;
            }
            let number = self.asked.load(Ordering::SeqCst);
            let done = self.exchange(book, urgency).await;
            // Calls do not wait for it: what was taken before counts as spent until it is done.
            if done.is_ok() && !rejoined && urgency == Urgency::Soon {
                rejoined = match self.rejoin(book, before).await {
                    Ok(()) => true,
                    Err(error) => {
                        tracing::warn!(%error, "what this instance had taken before it started counts as spent for now");
                        false
                    }
                };
            }
            if let Err(error) = &done
                && !failing
            {
                tracing::warn!(%error, "what instances share cannot be read; what this one has taken is used until it lapses");
            }
            failing = done.is_err();
            let answer = (number, done.map_err(|error| error.to_string()));
            self.answered.send_modify(|answered| *answered = answer);
        }
    }

    /// Takes and gives back what is due.
    async fn exchange(&self, book: &Mutex<Book>, urgency: Urgency) -> Result<(), QueryError> {
        let mut done = HashSet::new();
        let mut attempt = 0;
        while attempt < TRIES {
            let mut due = book.lock().due(urgency);
            due.retain(|due| !done.contains(&due.key));
            due.truncate(BATCH);
            if due.is_empty() && !self.renews() && !self.moved() {
                return Ok(());
            }
            let more = due.len() == BATCH;
            let mut exchange = self.read(due).await?;
            self.take(book, &mut exchange);
            let written = self.write(book, exchange).await?;
            let all = written.1;
            // Whoever gets on is not tried in vain.
            attempt = if written.0.is_empty() { attempt + 1 } else { 0 };
            done.extend(written.0);
            if all && !more {
                return Ok(());
            }
            // Whoever was slower lets the others finish.
            tokio::time::sleep(Duration::from_micros(u64::from(attempt.min(10)) * 500)).await;
        }
        Err(outrun())
    }

    /// Gives back everything that is not used. To be called when no call comes any more and nobody else exchanges.
    pub(crate) async fn leave(&self, book: &Mutex<Book>) -> Result<(), QueryError> {
        book.lock().leave();
        self.vanish();
        self.exchange(book, Urgency::Soon).await
    }

    /// Whether it is time to say that this instance is there.
    fn renews(&self) -> bool {
        let soon = Instant::now() + self.lease / 2;
        self.usable_until.lock().is_none_or(|until| soon >= until)
    }

    /// Whether the others think that this instance is reached in another way than it is.
    fn moved(&self) -> bool {
        let seen = self.seen.lock();
        let Some((roster, ..)) = &*seen else { return false };
        roster.knows(&self.who) && roster.peer(&self.who) != self.peer.lock().as_ref()
    }

    async fn read(&self, due: Vec<Due>) -> Result<Exchange, QueryError> {
        let mut names: Vec<String> = due.iter().map(|due| due.key.name()).collect();
        names.push(ROSTER.to_owned());
        let asked = Instant::now();
        let documents = in_time(self.shelf.read(&names)).await?;
        let text = |at: usize| documents.each.get(at).and_then(|(_, text)| text.as_deref());
        let sheets = due.into_iter().enumerate().map(|(at, due)| Ok((due, parsed(text(at))?, None)));
        let sheets = sheets.collect::<Result<_, QueryError>>()?;
        let roster: Roster = parsed(text(names.len() - 1))?;
        *self.seen.lock() = Some((roster.clone(), documents.now, asked));
        Ok(Exchange { asked, documents, roster, sheets })
    }

    fn take(&self, book: &Mutex<Book>, exchange: &mut Exchange) {
        let now = exchange.documents.now;
        let (known, before) = (self.usable_until.lock().is_some(), exchange.roster.clone());
        let forgotten = known && !before.knows(&self.who);
        exchange.roster.lives(&exchange.documents.life, forgotten, later(now, self.lease));
        let mut book = book.lock();
        self.lapse(&mut book);
        for (due, sheet, taken) in &mut exchange.sheets {
            *taken = book.take(&self.who, &due.key, sheet, &exchange.roster, now);
        }
        if exchange.roster != before {
            book.say_again();
        }
    }

    /// Writes what was taken. Returns the sheets that are done, and whether that is all that was to be written.
    async fn write(
        &self,
        book: &Mutex<Book>,
        exchange: Exchange,
    ) -> Result<(Vec<SheetKey>, bool), QueryError> {
        let Exchange { asked, documents, mut roster, sheets } = exchange;
        let renews = self.renews()
            || !roster.knows(&self.who)
            || roster.is_settling(documents.now)
            || roster.peer(&self.who) != self.peer.lock().as_ref();
        let mut all = Vec::new();
        if renews {
            roster.renew(&self.who, later(documents.now, self.lease), self.peer.lock().clone());
            let text = written(&roster)?;
            all.push(Rewritten {
                name: ROSTER.to_owned(),
                version: documents.version(sheets.len()),
                text,
                ends: None,
            });
        }
        for (at, (due, sheet, _)) in sheets.iter().enumerate() {
            let text = written(sheet)?;
            all.push(Rewritten {
                name: due.key.name(),
                version: documents.version(at),
                text,
                ends: due.ends,
            });
        }
        let mut kept = in_time(self.shelf.write(&all)).await?.into_iter();
        let renewed = !renews || kept.next() == Some(true);
        if renews && renewed {
            // Measured from before the store was asked, and with a tenth of it to spare: clocks do not run alike.
            *self.usable_until.lock() = Some(asked + self.lease - self.lease / 10);
            *self.seen.lock() = Some((roster, documents.now, asked));
        }
        // Without leases that are good nothing is counted on, whatever the sheets say.
        if self.lapsed() {
            return Ok((Vec::new(), false));
        }
        let (mut done, mut book) = (Vec::new(), book.lock());
        let count = sheets.len();
        for ((due, _, taken), _) in sheets.into_iter().zip(kept).filter(|(_, kept)| *kept) {
            if let Some(taken) = taken {
                book.taken(&due.key, &taken);
            }
            done.push(due.key);
        }
        let all = renewed && done.len() == count;
        Ok((done, all))
    }

    /// Says of everything that an earlier life of this instance has taken what it really used of it, as its journal has
    /// it.
    async fn rejoin(
        &self,
        book: &Mutex<Book>,
        before: &Mutex<HashMap<Arc<str>, Vec<Counted>>>,
    ) -> Result<(), QueryError> {
        let names = timeout(SEARCH, self.shelf.naming(&self.who)).await;
        let names = names.unwrap_or_else(|_| Err(QueryError("the search took too long".to_owned())))?;
        let keys = names.iter().filter_map(|name| SheetKey::named(name));
        // What is counted by the minute is in no record: it counts as used until the minute is over.
        for key in keys.filter(|key| !key.under.ends_with("/minute")).collect::<Vec<_>>() {
            let used = {
                let before = before.lock();
                // What the book counts it says by itself.
                if book.lock().counts(&key) {
                    continue;
                }
                let counted = before.get(&key.under).into_iter().flatten().find(|c| c.since == key.since);
                counted.map_or(0, |counted| counted.amount)
            };
            self.say(&key, used).await?;
        }
        Ok(())
    }

    /// Says what was used under a rule that nobody here asks for.
    async fn say(&self, key: &SheetKey, used: u64) -> Result<(), QueryError> {
        for _ in 0..TRIES {
            let exchange = self.read(vec![Due { key: key.clone(), ends: None }]).await?;
            let Some((_, mut sheet, _)) = exchange.sheets.into_iter().next() else { return Ok(()) };
            let now = exchange.documents.now;
            if exchange.roster.is_settling(now) {
                sheet.keep(&self.who, Lease { used, upto: used, ..Lease::default() });
            } else {
                let wish =
                    Wish { used, held: 0, needed: 0, largest: 0, ceiling: u64::MAX, concurrent: false };
                sheet.take(&self.who, &wish, &exchange.roster, now);
            }
            if self.rewrite(key.name(), &exchange.documents, &sheet).await? {
                return Ok(());
            }
        }
        Err(outrun())
    }

    /// The instances.
    pub async fn roster(&self) -> Result<(Roster, Timestamp), QueryError> {
        let exchange = self.read(Vec::new()).await?;
        Ok((exchange.roster, exchange.documents.now))
    }

    /// Notes that an instance will not come back.
    pub async fn release(&self, who: &str) -> Result<Result<(), ReleaseError>, QueryError> {
        for _ in 0..TRIES {
            let Exchange { documents, mut roster, .. } = self.read(Vec::new()).await?;
            if let Err(error) = roster.release(who, documents.now) {
                return Ok(Err(error));
            }
            if self.rewrite(ROSTER.to_owned(), &documents, &roster).await? {
                return Ok(Ok(()));
            }
        }
        Err(outrun())
    }

    /// Writes the one document that was asked for first, and says whether nobody else had meanwhile.
    async fn rewrite(
        &self,
        name: String,
        read: &Documents,
        value: &impl serde::Serialize,
    ) -> Result<bool, QueryError> {
        let document = Rewritten { name, version: read.version(0), text: written(value)?, ends: None };
        Ok(in_time(self.shelf.write(&[document])).await?.first() == Some(&true))
    }
}

fn outrun() -> QueryError {
    QueryError("others were faster, again and again".to_owned())
}

fn later(now: Timestamp, lease: Duration) -> Timestamp {
    let lease = SignedDuration::try_from(lease).unwrap_or(SignedDuration::MAX);
    now.saturating_add(lease).unwrap_or(Timestamp::MAX)
}

fn parsed<T: Default + serde::de::DeserializeOwned>(text: Option<&str>) -> Result<T, QueryError> {
    let Some(text) = text else { return Ok(T::default()) };
    // Closed by default: nobody takes a part of what cannot be read.
    serde_json::from_str(text)
        .map_err(|error| QueryError(format!("what instances share cannot be read: {error}")))
}

fn written(value: &impl serde::Serialize) -> Result<String, QueryError> {
    serde_json::to_string(value).map_err(|error| QueryError(error.to_string()))
}

async fn in_time<T>(answer: impl Future<Output = Result<T, QueryError>>) -> Result<T, QueryError> {
    let late = || QueryError("what instances share does not answer".to_owned());
    timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(late()))
}
