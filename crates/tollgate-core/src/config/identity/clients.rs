//! Applications that people sign in to, and programs that get tokens for themselves: the setting `identity.server.clients`.

use http::Uri;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::server::{SigningAlgorithm, is_loopback};
use super::{is_scope, is_within};
use crate::config::resolve::Resolver;
use crate::config::{ConfigError, SecretRef};
use crate::secret::Secret;

/// How a client gets tokens (RFC 6749 §4, RFC 8628, RFC 8693).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// Somebody signs in, in a browser.
    AuthorizationCode,
    /// With what it has got before.
    RefreshToken,
    /// For itself.
    ClientCredentials,
    /// Somebody signs in on another device.
    DeviceCode,
    /// For a token that somebody else has.
    TokenExchange,
}

impl GrantKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::DeviceCode,
        Self::TokenExchange,
    ];

    /// Its name in requests (`grant_type`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

/// A client as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientWritten {
    /// What people see of it, default its id.
    pub name: Option<String>,
    /// Its secret; without one it is a public client: a program that people run themselves.
    pub secret: Option<Spanned<SecretRef>>,
    /// Where browsers are sent back to, to the letter; at `http://127.0.0.1` and `http://localhost` any port will do.
    pub redirect_uris: Vec<Spanned<String>>,
    /// Where browsers are sent to after a sign-out.
    pub post_logout_redirect_uris: Vec<Spanned<String>>,
    /// How it gets tokens, default by what else it has: a code and refreshing with `redirect_uris`, for itself with a
    /// secret only.
    pub grants: Option<Vec<GrantKind>>,
    /// What its access tokens may be for: `/` is the whole gate, `/mcp/notes` an address of it, others are resources of
    /// your own. Without one they are for the server's user information only.
    pub resources: Vec<Spanned<String>>,
    /// Whom tokens are for that it takes itself (their `aud`): those it may exchange, and ask about.
    pub audience: Option<Spanned<String>>,
    /// The scopes that it may ask for, default all.
    pub scopes: Option<Vec<Spanned<String>>>,
    /// The groups whose members may sign in to it, default everybody's.
    pub groups: Option<Vec<String>>,
    /// Whether people are asked first, default where it has no secret: then anybody can be it.
    pub consent: Option<bool>,
    /// Whether it must prove that it is the one who has asked (PKCE, RFC 7636), default true; false is for applications
    /// that cannot, and that have a secret.
    pub pkce: Option<bool>,
    /// What its ID tokens are signed with, default the server's first.
    pub algorithm: Option<Spanned<SigningAlgorithm>>,
}

/// A client.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// What people see of it.
    pub name: String,
    /// Its secret; `None` for a public one.
    pub secret: Option<Secret>,
    /// Where browsers are sent back to.
    pub redirect_uris: Vec<String>,
    /// Where browsers are sent to after a sign-out.
    pub post_logout_redirect_uris: Vec<String>,
    /// How it gets tokens.
    pub grants: Vec<GrantKind>,
    /// What its access tokens may be for.
    pub resources: Vec<String>,
    /// Whom tokens are for that it takes itself.
    pub audience: Option<String>,
    /// The scopes that it may ask for; `None` for all.
    pub scopes: Option<Vec<String>>,
    /// The groups whose members may sign in to it.
    pub groups: Option<Vec<String>>,
    /// Whether people are asked first.
    pub consent: bool,
    /// Whether it must prove that it is the one who has asked (PKCE).
    pub pkce: bool,
    /// What its ID tokens are signed with.
    pub algorithm: SigningAlgorithm,
}

impl Client {
    /// Whether it may get tokens so.
    pub fn may(&self, grant: GrantKind) -> bool {
        self.grants.contains(&grant)
    }

    /// Whether it may ask for `scope`.
    pub fn may_ask_for(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|known| known == scope))
    }

    /// Whether its tokens may be for `resource`: one that it has, or what is below it.
    pub fn may_reach(&self, resource: &str) -> bool {
        self.resources.iter().any(|own| is_within(resource, own.trim_end_matches('/')))
    }
}

/// The shortest secret that nobody guesses.
const SHORTEST: usize = 16;

