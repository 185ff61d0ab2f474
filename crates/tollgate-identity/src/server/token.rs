//! The token endpoint (RFC 6749 §3.2).

use http::StatusCode;
use serde_json::{Value, json};
use tollgate_core::config::identity::{Client, GrantKind, SCOPES, is_within};
use tollgate_core::identity::Login;

use super::authorize::{is_enough, may_use};
use super::clients::Known;
use super::grants::Granted;
use super::mint::Access;
use super::reply::{Error, Reply, json_reply};
use super::request::{granted_scopes, resources, rest};
use super::{Call, IdentityServer, grants, own};

impl IdentityServer {
    /// `POST /oauth/token`.
    pub(super) async fn token(&self, call: &Call<'_>) -> Result<Reply, Error> {
        let asked = call.form.get("grant_type");
        let asked = asked.ok_or_else(|| Error::new("invalid_request", "`grant_type` is missing"))?;
        let kind = GrantKind::ALL.into_iter().find(|kind| kind.name() == asked);
        let kind =
            kind.ok_or_else(|| Error::new("unsupported_grant_type", "there is no such `grant_type` here"))?;
        let known = self.authenticated(call).await?;
        if !known.client.may(kind) {
            return Err(Error::new("unauthorized_client", "this client gets no tokens in this way"));
        }
        match kind {
            GrantKind::AuthorizationCode => match grants::redeem(&self.store(call), call, &known).await? {
                Ok(mut granted) => {
                    narrow_resources(call, &known, &mut granted)?;
                    self.tokens_of(call, &known, granted, true).await
                }
                Err(reused) => Err(self.reused("code", &reused)),
            },
            GrantKind::RefreshToken => self.refreshed(call, &known).await,
            GrantKind::ClientCredentials => self.for_itself(call, &known.client),
            GrantKind::DeviceCode => self.of_device(call, &known).await,
            GrantKind::TokenExchange => self.exchange(call, &known.client).await,
        }
    }

    async fn refreshed(&self, call: &Call<'_>, known: &Known) -> Result<Reply, Error> {
        match grants::refresh(&self.store(call), call, known).await? {
            Ok(mut granted) => {
                narrow_scopes(call, &mut granted)?;
                narrow_resources(call, known, &mut granted)?;
                self.tokens_of(call, known, granted, false).await
            }
            Err(reused) => Err(self.reused("refresh_token", &reused)),
        }
    }

    /// Notes that a code or a refresh token was used twice, and so by two.
    fn reused(&self, what: &str, reused: &grants::Reused) -> Error {
        let user = self.logins.of_subject(&reused.subject).map(|listed| own::principal(&listed.login));
        self.note("token_reused", json!({ "what": what, "client": reused.client, "user": user }));
        Error::new(
            "invalid_grant",
            format!("the {what} was used already: all that came of the grant has ended"),
        )
    }

    /// Whoever has let the client act for them, where that holds still.
    pub(crate) async fn person(
        &self,
        call: &Call<'_>,
        client: &Client,
        grant: &grants::Grant,
    ) -> Result<Login, Error> {
        if !self.logins.is_read() {
            return Err(Error::away("logins could not be read yet"));
        }
        let listed = self
            .logins
            .of_subject_since(&grant.subject, 0)
            .await?
            .filter(|listed| grant.is_of(&listed.login));
        let login = listed.map(|listed| listed.login);
        let login = login.ok_or_else(|| {
            Error::new("invalid_grant", "whoever has granted it has ended that, or is gone")
        })?;
        self.lets_in(&login, call.now).map_err(|error| Error::new("invalid_grant", error.why))?;
        if !may_use(client, &login) {
            return Err(Error::new(
                "invalid_grant",
                "whoever has granted it may not use this client any more",
            ));
        }
        if !login.is_configured(call.identity) {
            return Err(Error::new(
                "invalid_grant",
                "nobody signs in any more where whoever has granted it does",
            ));
        }
        if !is_enough(call.server, &grant.amr) {
            return Err(Error::new("invalid_grant", "one-time codes are required by now; sign in again"));
        }
        Ok(login)
    }

