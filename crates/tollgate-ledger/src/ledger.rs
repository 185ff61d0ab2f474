//! What calls ask: who is this, and is there room for what it needs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use serde_json::json;
use tollgate_core::access::{Account, Caller, Holder, HolderKind, HolderRef, KeyHash, NotLetIn};
use tollgate_core::fault::{Fault, FaultClass};
use tollgate_core::identity::Subject;
use tollgate_core::ledger::{About, Book, Hold, Meter, Need, Refusal, Standing, Usd, Warned};
use tollgate_core::ports::{Access, Asking, Change, Journal, Peer, Peers, Registry, Stored};
use tollgate_core::price::NanoUsd;
use tollgate_core::query::QueryError;
use tollgate_core::record::{Counted, Entry, Event};
use uuid::Uuid;

use crate::directory::{Directory, Listed, Page};
use crate::sharing::Sharing;

/// Who may call, and what they have spent and used.
pub struct Ledger {
    directory: RwLock<Directory>,
    book: Mutex<Book>,
    /// What was counted before the gate started, by meter, until that meter is known.
    before: Mutex<HashMap<Arc<str>, Vec<Counted>>>,
    journal: Arc<dyn Journal>,
    /// What is shared with other instances, where there may be any.
    sharing: Option<Sharing>,
    /// This run of the gate.
    life: Arc<str>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ledger")
    }
}

impl Ledger {
    /// A ledger that knows nobody yet, and tells `journal` when budgets come to their end.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self {
            directory: RwLock::default(),
            book: Mutex::default(),
            before: Mutex::default(),
            journal,
            sharing: None,
            life: Uuid::now_v7().simple().to_string().into(),
        }
    }

    /// The same, for one of several instances: each counts only what it has taken of a rule.
    pub fn sharing(journal: Arc<dyn Journal>, sharing: Sharing) -> Self {
        let life = Arc::clone(&sharing.life);
        Self { book: Mutex::new(Book::shared()), sharing: Some(sharing), life, ..Self::new(journal) }
    }

    /// Exchanges with other instances, for as long as the task lives; for ever nothing where there are none.
    pub async fn keep_sharing(&self) {
        match &self.sharing {
            Some(sharing) => sharing.keep(&self.book, &self.before).await,
            None => std::future::pending().await,
        }
    }

    /// Gives back to other instances what this one has taken and does not use. To be called at the end.
    pub async fn stop_sharing(&self) -> Result<(), QueryError> {
        match &self.sharing {
            Some(sharing) => sharing.leave(&self.book).await,
            None => Ok(()),
        }
    }

    /// What is shared with other instances.
    pub fn shared(&self) -> Option<&Sharing> {
        self.sharing.as_ref()
    }

    /// Takes what was counted before the gate started. It counts as soon as the meter is known.
    pub fn restore(&self, counted: impl IntoIterator<Item = Counted>) {
        let mut before = self.before.lock();
        for counted in counted {
            before.entry(Arc::clone(&counted.under)).or_default().push(counted);
        }
    }

    /// Counts what no call of this gate has used.
    pub(crate) fn count(&self, account: &Account, counted: &[Counted], now: Timestamp) {
        let mut book = self.book.lock();
        for counted in counted {
            if let Some(meter) = account.meters.iter().find(|meter| meter.name == counted.under) {
                book.restore(meter, counted.since, counted.amount, now);
            }
        }
    }

    /// Reads from `registry` what was changed since the last time. Until that has succeeded once, keys that are not
    /// known are not said to be unknown.
    pub async fn follow(&self, registry: &dyn Registry, now: Timestamp) -> Result<(), QueryError> {
        let mut read = self.directory.read().read().unwrap_or(0);
        loop {
            let changes = registry.changed_after(read).await?;
            let Some(last) = changes.last() else { break };
            read = last.change;
            for stored in changes {
                self.take(stored, now);
            }
        }
        self.directory.write().has_read(read);
        Ok(())
    }

    /// Takes a holder as it is kept.
    pub(crate) fn take(&self, Stored { name, change, document }: Stored, now: Timestamp) {
        let account = match document.map(Account::new) {
            None => return self.directory.write().remove(&name, change),
            Some(Ok(account)) => account,
            Some(Err(error)) => {
                // Closed by default: rules that cannot be understood cannot be said to hold.
                tracing::error!(holder = %name, %error, "the holder is not let in: its rules are not understood");
                return self.directory.write().remove(&name, change);
            }
        };
        for meter in &account.meters {
            for counted in self.before.lock().remove(&*meter.name).into_iter().flatten() {
                self.book.lock().restore(meter, counted.since, counted.amount, now);
            }
        }
        self.directory.write().put(Arc::new(account), change);
    }

    /// Whether keys were read.
    pub fn is_ready(&self) -> bool {
        self.directory.read().read().is_some()
    }

    /// The holder called `name`.
    pub fn get(&self, name: &HolderRef) -> Option<Listed> {
        self.directory.read().get(name).cloned()
    }

    /// The key for which what has this hash is presented.
    pub fn key(&self, hash: KeyHash) -> Option<Listed> {
        self.directory.read().key(hash).cloned()
    }

    /// A page of the holders of `kind` that are wanted, in the order of their names.
    pub fn page(
        &self,
        kind: HolderKind,
        after: Option<&str>,
        limit: usize,
        wanted: impl Fn(&Holder) -> bool,
    ) -> Page {
        self.directory.read().page(kind, after, limit, wanted)
    }

    /// How it stands with a holder's rules.
    pub fn standings(&self, account: &Account, now: Timestamp) -> Vec<(Arc<Meter>, Standing)> {
        let book = self.book.lock();
        account.meters.iter().map(|meter| (Arc::clone(meter), book.standing(meter, now))).collect()
    }

    /// Forgets windows that are over. To be called now and then.
    pub fn forget_past(&self, now: Timestamp) {
        self.book.lock().forget_past(now);
    }

    /// The last change that was read.
    pub fn change(&self) -> Option<Change> {
        self.directory.read().read()
    }

    fn warn(&self, warned: &Warned, now: Timestamp) {
        let (meter, usd) = (&warned.meter, Usd::from_nano);
        tracing::warn!(budget = %meter.words(), spent_usd = %usd(warned.spent), of_usd = %usd(warned.ceiling), "a budget comes to its end");
        let alias = self.get(&meter.holder).and_then(|known| known.account.holder.alias().map(str::to_owned));
        let detail = json!({
            "holder": meter.holder,
            "alias": alias,
            "budget": meter.id(),
            "amount_usd": usd(warned.ceiling),
            "spent_usd": usd(warned.spent),
            "percent": warned.percent,
            "refuses": meter.refuses(),
            "since": warned.window.start,
            "resets": warned.window.end,
        });
        let event = Event { at: now, event: "budget", call_id: None, detail };
        // Its loss is logged by the journal and harms no call.
        let _ = self.journal.append(&Entry::Event(&event));
    }
}

