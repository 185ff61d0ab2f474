//! Token exchange (RFC 8693): an application that takes somebody's tokens gets one for what it asks in their name; who acts
//! for them stands in it, each before the last.

use http::StatusCode;
use serde_json::{Value, json};
use tollgate_core::config::identity::Client;

use super::authorize::may_use;
use super::mint::Access;
use super::reply::{Error, Reply, json_reply};
use super::request::resources;
use super::token::answer;
use super::userinfo::Presented;
use super::{Call, IdentityServer, own};

/// What is exchanged, and what comes of it.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The same, as some clients call it.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// So many may act for one another.
const MOST_ACTORS: usize = 8;

impl IdentityServer {
    /// A token for a token.
    pub(super) async fn exchange(&self, call: &Call<'_>, client: &Client) -> Result<Reply, Error> {
        let invalid = |why: &str| Error::new("invalid_request", why);
        if client.secret.is_none() {
            return Err(Error::new("unauthorized_client", "only a client with a secret exchanges tokens"));
        }
        let subject = call.form.get("subject_token").ok_or_else(|| invalid("`subject_token` is missing"))?;
        if !matches!(call.form.get("subject_token_type"), Some(ACCESS_TOKEN | JWT)) {
            return Err(invalid("`subject_token_type` is not that of an access token"));
        }
        if !matches!(call.form.get("requested_token_type"), None | Some(ACCESS_TOKEN | JWT)) {
            return Err(invalid("`requested_token_type`: there are access tokens only"));
        }
        if call.form.get("actor_token").is_some() {
            return Err(invalid("`actor_token`: the client that asks is the one who acts"));
        }
        let presented = self.presented(call, subject).await.map_err(|why| invalid(&why))?;
        // Whoever has found somebody's token does not get another one for it.
        let theirs = client.audience.as_ref().is_some_and(|own| presented.audience.contains(own));
        if !theirs && presented.client != client.id {
            return Err(invalid(
                "the token is not for this client: its `aud` must be the client's `audience`",
            ));
        }
        let login = presented.login.as_ref();
        let login = login.ok_or_else(|| invalid("the token is a program's: there is nobody to act for"))?;
        // Neither for whom the client that has the token is not, nor for whom the one is not that asks.
        let first = self.client(call, &presented.client).await?;
        if !may_use(client, login) || !may_use(&first.client, login) {
            return Err(invalid("whoever the token is of may not use this client"));
        }
        let act = acts(client, presented.act.as_ref())?;
        let resources = resources(&call.form, client, call.server)?;
        let scopes = narrowed(call, client, &presented);
        let access = Access {
            client,
            login: Some(login),
            scopes: &scopes,
            resources: &resources,
            grant: presented.grant.as_ref().map(|(id, grant)| (id.as_str(), grant)),
            act: Some(act),
            until: Some(presented.until),
        };
        let (token, lasts_s) = self.access_token(call, &access)?;
        let by = own::principal(login);
        self.record(
            "token_exchanged",
            json!({ "by": by, "client": client.id, "resources": resources, "scopes": scopes }),
        )?;
        let mut said = answer(&token, lasts_s, &scopes);
        said["issued_token_type"] = ACCESS_TOKEN.into();
        Ok(json_reply(StatusCode::OK, &said))
    }
}

/// Who acts: the client, for those who did before (RFC 8693 §4.1).
fn acts(client: &Client, before: Option<&Value>) -> Result<Value, Error> {
    let mut act = json!({ "sub": client.id });
    let mut depth = 1;
    let mut next = before;
    while let Some(actor) = next {
        depth += 1;
        next = actor.get("act");
    }
    if depth > MOST_ACTORS {
        return Err(Error::new("invalid_request", format!("more than {MOST_ACTORS} act for one another")));
    }
    if let Some(before) = before {
        act["act"] = before.clone();
    }
    Ok(act)
}

/// The scopes of the new token: those that are asked for, or all, as far as the old one has them and the client may.
fn narrowed(call: &Call<'_>, client: &Client, presented: &Presented) -> Vec<String> {
    let asked: Vec<&str> = call.form.words("scope").collect();
    let wanted = |scope: &&String| asked.is_empty() || asked.contains(&scope.as_str());
    let may =
        |scope: &&String| client.may_ask_for(scope) && !matches!(scope.as_str(), "openid" | "offline_access");
    presented.scopes.iter().filter(wanted).filter(may).cloned().collect()
}
