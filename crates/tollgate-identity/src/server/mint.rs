//! Tokens: access tokens (RFC 9068) and ID tokens (OpenID Connect Core §2). None is for nobody.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tollgate_core::config::identity::{Client, Server, is_within};
use tollgate_core::identity::Login;

use super::discovery::endpoint;
use super::grants::Grant;
use super::reply::Error;
use super::{Call, IdentityServer, claims, random};

/// For whom an access token is made, and for what.
pub(crate) struct Access<'a> {
    pub(crate) client: &'a Client,
    /// The person; without one the client has it for itself.
    pub(crate) login: Option<&'a Login>,
    pub(crate) scopes: &'a [String],
    pub(crate) resources: &'a [String],
    /// The grant that it came of, and when its person has signed in.
    pub(crate) grant: Option<(&'a str, &'a Grant)>,
    /// Who acts for the person (RFC 8693 §4.1).
    pub(crate) act: Option<Value>,
    /// It ends no later than this, in seconds since 1970.
    pub(crate) until: Option<i64>,
}

impl IdentityServer {
    /// An access token, and for how many seconds it is good.
    pub(crate) fn access_token(&self, call: &Call<'_>, access: &Access<'_>) -> Result<(String, i64), Error> {
        let server = call.server;
        let now = call.now.as_second();
        let lasts = seconds(server.access_token);
        let ends = access.until.map_or(now + lasts, |until| until.min(now + lasts));
        let mut said = json!({
            "iss": &*server.issuer,
            "sub": access.login.map_or(access.client.id.as_str(), |login| &login.subject),
            "aud": audience(server, access.resources, access.scopes),
            "client_id": access.client.id,
            "iat": now,
            "exp": ends,
            "jti": random::name()?,
            "scope": access.scopes.join(" "),
        });
        if let Some(login) = access.login {
            let own = access.resources.iter().any(|resource| is_of_gate(server, resource));
            let mut scopes = access.scopes.to_vec();
            // The gate itself asks who somebody is, and in which groups, whatever the client asks for.
            if own {
                scopes.extend(["profile", "groups"].map(str::to_owned));
            }
            let known = claims::of(server, login, &scopes);
            for name in ["preferred_username", "groups", "email", "email_verified"] {
                if let Some(value) = known.get(name) {
                    said[name] = value.clone();
                }
            }
        }
        if let Some((id, grant)) = access.grant {
            said["grant"] = id.into();
            said["auth_time"] = grant.auth_time.as_second().into();
            // What ended in the same second was before or after it.
            said["auth_time_ms"] = grant.auth_time.as_millisecond().into();
            said["amr"] = json!(grant.amr);
        }
        if let Some(act) = &access.act {
            said["act"] = act.clone();
        }
        let algorithm = server.algorithms.first().copied().unwrap_or_default();
        Ok((self.signing.sign(algorithm, "at+jwt", &said, call.now)?, ends - now))
    }

    /// An ID token, which tells `client` who has signed in.
    pub(crate) fn id_token(
        &self,
        call: &Call<'_>,
        client: &Client,
        login: &Login,
        grant: &Grant,
    ) -> Result<String, Error> {
        let mut said = id_claims(call.server, client, login, &grant.scopes, call.now);
        said.insert("auth_time".to_owned(), grant.auth_time.as_second().into());
        said.insert("amr".to_owned(), json!(grant.amr));
        if let Some(nonce) = &grant.nonce {
            said.insert("nonce".to_owned(), nonce.as_str().into());
        }
        self.signing.sign(client.algorithm, "JWT", &Value::Object(said), call.now)
    }
}

/// What an ID token of `login` says to `client`, but for when and how they have signed in.
pub(crate) fn id_claims(
    server: &Server,
    client: &Client,
    login: &Login,
    scopes: &[String],
    now: Timestamp,
) -> Map<String, Value> {
    let lasts = seconds(server.access_token);
    let mut said = claims::of(server, login, scopes);
    let own = [
        ("iss", json!(&*server.issuer)),
        ("sub", json!(&*login.subject)),
        ("aud", json!(client.id)),
        ("azp", json!(client.id)),
        ("iat", json!(now.as_second())),
        ("exp", json!(now.as_second() + lasts)),
    ];
    said.extend(own.map(|(name, value)| (name.to_owned(), value)));
    said
}

/// So many seconds, as tokens count them.
fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Whom a token is for: what was asked for, and who tells whose it is where that may be asked.
pub(crate) fn audience(server: &Server, resources: &[String], scopes: &[String]) -> Value {
    let userinfo = endpoint(server, "userinfo");
    let mut audience = resources.to_vec();
    if scopes.iter().any(|scope| scope == "openid") && !audience.contains(&userinfo) {
        audience.push(userinfo);
    }
    match &audience[..] {
        [only] => only.as_str().into(),
        several => json!(several),
    }
}

/// Whether `resource` is the gate or an address of it.
pub(crate) fn is_of_gate(server: &Server, resource: &str) -> bool {
    is_within(resource, &server.gate) && resource != endpoint(server, "userinfo")
}
