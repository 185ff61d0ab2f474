//! `tools.lock`: contracts as a text for review in git.
//!
//! JSON, one contract a block, in the order of server, tool and audience; definitions in canonical form, hidden characters
//! escaped. The same contracts give the same bytes. Reading refuses what writing would not have written, but for white
//! space and order: members that are not known or stand twice, a contract twice, a digest that is not its definition's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Contract, Key, canonical};
use crate::exact;
use crate::hidden;
use crate::tool::{Tool, ToolLimits};

/// The version of the format.
const VERSION: u32 = 1;

/// The largest file that is read, in bytes.
pub const LARGEST: usize = 64 << 20;

/// The most contracts in one file.
pub const MOST: usize = 20_000;

/// A file that is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct LockError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in bytes.
    pub column: usize,
    /// What is wrong.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    version: u32,
    #[serde(borrow)]
    contracts: Vec<&'a RawValue>,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    contracts: Vec<&'a Contract>,
}

/// The text of a lock with `contracts`.
///
/// # Errors
/// Two of them are of the same server, tool and audience.
pub fn write(contracts: &[Contract]) -> Result<String, String> {
    let mut sorted = BTreeMap::new();
    for contract in contracts {
        let canonical = Tool::try_from(canonical::form(&contract.definition)).map_err(|e| e.to_string())?;
        let contract = Contract { definition: canonical, ..contract.clone() };
        if sorted.insert(named(contract.key()), contract).is_some() {
            return Err(format!("two contracts of {}", named_twice(contracts)));
        }
    }
    let file = Written { version: VERSION, contracts: sorted.values().collect() };
    let text = serde_json::to_string_pretty(&file).map_err(|e| e.to_string())?;
    Ok(escaped(&text) + "\n")
}

fn named(key: Key<'_>) -> (String, String, Option<String>) {
    (key.server.to_owned(), key.tool.to_owned(), key.audience.map(ToOwned::to_owned))
}

fn named_twice(contracts: &[Contract]) -> String {
    let mut keys: Vec<Key<'_>> = contracts.iter().map(Contract::key).collect();
    keys.sort_unstable();
    keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| shown(pair[0])).unwrap_or_default()
}

fn shown(key: Key<'_>) -> String {
    let audience =
        key.audience.map(|audience| format!(" for {}", hidden::excerpt(audience, 64))).unwrap_or_default();
    format!("`{}` of `{}`{audience}", hidden::excerpt(key.tool, 64), hidden::excerpt(key.server, 64))
}

/// `json` with hidden characters as `\u` escapes. They stand in texts only, where an escape means the same.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if hidden::kind(c).is_some() {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// The contracts in `text`.
///
/// # Errors
/// What is wrong with it, and in which line.
pub fn read(text: &str) -> Result<Vec<Contract>, LockError> {
    let at = |line, column, why| LockError { line, column, why };
    if text.len() > LARGEST {
        return Err(at(1, 1, format!("{} bytes, and at most {LARGEST} are read", text.len())));
    }
    let file: File<'_> = serde_json::from_str(text).map_err(|e| at(e.line(), e.column(), plain(&e)))?;
    if file.version != VERSION {
        return Err(at(1, 1, format!("version {} of the format; this gate reads {VERSION}", file.version)));
    }
    if file.contracts.len() > MOST {
        return Err(at(1, 1, format!("{} contracts, and at most {MOST} are read", file.contracts.len())));
    }
    let mut lines: BTreeMap<_, usize> = BTreeMap::new();
    let mut positions = Positions::new(text);
    let mut contracts = Vec::new();
    for block in file.contracts {
        let (line, column) = positions.of(block.get());
        let contract = contract(block.get()).map_err(|(within, of, why)| {
            // The first line of a block does not begin at column 1.
            at(line + within - 1, if within == 1 { column + of - 1 } else { of }, why)
        })?;
        if let Some(first) = lines.insert(named(contract.key()), line) {
            let why = format!("{} is also in line {first}", shown(contract.key()));
            return Err(at(line, column, why));
        }
        contracts.push(contract);
    }
    Ok(contracts)
}

