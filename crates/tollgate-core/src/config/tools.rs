//! Tool servers: how each is reached, with which credential, and what is known of its tools. The setting `tool_servers`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::bundles::is_name;
use super::file;
use super::resolve::{Resolver, millis, timeouts};
use super::snapshot::Timeouts;
pub use super::tool_auth::{
    AccountAuth, AccountOf, AccountWritten, Auth, AuthWritten, ClientCredentials, ClientCredentialsWritten,
    Exchange, ExchangeWritten,
};
use super::{ConfigError, SecretRef};
use crate::effect::Effect;
use crate::secret::Secret;
use crate::undo::Compensation;

/// The revisions of MCP that a server can be said to speak.
pub const REVISIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

/// A tool server as written. One of `command` and `url` says how it is reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolServerWritten {
    /// A program, and its arguments, that speaks MCP over its standard input and output.
    #[serde(default)]
    pub command: Option<Spanned<Vec<String>>>,
    /// Variables of the program's environment. Of the gate's own it has but a few: where programs, home and temporary files
    /// are, language, time zone, proxies and certificates.
    #[serde(default)]
    pub env: BTreeMap<String, SecretRef>,
    /// The folder that the program runs in, default the gate's.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// The most memory that the program and each of its children may write to, in bytes (`RLIMIT_DATA`). Default none is set.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// The most processes of the program and its children at once, default 256.
    #[serde(default)]
    pub processes: Option<u32>,
    /// Where the server is, where it is reached over HTTP.
    #[serde(default)]
    pub url: Option<Spanned<String>>,
    /// `http` (streamable HTTP, default) or `sse` (HTTP with server-sent events, as in 2024-11-05).
    #[serde(default)]
    pub transport: Transport,
    /// The revision of MCP that it speaks, default found out.
    #[serde(default)]
    pub revision: Option<Spanned<String>>,
    /// The credential, default none.
    #[serde(default)]
    pub auth: Option<AuthWritten>,
    /// Further headers to send.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    /// Whether all callers share one session with it, default false.
    #[serde(default)]
    pub shared: bool,
    /// Whether what the server says of its tools' effects is believed, default false.
    #[serde(default)]
    pub trust_annotations: bool,
    /// What tools can change, by name: `read`, `write` or `destructive`, or `{ effect, idempotent, undo }`.
    #[serde(default)]
    pub effects: BTreeMap<String, EffectWritten>,
    /// How long to wait for what; see `timeouts`.
    #[serde(default)]
    pub timeouts: file::Timeouts,
    /// Sizes and counts.
    #[serde(default)]
    pub limits: ServerLimitsWritten,
}

/// How messages travel over HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Streamable HTTP.
    #[default]
    Http,
    /// HTTP with server-sent events, as in 2024-11-05.
    Sse,
}

/// What a tool can change, as written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum EffectWritten {
    /// Only that.
    Effect(Effect),
    /// And whether twice is as once.
    More(EffectAndMore),
}

/// What a tool can change, and whether twice is as once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectAndMore {
    /// What it can change.
    #[serde(default)]
    pub effect: Option<Effect>,
    /// Whether calling it twice is as calling it once.
    #[serde(default)]
    pub idempotent: Option<bool>,
    /// The call that takes a call of it back; what passes in calls of the tool is kept for it.
    #[serde(default)]
    pub undo: Option<Arc<Compensation>>,
}

/// Sizes and counts of one server, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerLimitsWritten {
    /// Largest message of the server, default 16777216.
    pub message_bytes: Option<usize>,
    /// Most sessions with it, or children, at once, default 1000.
    pub sessions: Option<usize>,
    /// How long a session that nobody uses is kept, default 300000.
    pub idle_ms: Option<u64>,
}

/// A tool server.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolServer {
    /// Its name.
    pub name: Arc<str>,
    /// How it is reached.
    pub reached: Reached,
    /// The revision that it speaks, of [`REVISIONS`]; `None` where that is found out.
    pub revision: Option<&'static str>,
    /// Whether all callers share one session with it.
    pub shared: bool,
    /// What the configuration says of its tools.
    pub effects: ToolEffects,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Sizes and counts.
    pub limits: ServerLimits,
}

/// How a tool server is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Reached {
    /// As a program.
    Command(Command),
    /// Over HTTP.
    Url(Url),
}

/// A program that speaks MCP over its standard input and output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments; there is at least the program.
    pub line: Vec<String>,
    /// What its environment has besides the gate's few.
    pub env: Vec<(String, Secret)>,
    /// The folder that it runs in.
    pub cwd: Option<PathBuf>,
    /// The most memory that each process may have.
    pub memory_bytes: Option<u64>,
    /// The most processes at once.
    pub processes: u32,
}

