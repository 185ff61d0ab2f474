//! Who is told of what wants attention, and when: the settings `alerts` and `key_expiring_days`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::recording::Address;
use super::resolve::Resolver;
use super::{ConfigError, SecretRef};

/// The most addresses.
const MOST_TARGETS: usize = 32;

/// The most times at which somebody is told that a key ends, and the earliest of them.
const MOST_LEADS: usize = 10;
const LONGEST_LEAD: u32 = 3_660;

/// How large a secret is, in bytes (Standard Webhooks, "Signature scheme").
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What somebody is told of. Each is an event of the same name in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertKind {
    /// A budget has come to its threshold, or to its end.
    Budget,
    /// A deployment has failed so often that it rests.
    Cooldown,
    /// A key ends soon.
    KeyExpiring,
    /// A tool's definition waits for somebody to approve it.
    ToolHeld,
    /// A tool call waits for somebody to approve it.
    ApprovalPending,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Budget, Self::Cooldown, Self::KeyExpiring, Self::ToolHeld, Self::ApprovalPending];

    /// The name in configuration, in the journal, and in what is sent.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Cooldown => "cooldown",
            Self::KeyExpiring => "key_expiring",
            Self::ToolHeld => "tool_held",
            Self::ApprovalPending => "approval_pending",
        }
    }

    /// The kind that is called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How an alert is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertFormat {
    /// As Standard Webhooks says: signed JSON, for programs.
    #[default]
    Webhook,
    /// As Slack's incoming webhooks take it, and others that follow them: a text, for people.
    Slack,
}

/// An address for alerts, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertWritten {
    /// Where they are sent, by POST. It may itself be a secret.
    pub url: Spanned<SecretRef>,
    /// How they are written: `webhook` (default), `slack`.
    #[serde(default)]
    pub format: AlertFormat,
    /// What a webhook is signed with: `whsec_` and 24 to 64 bytes in base64.
    #[serde(default)]
    pub secret: Option<Spanned<SecretRef>>,
    /// Whether a webhook goes without a signature, default false.
    #[serde(default)]
    pub unsigned: bool,
    /// Which are sent: `budget`, `cooldown`, `key_expiring`, `tool_held`, `approval_pending`; default all.
    #[serde(default)]
    pub events: Option<Vec<Spanned<String>>>,
    /// Headers of the request.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
}

/// What webhooks are signed with. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Arc<[u8]>);

impl WebhookSecret {
    /// Reads `whsec_…`.
    pub fn read(text: &str) -> Result<Self, String> {
        let bytes = text.strip_prefix("whsec_").and_then(|rest| STANDARD.decode(rest).ok());
        match bytes {
            Some(bytes) if SECRET_BYTES.contains(&bytes.len()) => Ok(Self(bytes.into())),
            _ => Err("a secret is `whsec_` and 24 to 64 bytes in base64".to_owned()),
        }
    }

    /// The bytes, for what signs with them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// An address for alerts. `Debug` shows its host only.
#[derive(Clone, PartialEq, Eq)]
pub struct AlertTarget {
    /// Where they are sent.
    pub address: Address,
    /// How they are written.
    pub format: AlertFormat,
    /// What they are signed with; `None` where they are not.
    pub secret: Option<WebhookSecret>,
    /// Which are sent.
    pub kinds: Vec<AlertKind>,
}

impl AlertTarget {
    /// All of the address that may be shown.
    pub fn host(&self) -> &str {
        self.address.uri.host().unwrap_or_default()
    }
}

impl fmt::Debug for AlertTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlertTarget").field("host", &self.host()).finish_non_exhaustive()
    }
}

