//! Whose tokens are taken beside keys, and what they say of whoever presents them: the setting `identity`.

mod address;
mod clients;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use serde::Deserialize;
use serde_saphyr::Spanned;

use self::address::{address, both, own_address};
pub use self::clients::{Client, ClientWritten, GrantKind, check_redirect};
pub use self::server::{
    Claim, ClaimSource, ClaimValue, OWN_ISSUER, SCOPES, SecondFactor, Server, ServerWritten, SigningAlgorithm,
};
use super::bundles::is_name;
use super::resolve::Resolver;
use super::secrets::SecretsKeys;
use super::{ConfigError, SecretRef};
use crate::access::{Role, ToolPattern, glob};
use crate::secret::Secret;

/// The most issuers, and the most groups with a meaning.
const MOST: usize = 100;

/// How far an issuer's clock may be off, where nothing else is said.
const SKEW_S: u64 = 60;

/// No clock is further off.
const MOST_SKEW_S: u64 = 300;

/// Whose tokens are taken, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityWritten {
    /// The gate's own address, as clients write it: `https://gate.example.com`. With it MCP clients find out where to get
    /// tokens, and tokens may be for it (RFC 9728, RFC 8707).
    pub url: Option<Spanned<String>>,
    /// Issuers of tokens (OpenID Connect or OAuth 2), by names of your own.
    pub issuers: BTreeMap<String, IssuerWritten>,
    /// What groups mean here. Of several roles the greater one counts, of several teams the first.
    pub groups: Vec<GroupWritten>,
    /// Scopes without which a token is not enough to call some tools.
    pub scopes: Vec<ScopeWritten>,
    /// Paths below which a key alone is not enough, nor a token alone: both are wanted.
    pub key_and_token: Vec<Spanned<String>>,
    /// The gate's own authorization server, where people sign in and clients get tokens; off where this is not there.
    pub server: Option<Spanned<ServerWritten>>,
}

/// A scope as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeWritten {
    /// The scope, as tokens name it (RFC 6749 §3.3).
    pub scope: Spanned<String>,
    /// The tools that want it.
    pub tools: Vec<ToolPattern>,
}

/// An issuer as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerWritten {
    /// Its name in tokens (`iss`), to the letter. What it offers is found below this address.
    pub issuer: Spanned<String>,
    /// Who its tokens must be for (`aud`): one of these, beside the gate's own address where that is configured.
    #[serde(default)]
    pub audience: Option<Spanned<Audience>>,
    /// Where its keys are, default where its metadata says.
    #[serde(default)]
    pub keys_url: Option<Spanned<String>>,
    /// The claim that names a user, default `sub`; a token without it is an agent's.
    #[serde(default)]
    pub user: Option<String>,
    /// The claim that lists a user's groups, default `groups`.
    #[serde(default)]
    pub groups: Option<String>,
    /// The domains of users, where they are named by their email addresses.
    #[serde(default)]
    pub email_domains: Option<Vec<String>>,
    /// Whether tokens that programs have got for themselves are taken, default unless `email_domains` says whose are.
    #[serde(default)]
    pub agents: Option<bool>,
    /// Whether it is at an address that is not public.
    #[serde(default)]
    pub private: bool,
    /// How far its clock may be off, default 60, at most 300.
    #[serde(default)]
    pub skew_s: Option<Spanned<u64>>,
    /// The gate as a client there: then people sign in at the gate's own server with it.
    #[serde(default)]
    pub sign_in: Option<Spanned<SignInWritten>>,
}

/// The gate as a client of an issuer, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInWritten {
    /// Its id there.
    pub client_id: String,
    /// Its secret there.
    #[serde(default)]
    pub client_secret: Option<Spanned<SecretRef>>,
    /// What it asks for, default `openid profile email`; issuers that list groups by a scope want that too.
    #[serde(default)]
    pub scope: Option<String>,
    /// What people see, default the issuer's name here.
    #[serde(default)]
    pub label: Option<String>,
}

/// The gate as a client of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Its id there.
    pub client_id: String,
    /// Its secret there.
    pub client_secret: Option<Secret>,
    /// What it asks for.
    pub scope: String,
    /// What people see.
    pub label: String,
}

