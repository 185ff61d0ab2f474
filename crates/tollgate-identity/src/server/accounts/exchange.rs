//! Tokens that say for whom the gate asks: the person in `sub`, whoever acts for them in `act` (RFC 8693 §4.1). The tool server
//! takes the gate's own, or its authorization server gives another for it (RFC 8693 §2.1).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tollgate_core::config::identity::{OWN_ISSUER, Server};
use tollgate_core::config::tools::{Exchange, ToolServer};
use tollgate_core::identity::{Acting, Login, NoAccount};
use tollgate_core::secret::Secret;

use super::keep::{Endpoint, Hidden};
use super::register::Ours;
use super::token::{NotGiven, asked};
use crate::server::reply::Error;
use crate::server::{IdentityServer, claims, random};

/// How long the gate's own tokens are good, in seconds.
const GOOD_S: i64 = 300;

/// A token is got anew when it is good for less than this.
const MARGIN: SignedDuration = SignedDuration::from_secs(30);

impl IdentityServer {
    /// A token for `server` that says that the gate asks for whoever has `login`, and who acts for them.
    pub(super) async fn exchanged_token(
        &self,
        own: &Server,
        (server, exchange): (&ToolServer, &Exchange),
        (login, acting): (&Login, Option<&Acting>),
        refused: Option<&Secret>,
    ) -> Result<Secret, NoAccount> {
        let by = acting.map(|acting| acting.by.as_slice()).unwrap_or_default();
        // What is said of somebody changes with their login.
        let name = format!("{} {} {} {by:?} {exchange:?}", server.name, login.subject, login.updated_at);
        let now = self.clock.now();
        let good = |(token, ends): &(Secret, Timestamp)| now + MARGIN < *ends && refused != Some(token);
        if let Some((token, _)) = self.accounts.exchanged.get(&name).filter(good) {
            return Ok(token);
        }
        let turn = self.accounts.turn(&name);
        let _one_at_a_time = turn.lock().await;
        if let Some((token, _)) = self.accounts.exchanged.get(&name).filter(good) {
            return Ok(token);
        }
        let away = |error: Error| NoAccount::Away(error.why);
        let (token, ends) = match &exchange.at {
            None => (
                self.delegated(own, exchange, &exchange.resource, login, by).map_err(away)?,
                now + good_for(),
            ),
            Some((at, id, secret)) => {
                let subject = self.delegated(own, exchange, at, login, by).map_err(away)?;
                self.exchanged(exchange, (at, id, secret), &subject, now).await?
            }
        };
        let token = Secret::new(token);
        self.accounts.exchanged.insert(name, (token.clone(), ends));
        Ok(token)
    }

    /// The gate's own token for `audience`.
    fn delegated(
        &self,
        own: &Server,
        exchange: &Exchange,
        audience: &str,
        login: &Login,
        by: &[String],
    ) -> Result<String, Error> {
        let now = self.clock.now();
        let scopes = ["profile", "email", "groups"].map(str::to_owned);
        let mut said = claims::of(own, login, &scopes);
        let protocol = [
            ("iss", json!(&*own.issuer)),
            ("sub", json!(&*login.subject)),
            ("aud", json!(audience)),
            ("client_id", json!(OWN_ISSUER)),
            ("iat", json!(now.as_second())),
            ("exp", json!(now.as_second() + GOOD_S)),
            ("jti", json!(random::name()?)),
        ];
        said.extend(protocol.map(|(name, value)| (name.to_owned(), value)));
        if let Some(scope) = &exchange.scope {
            said.insert("scope".to_owned(), scope.as_str().into());
        }
        if let Some(act) = act(by) {
            said.insert("act".to_owned(), act);
        }
        let algorithm = own.algorithms.first().copied().unwrap_or_default();
        self.signing.sign(algorithm, "at+jwt", &Value::Object(said), now)
    }

    async fn exchanged(
        &self,
        exchange: &Exchange,
        (at, id, secret): (&str, &str, &Secret),
        subject: &str,
        now: Timestamp,
    ) -> Result<(String, Timestamp), NoAccount> {
        let fetch = self.fetcher().ok_or_else(|| NoAccount::Away("the gate is not ready".to_owned()))?;
        let secret = Some(Hidden::new(secret.expose().to_owned()));
        let ours = Ours { id: id.to_owned(), secret, in_form: false };
        let token_type = "urn:ietf:params:oauth:token-type:access_token";
        let known = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject),
            ("subject_token_type", token_type),
            ("requested_token_type", token_type),
            ("resource", &exchange.resource),
        ];
        let scope = exchange.scope.as_ref().map(|scope| ("scope", scope.as_str()));
        let form: Vec<(&str, &str)> = known.into_iter().chain(scope).collect();
        // The configuration says where tokens come from.
        let endpoint = Endpoint { uri: at.to_owned(), private: true };
        match asked(&*fetch, &endpoint, &ours, &form).await {
            Ok(given) => {
                let ends = given.ends(now);
                Ok((given.access_token, ends))
            }
            Err(refused @ NotGiven::Refused(..)) => {
                let why = format!("there is no token for this person ({})", refused.words());
                Err(NoAccount::Missing { why, at: None })
            }
            Err(NotGiven::Away(why)) => Err(NoAccount::Away(format!("no token from `{at}`: {why}"))),
        }
    }
}

fn good_for() -> SignedDuration {
    SignedDuration::from_secs(GOOD_S)
}

/// Who acts, the last first; each says for whom before it (RFC 8693 §4.1).
fn act(by: &[String]) -> Option<Value> {
    by.iter().fold(None, |before, actor| {
        let mut act = json!({ "sub": actor });
        if let Some(before) = before {
            act["act"] = before;
        }
        Some(act)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_acts_last_is_outermost() {
        let by = ["key/laptop", "agent/planner"].map(str::to_owned);
        assert_eq!(act(&by).unwrap(), json!({ "sub": "agent/planner", "act": { "sub": "key/laptop" } }));
        assert_eq!(act(&[]), None);
    }
}
