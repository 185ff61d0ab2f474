//! The matrix of translations, `docs/translation.md`: what becomes of everything that a chat request can ask for, and
//! of everything that an answer can hold, between every format that clients speak and every one that upstreams speak.
//!
//! Nothing in it is written by hand: each cell is what the code did with a probe of `fixtures/matrix/`. After a wanted
//! change: `UPDATE_FIXTURES=1 cargo test -p tollgate-llm --test matrix`, then read the difference.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use tollgate_llm::chat::{Feature, Kept, Loss, Losses};
use tollgate_llm::formats::{ALL, Address, AnswerFor, ChatClient, ChatUpstream, Target};
use tollgate_llm::providers::{Provider, all};

/// What a format's requests look like, and how each feature is asked for; null where the format cannot ask.
#[derive(Deserialize)]
struct Probes {
    request: Value,
    asks: Map<String, Value>,
}

#[derive(Deserialize)]
struct Ask {
    with: Value,
    /// What must be seen in the request to the upstream.
    shows: String,
}

/// Features that have no name of their own in `Feature`, because every format has a word for them.
const EVERYBODY_KNOWS: [&str; 6] =
    ["tools", "tool_choice", "named tool_choice", "tool results", "system", "image by URL"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/matrix")
}

fn probes(format: &str) -> Probes {
    let path = folder().join(format!("{format}.json"));
    serde_json::from_str(
        &std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
    )
    .unwrap()
}

/// The row of a feature.
fn row(feature: Feature) -> &'static str {
    match feature {
        Feature::JsonObject => "json_object",
        Feature::JsonSchema => "json_schema",
        other => other.name(),
    }
}

fn clients() -> Vec<&'static dyn ChatClient> {
    ALL.iter().filter_map(|format| format.surface()?.chat_client()).collect()
}

fn upstreams() -> Vec<&'static dyn ChatUpstream> {
    ALL.iter().filter_map(|format| format.chat_upstream()).collect()
}

/// Where one format leads to models of many makers, Claude is asked.
fn target(upstream: &dyn ChatUpstream) -> Target {
    let model = if upstream.name() == "bedrock_converse" { "anthropic.claude-a" } else { "upstream-model" };
    Target {
        model: model.into(),
        stream_usage: true,
        max_output_tokens: Some(32_000),
        native_schema: true,
        ..Target::default()
    }
}

/// The request that asks for a feature: the format's ordinary one, with the ask's members instead.
fn asking(probes: &Probes, with: &Value) -> String {
    let mut request = probes.request.clone();
    for (name, value) in with.as_object().unwrap() {
        request[name] = value.clone();
    }
    request.to_string()
}

struct Written {
    body: String,
    losses: Vec<Loss>,
}

fn write(client: &dyn ChatClient, upstream: &dyn ChatUpstream, body: &str) -> Written {
    let mut losses = Losses::new(client.spelling());
    let request = client.read_request(body, &mut losses).unwrap();
    let (body, _) = upstream.write_request(&request, &target(upstream), &mut losses).unwrap();
    Written { body: String::from_utf8(body).unwrap(), losses: losses.iter().cloned().collect() }
}

/// A cell of the table, and what is to be said about it.
struct Cell {
    word: &'static str,
    why: Vec<String>,
}

fn cell(client: &dyn ChatClient, upstream: &dyn ChatUpstream, probes: &Probes, ask: &Ask) -> Cell {
    let usual = write(client, upstream, &probes.request.to_string()).losses;
    let written = write(client, upstream, &asking(probes, &ask.with));
    let of = |kept: Kept| {
        let new = written.losses.iter().filter(|loss| loss.kept == kept && !usual.contains(loss));
        new.map(|loss| loss.why.to_owned()).collect::<Vec<_>>()
    };
    let word = if !of(Kept::Not).is_empty() {
        return Cell { word: "refused", why: of(Kept::Not) };
    } else if !of(Kept::LeftOut).is_empty() {
        "left out"
    } else if !of(Kept::Nearly).is_empty() {
        "nearly"
    } else {
        "exact"
    };
    if word != "left out" {
        assert!(
            written.body.contains(&ask.shows),
            "{} to {}: nothing was lost, but {:?} is not in {}",
            client.name(),
            upstream.name(),
            ask.shows,
            written.body
        );
    }
    Cell { word, why: of(Kept::LeftOut).into_iter().chain(of(Kept::Nearly)).collect() }
}

/// One client format's table, and below it the reasons.
fn requests(client: &'static dyn ChatClient, out: &mut String) {
    let probes = probes(client.name());
    let upstreams: Vec<_> = upstreams().into_iter().filter(|u| u.name() != client.name()).collect();
    let heads: Vec<_> = upstreams.iter().map(|u| format!("`{}`", u.name())).collect();
    writeln!(out, "\n### From `{}`\n\n| what | member | {} |", client.name(), heads.join(" | ")).unwrap();
    writeln!(out, "|---|---|{}", "---|".repeat(upstreams.len())).unwrap();
    let mut reasons: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for (name, ask) in &probes.asks {
        if ask.is_null() {
            continue;
        }
        let ask: Ask = serde_json::from_value(ask.clone()).unwrap();
        let shown = spelling(client, name);
        let mut cells = Vec::new();
        for upstream in &upstreams {
            let cell = cell(client, *upstream, &probes, &ask);
            for why in cell.why {
                reasons
                    .entry((shown.clone(), format!("{}: {why}", cell.word)))
                    .or_default()
                    .push(upstream.name());
            }
            cells.push(cell.word);
        }
        writeln!(out, "| {name} | `{shown}` | {} |", cells.join(" | ")).unwrap();
    }
    writeln!(out).unwrap();
    for ((feature, why), who) in reasons {
        writeln!(out, "- `{feature}` to {}: {why}", who.join(", ")).unwrap();
    }
}

