//! Tokens of issuers as credentials.

pub(crate) mod claims;
mod issuer;
pub(crate) mod jws;
pub(crate) mod keys;
pub(crate) mod metadata;
mod own;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Uri;
use jiff::Timestamp;
use moka::sync::Cache;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tollgate_core::access::NotLetIn;
use tollgate_core::config::identity::{Identity, Issuer};
use tollgate_core::identity::{Fetch, Presented, Subject, Telling, Tokens};

use self::claims::{Claims, is_for};
use self::issuer::Keys;
use self::jws::Jws;
use self::keys::KeySet;
use self::own::{OfOwn, Own};
use crate::server::Logins;

/// Tokens that are known to be good. Of more than that, those that are used least are checked again.
const MOST_KNOWN: u64 = 100_000;

/// For so long a token is not checked again: a key that its issuer withdraws is out of use soon after.
const KNOWN: Duration = Duration::from_mins(5);

/// Whose keys, and where they are found: keys that were found elsewhere are others.
type Place = (Arc<str>, Option<Uri>, bool);

fn place(issuer: &Issuer) -> Place {
    (Arc::clone(&issuer.issuer), issuer.keys_url.clone(), issuer.private)
}

/// What is known of a token: when it was checked, and whose it is by which rules.
#[derive(Clone, Debug)]
struct Known {
    /// The number of its issuer in these rules.
    issuer: usize,
    audience: Vec<String>,
    checked: Instant,
    /// Where it is a person's whom this gate itself has signed in: who that is, and when they did.
    own: Option<Arc<OfOwn>>,
    subject: Arc<Subject>,
}

impl Known {
    /// Whose it is, where it is one for what is at `path`.
    fn at(self, path: &str) -> Result<Arc<Subject>, NotLetIn> {
        let identity = &self.subject.identity;
        is_for(&self.audience, &identity.issuers[self.issuer], identity, path).map_err(NotLetIn::Token)?;
        Ok(self.subject)
    }
}

/// Tokens of issuers as credentials.
pub struct IssuedTokens {
    fetch: OnceLock<Weak<dyn Fetch>>,
    /// The gate's own authorization server: its keys, and who signs in there.
    own: Own,
    keys: Mutex<HashMap<Place, Arc<Keys>>>,
    /// By the hash of the token: none is kept.
    known: Cache<[u8; 32], Known>,
}

impl std::fmt::Debug for IssuedTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IssuedTokens")
    }
}

impl Default for IssuedTokens {
    fn default() -> Self {
        let known = Cache::builder().max_capacity(MOST_KNOWN).time_to_live(KNOWN).build();
        Self { fetch: OnceLock::new(), own: Own::default(), keys: Mutex::default(), known }
    }
}

impl IssuedTokens {
    /// Keys are fetched through `fetch` from now on.
    pub fn begin(&self, fetch: Weak<dyn Fetch>) {
        // The first word counts: there is one gate.
        let _ = self.fetch.set(fetch);
    }

    /// The gate's own authorization server gives out tokens too: where it puts its keys.
    pub(crate) fn begin_own(&self, logins: Arc<Logins>) -> Arc<ArcSwap<KeySet>> {
        // The first word counts: there is one server.
        let _ = self.own.logins.set(logins);
        Arc::clone(&self.own.keys)
    }

