//! Signing in at an issuer elsewhere (OpenID Connect Core §3.1): the gate is its client, and whoever has signed in there has a
//! login here, made when they first come.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use tollgate_core::access::{Holder, User, UserSpec};
use tollgate_core::changes::NotMade;
use tollgate_core::config::identity::{Issuer, SignIn};
use tollgate_core::principal::Principal;
use tollgate_core::secret::Secret;

use super::browser::Browser;
use super::consent::not_from_here;
use super::discovery::endpoint;
use super::logins::Listed;
use super::next::Next;
use super::reply::{Error, Reply, see_other, with_query};
use super::request::Prompt;
use super::{Call, IdentityServer, LoginError, own, random};
use crate::tokens::claims::Arrival;
use crate::tokens::metadata;

/// What a sign-in elsewhere is carried for.
const GOING: &str = "a sign-in elsewhere";

/// How long somebody may take there, in seconds.
const GOOD_S: i64 = 600;

/// For so long an issuer's metadata is not fetched again.
const KNOWN: Duration = Duration::from_mins(10);

/// Where issuers are signed in to.
pub(crate) struct Elsewhere(Cache<Arc<str>, Arc<Endpoints>>);

impl Default for Elsewhere {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(100).time_to_live(KNOWN).build())
    }
}

/// The part of an issuer's metadata that is needed.
#[derive(Debug, Deserialize)]
struct Endpoints {
    issuer: String,
    /// Whether it says in each answer who answers (RFC 9207).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    authorization_endpoint: String,
    token_endpoint: String,
}

/// What is given for a code.
#[derive(Deserialize)]
struct Given {
    id_token: String,
}

/// A sign-in that is under way elsewhere; the browser brings it back as `state`.
#[derive(Deserialize, Serialize)]
struct Going {
    issuer: String,
    nonce: String,
    verifier: String,
    /// What the browser's forms carry: in another one they are others.
    form: String,
    next: Next,
    /// Since when they must have signed in there, in seconds since 1970, where that is asked for.
    since: Option<i64>,
}

impl IdentityServer {
    /// `GET /oauth/with`: sends the browser to an issuer.
    pub(super) async fn go_elsewhere(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        // Each is a request of the gate where the metadata is not known.
        self.rate.take_from("sign-in elsewhere", call.peer, 120)?;
        let next = call.next()?;
        let (issuer, sign_in) = named(call, call.form.get("issuer").unwrap_or_default())?;
        let endpoints = self.endpoints(issuer).await?;
        let (nonce, verifier) = (random::name()?, random::secret()?);
        let challenge = random::challenge(&verifier);
        let (again, max_age) = match &next {
            Next::Authorize(request) => {
                let again =
                    request.prompts.iter().any(|one| matches!(one, Prompt::Login | Prompt::SelectAccount));
                (again, request.max_age)
            }
            Next::Activate(_) | Next::Account | Next::Connections | Next::Local(_) | Next::Visit(_) => {
                (false, None)
            }
        };
        let form = browser.form_token(call.secrets);
        let now = call.now.as_second();
        let since = if again { Some(now) } else { max_age.map(|age| now - age) };
        let going =
            Going { issuer: issuer.name.to_string(), nonce: nonce.clone(), verifier, form, next, since };
        let state = call.carry_until(GOING, &going, now + GOOD_S)?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([
            ("response_type", "code"),
            ("client_id", &sign_in.client_id),
            ("redirect_uri", &endpoint(call.server, "with/callback")),
            ("scope", &sign_in.scope),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        if again {
            query.append_pair("prompt", "login");
        }
        if let Some(age) = max_age {
            query.append_pair("max_age", &age.to_string());
        }
        let mut reply = see_other(&with_query(&endpoints.authorization_endpoint, &query.finish()));
        browser.keep(&mut reply);
        Ok(reply)
    }

    /// `GET /oauth/with/callback`: the browser is back.
    pub(super) async fn back_from_elsewhere(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let going = call.form.get("state").and_then(|state| call.carried::<Going>(GOING, state));
        let own = |going: &Going| random::same(&going.form, &browser.form_token(call.secrets));
        let going = going.filter(own).ok_or_else(not_from_here)?;
        let (issuer, sign_in) = named(call, &going.issuer)?;
        // Mix-up (RFC 9207): whoever answers is the one who was asked.
        let says = self.endpoints(issuer).await?.authorization_response_iss_parameter_supported;
        let iss = call.form.get("iss");
        if iss.is_some_and(|iss| iss != &*issuer.issuer) || (says && iss.is_none()) {
            return Err(Error::new("access_denied", "another issuer has answered than was asked"));
        }
        if let Some(why) = call.form.get("error") {
            let why: String = why.chars().filter(char::is_ascii_graphic).take(60).collect();
            return Err(Error::new("access_denied", format!("{} says: {why}", sign_in.label)));
        }
        let code = call.form.get("code").ok_or_else(not_from_here)?;
        // Once: nobody makes the gate ask again and again.
        let ends = call.now + jiff::SignedDuration::from_secs(GOOD_S);
        if !self.store(call).make(&format!("answered/{}", going.nonce), &true, ends).await? {
            return Err(not_from_here());
        }
        let arrival = self.arrival(call, (issuer, sign_in), code, &going).await?;
        let listed = self.arrived(issuer, arrival).await?;
        self.signed_in_with(call, &browser, &listed, &going.next, &["fed"]).await
    }

    /// Who it is that the issuer has signed in.
    async fn arrival(
        &self,
        call: &Call<'_>,
        (issuer, sign_in): (&Issuer, &SignIn),
        code: &str,
        going: &Going,
    ) -> Result<Arrival, Error> {
        let denied = |why: String| Error::new("access_denied", why);
        let uri = self.endpoints(issuer).await?.token_endpoint.parse::<Uri>();
        let uri = uri.map_err(|_| denied(format!("{} has no token endpoint", sign_in.label)))?;
        let authorization = sign_in.client_secret.as_ref().map(|secret| basic(&sign_in.client_id, secret));
        let back = endpoint(call.server, "with/callback");
        let known = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &back),
            ("code_verifier", &going.verifier),
        ];
        let public = authorization.is_none().then_some(("client_id", sign_in.client_id.as_str()));
        let pairs = known.into_iter().chain(public);
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let answered = self.fetch()?.post(uri, form, authorization, issuer.private).await;
        let failed = |why: String| {
            tracing::warn!(issuer = &*issuer.name, why, "a code of an issuer could not be redeemed");
            denied(format!("{} did not confirm the sign-in; try again", sign_in.label))
        };
        let answered = answered.map_err(failed)?;
        let given: Given =
            serde_json::from_slice(&answered).map_err(|_| failed("there is no ID token".to_owned()))?;
        let expected = (sign_in.client_id.as_str(), going.nonce.as_str());
        let claims = self.tokens.id_token((issuer, call.identity), &given.id_token, expected, call.now).await;
        let claims = claims.map_err(|why| failed(why.fault().message.to_string()))?;
        // Asking for it is no proof: the browser could take that out again (OpenID Connect Core §3.1.3.7).
        let skew = i64::try_from(issuer.skew.as_secs()).unwrap_or(0);
        let recent = |since: i64| claims.number("auth_time").is_some_and(|time| time + skew >= since);
        if going.since.is_some_and(|since| !recent(since)) {
            return Err(denied(format!(
                "{} did not ask you to sign in again, as the application wants",
                sign_in.label
            )));
        }
        claims.arrival(issuer).map_err(|why| denied(format!("your account at {} {why}", sign_in.label)))
    }

