//! `tollgate mcp list`.

use anyhow::Result;
use serde_json::{Value, json};

use super::client::Peer;
use crate::cli::holder::How;
use crate::cli::table::Table;

/// The first line of what a thing says of itself, or its title.
fn said(thing: &Value) -> String {
    let text = thing["description"].as_str().or_else(|| thing["title"].as_str()).unwrap_or_default();
    tollgate_mcp::hidden::excerpt(text.lines().next().unwrap_or_default(), 300)
}

pub(super) async fn run(peer: &Peer<'_>, how: &How) -> Result<()> {
    let tools = peer.all("tools/list", "tools").await?;
    // Many servers have only tools, and say that they know nothing else.
    let prompts = peer.all("prompts/list", "prompts").await.unwrap_or_default();
    let resources = peer.all("resources/list", "resources").await.unwrap_or_default();
    let all = json!({ "tools": tools, "prompts": prompts, "resources": resources });
    how.tell(&all, || {
        let mut lines = Vec::new();
        for (kind, name, things) in
            [("tool", "name", &tools), ("prompt", "name", &prompts), ("resource", "uri", &resources)]
        {
            if things.is_empty() {
                continue;
            }
            if !lines.is_empty() {
                lines.push(String::new());
            }
            let mut table = Table::new(&[kind, "what it is"], 2);
            for thing in things {
                table.row(vec![thing[name].as_str().unwrap_or("?").to_owned(), said(thing)]);
            }
            lines.extend(table.lines());
        }
        if lines.is_empty() {
            lines.push("nothing: no tool server is configured, or this key may use none".to_owned());
        }
        lines
    })
}