    async fn find_out(
        &self,
        identity: &Arc<Identity>,
        Presented { token, path }: Presented<'_>,
        now: Timestamp,
    ) -> Result<Arc<Subject>, NotLetIn> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(known) = self.known.get(&hash)
            && Arc::ptr_eq(&known.subject.identity, identity)
            && known.checked.elapsed() < KNOWN
            && now < known.subject.until
        {
            let own = known.own.clone();
            let subject = known.at(path)?;
            return self.own.now(own.as_deref(), subject);
        }
        let token = Jws::read(token).map_err(NotLetIn::Token)?;
        let claims: Claims = token.unchecked().map_err(NotLetIn::Token)?;
        let number = identity.issuers.iter().position(|issuer| claims.issuer() == Some(&*issuer.issuer));
        let number = number
            .ok_or_else(|| NotLetIn::Token("is of an issuer that is not configured (`iss`)".to_owned()))?;
        let (issuer, audience) = (&identity.issuers[number], claims.audience());
        // What is not meant for this gate is no reason to fetch anything.
        is_for(&audience, issuer, identity, path).map_err(NotLetIn::Token)?;
        let until = claims.good_until(issuer, now).map_err(NotLetIn::Token)?;
        self.check(issuer, identity, &token).await?;
        let subject = claims.subject(issuer, identity, until).map_err(NotLetIn::Token)?;
        let own = issuer.own.then(|| OfOwn::read(&claims)).flatten().map(Arc::new);
        let subject = Arc::new(subject);
        let checked = Instant::now();
        let known =
            Known { issuer: number, audience, checked, own: own.clone(), subject: Arc::clone(&subject) };
        self.known.insert(hash, known);
        self.own.look(own.as_deref()).await;
        self.own.now(own.as_deref(), subject)
    }

    async fn check(&self, issuer: &Issuer, identity: &Identity, token: &Jws<'_>) -> Result<(), NotLetIn> {
        if issuer.own {
            let wrong =
                || NotLetIn::Token("is not signed by this gate, or with a key that is out of use".to_owned());
            if !token.is_access_token() {
                return Err(NotLetIn::Token("is no access token but something else (`typ`)".to_owned()));
            }
            return self.own.keys.load().check(token).map_err(|_| wrong());
        }
        let fetch = self.fetch.get().and_then(Weak::upgrade);
        let fetch = fetch.ok_or_else(|| NotLetIn::Untold("the gate is not ready".to_owned()))?;
        self.keys_of(issuer, identity).check(issuer, token, &fetch).await
    }

    /// What an ID token says that `issuer` has given to `client` for a sign-in with `nonce` (OpenID Connect Core §3.1.3.7).
    pub(crate) async fn id_token(
        &self,
        (issuer, identity): (&Issuer, &Identity),
        token: &str,
        (client, nonce): (&str, &str),
        now: Timestamp,
    ) -> Result<Claims, NotLetIn> {
        let jws = Jws::read(token).map_err(NotLetIn::Token)?;
        let claims: Claims = jws.unchecked().map_err(NotLetIn::Token)?;
        let wrong = |why: &str| NotLetIn::Token(why.to_owned());
        if claims.issuer() != Some(&*issuer.issuer) {
            return Err(wrong("is of another issuer (`iss`)"));
        }
        let audience = claims.audience();
        let azp = claims.text("azp");
        let named = azp.map_or(audience.len() == 1, |azp| azp == client);
        if !audience.iter().any(|one| one == client) || !named || jws.is_access_token() {
            return Err(wrong("is for somebody else (`aud`, `azp`)"));
        }
        if claims.text("nonce") != Some(nonce) {
            return Err(wrong("is not the answer to this sign-in (`nonce`)"));
        }
        claims.good_until(issuer, now).map_err(NotLetIn::Token)?;
        self.check(issuer, identity, &jws).await?;
        Ok(claims)
    }

    fn keys_of(&self, issuer: &Issuer, identity: &Identity) -> Arc<Keys> {
        let (mut keys, own) = (self.keys.lock(), place(issuer));
        if !keys.contains_key(&own) {
            // Of those that are not configured any more none is good when they are again.
            keys.retain(|known, _| identity.issuers.iter().any(|issuer| place(issuer) == *known));
        }
        Arc::clone(keys.entry(own).or_default())
    }
}

impl Tokens for IssuedTokens {
    fn may_be(&self, presented: &str) -> bool {
        jws::may_be(presented)
    }

    fn subject<'a>(
        &'a self,
        identity: &'a Arc<Identity>,
        presented: Presented<'a>,
        now: Timestamp,
    ) -> Telling<'a> {
        Box::pin(self.find_out(identity, presented, now))
    }
}