    /// Their login here, and the user of that name, whose budgets hold.
    async fn arrived(&self, issuer: &Issuer, arrival: Arrival) -> Result<Listed, Error> {
        let user = Arc::clone(&arrival.user);
        let arrived = self.logins.arrive(issuer, &arrival).await;
        let listed = arrived.map_err(|error| match error {
            LoginError::Away(why) => Error::away(why),
            LoginError::Taken => Error::new(
                "access_denied",
                format!("there is somebody else here who is called `{user}`, or has the same email address"),
            ),
            other => Error::new("access_denied", format!("`{user}` cannot sign in here: {other}")),
        })?;
        let now = self.clock.now();
        let caller = self.access.of(&Arc::new(own::subject(&listed.login)), now);
        // Who is blocked is there.
        let is_there = caller.map_or(true, |caller| {
            caller.accounts().any(|account| matches!(account.holder, Holder::User(_)))
        });
        if is_there {
            return Ok(listed);
        }
        let holder = User {
            id: Arc::clone(&listed.login.user),
            created_at: now,
            updated_at: now,
            spec: UserSpec::default(),
        };
        match self.users.keep(&Principal::gate(), "create", None, &Holder::User(holder)).await {
            Ok(_) | Err(NotMade::Exists) => Ok(listed),
            Err(NotMade::Stale) => Err(Error::away("the user was changed meanwhile")),
            Err(NotMade::Away(why)) => Err(Error::away(why)),
        }
    }

    async fn endpoints(&self, issuer: &Issuer) -> Result<Arc<Endpoints>, Error> {
        if let Some(known) = self.elsewhere.0.get(&issuer.issuer) {
            return Ok(known);
        }
        let away = |why: String| {
            tracing::warn!(issuer = &*issuer.name, why, "the metadata of an issuer could not be read");
            Error::new(
                "temporarily_unavailable",
                format!("`{}` cannot be reached now; try again in a moment", issuer.name),
            )
        };
        let fetch = self.fetch()?;
        let text = metadata::fetched(issuer, &*fetch).await.map_err(away)?;
        let read: Endpoints = serde_json::from_slice(&text).map_err(|error| away(error.to_string()))?;
        let secure =
            |url: &str| url.starts_with("https://") || (issuer.private && url.starts_with("http://"));
        if read.issuer != *issuer.issuer {
            return Err(away("it is of another issuer".to_owned()));
        }
        if !secure(&read.authorization_endpoint) || !secure(&read.token_endpoint) {
            return Err(away("its endpoints are not encrypted".to_owned()));
        }
        let read = Arc::new(read);
        self.elsewhere.0.insert(Arc::clone(&issuer.issuer), Arc::clone(&read));
        Ok(read)
    }
}

/// The issuer `name`, where people sign in with it.
fn named<'a>(call: &Call<'a>, name: &str) -> Result<(&'a Issuer, &'a SignIn), Error> {
    let identity = call.identity;
    let issuer = identity.issuers.iter().find(|issuer| *issuer.name == *name);
    let both = issuer.and_then(|issuer| Some((issuer, issuer.sign_in.as_ref()?)));
    both.ok_or_else(|| Error::new("invalid_request", "nobody signs in with that issuer here"))
}

/// `Authorization: Basic …` of a client (RFC 6749 §2.3.1).
pub(crate) fn basic(id: &str, secret: &Secret) -> Secret {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
    Secret::new(format!("Basic {}", STANDARD.encode(pair)))
}

/// The issuers with which people sign in, as they see them: the name, and what is written there.
pub(crate) fn offered<'a>(call: &Call<'a>) -> Vec<(&'a str, &'a str)> {
    let issuers = call.identity.issuers.iter();
    issuers.filter_map(|issuer| Some((&*issuer.name, issuer.sign_in.as_ref()?.label.as_str()))).collect()
}
