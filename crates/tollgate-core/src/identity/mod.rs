//! Who people are: what a token says once it is known to be good, who finds that out, and what the gate's own authorization
//! server keeps.

mod acting;
mod login;
mod signing_key;

use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, Request, Response, Uri};
use jiff::Timestamp;

use crate::access::{NotLetIn, Role};
use crate::config::identity::Identity;
use crate::principal::Principal;
use crate::secret::Secret;

pub use acting::{Accounts, Acting, Granted, Granting, NoAccount, NoAccounts};
pub use login::{External, Invitation, Login, LoginKind, LoginSpec};
pub use signing_key::{SigningKey, SigningKeyKind};

/// Whoever presented a token that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The same in records: the subject, and who acts for it.
    pub principal: Principal,
    /// What they may do besides calling.
    pub role: Role,
    /// The user that they are, where they are a person.
    pub user: Option<Arc<str>>,
    /// Their login at the gate's own server, where that has said who they are; its name is never given to somebody else.
    pub login: Option<Arc<str>>,
    /// The team that they are in.
    pub team: Option<Arc<str>>,
    /// The rules by which it was read.
    pub identity: Arc<Identity>,
    /// What the token is good for, where it says (RFC 6749 §3.3).
    pub scopes: Vec<Arc<str>>,
    /// Until when that is so.
    pub until: Timestamp,
}

/// Whoever has signed in to a web application behind the gate.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Who they are.
    pub subject: Arc<Subject>,
    /// The groups that they are in.
    pub groups: Vec<String>,
    /// What their session is called in records.
    pub session: String,
    /// What tells the application who they are.
    pub headers: HeaderMap,
}

/// Tokens that issuers have given out, as credentials.
pub trait Tokens: Send + Sync {
    /// Whether `presented` may be a token, as far as a glance tells: no key that the gate gives out looks so.
    fn may_be(&self, presented: &str) -> bool;

    /// Whoever presented the token `presented` for what is at a path of the gate, by the rules of `identity`.
    fn subject<'a>(
        &'a self,
        identity: &'a Arc<Identity>,
        presented: Presented<'a>,
        now: Timestamp,
    ) -> Telling<'a>;
}

/// A token, and for what it was presented.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The token.
    pub token: &'a str,
    /// The path of what is asked for.
    pub path: &'a str,
}

/// Finding out who presented a token.
pub type Telling<'a> = Pin<Box<dyn Future<Output = Result<Arc<Subject>, NotLetIn>> + Send + 'a>>;

/// A gate that takes no tokens.
#[derive(Clone, Copy, Debug)]
pub struct NoTokens;

impl Tokens for NoTokens {
    fn may_be(&self, _: &str) -> bool {
        false
    }

    fn subject<'a>(&'a self, _: &'a Arc<Identity>, _: Presented<'a>, _: Timestamp) -> Telling<'a> {
        Box::pin(std::future::ready(Err(NotLetIn::Unknown)))
    }
}

/// Fetches documents that the gate needs for itself, through the one client that guards what it fetches: from the host of
/// the address and no other, without following redirects, within limits of size and time.
pub trait Fetch: Send + Sync {
    /// The document at `uri`; `private` allows an address that is not public.
    fn fetch(&self, uri: Uri, private: bool) -> Fetching<'_>;

    /// What is answered to `form` (`application/x-www-form-urlencoded`) at `uri`, sent with the header `authorization` where
    /// there is one.
    fn post(&self, uri: Uri, form: String, authorization: Option<Secret>, private: bool) -> Fetching<'_>;

    /// What is answered to `request`, whatever its status is.
    fn ask(&self, request: Request<Vec<u8>>, private: bool) -> Asking<'_>;

    /// The document at `uri`, which somebody has named whom nobody knows: from a public address, whatever else is allowed.
    fn fetch_for_stranger(&self, uri: Uri) -> Fetching<'_>;
}

/// An answer on its way.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, String>> + Send + 'a>>;

/// A document on its way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;
