//! Tokens that the gate itself has given out. They are not believed for as long as they say: whoever is removed, has ended what
//! began before, or has left a group, has at once.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use tollgate_core::access::NotLetIn;
use tollgate_core::identity::Subject;

use super::claims::Claims;
use super::keys::KeySet;
use crate::server::Logins;

/// The gate's own authorization server, as far as its tokens are concerned.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) keys: Arc<ArcSwap<KeySet>>,
    pub(crate) logins: OnceLock<Arc<Logins>>,
}

/// Whose token it is, and when they have signed in.
#[derive(Debug)]
pub(crate) struct OfOwn {
    subject: String,
    auth_time_ms: i64,
}

impl OfOwn {
    /// What `claims` say of a person; `None` where it is a program's.
    pub(crate) fn read(claims: &Claims) -> Option<Self> {
        let subject = claims.person()?.to_owned();
        Some(Self { subject, auth_time_ms: claims.number("auth_time_ms").unwrap_or(0) })
    }
}

impl Own {
    /// Looks for whom a token is of that was not seen before: another instance may have made their login just now.
    pub(crate) async fn look(&self, of: Option<&OfOwn>) {
        if let (Some(of), Some(logins)) = (of, self.logins.get()) {
            // Whoever is not found is refused.
            let _ = logins.of_subject_since(&of.subject, 0).await;
        }
    }

    /// `subject`, as they are now: with the groups that they are in, where they may still sign in.
    pub(crate) fn now(&self, of: Option<&OfOwn>, subject: Arc<Subject>) -> Result<Arc<Subject>, NotLetIn> {
        let Some(of) = of else { return Ok(subject) };
        let over =
            || NotLetIn::Token("is of somebody who has ended that, or is gone; sign in again".to_owned());
        let logins = self.logins.get().ok_or_else(over)?;
        if !logins.is_read() {
            return Err(NotLetIn::Untold("logins could not be read yet".to_owned()));
        }
        let login = logins.of_subject(&of.subject).ok_or_else(over)?.login;
        let ended = login.not_before.is_some_and(|first| first.as_millisecond() > of.auth_time_ms);
        if ended || !login.is_configured(&subject.identity) || subject.user.as_ref() != Some(&login.user) {
            return Err(over());
        }
        let groups = login.spec.groups.iter().map(String::as_str);
        let (role, team) = subject.identity.of(login.issuer(), groups);
        if role == subject.role && team == subject.team {
            return Ok(subject);
        }
        Ok(Arc::new(Subject { role, team, ..(*subject).clone() }))
    }
}