/// Reads one block; line and column of an error are within it.
fn contract(block: &str) -> Result<Contract, (usize, usize, String)> {
    let definition = ToolLimits::default().definition;
    // White space of the file, and the members around the definition.
    let limits = exact::Limits {
        bytes: definition.bytes * 8,
        depth: definition.depth + 1,
        values: definition.values + 16,
    };
    exact::read(block, limits).map_err(|e| match e {
        exact::Unreadable::NoJson { why, line, column } => (line, column, why),
        other => (1, 1, other.to_string()),
    })?;
    let contract: Contract = serde_json::from_str(block).map_err(|e| (e.line(), e.column(), plain(&e)))?;
    if contract.is_consistent() {
        Ok(contract)
    } else {
        Err((1, 1, format!("digest or name of {} is not that of its definition", shown(contract.key()))))
    }
}

fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    hidden::excerpt(text.split(" at line ").next().unwrap_or_default(), 300)
}

/// Where the pieces of a text begin, asked for one after the other: each line is counted once.
struct Positions<'a> {
    text: &'a str,
    counted: usize,
    line: usize,
}

impl<'a> Positions<'a> {
    const fn new(text: &'a str) -> Self {
        Self { text, counted: 0, line: 1 }
    }

    /// Line and column, from 1, at which `part`, a piece of the text, begins.
    fn of(&mut self, part: &str) -> (usize, usize) {
        let start = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len());
        let between = self.text.as_bytes().get(self.counted..start).unwrap_or_default();
        self.line += between.iter().filter(|b| **b == b'\n').count();
        self.counted = self.counted.max(start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |end| end + 1);
        (self.line, start - line_start + 1)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tollgate_core::effect::Effect;

    use super::*;

    fn contract(server: &str, tool: &str, description: &str) -> Contract {
        let json =
            serde_json::json!({"name": tool, "inputSchema": {"type": "object"}, "description": description});
        let tool = serde_json::from_value(json).unwrap();
        Contract::pin(server, None, tool, Effect::Read, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_same_contracts_give_the_same_bytes_and_come_back() {
        let contracts = [
            contract("b", "x", "one"),
            contract("a", "y", "tw\u{202e}o \u{e0041}"),
            contract("a", "x", "three"),
        ];
        let text = write(&contracts).unwrap();
        let mut turned = contracts.to_vec();
        turned.reverse();
        assert_eq!(write(&turned).unwrap(), text);
        assert!(text.contains(r"tw\u202eo \udb40\udc41"), "{text}");
        let back = read(&text).unwrap();
        let keys: Vec<_> = back.iter().map(|c| (c.server.as_str(), c.tool.as_str())).collect();
        assert_eq!(keys, [("a", "x"), ("a", "y"), ("b", "x")]);
        assert_eq!(back[1].definition.description(), Some("tw\u{202e}o \u{e0041}"));
        assert_eq!(write(&back).unwrap(), text);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let text = write(&[contract("a", "x", "one"), contract("b", "y", "two")]).unwrap();
        let line =
            |text: &str, needle: &str| text.lines().position(|line| line.contains(needle)).unwrap() + 1;
        let refused = |text: &str| read(text).unwrap_err();

        let unknown = text.replacen("\"effect\"", "\"efect\"", 1);
        let error = refused(&unknown);
        assert_eq!(error.line, line(&unknown, "efect"));
        assert!(error.why.starts_with("unknown field `efect`"), "{error}");

        let edited = text.replace("two", "two, and more");
        assert_eq!(refused(&edited).line, line(&edited, "\"server\": \"b\"") - 1);
        assert!(refused(&edited).why.contains("is not that of its definition"));

        let twice = text
            .replace("\"server\": \"b\"", "\"server\": \"a\"")
            .replace("\"y\"", "\"x\"")
            .replace("two", "one");
        let digests: Vec<_> = text.lines().filter(|line| line.contains("sha256")).map(str::trim).collect();
        let twice = twice.replace(digests[1], digests[0]);
        assert_eq!(refused(&twice).why, "`x` of `a` is also in line 4");

        let member = text.replacen("\"name\": \"x\"", "\"name\": \"x\", \"name\": \"x\"", 1);
        assert_eq!(refused(&member).why, "the member `name` twice");
        assert!(refused(&text.replace("\"version\": 1", "\"version\": 2")).why.starts_with("version 2"));
        assert!(
            write(&[contract("a", "x", "1"), contract("a", "x", "2")]).unwrap_err().contains("`x` of `a`")
        );
    }
}
