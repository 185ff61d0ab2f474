//! What a registry keeps: documents of one sort, each with a name and versions, whatever they say.

use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::access::SpecError;

/// The kinds that a sort of documents has.
pub trait Kind: Copy + Debug + Eq + Hash + Ord + Serialize + Send + Sync + 'static {
    /// Every kind.
    const KINDS: &'static [Self];
    /// The name in records and stores.
    fn word(self) -> &'static str;
}

/// Which document of a sort.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct DocumentRef<K> {
    /// What kind.
    pub kind: K,
    /// Its name, unique among its kind.
    pub id: Arc<str>,
}

impl<K: Kind> fmt::Display for DocumentRef<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind.word(), self.id)
    }
}

/// A document that is kept.
pub trait Document: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kinds of its sort.
    type Kind: Kind;
    /// What its sort is called in events.
    const SORT: &'static str;
    /// Which one it is.
    fn document(&self) -> DocumentRef<Self::Kind>;
    /// A text that no other document of its sort may have.
    fn unique(&self) -> Option<String>;
    /// What of it may be seen by whoever may see it at all: nothing that is presented or sent as a secret.
    fn visible(&self) -> Value;
}

/// The longest name, in bytes.
const LONGEST_ID: usize = 128;

/// Whether `id` can be the name of a document: it goes into addresses, records and headers.
pub fn check_id(id: &str) -> Result<&str, SpecError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b':' | b'+');
    if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(plain) || id.bytes().all(|b| b == b'.') {
        let why = format!("1 to {LONGEST_ID} letters, digits, `-`, `_`, `.`, `@`, `:` and `+`");
        return Err(SpecError { member: "id".to_owned(), why });
    }
    Ok(id)
}
