//! The gate's own authorization server: the setting `identity.server`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::clients::{Client, ClientWritten};
use super::{Identity, IdentityWritten, Issuer};
use crate::config::ConfigError;
use crate::config::resolve::Resolver;
use crate::config::secrets::SecretsKeys;

/// Scopes that say something of people (OpenID Connect Core §5.4, §11).
pub const SCOPES: [&str; 5] = ["openid", "profile", "email", "groups", "offline_access"];

/// What the gate itself is called among issuers.
pub const OWN_ISSUER: &str = "tollgate";

/// Signatures that tokens may have (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
pub enum SigningAlgorithm {
    /// RSA with PKCS #1 v1.5 and SHA-256: every application can check it.
    #[default]
    RS256,
    /// ECDSA over P-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl SigningAlgorithm {
    /// Its name in tokens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }
}

/// Who needs a one-time code besides the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactor {
    /// Whoever has set it up.
    #[default]
    Optional,
    /// Everybody.
    Required,
}

/// The authorization server as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerWritten {
    /// Its path below `identity.url`, default none: both together are the issuer.
    pub path: Option<Spanned<String>>,
    /// Whether MCP clients may register by themselves, default false.
    pub mcp: bool,
    /// What it signs with, default `[RS256]`: the first where a client says nothing else.
    pub algorithms: Option<Spanned<Vec<SigningAlgorithm>>>,
    /// Who needs a one-time code besides the password: `optional` (default) or `required`.
    pub totp: SecondFactor,
    /// How long access tokens and ID tokens are good, default 600, at most 3600.
    pub access_token_s: Option<Spanned<u64>>,
    /// How long a client may go without asking for new tokens, default 30, at most 365.
    pub refresh_token_days: Option<Spanned<u64>>,
    /// How long somebody stays signed in, default 12, at most 720.
    pub session_hours: Option<Spanned<u64>>,
    /// How long a key signs, default 90, at most 3650.
    pub rotate_days: Option<Spanned<u64>>,
    /// What else is said of a user, by the claim's name.
    pub claims: BTreeMap<String, Spanned<ClaimWritten>>,
    /// Applications, by the ids that they have as clients.
    pub clients: BTreeMap<String, Spanned<ClientWritten>>,
}

/// A claim as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimWritten {
    /// What it says of everybody: a text, a number, `true`, a list.
    #[serde(default)]
    pub value: Option<Value>,
    /// What of the user it says: `user`, `email`, `name`, `groups` or `subject`.
    #[serde(default)]
    pub from: Option<ClaimSource>,
    /// The scope that it comes with, default `profile`.
    #[serde(default)]
    pub scope: Option<String>,
}

/// What of a user a claim says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimSource {
    /// The user's name.
    User,
    /// The email address.
    Email,
    /// What people call them.
    Name,
    /// The groups.
    Groups,
    /// The name that is never given to somebody else.
    Subject,
}

/// What a claim says.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimValue {
    /// The same of everybody.
    Fixed(Value),
    /// Something of the user.
    Of(ClaimSource),
}

/// A claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: ClaimValue,
    /// The scope that it comes with.
    pub scope: String,
}

/// The authorization server.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Who it is in tokens.
    pub issuer: Arc<str>,
    /// Its path on this gate, without a slash at its end.
    pub path: Arc<str>,
    /// The gate's own address.
    pub gate: Arc<str>,
    /// Whether MCP clients may register.
    pub mcp: bool,
    /// What it signs with.
    pub algorithms: Vec<SigningAlgorithm>,
    /// Who needs a one-time code.
    pub totp: SecondFactor,
    /// How long access tokens and ID tokens are good.
    pub access_token: Duration,
    /// How long a client may go without asking for new tokens.
    pub refresh_token: Duration,
    /// How long somebody stays signed in.
    pub session: Duration,
    /// How long a key signs.
    pub rotate: Duration,
    /// What else is said of users.
    pub claims: Vec<Claim>,
    /// Applications.
    pub clients: Vec<Arc<Client>>,
    /// The scopes that tools want, beside those of OpenID Connect.
    pub tool_scopes: Vec<String>,
}

