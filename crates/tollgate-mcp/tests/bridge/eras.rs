//! What is more than words between stateful and stateless sides: hellos, questions in the middle of a call,
//! subscriptions. What is written is read again, and fits the published schemas.

use serde_json::{Value, json};
use tollgate_mcp::bridge::{
    ClientHello, Era, Filter, HelloError, InputRequired, Level, Notes, Retry, Way, acknowledged, answered,
    ask, client_result, closed, era, listen, retry, tagged, unsupported_version,
};
use tollgate_mcp::message::{Kind, codes};
use tollgate_mcp::revision::Revision;

use crate::cases::read_one;
use crate::schema::Published;

const NEW: Revision = Revision::NEWEST;
const OLD: Revision = Revision::V2025_06_18;

/// `text` fits the schema of `revision`, where that is at hand.
fn fits(text: &str, revision: Revision, method: Option<&str>) {
    let Some(mut published) = Published::read(revision) else { return };
    assert_eq!(published.message_errors(text, method), Vec::<String>::new(), "{text}");
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn hello(capabilities: &str) -> ClientHello<'_> {
    ClientHello { version: OLD.name().into(), info: None, capabilities, log_level: None }
}

#[test]
fn a_stateless_request_says_all_that_it_must() {
    let meta = |version: &str, capabilities: &str, level: &str| {
        format!(
            r#"{{"_meta":{{"io.modelcontextprotocol/protocolVersion":{version},"io.modelcontextprotocol/clientCapabilities":{capabilities},"io.modelcontextprotocol/logLevel":{level}}}}}"#
        )
    };
    let text = meta("\"2031-01-01\"", "{}", "\"notice\"");
    let said = ClientHello::of_request(Some(&text)).unwrap();
    assert_eq!((said.version.as_ref(), said.log_level), ("2031-01-01", Some(Level::Notice)));
    let wrong = |text: &str| ClientHello::of_request(Some(text)).unwrap_err().0;
    assert_eq!(wrong(&meta("7", "{}", "\"notice\"")), "io.modelcontextprotocol/protocolVersion");
    assert_eq!(wrong(&meta("\"x\"", "[]", "\"notice\"")), "io.modelcontextprotocol/clientCapabilities");
    assert_eq!(wrong(&meta("\"x\"", "{}", "\"loud\"")), "io.modelcontextprotocol/logLevel");
    assert_eq!(wrong(r#"{"_meta":{}}"#), "io.modelcontextprotocol/protocolVersion");
    assert_eq!(wrong("{}"), "_meta");
    assert_eq!(ClientHello::of_request(None), Err(HelloError("_meta")));
    assert_eq!(HelloError("_meta").code(), codes::INVALID_PARAMS);
    assert_eq!(
        ClientHello::of_initialize(Some(r#"{"protocolVersion":"x"}"#)),
        Err(HelloError("capabilities"))
    );
}

#[test]
fn a_probe_tells_how_a_server_is_to_be_spoken_to() {
    let told = |rest: &str| {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,{rest}}}"#);
        era(&read_one(&text, NEW), NEW, &Revision::ALL)
    };
    let listed = |versions: &str| told(&format!(r#""result":{{"supportedVersions":{versions}}}"#));
    assert_eq!(listed(r#"["2026-07-28","2025-11-25"]"#), Era::Stateless(NEW));
    assert_eq!(listed(r#"["2025-11-25"]"#), Era::Stateful);
    assert_eq!(listed(r#"["2031-01-01"]"#), Era::Nothing);
    let failed =
        |code: i64, data: &str| told(&format!(r#""error":{{"code":{code},"message":"","data":{data}}}"#));
    let unsupported = codes::UNSUPPORTED_PROTOCOL_VERSION;
    assert_eq!(failed(unsupported, r#"{"supported":["2026-07-28"],"requested":"x"}"#), Era::Stateless(NEW));
    assert_eq!(failed(unsupported, r#"{"supported":["2031-01-01"],"requested":"x"}"#), Era::Nothing);
    assert_eq!(failed(codes::HEADER_MISMATCH, "null"), Era::Stateless(NEW));
    // Whatever else it says, it is a stateful server: which code it chose says nothing.
    for code in [codes::METHOD_NOT_FOUND, codes::INVALID_PARAMS, -32000, -32004, unsupported] {
        assert_eq!(failed(code, "{}"), Era::Stateful, "{code}");
    }
    assert_eq!(told(r#""result":{}"#), Era::Stateful);
    // What we answer ourselves is understood.
    let way = Way::new(NEW, NEW);
    let text = unsupported_version("1", "2031-01-01", &[NEW, Revision::V2025_11_25], way);
    fits(&text, NEW, None);
    assert_eq!(era(&read_one(&text, NEW), NEW, &Revision::ALL), Era::Stateless(NEW));
}

/// A stateful server asks in the middle of a call of a stateless client.
#[test]
fn a_stateful_server_s_questions_reach_a_stateless_client_and_come_back_answered() {
    let form = r#"{"jsonrpc":"2.0","id":"srv-1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}},"_meta":{"progressToken":"srv-token"}}}"#;
    let roots = r#"{"jsonrpc":"2.0","id":"srv-2","method":"roots/list"}"#;
    let (form, roots) = (read_one(form, OLD), read_one(roots, OLD));
    let mut notes = Notes::default();
    let text = ask("7", &[("a", &form), ("b", &roots)], Some("\"sealed\""), &mut notes).unwrap();
    fits(&text, NEW, Some("tools/call"));
    // Nothing by which the server knows its own requests reaches the client.
    assert!(!text.contains("srv-"), "{text}");
    // The client's retry.
    let params = json!({ "name": "t", "inputResponses": {
        "a": { "action": "accept", "content": { "name": "octocat" } }, "b": { "roots": [] }, "odd": 7 },
        "requestState": "sealed" })
    .to_string();
    let said = Retry::of(Some(&params)).unwrap();
    assert_eq!(said.state.as_deref(), Some("sealed"));
    assert_eq!(said.answers.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let way = Way::new(NEW, OLD);
    let text = answered("\"srv-1\"", &form, said.answers[0].1, way, &mut notes);
    fits(&text, OLD, Some("elicitation/create"));
    assert_eq!(value(&text)["id"], "srv-1");
    assert_eq!(value(&text)["result"]["content"]["name"], "octocat");
    assert!(notes.is_empty());
    assert_eq!(Retry::of(Some(r#"{"name":"t"}"#)), None);
    // Only what the specification lists may be asked so.
    let ping = read_one(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, OLD);
    assert!(ask("7", &[("a", &ping)], None, &mut notes).is_err());
}

/// A stateless server asks, and a stateful client answers.
#[test]
fn a_stateless_server_s_questions_reach_a_stateful_client_and_the_call_is_made_again() {
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"n":1.50},"requestState":"old","inputResponses":{"old":{}},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let call = read_one(call, NEW);
    let choices = json!({ "message": "Which?", "requestedSchema": { "type": "object", "properties": {
        "many": { "type": "array", "items": { "type": "string", "enum": ["x", "y, z"] } } } } });
    let result = json!({ "resultType": "input_required", "requestState": "s\u{e9}aled",
        "inputRequests": { "which": { "method": "elicitation/create", "params": choices } } })
    .to_string();
    let asks = InputRequired::of(&result).unwrap();
    let mut notes = Notes::default();
    let question = asks.asked[0].request("900", OLD, &mut notes).unwrap();
    fits(&question, OLD, None);
    assert_eq!(notes.iter().count(), 1);
    // Whoever fills in the form writes a text, and the server gets the list that it asked for.
    let way = Way::new(OLD, NEW);
    let filled = r#"{"action":"accept","content":{"many":"y, z"}}"#;
    let filled = client_result(filled, "elicitation/create", way, asks.asked[0].params, &mut notes);
    let again = retry(&call, "2", &[("which", filled.as_ref())], asks.state).unwrap();
    fits(&again, NEW, None);
    let params = &value(&again)["params"];
    assert_eq!(
        params["inputResponses"],
        json!({ "which": { "action": "accept", "content": { "many": ["y, z"] } } })
    );
    assert_eq!(params["requestState"], "s\u{e9}aled");
    assert!(again.contains(r#""arguments":{"n":1.50}"#), "{again}");
    assert_eq!(value(&again)["id"], 2);
}

#[test]
fn a_question_tells_what_a_client_must_be_able_to_do() {
    let capability = |method: &str, params: &str| {
        let result = format!(
            r#"{{"resultType":"input_required","inputRequests":{{"k":{{"method":"{method}","params":{params}}}}}}}"#
        );
        let asks = InputRequired::of(&result).unwrap();
        (asks.asked[0].capability(), asks.asked[0].request("1", OLD, &mut Notes::default()).is_ok())
    };
    assert_eq!(capability("sampling/createMessage", r#"{"messages":[]}"#), (Some("sampling"), true));
    assert_eq!(capability("sampling/createMessage", r#"{"tools":[]}"#), (Some("sampling.tools"), true));
    assert_eq!(capability("elicitation/create", "{}"), (Some("elicitation.form"), true));
    assert_eq!(capability("elicitation/create", r#"{"mode":"url"}"#), (Some("elicitation.url"), false));
    assert_eq!(capability("roots/list", "{}"), (Some("roots"), true));
    assert_eq!(capability("tools/call", r#"{"name":"rm"}"#), (None, false));
    for wrong in [
        r#"{"resultType":"input_required"}"#,
        r#"{"resultType":"input_required","inputRequests":[]}"#,
        r#"{"resultType":"input_required","inputRequests":{"k":{}}}"#,
        r#"{"resultType":"input_required","requestState":7}"#,
        r#"{"resultType":"complete","requestState":"x"}"#,
    ] {
        assert_eq!(InputRequired::of(wrong), None, "{wrong}");
    }
}

#[test]
fn a_subscription_says_what_it_wants_and_hears_only_that() {
    let params = json!({ "notifications": { "toolsListChanged": true, "promptsListChanged": true,
        "resourceSubscriptions": ["file:///a", "file:///\u{e9}"] } })
    .to_string();
    let asked = Filter::of(Some(&params)).unwrap();
    let granted =
        asked.granted(r#"{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true}}"#);
    assert!(granted.tools && !granted.prompts && granted.uris.len() == 2);
    let text = acknowledged("\"listen-1\"", &granted);
    fits(&text, NEW, None);
    assert_eq!(
        value(&text)["params"]["notifications"],
        json!({ "toolsListChanged": true, "resourceSubscriptions": ["file:///a", "file:///\u{e9}"] })
    );
    fits(&closed("\"listen-1\""), NEW, Some("subscriptions/listen"));
    let heard = |text: &str| granted.wants(&read_one(text, OLD));
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let updated = |uri: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{uri}"}}}}"#
        )
    };
    assert!(heard(changed) && heard(&updated("file:///a")) && heard(&updated("file:///\\u00e9")));
    assert!(!heard(&updated("file:///b")));
    assert!(!heard(r#"{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}"#));
    assert!(!heard(
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#
    ));
    for text in [changed.to_owned(), updated("file:///a")] {
        let text = tagged(&read_one(&text, OLD), "\"listen-1\"");
        fits(&text, NEW, None);
        assert_eq!(value(&text)["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "listen-1");
    }
}

#[test]
fn a_stateful_client_s_subscriptions_are_one_request_to_a_stateless_server() {
    let filter = Filter { tools: true, uris: vec!["file:///a".into()], ..Filter::default() };
    let text = listen("5", &filter, &hello(r#"{"roots":{"listChanged":true}}"#), NEW, &mut Notes::default());
    fits(&text, NEW, None);
    let message = read_one(&text, NEW);
    assert!(matches!(message.kind(), Kind::Request { .. }));
    assert_eq!(Filter::of(message.params()), Some(filter));
    assert_eq!(ClientHello::of_request(message.params()).unwrap().capabilities, r#"{"roots":{}}"#);
}
