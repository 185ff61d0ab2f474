//! Tools of every published revision: what their schemas define is known here, and their examples are read and kept whole.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod shared;

use serde_json::Value;
use tollgate_mcp::arguments::{Compiled, SchemaLimits};
use tollgate_mcp::contract::diff;
use tollgate_mcp::tool::{KNOWN, Listing, Tool, ToolLimits};

const REVISIONS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

fn definition(revision: &str, name: &str) -> Option<Value> {
    let text = shared::read(&format!("specs/mcp/{revision}/schema.json"))?;
    let schema: Value = serde_json::from_str(&text).unwrap();
    let all = schema.get("$defs").or_else(|| schema.get("definitions")).unwrap();
    Some(all.get(name).cloned().unwrap_or_default())
}

fn members(definition: &Value) -> Vec<&str> {
    definition["properties"].as_object().into_iter().flat_map(|all| all.keys()).map(String::as_str).collect()
}

#[test]
fn every_member_that_a_revision_defines_is_known() {
    for revision in REVISIONS {
        let Some(tool) = definition(revision, "Tool") else { return };
        let unknown: Vec<_> = members(&tool).into_iter().filter(|name| !KNOWN.contains(name)).collect();
        assert!(unknown.is_empty(), "{revision}: {unknown:?}");
        assert_eq!(tool["required"], serde_json::json!(["inputSchema", "name"]), "{revision}");
        let annotations = definition(revision, "ToolAnnotations").unwrap();
        for name in members(&annotations) {
            let known = ["title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];
            assert!(known.contains(&name), "{revision}: {name}");
        }
    }
}

#[test]
fn published_examples_are_read_and_kept_whole() {
    const EXAMPLES: [&str; 6] = [
        "tool-with-array-output-schema",
        "tool-with-composition-input-schema",
        "with-default-2020-12-input-schema",
        "with-explicit-draft-07-input-schema",
        "with-no-parameters",
        "with-output-schema-for-structured-content",
    ];
    for example in EXAMPLES {
        let Some(text) = shared::read(&format!("specs/mcp/2026-07-28/examples/Tool/{example}.json")) else {
            return;
        };
        let tool = Tool::read(&text, ToolLimits::default().definition).unwrap();
        assert_eq!(
            serde_json::to_value(&tool).unwrap(),
            serde_json::from_str::<Value>(&text).unwrap(),
            "{example}"
        );
        assert!(diff::between(&tool, &tool).is_empty());
        Compiled::of(&tool, SchemaLimits::default()).unwrap();
    }
}

#[test]
fn a_published_list_is_read() {
    let path = "specs/mcp/2026-07-28/examples/ListToolsResult/tools-list-with-cursor-and-ttl.json";
    let Some(text) = shared::read(path) else { return };
    let mut listing = Listing::new(ToolLimits::default());
    assert!(listing.page(&text).unwrap().is_some());
    let (tools, refused) = listing.finish();
    assert!(!tools.is_empty() && refused.is_empty());
}