impl Server {
    /// Whether browsers reach it by TLS.
    pub fn is_secure(&self) -> bool {
        self.gate.starts_with("https://")
    }

    /// The gate's own issuer, as one whose tokens are taken.
    pub(super) fn as_issuer(&self) -> Issuer {
        Issuer {
            name: Arc::from(OWN_ISSUER),
            issuer: Arc::clone(&self.issuer),
            audience: Vec::new(),
            keys_url: None,
            user: "preferred_username".to_owned(),
            groups: "groups".to_owned(),
            email_domains: None,
            agents: true,
            private: false,
            // Another instance may have given it out, whose clock is another.
            skew: Duration::from_secs(30),
            own: true,
            sign_in: None,
        }
    }
}

/// Claims that are the protocol's: nobody may say otherwise.
const RESERVED: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "azp",
    "nonce",
    "auth_time",
    "acr",
    "amr",
    "at_hash",
    "c_hash",
    "client_id",
    "scope",
    "act",
    "may_act",
    "cnf",
    "sid",
    "groups",
    "preferred_username",
    "email",
];

impl Resolver<'_> {
    pub(in crate::config) fn identity_server(
        &self,
        all: &IdentityWritten,
        identity: &Identity,
        master_key: bool,
        secrets: &SecretsKeys,
    ) -> Result<Option<Arc<Server>>, ConfigError> {
        let Some(written) = &all.server else { return Ok(None) };
        let (place, written) = (written.referenced, &written.value);
        let needs = |what: &str, why: &str| {
            Err(ConfigError::at(place, format!("`identity.server` needs `{what}`: {why}")))
        };
        let Some(gate) = identity.url.clone() else {
            return needs("identity.url", "the address at which browsers and clients reach this gate");
        };
        if !gate.starts_with("https://") && !is_loopback(&gate) {
            let why = format!(
                "`identity.url` is `{gate}`, which is not encrypted, and passwords go there: it must be `https://…`; `http://` is for this \
                 machine only (`http://localhost:4000`)"
            );
            return Err(ConfigError::at(all.url.as_ref().map_or(place, |url| url.referenced), why));
        }
        if secrets.key.is_none() {
            return needs("secrets_key", "its signing keys are kept encrypted (`openssl rand -hex 32`)");
        }
        if !master_key {
            return needs("master_key", "whoever reaches a gate without one may do everything");
        }
        let path = path(written.path.as_ref())?;
        let issuer: Arc<str> = format!("{gate}{path}").into();
        let algorithms = algorithms(written.algorithms.as_ref())?;
        let tool_scopes: Vec<String> = identity.scopes.iter().map(|scope| scope.scope.clone()).collect();
        let claims: Vec<Claim> =
            written.claims.iter().map(|(name, claim)| claim_of(name, claim)).collect::<Result<_, _>>()?;
        let scopes = claims.iter().map(|claim| claim.scope.as_str()).chain(SCOPES);
        let scopes: Vec<&str> = scopes.chain(tool_scopes.iter().map(String::as_str)).collect();
        for (id, client) in &written.clients {
            let asked = client.value.scopes.iter().flatten();
            if let Some(scope) = asked.clone().find(|scope| !scopes.contains(&scope.value.as_str())) {
                let why = format!("the client `{id}`: there is no scope `{}`", scope.value);
                let error = ConfigError::at(scope.referenced, why);
                return Err(error.hint_nearest(&scope.value, scopes.iter().copied()));
            }
        }
        let clients = written.clients.iter();
        let clients = clients.map(|(id, client)| self.client(id, client, &gate, &algorithms).map(Arc::new));
        let hours = |written: &Option<Spanned<u64>>, default, most, name| {
            within(written.as_ref(), default, most, name).map(Duration::from_hours)
        };
        let days = |written: &Option<Spanned<u64>>, default, most, name| {
            within(written.as_ref(), default, most, name).map(|count| Duration::from_hours(24 * count))
        };
        Ok(Some(Arc::new(Server {
            issuer,
            path,
            mcp: written.mcp,
            totp: written.totp,
            access_token: Duration::from_secs(within(
                written.access_token_s.as_ref(),
                600,
                3_600,
                "access_token_s",
            )?),
            refresh_token: days(&written.refresh_token_days, 30, 365, "refresh_token_days")?,
            session: hours(&written.session_hours, 12, 720, "session_hours")?,
            rotate: days(&written.rotate_days, 90, 3_650, "rotate_days")?,
            claims,
            clients: clients.collect::<Result<_, _>>()?,
            gate,
            algorithms,
            tool_scopes,
        })))
    }
}