/// One name, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// What a group means, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupWritten {
    /// The group, as tokens name it; may hold one `*`.
    pub group: Spanned<String>,
    /// The issuer whose group it is. Where there are several, a role has one.
    #[serde(default)]
    pub issuer: Option<Spanned<String>>,
    /// What its members may do besides calling.
    #[serde(default)]
    pub role: Option<Role>,
    /// The team that its members are in here.
    #[serde(default)]
    pub team: Option<Arc<str>>,
}

/// Whose tokens are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The gate's own address, as clients write it, without a slash at its end.
    pub url: Option<Arc<str>>,
    /// Issuers.
    pub issuers: Vec<Issuer>,
    /// What groups mean.
    pub groups: Vec<Group>,
    /// Scopes without which a token is not enough to call some tools.
    pub scopes: Vec<Scope>,
    /// Paths below which a key and a token are wanted.
    pub key_and_token: Vec<String>,
}

/// A scope without which a token is not enough to call some tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The scope.
    pub scope: String,
    /// The tools.
    pub tools: Vec<ToolPattern>,
}

/// An issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What it is called here.
    pub name: Arc<str>,
    /// Its name in tokens.
    pub issuer: Arc<str>,
    /// Who its tokens must be for: one of these.
    pub audience: Vec<String>,
    /// Where its keys are; `None` where its metadata says that.
    pub keys_url: Option<Uri>,
    /// The claim that names a user.
    pub user: String,
    /// The claim that lists a user's groups.
    pub groups: String,
    /// The domains of users' email addresses; `None` where any will do.
    pub email_domains: Option<Vec<String>>,
    /// Whether tokens of programs are taken.
    pub agents: bool,
    /// Whether it is at an address that is not public.
    pub private: bool,
    /// How far its clock may be off.
    pub skew: Duration,
    /// Whether it is this gate, whose keys need not be fetched.
    pub own: bool,
    /// The gate as a client there.
    pub sign_in: Option<SignIn>,
}

/// What a group means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The group; may hold one `*`.
    pub group: String,
    /// The issuer whose group it is; `None` where that of any will do.
    pub issuer: Option<Arc<str>>,
    /// What its members may do besides calling.
    pub role: Option<Role>,
    /// The team that its members are in.
    pub team: Option<Arc<str>>,
}

impl Group {
    /// Whether it is `name` of `issuer`.
    pub fn is(&self, issuer: &str, name: &str) -> bool {
        self.issuer.as_deref().is_none_or(|own| own == issuer) && glob(&self.group, name)
    }
}

/// Whether `address` is `whole` or below it: nothing that only begins with the same letters.
pub fn is_within(address: &str, whole: &str) -> bool {
    address.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The longest path of a protected resource, in bytes.
pub const LONGEST_PATH: usize = 256;

/// Where the metadata of protected resources is (RFC 9728 §3).
pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

impl Identity {
    /// The address at which clients find out where to get tokens for what is at `path`, where there is one.
    pub fn resource_metadata(&self, path: &str) -> Option<String> {
        // It goes into a header.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:@/%".contains(&b);
        let named = path.len() <= LONGEST_PATH && path.bytes().all(plain);
        let url = self.url.as_ref().filter(|_| !self.issuers.is_empty() && named)?;
        Some(format!("{url}{RESOURCE_METADATA}{path}"))
    }

    /// Whether a key and a token are wanted for what is at `path`.
    pub fn wants_both(&self, path: &str) -> bool {
        self.key_and_token.iter().any(|whole| is_within(path, whole))
    }

    /// Whether a token for `audience` is one for what is at `path`: for the whole gate, or for that or what is around it.
    pub fn is_at(&self, audience: &str, path: &str) -> bool {
        let Some(for_path) = self.url.as_deref().and_then(|url| audience.strip_prefix(url)) else {
            return false;
        };
        let for_path = for_path.strip_suffix('/').unwrap_or(for_path);
        (for_path.is_empty() || for_path.starts_with('/')) && is_within(path, for_path)
    }

    /// The scopes that a token must have to call `tool` of `server`.
    pub fn scopes_for<'a>(&'a self, server: &'a str, tool: &'a str) -> impl Iterator<Item = &'a str> {
        let wants = move |scope: &&Scope| scope.tools.iter().any(|pattern| pattern.fits(server, tool));
        self.scopes.iter().filter(wants).map(|scope| scope.scope.as_str())
    }

    /// What members of the `groups` of `issuer` may do, and in which team they are.
    pub fn of<'a>(
        &self,
        issuer: &str,
        groups: impl Iterator<Item = &'a str> + Clone,
    ) -> (Role, Option<Arc<str>>) {
        let mine = || self.groups.iter().filter(|known| groups.clone().any(|name| known.is(issuer, name)));
        // Roles stand in the order of what they may.
        let at = |role: &Role| Role::ALL.iter().position(|known| known == role);
        let role = mine().filter_map(|group| group.role).min_by_key(at).unwrap_or_default();
        (role, mine().find_map(|group| group.team.clone()))
    }
}

