//! What lasts for a while: sessions, grants, codes of devices. Documents with versions, shared by all instances.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_core::ports::{Rewritten, Shelf};

use super::reply::Error;

/// What of the shelf is this server's.
const OURS: &str = "identity/";

/// How often a document is read and written again that others rewrite meanwhile.
const TRIES: usize = 8;

/// Where it is kept.
pub(crate) struct Store(Arc<dyn Shelf>);

impl Store {
    pub(crate) fn new(shelf: Arc<dyn Shelf>) -> Self {
        Self(shelf)
    }

    /// The document `name`, and its version.
    async fn versioned<T: DeserializeOwned>(&self, name: &str) -> Result<(u64, Option<T>), Error> {
        let names = [format!("{OURS}{name}")];
        let mut read = self.0.read(&names).await?;
        let Some((version, text)) = read.each.pop() else { return Ok((0, None)) };
        // What a later version has written in another form is as if it were not there.
        Ok((version, text.and_then(|text| serde_json::from_str(&text).ok())))
    }

    /// The document `name`.
    pub(crate) async fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        Ok(self.versioned(name).await?.1)
    }

    /// Keeps a new document; `false` where there is one of that name.
    pub(crate) async fn make<T: Serialize>(
        &self,
        name: &str,
        document: &T,
        ends: Timestamp,
    ) -> Result<bool, Error> {
        self.write(name, 0, document, ends).await
    }

    /// Changes the document `name`: `change` says what becomes of it, and is asked again where somebody else was faster.
    /// What is refused is not written.
    pub(crate) async fn change<T, R>(
        &self,
        name: &str,
        mut change: impl FnMut(Option<T>) -> Result<Changed<T, R>, Error>,
    ) -> Result<R, Error>
    where
        T: Serialize + DeserializeOwned,
    {
        for _ in 0..TRIES {
            let (version, before) = self.versioned(name).await?;
            let Changed { document, ends, result } = change(before)?;
            if self.write(name, version, &document, ends).await? {
                return Ok(result);
            }
        }
        Err(Error::away(format_args!("{name} is being changed by many at once")))
    }

    /// Removes the document `name`, as far as it is there.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), Error> {
        let (version, before) = self.versioned::<serde_json::Value>(name).await?;
        if version > 0 && before.is_some() {
            self.write(name, version, &serde_json::Value::Null, Timestamp::UNIX_EPOCH).await?;
        }
        Ok(())
    }

    async fn write<T: Serialize>(
        &self,
        name: &str,
        version: u64,
        document: &T,
        ends: Timestamp,
    ) -> Result<bool, Error> {
        let text = serde_json::to_string(document).map_err(Error::away)?;
        let rewritten = Rewritten { name: format!("{OURS}{name}"), version, text, ends: Some(ends) };
        Ok(self.0.write(&[rewritten]).await?.first().copied().unwrap_or(false))
    }
}

/// What becomes of a document.
pub(crate) struct Changed<T, R> {
    pub(crate) document: T,
    /// Until when it is of use.
    pub(crate) ends: Timestamp,
    /// What whoever changed it wants to know.
    pub(crate) result: R,
}