/// An address that a tool server is reached at.
#[derive(Clone, Debug, PartialEq)]
pub struct Url {
    /// The address.
    pub uri: Uri,
    /// How messages travel.
    pub transport: Transport,
    /// The credential.
    pub auth: Auth,
    /// Further headers, marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// What the configuration says of tools' effects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolEffects {
    /// Whether what the server says is believed.
    pub trust_annotations: bool,
    /// By tool.
    pub tools: BTreeMap<String, EffectAndMore>,
}

/// Sizes and counts of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Largest message.
    pub message_bytes: usize,
    /// Most sessions at once.
    pub sessions: usize,
    /// How long a session that nobody uses is kept.
    pub idle: Duration,
}

impl ToolServer {
    /// What it is sent as a credential: no message may show any of it.
    pub fn secrets(&self) -> Vec<Secret> {
        match &self.reached {
            Reached::Command(command) => command.env.iter().map(|(_, secret)| secret.clone()).collect(),
            Reached::Url(url) => {
                let headers =
                    url.headers.iter().filter_map(|(_, value)| value.to_str().ok()).map(Secret::new);
                let auth = match &url.auth {
                    Auth::None => None,
                    Auth::Bearer(secret) => Some(secret.clone()),
                    Auth::ClientCredentials(client) => Some(client.client_secret.clone()),
                    Auth::Account(account) => account.client.as_ref().and_then(|(_, secret)| secret.clone()),
                    Auth::Exchange(exchange) => exchange.at.as_ref().map(|(.., secret)| secret.clone()),
                };
                headers.chain(auth).collect()
            }
        }
    }
}

impl ToolServer {
    /// Whether it is asked in people's names: what it has differs by person.
    pub fn acts_for_people(&self) -> bool {
        match &self.reached {
            Reached::Url(url) => match &url.auth {
                Auth::Account(account) => account.of == AccountOf::User,
                Auth::Exchange(_) => true,
                Auth::None | Auth::Bearer(_) | Auth::ClientCredentials(_) => false,
            },
            Reached::Command(_) => false,
        }
    }

    /// The tokens that it is asked with, where they say for whom.
    pub fn exchange(&self) -> Option<&Exchange> {
        match &self.reached {
            Reached::Url(Url { auth: Auth::Exchange(exchange), .. }) => Some(exchange),
            Reached::Url(_) | Reached::Command(_) => None,
        }
    }

    /// The account that it is asked with, where that is how.
    pub fn account(&self) -> Option<(&Url, &AccountAuth)> {
        match &self.reached {
            Reached::Url(url) => match &url.auth {
                Auth::Account(account) => Some((url, account)),
                _ => None,
            },
            Reached::Command(_) => None,
        }
    }
}

