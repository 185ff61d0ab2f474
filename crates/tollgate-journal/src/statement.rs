//! Signed statements about the chain: where its head was, what a segment holds, which segments were removed.
//!
//! What is signed is the line `tollgate journal statement 1` and then the statement's JSON text exactly as it stands, so
//! that any tool that knows Ed25519 can check it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollgate_core::ports::Position;

use crate::hash::Hash;
use crate::keys::{Keys, PublicKey};

const CONTEXT: &[u8] = b"tollgate journal statement 1\n";

/// Where a chain's head was.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Head {
    /// Whose chain.
    pub instance: String,
    /// The last entry.
    pub seq: Position,
    /// Its hash.
    pub hash: Hash,
    /// When.
    pub at: Timestamp,
}

/// What a sealed segment holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Segment {
    /// Whose chain.
    pub instance: String,
    /// Its first entry.
    pub first: Position,
    /// The hash of the entry before that.
    pub prev: Hash,
    /// Its last entry.
    pub last: Position,
    /// The hash of that.
    pub hash: Hash,
    /// Its size before it was compressed.
    pub bytes: u64,
    /// When it was sealed.
    pub at: Timestamp,
}

/// A segment that was removed because its time was over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Removed {
    /// Whose chain.
    pub instance: String,
    /// Its first entry.
    pub first: Position,
    /// Its last entry.
    pub last: Position,
    /// When.
    pub at: Timestamp,
}

/// A head that was signed and whose entry was not found at a start: entries are lost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Lost {
    /// The head that was signed.
    pub head: Head,
    /// The last entry that was found.
    pub found: Position,
    /// When.
    pub at: Timestamp,
}

/// A statement about the chain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Statement {
    /// Where its head was.
    Head(Head),
    /// What a sealed segment holds.
    Segment(Segment),
    /// A segment was removed.
    Removed(Removed),
    /// Entries were lost.
    Lost(Lost),
}

impl Statement {
    /// Whose chain.
    pub fn instance(&self) -> &str {
        match self {
            Self::Head(head) => &head.instance,
            Self::Segment(segment) => &segment.instance,
            Self::Removed(removed) => &removed.instance,
            Self::Lost(lost) => &lost.head.instance,
        }
    }
}

/// A statement with its signature.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Signed {
    /// The statement, as its JSON text.
    statement: Box<RawValue>,
    /// The name of the key that signed it.
    pub key: String,
    /// The signature, in base64.
    signature: String,
}

impl Signed {
    /// Signs `statement`.
    pub(crate) fn new(statement: &Statement, keys: &Keys) -> serde_json::Result<Self> {
        let statement = serde_json::value::to_raw_value(statement)?;
        let signature = STANDARD.encode(keys.sign(&message(&statement)));
        Ok(Self { statement, key: keys.public.id(), signature })
    }

    /// What it states.
    pub fn statement(&self) -> serde_json::Result<Statement> {
        serde_json::from_str(self.statement.get())
    }

    /// Whether `key` has signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        STANDARD
            .decode(&self.signature)
            .is_ok_and(|signature| key.signed(&message(&self.statement), &signature))
    }
}

fn message(statement: &RawValue) -> Vec<u8> {
    [CONTEXT, statement.get().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_was_changed_is_not_signed() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::load(folder.path(), None, None).unwrap();
        let head = Head { instance: "i".into(), seq: 7, hash: Hash::of(b"x"), at: Timestamp::UNIX_EPOCH };
        let signed = Signed::new(&Statement::Head(head.clone()), &keys).unwrap();
        let text = serde_json::to_string(&signed).unwrap();
        let read = |text: &str| serde_json::from_str::<Signed>(text).unwrap();
        assert!(read(&text).is_signed_by(&keys.public));
        assert_eq!(read(&text).statement().unwrap(), Statement::Head(head));
        assert!(!read(&text.replace("\"seq\":7", "\"seq\":8")).is_signed_by(&keys.public));
        let other = Keys::load(tempfile::tempdir().unwrap().path(), None, None).unwrap();
        assert!(!read(&text).is_signed_by(&other.public));
    }

    #[test]
    fn keys_are_kept_and_read_as_pem() {
        let folder = tempfile::tempdir().unwrap();
        let first = Keys::load(folder.path(), None, None).unwrap();
        let again = Keys::load(folder.path(), None, None).unwrap();
        assert_eq!(first.public, again.public);
        let pem = std::fs::read_to_string(folder.path().join("journal.pub")).unwrap();
        assert_eq!(PublicKey::from_pem(&pem), Some(first.public.clone()));
        let private = std::fs::read_to_string(folder.path().join("journal.key")).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(Keys::load(elsewhere.path(), Some(&private), None).unwrap().public, first.public);
        assert!(!elsewhere.path().join("journal.key").exists());
        let error = Keys::load(elsewhere.path(), Some("no key"), None).unwrap_err();
        assert!(error.to_string().contains("openssl genpkey"), "{error}");
    }
}
