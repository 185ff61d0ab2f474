//! Sessions: that somebody has signed in in a browser, when and how, and what they have agreed to since.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tollgate_core::config::identity::Server;
use tollgate_core::identity::Login;

use super::logins::{Listed, Logins};
use super::random;
use super::reply::Error;
use super::store::{Changed, Store};

/// The most that is agreed to in a session.
const MOST_CONSENTS: usize = 50;

/// A session.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Session {
    /// Whose.
    pub(crate) subject: String,
    /// When they have signed in.
    pub(crate) began: Timestamp,
    /// When it ends.
    pub(crate) ends: Timestamp,
    /// How they have shown who they are (RFC 8176): `pwd`, `otp`.
    pub(crate) amr: Vec<String>,
    /// What was agreed to.
    pub(crate) consents: Vec<Consent>,
}

/// That somebody has agreed to what a client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Consent {
    /// Which client.
    pub(crate) client: String,
    /// The scopes.
    pub(crate) scopes: Vec<String>,
    /// What the tokens are for.
    pub(crate) resources: Vec<String>,
    /// When.
    pub(crate) at: Timestamp,
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) session: Session,
    /// What is known of them now.
    pub(crate) listed: Listed,
    /// Where the session is kept.
    pub(crate) name: String,
}

impl SignedIn {
    pub(crate) fn login(&self) -> &Login {
        &self.listed.login
    }

    /// When they have agreed to all of `asked`, where they have.
    pub(crate) fn has_agreed(&self, asked: &Consent) -> Option<Timestamp> {
        let within = |some: &[String], all: &[String]| some.iter().all(|one| all.contains(one));
        let agreed = self.session.consents.iter().find(|consent| {
            consent.client == asked.client
                && within(&asked.scopes, &consent.scopes)
                && within(&asked.resources, &consent.resources)
        });
        agreed.map(|consent| consent.at)
    }
}

/// When somebody has taken back what they had agreed to, by client: for all of their sessions.
fn taken_back(subject: &str) -> String {
    format!("taken-back/{subject}")
}

/// Notes that `subject` lets `client` act for them no more.
pub(crate) async fn take_back(
    store: &Store<'_>,
    server: &Server,
    (subject, client): (&str, &str),
    now: Timestamp,
) -> Result<(), Error> {
    // No session that is there now lasts longer.
    let ends = now + server.session;
    store
        .change(&taken_back(subject), |known: Option<BTreeMap<String, Timestamp>>| {
            let mut all = known.unwrap_or_default();
            let oldest = all.iter().min_by_key(|(_, at)| **at).map(|(client, _)| client.clone());
            if let Some(oldest) = oldest.filter(|_| all.len() >= MOST_CONSENTS && !all.contains_key(client)) {
                all.remove(&oldest);
            }
            all.insert(client.to_owned(), now);
            Ok(Changed { document: all, ends, result: () })
        })
        .await
}

/// Whether what `subject` has agreed to at `at` holds still for `client`.
pub(crate) async fn holds(
    store: &Store<'_>,
    (subject, client): (&str, &str),
    at: Timestamp,
) -> Result<bool, Error> {
    let all = store.read::<BTreeMap<String, Timestamp>>(&taken_back(subject)).await?.unwrap_or_default();
    Ok(all.get(client).is_none_or(|taken_back| *taken_back < at))
}

fn document(secret: &str) -> String {
    format!("session/{}", random::hashed(secret))
}

/// Begins a session of `login`, and says its secret.
pub(crate) async fn begin(
    store: &Store<'_>,
    server: &Server,
    login: &Login,
    amr: &[&str],
    now: Timestamp,
) -> Result<(String, Session), Error> {
    let session = Session {
        subject: login.subject.to_string(),
        began: now,
        ends: now + server.session,
        amr: amr.iter().map(|one| (*one).to_owned()).collect(),
        consents: Vec::new(),
    };
    let secret = random::secret()?;
    store.make(&document(&secret), &session, session.ends).await?;
    Ok((secret, session))
}

/// Whose session `secret` is of, where it is not over and they may still sign in.
pub(crate) async fn find(
    store: &Store<'_>,
    logins: &Logins,
    secret: Option<&str>,
    now: Timestamp,
) -> Result<Option<SignedIn>, Error> {
    match secret {
        Some(secret) => named(store, logins, document(secret), now).await,
        None => Ok(None),
    }
}

/// The same of the session that is kept as `name`.
pub(crate) async fn named(
    store: &Store<'_>,
    logins: &Logins,
    name: String,
    now: Timestamp,
) -> Result<Option<SignedIn>, Error> {
    let Some(session) = store.read::<Session>(&name).await?.filter(|session| now < session.ends) else {
        return Ok(None);
    };
    let listed = logins.of_subject_since(&session.subject, 0).await?;
    let listed = listed.filter(|listed| listed.login.not_before.is_none_or(|first| first <= session.began));
    Ok(listed.map(|listed| SignedIn { session, listed, name }))
}

/// Notes what `signed_in` has agreed to.
pub(crate) async fn agree(store: &Store<'_>, signed_in: &SignedIn, consent: &Consent) -> Result<(), Error> {
    store
        .change(&signed_in.name, |session: Option<Session>| {
            let mut session = session.ok_or_else(|| Error::new("login_required", "the session is over"))?;
            session.consents.retain(|known| known.client != consent.client);
            if session.consents.len() >= MOST_CONSENTS {
                session.consents.remove(0);
            }
            session.consents.push(consent.clone());
            Ok(Changed { ends: session.ends, document: session, result: () })
        })
        .await
}

/// Ends a session.
pub(crate) async fn end(store: &Store<'_>, signed_in: &SignedIn) -> Result<(), Error> {
    store.remove(&signed_in.name).await
}