impl Resolver<'_> {
    pub(super) fn tool_servers(
        &self,
        written: &BTreeMap<String, ToolServerWritten>,
        shared: &file::Timeouts,
    ) -> Result<BTreeMap<Arc<str>, Arc<ToolServer>>, ConfigError> {
        let each = written.iter().map(|(name, written)| {
            let server = self.tool_server(name, written, shared)?;
            Ok((Arc::clone(&server.name), Arc::new(server)))
        });
        each.collect()
    }

    fn tool_server(
        &self,
        name: &str,
        written: &ToolServerWritten,
        shared: &file::Timeouts,
    ) -> Result<ToolServer, ConfigError> {
        if !is_name(name) {
            return Err(ConfigError::new(format!(
                "`{name}` is no name of a tool server: 1 to 32 letters, digits, `-` and `_`"
            )));
        }
        let reached = match (&written.command, &written.url) {
            (Some(command), None) => Reached::Command(self.command(name, command, written)?),
            (None, Some(url)) => Reached::Url(self.url(name, url, written)?),
            (Some(command), Some(_)) => {
                let message = format!("tool server `{name}` has a `command` and a `url`: it is one of them");
                return Err(ConfigError::at(command.referenced, message));
            }
            (None, None) => {
                return Err(ConfigError::new(format!(
                    "tool server `{name}` has neither a `command` nor a `url`"
                )));
            }
        };
        let revision = |written: &Spanned<String>| {
            REVISIONS.into_iter().find(|known| *known == written.value).ok_or_else(|| {
                let message = format!("tool server `{name}`: `{}` is no revision of MCP", written.value);
                ConfigError::at(written.referenced, message).hint(format!("one of {}", REVISIONS.join(", ")))
            })
        };
        let more = |written: &EffectWritten| match written {
            EffectWritten::Effect(effect) => {
                EffectAndMore { effect: Some(*effect), idempotent: None, undo: None }
            }
            EffectWritten::More(more) => more.clone(),
        };
        for (tool, effect) in &written.effects {
            if let EffectWritten::More(EffectAndMore { undo: Some(undo), .. }) = effect {
                let wrong = |why| {
                    ConfigError::new(format!(
                        "tool server `{name}`: what undoes `{tool}` cannot be called: {why}"
                    ))
                };
                undo.check().map_err(wrong)?;
            }
        }
        Ok(ToolServer {
            name: Arc::from(name),
            reached,
            revision: written.revision.as_ref().map(revision).transpose()?,
            shared: written.shared,
            effects: ToolEffects {
                trust_annotations: written.trust_annotations,
                tools: written.effects.iter().map(|(tool, effect)| (tool.clone(), more(effect))).collect(),
            },
            timeouts: timeouts(&written.timeouts, shared),
            limits: ServerLimits {
                message_bytes: written.limits.message_bytes.unwrap_or(16 << 20),
                sessions: written.limits.sessions.unwrap_or(1_000).max(1),
                idle: millis(written.limits.idle_ms, 300_000),
            },
        })
    }

    fn command(
        &self,
        name: &str,
        line: &Spanned<Vec<String>>,
        written: &ToolServerWritten,
    ) -> Result<Command, ConfigError> {
        let wrong = |why: String| ConfigError::at(line.referenced, format!("tool server `{name}`: {why}"));
        if written.transport != Transport::Http {
            return Err(wrong(
                "a command has no `transport`: it speaks over its input and output".to_owned(),
            ));
        }
        if line.value.first().is_none_or(String::is_empty) {
            return Err(wrong("the command names no program".to_owned()));
        }
        if written.auth.is_some() || !written.headers.is_empty() {
            return Err(wrong(
                "a command has no `auth` and no `headers`: what it must know goes into `env`".to_owned(),
            ));
        }
        let variable = |(variable, value): (&String, &SecretRef)| {
            let value =
                value.read(self.world.environment).map_err(|why| wrong(format!("`{variable}`: {why}")))?;
            if variable.is_empty() || variable.contains(['=', '\0']) {
                return Err(wrong(format!("`{variable}` is no name of a variable")));
            }
            Ok((variable.clone(), value))
        };
        let interpolated = |part: &String| self.interpolate(part).map_err(wrong);
        Ok(Command {
            line: line.value.iter().map(interpolated).collect::<Result<_, _>>()?,
            env: written.env.iter().map(variable).collect::<Result<_, _>>()?,
            cwd: written.cwd.clone(),
            memory_bytes: written.memory_bytes,
            processes: written.processes.unwrap_or(256).max(1),
        })
    }

    fn url(
        &self,
        name: &str,
        url: &Spanned<String>,
        written: &ToolServerWritten,
    ) -> Result<Url, ConfigError> {
        // Not the address itself: what was filled in from the environment may be a secret.
        let wrong = |why: String| ConfigError::at(url.referenced, format!("tool server `{name}`: {why}"));
        let limits = written.memory_bytes.is_some() || written.processes.is_some();
        if !written.env.is_empty() || written.cwd.is_some() || limits {
            return Err(wrong("`env`, `cwd`, `memory_bytes` and `processes` are a command's".to_owned()));
        }
        let text = self.interpolate(&url.value).map_err(wrong)?;
        let scheme = || wrong("the address must begin with http:// or https:// and name a host".to_owned());
        let uri: Uri = text.parse().map_err(|_| scheme())?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => {}
            _ => return Err(scheme()),
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("the address must not hold a user".to_owned()));
        }
        let header = |(header, value): (&String, &SecretRef)| {
            let parsed: HeaderName =
                header.parse().map_err(|_| wrong(format!("`{header}` is no header name")))?;
            let value = value
                .read(self.world.environment)
                .map_err(|why| wrong(format!("header `{header}`: {why}")))?;
            let mut value = HeaderValue::from_str(value.expose())
                .map_err(|_| wrong(format!("header `{header}`: its value cannot stand in a header")))?;
            value.set_sensitive(true);
            Ok((parsed, value))
        };
        Ok(Url {
            auth: self.auth(name, &text, written.auth.as_ref())?,
            headers: written.headers.iter().map(header).collect::<Result<_, _>>()?,
            transport: written.transport,
            uri,
        })
    }
}
