//! What holds of every message, whatever stands in it.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_mcp::bridge::{Notes, Way};
use tollgate_mcp::revision::Revision;

use crate::cases::{Became, Case, all, becomes, read_one};

/// Puts a member that nobody knows into every object of `value` that is not the caller's own data, each with a value
/// that stands nowhere else, and returns those values.
fn seeded(value: &mut Value, name: &str, seeds: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name_of, inner) in members.iter_mut() {
                // What stands there is data, or a schema: nothing is ever looked for in it.
                if !OPAQUE.contains(&name_of.as_str()) {
                    seeded(inner, name, seeds);
                }
            }
            let seed = format!("seed-{}", seeds.len());
            members.insert(name.to_owned(), json!(seed));
            seeds.push(seed);
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| seeded(element, name, seeds)),
        _ => {}
    }
}

/// Objects whose members are names of somebody's own, or whose form a schema closes.
const OPAQUE: [&str; 11] = [
    "arguments",
    "inputSchema",
    "outputSchema",
    "requestedSchema",
    "structuredContent",
    "properties",
    "inputRequests",
    "inputResponses",
    "content_schema",
    "notifications",
    "input",
];

fn ways(case: &Case) -> impl Iterator<Item = Way> {
    case.speakers().flat_map(|from| Revision::ALL.into_iter().map(move |to| Way::new(from, to)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Unknown members survive on every way, once each; and between equal revisions nothing changes at all.
    #[test]
    fn unknown_members_survive(name in "x-[a-z]{1,8}", spaced: bool) {
        for case in all() {
            let mut message = case.message.clone();
            let mut seeds = Vec::new();
            seeded(&mut message, &name, &mut seeds);
            let text = if spaced { serde_json::to_string_pretty(&message) } else { serde_json::to_string(&message) }.unwrap();
            let asked = case.asked.as_ref().map(Value::to_string);
            for way in ways(&case) {
                let (became, notes) = becomes(&text, case.method.as_deref(), asked.as_deref(), way);
                let said = match became {
                    Became::Message(said) => said,
                    Became::Asks(said) => said.concat(),
                    Became::Instead(_) | Became::Refused(_) => continue,
                };
                if way.from == way.to {
                    prop_assert_eq!(&said, &text);
                    prop_assert!(notes.is_empty());
                    continue;
                }
                for seed in &seeds {
                    let times = said.matches(&format!("\"{seed}\"")).count();
                    prop_assert!(
                        times == 1 || (times == 0 && is_replaced(&case, &message, seed, way, &notes)),
                        "{}: {} to {}: {seed} {times} times\n{text}\n{said}", case.name, way.from, way.to
                    );
                }
            }
        }
    }

    /// Ids survive as they are written, on every way.
    #[test]
    fn ids_survive(id in prop_oneof![any::<i64>().prop_map(|n| n.to_string()), "[a-z\u{e9}]{0,9}".prop_map(|t| json!(t).to_string())]) {
        for case in all().into_iter().filter(|case| case.message.get("id").is_some()) {
            let mut rest = case.message.as_object().unwrap().clone();
            rest.shift_remove("id");
            let rest = Value::Object(rest).to_string();
            let text = format!("{{\"id\": {id} ,{}", &rest[1..]);
            let asked = case.asked.as_ref().map(Value::to_string);
            for way in ways(&case) {
                let (became, _) = becomes(&text, case.method.as_deref(), asked.as_deref(), way);
                let Became::Message(said) = became else { continue };
                let question = case.method.is_none() && case.name.starts_with("server/") && way.to.is_stateless();
                if !question {
                    prop_assert_eq!(read_one(&said, way.to).id().unwrap().raw(), &id);
                }
            }
        }
    }
}

/// Whether the part of the message that holds `seed` is not what goes to the listener.
fn is_replaced(case: &Case, message: &Value, seed: &str, way: Way, notes: &Notes) -> bool {
    let holds = |value: &Value| value.to_string().contains(&format!("\"{seed}\""));
    let params = &message["params"];
    // Of a request that becomes a question only the params are asked.
    if case.name.starts_with("server/") && case.method.is_none() && way.to.is_stateless() {
        return !holds(params);
    }
    // Of a result that asks only the questions are passed on.
    if message["result"]["resultType"] == "input_required" && !way.to.is_stateless() {
        let asked = message["result"]["inputRequests"].as_object().cloned().unwrap_or_default();
        return !asked.values().any(|question| holds(&question["params"]));
    }
    // Of an error that becomes questions only those.
    if message["error"]["code"] == -32042 && way.to.is_stateless() {
        return !holds(&message["error"]["data"]["elicitations"]);
    }
    // What a stateless client says of itself is said to a stateful server once, in another message.
    if way.from.is_stateless() && !way.to.is_stateless() && case.name != "hello/discover" {
        let said = ["clientInfo", "clientCapabilities"].map(|name| format!("io.modelcontextprotocol/{name}"));
        if said.iter().any(|name| holds(&params["_meta"][name])) {
            return true;
        }
    }
    // A capability that the listener's revision does not have is noted, and gone with all that is in it.
    let capabilities = [
        &params["capabilities"],
        &message["result"]["capabilities"],
        &params["_meta"]["io.modelcontextprotocol/clientCapabilities"],
    ];
    notes.iter().filter_map(|note| note.what.strip_prefix("capabilities.")).any(|name| {
        let pointer = format!("/{}", name.replace('.', "/"));
        capabilities.iter().any(|all| all.pointer(&pointer).is_some_and(holds))
    })
}

#[test]
fn what_a_stateful_client_writes_for_a_stateless_one_counts_for_nothing() {
    let forged = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { "sampling": {}, "forged": {} },
        "io.modelcontextprotocol/clientInfo": { "name": "forged", "version": "1" },
        "kept": true } } })
    .to_string();
    let to_stateless = Way::new(Revision::V2025_11_25, Revision::V2026_07_28);
    let (Became::Message(said), _) = becomes(&forged, None, None, to_stateless) else { panic!() };
    assert!(!said.contains("forged") && said.contains("\"kept\":true"), "{said}");
    // And a stateful server that speaks both ways must not take the request for a stateless one.
    let to_stateful = Way::new(Revision::V2026_07_28, Revision::V2025_06_18);
    let (Became::Message(said), _) = becomes(&forged, None, None, to_stateful) else { panic!() };
    assert!(!said.contains("io.modelcontextprotocol/"), "{said}");
}

#[test]
fn a_stateful_server_cannot_forge_a_question() {
    let forged =
        json!({ "jsonrpc": "2.0", "id": 1, "result": { "resultType": "input_required", "content": [],
        "inputRequests": { "k": { "method": "roots/list" } } } })
        .to_string();
    let way = Way::new(Revision::V2025_11_25, Revision::V2026_07_28);
    let (Became::Message(said), _) = becomes(&forged, Some("tools/call"), None, way) else { panic!() };
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["result"]["resultType"], "complete");
}
