//! What is said, and what becomes of it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tollgate_mcp::bridge::{Answer, ClientHello, Kept, Level, Notes, Way, answer, ask, say};
use tollgate_mcp::message::{Body, Kind, Limits, Message, read};
use tollgate_mcp::method::{Fate, Otherwise, fate};
use tollgate_mcp::revision::Revision;

const LIMITS: Limits =
    Limits { bytes: 1 << 20, depth: 32, id_bytes: 64, method_bytes: 64, number_bytes: 64, batch: 4 };

pub(crate) fn read_one(text: &str, revision: Revision) -> Message<'_> {
    match read(text.as_bytes(), revision, &LIMITS) {
        Ok(Body::One(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

/// Something that is said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What the page of revisions calls it.
    pub(crate) about: String,
    /// The oldest and the newest revision that it may be said in.
    pub(crate) from: (String, String),
    /// Of an answer: the method, as whoever answers knows it.
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// Of an answer to a server: the params that it asked with.
    #[serde(default)]
    pub(crate) asked: Option<Value>,
    pub(crate) message: Value,
    #[serde(skip)]
    pub(crate) name: String,
}

impl Case {
    /// The revisions that it may be said in.
    pub(crate) fn speakers(&self) -> impl Iterator<Item = Revision> {
        let (from, to) = (Revision::parse(&self.from.0).unwrap(), Revision::parse(&self.from.1).unwrap());
        Revision::ALL.into_iter().filter(move |revision| (from..=to).contains(revision))
    }

    pub(crate) fn text(&self) -> String {
        self.message.to_string()
    }
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Every case, by subject and name.
pub(crate) fn all() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for subject in std::fs::read_dir(folder()).unwrap() {
        paths.extend(std::fs::read_dir(subject.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    paths.retain(|path| path.to_string_lossy().ends_with(".in.json"));
    paths.sort();
    let case = |path: PathBuf| {
        let mut case: Case = serde_json::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let name = path.strip_prefix(folder()).unwrap().to_string_lossy().into_owned();
        case.name = name.strip_suffix(".in.json").unwrap().to_owned();
        case
    };
    paths.into_iter().map(case).collect()
}

/// What became of something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Became {
    /// This message.
    Message(String),
    /// Several requests to a client: what a stateless server asks first.
    Asks(Vec<String>),
    /// Nothing that is sent to the listener: the gate does this with it.
    Instead(Otherwise),
    /// It cannot be said.
    Refused(String),
}

/// What becomes of `text` on its way, and what is noted. `method` is what an answer's asker called it.
pub(crate) fn becomes(text: &str, method: Option<&str>, asked: Option<&str>, way: Way) -> (Became, Notes) {
    let message = read_one(text, way.from);
    let mut notes = Notes::default();
    let became = match message.kind() {
        Kind::Request { .. } | Kind::Notification { .. } => said(&message, way, &mut notes),
        _ => answered(&message, method.unwrap(), asked, way, &mut notes),
    };
    (became, notes)
}

const INFO: &str = r#"{"name":"client","version":"1"}"#;
const CAPABILITIES: &str = r#"{"roots":{"listChanged":true},"sampling":{},"elicitation":{}}"#;

/// What the client of a message says of itself.
fn hello<'a>(message: &Message<'a>, way: Way) -> ClientHello<'a> {
    if message.method() == Some("initialize") {
        return ClientHello::of_initialize(message.params()).unwrap();
    }
    if way.from.is_stateless()
        && let Ok(hello) = ClientHello::of_request(message.params())
    {
        return hello;
    }
    ClientHello {
        version: way.from.name().into(),
        info: Some(INFO),
        capabilities: CAPABILITIES,
        log_level: Some(Level::Warning),
    }
}

fn said(message: &Message<'_>, way: Way, notes: &mut Notes) -> Became {
    let method = message.method().unwrap();
    let result = match fate(method, way.to) {
        Fate::Instead(Otherwise::Becomes("input_required")) => {
            ask("\"c1\"", &[("k1", message)], Some("\"sealed\""), notes)
        }
        Fate::Instead(Otherwise::Becomes("initialize" | "server/discover")) | Fate::Forward => {
            say(message, way, Some(&hello(message, way)), notes).map(std::borrow::Cow::into_owned)
        }
        Fate::Instead(otherwise) => return Became::Instead(otherwise),
    };
    result.map_or_else(|e| Became::Refused(e.to_string()), Became::Message)
}

fn answered(message: &Message<'_>, method: &str, asked: Option<&str>, way: Way, notes: &mut Notes) -> Became {
    // Whoever speaks another era asked by another name.
    let method = match method {
        "initialize" | "server/discover" if way.to.is_stateless() => "server/discover",
        "initialize" | "server/discover" => "initialize",
        other => other,
    };
    match answer(message, method, way, asked, notes) {
        Answer::Says(text) => Became::Message(text.into_owned()),
        Answer::Asks(input) => {
            let asks = input.asked.iter().zip(900..);
            let asks: Result<Vec<String>, _> =
                asks.map(|(asked, id)| asked.request(&id.to_string(), way.to, notes)).collect();
            asks.map_or_else(|e| Became::Refused(e.to_string()), Became::Asks)
        }
        Answer::Unknown(kind) => Became::Refused(format!("results of the type {kind} are not known")),
    }
}

/// What became of `text`, to be read by people.
pub(crate) fn shown(text: &str, became: &Became, notes: &Notes) -> Value {
    let parse = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    let became = match became {
        Became::Message(same) if same == text => json!("as it is"),
        Became::Message(message) => parse(message),
        Became::Asks(asks) => json!({ "asks": asks.iter().map(parse).collect::<Vec<_>>() }),
        Became::Instead(otherwise) => json!({ "instead": format!("{otherwise:?}") }),
        Became::Refused(why) => json!({ "refused": why }),
    };
    let mark = |kept| if kept == Kept::Nearly { "~ " } else { "" };
    let notes: Vec<String> =
        notes.iter().map(|note| format!("{}{}: {}", mark(note.kept), note.what, note.why)).collect();
    json!({ "becomes": became, "notes": notes })
}
