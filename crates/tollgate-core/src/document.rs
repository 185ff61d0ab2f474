//! What a registry keeps: documents of one sort, each with a name and versions, whatever they say.

use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

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
