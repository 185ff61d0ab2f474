//! Who signs in here, and how.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::RwLock;
use serde_json::Value;
use tollgate_core::access::SpecError;
use tollgate_core::changes::{Changes, NotMade};
use tollgate_core::config::identity::Issuer;
use tollgate_core::document::{Document as _, check_id};
use tollgate_core::identity::{External, Invitation, Login, LoginSpec};
use tollgate_core::merge_patch::{merged, read};
use tollgate_core::ports::{Change, Clock, Journal, Registry};
use tollgate_core::principal::Principal;
use tollgate_core::query::QueryError;
use uuid::Uuid;

use super::random;
use crate::tokens::claims::Arrival;

/// The most logins: they are in memory.
const MOST: usize = 100_000;

/// A login, and the change that made it what it is.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) login: Login,
    pub(crate) change: Change,
}

#[derive(Debug, Default)]
struct Known {
    by_user: BTreeMap<Arc<str>, Listed>,
    /// By what they call themselves, in lower case: the name, and the email address.
    by_name: BTreeMap<String, Arc<str>>,
    by_subject: BTreeMap<Arc<str>, Arc<str>>,
    /// By who they are at an issuer elsewhere.
    by_external: BTreeMap<(String, String), Arc<str>>,
    read: Option<Change>,
}

/// Why a login was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// There is none of that user.
    #[error("the user `{0}` does not sign in here; an invitation makes a login")]
    Missing(String),
    /// Somebody else has the name or the email address.
    #[error("somebody else has this name or email address")]
    Taken,
    /// It was changed meanwhile.
    #[error("it was changed meanwhile, or somebody else has this email address; read it again")]
    Stale,
    /// It cannot be so.
    #[error(transparent)]
    Invalid(#[from] SpecError),
    /// There are as many as there may be.
    #[error("there are {0} logins already, which is the most")]
    TooMany(usize),
    /// What is kept cannot be read or written.
    #[error("{0}")]
    Away(String),
}

impl From<NotMade> for LoginError {
    fn from(error: NotMade) -> Self {
        match error {
            NotMade::Exists => Self::Taken,
            NotMade::Stale => Self::Stale,
            NotMade::Away(why) => Self::Away(why),
        }
    }
}

/// An invitation as it is told, once.
#[derive(Clone, Debug)]
pub struct Invited {
    /// What stands in the link.
    pub token: String,
    /// Until when it is good.
    pub ends_at: Timestamp,
    /// What may be seen of the login.
    pub login: Value,
}

/// Who signs in here.
pub struct Logins {
    changes: Changes<Login>,
    registry: Arc<dyn Registry<Login>>,
    known: RwLock<Known>,
}

/// Whether `spec` can be said of `user`. Who is called by an email address has that one: nobody is taken for somebody else.
fn check(user: &str, spec: &LoginSpec) -> Result<(), SpecError> {
    spec.check()?;
    let other = spec.email.as_ref().is_none_or(|email| !email.eq_ignore_ascii_case(user));
    if user.contains('@') && other {
        let why = format!("`{user}` is called by an email address, and has that one");
        return Err(SpecError { member: "email".to_owned(), why });
    }
    Ok(())
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Logins")
    }
}

/// What somebody may call themselves when they sign in.
fn names(login: &Login) -> impl Iterator<Item = String> {
    [Some(login.user.to_lowercase()), login.unique()].into_iter().flatten()
}

impl Known {
    fn take(&mut self, user: &Arc<str>, change: Change, login: Option<Login>) {
        if self.by_user.get(user).is_some_and(|known| known.change >= change) {
            return;
        }
        if let Some(before) = self.by_user.remove(user) {
            for name in names(&before.login) {
                if self.by_name.get(&name) == Some(user) {
                    self.by_name.remove(&name);
                }
            }
            if let Some(external) = before.login.external {
                self.by_external.remove(&(external.issuer, external.subject));
            }
            self.by_subject.remove(&before.login.subject);
        }
        let Some(login) = login else { return };
        for name in names(&login) {
            // Whoever had it first keeps it.
            self.by_name.entry(name).or_insert_with(|| Arc::clone(user));
        }
        if let Some(external) = login.external.clone() {
            self.by_external.insert((external.issuer, external.subject), Arc::clone(user));
        }
        self.by_subject.insert(Arc::clone(&login.subject), Arc::clone(user));
        self.by_user.insert(Arc::clone(user), Listed { login, change });
    }
}

