//! `tollgate mcp inspect TOOL`.

use anyhow::Result;
use clap::Args;
use serde_json::Value;
use tollgate_mcp::hidden;

use super::client::Peer;
use crate::cli::holder::How;

/// The most of a description that is shown, in bytes.
const MOST_SHOWN: usize = 4_000;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The tool, as `tollgate mcp list` names it
    tool: String,
}

impl Arguments {
    pub(super) async fn run(self, peer: &Peer<'_>, how: &How) -> Result<()> {
        let tool = peer.tool(&self.tool).await?;
        how.tell(&tool, || lines(&tool))
    }
}

fn lines(tool: &Value) -> Vec<String> {
    let mut lines = vec![tool["name"].as_str().unwrap_or("?").to_owned()];
    let description = tool["description"].as_str().unwrap_or("(it says nothing of itself)");
    let shown: String = description.chars().take(MOST_SHOWN).collect();
    lines.extend(shown.lines().map(|line| format!("  {}", hidden::shown(line))));
    lines.push(String::new());
    let schema = &tool["inputSchema"];
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match schema["properties"].as_object().filter(|properties| !properties.is_empty()) {
        None => lines.push("it takes no arguments that it names".to_owned()),
        Some(properties) => {
            lines.push("arguments".to_owned());
            for (name, property) in properties {
                let must = if required.contains(&name.as_str()) { "" } else { ", may be left out" };
                let text = property["description"].as_str().unwrap_or_default();
                let text = hidden::excerpt(text.lines().next().unwrap_or_default(), 200);
                let colon = if text.is_empty() { "" } else { ": " };
                lines.push(format!("  {} ({}{must}){colon}{text}", hidden::shown(name), kind(property)));
            }
        }
    }
    if tool["outputSchema"].is_object() {
        lines.push("it gives a structured result".to_owned());
    }
    if let Some(annotations) = tool["annotations"].as_object() {
        let hints: Vec<String> = annotations
            .iter()
            .filter(|(name, value)| name.ends_with("Hint") && value.is_boolean())
            .map(|(name, value)| format!("{} {value}", name.trim_end_matches("Hint")))
            .collect();
        if !hints.is_empty() {
            lines.push(format!("it says of itself: {}", hints.join(", ")));
        }
    }
    lines
}

fn kind(property: &Value) -> String {
    match (&property["type"], &property["enum"]) {
        (_, Value::Array(values)) => {
            let values: Vec<String> = values.iter().take(12).map(ToString::to_string).collect();
            values.join(" | ")
        }
        (Value::String(kind), _) => kind.clone(),
        (Value::Array(kinds), _) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    }
}