impl Resolver<'_> {
    pub(super) fn client(
        &self,
        id: &str,
        written: &Spanned<ClientWritten>,
        gate: &str,
        algorithms: &[SigningAlgorithm],
    ) -> Result<Client, ConfigError> {
        let (place, written) = (written.referenced, &written.value);
        let wrong = |why: &str| Err(ConfigError::at(place, format!("the client `{id}`: {why}")));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if id == super::OWN_ISSUER || id.starts_with("reg.") {
            return wrong("the gate's own clients are called so; choose another id");
        }
        if id.is_empty() || id.len() > 128 || !id.bytes().all(plain) {
            return wrong("an id is 1 to 128 letters, digits, `-`, `_` and `.`");
        }
        let secret = written.secret.as_ref().map(|secret| {
            let read = secret.value.read(self.world.environment);
            let long = read.and_then(|secret| match secret.expose().len() {
                SHORTEST.. => Ok(secret),
                _ => Err(format!(
                    "it is shorter than {SHORTEST} characters (make one with `openssl rand -hex 32`)"
                )),
            });
            long.map_err(|why| {
                ConfigError::at(secret.referenced, format!("the secret of the client `{id}`: {why}"))
            })
        });
        let secret = secret.transpose()?;
        let (redirect_uris, after) =
            (redirects(id, &written.redirect_uris)?, redirects(id, &written.post_logout_redirect_uris)?);
        let grants = written.grants.clone().unwrap_or_else(|| match (&redirect_uris[..], &secret) {
            ([_, ..], _) => vec![GrantKind::AuthorizationCode, GrantKind::RefreshToken],
            ([], Some(_)) => vec![GrantKind::ClientCredentials],
            ([], None) => vec![GrantKind::DeviceCode, GrantKind::RefreshToken],
        });
        if written.grants.is_none()
            && redirect_uris.is_empty()
            && written.resources.is_empty()
            && secret.is_some()
        {
            return wrong(
                "it has neither `redirect_uris`, where people sign in to it, nor `resources`, where it gets tokens for itself",
            );
        }
        if grants.contains(&GrantKind::AuthorizationCode) == redirect_uris.is_empty() {
            return wrong("`redirect_uris` and the grant `authorization_code` come together");
        }
        let of_its_own = [GrantKind::ClientCredentials, GrantKind::TokenExchange];
        if secret.is_none() && grants.iter().any(|grant| of_its_own.contains(grant)) {
            return wrong(
                "only a client with a `secret` gets tokens for itself or exchanges those of others",
            );
        }
        if secret.is_none() && written.pkce == Some(false) {
            return wrong("only a client with a `secret` may do without PKCE");
        }
        let resources = written.resources.iter().map(|resource| self::resource(id, resource, gate));
        let resources: Vec<String> = resources.collect::<Result<_, _>>()?;
        let own = written.audience.as_ref().map(|own| resource(id, own, gate)).transpose()?;
        if resources.is_empty() && grants.iter().any(|grant| of_its_own.contains(grant)) {
            return wrong("name what its tokens are for: `resources: [/]` is the whole gate");
        }
        let scopes = written.scopes.as_ref();
        if let Some(scope) = scopes.into_iter().flatten().find(|scope| !is_scope(&scope.value)) {
            let why = format!("the client `{id}`: `{}` is no scope", scope.value);
            return Err(ConfigError::at(scope.referenced, why));
        }
        let algorithm = match &written.algorithm {
            None => algorithms.first().copied().unwrap_or_default(),
            Some(one) if algorithms.contains(&one.value) => one.value,
            Some(one) => {
                let why = format!("the client `{id}`: {} is not among `algorithms`", one.value.name());
                return Err(ConfigError::at(one.referenced, why));
            }
        };
        Ok(Client {
            id: id.to_owned(),
            name: written.name.clone().unwrap_or_else(|| id.to_owned()),
            consent: written.consent.unwrap_or(secret.is_none()),
            secret,
            redirect_uris,
            post_logout_redirect_uris: after,
            grants,
            resources,
            audience: own,
            scopes: scopes.map(|scopes| scopes.iter().map(|scope| scope.value.clone()).collect()),
            groups: written.groups.clone(),
            pkce: written.pkce.unwrap_or(true),
            algorithm,
        })
    }
}

fn redirects(id: &str, written: &[Spanned<String>]) -> Result<Vec<String>, ConfigError> {
    let one = |written: &Spanned<String>| {
        check_redirect(&written.value)
            .map(|()| written.value.clone())
            .map_err(|why| ConfigError::at(written.referenced, format!("the client `{id}`: {why}")))
    };
    written.iter().map(one).collect()
}