/// Whether `url` is of this machine.
pub(super) fn is_loopback(url: &str) -> bool {
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]")
}

fn path(written: Option<&Spanned<String>>) -> Result<Arc<str>, ConfigError> {
    let Some(written) = written else { return Ok(Arc::from("")) };
    let path = written.value.trim_end_matches('/');
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    let good = path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain));
    // Calls have their places.
    let taken = ["/v1", "/v1beta", "/v2", "/mcp", "/api", "/oauth", "/.well-known", "/metrics"].iter();
    let free = taken.clone().all(|taken| path != *taken && !path.starts_with(&format!("{taken}/")));
    if !good {
        let why = format!("`{}` is no path: it begins with `/`, such as `/login`", written.value);
        return Err(ConfigError::at(written.referenced, why));
    }
    if !free {
        let why = format!("`{}` is where other things are: choose another, such as `/login`", written.value);
        return Err(ConfigError::at(written.referenced, why));
    }
    Ok(Arc::from(path))
}

fn algorithms(
    written: Option<&Spanned<Vec<SigningAlgorithm>>>,
) -> Result<Vec<SigningAlgorithm>, ConfigError> {
    let Some(written) = written else { return Ok(vec![SigningAlgorithm::default()]) };
    if written.value.is_empty() {
        return Err(ConfigError::at(
            written.referenced,
            "tokens are signed: name an algorithm, or leave this out",
        ));
    }
    let mut algorithms = written.value.clone();
    algorithms.dedup();
    Ok(algorithms)
}

fn within(written: Option<&Spanned<u64>>, default: u64, most: u64, name: &str) -> Result<u64, ConfigError> {
    match written {
        None => Ok(default),
        Some(written) if (1..=most).contains(&written.value) => Ok(written.value),
        Some(written) => {
            let why = format!("`identity.server.{name}` is between 1 and {most}");
            Err(ConfigError::at(written.referenced, why))
        }
    }
}

fn claim_of(name: &str, written: &Spanned<ClaimWritten>) -> Result<Claim, ConfigError> {
    let wrong = |why: &str| Err(ConfigError::at(written.referenced, format!("the claim `{name}`: {why}")));
    if RESERVED.contains(&name) {
        return wrong("the server says that by itself");
    }
    let value = match (&written.value.value, written.value.from) {
        // Applications ask whether it is `true`, not whether it is a text that says so.
        (Some(Value::String(text)), None) if matches!(text.as_str(), "true" | "false") => {
            return wrong("it is a text; without the quotes it is true or false");
        }
        (Some(value), None) => ClaimValue::Fixed(value.clone()),
        (None, Some(source)) => ClaimValue::Of(source),
        _ => return wrong("it has either a `value` or what it is `from`"),
    };
    let scope = written.value.scope.clone().unwrap_or_else(|| "profile".to_owned());
    Ok(Claim { name: name.to_owned(), value, scope })
}
