//! A credential that was added: a secret, and the hosts that it may be sent to.

use std::sync::Arc;

use http::HeaderValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::model::check_note;
use crate::access::SpecError;
use crate::egress::Host;
use crate::secret::Secret;

/// A credential as it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Credential {
    /// Its name, unique among credentials.
    pub id: Arc<str>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When its secret was given.
    pub secret_at: Timestamp,
    /// Its secret, encrypted, bound to its name and its hosts.
    pub sealed: String,
    /// The end of a long secret, for people to tell it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What was said of it.
    #[serde(flatten)]
    pub spec: CredentialSpec,
}

/// What may be said of a credential, besides its secret.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct CredentialSpec {
    /// The hosts that it may be sent to, by their exact names: `api.openai.com`, `10.0.0.5:8000`. Without a port, that of
    /// the scheme. Other hosts need the secret again.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub hosts: Vec<Host>,
    /// What people should know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The most hosts of a credential.
const MOST_HOSTS: usize = 100;

/// The longest secret, in bytes.
const LONGEST_SECRET: usize = 8_192;

impl CredentialSpec {
    /// What may be said.
    pub const MEMBERS: &'static [&'static str] = &["hosts", "note"];

    /// Whether it can be.
    pub fn check(&self) -> Result<(), SpecError> {
        if !(1..=MOST_HOSTS).contains(&self.hosts.len()) {
            let why = format!(
                "1 to {MOST_HOSTS} hosts: a secret is sent to hosts that are named, and to no others"
            );
            return Err(SpecError { member: "hosts".to_owned(), why });
        }
        check_note(self.note.as_deref())
    }
}

/// Whether `secret` can be sent. The reason never shows it.
pub fn check_secret(secret: &str) -> Result<Secret, SpecError> {
    let wrong = |why: &str| Err(SpecError { member: "secret".to_owned(), why: why.to_owned() });
    let header = HeaderValue::from_str(secret).is_ok_and(|value| value.to_str().is_ok());
    match secret {
        _ if secret.is_empty() || secret.len() > LONGEST_SECRET => wrong("1 to 8192 characters"),
        _ if secret.trim() != secret || !header => wrong("it holds characters that no header can carry"),
        _ if secret.starts_with('$') || secret.starts_with("os.environ/") => {
            wrong("it is sent as it is written: variables are not read")
        }
        _ => Ok(Secret::new(secret)),
    }
}

/// What people may see of a secret: its last four characters, where it is long.
pub fn hint(secret: &Secret) -> Option<String> {
    const LONG: usize = 20;
    let text = secret.expose();
    let end = text.len().checked_sub(4).filter(|_| text.len() >= LONG)?;
    text.get(end..).map(|end| format!("…{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_tells_little_and_nothing_of_short_secrets() {
        assert_eq!(hint(&Secret::new("sk-0123456789abcdefgh")).as_deref(), Some("…efgh"));
        assert_eq!(hint(&Secret::new("sk-0123456789abcdef")), None);
    }

    #[test]
    fn what_cannot_be_sent_is_no_secret() {
        for wrong in
            ["", " x", "a\nb", "é", "${OPENAI_API_KEY}", "$KEY", "os.environ/KEY", &"x".repeat(8_193)]
        {
            let error = check_secret(wrong).map(|_| ()).unwrap_err();
            assert!(wrong.trim().len() < 3 || !error.to_string().contains(wrong), "{error}");
        }
        assert!(check_secret("sk-live").is_ok());
    }
}