impl Logins {
    /// Nobody yet. Changes are kept in `registry` and written into `journal`.
    pub fn new(registry: Arc<dyn Registry<Login>>, journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        let changes = Changes::new(Arc::clone(&registry), journal, clock);
        Self { changes, registry, known: RwLock::default() }
    }

    /// Reads what others have changed since the last time.
    pub async fn follow(&self) -> Result<(), QueryError> {
        let mut last = self.known.read().read.unwrap_or(0);
        loop {
            let part = self.registry.changed_after(last).await?;
            let mut known = self.known.write();
            let Some(end) = part.last() else {
                known.read = known.read.max(Some(last));
                return Ok(());
            };
            last = end.change;
            for stored in part {
                known.take(&stored.name.id, stored.change, stored.document);
            }
            known.read = Some(last);
        }
    }

    /// Whether it is known who there is.
    pub(crate) fn is_read(&self) -> bool {
        self.known.read().read.is_some()
    }

    /// Whoever calls themselves `name`: by the name or by the email address.
    pub(crate) fn find(&self, name: &str) -> Option<Listed> {
        let known = self.known.read();
        known.by_user.get(known.by_name.get(&name.to_lowercase())?).cloned()
    }

    /// Whoever is `subject` in tokens.
    pub(crate) fn of_subject(&self, subject: &str) -> Option<Listed> {
        let known = self.known.read();
        known.by_user.get(known.by_subject.get(subject)?).cloned()
    }

    /// The same, as of `change` or later: another instance may have made them just now.
    pub(crate) async fn of_subject_since(
        &self,
        subject: &str,
        change: Change,
    ) -> Result<Option<Listed>, QueryError> {
        let known = self.of_subject(subject).filter(|listed| listed.change >= change);
        if known.is_some() {
            return Ok(known);
        }
        self.follow().await?;
        Ok(self.of_subject(subject))
    }

    /// What may be seen of the login of `user`, and its version.
    pub fn get(&self, user: &str) -> Result<(Value, Change), LoginError> {
        let listed = self.listed(user)?;
        Ok((listed.login.visible(), listed.change))
    }

    fn listed(&self, user: &str) -> Result<Listed, LoginError> {
        let known = self.known.read();
        if known.read.is_none() {
            return Err(LoginError::Away("logins could not be read yet; try again in a moment".to_owned()));
        }
        known.by_user.get(user).cloned().ok_or_else(|| LoginError::Missing(user.to_owned()))
    }

    /// Invites `user` to choose a password, within `lasts`: makes the login where there is none, of which `said` is said,
    /// and otherwise changes it so. What the login was opened with before goes on until the invitation is taken.
    pub async fn invite(
        &self,
        by: &Principal,
        user: &str,
        said: Value,
        lasts: Duration,
    ) -> Result<Invited, LoginError> {
        check_id(user)?;
        let now = self.changes.now();
        let token = random::secret().map_err(|error| LoginError::Away(error.why))?;
        let invitation = Invitation { hash: random::hashed(&token), ends_at: now + lasts };
        let ends_at = invitation.ends_at;
        let before = match self.listed(user) {
            Ok(before) => Some(before),
            Err(LoginError::Missing(_)) => None,
            Err(error) => return Err(error),
        };
        let spec: LoginSpec = match &before {
            Some(before) => read(merged(&before.login.spec, said, LoginSpec::MEMBERS)?)?,
            None => {
                let mut spec: LoginSpec = read(merged(&LoginSpec::default(), said, LoginSpec::MEMBERS)?)?;
                if spec.email.is_none() && user.contains('@') {
                    spec.email = Some(user.to_owned());
                }
                let names =
                    [Some(user.to_lowercase()), spec.email.as_ref().map(|email| email.to_lowercase())];
                if names.iter().flatten().any(|name| self.known.read().by_name.contains_key(name)) {
                    return Err(LoginError::Taken);
                }
                if self.known.read().by_user.len() >= MOST {
                    return Err(LoginError::TooMany(MOST));
                }
                spec
            }
        };
        check(user, &spec)?;
        let after = match &before {
            Some(before) => {
                Login { spec, invitation: Some(invitation), updated_at: now, ..before.login.clone() }
            }
            None => Login {
                user: Arc::from(user),
                subject: Uuid::new_v4().to_string().into(),
                created_at: now,
                updated_at: now,
                spec,
                external: None,
                password: None,
                totp: None,
                invitation: Some(invitation),
                not_before: None,
            },
        };
        let listed = self.replace(by, "invite", before.as_ref(), after).await?;
        Ok(Invited { token, ends_at, login: listed.login.visible() })
    }

