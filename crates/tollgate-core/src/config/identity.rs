//! Whose tokens are taken beside keys, and what they say of whoever presents them: the setting `identity`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::ConfigError;
use super::resolve::Resolver;
use crate::access::Role;

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
    /// Issuers of tokens (OpenID Connect or OAuth 2), by names of your own.
    pub issuers: BTreeMap<String, IssuerWritten>,
    /// What groups mean here. Of several roles the greater one counts, of several teams the first.
    pub groups: Vec<GroupWritten>,
}

/// An issuer as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerWritten {
    /// Its name in tokens (`iss`), to the letter. What it offers is found below this address.
    pub issuer: Spanned<String>,
    /// Who its tokens must be for (`aud`): one of these.
    pub audience: Spanned<Audience>,
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
    /// Whether it is at an address that is not public.
    #[serde(default)]
    pub private: bool,
    /// How far its clock may be off, default 60, at most 300.
    #[serde(default)]
    pub skew_s: Option<Spanned<u64>>,
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
    /// Issuers.
    pub issuers: Vec<Issuer>,
    /// What groups mean.
    pub groups: Vec<Group>,
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
    /// Whether it is at an address that is not public.
    pub private: bool,
    /// How far its clock may be off.
    pub skew: Duration,
}

/// What a group means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The group; may hold one `*`.
    pub group: String,
    /// What its members may do besides calling.
    pub role: Option<Role>,
    /// The team that its members are in.
    pub team: Option<Arc<str>>,
}

impl Group {
    /// Whether it is `name`.
    pub fn is(&self, name: &str) -> bool {
        match self.group.split_once('*') {
            None => self.group == name,
            Some((before, after)) => {
                name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
            }
        }
    }
}

impl Identity {
    /// What members of `groups` may do, and in which team they are.
    pub fn of<'a>(&self, groups: impl Iterator<Item = &'a str> + Clone) -> (Role, Option<Arc<str>>) {
        let mine = || self.groups.iter().filter(|known| groups.clone().any(|name| known.is(name)));
        // Roles stand in the order of what they may.
        let at = |role: &Role| Role::ALL.iter().position(|known| known == role);
        let role = mine().filter_map(|group| group.role).min_by_key(at).unwrap_or_default();
        (role, mine().find_map(|group| group.team.clone()))
    }
}

impl Resolver<'_> {
    pub(super) fn identity(&self, written: &IdentityWritten) -> Result<Arc<Identity>, ConfigError> {
        if written.issuers.len() > MOST || written.groups.len() > MOST {
            return Err(ConfigError::new(format!("`identity` has more than {MOST} issuers or groups")));
        }
        let issuers: Vec<Issuer> =
            written.issuers.iter().map(|(name, written)| issuer(name, written)).collect::<Result<_, _>>()?;
        for (at, one) in issuers.iter().enumerate() {
            if let Some(other) = issuers[..at].iter().find(|other| other.issuer == one.issuer) {
                let place = written.issuers[&*one.name].issuer.referenced;
                let why = format!("`{}` and `{}` are the same issuer", other.name, one.name);
                return Err(ConfigError::at(place, why));
            }
        }
        let groups = written.groups.iter().map(group).collect::<Result<_, _>>()?;
        Ok(Arc::new(Identity { issuers, groups }))
    }
}

fn issuer(name: &str, written: &IssuerWritten) -> Result<Issuer, ConfigError> {
    let issuer = &written.issuer;
    address(&issuer.value, written.private)
        .map_err(|why| ConfigError::at(issuer.referenced, format!("the issuer of `{name}`: {why}")))?;
    let audience = match &written.audience.value {
        Audience::One(one) => vec![one.clone()],
        Audience::Several(several) => several.clone(),
    };
    if audience.is_empty() || audience.iter().any(|one| one.is_empty()) {
        let why = format!("`{name}` says who its tokens must be for: otherwise those for others were taken");
        return Err(ConfigError::at(written.audience.referenced, why));
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
        private: written.private,
        skew: Duration::from_secs(skew_s.map_or(SKEW_S, |skew_s| skew_s.value)),
    })
}

/// The address that `text` is: of HTTPS, unless it is one inside (RFC 8414 §2).
fn address(text: &str, private: bool) -> Result<Uri, String> {
    let wrong = || format!("`{text}` is no address like `https://login.example.com`");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    if uri.host().is_none_or(str::is_empty) || uri.query().is_some() || text.contains('#') {
        return Err(wrong());
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if private => Ok(uri),
        Some("http") => Err(format!(
            "`{text}` is not encrypted: whoever is on the way could give out keys of their own; inside, set `private: true`"
        )),
        _ => Err(wrong()),
    }
}

fn group(written: &GroupWritten) -> Result<Group, ConfigError> {
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
    Ok(Group { group: name.value.clone(), role: written.role, team: written.team.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greater_role_counts_and_the_first_team() {
        let group = |group: &str, role, team: Option<&str>| Group {
            group: group.to_owned(),
            role,
            team: team.map(Arc::from),
        };
        let identity = Identity {
            issuers: Vec::new(),
            groups: vec![
                group("ml-*", None, Some("research")),
                group("leads", Some(Role::TeamAdmin), Some("other")),
                group("platform", Some(Role::Admin), None),
            ],
        };
        let of = |groups: &[&str]| identity.of(groups.iter().copied());
        assert_eq!(of(&["leads", "platform"]), (Role::Admin, Some("other".into())));
        assert_eq!(of(&["leads", "ml-vision"]), (Role::TeamAdmin, Some("research".into())));
        assert_eq!(of(&["ml", "Platform"]), (Role::Member, None));
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