impl Resolver<'_> {
    pub(super) fn identity(
        &self,
        written: &IdentityWritten,
        servers: &[Arc<str>],
        (master_key, secrets): (bool, &SecretsKeys),
    ) -> Result<(Arc<Identity>, Option<Arc<Server>>), ConfigError> {
        if written.issuers.len() > MOST || written.groups.len() > MOST {
            return Err(ConfigError::new(format!("`identity` has more than {MOST} issuers or groups")));
        }
        let url = written.url.as_ref().map(own_address).transpose()?;
        let issuers = written.issuers.iter().map(|(name, one)| {
            let issuer = issuer(name, one, url.is_some())?;
            let sign_in = one.sign_in.as_ref().map(|sign_in| self.sign_in(name, sign_in)).transpose()?;
            Ok(Issuer { sign_in, ..issuer })
        });
        let issuers: Vec<Issuer> = issuers.collect::<Result<_, ConfigError>>()?;
        for (at, one) in issuers.iter().enumerate() {
            if let Some(other) = issuers[..at].iter().find(|other| other.issuer == one.issuer) {
                let place = written.issuers[&*one.name].issuer.referenced;
                let why = format!("`{}` and `{}` are the same issuer", other.name, one.name);
                return Err(ConfigError::at(place, why));
            }
        }
        let scopes = written.scopes.iter().map(|written| scope(written, servers));
        let scopes = scopes.collect::<Result<_, _>>()?;
        let mut identity = Identity { url, issuers, groups: Vec::new(), scopes, key_and_token: Vec::new() };
        let server = self.identity_server(written, &identity, master_key, secrets)?;
        let elsewhere = written.issuers.values().find_map(|issuer| issuer.sign_in.as_ref());
        if let Some(sign_in) = elsewhere.filter(|_| server.is_none()) {
            let why = "people sign in with an issuer at the gate's own server: `identity.server` is missing (`server: {}`)";
            return Err(ConfigError::at(sign_in.referenced, why));
        }
        let mut with = written.issuers.values().filter_map(|issuer| issuer.sign_in.as_ref());
        if let Some(second) = with.nth(1) {
            // Names and groups of two would be mixed, and one could answer for the other (RFC 9700 §4.4).
            let why = "people sign in with one issuer: two of them have `sign_in`";
            return Err(ConfigError::at(second.referenced, why));
        }
        if let Some(server) = &server {
            // The first: whoever looks for a place to sign in finds this one.
            identity.issuers.insert(0, server.as_issuer());
        }
        identity.key_and_token = both(written, master_key && !identity.issuers.is_empty())?;
        let groups = written.groups.iter().map(|written| group(written, &identity.issuers));
        identity.groups = groups.collect::<Result<_, _>>()?;
        Ok((Arc::new(identity), server))
    }
}

impl Resolver<'_> {
    fn sign_in(&self, name: &str, written: &Spanned<SignInWritten>) -> Result<SignIn, ConfigError> {
        let (place, written) = (written.referenced, &written.value);
        if written.client_id.is_empty() {
            return Err(ConfigError::at(place, format!("`sign_in` of `{name}` has no `client_id`")));
        }
        let secret = written.client_secret.as_ref().map(|secret| {
            let wrong = |why| ConfigError::at(secret.referenced, format!("the secret at `{name}`: {why}"));
            secret.value.read(self.world.environment).map_err(wrong)
        });
        let scope = written.scope.clone().unwrap_or_else(|| "openid profile email".to_owned());
        if !scope.split(' ').any(|scope| scope == "openid") {
            return Err(ConfigError::at(place, format!("`sign_in.scope` of `{name}` is without `openid`")));
        }
        Ok(SignIn {
            client_id: written.client_id.clone(),
            client_secret: secret.transpose()?,
            scope,
            label: written.label.clone().unwrap_or_else(|| name.to_owned()),
        })
    }
}

