//! Whether a token is good now (RFC 7662), for whoever it is presented to.

use http::StatusCode;
use serde_json::{Value, json};

use super::reply::{Error, Reply, json_reply};
use super::{Call, IdentityServer, grants};

impl IdentityServer {
    /// `POST /oauth/introspect`.
    pub(super) async fn introspect(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let known = self.authenticated(call).await?;
        let client = &known.client;
        if client.secret.is_none() {
            return Err(Error::new("invalid_client", "only a client with a secret may ask"));
        }
        let token = call.form.get("token");
        let token = token.ok_or_else(|| Error::new("invalid_request", "`token` is missing"))?;
        let refresh = grants::of_refresh_token(&self.store(call), call.secrets, token, call.now).await?;
        if let Some((_, grant, ends)) = refresh.filter(|(_, grant, _)| grant.client == client.id) {
            let active = self.person(call, client, &grant).await.is_ok();
            let said = json!({
                "active": true, "client_id": grant.client, "sub": grant.subject, "scope": grant.scopes.join(" "),
                "exp": ends.as_second(), "iss": &*call.server.issuer,
            });
            return Ok(json_reply(StatusCode::OK, if active { &said } else { &INACTIVE }));
        }
        let Ok(presented) = self.presented(call, token).await else {
            return Ok(json_reply(StatusCode::OK, &INACTIVE));
        };
        // Nobody learns of tokens that are neither theirs nor for them (RFC 7662 §2.2, §4).
        let theirs = client.audience.as_ref().is_some_and(|own| presented.audience.contains(own));
        if presented.client != client.id && !theirs {
            return Ok(json_reply(StatusCode::OK, &INACTIVE));
        }
        let mut said = presented.all;
        said["active"] = true.into();
        said["token_type"] = "Bearer".into();
        if let Some(login) = &presented.login {
            said["username"] = (*login.user).into();
        }
        Ok(json_reply(StatusCode::OK, &said))
    }
}

/// The whole answer where a token is not good: why is nobody's business.
static INACTIVE: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| json!({ "active": false }));
