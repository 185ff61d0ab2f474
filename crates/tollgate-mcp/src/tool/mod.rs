//! A tool as a server lists it, in any revision (MCP, `Tool`): every member is kept, known or not, in its order.

mod annotations;
mod list;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::exact::{self, Unreadable};
use crate::hidden;

pub use annotations::Annotations;
pub use list::{Listing, PageRefusal, RefusedTool};

/// Members that a revision defines. What else there is is kept.
pub const KNOWN: [&str; 9] = [
    "name",
    "title",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
    "icons",
    "execution",
    "_meta",
];

/// The longest name, in bytes. The specification recommends 128 at most (2025-11-25, "Tool names").
const LONGEST_NAME: usize = 256;

/// What lists and definitions may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolLimits {
    /// One definition.
    pub definition: exact::Limits,
    /// Tools of one server, over all pages.
    pub tools: usize,
}

impl Default for ToolLimits {
    /// 256 KiB, 64 levels and 20,000 values a definition; 1,000 tools.
    fn default() -> Self {
        Self { definition: exact::Limits { bytes: 256 << 10, depth: 64, values: 20_000 }, tools: 1_000 }
    }
}

/// Why a definition is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolRefusal {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is no object.
    #[error("a tool is an object")]
    NoObject,
    /// A member that every revision requires is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A known member is of another type than every revision says.
    #[error("`{member}` must be {expected}")]
    Type {
        /// Its name.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The name is empty or longer than 256 bytes.
    #[error("the name has {0} bytes, and 1 to 256 are taken")]
    Name(usize),
    /// Another tool of the same list has the same name: which of them would a call mean?
    #[error("the name `{}` is listed twice", hidden::excerpt(.0, 64))]
    Twice(String),
}

/// A tool as it was listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Tool {
    name: String,
    members: Map<String, Value>,
}

impl Tool {
    /// Reads a definition.
    ///
    /// # Errors
    /// It is beyond `limits`, has a member twice, lacks `name` or `inputSchema`, or a known member is of another type.
    pub fn read(text: &str, limits: exact::Limits) -> Result<Self, ToolRefusal> {
        Self::try_from(exact::read(text, limits)?)
    }

    /// What calls name it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people are shown instead of the name (since 2025-06-18).
    pub fn title(&self) -> Option<&str> {
        self.text("title")
    }

    /// What it is for: the text that a model chooses by.
    pub fn description(&self) -> Option<&str> {
        self.text("description")
    }

    /// What its arguments must be.
    pub fn input_schema(&self) -> &Value {
        self.members.get("inputSchema").unwrap_or(&Value::Null)
    }

    /// What its structured results are (since 2025-06-18).
    pub fn output_schema(&self) -> Option<&Value> {
        self.present("outputSchema")
    }

    /// What the server says of its effects (since 2025-03-26).
    pub fn annotations(&self) -> Annotations {
        self.present("annotations").and_then(Value::as_object).map(Annotations::of).unwrap_or_default()
    }

    /// Its pictures (since 2025-11-25).
    pub fn icons(&self) -> &[Value] {
        self.present("icons").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// How it is executed (2025-11-25, `taskSupport`).
    pub fn execution(&self) -> Option<&Value> {
        self.present("execution")
    }

    /// What server and client add for each other (since 2025-06-18).
    pub fn meta(&self) -> Option<&Value> {
        self.present("_meta")
    }

    /// Members that no revision defines.
    pub fn unknown(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.members
            .iter()
            .filter(|(name, _)| !KNOWN.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value))
    }

    /// All members, in the order in which they came.
    pub const fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.present(member).and_then(Value::as_str)
    }

    /// A member; some servers write `null` where nothing is.
    fn present(&self, member: &str) -> Option<&Value> {
        self.members.get(member).filter(|value| !value.is_null())
    }
}

impl TryFrom<Value> for Tool {
    type Error = ToolRefusal;

    fn try_from(value: Value) -> Result<Self, ToolRefusal> {
        let Value::Object(members) = value else { return Err(ToolRefusal::NoObject) };
        for (member, expected, fits) in TYPES {
            match members.get(member) {
                None | Some(Value::Null) => {}
                Some(value) if fits(value) => {}
                Some(_) => return Err(ToolRefusal::Type { member, expected }),
            }
        }
        let required =
            |member| members.get(member).filter(|value| !value.is_null()).ok_or(ToolRefusal::Missing(member));
        required("inputSchema")?;
        let name = required("name")?.as_str().unwrap_or_default().to_owned();
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(ToolRefusal::Name(name.len()));
        }
        Ok(Self { name, members })
    }
}

impl From<Tool> for Value {
    fn from(tool: Tool) -> Self {
        Self::Object(tool.members)
    }
}

type Fits = fn(&Value) -> bool;

/// The types of known members.
const TYPES: [(&str, &str, Fits); 9] = [
    ("name", "a text", Value::is_string),
    ("title", "a text", Value::is_string),
    ("description", "a text", Value::is_string),
    ("inputSchema", "an object", Value::is_object),
    ("outputSchema", "an object", Value::is_object),
    ("annotations", "an object", Value::is_object),
    ("icons", "a list", Value::is_array),
    ("execution", "an object", Value::is_object),
    ("_meta", "an object", Value::is_object),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tool, String> {
        Tool::read(text, ToolLimits::default().definition).map_err(|e| e.to_string())
    }

    #[test]
    fn every_member_is_kept_in_place() {
        let text = r#"{"x-new":1,"name":"t","title":null,"inputSchema":{"type":"object","zz":1,"a":2},"icons":[{"src":"i"}]}"#;
        let tool = read(text).unwrap();
        assert_eq!((tool.name(), tool.title(), tool.description()), ("t", None, None));
        assert_eq!(tool.icons().len(), 1);
        assert_eq!(tool.unknown().map(|(name, _)| name).collect::<Vec<_>>(), ["x-new"]);
        assert_eq!(serde_json::to_string(&tool).unwrap(), text);
        assert_eq!(serde_json::from_str::<Tool>(text).unwrap(), tool);
    }

    #[test]
    fn what_is_no_tool_is_refused_by_name() {
        let cases = [
            ("[]", "a tool is an object"),
            (r#"{"name":"t"}"#, "`inputSchema` is missing"),
            (r#"{"inputSchema":{}}"#, "`name` is missing"),
            (r#"{"name":"","inputSchema":{}}"#, "the name has 0 bytes, and 1 to 256 are taken"),
            (r#"{"name":"t","inputSchema":[]}"#, "`inputSchema` must be an object"),
            (r#"{"name":"t","description":7,"inputSchema":{}}"#, "`description` must be a text"),
            (r#"{"name":"t","name":"u","inputSchema":{}}"#, "the member `name` twice"),
        ];
        for (text, why) in cases {
            assert_eq!(read(text).unwrap_err(), why, "{text}");
        }
    }
}
