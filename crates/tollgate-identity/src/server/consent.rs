//! Asking whoever is signed in whether a client may act for them.

use http::StatusCode;

use super::browser::Browser;
use super::clients::Known;
use super::reply::{Error, Reply, page};
use super::request::{Prompt, Request, still};
use super::sessions::{Consent, SignedIn};
use super::{Call, IdentityServer, authorize, grants, pages, sessions};

/// What requests are carried for that somebody is asked about.
const ASKED: &str = "what somebody was asked to agree to";

/// The page that asks.
pub(crate) fn asks(
    call: &Call<'_>,
    browser: &Browser,
    signed_in: &SignedIn,
    known: &Known,
    request: &Request,
) -> Result<Reply, Error> {
    let shown = pages::Asked {
        client: &known.client.name,
        is_strange: known.is_strange,
        to: Some(origin(&request.redirect_uri)),
        scopes: &request.scopes,
        resources: &request.resources,
        lasts: grants::gets_refresh_token(&known.client, &request.scopes, known.client.consent),
        user: &signed_in.login().user,
    };
    // Only what this person was asked in this session can be agreed to.
    let next = call.carry(ASKED, &(request, &signed_in.name))?;
    let form = pages::Hidden { next: &next, token: &browser.form_token(call.secrets) };
    let markup = pages::consent(call.server, &shown, &form);
    let mut reply = page(StatusCode::OK, &markup, Some(origin(&request.redirect_uri)));
    browser.keep(&mut reply);
    Ok(reply)
}

impl IdentityServer {
    /// `POST /oauth/consent`: what they have answered.
    pub(super) async fn consented(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        if !browser.has_sent(call.head, call.form.get("form"), call.secrets) {
            return Err(not_from_here());
        }
        let asked = call.form.get("next").and_then(|text| call.carried::<(Request, String)>(ASKED, text));
        let (mut request, session) = asked.ok_or_else(not_from_here)?;
        let signed_in = self.signed_in(call, &browser).await?;
        let Some(signed_in) = signed_in.filter(|signed_in| signed_in.name == session) else {
            return Err(not_from_here());
        };
        let known = self.client(call, &request.client).await?;
        request = still(request, &known, call.server)?;
        if call.form.get("answer") != Some("allow") {
            let denied = Error::new("access_denied", "whoever was asked did not agree");
            return Ok(authorize::refused(call, &request, &denied));
        }
        let consent = Consent {
            client: request.client.clone(),
            scopes: request.scopes.clone(),
            resources: request.resources.clone(),
            at: call.now,
        };
        sessions::agree(&self.store(call), &signed_in, &consent).await?;
        // They have answered: all else that the request wants still holds.
        request.prompts.retain(|prompt| *prompt != Prompt::Consent);
        self.decide(call, request, true).await
    }
}

/// A form that no page of this server has sent, or one that was shown to another browser.
pub(crate) fn not_from_here() -> Error {
    Error::new(
        "invalid_request",
        "this form is out of date, or was not shown to this browser; go back and begin again",
    )
}

/// The beginning of an address, which says whose it is: its scheme, and its host where it has one.
pub(crate) fn origin(uri: &str) -> &str {
    let scheme = uri.find(':').map_or(uri.len(), |at| at + 1);
    match uri[scheme..].strip_prefix("//") {
        Some(rest) => &uri[..scheme + 2 + rest.find(['/', '?']).unwrap_or(rest.len())],
        None => &uri[..scheme],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_to_whom_they_go() {
        assert_eq!(origin("https://app.example.com:8443/cb?x=1"), "https://app.example.com:8443");
        assert_eq!(origin("https://app.example.com?x"), "https://app.example.com");
        assert_eq!(origin("com.example.app:/cb"), "com.example.app:");
        assert_eq!(origin("http://localhost"), "http://localhost");
    }
}