    /// Changes what is said of a login by a merge patch (RFC 7396), where it is still what `expected` made it.
    pub async fn change(
        &self,
        by: &Principal,
        user: &str,
        expected: Option<Change>,
        patch: Value,
    ) -> Result<(Value, Change), LoginError> {
        let before = self.expected(user, expected)?;
        let spec: LoginSpec = read(merged(&before.login.spec, patch, LoginSpec::MEMBERS)?)?;
        check(user, &spec)?;
        let after = Login { spec, updated_at: self.changes.now(), ..before.login.clone() };
        let listed = self.replace(by, "change", Some(&before), after).await?;
        Ok((listed.login.visible(), listed.change))
    }

    /// Ends all that began with the login; `password` and `totp` say what of it is taken away besides.
    pub async fn end(
        &self,
        by: &Principal,
        user: &str,
        (password, totp): (bool, bool),
    ) -> Result<(Value, Change), LoginError> {
        let (before, now) = (self.listed(user)?, self.changes.now());
        let mut after =
            Login { not_before: Some(now), invitation: None, updated_at: now, ..before.login.clone() };
        if password {
            after.password = None;
        }
        if totp {
            after.totp = None;
        }
        let listed = self.replace(by, "end_sessions", Some(&before), after).await?;
        Ok((listed.login.visible(), listed.change))
    }

    /// Removes the login of `user`: who comes by that name later is somebody else.
    pub async fn remove(
        &self,
        by: &Principal,
        user: &str,
        expected: Option<Change>,
    ) -> Result<(), LoginError> {
        let before = self.expected(user, expected)?;
        let change = self.changes.remove(by, (&before.login, before.change)).await?;
        self.known.write().take(&before.login.user, change, None);
        Ok(())
    }

    fn expected(&self, user: &str, expected: Option<Change>) -> Result<Listed, LoginError> {
        let listed = self.listed(user)?;
        if expected.is_some_and(|expected| expected != listed.change) {
            return Err(LoginError::Stale);
        }
        Ok(listed)
    }

    /// Somebody has signed in at the issuer `issuer`: makes their login where there is none, and brings it up to date.
    pub(crate) async fn arrive(&self, issuer: &Issuer, arrival: &Arrival) -> Result<Listed, LoginError> {
        match self.arrived(issuer, arrival).await {
            // Another instance, or another window, was faster.
            Err(LoginError::Taken | LoginError::Stale) => {
                self.follow().await.map_err(|error| LoginError::Away(error.to_string()))?;
                self.arrived(issuer, arrival).await
            }
            other => other,
        }
    }

    async fn arrived(&self, issuer: &Issuer, arrival: &Arrival) -> Result<Listed, LoginError> {
        let Arrival { user, subject, email, name, groups } = arrival;
        let (now, by) = (self.changes.now(), Principal::gate());
        let spec = LoginSpec { email: email.clone(), name: name.clone(), groups: groups.clone() };
        let place = (issuer.issuer.to_string(), subject.clone());
        let known = {
            let known = self.known.read();
            if known.read.is_none() {
                return Err(LoginError::Away(
                    "logins could not be read yet; try again in a moment".to_owned(),
                ));
            }
            known.by_external.get(&place).and_then(|user| known.by_user.get(user)).cloned()
        };
        // Who they are there is who they are here, whatever they are called there by now.
        if let Some(before) = known {
            if before.login.spec == spec {
                return Ok(before);
            }
            check(&before.login.user, &spec)?;
            let after = Login { spec, updated_at: now, ..before.login.clone() };
            return Ok(self.replace(&by, "arrive", Some(&before), after).await?);
        }
        check_id(user)?;
        check(user, &spec)?;
        let external = External { issuer: place.0, name: issuer.name.to_string(), subject: subject.clone() };
        let login = Login {
            user: Arc::clone(user),
            subject: Uuid::new_v4().to_string().into(),
            created_at: now,
            updated_at: now,
            spec,
            external: Some(external),
            password: None,
            totp: None,
            invitation: None,
            not_before: None,
        };
        {
            let known = self.known.read();
            if known.by_user.len() >= MOST {
                return Err(LoginError::TooMany(MOST));
            }
            // Whoever is called the same somewhere is not by that the one who is called so here.
            if names(&login).any(|name| known.by_name.contains_key(&name)) {
                return Err(LoginError::Taken);
            }
        }
        Ok(self.replace(&by, "arrive", None, login).await?)
    }

