//! All holders, in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use tollgate_core::access::{Account, By, Caller, Holder, HolderKind, HolderRef, Key, KeyHash, NotLetIn};
use tollgate_core::identity::Subject;
use tollgate_core::ports::Change;

/// A holder and the change that made it what it is.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The holder, ready to be asked.
    pub account: Arc<Account>,
    /// The change.
    pub change: Change,
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In the order of their names.
    pub holders: Vec<Listed>,
    /// After which name the next page begins; `None` where this is the last.
    pub next: Option<Arc<str>>,
}

/// All holders, in memory.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    by_hash: HashMap<KeyHash, Arc<Account>>,
    by_name: [BTreeMap<Arc<str>, Listed>; HolderKind::ALL.len()],
    /// The last change that was read; `None` before anything was.
    read: Option<Change>,
}

impl Directory {
    /// The last change that was read; `None` before anything was.
    pub(crate) const fn read(&self) -> Option<Change> {
        self.read
    }

    /// Notes that everything up to `change` was read.
    pub(crate) fn has_read(&mut self, change: Change) {
        self.read = self.read.max(Some(change));
    }

    pub(crate) fn get(&self, name: &HolderRef) -> Option<&Listed> {
        self.of(name.kind).get(&name.id)
    }

    fn of(&self, kind: HolderKind) -> &BTreeMap<Arc<str>, Listed> {
        &self.by_name[kind as usize]
    }

    /// Takes a holder as it is since `change`. What is known since a later one stays.
    pub(crate) fn put(&mut self, account: Arc<Account>, change: Change) {
        let name = account.holder.name();
        if !self.is_news(&name, change) {
            return;
        }
        self.forget(&name);
        for hash in account.holder.as_key().into_iter().flat_map(hashes) {
            self.by_hash.insert(hash, Arc::clone(&account));
        }
        self.by_name[name.kind as usize].insert(name.id, Listed { account, change });
    }

    /// Takes note that a holder was removed by `change`.
    pub(crate) fn remove(&mut self, name: &HolderRef, change: Change) {
        if self.is_news(name, change) {
            self.forget(name);
        }
    }

    fn is_news(&self, name: &HolderRef, change: Change) -> bool {
        self.get(name).is_none_or(|known| known.change < change)
    }

    fn forget(&mut self, name: &HolderRef) {
        let Some(gone) = self.by_name[name.kind as usize].remove(&name.id) else { return };
        for hash in gone.account.holder.as_key().into_iter().flat_map(hashes) {
            self.by_hash.remove(&hash);
        }
    }

    /// The key for which what has this hash is presented.
    pub(crate) fn key(&self, hash: KeyHash) -> Option<&Listed> {
        self.get(&self.by_hash.get(&hash)?.holder.name())
    }

    /// Whoever presented the key with this hash.
    pub(crate) fn caller(&self, hash: KeyHash, now: Timestamp) -> Result<Caller, NotLetIn> {
        let known = self.by_hash.get(&hash).and_then(|account| Some((account, account.holder.as_key()?)));
        let Some((account, key)) = known else {
            return Err(if self.read.is_some() { NotLetIn::Unknown } else { NotLetIn::Unready });
        };
        let replaced = key.rotation.as_ref().filter(|rotation| rotation.hash == hash);
        let ends = [key.spec.expires_at, replaced.map(|rotation| rotation.until)].into_iter().flatten().min();
        if let Some(end) = ends.filter(|end| now >= *end) {
            return Err(NotLetIn::Expired(end));
        }
        let belongs = |kind: HolderKind, id: &Option<Arc<str>>| {
            let Some(id) = id else { return Ok(None) };
            let found = self.of(kind).get(id).map(|listed| Some(Arc::clone(&listed.account)));
            found.ok_or_else(|| NotLetIn::Orphan(HolderRef { kind, id: Arc::clone(id) }))
        };
        let user = belongs(HolderKind::User, &key.spec.user)?;
        let team = belongs(HolderKind::Team, &key.spec.team)?;
        unblocked(Caller::new(key, Arc::clone(account), user, team))
    }

    /// Whoever is `subject`. Of a user nothing need be kept; a team is there, or its budgets would not hold.
    pub(crate) fn subject(&self, subject: &Arc<Subject>, now: Timestamp) -> Result<Caller, NotLetIn> {
        if self.read.is_none() {
            // They may be blocked, for all that is known.
            return Err(NotLetIn::Unready);
        }
        if now >= subject.until {
            return Err(NotLetIn::Token(format!("ended at {}", subject.until)));
        }
        let kept =
            |kind: HolderKind, id: &str| self.of(kind).get(id).map(|listed| Arc::clone(&listed.account));
        let user = subject.user.as_deref().and_then(|id| kept(HolderKind::User, id));
        let team = match &subject.team {
            None => None,
            Some(id) => {
                let gone = HolderRef { kind: HolderKind::Team, id: Arc::clone(id) };
                Some(kept(HolderKind::Team, id).ok_or(NotLetIn::Orphan(gone))?)
            }
        };
        unblocked(Caller::of(Arc::clone(subject), user, team))
    }

    /// `caller` as they are now.
    pub(crate) fn again(&self, caller: &Caller, now: Timestamp) -> Result<Caller, NotLetIn> {
        match caller.by() {
            By::Key { id, .. } => {
                let key = self.of(HolderKind::Key).get(id).and_then(|listed| listed.account.holder.as_key());
                self.caller(key.ok_or(NotLetIn::Unknown)?.hash, now)
            }
            By::Token(subject) => self.subject(subject, now),
        }
    }

    /// The holders of `kind` after the name `after` that are wanted, `limit` at most.
    pub(crate) fn page(
        &self,
        kind: HolderKind,
        after: Option<&str>,
        limit: usize,
        wanted: impl Fn(&Holder) -> bool,
    ) -> Page {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let all = self.of(kind).range::<str, _>((from, Bound::Unbounded)).map(|(_, listed)| listed);
        let mut found = all.filter(|listed| wanted(&listed.account.holder));
        let holders: Vec<Listed> = found.by_ref().take(limit).cloned().collect();
        let more = found.next().is_some();
        let next = holders.last().filter(|_| more).map(|last| last.account.holder.name().id);
        Page { holders, next }
    }
}

fn unblocked(caller: Caller) -> Result<Caller, NotLetIn> {
    let blocked = caller.accounts().find(|account| account.holder.blocked());
    match blocked.map(|account| account.holder.name()) {
        Some(blocked) => Err(NotLetIn::Blocked(blocked)),
        None => Ok(caller),
    }
}

/// What is presented for a key: its own, and the one before while that is taken.
fn hashes(key: &Key) -> impl Iterator<Item = KeyHash> {
    [Some(key.hash), key.rotation.as_ref().map(|rotation| rotation.hash)].into_iter().flatten()
}