    /// The tokens that come of a grant.
    pub(crate) async fn tokens_of(
        &self,
        call: &Call<'_>,
        known: &Known,
        mut granted: Granted,
        is_new: bool,
    ) -> Result<Reply, Error> {
        let client = &known.client;
        let Granted { grant, .. } = &mut granted;
        // What the configuration has taken from the client since is not granted any more.
        (grant.scopes, grant.resources) = rest(client, call.server, &grant.scopes, &grant.resources)?;
        let grant = &granted.grant;
        let login = self.person(call, client, grant).await?;
        let access = Access {
            client,
            login: Some(&login),
            scopes: &grant.scopes,
            resources: &grant.resources,
            grant: Some((&granted.id, grant)),
            act: None,
            until: None,
        };
        let (token, lasts_s) = self.access_token(call, &access)?;
        let mut said = answer(&token, lasts_s, &grant.scopes);
        if let Some(refresh) = &granted.refresh_token {
            said["refresh_token"] = refresh.as_str().into();
        }
        if grant.scopes.iter().any(|scope| scope == "openid") {
            said["id_token"] = self.id_token(call, client, &login, grant)?.into();
        }
        if is_new {
            let by = own::principal(&login);
            let detail =
                json!({ "by": by, "client": client.id, "grant": granted.id, "resources": grant.resources });
            self.record("tokens_given", detail)?;
        }
        Ok(json_reply(StatusCode::OK, &said))
    }

    /// A token that a client has for itself (RFC 6749 §4.4).
    fn for_itself(&self, call: &Call<'_>, client: &Client) -> Result<Reply, Error> {
        let scopes = granted_scopes(&call.form, client, call.server);
        // There is nobody who signs in, and nobody who is away.
        let scopes: Vec<String> =
            scopes.into_iter().filter(|scope| !SCOPES.contains(&scope.as_str())).collect();
        let resources = resources(&call.form, client, call.server)?;
        let access = Access {
            client,
            login: None,
            scopes: &scopes,
            resources: &resources,
            grant: None,
            act: None,
            until: None,
        };
        let (token, lasts_s) = self.access_token(call, &access)?;
        Ok(json_reply(StatusCode::OK, &answer(&token, lasts_s, &scopes)))
    }
}

/// A token as it is given out (RFC 6749 §5.1).
pub(crate) fn answer(token: &str, lasts_s: i64, scopes: &[String]) -> Value {
    json!({ "access_token": token, "token_type": "Bearer", "expires_in": lasts_s, "scope": scopes.join(" ") })
}

/// What a client asks for of what it was granted: no more than that (RFC 6749 §6, RFC 8707 §2.2).
fn narrow_scopes(call: &Call<'_>, granted: &mut Granted) -> Result<(), Error> {
    if call.form.get("scope").is_some() {
        let asked: Vec<String> = call.form.words("scope").map(str::to_owned).collect();
        if !asked.iter().all(|scope| granted.grant.scopes.contains(scope)) {
            return Err(Error::new(
                "invalid_scope",
                "a refresh token is good for the scopes that were granted, and no others",
            ));
        }
        granted.grant.scopes = asked;
    }
    Ok(())
}

fn narrow_resources(call: &Call<'_>, known: &Known, granted: &mut Granted) -> Result<(), Error> {
    if call.form.all("resource").next().is_some() {
        let asked = resources(&call.form, &known.client, call.server)?;
        let within = |resource: &String| granted.grant.resources.iter().any(|own| is_within(resource, own));
        if !asked.iter().all(within) {
            return Err(Error::new(
                "invalid_target",
                "tokens are for the resources that were granted, and no others",
            ));
        }
        granted.grant.resources = asked;
    }
    Ok(())
}
