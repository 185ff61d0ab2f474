//! What lasts for a while: sessions, grants, codes of devices. Documents with versions, shared by all instances, each
//! encrypted and bound to its name: whoever writes into the database is not by that signed in.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_core::config::SecretsKeys;
use tollgate_core::ports::{Rewritten, Shelf};
use tollgate_core::seal::Sealing;

use super::random;

use super::reply::Error;

/// What of the shelf is this server's.
const OURS: &str = "identity/";

/// How often a document is read and written again that others rewrite meanwhile.
const TRIES: usize = 24;

/// What documents are sealed for.
const PURPOSE: &str = "identity documents";

/// Where it is kept, and what it is sealed with.
#[derive(Clone, Copy)]
pub(crate) struct Store<'a> {
    shelf: &'a dyn Shelf,
    sealing: Sealing<'a>,
}

impl<'a> Store<'a> {
    pub(crate) fn new(shelf: &'a dyn Shelf, secrets: &'a SecretsKeys) -> Self {
        Self { shelf, sealing: Sealing::new(secrets, PURPOSE) }
    }

    fn opened<T: DeserializeOwned>(&self, name: &str, text: &str) -> Option<T> {
        let plain = self.sealing.open(name.as_bytes(), &URL_SAFE_NO_PAD.decode(text).ok()?)?;
        serde_json::from_slice(&plain).ok()
    }

    /// The document `name`, and its version.
    async fn versioned<T: DeserializeOwned>(&self, name: &str) -> Result<(u64, Option<T>), Error> {
        let names = [format!("{OURS}{name}")];
        let mut read = self.shelf.read(&names).await?;
        let Some((version, text)) = read.each.pop() else { return Ok((0, None)) };
        // What was not written here, or by a later version in another form, is as if it were not there.
        Ok((version, text.and_then(|text| self.opened(&names[0], &text))))
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
        for tried in 0..TRIES {
            if tried > 0 {
                // Not all of them at the same moment again.
                tokio::time::sleep(Duration::from_millis(u64::from(random::bytes::<1>()?[0]) / 8)).await;
            }
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
        for _ in 0..TRIES {
            let (version, before) = self.versioned::<serde_json::Value>(name).await?;
            if version == 0 || before.is_none_or(|before| before.is_null()) {
                return Ok(());
            }
            if self.write(name, version, &serde_json::Value::Null, Timestamp::UNIX_EPOCH).await? {
                return Ok(());
            }
        }
        Err(Error::away(format_args!("{name} is being changed by many at once")))
    }

    async fn write<T: Serialize>(
        &self,
        name: &str,
        version: u64,
        document: &T,
        ends: Timestamp,
    ) -> Result<bool, Error> {
        let (name, plain) = (format!("{OURS}{name}"), serde_json::to_vec(document).map_err(Error::away)?);
        let sealed = self.sealing.seal(name.as_bytes(), &plain);
        let text = URL_SAFE_NO_PAD.encode(sealed.ok_or_else(|| Error::away("there is no `secrets_key`"))?);
        let rewritten = Rewritten { name, version, text, ends: Some(ends) };
        Ok(self.shelf.write(&[rewritten]).await?.first().copied().unwrap_or(false))
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
