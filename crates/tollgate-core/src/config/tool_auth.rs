//! With which credential a tool server is asked: the setting `tool_servers.NAME.auth`.

use http::{HeaderValue, Uri};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::resolve::Resolver;
use super::{ConfigError, SecretRef};
use crate::secret::Secret;

/// A credential as written: one of these.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthWritten {
    /// A token that is sent as it is.
    Bearer(Spanned<SecretRef>),
    /// A token is fetched (OAuth 2.0 client credentials, RFC 6749 §4.4).
    ClientCredentials(ClientCredentialsWritten),
    /// With an account that somebody has there (OAuth 2.1, as MCP has it).
    Account(AccountWritten),
    /// With a token that says for whom the gate asks (OAuth 2.0 token exchange, RFC 8693).
    Exchange(ExchangeWritten),
}

/// An account at a tool server as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountWritten {
    /// Whose account: `user` (each their own, default) or `gate` (one for all, which an admin connects).
    pub of: AccountOf,
    /// What is asked for there, default what the server says that it wants.
    pub scope: Option<String>,
    /// The server's authorization server, default what the server says.
    pub issuer: Option<Spanned<String>>,
    /// The gate's id there, default it registers by itself.
    pub client_id: Option<String>,
    /// Its secret there.
    pub client_secret: Option<Spanned<SecretRef>>,
}

/// Whose account it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountOf {
    /// Each person's own.
    #[default]
    User,
    /// One for all.
    Gate,
}

/// Token exchange as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeWritten {
    /// Where tokens are exchanged; without it the gate's own token is what the server gets.
    #[serde(default)]
    pub token_url: Option<Spanned<String>>,
    /// The gate's id there.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Its secret there.
    #[serde(default)]
    pub client_secret: Option<Spanned<SecretRef>>,
    /// For what.
    #[serde(default)]
    pub scope: Option<String>,
    /// For whom (RFC 8707), default the server's address.
    #[serde(default)]
    pub resource: Option<String>,
}

/// OAuth client credentials as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentialsWritten {
    /// Where tokens are given out.
    pub token_url: Spanned<String>,
    /// The client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Spanned<SecretRef>,
    /// For what.
    #[serde(default)]
    pub scope: Option<String>,
    /// For whom (RFC 8707), default the server's address.
    #[serde(default)]
    pub resource: Option<String>,
}

/// A tool server's credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// None.
    #[default]
    None,
    /// A token that is sent as it is.
    Bearer(Secret),
    /// A token is fetched.
    ClientCredentials(ClientCredentials),
    /// With an account that somebody has there.
    Account(AccountAuth),
    /// With a token that says for whom the gate asks.
    Exchange(Exchange),
}

/// An account at a tool server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountAuth {
    /// Whose.
    pub of: AccountOf,
    /// What is asked for there; `None` for what the server says.
    pub scope: Option<String>,
    /// The authorization server; `None` for the one that the server names.
    pub issuer: Option<String>,
    /// The gate's id there, and its secret; `None` where it registers by itself.
    pub client: Option<(String, Option<Secret>)>,
}

/// Tokens that say for whom the gate asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Where the gate's own token is exchanged, and who the gate is there; `None` where that is what the server gets.
    pub at: Option<(String, String, Secret)>,
    /// For what.
    pub scope: Option<String>,
    /// For whom.
    pub resource: String,
}

/// OAuth client credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCredentials {
    /// Where tokens are given out.
    pub token_url: String,
    /// The client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// For what.
    pub scope: Option<String>,
    /// For whom.
    pub resource: String,
}

impl Resolver<'_> {
    pub(super) fn auth(
        &self,
        name: &str,
        url: &str,
        written: Option<&AuthWritten>,
    ) -> Result<Auth, ConfigError> {
        let secret = |written: &Spanned<SecretRef>| {
            let wrong =
                |why: String| ConfigError::at(written.referenced, format!("tool server `{name}`: {why}"));
            let secret = written.value.read(self.world.environment).map_err(wrong)?;
            if HeaderValue::from_str(secret.expose()).is_err() {
                return Err(wrong("the credential holds characters that no header can carry".to_owned()));
            }
            Ok(secret)
        };
        Ok(match written {
            None => Auth::None,
            Some(AuthWritten::Bearer(token)) => Auth::Bearer(secret(token)?),
            Some(AuthWritten::ClientCredentials(client)) => {
                let place = client.token_url.referenced;
                let wrong = |why: String| ConfigError::at(place, format!("tool server `{name}`: {why}"));
                let token_url = self.token_address(name, &client.token_url)?;
                Auth::ClientCredentials(ClientCredentials {
                    token_url,
                    client_id: self.interpolate(&client.client_id).map_err(wrong)?,
                    client_secret: secret(&client.client_secret)?,
                    scope: client.scope.clone(),
                    resource: client.resource.clone().unwrap_or_else(|| url.to_owned()),
                })
            }
            Some(AuthWritten::Account(account)) => Auth::Account(AccountAuth {
                of: account.of,
                scope: account.scope.clone(),
                issuer: account.issuer.as_ref().map(|issuer| self.token_address(name, issuer)).transpose()?,
                client: match (&account.client_id, &account.client_secret) {
                    (Some(_), Some(written)) if account.issuer.is_none() => {
                        let why = format!(
                            "tool server `{name}`: a `client_secret` is for one authorization server, and not for whichever the tool server \
                             names: `issuer`"
                        );
                        return Err(ConfigError::at(written.referenced, why));
                    }
                    (Some(id), written) => Some((id.clone(), written.as_ref().map(secret).transpose()?)),
                    (None, None) => None,
                    (None, Some(written)) => {
                        let why =
                            format!("tool server `{name}`: a `client_secret` is somebody's: `client_id`");
                        return Err(ConfigError::at(written.referenced, why));
                    }
                },
            }),
            Some(AuthWritten::Exchange(exchange)) => Auth::Exchange(Exchange {
                at: match (&exchange.token_url, &exchange.client_id, &exchange.client_secret) {
                    (Some(at), Some(id), Some(written)) => {
                        Some((self.token_address(name, at)?, id.clone(), secret(written)?))
                    }
                    (None, None, None) => None,
                    _ => {
                        return Err(ConfigError::new(format!(
                            "tool server `{name}`: `token_url`, `client_id` and `client_secret` come together"
                        )));
                    }
                },
                scope: exchange.scope.clone(),
                resource: exchange.resource.clone().unwrap_or_else(|| url.to_owned()),
            }),
        })
    }

    /// An address that tokens come from.
    fn token_address(&self, name: &str, written: &Spanned<String>) -> Result<String, ConfigError> {
        let wrong = |why: String| ConfigError::at(written.referenced, format!("tool server `{name}`: {why}"));
        let text = self.interpolate(&written.value).map_err(wrong)?;
        let parsed = text.parse::<Uri>().ok().filter(|uri| uri.host().is_some());
        if parsed.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https"))) {
            return Ok(text);
        }
        Err(wrong("where tokens come from must begin with https:// or http:// and name a host".to_owned()))
    }
}
