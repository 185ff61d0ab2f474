//! The keys of one issuer as they are known: fetched when a token needs them, again when they are old or a token names one
//! that is not among them, and kept for a while when they cannot be fetched.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::Instant;
use tollgate_core::access::NotLetIn;
use tollgate_core::config::identity::Issuer;
use tollgate_core::identity::Fetch;

use crate::jws::Jws;
use crate::keys::{KeySet, Unsigned};
use crate::metadata;

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
    /// Held by whoever fetches; when that was tried last, and why it failed.
    fetching: tokio::sync::Mutex<Option<(Instant, Option<String>)>>,
}

#[derive(Clone, Debug)]
struct Fetched {
    set: Arc<KeySet>,
    at: Instant,
}

impl Keys {
    /// Whether `token` is signed by `issuer`.
    pub(crate) async fn check(
        &self,
        issuer: &Issuer,
        token: &Jws<'_>,
        fetch: &dyn Fetch,
    ) -> Result<(), NotLetIn> {
        let wrong = || NotLetIn::Token(format!("is not signed by `{}`", issuer.name));
        let known = match self.fresh() {
            Some(known) => known,
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

    fn fresh(&self) -> Option<Fetched> {
        self.known.read().clone().filter(|known| known.at.elapsed() < FRESH)
    }

    fn good(&self) -> Option<Fetched> {
        self.known.read().clone().filter(|known| known.at.elapsed() < GOOD)
    }

    /// Keys that were fetched later than at `before`, where that may be tried; by one at a time.
    async fn fetched(
        &self,
        issuer: &Issuer,
        fetch: &dyn Fetch,
        before: Option<Instant>,
    ) -> Result<Fetched, NotLetIn> {
        let mut last = match (self.fetching.try_lock(), before.is_none().then(|| self.good()).flatten()) {
            (Ok(last), _) => last,
            // The old ones will do while somebody fetches the next ones.
            (Err(_), Some(known)) => return Ok(known),
            (Err(_), None) => self.fetching.lock().await,
        };
        // Somebody else may have done it meanwhile.
        if let Some(known) = self.fresh().filter(|known| before.is_none_or(|before| known.at > before)) {
            return Ok(known);
        }
        let untold = |why: String| NotLetIn::Untold(format!("the keys of `{}`: {why}", issuer.name));
        if let Some((at, why)) = last.as_ref().filter(|(at, _)| at.elapsed() < PAUSE) {
            let wait = PAUSE.saturating_sub(at.elapsed()).as_secs() + 1;
            let why = why.as_deref().unwrap_or("they were fetched a moment ago");
            return self.good().ok_or_else(|| untold(format!("{why}; they are fetched again in {wait} s")));
        }
        let read = read(issuer, fetch).await;
        *last = Some((Instant::now(), read.as_ref().err().cloned()));
        match read {
            Ok(set) => {
                let known = Fetched { set: Arc::new(set), at: Instant::now() };
                *self.known.write() = Some(known.clone());
                Ok(known)
            }
            Err(why) => {
                tracing::warn!(issuer = &*issuer.name, why, "the keys of an issuer could not be fetched");
                self.good().ok_or_else(|| untold(why))
            }
        }
    }
}

/// The keys of `issuer`, from where its metadata says unless the configuration does.
async fn read(issuer: &Issuer, fetch: &dyn Fetch) -> Result<KeySet, String> {
    let private = issuer.private;
    let keys_url = match &issuer.keys_url {
        Some(url) => url.clone(),
        None => {
            let [below, before] = metadata::places(&issuer.issuer)?;
            let text = match fetch.fetch(below, private).await {
                Ok(text) => text,
                Err(why) => fetch.fetch(before, private).await.map_err(|_| format!("its metadata: {why}"))?,
            };
            metadata::keys_url(&issuer.issuer, &text, private)?
        }
    };
    KeySet::read(&fetch.fetch(keys_url, private).await?)
}
