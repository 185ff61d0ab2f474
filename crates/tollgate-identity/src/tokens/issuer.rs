//! The keys of one issuer as they are known: fetched when a token needs them, again when they are old or a token names one
//! that is not among them, and kept for a while when they cannot be fetched.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;
use tollgate_core::access::NotLetIn;
use tollgate_core::config::identity::Issuer;
use tollgate_core::identity::Fetch;

use crate::tokens::jws::Jws;
use crate::tokens::keys::{KeySet, Unsigned};
use crate::tokens::metadata;

/// Keys that are older are fetched again.
const FRESH: Duration = Duration::from_mins(15);

/// Keys that could not be fetched again are good for so long: an issuer that is away stops nobody at once, and a key that
/// it has withdrawn is not good for ever.
const GOOD: Duration = Duration::from_hours(6);

/// Nothing is fetched more often, whatever tokens say: a stranger could name keys that there are not.
const PAUSE: Duration = Duration::from_secs(10);

/// The keys of an issuer, as they are known.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    known: RwLock<Option<Fetched>>,
    /// When they were fetched last, and why that failed.
    tried: Mutex<Option<(Instant, Option<String>)>>,
    /// Held by whoever fetches.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Fetched {
    set: Arc<KeySet>,
    at: Instant,
}

impl Keys {
    /// Whether `token` is signed by `issuer`.
    pub(crate) async fn check(
        self: &Arc<Self>,
        issuer: &Issuer,
        token: &Jws<'_>,
        fetch: &Arc<dyn Fetch>,
    ) -> Result<(), NotLetIn> {
        let wrong = || NotLetIn::Token(format!("is not signed by `{}`", issuer.name));
        let known = match self.younger_than(GOOD) {
            Some(known) => {
                if known.at.elapsed() >= FRESH && self.waits().is_none() {
                    // The old ones will do while the next ones are fetched.
                    self.begin(issuer, fetch, Some(known.at));
                }
                known
            }
            None => self.fetched(issuer, fetch, None).await?,
        };
        match known.set.check(token) {
            Ok(()) => return Ok(()),
            Err(Unsigned::Wrong) => return Err(wrong()),
            Err(Unsigned::NoKey) => {}
        }
        // The issuer may have another key since.
        match self.fetched(issuer, fetch, Some(known.at)).await?.set.check(token) {
            Ok(()) => Ok(()),
            Err(Unsigned::Wrong) => Err(wrong()),
            Err(Unsigned::NoKey) => {
                Err(NotLetIn::Token(format!("names a key that `{}` does not have", issuer.name)))
            }
        }
    }

    fn younger_than(&self, age: Duration) -> Option<Fetched> {
        self.known.read().clone().filter(|known| known.at.elapsed() < age)
    }

    fn newer_than(&self, before: Option<Instant>) -> Option<Fetched> {
        self.younger_than(FRESH).filter(|known| before.is_none_or(|before| known.at > before))
    }

    /// For how long nothing may be fetched, and why the last time failed, where it did.
    fn waits(&self) -> Option<(Duration, Option<String>)> {
        let tried = self.tried.lock();
        let (at, why) = tried.as_ref().filter(|(at, _)| at.elapsed() < PAUSE)?;
        Some((PAUSE.saturating_sub(at.elapsed()), why.clone()))
    }

    /// Keys that were fetched later than at `before`.
    async fn fetched(
        self: &Arc<Self>,
        issuer: &Issuer,
        fetch: &Arc<dyn Fetch>,
        before: Option<Instant>,
    ) -> Result<Fetched, NotLetIn> {
        let fetched = self.begin(issuer, fetch, before).await;
        let fetched = fetched.unwrap_or_else(|_| Err("they could not be read".to_owned()));
        fetched.map_err(|why| NotLetIn::Untold(format!("the keys of `{}`: {why}", issuer.name)))
    }

    /// Fetches keys, unless somebody else does or has just done so. By a task of its own: whoever hangs up meanwhile does not
    /// call it off, and so cannot make the gate begin again and again.
    fn begin(
        self: &Arc<Self>,
        issuer: &Issuer,
        fetch: &Arc<dyn Fetch>,
        before: Option<Instant>,
    ) -> tokio::task::JoinHandle<Result<Fetched, String>> {
        let (keys, issuer, fetch) = (Arc::clone(self), issuer.clone(), Arc::clone(fetch));
        tokio::spawn(async move { keys.fetch(&issuer, &*fetch, before).await })
    }

    async fn fetch(
        &self,
        issuer: &Issuer,
        fetch: &dyn Fetch,
        before: Option<Instant>,
    ) -> Result<Fetched, String> {
        let _fetching = self.fetching.lock().await;
        // Somebody else may have done it meanwhile.
        if let Some(known) = self.newer_than(before) {
            return Ok(known);
        }
        if let Some((wait, why)) = self.waits() {
            let why = why.as_deref().unwrap_or("they were fetched a moment ago");
            return Err(format!("{why}; they are fetched again in {} s", wait.as_secs() + 1));
        }
        let read = read(issuer, fetch).await;
        *self.tried.lock() = Some((Instant::now(), read.as_ref().err().cloned()));
        let set = read.inspect_err(|why| {
            tracing::warn!(issuer = &*issuer.name, why, "the keys of an issuer could not be fetched");
        })?;
        let known = Fetched { set: Arc::new(set), at: Instant::now() };
        *self.known.write() = Some(known.clone());
        Ok(known)
    }
}

/// The keys of `issuer`, from where its metadata says unless the configuration does.
async fn read(issuer: &Issuer, fetch: &dyn Fetch) -> Result<KeySet, String> {
    let private = issuer.private;
    let keys_url = match &issuer.keys_url {
        Some(url) => url.clone(),
        None => {
            let text = metadata::fetched(issuer, fetch).await?;
            metadata::keys_url(&issuer.issuer, &text, private)?
        }
    };
    KeySet::read(&fetch.fetch(keys_url, private).await?)
}
