//! Signing out, as an application asks for it (OpenID Connect RP-Initiated Logout 1.0).

use http::StatusCode;
use serde_json::Value;

use super::browser::Browser;
use super::consent::not_from_here;
use super::reply::{Error, Reply, page, see_other, with_query};
use super::{Call, IdentityServer, pages, sessions};
use crate::tokens::jws::Jws;

impl IdentityServer {
    /// `GET` and `POST /oauth/logout`.
    pub(super) async fn logout(&self, call: &Call<'_>, posted: bool) -> Result<Reply, Error> {
        let browser = Browser::of(call.head, call.server)?;
        let hint = call.form.get("id_token_hint").and_then(|token| self.hint(call, token));
        let to = self.goes_to(call, hint.as_ref()).await?;
        let Some(signed_in) = self.signed_in(call, &browser).await? else {
            return Ok(left(self, call, &browser, to.as_deref()));
        };
        let own_form = posted && call.form.get("answer").is_some();
        if own_form && !browser.has_sent(call.head, call.form.get("form"), call.secrets) {
            return Err(not_from_here());
        }
        // An application that shows whom it has signed in is believed; others could sign people out of spite.
        let known = hint.as_ref().is_some_and(|(subject, _)| *subject == signed_in.session.subject);
        if own_form || known {
            sessions::end(&self.store(call), &signed_in).await?;
            return Ok(left(self, call, &browser, to.as_deref()));
        }
        let parameters: Vec<(&str, &str)> =
            ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"]
                .into_iter()
                .filter_map(|name| Some((name, call.form.get(name)?)))
                .collect();
        let token = browser.form_token(call.secrets);
        let markup = pages::logout(call.server, &signed_in.login().user, &parameters, &token);
        let mut reply = page(StatusCode::OK, &markup, to.as_deref().map(super::consent::origin));
        browser.keep(&mut reply);
        Ok(reply)
    }

    /// Whom an ID token of this server is of, and for which client, also when it has ended.
    pub(super) fn hint(&self, call: &Call<'_>, token: &str) -> Option<(String, String)> {
        let jws = Jws::read(token).ok()?;
        self.signing.check(&jws).ok()?;
        let all: Value = jws.unchecked().ok()?;
        let text = |name: &str| all.get(name).and_then(Value::as_str).map(str::to_owned);
        // Other tokens of this server say nothing of a sign-in at a client.
        let is_id_token = text("azp").is_some() && text("azp") == text("aud");
        let own = text("iss").as_deref() == Some(&*call.server.issuer);
        (own && is_id_token).then(|| Some((text("sub")?, text("aud")?)))?
    }

    /// Where the browser goes afterwards: to an address that the client has named beforehand, and nowhere else.
    async fn goes_to(
        &self,
        call: &Call<'_>,
        hint: Option<&(String, String)>,
    ) -> Result<Option<String>, Error> {
        let Some(asked) = call.form.get("post_logout_redirect_uri") else { return Ok(None) };
        let wrong = |why: &str| Error::new("invalid_request", why);
        let client = call.form.get("client_id").or(hint.map(|(_, client)| client.as_str()));
        // Who does not say who they are sends nobody anywhere.
        let Some(client) = client else { return Ok(None) };
        if hint.is_some_and(|(_, of)| of != client) {
            return Err(wrong("the application shows a token of another one"));
        }
        let known = self.client(call, client).await?;
        if !known.client.post_logout_redirect_uris.iter().any(|own| own == asked) {
            return Err(wrong("the application asks to send you to an address that is not one of its own"));
        }
        let with_state = call.form.get("state").map(|state| {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
            with_query(asked, &query)
        });
        Ok(Some(with_state.unwrap_or_else(|| asked.to_owned())))
    }
}

/// Nobody is signed in any more.
fn left(server: &IdentityServer, call: &Call<'_>, browser: &Browser, to: Option<&str>) -> Reply {
    match to {
        None => server.gone(call, browser),
        Some(to) => {
            let mut reply = see_other(to);
            browser.end_session(&mut reply);
            reply
        }
    }
}
