//! The authorization endpoint (RFC 6749 §3.1): whoever is in front of the browser signs in where they have not, agrees
//! where they are asked, and goes back to the client with a code.

use serde_json::json;
use tollgate_core::identity::Login;

use super::browser::Browser;
use super::consent::asks;
use super::next::Next;
use super::reply::{Error, Reply, see_other};
use super::request::{Prompt, Refused, Request, read};
use super::sessions::{Consent, SignedIn};
use super::{Call, IdentityServer, grants, own, sessions};

impl IdentityServer {
    /// `GET` or `POST /oauth/authorize`.
    pub(super) async fn authorize(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let id = call.form.get("client_id");
        let id = id.ok_or_else(|| Error::new("invalid_request", "no client is named (`client_id`)"))?;
        let known = self.client(call, id).await?;
        match read(&call.form, &known, call.server, call.now) {
            Ok(request) => self.decide(call, request).await,
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
            sessions::find(&self.store, &self.logins, browser.session.as_deref(), call.now).await?;
        Ok(signed_in.filter(|signed_in| self.lets_in(signed_in.login(), call.now).is_ok()))
    }

    /// What becomes of `request` now: a sign-in, a question, or an answer.
    pub(crate) async fn decide(&self, call: &Call<'_>, request: Request) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let signed_in = self.signed_in(call, &browser).await?;
        let silent = request.prompts.contains(&Prompt::None);
        let Some(signed_in) = signed_in.filter(|signed_in| is_recent(signed_in, &request)) else {
            if silent {
                return Ok(refused(call, &request, &Error::new("login_required", "nobody is signed in")));
            }
            return Ok(see_other(&call.page_with("sign-in", &Next::Authorize(Box::new(request)))?));
        };
        let known = self.client(call, &request.client).await?;
        if let Some(groups) = &known.client.groups
            && !signed_in.login().spec.groups.iter().any(|group| groups.contains(group))
        {
            let why = format!("{} may not sign in to this application", signed_in.login().user);
            return Ok(refused(call, &request, &Error::new("access_denied", why)));
        }
        let consent = Consent {
            client: request.client.clone(),
            scopes: request.scopes.clone(),
            resources: request.resources.clone(),
        };
        let must_ask = known.client.consent || request.prompts.contains(&Prompt::Consent);
        let agreed = signed_in.has_agreed(&consent) && !request.prompts.contains(&Prompt::Consent);
        if must_ask && !agreed {
            if silent {
                return Ok(refused(
                    call,
                    &request,
                    &Error::new("consent_required", "nobody has agreed to it yet"),
                ));
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
        let code = grants::begin(&self.store, call, signed_in, request).await?;
        self.record(
            "authorized",
            authorized(signed_in.login(), &request.client, &request.scopes, &request.resources),
        )?;
        Ok(see_other(&with_parameters(call, request, &[("code", &code)])))
    }
}

/// The detail of the event that somebody has let a client act for them.
pub(crate) fn authorized(
    login: &Login,
    client: &str,
    scopes: &[String],
    resources: &[String],
) -> serde_json::Value {
    json!({ "by": own::principal(login), "client": client, "scopes": scopes, "resources": resources })
}

/// Whether the sign-in is as recent as the client asks for (OpenID Connect Core §3.1.2.1).
fn is_recent(signed_in: &SignedIn, request: &Request) -> bool {
    let began = signed_in.session.began.as_millisecond();
    let again = request.prompts.iter().any(|prompt| matches!(prompt, Prompt::Login | Prompt::SelectAccount));
    // Whoever was sent to sign in again has, when they come back.
    (!again || began > request.at_ms)
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
    let separator = if request.redirect_uri.contains('?') { '&' } else { '?' };
    format!("{}{separator}{}", request.redirect_uri, query.finish())
}
