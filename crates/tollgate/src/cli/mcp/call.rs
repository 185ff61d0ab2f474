//! `tollgate mcp call TOOL NAME=VALUE…`.

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::{Map, Value};

use super::client::{Peer, texts, why};
use crate::cli::holder::How;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The tool, as `tollgate mcp list` names it
    tool: String,
    /// Its arguments: NAME=VALUE, read as the tool's schema says; JSON where that is no text
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
    /// All arguments, as a JSON object; `-` reads it from standard input
    #[arg(long = "arguments", value_name = "JSON", conflicts_with = "arguments")]
    all: Option<String>,
    /// Say what the call would do, and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    pub(super) async fn run(self, peer: &Peer<'_>, how: &How) -> Result<()> {
        let tool = peer.tool(&self.tool).await?;
        let arguments = self.arguments(&tool["inputSchema"])?;
        let said = peer.call(&tool, &arguments, &[], self.dry_run).await?;
        let result = said.answer.map_err(|error| why(&error))?;
        if result["resultType"] == "input_required" {
            bail!("the server wants to ask something before it goes on, and a shell cannot be asked");
        }
        let lines = texts(&result);
        if result["isError"] == true {
            let class = result["_meta"]["tollgate/fault"]["class"].as_str();
            let class = class.map_or(String::new(), |class| format!(" ({class})"));
            bail!("{}{class}", lines.join("\n"));
        }
        how.tell(&result, || match (&result["structuredContent"], lines.is_empty()) {
            (Value::Object(structured), true) => {
                vec![serde_json::to_string_pretty(structured).unwrap_or_default()]
            }
            _ => lines,
        })
    }

    fn arguments(&self, schema: &Value) -> Result<Value> {
        if let Some(all) = &self.all {
            let text = match all.as_str() {
                "-" => std::io::read_to_string(std::io::stdin())?,
                all => all.to_owned(),
            };
            let value: Value = serde_json::from_str(&text).context("--arguments is no JSON")?;
            return value
                .is_object()
                .then_some(value)
                .ok_or_else(|| anyhow!("--arguments is no JSON object"));
        }
        let each = self.arguments.iter().map(|said| {
            let (name, text) =
                said.split_once('=').ok_or_else(|| anyhow!("`{said}` is not of the form NAME=VALUE"))?;
            Ok((name.to_owned(), value(text, &schema["properties"][name])))
        });
        Ok(Value::Object(each.collect::<Result<Map<_, _>>>()?))
    }
}

/// `text` as a value of what the schema of an argument says: a text where it may be one.
fn value(text: &str, schema: &Value) -> Value {
    let is_text = match &schema["type"] {
        Value::String(kind) => kind == "string",
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "string"),
        _ => false,
    };
    if is_text {
        return Value::String(text.to_owned());
    }
    // What is no JSON is a text: whether the tool takes that, its schema says.
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::value;

    #[test]
    fn a_value_is_read_as_the_schema_says() {
        assert_eq!(value("5", &json!({ "type": "string" })), json!("5"));
        assert_eq!(value("5", &json!({ "type": "integer" })), json!(5));
        assert_eq!(value("true", &json!({ "type": ["boolean", "null"] })), json!(true));
        assert_eq!(value("[1]", &json!({})), json!([1]));
        assert_eq!(value("/a/b", &Value::Null), json!("/a/b"));
    }
}
