//! The authorization endpoint (RFC 6749 §3.1): whoever is in front of the browser signs in where they have not, agrees
//! where they are asked, and goes back to the client with a code.

use serde_json::json;
use tollgate_core::config::identity::{Client, SecondFactor, Server};
use tollgate_core::identity::Login;

use super::browser::Browser;
use super::consent::asks;
use super::next::Next;
use super::reply::{Error, Reply, see_other, with_query};
use super::request::{Prompt, Refused, Request, read, still};
use super::sessions::{Consent, SignedIn};
use super::{Call, IdentityServer, grants, own, sessions};

impl IdentityServer {
    /// `GET` or `POST /oauth/authorize`.
    pub(super) async fn authorize(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let id = call.form.get("client_id");
        let id = id.ok_or_else(|| Error::new("invalid_request", "no client is named (`client_id`)"))?;
        let known = self.client(call, id).await?;
        let read = read(&call.form, &known, call.server, call.now);
        if let (Err(Refused::Page(error) | Refused::There(_, error)), false) = (&read, known.is_strange) {
            // For whoever sets the application up.
            let asked: String = call.form.get("redirect_uri").unwrap_or_default().chars().take(200).collect();
            tracing::info!(client = id, redirect_uri = asked, why = error.why, "a sign-in was refused");
        }
        match read {
            Ok(mut request) => {
                request.hinted = call.form.get("id_token_hint").map(|token| {
                    // A token that is none of this server's names nobody who can be signed in.
                    self.hint(call, token).map(|(subject, _)| subject).unwrap_or_default()
                });
                self.decide(call, request, false).await
            }
            // Nobody knows this client: it does not make the gate send people where it likes.
            Err(Refused::There(_, error)) if known.is_strange => Err(error),
            Err(Refused::There(request, error)) => Ok(refused(call, &request, &error)),
            Err(Refused::Page(error)) => Err(error),
        }
    }

    /// Whoever is signed in in the browser, where somebody is and may be.
    pub(crate) async fn signed_in(
        &self,
        call: &Call<'_>,
        browser: &Browser,
    ) -> Result<Option<SignedIn>, Error> {
        if browser.session.is_some() && !self.logins.is_read() {
            return Err(Error::away("logins could not be read yet"));
        }
        let signed_in =
            sessions::find(&self.store(call), &self.logins, browser.session.as_deref(), call.now).await?;
        let signed_in = signed_in.filter(|signed_in| {
            is_enough(call.server, &signed_in.session.amr) && signed_in.login().is_configured(call.identity)
        });
        Ok(signed_in.filter(|signed_in| self.lets_in(signed_in.login(), call.now).is_ok()))
    }

    /// What becomes of `request` now: a sign-in, a question, or an answer. `has_just_agreed` where the question was answered.
    pub(crate) async fn decide(
        &self,
        call: &Call<'_>,
        request: Request,
        has_just_agreed: bool,
    ) -> Result<Reply, Error> {
        let known = self.client(call, &request.client).await?;
        // It may have come a while ago: what the client may do now counts.
        let request = still(request, &known, call.server)?;
        let browser = Browser::of(call.head, call.server)?;
        let signed_in = self.signed_in(call, &browser).await?;
        let silent = request.prompts.contains(&Prompt::None);
        let refuse = |code, why: &str| match Error::new(code, why) {
            error if known.is_strange => Err(error),
            error => Ok(refused(call, &request, &error)),
        };
        let Some(signed_in) = signed_in.filter(|signed_in| is_recent(signed_in, &request)) else {
            if silent {
                return refuse("login_required", "nobody is signed in, or somebody else");
            }
            return Ok(see_other(&call.page_with("sign-in", &Next::Authorize(Box::new(request)))?));
        };
        if !may_use(&known.client, signed_in.login()) {
            return refuse("access_denied", "whoever is signed in may not sign in to this application");
        }
        let consent = Consent {
            client: request.client.clone(),
            scopes: request.scopes.clone(),
            resources: request.resources.clone(),
            at: call.now,
        };
        // A program that anybody on the machine can be is not believed to be the one that was agreed to before
        // (RFC 8252 §8.6).
        let provable = known.client.secret.is_some() || request.redirect_uri.starts_with("https://");
        let before = match signed_in.has_agreed(&consent) {
            Some(at) => {
                let whose = (signed_in.session.subject.as_str(), consent.client.as_str());
                sessions::holds(&self.store(call), whose, at).await?
            }
            None => false,
        };
        let agreed = before && !request.prompts.contains(&Prompt::Consent) && (provable || has_just_agreed);
        let must_ask = known.client.consent || request.prompts.contains(&Prompt::Consent) || !provable;
        if must_ask && !agreed {
            if silent {
                return refuse("consent_required", "nobody has agreed to it yet");
            }
            return asks(call, &browser, &signed_in, &known, &request);
        }
        self.send_code(call, &signed_in, &request).await
    }

    /// Sends the browser back with a code.
    pub(crate) async fn send_code(
        &self,
        call: &Call<'_>,
        signed_in: &SignedIn,
        request: &Request,
    ) -> Result<Reply, Error> {
        let code = grants::begin(&self.store(call), call, signed_in, request).await?;
        let Request { client, scopes, resources, .. } = request;
        let by = own::principal(signed_in.login());
        let detail = json!({ "by": by, "client": client, "scopes": scopes, "resources": resources });
        self.record("authorized", detail)?;
        Ok(see_other(&with_parameters(call, request, &[("code", &code)])))
    }
}

/// Whether it is enough how somebody has shown who they are. Whoever has signed in elsewhere is asked for more there.
pub(crate) fn is_enough(server: &Server, amr: &[String]) -> bool {
    server.totp == SecondFactor::Optional || amr.iter().any(|how| how == "otp" || how == "fed")
}

/// Whether whoever has `login` may use `client`.
pub(crate) fn may_use(client: &Client, login: &Login) -> bool {
    client.groups.as_ref().is_none_or(|groups| login.spec.groups.iter().any(|group| groups.contains(group)))
}

/// Whether the sign-in is as recent as the client asks for (OpenID Connect Core §3.1.2.1).
fn is_recent(signed_in: &SignedIn, request: &Request) -> bool {
    let began = signed_in.session.began.as_millisecond();
    let again = request.prompts.iter().any(|prompt| matches!(prompt, Prompt::Login | Prompt::SelectAccount));
    // Whoever was sent to sign in again has, when they come back.
    let hinted = request.hinted.as_ref().is_none_or(|subject| *subject == signed_in.session.subject);
    hinted
        && (!again || began > request.at_ms)
        && request.max_age.is_none_or(|age| began >= request.at_ms - age * 1_000)
}

/// Sends the browser back with why not (RFC 6749 §4.1.2.1).
pub(crate) fn refused(call: &Call<'_>, request: &Request, error: &Error) -> Reply {
    let why = super::reply::ascii(&error.why);
    see_other(&with_parameters(call, request, &[("error", error.code), ("error_description", &why)]))
}

/// Where the browser goes, with `parameters`, the client's `state`, and who answers (RFC 9207).
fn with_parameters(call: &Call<'_>, request: &Request, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    if let Some(state) = &request.state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", &call.server.issuer);
    with_query(&request.redirect_uri, &query.finish())
}
