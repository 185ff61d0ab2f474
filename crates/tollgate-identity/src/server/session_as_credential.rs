//! Whoever is signed in in a browser, as the gate knows callers.

use std::sync::Arc;

use http::HeaderMap;
use tollgate_core::access::NotLetIn;
use tollgate_core::config::identity::Server;
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::identity::{Subject, Telling};

use super::authorize::is_enough;
use super::next::is_local;
use super::sessions::SignedIn;
use super::store::Store;
use super::{IdentityServer, browser, own, sessions};

impl IdentityServer {
    /// Whoever is signed in in the browser that has sent `headers`; `None` where it says nothing of that.
    pub fn who<'a>(&'a self, snapshot: &'a Snapshot, headers: &'a HeaderMap) -> Option<Telling<'a>> {
        let server = snapshot.identity_server.as_deref()?;
        let secret = browser::session_of(headers, server)?;
        Some(Box::pin(async move { self.of_session(snapshot, &secret).await }))
    }

    async fn of_session(&self, snapshot: &Snapshot, secret: &str) -> Result<Arc<Subject>, NotLetIn> {
        let untold = |error: super::reply::Error| NotLetIn::Untold(error.why);
        let found = sessions::find(
            &Store::new(&*self.shelf, &snapshot.secrets),
            &self.logins,
            Some(secret),
            self.clock.now(),
        )
        .await;
        let signed_in = found
            .map_err(untold)?
            .ok_or_else(|| NotLetIn::Token("of the session is over; sign in again".to_owned()))?;
        let not_enough =
            || NotLetIn::Token("of the session is not enough any more; sign in again".to_owned());
        self.subject_of(snapshot, &signed_in).map(Arc::new).ok_or_else(not_enough)
    }

    /// Whoever has `signed_in`, where that is enough by the configuration of now.
    pub(super) fn subject_of(&self, snapshot: &Snapshot, signed_in: &SignedIn) -> Option<Subject> {
        let login = signed_in.login();
        let server = snapshot.identity_server.as_deref();
        let enough = server.is_some_and(|server| is_enough(server, &signed_in.session.amr));
        if !enough || !login.is_configured(&snapshot.identity) {
            return None;
        }
        let identity = &snapshot.identity;
        let (role, team) = identity.of(login.issuer(), login.spec.groups.iter().map(String::as_str));
        let (identity, until) = (Arc::clone(identity), signed_in.session.ends);
        Some(Subject { role, team, identity, until, ..own::subject(login) })
    }

    /// Where a browser is sent whose user is to sign in, and then to go to `path`.
    pub fn sign_in_at(server: &Server, path: &str) -> Option<String> {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("return_to", path).finish();
        is_local(path).then(|| format!("{}/oauth/sign-in?{query}", server.path))
    }
}
