//! Promise: a client does not slip past authorization by a message that two parsers read differently, and an id of one
//! client never reaches another.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use tollgate_mcp::message::{
    Body, Failure, Foreign, Id, Kind, Limits, Message, Place, Refusal, codes, error, mentions, notification,
    read, request, response, rewrite,
};
use tollgate_mcp::revision::Revision;

const LIMITS: Limits =
    Limits { bytes: 4096, depth: 20, id_bytes: 64, method_bytes: 64, number_bytes: 64, batch: 3 };

fn one(text: &str) -> Message<'_> {
    match read(text.as_bytes(), Revision::NEWEST, &LIMITS) {
        Ok(Body::One(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

fn refused(bytes: &[u8]) -> Refusal {
    Revision::ALL
        .into_iter()
        .map(|revision| read(bytes, revision, &LIMITS).unwrap_err())
        .reduce(|a, b| {
            assert_eq!(a, b);
            a
        })
        .unwrap()
}

fn call(rest: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call"{rest}}}"#)
}

#[test]
fn the_four_kinds_are_told_apart() {
    let message = one(r#" {"jsonrpc":"2.0","id":"a","method":"x/y","params":{"p":1},"new":true} "#);
    assert_eq!(message.text(), r#"{"jsonrpc":"2.0","id":"a","method":"x/y","params":{"p":1},"new":true}"#);
    assert_eq!((message.method(), message.params()), (Some("x/y"), Some(r#"{"p":1}"#)));
    assert_eq!(message.id().unwrap().raw(), r#""a""#);
    assert!(matches!(
        one(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).kind(),
        Kind::Notification { params: None, .. }
    ));
    assert!(matches!(
        one(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#).kind(),
        Kind::Response { result: "{}", .. }
    ));
    let message = one(r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no","data":[1],"x":2}}"#);
    let Kind::Error { id: Some(_), error } = message.kind() else { panic!() };
    assert_eq!((error.code, error.message.as_ref(), error.data), (-32601, "no", Some("[1]")));
    // What its sender could not read it answers without an id, or with null.
    for id in ["", r#""id":null,"#] {
        let text = format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":-32700,"message":""}}}}"#);
        assert!(matches!(one(&text).kind(), Kind::Error { id: None, .. }));
    }
}

#[test]
fn a_member_that_stands_twice_is_refused_wherever_it_stands() {
    let twice = |name: &str| Refusal::Twice(name.to_owned());
    assert_eq!(refused(call(r#","method":"tools/list""#).as_bytes()), twice("method"));
    assert_eq!(refused(call(r#","m\u0065thod":"tools/list""#).as_bytes()), twice("method"));
    assert_eq!(refused(call(r#","\u0069d":2"#).as_bytes()), twice("id"));
    assert_eq!(refused(call(r#","params":{"name":"a","name":"b"}"#).as_bytes()), twice("name"));
    let deep = call(r#","params":{"name":"a","arguments":{"l":[{"path":"/ok","p\u0061th":"/etc"}]}}"#);
    assert_eq!(refused(deep.as_bytes()), twice("path"));
    // The same name in two objects is fine, and so is a value that looks like a name.
    one(&call(r#","params":{"name":"name","arguments":{"a":{"name":1},"b":{"name":2},"c":["a","a"]}}"#));
    // Many names are compared in time, and still found.
    let many: Vec<String> = (0..200).map(|n| format!(r#""k{n}":0"#)).collect();
    let many = |last: &str| call(&format!(r#","params":{{"arguments":{{{},{last}}}}}"#, many.join(",")));
    one(&many(r#""other":1"#));
    assert_eq!(refused(many(r#""k7":1"#).as_bytes()), twice("k7"));
}

/// Go's `encoding/json` and others match names without case, and the last one wins.
#[test]
fn a_name_that_some_parsers_take_for_another_is_refused() {
    let like = |name: &str| Refusal::Lookalike(name.to_owned());
    assert_eq!(refused(call(r#","Method":"tools/list""#).as_bytes()), like("method"));
    assert_eq!(refused(call(r#","PARAMS":{}"#).as_bytes()), like("params"));
    assert_eq!(refused(call(r#","param\u017f":{}"#).as_bytes()), like("params"));
    assert_eq!(refused(call(r#","params":{"name":"a","Name":"b"}"#).as_bytes()), like("name"));
    assert_eq!(refused(call(r#","params":{"_META":{}}"#).as_bytes()), like("_meta"));
    let token = call(r#","params":{"_meta":{"progressTo\u212aen":1}}"#);
    assert_eq!(refused(token.as_bytes()), like("progressToken"));
    let version = call(r#","params":{"_meta":{"IO.modelcontextprotocol/protocolVersion":"x"}}"#);
    assert_eq!(refused(version.as_bytes()), like("io.modelcontextprotocol/protocolVersion"));
    // A server must not show a client tools that the gate does not see.
    let shown = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[],"Tools":[{"name":"rm"}]}}"#;
    assert_eq!(refused(shown.as_bytes()), like("tools"));
    // Arguments are the tool's own: it may have two of them.
    one(&call(r#","params":{"name":"a","arguments":{"Name":1,"name":2}}"#));
}

#[test]
fn what_is_no_json_is_no_message() {
    let bytes: [&[u8]; 12] = [
        b"",
        b"{",
        b"nonsense",
        b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"method\":\"a\"}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"a\"} {\"jsonrpc\":\"2.0\",\"method\":\"b\"}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"a\"}x",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"a\nb\"}",
        b"{'jsonrpc':'2.0','method':'a'}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"a\",}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"a\" /* */}",
        b"{\"jsonrpc\":\"2.0\",\"id\":NaN,\"method\":\"a\"}",
    ];
    for bytes in bytes {
        let refusal = refused(bytes);
        assert_eq!(refusal.code(), codes::PARSE_ERROR, "{refusal}");
    }
}

#[test]
fn json_that_is_no_message_is_refused() {
    for text in [
        "7",
        "null",
        "\"tools/call\"",
        r#"{"id":1,"method":"a"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1e2,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":""}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#,
    ] {
        let refusal = refused(text.as_bytes());
        assert!(matches!(refusal, Refusal::NotAMessage(_)), "{text}: {refusal:?}");
        assert_eq!(refusal.code(), codes::INVALID_REQUEST);
    }
}

#[test]
fn everything_has_a_limit() {
    let padded = |n: usize| call(&format!(r#","x":"{}""#, "a".repeat(n)));
    one(&padded(3000));
    assert_eq!(refused(padded(4096).as_bytes()), Refusal::TooLong(4096));
    let deep = |n: usize| call(&format!(r#","x":{}{}"#, "[".repeat(n), "]".repeat(n)));
    one(&deep(19));
    assert_eq!(refused(deep(20).as_bytes()), Refusal::TooDeep(20));
    // Deep enough to end a reader that recurses.
    let limits = Limits { bytes: 4_000_000, ..LIMITS };
    let abyss = deep(1_000_000);
    assert_eq!(read(abyss.as_bytes(), Revision::NEWEST, &limits).unwrap_err(), Refusal::TooDeep(20));
    let id = |n: usize| format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"a"}}"#, "x".repeat(n));
    one(&id(62));
    assert!(matches!(refused(id(63).as_bytes()), Refusal::NotAMessage(_)));
    let method = |n: usize| format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, "x".repeat(n));
    one(&method(64));
    assert!(matches!(refused(method(65).as_bytes()), Refusal::NotAMessage(_)));
}

#[test]
fn numbers_that_readers_disagree_on_are_refused() {
    for number in ["1e999", "-1e400", "1E+9999"] {
        assert_eq!(refused(call(&format!(r#","x":{number}"#)).as_bytes()), Refusal::Number, "{number}");
    }
    assert_eq!(refused(call(&format!(r#","x":{}"#, "9".repeat(65))).as_bytes()), Refusal::Number);
    one(&call(r#","x":[-0.0,1e308,12345678901234567890123456789]"#));
    // An id is kept to the digit, also beyond what a double holds.
    let huge = r#"{"jsonrpc":"2.0","id":90071992547409930001,"method":"a"}"#;
    assert_eq!(one(huge).id().unwrap().raw(), "90071992547409930001");
}

#[test]
fn only_one_revision_has_batches() {
    let first = call("");
    let second = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let batch = format!("[{first}, {second}]");
    for revision in Revision::ALL {
        match read(batch.as_bytes(), revision, &LIMITS) {
            Ok(Body::Batch(messages)) => {
                assert_eq!(revision, Revision::V2025_03_26);
                assert_eq!(messages.len(), 2);
                assert_eq!(messages[1].text(), second);
            }
            Err(refusal) => assert_eq!(refusal, Refusal::Batch(revision.name())),
            Ok(Body::One(_)) => panic!("{revision}"),
        }
    }
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    for (wrong, refusal) in [
        ("[]".to_owned(), Refusal::BatchSize(3)),
        (format!("[{first},{first},{first},{first}]"), Refusal::BatchSize(3)),
        (format!("[[{first}]]"), Refusal::NotAMessage("not an object")),
        (format!("[{initialize}]"), Refusal::NotAMessage("`initialize` stands in a batch")),
        (format!("[{first},{answer}]"), Refusal::NotAMessage("a batch holds both answers and requests")),
        (format!("[{}]", call(r#","id":2"#)), Refusal::Twice("id".into())),
    ] {
        assert_eq!(read(wrong.as_bytes(), Revision::V2025_03_26, &LIMITS).unwrap_err(), refusal, "{wrong}");
    }
}

#[test]
fn a_refusal_repeats_nothing_of_the_message() {
    let secret = "sk-secret";
    for text in
        [format!("{{\"{secret}"), call(&format!(r#","x":"{secret}","x":1"#)), format!("[\"{secret}\"]")]
    {
        let refusal = read(text.as_bytes(), Revision::V2025_03_26, &LIMITS).unwrap_err();
        assert!(!refusal.to_string().contains(secret), "{refusal}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let text = request(r#""\u0061""#, "a\"b", Some(r#"{"x":1}"#));
    assert_eq!(text, r#"{"jsonrpc":"2.0","id":"\u0061","method":"a\"b","params":{"x":1}}"#);
    assert_eq!(one(&text).id(), Id::read(r#""a""#).as_ref());
    assert_eq!(notification("n", None), r#"{"jsonrpc":"2.0","method":"n"}"#);
    assert!(matches!(one(&response("1", "{}")).kind(), Kind::Response { .. }));
    let failure = Failure {
        code: codes::INVALID_PARAMS,
        message: "Say \"what\"?".into(),
        data: Some(r#"{"a":[]}"#.into()),
    };
    let text = error(Some("7"), &failure, Revision::V2024_11_05);
    let message = one(&text);
    let Kind::Error { error: body, .. } = message.kind() else { panic!() };
    assert_eq!((body.message.as_ref(), body.data), ("Say \"what\"?", Some(r#"{"a":[]}"#)));
    assert!(error(None, &failure, Revision::V2025_06_18).contains(r#""id":null"#));
    assert!(!error(None, &failure, Revision::V2025_11_25).contains("\"id\""));
}

/// Exchanges 7 for 100 and "t" for 200 and knows nothing else.
fn exchanged(text: &str) -> Result<String, Foreign> {
    rewrite(&one(text), |_, id| match (id.as_u64(), id.as_str()) {
        (Some(7), _) => Some("100".into()),
        (_, Some("t")) => Some("200".into()),
        _ => None,
    })
}

#[test]
fn every_id_of_a_message_is_exchanged_and_nothing_else() {
    let cases = [
        (
            r#"{"jsonrpc":"2.0", "id" : 7,"method":"tools/call","params":{"name":"t", "_meta":{"a":7,"progressToken":"\u0074"}, "arguments":{"id":7,"requestId":7}},"x":7}"#,
            r#"{"jsonrpc":"2.0", "id" : 100,"method":"tools/call","params":{"name":"t", "_meta":{"a":7,"progressToken":200}, "arguments":{"id":7,"requestId":7}},"x":7}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":7}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":100,"progress":7}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"t","reason":"t"}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":200,"reason":"t"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":100}}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#,
            r#"{"jsonrpc":"2.0","id":100,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":100}}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"id":7}}"#,
            r#"{"jsonrpc":"2.0","id":100,"result":{"content":[],"id":7}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":7,"message":"t"}}"#,
            r#"{"jsonrpc":"2.0","id":100,"error":{"code":7,"message":"t"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"requestId":9}}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":{"requestId":9}}}"#,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(exchanged(text).unwrap(), expected);
    }
}

#[test]
fn a_message_with_an_id_that_nobody_knows_does_not_pass() {
    let cases = [
        (r#"{"jsonrpc":"2.0","id":8,"result":{}}"#, Place::Message),
        (r#"{"jsonrpc":"2.0","id":"7","result":{}}"#, Place::Message),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"a","params":{"_meta":{"progressToken":8}}}"#,
            Place::AsksProgress,
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"method":"a","params":{"_meta":{"progressToken":{}}}}"#,
            Place::AsksProgress,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"x","progress":1}}"#,
            Place::Progress,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":8}}"#,
            Place::Cancelled,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:b","_meta":{"io.modelcontextprotocol/subscriptionId":null}}}"#,
            Place::Subscription,
        ),
    ];
    for (text, place) in cases {
        assert_eq!(exchanged(text), Err(Foreign(place)), "{text}");
    }
}

#[test]
fn a_message_tells_whom_it_concerns() {
    let message = one(
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{"progressToken":"p"},"requestId":9}}"#,
    );
    let places: Vec<_> = mentions(&message).into_iter().map(|(place, id)| (place, id.raw())).collect();
    assert_eq!(places, [(Place::Message, "7"), (Place::AsksProgress, "\"p\"")]);
    let message = one(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}"#);
    assert_eq!(mentions(&message), [(Place::Cancelled, Id::read("9").unwrap())]);
}
