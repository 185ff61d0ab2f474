//! Giving tokens back (RFC 7009): what came of a grant ends with any of its tokens.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::reply::{Error, Reply, json_reply};
use super::{Call, IdentityServer, grants};

impl IdentityServer {
    /// `POST /oauth/revoke`. Whether there was something to end is not told (RFC 7009 §2.2).
    pub(super) async fn revoke(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let known = self.authenticated(call).await?;
        let token = call.form.get("token");
        let token = token.ok_or_else(|| Error::new("invalid_request", "`token` is missing"))?;
        let id = match grants::named(call.secrets, token) {
            Some(id) => Some(id),
            None => self.presented(call, token).await.ok().and_then(|presented| Some(presented.grant?.0)),
        };
        if let Some(id) = id
            && grants::revoke(&self.store(call), &id, &known.client.id).await?
        {
            self.record("grant_revoked", json!({ "client": known.client.id, "grant": id }))?;
        }
        let mut reply = json_reply(StatusCode::OK, &Value::Null);
        *reply.body_mut() = Bytes::new();
        Ok(reply)
    }
}