impl Resolver<'_> {
    /// Resolves `alerts`.
    pub(super) fn alerts(&self, written: &[AlertWritten]) -> Result<Vec<AlertTarget>, ConfigError> {
        if written.len() > MOST_TARGETS {
            return Err(ConfigError::new(format!("`alerts` names more than {MOST_TARGETS} addresses")));
        }
        let mut seen = BTreeSet::new();
        let mut targets = Vec::with_capacity(written.len());
        for one in written {
            let target = self.alert_target(one)?;
            // What was sent is remembered by address.
            if !seen.insert(target.address.uri.to_string()) {
                let twice = "the same address twice in `alerts`";
                return Err(ConfigError::at(one.url.referenced, twice).hint("name all of its `events` once"));
            }
            targets.push(target);
        }
        Ok(targets)
    }

    fn alert_target(&self, written: &AlertWritten) -> Result<AlertTarget, ConfigError> {
        let wrong = |why: String| ConfigError::at(written.url.referenced, format!("`alerts.url`: {why}"));
        let url = written.url.value.read(self.world.environment).map_err(wrong)?;
        Ok(AlertTarget {
            address: self.address_at(url.expose(), written.url.referenced, &written.headers)?,
            format: written.format,
            secret: self.webhook_secret(written)?,
            kinds: match &written.events {
                None => AlertKind::ALL.to_vec(),
                Some(names) => kinds(names)?,
            },
        })
    }

    /// Closed by default: a webhook is signed, unless the file says by name that it is not.
    fn webhook_secret(&self, written: &AlertWritten) -> Result<Option<WebhookSecret>, ConfigError> {
        let at = |why: &str| ConfigError::at(written.url.referenced, why);
        match (&written.secret, written.format, written.unsigned) {
            (None, AlertFormat::Slack, false) | (None, AlertFormat::Webhook, true) => Ok(None),
            (_, AlertFormat::Slack, _) => {
                Err(at("the format `slack` has no signature: leave out `secret` and `unsigned`"))
            }
            (None, AlertFormat::Webhook, false) => {
                Err(at("a webhook needs a `secret`, so that whoever gets it knows that it is from here")
                    .hint("make one with: echo whsec_$(openssl rand -base64 32); or say `unsigned: true`"))
            }
            (Some(secret), AlertFormat::Webhook, unsigned) => {
                let wrong =
                    |why: String| ConfigError::at(secret.referenced, format!("`alerts.secret`: {why}"));
                if unsigned {
                    return Err(wrong("`unsigned: true` says that there is none".to_owned()));
                }
                let read = secret.value.read(self.world.environment).map_err(wrong)?;
                WebhookSecret::read(read.expose())
                    .map(Some)
                    .map_err(|why| wrong(why).hint("make one with: echo whsec_$(openssl rand -base64 32)"))
            }
        }
    }
}

fn kinds(names: &[Spanned<String>]) -> Result<Vec<AlertKind>, ConfigError> {
    if names.is_empty() {
        return Err(ConfigError::new("`alerts.events` is empty: leave it out for all"));
    }
    let known = || AlertKind::ALL.map(AlertKind::name);
    let kind = |name: &Spanned<String>| {
        AlertKind::named(&name.value).ok_or_else(|| {
            let unknown = ConfigError::at(name.referenced, format!("there is no alert `{}`", name.value));
            let unknown = unknown.hint(format!("there are: {}", known().join(", ")));
            unknown.hint_nearest(&name.value, known())
        })
    };
    names.iter().map(kind).collect()
}

/// Resolves `key_expiring_days`: how many days before the end of a key it is told, the longest first.
pub(super) fn leads(written: Option<&[u32]>) -> Result<Vec<u32>, ConfigError> {
    let days: BTreeSet<u32> = written.unwrap_or(&[7, 1]).iter().copied().collect();
    if days.len() > MOST_LEADS || days.iter().any(|days| !(1..=LONGEST_LEAD).contains(days)) {
        return Err(ConfigError::new(format!(
            "`key_expiring_days` holds up to {MOST_LEADS} numbers of days, each from 1 to {LONGEST_LEAD}"
        )));
    }
    Ok(days.into_iter().rev().collect())
}
