//! Keeping up with other instances: who has a login, and which keys there are.

use tollgate_core::changes::NotMade;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::query::QueryError;

use super::IdentityServer;

impl IdentityServer {
    /// Reads what others have changed, and makes the keys that `snapshot` wants, where it configures the server.
    pub async fn follow(&self, snapshot: &Snapshot) -> Result<(), QueryError> {
        // Also where nobody signs in now: whoever removes a user removes their login.
        self.logins.follow().await?;
        if let Some(failed) = self.failures.due(self.clock.now()) {
            self.note("sign_ins_failed", failed);
        }
        let Some(server) = &snapshot.identity_server else { return Ok(()) };
        self.signing.follow(&snapshot.secrets).await?;
        match self.signing.rotate(server, &snapshot.secrets, self.clock.now()).await {
            Ok(()) => Ok(()),
            // Another instance has done it just now.
            Err(NotMade::Exists | NotMade::Stale) => Ok(()),
            Err(NotMade::Away(why)) => Err(QueryError(why)),
        }
    }
}
