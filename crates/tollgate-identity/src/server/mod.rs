//! The gate's own authorization server: OAuth 2.1 and OpenID Connect (Core 1.0, Discovery 1.0), for people who have a login
//! here and for programs.
//!
//! Whatever strangers send leaves nothing behind: what is asked for goes through the browser, encrypted, and clients that
//! register are written into their ids. What is kept, is kept where all instances find it.

mod account;
mod accounts;
mod authorize;
mod browser;
mod claims;
mod clients;
mod consent;
mod device;
mod discovery;
mod documents;
mod elsewhere;
mod enrol;
mod exchange;
mod failures;
mod form;
mod grants;
mod hashing;
mod introspect;
mod invitation;
mod keeping;
mod logins;
mod logout;
mod mint;
mod next;
mod own;
mod pages;
mod passwords;
mod random;
mod rate;
mod register;
mod rehearse;
mod reply;
mod request;
mod revoke;
mod routes;
mod session_as_credential;
mod sessions;
mod sign_in;
mod signers;
mod signing;
mod store;
mod throttle;
mod token;
mod totp;
mod userinfo;
mod visits;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use http::request::Parts as Head;
use jiff::Timestamp;
use serde_json::Value;
use tollgate_core::access::Holder;
use tollgate_core::changes::Changes;
use tollgate_core::config::SecretsKeys;
use tollgate_core::config::identity::{Identity, Server};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::tools::ToolServer;
use tollgate_core::identity::{Fetch, Login, SigningKey};
use tollgate_core::ports::{Access, Clock, Journal, Registry, Shelf};
use tollgate_core::record::{Entry, Event};

use self::accounts::Accounts;
use self::documents::Documents;
use self::elsewhere::Elsewhere;
use self::failures::Failures;
use self::form::Form;
use self::hashing::Hashing;
pub use self::logins::{Invited, LoginError, Logins};
use self::passwords::Passwords;
use self::rate::Rate;
pub use self::rehearse::{Expects, Finding, NoRehearsal, Rehearsal, rehearse};
pub use self::signers::{NotWithdrawn, Signers};
use self::signing::SigningKeys;
use self::store::Store;
use self::throttle::Throttle;
use self::visits::Visits;
pub use self::visits::page_of;
use crate::tokens::IssuedTokens;

/// What the server is made of.
pub struct Parts {
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Where events go.
    pub journal: Arc<dyn Journal>,
    /// Who is blocked.
    pub access: Arc<dyn Access>,
    /// Who signs in here.
    pub logins: Arc<Logins>,
    /// Keys, users and teams: whoever comes from elsewhere becomes a user.
    pub users: Arc<dyn Registry<Holder>>,
    /// What is signed with.
    pub signing_keys: Arc<dyn Registry<SigningKey>>,
    /// What lasts for a while.
    pub shelf: Arc<dyn Shelf>,
}

/// The authorization server.
pub struct IdentityServer {
    clock: Arc<dyn Clock>,
    journal: Arc<dyn Journal>,
    access: Arc<dyn Access>,
    logins: Arc<Logins>,
    signing: SigningKeys,
    shelf: Arc<dyn Shelf>,
    passwords: OnceLock<Passwords>,
    throttle: Throttle,
    hashing: Hashing,
    failures: Failures,
    rate: Rate,
    documents: Documents,
    elsewhere: Elsewhere,
    visits: Visits,
    accounts: Accounts,
    users: Changes<Holder>,
    /// Tokens of issuers elsewhere are checked as those are that are credentials.
    tokens: Arc<IssuedTokens>,
    fetch: OnceLock<Weak<dyn Fetch>>,
}

impl std::fmt::Debug for IdentityServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityServer")
    }
}

/// A request, and what it is answered by.
pub(crate) struct Call<'a> {
    server: &'a Server,
    secrets: &'a SecretsKeys,
    identity: &'a Identity,
    tool_servers: &'a BTreeMap<Arc<str>, Arc<ToolServer>>,
    head: &'a Head,
    /// Of the query, or of a body that is a form.
    form: Form,
    body: &'a Bytes,
    peer: Option<IpAddr>,
    now: Timestamp,
}

impl IdentityServer {
    /// A server that `tokens` take the tokens of.
    pub fn new(parts: Parts, tokens: Arc<IssuedTokens>) -> Self {
        let Parts { clock, journal, access, logins, users, signing_keys, shelf } = parts;
        let changes = Changes::new(Arc::clone(&signing_keys), Arc::clone(&journal), Arc::clone(&clock));
        Self {
            signing: SigningKeys::new(signing_keys, changes, tokens.begin_own(Arc::clone(&logins))),
            access,
            logins,
            shelf,
            passwords: OnceLock::new(),
            throttle: Throttle::default(),
            hashing: Hashing::default(),
            failures: Failures::default(),
            rate: Rate::default(),
            documents: Documents::default(),
            elsewhere: Elsewhere::default(),
            visits: Visits::default(),
            accounts: Accounts::default(),
            users: Changes::new(users, Arc::clone(&journal), Arc::clone(&clock)),
            fetch: OnceLock::new(),
            tokens,
            clock,
            journal,
        }
    }

    /// Documents of clients are fetched through `fetch` from now on.
    pub fn begin(&self, fetch: Weak<dyn Fetch>) {
        // The first word counts: there is one gate.
        let _ = self.fetch.set(fetch);
    }

    /// What fetches documents.
    fn fetch(&self) -> Result<Arc<dyn Fetch>, reply::Error> {
        self.fetcher().ok_or_else(|| reply::Error::away("the gate is not ready"))
    }

    /// The same, where the gate is there.
    fn fetcher(&self) -> Option<Arc<dyn Fetch>> {
        self.fetch.get().and_then(Weak::upgrade)
    }

    /// The request with `head`, and what it is answered by.
    fn call<'a>(
        &self,
        (snapshot, server): (&'a Snapshot, &'a Server),
        (head, form, body): (&'a Head, Form, &'a Bytes),
        peer: Option<IpAddr>,
    ) -> Call<'a> {
        Call {
            server,
            secrets: &snapshot.secrets,
            identity: &snapshot.identity,
            tool_servers: &snapshot.tool_servers,
            head,
            form,
            body,
            peer,
            now: self.clock.now(),
        }
    }

    /// What lasts for a while.
    fn store<'a>(&'a self, call: &'a Call<'_>) -> Store<'a> {
        Store::new(&*self.shelf, call.secrets)
    }

    /// What hashes passwords: started when somebody has one.
    fn passwords(&self) -> &Passwords {
        self.passwords.get_or_init(Passwords::start)
    }

    /// Writes an event. Its loss is logged by the journal.
    fn note(&self, event: &str, detail: Value) {
        let entry = Event { at: self.clock.now(), event, call_id: None, detail };
        let _ = self.journal.append(&Entry::Event(&entry));
    }

    /// Writes an event without which nothing may be done.
    fn record(&self, event: &str, detail: Value) -> Result<(), reply::Error> {
        let entry = Event { at: self.clock.now(), event, call_id: None, detail };
        self.journal.append(&Entry::Event(&entry)).map(drop).map_err(reply::Error::away)
    }

    /// Whether whoever has `login` may sign in: why not, where they are blocked.
    fn lets_in(&self, login: &Login, now: Timestamp) -> Result<(), reply::Error> {
        self.access
            .of(&Arc::new(own::subject(login)), now)
            .map(drop)
            .map_err(|why| reply::Error::new("access_denied", why.fault().message.to_string()))
    }
}
