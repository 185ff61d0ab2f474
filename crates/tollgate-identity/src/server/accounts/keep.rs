//! What is kept of an account: the tokens, and where new ones come from. Encrypted and bound to its name, as all that the
//! server keeps.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tollgate_core::identity::Granted;
use tollgate_core::secret::Secret;

use super::register::Ours;
use crate::server::random::hashed;
use crate::server::reply::Error;
use crate::server::store::Store;

/// An account that nobody uses is forgotten after that.
const LASTS: SignedDuration = SignedDuration::from_hours(24 * 400);

/// An account at a tool server.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Kept {
    /// The server's address: at another one it is another server.
    pub(super) url: String,
    /// Who has given it out.
    pub(super) issuer: String,
    /// Where tokens come from.
    pub(super) token: Endpoint,
    /// Where they are taken back.
    pub(super) revocation: Option<Endpoint>,
    /// Who the gate is there.
    pub(super) ours: Ours,
    /// What tokens are for.
    pub(super) resource: String,
    /// What they allow, where that is known.
    pub(super) scope: Option<String>,
    pub(super) access: Hidden,
    /// From when on another one is got.
    pub(super) renewed_at: Timestamp,
    pub(super) refresh: Option<Hidden>,
    /// Since when it is connected.
    pub(super) since: Timestamp,
    /// Since when somebody is getting new tokens.
    pub(super) renewing: Option<Timestamp>,
}

/// An address of an authorization server that the gate asks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Endpoint {
    pub(super) uri: String,
    /// Whether it may be at one that is not public: the configuration has named its host.
    pub(super) private: bool,
}

/// A secret inside of what is encrypted as a whole.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Hidden(String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

impl Hidden {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    pub(super) fn secret(&self) -> Secret {
        Secret::new(&*self.0)
    }
}

impl Kept {
    pub(super) fn granted(&self) -> Granted {
        Granted { token: self.access.secret(), account: self.since.to_string().into() }
    }

    /// Until when it is kept.
    pub(super) fn ends(&self, now: Timestamp) -> Timestamp {
        now + LASTS
    }

    /// Until when its token is used. One that nothing takes the place of is used until the server refuses it: many last longer
    /// than anybody says.
    pub(super) fn good_until(&self) -> Timestamp {
        if self.refresh.is_some() { self.renewed_at } else { Timestamp::MAX }
    }
}

/// Where the account of `subject` at `server` is kept; without a subject the one for all.
pub(super) fn name(server: &str, subject: Option<&str>) -> String {
    match subject {
        Some(subject) => format!("account/{server}/of/{subject}"),
        None => format!("account/{server}/gate"),
    }
}

/// The account `name`, where it is one at `url`.
pub(super) async fn find(store: &Store<'_>, name: &str, url: &str) -> Result<Option<Kept>, Error> {
    Ok(store.read::<Kept>(name).await?.filter(|kept| kept.url == url))
}

/// Where it is kept who the gate is at `issuer`, where browsers come back to `back`.
pub(super) fn client_name(issuer: &str, back: &str) -> String {
    format!("account-client/{}", hashed(&format!("{issuer} {back}")))
}