/// Schemes that browsers and systems handle by themselves.
const BROWSERS_OWN: &[&str] = &[
    "about",
    "blob",
    "chrome",
    "chrome-extension",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "javascript",
    "jar",
    "mailto",
    "ms-appinstaller",
    "ms-msdt",
    "search-ms",
    "sms",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// The longest address that browsers are sent back to, in bytes.
const LONGEST_REDIRECT: usize = 1_024;

/// Whether browsers may be sent back to `uri` (RFC 6749 §3.1.2, RFC 8252 §7); otherwise why not.
pub fn check_redirect(uri: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("browsers cannot be sent back to `{uri}`: {why}"));
    if uri.len() > LONGEST_REDIRECT || !uri.bytes().all(|b| b.is_ascii_graphic()) || uri.contains(['*', '\\'])
    {
        return wrong("it is too long, or has characters that no address has; there are no patterns");
    }
    if uri.contains('#') {
        return wrong("it has a fragment");
    }
    let Some((scheme, rest)) = uri.split_once(':') else { return wrong("it is no address") };
    let named = scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    let begins = scheme.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    match scheme {
        "https" | "http" => {
            let parsed: Result<Uri, _> = uri.parse();
            let host = parsed.as_ref().ok().and_then(Uri::host).unwrap_or_default();
            let authority = parsed.as_ref().ok().and_then(Uri::authority);
            if host.is_empty() || authority.is_some_and(|authority| authority.as_str().contains('@')) {
                return wrong("it names no host, or somebody at it");
            }
            // It stands in headers and on pages, and names one place.
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
            if !authority.is_some_and(|authority| authority.as_str().bytes().all(plain)) {
                return wrong("its host has characters that no host has");
            }
            if uri.split(['/', '?']).any(|part| matches!(part, "." | "..")) {
                return wrong("its path goes up");
            }
            if scheme == "http" && !is_loopback(uri) {
                return wrong("it is not encrypted, and not of this machine");
            }
            Ok(())
        }
        // A scheme of the application's own should be its domain backwards (RFC 8252 §7.1); many are not. People are asked
        // each time where the browser goes to one.
        _ if named && begins && !BROWSERS_OWN.contains(&scheme) && !rest.is_empty() => Ok(()),
        _ => {
            wrong("it is `https://…`, `http://127.0.0.1/…`, or a scheme of its own like `com.example.app:/…`")
        }
    }
}

/// What the gate's addresses begin with.
const SERVED: [&str; 5] = ["v1", "v1beta", "v2", "mcp", "api"];

fn resource(id: &str, written: &Spanned<String>, gate: &str) -> Result<String, ConfigError> {
    let text = &written.value;
    let wrong = |why: &str| {
        Err(ConfigError::at(written.referenced, format!("the client `{id}`: the resource `{text}` {why}")))
    };
    if text == "/" {
        return Ok(gate.to_owned());
    }
    let first = text.split('/').nth(1).unwrap_or_default();
    if text.starts_with('/') && !SERVED.contains(&first) {
        let error =
            ConfigError::at(written.referenced, format!("the client `{id}`: there is nothing at `{text}`"));
        return Err(error.hint_nearest(first, SERVED.iter().copied()));
    }
    let whole = if text.starts_with('/') { format!("{gate}{text}") } else { text.clone() };
    let parsed: Result<Uri, _> = whole.parse();
    if whole.contains('#') || !parsed.is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some()) {
        return wrong("is neither a path of this gate nor an address (RFC 8707 §2)");
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_sent_back_to_addresses_that_are_somebodys() {
        for good in [
            "https://app.example.com/callback?x=1",
            "http://127.0.0.1/callback",
            "http://localhost:3000/",
            "http://[::1]/",
            "com.example.app:/callback",
            "cursor://anysphere.cursor-mcp/oauth/callback",
        ] {
            assert_eq!(check_redirect(good), Ok(()), "{good}");
        }
        for wrong in [
            "http://app.example.com/callback",
            "http://127.0.0.1.evil.example/",
            "http://localhost@evil.example/",
            "https://*.example.com/",
            "https://app.example.com/#x",
            "https://user@app.example.com/",
            "https://app.example.com/../evil",
            "https://app.example.com\\@evil.example/",
            "https:///callback",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "view-source:https://app.example.com/",
            "https://a;sandbox/",
            "https://a,b/",
            "//evil.example",
            "/callback",
            "",
            "https://app.example.com/ x",
        ] {
            assert!(check_redirect(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_resource_is_one_of_its_own_or_below() {
        let client = |resources: &[&str]| Client {
            id: "a".to_owned(),
            name: "a".to_owned(),
            secret: None,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            grants: Vec::new(),
            resources: resources.iter().map(|one| (*one).to_owned()).collect(),
            audience: None,
            scopes: None,
            groups: None,
            consent: false,
            pkce: true,
            algorithm: SigningAlgorithm::RS256,
        };
        let tools = client(&["https://gate.example.com/mcp"]);
        assert!(tools.may_reach("https://gate.example.com/mcp"));
        assert!(tools.may_reach("https://gate.example.com/mcp/notes"));
        for other in
            ["https://gate.example.com", "https://gate.example.com/mcpx", "https://gate.example.com/api", ""]
        {
            assert!(!tools.may_reach(other), "{other}");
        }
        assert!(client(&["https://gate.example.com"]).may_reach("https://gate.example.com/mcp"));
        assert!(!client(&["https://gate.example.com"]).may_reach("https://gate.example.com.evil.example"));
        assert!(!client(&[]).may_reach("https://gate.example.com"));
    }
}