/// Whether `text` can be a scope (RFC 6749 §3.3, scope-token): such go into a header.
pub fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

fn scope(written: &ScopeWritten, servers: &[Arc<str>]) -> Result<Scope, ConfigError> {
    let scope = &written.scope.value;
    if scope.len() > 256 || !is_scope(scope) {
        let why = format!("`{scope}` is no scope: it has visible ASCII characters, no quotes and no spaces");
        return Err(ConfigError::at(written.scope.referenced, why));
    }
    if written.tools.is_empty() {
        return Err(ConfigError::at(written.scope.referenced, format!("no tool wants the scope `{scope}`")));
    }
    // A tool that is misspelt would want nothing.
    let server =
        |pattern: &ToolPattern| pattern.as_str().split_once('/').map(|(server, _)| server.to_owned());
    let unknown = |name: &String| !name.contains('*') && !servers.iter().any(|known| **known == **name);
    if let Some(name) = written.tools.iter().filter_map(server).find(unknown) {
        let why = format!("the scope `{scope}` is for a tool of `{name}`, which is not configured");
        let error = ConfigError::at(written.scope.referenced, why);
        return Err(error.hint_nearest(&name, servers.iter().map(|name| &**name)));
    }
    Ok(Scope { scope: scope.clone(), tools: written.tools.clone() })
}

fn issuer(name: &str, written: &IssuerWritten, has_own: bool) -> Result<Issuer, ConfigError> {
    let issuer = &written.issuer;
    // It stands in records before the names of programs, with a slash.
    if !is_name(name) || name == OWN_ISSUER {
        let why = format!(
            "the issuer `{name}` is called by 1 to 32 letters, digits, `-` and `_`, and not `{OWN_ISSUER}`"
        );
        return Err(ConfigError::at(issuer.referenced, why));
    }
    address(&issuer.value, written.private)
        .map_err(|why| ConfigError::at(issuer.referenced, format!("the issuer of `{name}`: {why}")))?;
    let audience = match written.audience.as_ref().map(|written| &written.value) {
        None => Vec::new(),
        Some(Audience::One(one)) => vec![one.clone()],
        Some(Audience::Several(several)) => several.clone(),
    };
    if (audience.is_empty() && !has_own) || audience.iter().any(|one| one.is_empty()) {
        let why = format!(
            "`{name}` has an `audience`, whom its tokens must be for, or `identity.url` is set: otherwise those for others were taken"
        );
        let place = written.audience.as_ref().map_or(issuer.referenced, |written| written.referenced);
        return Err(ConfigError::at(place, why));
    }
    let keys_url = written.keys_url.as_ref().map(|url| {
        address(&url.value, written.private)
            .map_err(|why| ConfigError::at(url.referenced, format!("the keys of `{name}`: {why}")))
    });
    let skew_s = written.skew_s.as_ref();
    if let Some(skew_s) = skew_s.filter(|skew_s| skew_s.value > MOST_SKEW_S) {
        let why = format!("`skew_s` of `{name}` is more than {MOST_SKEW_S}: mend the clock instead");
        return Err(ConfigError::at(skew_s.referenced, why));
    }
    Ok(Issuer {
        name: Arc::from(name),
        issuer: Arc::from(issuer.value.as_str()),
        audience,
        keys_url: keys_url.transpose()?,
        user: written.user.clone().unwrap_or_else(|| "sub".to_owned()),
        groups: written.groups.clone().unwrap_or_else(|| "groups".to_owned()),
        email_domains: written.email_domains.clone(),
        agents: written.agents.unwrap_or(written.email_domains.is_none()),
        private: written.private,
        skew: Duration::from_secs(skew_s.map_or(SKEW_S, |skew_s| skew_s.value)),
        own: false,
        sign_in: None,
    })
}

