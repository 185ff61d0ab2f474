//! Arguments and results against schemas: both drafts, what is said of mistakes, and schemas that mean harm.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Map, Value, json};
use tollgate_mcp::arguments::{Compiled, SchemaLimits};
use tollgate_mcp::tool::Tool;

fn tool(members: Value) -> Tool {
    let mut tool = json!({"name": "t", "inputSchema": {"type": "object"}});
    tool.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    serde_json::from_value(tool).unwrap()
}

fn input(schema: Value) -> Compiled {
    Compiled::of(&tool(json!({ "inputSchema": schema })), SchemaLimits::default()).unwrap()
}

fn refused(schema: Value) -> String {
    Compiled::of(&tool(json!({ "inputSchema": schema })), SchemaLimits::default()).unwrap_err().to_string()
}

fn problems(compiled: &Compiled, arguments: Value) -> Vec<String> {
    let problems = compiled.arguments(Some(&arguments)).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn each_draft_is_read_by_its_own_rules() {
    let modern = json!({"properties": {"p": {"prefixItems": [{"type": "string"}], "items": false}}});
    let old = json!({"$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"p": {"items": [{"type": "string"}], "additionalItems": false}}});
    for compiled in [input(modern), input(old)] {
        assert!(compiled.arguments(Some(&json!({"p": ["a"]}))).is_ok());
        assert!(compiled.arguments(Some(&json!({"p": [1]}))).is_err());
        assert!(compiled.arguments(Some(&json!({"p": ["a", "b"]}))).is_err());
    }
    let seven = json!({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"p": {"prefixItems": [false]}}});
    assert!(input(seven).arguments(Some(&json!({"p": [1]}))).is_ok(), "draft-07 knows no prefixItems");
}

#[test]
fn a_problem_says_where_and_what_and_no_secret() {
    let compiled = input(json!({
        "type": "object", "required": ["path"], "additionalProperties": false,
        "properties": {"path": {"type": "string", "pattern": "^/srv/"}, "n": {"type": "integer", "maximum": 3},
            "mode": {"enum": ["r", "w"]}, "token": {"type": "integer"}},
    }));
    assert_eq!(problems(&compiled, json!({})), ["the whole: expected the member \"path\", got nothing"]);
    assert_eq!(
        problems(
            &compiled,
            json!({"path": "/etc/shadow-7f3", "n": 4, "mode": "sk-secret", "token": "hunter2"})
        ),
        [
            "/path: expected a text like `^/srv/`, got a text of 15 characters",
            "/n: expected at most 3, got 4",
            "/mode: expected one of [\"r\",\"w\"], got a text of 9 characters",
            "/token: expected integer, got a text of 7 characters",
        ]
    );
    let others: Map<_, _> =
        (0..9).map(|n| (format!("x{n}"), json!(1))).chain([("path".to_owned(), json!("/srv/"))]).collect();
    assert_eq!(
        problems(&compiled, Value::Object(others)),
        ["the whole: expected no other members, got `x0`, `x1`, `x2`, `x3`, `x4`, and 4 more"]
    );
    assert_eq!(problems(&compiled, json!([])), ["the whole: expected object, got a list of 0"]);
    assert!(input(json!({"required": []})).arguments(None).is_ok());
}

#[test]
fn so_many_problems_are_told_of_and_no_more() {
    let compiled = input(json!({"additionalProperties": {"type": "string"}}));
    let many: Map<_, _> = (0..100).map(|n| (n.to_string(), json!(n))).collect();
    assert_eq!(problems(&compiled, Value::Object(many)).len(), 8);
}

#[test]
fn results_are_held_to_what_was_promised() {
    let promised = tool(json!({"outputSchema": {"type": "object", "required": ["sum"]}}));
    let compiled = Compiled::of(&promised, SchemaLimits::default()).unwrap();
    assert!(compiled.result(Some(&json!({"sum": 1}))).is_ok());
    assert!(compiled.result(Some(&json!({}))).is_err());
    assert!(compiled.result(None).is_err());
    let silent = Compiled::of(&tool(json!({})), SchemaLimits::default()).unwrap();
    assert!(silent.result(None).is_ok() && silent.result(Some(&json!(7))).is_ok());
}

#[test]
fn references_stay_within_the_schema() {
    let cases = [
        json!({"properties": {"p": {"$ref": "https://evil.example/s.json"}}}),
        json!({"properties": {"p": {"$ref": "file:///etc/passwd"}}}),
        json!({"properties": {"p": {"$ref": "other.json#/a"}}}),
        json!({"properties": {"p": {"$ref": "#/$defs/none"}}}),
        json!({"properties": {"p": {"$dynamicRef": "#p"}}}),
        json!({"$defs": {"a": {"$id": "https://x.example/a"}}, "properties": {"p": {"$ref": "#/$defs/a"}}}),
    ];
    for schema in cases {
        let why = refused(schema.clone());
        assert!(why.starts_with("inputSchema: /") && why.ends_with("nothing is fetched"), "{schema}: {why}");
    }
    let within =
        input(json!({"$id": "https://x.example/root", "$defs": {"n": {"$anchor": "num", "type": "integer"}},
        "properties": {"p": {"$ref": "#/$defs/n"}, "q": {"$ref": "#num"}}}));
    assert_eq!(problems(&within, json!({"p": "x", "q": "y"})).len(), 2);
}

#[test]
fn what_is_no_schema_is_refused_by_name() {
    let cases = [
        (
            json!({"$schema": "https://example.com/own"}),
            "`$schema` is `https://example.com/own`, which is no draft",
        ),
        (json!({"type": "strnig"}), "/type: no valid schema"),
        (
            json!({"properties": {"p": {"pattern": "("}}}),
            "/properties/p/pattern: no valid schema: the pattern",
        ),
        (
            json!({"properties": {"p": {"pattern": "(a{1000}){1000}"}}}),
            "/properties/p/pattern: no valid schema: the pattern",
        ),
    ];
    for (schema, why) in cases {
        let said = refused(schema);
        assert!(said.starts_with(&format!("inputSchema: {why}")), "{said}");
    }
}

#[test]
fn a_pattern_that_goes_back_for_ever_is_stopped() {
    let compiled = input(json!({"properties": {"p": {"pattern": "^(?=(a+)+$)(a|aa)+\\1$"}}}));
    let said = problems(&compiled, json!({"p": format!("{}!", "a".repeat(5_000))}));
    assert_eq!(said.len(), 1);
}

#[test]
fn laughs_by_the_billion_are_counted_before_they_are_had() {
    let mut all: Map<_, _> = (0..40)
        .map(|n| {
            let next = format!("#/$defs/{}", n + 1);
            (n.to_string(), json!({"anyOf": [{"$ref": next}, {"$ref": next}]}))
        })
        .collect();
    all.insert("40".to_owned(), json!({"type": "string"}));
    let compiled = input(json!({"properties": {"p": {"$ref": "#/$defs/0"}}, "$defs": all}));
    assert_eq!(
        problems(&compiled, json!({"p": 1})),
        [
            "the whole: expected a value that can be checked within the limit of steps, got an object with 1 members"
        ]
    );
    let twice =
        json!({"allOf": [{"properties": {"n": {"$ref": "#"}}}, {"properties": {"n": {"$ref": "#"}}}]});
    let deep = (0..60).fold(json!({}), |inner, _| json!({ "n": inner }));
    assert_eq!(problems(&input(twice), deep).len(), 1);
    let circle = json!({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}});
    assert_eq!(problems(&input(circle), json!({})).len(), 1);
}

#[test]
fn schemas_at_the_limits_are_compiled_on_a_small_stack() {
    let chain = |length: usize| {
        let mut all: Map<_, _> = (0..length)
            .map(|n| (n.to_string(), json!({"not": {"$ref": format!("#/$defs/{}", n + 1)}})))
            .collect();
        all.insert(length.to_string(), json!({"type": "object"}));
        json!({"$ref": "#/$defs/0", "$defs": all})
    };
    assert!(input(chain(60)).arguments(Some(&json!({}))).is_ok());
    assert!(input(chain(225)).arguments(Some(&json!({}))).is_err(), "deeper than a check may go");
    assert!(refused(chain(250)).contains("levels with what is referred to"));
    assert!(refused(chain(300)).contains("301 references"));
}
