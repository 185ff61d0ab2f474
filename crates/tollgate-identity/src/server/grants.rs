//! That somebody lets a client act for them: from the code that the client gets through the browser, through its refresh
//! tokens, to the end.
//!
//! Codes and refresh tokens are made from the grant's name and a number, and not kept: whoever reads the database has none,
//! and a client that asks again because the answer was lost gets the same ones.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tollgate_core::config::SecretsKeys;
use tollgate_core::config::identity::{Client, GrantKind, Server};
use tollgate_core::identity::Login;
use tollgate_core::seal::{Sealing, bound_to};

use super::clients::Known;
use super::pages::Application;
use super::reply::Error;
use super::request::Request;
use super::sessions::SignedIn;
use super::store::{Changed, Store};
use super::{Call, random};

/// How long a code is good (RFC 6749 §4.1.2).
const CODE: SignedDuration = SignedDuration::from_secs(60);

/// For so long a client that has used a refresh token gets the same successor again: its answer may have been lost, or two
/// of its processes have asked at once.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// However often it is refreshed, a grant ends: whoever still wants it signs in again.
const LONGEST_GRANT: SignedDuration = SignedDuration::from_hours(24 * 365);

/// The most applications that act for somebody. The oldest one makes room.
const MOST_APPLICATIONS: usize = 100;

/// The longest code and refresh token that are looked at.
const LONGEST: usize = 256;

/// A grant as it is kept.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Grant {
    pub(crate) client: String,
    /// What the client calls itself.
    client_name: String,
    /// Whose.
    pub(crate) subject: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) nonce: Option<String>,
    redirect_uri: Option<String>,
    challenge: Option<String>,
    /// When they have signed in.
    pub(crate) auth_time: Timestamp,
    pub(crate) amr: Vec<String>,
    created: Timestamp,
    /// Until when the code is good; `None` once it was used.
    code: Option<Timestamp>,
    refresh: Option<Refresh>,
    revoked: bool,
}

/// Which refresh token is good.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Refresh {
    number: u64,
    /// When the one before was used.
    since: Timestamp,
    /// Until when it is good.
    ends: Timestamp,
}

/// What a client is given for a grant.
pub(crate) struct Granted {
    pub(crate) id: String,
    pub(crate) grant: Grant,
    pub(crate) refresh_token: Option<String>,
}

/// A code or a refresh token, taken apart.
struct Taken {
    id: String,
    number: u64,
}

fn document(id: &str) -> String {
    format!("grant/{id}")
}

fn tags(secrets: &SecretsKeys, what: &str, id: &str, number: u64) -> impl Iterator<Item = String> {
    let content = bound_to([what, id, &number.to_string()]);
    Sealing::new(secrets, "grants")
        .digests(&content)
        .map(|tag| URL_SAFE_NO_PAD.encode(tag))
        .collect::<Vec<_>>()
        .into_iter()
}

fn written(secrets: &SecretsKeys, what: &str, id: &str, number: u64) -> Result<String, Error> {
    let tag =
        tags(secrets, what, id, number).next().ok_or_else(|| Error::away("there is no `secrets_key`"))?;
    Ok(format!("{what}.{id}.{number}.{tag}"))
}

/// Takes `text` apart, where it is a `what` that this server has made.
fn taken(secrets: &SecretsKeys, what: &str, text: &str) -> Option<Taken> {
    let mut parts = text.split('.').filter(|_| text.len() <= LONGEST);
    let (kind, id, number, tag) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let number: u64 = number.parse().ok()?;
    let good = kind == what
        && parts.next().is_none()
        && tags(secrets, what, id, number).any(|known| random::same(&known, tag));
    good.then(|| Taken { id: id.to_owned(), number })
}

/// What codes begin with.
const CODES: &str = "tgc";

/// What refresh tokens begin with.
const REFRESH: &str = "tgr";

/// Begins a grant, and says its code.
pub(crate) async fn begin(
    store: &Store<'_>,
    call: &Call<'_>,
    signed_in: &SignedIn,
    request: &Request,
) -> Result<String, Error> {
    let id = random::name()?;
    let grant = Grant {
        client: request.client.clone(),
        client_name: String::new(),
        subject: signed_in.session.subject.clone(),
        scopes: request.scopes.clone(),
        resources: request.resources.clone(),
        nonce: request.nonce.clone(),
        redirect_uri: Some(request.redirect_uri.clone()),
        challenge: request.challenge.clone(),
        auth_time: signed_in.session.began,
        amr: signed_in.session.amr.clone(),
        created: call.now,
        code: Some(call.now + CODE),
        refresh: None,
        revoked: false,
    };
    let code = written(call.secrets, CODES, &id, 0)?;
    store.make(&document(&id), &grant, call.now + CODE).await?;
    Ok(code)
}

