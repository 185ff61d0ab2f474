//! Which tools clients find at which address, and under which names.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::ConfigError;
use crate::access::ToolPattern;

/// What becomes of an address when one of its servers cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The others go on.
    #[default]
    Open,
    /// None goes on: who works with half of the tools may do harm.
    Closed,
}

/// A choice of tool servers and tools as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BundleWritten {
    /// The servers, default all.
    pub servers: Option<Vec<Spanned<String>>>,
    /// The tools (`files/read_*`), default all that the servers have.
    pub tools: Option<Vec<Spanned<String>>>,
    /// What happens when a server cannot be reached: `open` (default) or `closed`.
    pub failure: OnFailure,
}

/// A choice of tool servers and tools, at the address `/mcp/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Its name.
    pub name: Arc<str>,
    /// The servers.
    pub servers: Vec<Arc<str>>,
    /// The tools; `None` stands for all that the servers have.
    pub tools: Option<Vec<ToolPattern>>,
    /// What happens when a server cannot be reached.
    pub failure: OnFailure,
}

/// A tool of a server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ToolName {
    /// The server, as the configuration names it.
    pub server: String,
    /// The tool, as the server names it.
    pub tool: String,
}

/// A tool that is called otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ToolRenamed {
    /// The server, as the configuration names it.
    pub server: String,
    /// The tool, as the server names it.
    pub tool: String,
    /// What clients see.
    pub to: String,
}

/// When names begin with the server's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NamePrefix {
    /// Where two servers have a tool of the same name.
    #[default]
    Needed,
    /// Always.
    Always,
}

/// How clients see tools' names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolNames {
    /// When they begin with the server's: `needed` (default) or `always`.
    pub prefix: NamePrefix,
    /// Tools that are called otherwise.
    pub rename: Vec<ToolRenamed>,
    /// Tools that keep a name that others would have, too.
    pub prefer: Vec<ToolName>,
}

/// Whether `name` can be a part of an address and of a tool's name.
pub(super) fn is_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// The longest name that clients take.
const LONGEST_SHOWN: usize = 64;

/// Checks that every rule of `names` names a server that is `known`, and something that clients take.
pub(super) fn names(names: &ToolNames, known: &[Arc<str>]) -> Result<(), ConfigError> {
    let all = || known.iter().map(|name| &**name);
    let configured = |setting: &str, server: &str| {
        if all().any(|name| name == server) {
            return Ok(());
        }
        let message =
            format!("`tools.names.{setting}` names the tool server `{server}`, which is not configured");
        Err(ConfigError::new(message).hint_nearest(server, all()))
    };
    for rule in &names.rename {
        configured("rename", &rule.server)?;
        let taken = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if !(1..=LONGEST_SHOWN).contains(&rule.to.len()) || !rule.to.bytes().all(taken) {
            return Err(ConfigError::new(format!(
                "`tools.names.rename`: clients take no tool that is called `{}`: 1 to {LONGEST_SHOWN} letters, digits, `-` and `_`",
                rule.to
            )));
        }
        let same = |other: &&ToolRenamed| other.to == rule.to;
        if let Some(other) = names.rename.iter().filter(same).find(|other| *other != rule) {
            return Err(ConfigError::new(format!(
                "`tools.names.rename` calls both {}/{} and {}/{} `{}`",
                other.server, other.tool, rule.server, rule.tool, rule.to
            )));
        }
    }
    names.prefer.iter().try_for_each(|rule| configured("prefer", &rule.server))
}

/// The bundles that are `written`, of the servers that are `known`.
pub(super) fn bundles(
    written: &BTreeMap<String, BundleWritten>,
    known: &[Arc<str>],
) -> Result<BTreeMap<Arc<str>, Arc<Bundle>>, ConfigError> {
    let names = || known.iter().map(|name| &**name);
    let each = written.iter().map(|(name, written)| {
        if !is_name(name) {
            return Err(ConfigError::new(format!(
                "`{name}` is no name of a bundle: 1 to 32 letters, digits, `-` and `_`"
            )));
        }
        if names().any(|server| server == name) {
            return Err(ConfigError::new(format!(
                "`{name}` is the name of a tool server and of a bundle: both would be at /mcp/{name}"
            )));
        }
        let server = |server: &Spanned<String>| {
            let found = known.iter().find(|known| ***known == *server.value).cloned();
            found.ok_or_else(|| {
                let message = format!(
                    "bundle `{name}` names the tool server `{}`, which is not configured",
                    server.value
                );
                ConfigError::at(server.referenced, message).hint_nearest(&server.value, names())
            })
        };
        let servers = match &written.servers {
            Some(servers) => servers.iter().map(server).collect::<Result<_, _>>()?,
            None => known.to_vec(),
        };
        let pattern = |pattern: &Spanned<String>| {
            ToolPattern::try_from(pattern.value.clone())
                .map_err(|why| ConfigError::at(pattern.referenced, why))
        };
        let tools = written.tools.as_ref().map(|tools| tools.iter().map(pattern).collect::<Result<_, _>>());
        let name: Arc<str> = Arc::from(name.as_str());
        let bundle =
            Bundle { name: Arc::clone(&name), servers, tools: tools.transpose()?, failure: written.failure };
        Ok((name, Arc::new(bundle)))
    });
    each.collect()
}
