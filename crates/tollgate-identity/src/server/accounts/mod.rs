//! Accounts at tool servers: the gate is an OAuth client there (MCP 2025-11-25, authorization), for each person who connects
//! their own account, or for all with one that an admin has connected. What it is given is kept encrypted, and shown to
//! nobody.

mod connect;
mod discover;
mod exchange;
mod keep;
mod register;
mod token;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use moka::sync::Cache;
use parking_lot::Mutex;
use tollgate_core::config::identity::Server;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::tools::{AccountOf, Auth, Reached, ToolServer};
use tollgate_core::identity::{Acting, Granted, NoAccount};
use tollgate_core::secret::Secret;

use self::discover::Found;
pub(crate) use self::register::{CALLBACK, document};
use super::IdentityServer;
use super::discovery::endpoint;
use super::logins::Listed;
use super::reply::Error;

/// For so long what a server says of its authorization server is not asked again.
const KNOWN: Duration = Duration::from_mins(10);

/// For so long another instance's word that an account is over is not heard.
const FRESH: Duration = Duration::from_secs(5);

/// What is known of accounts.
pub(crate) struct Accounts {
    found: Cache<String, Arc<Found>>,
    /// Tokens that were looked up a moment ago, by where they are kept, and until when they are good.
    recent: Cache<String, (Granted, Timestamp)>,
    /// Tokens that were exchanged, by server and for whom.
    exchanged: Cache<String, (Secret, Timestamp)>,
    /// One at a time gets a token for the same account.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            found: Cache::builder().max_capacity(200).time_to_live(KNOWN).build(),
            recent: Cache::builder().max_capacity(10_000).time_to_live(FRESH).build(),
            exchanged: Cache::builder().max_capacity(10_000).time_to_live(Duration::from_hours(1)).build(),
            turns: Mutex::default(),
        }
    }
}

impl Accounts {
    /// The turn of whoever wants a token of `name`.
    fn turn(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock();
        // Those that nobody waits for are not needed.
        if turns.len() > 1_000 {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(turns.entry(name.to_owned()).or_default())
    }
}

/// What others do not do, for whoever wants to connect an account.
fn not_there(why: String) -> Error {
    Error { status: StatusCode::BAD_GATEWAY, code: "temporarily_unavailable", why }
}

fn missing(server: &Server, why: impl Into<String>) -> NoAccount {
    NoAccount::Missing { why: why.into(), at: Some(endpoint(server, "connections")) }
}

impl IdentityServer {
    /// A token for `server`, to be asked in the name of `acting`; another one than `refused`, where that was refused.
    pub async fn account_token(
        self: &Arc<Self>,
        snapshot: &Snapshot,
        server: &ToolServer,
        acting: Option<&Acting>,
        refused: Option<&Secret>,
    ) -> Result<Granted, NoAccount> {
        let Some(own) = &snapshot.identity_server else {
            let why = "it wants somebody's account, and nobody signs in at this gate".to_owned();
            return Err(NoAccount::Missing { why, at: None });
        };
        let Reached::Url(url) = &server.reached else {
            return Err(NoAccount::Away("it is no server that takes tokens".to_owned()));
        };
        match &url.auth {
            Auth::Account(account) => {
                let subject = match account.of {
                    AccountOf::Gate => None,
                    AccountOf::User => Some(self.person_behind(acting).await?.login.subject),
                };
                let name = keep::name(&server.name, subject.as_deref());
                self.kept_token(snapshot, own, (server, &name), refused).await
            }
            Auth::Exchange(exchange) => {
                let person = self.person_behind(acting).await?;
                let account = Arc::clone(&person.login.subject);
                let token =
                    self.exchanged_token(own, (server, exchange), (&person.login, acting), refused).await?;
                Ok(Granted { token, account })
            }
            Auth::None | Auth::Bearer(_) | Auth::ClientCredentials(_) => {
                Err(NoAccount::Away("it wants no account".to_owned()))
            }
        }
    }

    /// The login of the person `acting`.
    async fn person_behind(&self, acting: Option<&Acting>) -> Result<Listed, NoAccount> {
        let without = |why: String| NoAccount::Missing { why, at: None };
        let Some(acting) = acting else {
            let why = "it is asked in somebody's name, and this credential is nobody's: sign in at the gate's own server, or have an \
                       admin let a key of yours act for you (`tollgate key update --acts`)";
            return Err(without(why.to_owned()));
        };
        if !self.logins.is_read() {
            return Err(NoAccount::Away("logins could not be read yet".to_owned()));
        }
        // By an email address, or written otherwise, it may be somebody else who is called so elsewhere.
        let found = match &acting.login {
            Some(subject) => self.logins.of_subject(subject),
            None => self.logins.find(&acting.user).filter(|listed| listed.login.user == acting.user),
        };
        found.ok_or_else(|| {
            without(format!(
                "it is asked in somebody's name, and `{}` has no login at this gate",
                acting.user
            ))
        })
    }
}
