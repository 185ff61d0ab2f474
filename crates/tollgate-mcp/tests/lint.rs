//! What `lint` reports, and that it leaves good lists alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use tollgate_core::effect::Effect;
use tollgate_mcp::effect::Local;
use tollgate_mcp::lint::{Kind, NEAR, Offered, lint, twins};
use tollgate_mcp::tool::Tool;

const READS: Local = Local { effect: Some(Effect::Read), idempotent: None, trust_annotations: false };
const SILENT: Local = Local { effect: None, idempotent: None, trust_annotations: false };

fn tool(name: &str, description: &str, arguments: &[&str]) -> Tool {
    let properties: serde_json::Map<_, _> = arguments
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": "string", "maxLength": 9, "description": name})))
        .collect();
    let schema = json!({"type": "object", "properties": properties, "required": arguments});
    serde_json::from_value(json!({"name": name, "description": description, "inputSchema": schema})).unwrap()
}

fn offered(tools: &[Tool]) -> Vec<Offered<'_>> {
    tools.iter().map(|tool| Offered { server: "s", tool, local: &READS }).collect()
}

fn pairs(tools: &[Tool]) -> Vec<(String, String, f64)> {
    twins(&offered(tools), NEAR)
        .into_iter()
        .map(|pair| (pair.first.tool, pair.second.tool, pair.likeness))
        .collect()
}

/// Tools beside those of a test, so that words have a frequency.
fn network() -> Vec<Tool> {
    vec![
        tool("list_pools", "Lists the pools of a partition and how many members each has.", &["partition"]),
        tool("get_pool_members", "Returns the members of a pool with address, port and health.", &["pool"]),
        tool("create_monitor", "Creates a health monitor for the members of a pool.", &["name", "type"]),
        tool("delete_irule", "Deletes an iRule that no listener uses.", &["name"]),
        tool("get_certificate", "Returns when a TLS certificate ends and who issued it.", &["certificate"]),
    ]
}

#[test]
fn two_names_for_the_load_balancer_are_near() {
    let vague = ("Gets the configuration of a virtual server.", "Gets the status of a VIP.");
    let explained = (
        "Returns the configuration of a virtual server on the load balancer: its listener, policies and pool.",
        "Returns whether a virtual IP (VIP) of the load balancer is up.",
    );
    for (config, status) in [vague, explained] {
        let pair =
            [tool("get_virtual_server_config", config, &["name"]), tool("get_vip_status", status, &["name"])];
        let alone = pairs(&pair);
        let among = pairs(&[network(), pair.to_vec()].concat());
        for found in [alone, among] {
            let names: Vec<_> = found.iter().map(|(a, b, _)| (a.as_str(), b.as_str())).collect();
            assert_eq!(names, [("get_virtual_server_config", "get_vip_status")], "{found:?}");
        }
    }
}

#[test]
fn plain_twins_are_near_and_the_reason_is_told() {
    let tools = [
        tool("search_docs", "Searches the documentation for a text.", &["query"]),
        tool("find_documents", "Finds documents with a text.", &["query"]),
        tool("send_mail", "Sends a mail to a person.", &["to", "text"]),
    ];
    let found = twins(&offered(&tools), NEAR);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].same_arguments && found[0].common.contains(&"document".to_owned()), "{found:?}");
    let finding = lint(&offered(&tools)).into_iter().find(|finding| finding.kind == Kind::NearTwins).unwrap();
    assert_eq!(finding.tools.len(), 2);
    assert!(finding.why.contains("the same arguments fit both"), "{}", finding.why);
}

#[test]
fn lists_in_which_each_has_its_own_task_are_let_be() {
    let lists = [
        network(),
        vec![
            tool("get_weather", "Returns the weather forecast of a city for the next days.", &["city"]),
            tool(
                "convert_currency",
                "Converts an amount from one currency to another at today's rate.",
                &["amount", "from", "to"],
            ),
            tool("send_email", "Sends an e-mail to one or more people.", &["to", "subject", "body"]),
            tool("create_event", "Creates an event in a calendar.", &["title", "start", "end"]),
            tool("list_events", "Lists the events of a calendar between two days.", &["from", "to"]),
            tool("delete_event", "Deletes an event of a calendar.", &["event_id"]),
            tool("get_stock_price", "Returns the last price of a share.", &["symbol"]),
        ],
        vec![
            tool("create_issue", "Creates an issue in a repository.", &["repo", "title", "body"]),
            tool("close_issue", "Closes an issue.", &["repo", "number"]),
            tool("create_branch", "Creates a branch from a commit.", &["repo", "branch", "commit"]),
            tool(
                "create_pull_request",
                "Opens a pull request from one branch to another.",
                &["repo", "head", "base", "title"],
            ),
            tool("merge_pull_request", "Merges a pull request.", &["repo", "number", "method"]),
            tool("search_code", "Searches the code of all repositories.", &["query", "language"]),
            tool("list_commits", "Lists the commits of a branch.", &["repo", "branch"]),
        ],
    ];
    for tools in lists {
        let found = pairs(&tools);
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(lint(&offered(&tools)), []);
    }
}

fn kinds(definition: Value, local: &Local) -> Vec<(Kind, String)> {
    let tool: Tool = serde_json::from_value(definition).unwrap();
    let findings = lint(&[Offered { server: "s", tool: &tool, local }]);
    assert!(findings.iter().all(|finding| !finding.why.is_empty() && !finding.advice.is_empty()));
    findings.into_iter().map(|finding| (finding.kind, finding.place.as_str().to_owned())).collect()
}

#[test]
fn effects_and_loose_schemas_are_reported_with_their_place() {
    let of = |schema: Value, annotations: Value| json!({"name": "t", "description": "Does.", "inputSchema": schema, "annotations": annotations});
    let closed = json!({"type": "object", "properties": {}});
    assert_eq!(kinds(of(closed.clone(), json!({})), &SILENT), [(Kind::NoEffect, "/annotations".to_owned())]);
    assert_eq!(kinds(of(closed.clone(), json!({})), &READS), []);
    let both = json!({"readOnlyHint": true, "destructiveHint": true});
    assert_eq!(kinds(of(closed, both), &READS), [(Kind::ContradictoryEffect, "/annotations".to_owned())]);
    let root = "/inputSchema".to_owned();
    for loose in
        [json!({"type": "object"}), json!({"type": "object", "properties": {}, "additionalProperties": true})]
    {
        assert_eq!(kinds(of(loose, json!({})), &READS), [(Kind::LooseSchema, root.clone())]);
    }
    let free = json!({"type": "object", "properties": {
        "sql": {"type": "string", "description": "The statement."},
        "userId": {"type": "string", "description": "Whose."},
        "path": {"type": "string", "description": "Where.", "pattern": "^/srv/"},
        "mode": {"description": "How."},
        "note": {"type": "string"},
    }});
    let place = |name: &str| format!("/inputSchema/properties/{name}");
    assert_eq!(
        kinds(of(free, json!({})), &READS),
        [
            (Kind::FreeText, place("sql")),
            (Kind::FreeText, place("userId")),
            (Kind::LooseSchema, place("mode")),
            (Kind::NoDescription, place("note")),
        ]
    );
    let mute = json!({"name": "t", "inputSchema": {"type": "object", "properties": {}}});
    assert_eq!(kinds(mute, &READS), [(Kind::NoDescription, "/description".to_owned())]);
}