    /// Keeps `after` instead of `before`.
    pub(crate) async fn replace(
        &self,
        by: &Principal,
        action: &str,
        before: Option<&Listed>,
        after: Login,
    ) -> Result<Listed, NotMade> {
        let known = before.map(|before| (&before.login, before.change));
        let change = self.changes.keep(by, action, known, &after).await?;
        let user = Arc::clone(&after.user);
        self.known.write().take(&user, change, Some(after.clone()));
        Ok(Listed { login: after, change })
    }

    /// The login that the invitation `token` is for.
    pub(crate) fn invited(&self, token: &str, now: Timestamp) -> Option<Listed> {
        let hash = random::hashed(token);
        let known = self.known.read();
        let is = |listed: &&Listed| {
            let invitation = listed.login.invitation.as_ref();
            invitation.is_some_and(|known| random::same(&known.hash, &hash) && now < known.ends_at)
        };
        known.by_user.values().find(is).cloned()
    }
}

#[cfg(test)]
mod tests {
    use tollgate_testkit::{MemoryJournal, MemoryRegistry};

    use super::*;

    struct Epoch;

    impl Clock for Epoch {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    fn issuer() -> Issuer {
        Issuer {
            name: "corp".into(),
            issuer: "https://login.example.com".into(),
            audience: Vec::new(),
            keys_url: None,
            user: "preferred_username".to_owned(),
            groups: "groups".to_owned(),
            email_domains: None,
            agents: true,
            private: false,
            skew: Duration::from_secs(60),
            own: false,
            sign_in: None,
        }
    }

    fn arrival(user: &str, subject: &str) -> Arrival {
        Arrival {
            user: user.into(),
            subject: subject.to_owned(),
            email: None,
            name: None,
            groups: Vec::new(),
        }
    }

    async fn logins() -> Logins {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
        let logins = Logins::new(Arc::new(MemoryRegistry::default()), journal, Arc::new(Epoch));
        logins.follow().await.unwrap();
        logins
    }

    #[tokio::test]
    async fn who_somebody_is_elsewhere_is_who_they_are_here_whatever_they_are_called() {
        let logins = logins().await;
        let first = logins.arrive(&issuer(), &arrival("joe", "7")).await.unwrap();
        let renamed = logins.arrive(&issuer(), &arrival("joe2", "7")).await.unwrap();
        assert_eq!((&renamed.login.user, &renamed.login.subject), (&first.login.user, &first.login.subject));
        let other = Issuer { issuer: "https://staging.example.com".into(), ..issuer() };
        let taken = logins.arrive(&other, &arrival("joe", "7")).await.unwrap_err();
        assert_eq!(taken, LoginError::Taken, "another issuer's number 7 is somebody else");
    }

    #[tokio::test]
    async fn nobody_takes_a_name_from_whoever_has_it() {
        let logins = logins().await;
        let by = Principal::gate();
        logins.invite(&by, "ann", serde_json::json!({}), Duration::from_hours(1)).await.unwrap();
        for name in ["ann", "ANN", "Ann"] {
            assert_eq!(logins.arrive(&issuer(), &arrival(name, "8")).await.unwrap_err(), LoginError::Taken);
        }
        assert_eq!(&*logins.find("ann").unwrap().login.user, "ann");
        logins.arrive(&issuer(), &arrival("bob", "9")).await.unwrap();
        logins.remove(&by, "bob", None).await.unwrap();
        assert!(logins.find("bob").is_none() && logins.find("ANN").is_some());
    }
}