/// How the client's format spells the feature of a row.
fn spelling(client: &dyn ChatClient, row_name: &str) -> String {
    let feature = Feature::ALL.iter().find(|feature| row(**feature) == row_name);
    let own = client.spelling().iter().find(|(known, _)| Some(known) == feature);
    own.map_or(row_name, |(_, name)| name).to_owned()
}

/// What each upstream format can say in an answer, with a mark that must be seen by the client.
fn answers(out: &mut String) {
    let path = folder().join("answers.json");
    let all: BTreeMap<String, Map<String, Value>> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let clients = clients();
    let heads: Vec<_> = clients.iter().map(|c| format!("`{}`", c.name())).collect();
    for upstream in upstreams() {
        let probes = &all[upstream.name()];
        writeln!(out, "\n### From `{}`\n\n| | {} |", upstream.name(), heads.join(" | ")).unwrap();
        writeln!(out, "|---|{}", "---|".repeat(clients.len())).unwrap();
        for (what, probe) in probes {
            let read = upstream.read_response(probe["answer"].to_string().as_bytes()).unwrap();
            let cells: Vec<&str> = clients
                .iter()
                .map(|client| {
                    if client.name() == upstream.name() {
                        return "untouched";
                    }
                    let body = client.write_response(&read, &AnswerFor::default());
                    let body = String::from_utf8(body).unwrap();
                    // Seals are wrapped for clients of another format, which is base64 again.
                    let marks = probe["shows"].as_array().unwrap();
                    let seen = marks.iter().any(|mark| body.contains(mark.as_str().unwrap()));
                    if seen { "kept" } else { "left out" }
                })
                .collect();
            writeln!(out, "| {what} | {} |", cells.join(" | ")).unwrap();
        }
    }
}

/// Who speaks what, and what that was tried against.
fn providers(out: &mut String) {
    writeln!(out, "\n| provider | formats | tried against |\n|---|---|---|").unwrap();
    let line = |provider: &Provider| {
        let formats: Vec<String> = provider.facts.formats.iter().map(|name| format!("`{name}`")).collect();
        format!("| `{}` | {} | {} |", provider.facts.name, formats.join(", "), provider.tried.text())
    };
    all().for_each(|provider| writeln!(out, "{}", line(provider)).unwrap());
}

const INTRODUCTION: &str = "# Translation

A client may speak any of four chat formats to any model, whatever its provider speaks. Where both speak the same, the
body passes untouched but for its model. Where they do not, it is translated, and these tables say what becomes of each
member. They are made by the tests, from what the code does with a probe for each cell.

- **exact**: the upstream is asked for the same.
- **nearly**: the upstream is asked for something close; the reason stands below the table and in the record.
- **left out**: the answer is the same without it; the record says so.
- **refused**: the answer would differ, so the call ends with a 400 that names the member. With `drop_params: true` it
  is left out instead, and the record says so.

Members that the gate does not know are refused in the same way. What a format cannot ask for has no row in its table.
";

#[test]
fn the_published_matrix_is_what_the_code_does() {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("\n## Requests\n");
    clients().into_iter().for_each(|client| requests(client, &mut text));
    text.push_str("\n## Answers\n\nWhat an upstream says and what of it a client of another format sees. A stream says the same as a whole answer.\n");
    answers(&mut text);
    text.push_str("\n## Providers\n\nEvery format that clients speak reaches every one of these. None of the services was ever called: the last column\nsays what stood in for it.\n");
    providers(&mut text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/translation.md");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == text,
        "docs/translation.md is not what the code does; UPDATE_FIXTURES=1 writes it anew"
    );
}

/// A probe that asks for nothing would show a cell that nobody has tried.
#[test]
fn every_feature_has_a_probe_in_every_format_that_can_ask_for_it() {
    for client in clients() {
        let probes = probes(client.name());
        let rows = Feature::ALL.iter().map(|feature| row(*feature)).chain(EVERYBODY_KNOWS);
        for row_name in rows {
            assert!(probes.asks.contains_key(row_name), "{}: no probe for {row_name}", client.name());
        }
        for feature in Feature::ALL {
            let Ok(ask) = serde_json::from_value::<Ask>(probes.asks[row(*feature)].clone()) else { continue };
            let body = asking(&probes, &ask.with);
            let request = client.read_request(&body, &mut Losses::default()).unwrap();
            assert!(feature.is_in(&request), "{}: the probe does not ask for {feature:?}", client.name());
            let ordinary = probes.request.to_string();
            let ordinary = client.read_request(&ordinary, &mut Losses::default()).unwrap();
            assert!(!feature.is_in(&ordinary), "{}: {feature:?} is always asked for", client.name());
        }
        let address = Address { model: Some("m"), ..Address::default() };
        assert_eq!(client.peek(&probes.request.to_string(), &address).unwrap().model, "m");
    }
}