/// `caller`, where the key may be used from `peer`.
fn from_where_it_may(caller: Caller, peer: Option<IpAddr>) -> Result<Caller, NotLetIn> {
    match caller.networks() {
        Some(networks) if !peer.is_some_and(|peer| networks.iter().any(|network| network.holds(peer))) => {
            Err(NotLetIn::Address)
        }
        _ => Ok(caller),
    }
}

impl Peers for Ledger {
    fn life(&self) -> &str {
        &self.life
    }

    fn present(&self) -> Vec<Peer> {
        self.sharing.as_ref().map(Sharing::peers).unwrap_or_default()
    }

    fn leave(&self) {
        if let Some(sharing) = &self.sharing {
            sharing.vanish();
        }
    }

    fn look_again(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            // Where the store is away, what was known stays until it is too old.
            if let Some(sharing) = &self.sharing
                && let Err(error) = sharing.roster().await
            {
                tracing::debug!(%error, "who else serves was not read");
            }
        })
    }
}

impl Access for Ledger {
    fn identify(&self, presented: &str, peer: Option<IpAddr>, now: Timestamp) -> Result<Caller, NotLetIn> {
        let caller = self.directory.read().caller(KeyHash::of(presented), now)?;
        from_where_it_may(caller, peer)
    }

    fn of(&self, subject: &Arc<Subject>, now: Timestamp) -> Result<Caller, NotLetIn> {
        self.directory.read().subject(subject, now)
    }

    fn again(&self, caller: &Caller, peer: Option<IpAddr>, now: Timestamp) -> Result<Caller, NotLetIn> {
        let caller = self.directory.read().again(caller, now)?;
        from_where_it_may(caller, peer)
    }

    fn open(&self, caller: &Caller, about: About<'_>, now: Timestamp) -> Hold {
        self.book.lock().open(caller.meters(about), now)
    }

    fn hold(&self, hold: &mut Hold, need: &Need, now: Timestamp) -> Result<(), Refusal> {
        let mut book = self.book.lock();
        if let Some(sharing) = &self.sharing {
            sharing.lapse(&mut book);
        }
        book.hold(hold, need, now)
    }

    fn fits(&self, hold: &Hold, most: NanoUsd, now: Timestamp) -> Option<NanoUsd> {
        self.book.lock().fits(hold, most, now)
    }

    fn tell_standings(&self, hold: &Hold, now: Timestamp, tell: &mut dyn FnMut(&Meter, Standing)) {
        let book = self.book.lock();
        hold.each().iter().for_each(|held| tell(&held.meter, book.standing_of(held, now)));
    }

    fn ask<'a>(&'a self, refusal: &'a Refusal, times: u32) -> Option<Asking<'a>> {
        const PAUSE: Duration = Duration::from_millis(50);
        // What is not used elsewhere is given back within a second; what is held there is told within a fifth of one.
        const FOR_IDLE: u32 = 30;
        const FOR_HELD: u32 = 10;
        let (sharing, elsewhere) = (self.sharing.as_ref()?, refusal.elsewhere?);
        let idle = elsewhere.room >= refusal.lacks;
        let hope =
            idle || (times < FOR_HELD && elsewhere.room.saturating_add(elsewhere.held) >= refusal.lacks);
        if times > 0 && !hope {
            return None;
        }
        Some(Box::pin(async move {
            let unknown = |why: &str| {
                let message = format!(
                    "it is not known how it stands with the {}: {why}; try again in a moment",
                    refusal.meter.words()
                );
                Fault::new(FaultClass::Unavailable, message)
            };
            if times >= FOR_IDLE {
                return Err(unknown("other instances have not said yet what they have of it"));
            }
            if times > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            sharing.ask().await.map_err(|why| unknown(&why))
        }))
    }

    fn settle(&self, hold: &mut Hold, used: Option<&Need>, now: Timestamp) {
        let warned = self.book.lock().settle(hold, used, now);
        for warned in &warned {
            self.warn(warned, now);
        }
    }
}