/// A grant that begins without a code: somebody has let in a device.
pub(crate) async fn begin_directly(
    store: &Store<'_>,
    call: &Call<'_>,
    known: &Known,
    (subject, auth_time, amr): (String, Timestamp, Vec<String>),
    (scopes, resources): (Vec<String>, Vec<String>),
) -> Result<Granted, Error> {
    let id = random::name()?;
    let mut grant = Grant {
        client: known.client.id.clone(),
        client_name: known.client.name.clone(),
        subject,
        scopes,
        resources,
        nonce: None,
        redirect_uri: None,
        challenge: None,
        auth_time,
        amr,
        created: call.now,
        code: None,
        refresh: None,
        revoked: false,
    };
    grant.refresh = first_refresh(&grant, &known.client, call.server, call.now);
    if grant.refresh.is_some() {
        list(store, &id, &grant.subject, call.now).await?;
    }
    store.make(&document(&id), &grant, ends(&grant, call.server, call.now)).await?;
    let refresh_token = refresh_token(call.secrets, &id, &grant)?;
    Ok(Granted { id, grant, refresh_token })
}

/// Gives a client what it has a code for. A code that is used a second time was stolen from somebody: all that came of it
/// ends (RFC 6749 §4.1.2).
pub(crate) async fn redeem(
    store: &Store<'_>,
    call: &Call<'_>,
    known: &Known,
) -> Result<Result<Granted, Reused>, Error> {
    let invalid = |why: &str| Error::new("invalid_grant", why);
    let code = call.form.get("code").ok_or_else(|| Error::new("invalid_request", "`code` is missing"))?;
    let taken = taken(call.secrets, CODES, code).ok_or_else(|| invalid("the code is not known"))?;
    let client = &known.client;
    let change = |grant: Option<Grant>| {
        let mut grant = grant.ok_or_else(|| invalid("the code is over"))?;
        if grant.client != client.id {
            return Err(invalid("the code is another client's"));
        }
        if call.form.get("redirect_uri").is_some_and(|uri| Some(uri) != grant.redirect_uri.as_deref()) {
            return Err(invalid("`redirect_uri` is not the one that the code was sent to"));
        }
        // Before anything ends: whoever has only found a code somewhere ends nothing.
        verify(grant.challenge.as_deref(), call.form.get("code_verifier"))?;
        let Some(until) = grant.code else { return Ok(reused(grant, call)) };
        if call.now >= until {
            return Err(invalid("the code is over"));
        }
        grant.code = None;
        grant.client_name.clone_from(&client.name);
        grant.refresh = first_refresh(&grant, client, call.server, call.now);
        let ends = ends(&grant, call.server, call.now);
        Ok(Changed { document: grant.clone(), ends, result: Ok(grant) })
    };
    // Listed first: what cannot be listed is not used up.
    if client.may(GrantKind::RefreshToken)
        && let Some(grant) = find(store, &taken.id).await?
        && grant.client == client.id
        && grant.code.is_some_and(|until| call.now < until)
    {
        list(store, &taken.id, &grant.subject, call.now).await?;
    }
    let grant = match store.change(&document(&taken.id), change).await? {
        Ok(redeemed) => redeemed,
        Err(reused) => return Ok(Err(reused)),
    };
    let refresh_token = refresh_token(call.secrets, &taken.id, &grant)?;
    Ok(Ok(Granted { id: taken.id, grant, refresh_token }))
}

/// Ends `grant`, of which something was used twice.
fn reused<R>(mut grant: Grant, call: &Call<'_>) -> Changed<Grant, Result<R, Reused>> {
    grant.revoked = true;
    let reused = Reused { client: grant.client.clone(), subject: grant.subject.clone() };
    let ends = ends(&grant, call.server, call.now);
    Changed { document: grant, ends, result: Err(reused) }
}

/// Whether `verifier` is what `challenge` was made of (RFC 7636 §4.6).
fn verify(challenge: Option<&str>, verifier: Option<&str>) -> Result<(), Error> {
    let invalid = |why: &str| Err(Error::new("invalid_grant", why));
    match (challenge, verifier) {
        (None, None) => Ok(()),
        // Whoever takes the challenge out of somebody's request must not get a code that needs none (OAuth 2.1 §4.1.3).
        (None, Some(_)) => invalid("there is a `code_verifier`, and no `code_challenge` was sent"),
        (Some(_), None) => invalid("`code_verifier` is missing"),
        (Some(challenge), Some(verifier)) => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
            let well = (43..=128).contains(&verifier.len()) && verifier.bytes().all(plain);
            match well && random::same(challenge, &random::challenge(verifier)) {
                true => Ok(()),
                false => invalid("`code_verifier` is not the one of the request"),
            }
        }
    }
}

