//! Who is behind an access token (OpenID Connect Core §5.3), for whoever was given it.

use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::Value;
use tollgate_core::identity::Login;

use super::discovery::endpoint;
use super::grants::Grant;
use super::reply::{self, Error, Reply, json_reply};
use super::{Call, IdentityServer, claims, grants};
use crate::tokens::claims::Claims;
use crate::tokens::jws::Jws;

/// What an access token of this server says, which is good now.
pub(crate) struct Presented {
    pub(crate) client: String,
    pub(crate) audience: Vec<String>,
    pub(crate) scopes: Vec<String>,
    /// The person; none where the client has it for itself.
    pub(crate) login: Option<Login>,
    pub(crate) grant: Option<(String, Grant)>,
    pub(crate) act: Option<Value>,
    /// Until when it is good, in seconds since 1970.
    pub(crate) until: i64,
    /// All that it says.
    pub(crate) all: Value,
}

impl IdentityServer {
    /// What `token` says, where this server has given it out and all holds still that it came of; otherwise why not.
    pub(crate) async fn presented(&self, call: &Call<'_>, token: &str) -> Result<Presented, String> {
        let jws = Jws::read(token).map_err(|why| format!("the token {why}"))?;
        if !jws.is_access_token() {
            return Err("it is no access token".to_owned());
        }
        self.signing.check(&jws).map_err(|()| "the token is not signed by this server".to_owned())?;
        let all: Value = jws.unchecked()?;
        let known: Claims = jws.unchecked()?;
        let text = |name: &str| all.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let until = all.get("exp").and_then(Value::as_i64).unwrap_or(0);
        if known.issuer() != Some(&*call.server.issuer) || call.now.as_second() >= until {
            return Err("the token has ended".to_owned());
        }
        let (client, subject) = (text("client_id"), text("sub"));
        let grant = match all.get("grant").and_then(Value::as_str) {
            None => None,
            Some(id) => {
                let grant = grants::find(&self.store(call), id).await.map_err(|error| error.why)?;
                Some((id.to_owned(), grant.ok_or("what the token came of has ended")?))
            }
        };
        let login =
            if subject == client { None } else { Some(self.still(call, &subject, grant.as_ref()).await?) };
        Ok(Presented {
            audience: known.audience(),
            scopes: text("scope").split_ascii_whitespace().map(str::to_owned).collect(),
            act: all.get("act").cloned(),
            client,
            login,
            grant,
            until,
            all,
        })
    }

    /// Whoever is `subject`, where they may sign in still and have not ended what the token came of.
    async fn still(
        &self,
        call: &Call<'_>,
        subject: &str,
        grant: Option<&(String, Grant)>,
    ) -> Result<Login, String> {
        let listed = self
            .logins
            .of_subject_since(subject, 0)
            .await
            .map_err(|error| error.to_string())?
            .ok_or("whoever the token is of is gone")?;
        if grant.is_some_and(|(_, grant)| !grant.is_of(&listed.login)) {
            return Err("what the token came of has ended".to_owned());
        }
        if !listed.login.is_configured(call.identity) {
            return Err("nobody signs in any more where whoever the token is of does".to_owned());
        }
        self.lets_in(&listed.login, call.now).map_err(|error| error.why)?;
        Ok(listed.login)
    }

    /// `GET` and `POST /oauth/userinfo`.
    pub(super) async fn userinfo(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let header = call.head.headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        let bearer = header.and_then(|header| header.split_once(' '));
        let bearer =
            bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token);
        // Or in a body that is a form (RFC 6750 §2.2).
        let posted = call.form.get("access_token").filter(|_| call.head.method == http::Method::POST);
        let Some(token) = bearer.or(posted) else {
            return Ok(reply::challenged("Bearer"));
        };
        let presented =
            self.presented(call, token.trim()).await.map_err(|why| Error::new("invalid_token", why))?;
        if !presented.audience.contains(&endpoint(call.server, "userinfo")) {
            return Err(Error::new(
                "insufficient_scope",
                "the token is not for this: `openid` was not asked for",
            ));
        }
        let login = presented.login.ok_or_else(|| Error::new("invalid_token", "the token is nobody's"))?;
        let mut said = claims::of(call.server, &login, &presented.scopes);
        said.insert("sub".to_owned(), (*login.subject).into());
        Ok(json_reply(StatusCode::OK, &Value::Object(said)))
    }
}
