//! How a user signs in here: a password, and a second factor.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::SpecError;
use crate::config::identity::{Identity, Issuer, OWN_ISSUER};
use crate::document::{Document, DocumentRef, Kind};

/// The kind of logins: there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginKind {
    /// A login.
    Login,
}

impl Kind for LoginKind {
    const KINDS: &'static [Self] = &[Self::Login];

    fn word(self) -> &'static str {
        "login"
    }
}

/// How a user signs in, as it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Login {
    /// The user.
    pub user: Arc<str>,
    /// Who that is in tokens: never given to somebody else, also when the name is (OpenID Connect Core §2, `sub`).
    pub subject: Arc<str>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What was said of it.
    #[serde(flatten)]
    pub spec: LoginSpec,
    /// Where they sign in elsewhere: who they are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    /// The password's hash (Argon2id, in the form of PHC strings).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The secret of one-time codes, encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp: Option<String>,
    /// An invitation to choose a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Invitation>,
    /// What began earlier is over: sessions, and what applications were granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

/// Who somebody is at an issuer elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct External {
    /// The issuer, as tokens name it (`iss`).
    pub issuer: String,
    /// The same, as the configuration calls it.
    pub name: String,
    /// Who that is there (`sub`).
    pub subject: String,
}

/// What may be said of a login.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct LoginSpec {
    /// The email address; whoever says it vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What people call them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The groups that they are in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// An invitation: whoever has the link chooses the password.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Invitation {
    /// SHA-256 of what stands in the link, in hexadecimal digits.
    pub hash: String,
    /// Until when it is good.
    pub ends_at: Timestamp,
}

/// The most groups of a login.
const MOST_GROUPS: usize = 100;

/// The longest text of a login, in bytes.
const LONGEST: usize = 200;

impl LoginSpec {
    /// What may be said.
    pub const MEMBERS: &'static [&'static str] = &["email", "name", "groups"];

    /// Whether it can be.
    pub fn check(&self) -> Result<(), SpecError> {
        let wrong =
            |member: &str, why: &str| Err(SpecError { member: member.to_owned(), why: why.to_owned() });
        let plain = |text: &str| {
            !text.trim().is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control)
        };
        let address = |email: &str| {
            let parts = email.split_once('@');
            plain(email)
                && !email.contains(char::is_whitespace)
                && parts.is_some_and(|(name, domain)| {
                    !name.is_empty() && !domain.is_empty() && !domain.contains('@')
                })
        };
        if self.email.as_deref().is_some_and(|email| !address(email)) {
            return wrong("email", "it is no email address");
        }
        if self.name.as_deref().is_some_and(|name| !plain(name)) {
            return wrong("name", "1 to 200 bytes, no control characters");
        }
        if self.groups.len() > MOST_GROUPS || !self.groups.iter().all(|group| plain(group)) {
            return wrong("groups", "at most 100, each of 1 to 200 bytes without control characters");
        }
        Ok(())
    }
}

impl Document for Login {
    type Kind = LoginKind;
    const SORT: &'static str = "login";

    fn document(&self) -> DocumentRef<LoginKind> {
        Self::name(&self.user)
    }

    /// Nobody signs in with somebody else's address.
    fn unique(&self) -> Option<String> {
        self.spec.email.as_ref().map(|email| email.to_lowercase())
    }

    /// Whether there is a password and a second factor, and nothing of either.
    fn visible(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(members) = value.as_object_mut() {
            members.insert("password".to_owned(), self.password.is_some().into());
            members.insert("totp".to_owned(), self.totp.is_some().into());
            let invited = self.invitation.as_ref().map(|invitation| invitation.ends_at.to_string());
            members.remove("invitation");
            if let Some(until) = invited {
                members.insert("invited_until".to_owned(), until.into());
            }
        }
        value
    }
}

impl Login {
    /// The issuer whose groups they are in: the one at which they sign in, or the gate itself.
    pub fn issuer(&self) -> &str {
        self.external.as_ref().map_or(OWN_ISSUER, |external| &external.name)
    }

    /// Whether people still sign in where this one does, as `identity` says.
    pub fn is_configured(&self, identity: &Identity) -> bool {
        self.external.as_ref().is_none_or(|external| {
            let same =
                |issuer: &&Issuer| *issuer.issuer == *external.issuer && *issuer.name == *external.name;
            identity.issuers.iter().find(same).is_some_and(|issuer| issuer.sign_in.is_some())
        })
    }

    /// The login of `user`.
    pub fn name(user: &str) -> DocumentRef<LoginKind> {
        DocumentRef { kind: LoginKind::Login, id: Arc::from(user) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_opens_a_login_is_visible() {
        let login = Login {
            user: "ann".into(),
            subject: "5f".into(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            spec: LoginSpec { email: Some("Ann@example.com".to_owned()), ..LoginSpec::default() },
            external: None,
            password: Some("$argon2id$secret".to_owned()),
            totp: Some("sealed-secret".to_owned()),
            invitation: Some(Invitation { hash: "secret".to_owned(), ends_at: Timestamp::UNIX_EPOCH }),
            not_before: None,
        };
        let seen = login.visible().to_string();
        assert!(!seen.contains("secret") && seen.contains(r#""totp":true"#), "{seen}");
        assert_eq!(login.unique().as_deref(), Some("ann@example.com"));
    }

    #[test]
    fn an_address_is_one() {
        let may =
            |email: &str| LoginSpec { email: Some(email.to_owned()), ..LoginSpec::default() }.check().is_ok();
        assert!(may("ann@example.com"));
        for wrong in ["", "ann", "@example.com", "ann@", "a@b@c", "a b@c.example", "a\n@b.example"] {
            assert!(!may(wrong), "{wrong}");
        }
    }
}