/// Gives a client the next tokens for a refresh token. One that was used before was stolen from somebody: the grant ends.
pub(crate) async fn refresh(
    store: &Store<'_>,
    call: &Call<'_>,
    known: &Known,
) -> Result<Result<Granted, Reused>, Error> {
    let invalid = |why: &str| Error::new("invalid_grant", why);
    let token = call.form.get("refresh_token");
    let token = token.ok_or_else(|| Error::new("invalid_request", "`refresh_token` is missing"))?;
    let taken =
        taken(call.secrets, REFRESH, token).ok_or_else(|| invalid("the refresh token is not known"))?;
    let change = |grant: Option<Grant>| {
        let mut grant = grant.ok_or_else(|| invalid("the refresh token is over"))?;
        if grant.client != known.client.id {
            return Err(invalid("the refresh token is another client's"));
        }
        let before = grant.refresh.clone().filter(|refresh| !grant.revoked && call.now < refresh.ends);
        let before = before.ok_or_else(|| invalid("the refresh token is over, or was taken back"))?;
        let again = taken.number + 1 == before.number && call.now <= before.since + GRACE;
        if taken.number != before.number && !again {
            return Ok(reused(grant, call));
        }
        if !again {
            let ends = (call.now + call.server.refresh_token).min(grant.created + LONGEST_GRANT);
            grant.refresh = Some(Refresh { number: before.number + 1, since: call.now, ends });
        }
        let ends = ends(&grant, call.server, call.now);
        Ok(Changed { document: grant.clone(), ends, result: Ok(grant) })
    };
    let grant = match store.change(&document(&taken.id), change).await? {
        Ok(refreshed) => refreshed,
        Err(reused) => return Ok(Err(reused)),
    };
    let refresh_token = refresh_token(call.secrets, &taken.id, &grant)?;
    Ok(Ok(Granted { id: taken.id, grant, refresh_token }))
}

/// A code or a refresh token was used twice.
pub(crate) struct Reused {
    pub(crate) client: String,
    pub(crate) subject: String,
}

/// The first refresh token, where the client gets one: an application that signs people in has to ask for it
/// (OpenID Connect Core §11), others go on by themselves.
fn first_refresh(grant: &Grant, client: &Client, server: &Server, now: Timestamp) -> Option<Refresh> {
    let refresh = Refresh { number: 1, since: now, ends: now + server.refresh_token };
    // A grant without an address to go back to is a device's.
    let was_asked = client.consent || grant.redirect_uri.is_none();
    gets_refresh_token(client, &grant.scopes, was_asked).then_some(refresh)
}

/// Whether `client` gets a refresh token where `scopes` were granted: where somebody `was_asked`, they were told.
pub(crate) fn gets_refresh_token(client: &Client, scopes: &[String], was_asked: bool) -> bool {
    let has = |scope: &str| scopes.iter().any(|known| known == scope);
    client.may(GrantKind::RefreshToken) && (has("offline_access") || !has("openid") || was_asked)
}

/// Until when a grant is of use: as long as anything is good that came of it.
fn ends(grant: &Grant, server: &Server, now: Timestamp) -> Timestamp {
    let access = now + server.access_token;
    grant.refresh.as_ref().map_or(access, |refresh| refresh.ends.max(access))
}

fn refresh_token(secrets: &SecretsKeys, id: &str, grant: &Grant) -> Result<Option<String>, Error> {
    grant.refresh.as_ref().map(|refresh| written(secrets, REFRESH, id, refresh.number)).transpose()
}

/// The grant `id`, where it is good still.
pub(crate) async fn find(store: &Store<'_>, id: &str) -> Result<Option<Grant>, Error> {
    Ok(store.read::<Grant>(&document(id)).await?.filter(|grant| !grant.revoked))
}

/// The grant that a refresh token came of, be it the one that is good now or one before.
pub(crate) fn named(secrets: &SecretsKeys, token: &str) -> Option<String> {
    taken(secrets, REFRESH, token).map(|taken| taken.id)
}

/// The grant of a refresh token that is good, and until when it is.
pub(crate) async fn of_refresh_token(
    store: &Store<'_>,
    secrets: &SecretsKeys,
    token: &str,
    now: Timestamp,
) -> Result<Option<(String, Grant, Timestamp)>, Error> {
    let Some(taken) = taken(secrets, REFRESH, token) else { return Ok(None) };
    let Some(grant) = find(store, &taken.id).await? else { return Ok(None) };
    let ends = grant.refresh.as_ref().filter(|refresh| refresh.number == taken.number && now < refresh.ends);
    let ends = ends.map(|refresh| refresh.ends);
    Ok(ends.map(|ends| (taken.id, grant, ends)))
}

