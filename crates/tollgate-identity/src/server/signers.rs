//! The server's signing keys, for whoever manages them: what there is, and taking one out of use at once.

use std::sync::Arc;

use serde_json::Value;
use tollgate_core::changes::{Changes, NotMade};
use tollgate_core::document::Document as _;
use tollgate_core::identity::SigningKey;
use tollgate_core::ports::{Change, Clock, Journal, Registry};
use tollgate_core::principal::Principal;
use tollgate_core::query::QueryError;

/// The signing keys.
pub struct Signers {
    changes: Changes<SigningKey>,
    registry: Arc<dyn Registry<SigningKey>>,
}

impl std::fmt::Debug for Signers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signers")
    }
}

/// Why a key was not taken out of use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWithdrawn {
    /// There is none of that name.
    #[error("there is no signing key `{0}`")]
    Missing(String),
    /// What is kept cannot be read or written, or was changed meanwhile.
    #[error("{0}")]
    Away(String),
}

impl Signers {
    /// Those that `registry` keeps. Changes are written into `journal`.
    pub fn new(
        registry: Arc<dyn Registry<SigningKey>>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { changes: Changes::new(Arc::clone(&registry), journal, clock), registry }
    }

    async fn all(&self) -> Result<Vec<(SigningKey, Change)>, QueryError> {
        let (mut all, mut last) = (Vec::new(), 0);
        loop {
            let part = self.registry.changed_after(last).await?;
            let Some(end) = part.last() else { return Ok(all) };
            last = end.change;
            all.extend(part.into_iter().filter_map(|stored| Some((stored.document?, stored.change))));
        }
    }

    /// What may be seen of them, in the order of their names.
    pub async fn visible(&self) -> Result<Vec<Value>, QueryError> {
        let mut all = self.all().await?;
        all.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
        Ok(all.iter().map(|(key, _)| key.visible()).collect())
    }

    /// Takes the key `id` out of use: what it has signed is good nowhere any more that asks, and where none is left, another
    /// one is made at once.
    pub async fn withdraw(&self, by: &Principal, id: &str) -> Result<(), NotWithdrawn> {
        let away = |why: String| NotWithdrawn::Away(why);
        let all = self.all().await.map_err(|error| away(error.to_string()))?;
        let found = all.iter().find(|(key, _)| *key.id == *id);
        let (key, change) = found.ok_or_else(|| NotWithdrawn::Missing(id.to_owned()))?;
        match self.changes.remove(by, (key, *change)).await {
            Ok(_) => Ok(()),
            Err(NotMade::Away(why)) => Err(away(why)),
            Err(NotMade::Exists | NotMade::Stale) => {
                Err(away("it was changed meanwhile; try again".to_owned()))
            }
        }
    }
}