fn group(written: &GroupWritten, issuers: &[Issuer]) -> Result<Group, ConfigError> {
    let name = &written.group;
    let wrong = |why: &str| ConfigError::at(name.referenced, format!("the group `{}` {why}", name.value));
    if name.value.is_empty() || name.value.matches('*').count() > 1 {
        return Err(wrong("is no name: it may hold one `*` and must not be empty"));
    }
    if written.role.is_none() && written.team.is_none() {
        return Err(wrong("has neither a role nor a team"));
    }
    // Whoever may name a group at the issuer must not become an admin by that.
    if name.value == "*" && written.role.is_some_and(|role| role != Role::Member) {
        return Err(wrong("stands for everybody, who may not have a role"));
    }
    let issuer = written.issuer.as_ref();
    if let Some(of) = issuer.filter(|of| !issuers.iter().any(|known| *known.name == *of.value)) {
        let error = ConfigError::at(of.referenced, format!("there is no issuer `{}`", of.value));
        return Err(error.hint_nearest(&of.value, issuers.iter().map(|known| &*known.name)));
    }
    // Whoever names groups at one issuer must not make admins of another's.
    if issuer.is_none() && issuers.len() > 1 && written.role.is_some_and(|role| role != Role::Member) {
        return Err(wrong("has a role, and there are several issuers: `issuer` says whose group it is"));
    }
    let issuer = issuer.map(|of| Arc::from(of.value.as_str()));
    Ok(Group { group: name.value.clone(), issuer, role: written.role, team: written.team.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greater_role_counts_and_the_first_team() {
        let group = |group: &str, role, team: Option<&str>| Group {
            group: group.to_owned(),
            issuer: (group == "platform").then(|| Arc::from("corp")),
            role,
            team: team.map(Arc::from),
        };
        let identity = Identity {
            groups: vec![
                group("ml-*", None, Some("research")),
                group("leads", Some(Role::TeamAdmin), Some("other")),
                group("platform", Some(Role::Admin), None),
            ],
            ..Identity::default()
        };
        let of = |groups: &[&str]| identity.of("corp", groups.iter().copied());
        assert_eq!(identity.of("partner", ["platform"].into_iter()), (Role::Member, None));
        assert_eq!(of(&["leads", "platform"]), (Role::Admin, Some("other".into())));
        assert_eq!(of(&["leads", "ml-vision"]), (Role::TeamAdmin, Some("research".into())));
        assert_eq!(of(&["ml", "Platform"]), (Role::Member, None));
    }

    #[test]
    fn a_token_for_one_address_is_good_there_and_below_and_nowhere_else() {
        let identity = Identity { url: Some("https://gate.example.com".into()), ..Identity::default() };
        let at =
            |audience: &str, path: &str| identity.is_at(&format!("https://gate.example.com{audience}"), path);
        for (audience, path) in [
            ("", "/mcp"),
            ("/", "/v1/models"),
            ("/mcp", "/mcp"),
            ("/mcp/", "/mcp/files"),
            ("/mcp/files", "/mcp/files"),
        ] {
            assert!(at(audience, path), "{audience} {path}");
        }
        for (audience, path) in [
            ("/mcp/files", "/mcp"),
            ("/mcp/files", "/mcp/files2"),
            ("/mcp", "/mcpx"),
            ("/mcp", "/v1/models"),
            (".evil.example", "/mcp"),
            (":8443", "/mcp"),
            ("//", "/mcp"),
        ] {
            assert!(!at(audience, path), "{audience} {path}");
        }
        assert!(!Identity::default().is_at("", "/mcp"));
    }

    #[test]
    fn an_issuer_is_reached_by_tls_unless_it_is_inside() {
        assert!(address("https://login.example.com/realms/a", false).is_ok());
        assert!(address("http://login.example.com", false).unwrap_err().contains("private: true"));
        assert!(address("http://127.0.0.1:8080/a", true).is_ok());
        for wrong in [
            "login.example.com",
            "https://",
            "ftp://a.example",
            "https://a.example/?q",
            "https://a.example/#f",
        ] {
            assert!(address(wrong, true).is_err(), "{wrong}");
        }
    }
}
