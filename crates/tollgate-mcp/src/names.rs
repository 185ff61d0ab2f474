//! Tools' names as clients see them: unique over all servers, and within what every model provider takes.
//!
//! A name is the tool's own, or the server's and the tool's with `__` between. Characters that are not taken become `_`; what
//! is too long is cut and ends in a piece of the digest of both. Two tools that would have one name are an error that names
//! both, unless a rule says what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::hidden;

/// The longest name that clients see, in bytes.
pub const LONGEST: usize = 64;

/// Stands between server and tool.
const BETWEEN: &str = "__";

/// Hexadecimal digits of the digest at the end of a name that was cut.
const DIGITS: usize = 8;

/// When names begin with the server's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefix {
    /// Where two servers have a tool of the same name. A name may change when a server is added.
    #[default]
    Needed,
    /// Always. A name stays when a server is added.
    Always,
}

/// A tool of a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The server, as the configuration names it.
    pub server: String,
    /// The tool, as the server names it.
    pub tool: String,
}

impl Source {
    /// The tool `tool` of `server`.
    pub fn new(server: impl Into<String>, tool: impl Into<String>) -> Self {
        Self { server: server.into(), tool: tool.into() }
    }

    fn shown(&self) -> String {
        format!("`{}` of `{}`", hidden::excerpt(&self.tool, 128), hidden::excerpt(&self.server, 128))
    }
}

/// How names are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Naming {
    /// When they begin with the server's.
    pub prefix: Prefix,
    /// Tools that are called otherwise: the name is as written here.
    pub rename: Vec<Rename>,
    /// Tools that keep a name that others would have, too. The others are prefixed, or end in a digest.
    pub prefer: Vec<Source>,
}

/// A tool that is called otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// What clients see.
    pub to: String,
}

/// Names that cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two tools would have one name.
    #[error("{} and {} would both be `{name}`: rename one, or prefer one", .first.shown(), .second.shown())]
    Collision {
        /// The name.
        name: String,
        /// The one.
        first: Source,
        /// The other.
        second: Source,
    },
    /// A rule gives a name that clients do not take.
    #[error("{} cannot be renamed to `{}`: 1 to 64 of A-Z, a-z, 0-9, `_` and `-` are taken", .of.shown(), hidden::excerpt(.to, 128))]
    Rename {
        /// The tool.
        of: Source,
        /// The name.
        to: String,
    },
    /// Two rules rename one tool.
    #[error("{} is renamed twice", .0.shown())]
    RenamedTwice(Source),
}

/// Names, and what they stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    by_name: BTreeMap<String, Source>,
    by_source: BTreeMap<Source, String>,
}

impl Names {
    /// Gives a name to each of `sources`; what stands there twice counts once.
    ///
    /// # Errors
    /// Two would have one name and no rule says more, or a rule cannot be followed.
    pub fn give(naming: &Naming, sources: &[Source]) -> Result<Self, NameError> {
        let sources: BTreeSet<&Source> = sources.iter().collect();
        let renamed = renamed(naming)?;
        let preferred: BTreeSet<&Source> = naming.prefer.iter().collect();
        let bare = bare(naming, &sources, &renamed, &preferred);
        let mut wanted: BTreeMap<String, Vec<&Source>> = BTreeMap::new();
        for source in sources {
            let name = match renamed.get(source) {
                Some(to) => (*to).to_owned(),
                None if bare.contains(source) => fitted(&source.tool, source),
                None => fitted(&format!("{}{BETWEEN}{}", source.server, source.tool), source),
            };
            wanted.entry(name).or_default().push(source);
        }
        let mut names = Self::default();
        for (name, sources) in wanted {
            names.settle(name, &sources, &preferred)?;
        }
        Ok(names)
    }

    /// One name, and all who want it.
    fn settle(
        &mut self,
        name: String,
        sources: &[&Source],
        preferred: &BTreeSet<&Source>,
    ) -> Result<(), NameError> {
        let first = match sources {
            [only] => only,
            [first, second, ..] => {
                let mut winners = sources.iter().filter(|source| preferred.contains(*source));
                match (winners.next(), winners.next()) {
                    (Some(winner), None) => winner,
                    _ => return Err(collision(name, first, second)),
                }
            }
            [] => return Ok(()),
        };
        for source in sources.iter().filter(|source| *source != first) {
            self.put(with_digest(&name, source), source)?;
        }
        self.put(name, first)
    }

    fn put(&mut self, name: String, source: &Source) -> Result<(), NameError> {
        if let Some(other) = self.by_name.get(&name) {
            return Err(collision(name, other, source));
        }
        self.by_name.insert(name.clone(), source.clone());
        self.by_source.insert(source.clone(), name);
        Ok(())
    }

    /// What `name` stands for.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.by_name.get(name)
    }

    /// What `source` is called.
    pub fn name(&self, source: &Source) -> Option<&str> {
        self.by_source.get(source).map(String::as_str)
    }

    /// Every name and what it stands for, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.by_name.iter().map(|(name, source)| (name.as_str(), source))
    }
}

fn collision(name: String, first: &Source, second: &Source) -> NameError {
    NameError::Collision { name, first: first.clone(), second: second.clone() }
}

fn renamed(naming: &Naming) -> Result<BTreeMap<Source, &str>, NameError> {
    let mut renamed = BTreeMap::new();
    for Rename { server, tool, to } in &naming.rename {
        let of = Source::new(server, tool);
        if !is_taken(to) {
            return Err(NameError::Rename { of, to: to.clone() });
        }
        if renamed.insert(of.clone(), to.as_str()).is_some() {
            return Err(NameError::RenamedTwice(of));
        }
    }
    Ok(renamed)
}

/// Which tools keep their own name. A tool that is renamed is in nobody's way.
fn bare<'a>(
    naming: &Naming,
    sources: &BTreeSet<&'a Source>,
    renamed: &BTreeMap<Source, &str>,
    preferred: &BTreeSet<&Source>,
) -> BTreeSet<&'a Source> {
    if naming.prefix == Prefix::Always {
        return BTreeSet::new();
    }
    let mut servers: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut winners: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let own = |source: &Source| replaced(&source.tool);
    for source in sources.iter().filter(|source| !renamed.contains_key(**source)) {
        servers.entry(own(source)).or_default().insert(&source.server);
        if preferred.contains(source) {
            winners.entry(own(source)).or_default().insert(&source.server);
        }
    }
    let keeps = |source: &&&Source| {
        let name = own(source);
        let alone = servers.get(&name).is_none_or(|servers| servers.len() < 2);
        alone
            || winners
                .get(&name)
                .is_some_and(|winners| winners.len() == 1 && winners.contains(source.server.as_str()))
    };
    sources.iter().filter(keeps).copied().collect()
}

/// Whether clients take `name`.
pub fn is_taken(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// `name` with `_` for every character that is not taken.
fn replaced(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

/// `name` as clients take it; where it is too long, cut with a digest of `source`.
fn fitted(name: &str, source: &Source) -> String {
    let replaced = replaced(name);
    if is_taken(&replaced) { replaced } else { with_digest(&replaced, source) }
}

fn with_digest(name: &str, source: &Source) -> String {
    let mut digest = Sha256::new();
    // With the length in front no two pairs are the same text.
    digest.update((source.server.len() as u64).to_be_bytes());
    digest.update(source.server.as_bytes());
    digest.update(source.tool.as_bytes());
    let digits: String =
        digest.finalize().iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
    let room = LONGEST - DIGITS - 1;
    format!("{}_{digits}", &name[..name.floor_char_boundary(room)])
}
