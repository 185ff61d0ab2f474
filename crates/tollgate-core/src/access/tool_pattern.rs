//! Tools, and patterns for them.

use serde::{Deserialize, Serialize};

/// Tools of tool servers: `files/read_file`, `files/read_*`, `*/search`, `files/*`, `*`. Each side of the slash may hold one
/// `*`, which stands for anything. Prompts, resources and whatever else a server has beside its tools go with `files/*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ToolPattern(String);

/// The longest pattern, in bytes.
const LONGEST: usize = 256;

impl ToolPattern {
    /// The sides of the slash; one `*` is both of them.
    fn sides(&self) -> (&str, &str) {
        self.0.split_once('/').unwrap_or(("*", "*"))
    }

    /// Whether the tool `tool` of `server` is meant.
    pub fn fits(&self, server: &str, tool: &str) -> bool {
        let (of, name) = self.sides();
        glob(of, server) && glob(name, tool)
    }

    /// Whether any tool of `server` is meant.
    pub fn touches(&self, server: &str) -> bool {
        glob(self.sides().0, server)
    }

    /// Whether everything that `server` has is meant.
    pub fn fits_all_of(&self, server: &str) -> bool {
        let (of, name) = self.sides();
        name == "*" && glob(of, server)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` is what `pattern` says, in which one `*` may stand for anything.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
        }
    }
}

impl TryFrom<String> for ToolPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(format!("a tool is written in 1 to {LONGEST} bytes without control characters"));
        }
        if text == "*" {
            return Ok(Self(text));
        }
        let Some((server, tool)) = text.split_once('/') else {
            return Err(format!(
                "{text:?} names no tool: write `server/tool`, or `server/*` for all of a server's"
            ));
        };
        if server.is_empty() || tool.is_empty() {
            return Err(format!("{text:?} names no tool: there is nothing on one side of the slash"));
        }
        if [server, tool].iter().any(|side| side.matches('*').count() > 1) {
            return Err(format!("{text:?} has more than one `*` on one side of the slash"));
        }
        Ok(Self(text))
    }
}

impl From<ToolPattern> for String {
    fn from(pattern: ToolPattern) -> Self {
        pattern.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> ToolPattern {
        ToolPattern::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn each_side_of_the_slash_is_a_pattern() {
        assert!(pattern("*").fits("a", "b") && pattern("*").fits_all_of("a"));
        assert!(pattern("a/*").fits("a", "b/c") && !pattern("a/*").fits("ab", "c"));
        assert!(pattern("a/read_*").fits("a", "read_x") && !pattern("a/read_*").fits("a", "write_x"));
        assert!(pattern("*/search").fits("a", "search") && !pattern("*/search").fits_all_of("a"));
        assert!(pattern("a/read_*").touches("a") && !pattern("a/read_*").touches("b"));
        assert!(pattern("a/x/y").fits("a", "x/y"), "a tool's own name may hold a slash");
        for wrong in ["", "a", "/a", "a/", "a**/b", "a/b*c*", "a\n/b"] {
            assert!(ToolPattern::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
    }
}
