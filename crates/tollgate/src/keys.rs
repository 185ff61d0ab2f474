//! Keeping up with the registry: what others change of keys, users, teams, models, credentials, contracts of tools, approvals and logins. When its database is
//! away, what is known goes on, and keys that are not known are told to try again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tollgate_approvals::Waiting;
use tollgate_contracts::Contracts;
use tollgate_core::ports::Clock;
use tollgate_core::query::QueryError;
use tollgate_identity::server::IdentityServer;
use tollgate_ledger::Ledger;
use tollgate_models::Additions;

use crate::registry::Slot;

/// How often it is looked for what others have changed: a key that is blocked elsewhere is blocked here within a second.
const LOOK: Duration = Duration::from_millis(400);

/// How long it is waited after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long the start waits for the database.
const AT_START: Duration = Duration::from_secs(5);

/// What follows the registry.
pub(crate) struct Followed {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) additions: Arc<Additions>,
    pub(crate) contracts: Arc<Contracts>,
    pub(crate) approvals: Arc<Waiting>,
    pub(crate) sign_in: Arc<IdentityServer>,
}

/// What keeps the gate up with the registry.
pub(crate) struct Keeping {
    followed: Followed,
    registry: Slot,
}

impl Keeping {
    /// Reads the registry, where its database is there.
    pub(crate) async fn begin(followed: Followed, registry: Slot, clock: &dyn Clock) -> Self {
        let keeping = Self { followed, registry };
        match tokio::time::timeout(AT_START, keeping.look(clock)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "keys and models cannot be read; it is tried again"),
            Err(_) => {
                tracing::warn!(
                    "keys and models cannot be read: the database does not answer; it is tried again"
                );
            }
        }
        keeping
    }

    async fn look(&self, clock: &dyn Clock) -> Result<(), QueryError> {
        let Followed { ledger, additions, contracts, approvals, sign_in } = &self.followed;
        ledger.follow(&self.registry, clock.now()).await?;
        additions.follow(&self.registry).await?;
        contracts.follow().await?;
        approvals.follow().await?;
        sign_in.follow(&additions.snapshot()).await
    }

    /// Reads what others change, for as long as the task lives.
    pub(crate) fn keep_following(self, clock: Arc<dyn Clock>) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut failing = false;
            loop {
                let looked = self.look(&*clock).await;
                if let Err(error) = &looked
                    && !failing
                {
                    tracing::warn!(%error, "keys and models cannot be read; those that are known go on");
                }
                failing = looked.is_err();
                self.followed.ledger.forget_past(clock.now());
                tokio::time::sleep(if failing { AFTER_FAILURE } else { LOOK }).await;
            }
        })
    }
}