/// Ends the grant `id`, where it is `client`'s.
pub(crate) async fn revoke(store: &Store<'_>, id: &str, client: &str) -> Result<bool, Error> {
    end(store, id, |grant| grant.client == client).await
}

/// Ends the grant `id`, where it is somebody's own.
pub(crate) async fn revoke_own(store: &Store<'_>, id: &str, subject: &str) -> Result<bool, Error> {
    end(store, id, |grant| grant.subject == subject).await
}

async fn end(store: &Store<'_>, id: &str, may: impl Fn(&Grant) -> bool) -> Result<bool, Error> {
    let missing = || Error::new("invalid_request", "there is no such grant");
    let change = |grant: Option<Grant>| {
        let mut grant = grant.filter(&may).ok_or_else(missing)?;
        grant.revoked = true;
        let ends = grant
            .refresh
            .as_ref()
            .map_or(Timestamp::now() + SignedDuration::from_hours(1), |refresh| refresh.ends);
        Ok(Changed { document: grant, ends, result: () })
    };
    match store.change(&document(id), change).await {
        Ok(()) => Ok(true),
        Err(error) if error == missing() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The grants of somebody that last, the oldest first.
fn of_person(subject: &str) -> String {
    format!("grants/{subject}")
}

/// Lists a grant among its person's, for as long as it may last.
async fn list(store: &Store<'_>, id: &str, subject: &str, now: Timestamp) -> Result<(), Error> {
    let oldest = store
        .change(&of_person(subject), |known: Option<Vec<String>>| {
            let mut all = known.unwrap_or_default();
            all.retain(|known| known != id);
            let oldest = (all.len() >= MOST_APPLICATIONS).then(|| all.remove(0));
            all.push(id.to_owned());
            Ok(Changed { document: all, ends: now + LONGEST_GRANT, result: oldest })
        })
        .await?;
    if let Some(oldest) = oldest {
        revoke_own(store, &oldest, subject).await?;
    }
    Ok(())
}

/// The applications that act for somebody.
pub(crate) async fn applications(
    store: &Store<'_>,
    login: &Login,
    now: Timestamp,
) -> Result<Vec<Application>, Error> {
    let ids = store.read::<Vec<String>>(&of_person(&login.subject)).await?.unwrap_or_default();
    let mut applications = Vec::new();
    for id in ids.into_iter().rev() {
        let Some(grant) = find(store, &id).await? else { continue };
        let lives = grant.refresh.as_ref().is_some_and(|refresh| now < refresh.ends);
        if lives && grant.is_of(login) {
            let since = grant.created.to_string().chars().take(10).collect();
            applications.push(Application { id, name: grant.client_name, since });
        }
    }
    Ok(applications)
}

impl Grant {
    /// Whether it is of `login` as it is now: not from before all ended that was.
    pub(crate) fn is_of(&self, login: &Login) -> bool {
        self.subject == *login.subject && login.not_before.is_none_or(|first| first <= self.auth_time)
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::secret::Secret;

    use super::*;

    #[test]
    fn what_was_not_made_here_is_not_taken_apart() {
        let secrets = |key: &str, before: &[&str]| SecretsKeys {
            key: Some(Secret::new(key)),
            before: before.iter().map(|key| Secret::new(*key)).collect(),
        };
        let (one, two) = (secrets("one", &[]), secrets("two", &["one"]));
        let token = written(&one, REFRESH, "abc", 7).unwrap();
        let known = taken(&two, REFRESH, &token).unwrap();
        assert_eq!((known.id.as_str(), known.number), ("abc", 7));
        assert!(taken(&one, CODES, &token).is_none());
        assert!(taken(&secrets("two", &[]), REFRESH, &token).is_none());
        for wrong in
            [token.replace(".7.", ".8."), token.replace("abc", "abd"), format!("{token}.x"), String::new()]
        {
            assert!(taken(&one, REFRESH, &wrong).is_none(), "{wrong}");
        }
    }

    /// The example of RFC 7636 appendix B.
    #[test]
    fn a_verifier_is_what_the_challenge_was_made_of() {
        let challenge = Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let verifier = Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(verify(challenge, verifier), Ok(()));
        assert!(verify(challenge, None).is_err());
        assert!(verify(challenge, challenge).is_err());
        assert!(verify(None, verifier).is_err());
        assert!(verify(None, None).is_ok());
    }
}
