//! The keys that the authorization server signs with: one is current, the next one is published before it is used, and
//! one that was used is published until nothing is good any more that it has signed.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::identity::SigningAlgorithm;
use crate::document::{Document, DocumentRef, Kind};

/// The kind of signing keys: there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningKeyKind {
    /// A signing key.
    SigningKey,
}

impl Kind for SigningKeyKind {
    const KINDS: &'static [Self] = &[Self::SigningKey];

    fn word(self) -> &'static str {
        "signing_key"
    }
}

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct SigningKey {
    /// Its name: the algorithm and a number. Of two instances that make the next one at once, one does.
    pub id: Arc<str>,
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// What tokens call it (`kid`).
    pub kid: String,
    /// The public key (RFC 7517).
    pub public: Value,
    /// The private key (PKCS #8), encrypted.
    pub sealed: String,
    /// When it was made, and published.
    pub created_at: Timestamp,
    /// When it signs from.
    pub current_from: Timestamp,
}

impl Document for SigningKey {
    type Kind = SigningKeyKind;
    const SORT: &'static str = "signing_key";

    fn document(&self) -> DocumentRef<SigningKeyKind> {
        DocumentRef { kind: SigningKeyKind::SigningKey, id: Arc::clone(&self.id) }
    }

    fn unique(&self) -> Option<String> {
        Some(self.kid.clone())
    }

    fn visible(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(members) = value.as_object_mut() {
            members.remove("sealed");
        }
        value
    }
}
