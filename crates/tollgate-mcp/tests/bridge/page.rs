//! `docs/mcp-revisions.md`: the tables of the code, and what became of every case of `tests/golden/`. Nothing in it is
//! written by hand but its prose. After a wanted change: `UPDATE_FIXTURES=1`, then read the difference.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use tollgate_mcp::bridge::{Kept, Way};
use tollgate_mcp::capability::CAPABILITIES;
use tollgate_mcp::message::CODES;
use tollgate_mcp::method::{METHODS, Otherwise, Side};
use tollgate_mcp::revision::Revision;

use crate::cases::{Became, Case, all, becomes};

const INTRO: &str = "# Revisions of MCP

What a client of one revision and a server of another understand of each other. These tables are made by the tests,
from the tables of the code and from what it does with a message of each kind; every message in them is checked against
the published schemas, before and after.

Between equal revisions messages pass to the byte, but for ids, tokens of progress and names that the gate gives. Between
others, members that the listener does not know stay where they are: every schema is open, and whoever does not know
them overlooks them. So titles, icons, annotations, output schemas, `_meta` and whatever a vendor adds reach older
listeners, too, and are not in these tables. What a listener would refuse is said in other words, and what has no words
is kept in `_meta` under `tollgate/…`.

The gate bridges so between the clients and the servers of its [tools](tools.md), but for what [it does
otherwise](#at-the-gate).

A message is refused before anything is decided where two parsers could read it differently: a member twice in one
object (escapes resolved), a name that parsers without regard to case take for one of the protocol's, a number that no
double holds, text after the message, nesting or sizes beyond the limits, an id that is neither a string nor an integer,
a batch where the revision has none.
";

const ERAS: &str = "
## Between stateful and stateless sides

Until 2025-11-25 a connection begins with `initialize`, and servers ask clients in the middle of a call. Since
2026-07-28 each request says who asks, and a server asks in a result that ends the call (`input_required`): the client
makes it again with the answers. In between:

- **Stateless client, stateful server.** The server's `sampling/createMessage`, `elicitation/create` and `roots/list`
  become the questions of an `input_required` result while its call is kept open; the answers of the retry go to it.
  What it asks outside of a call of this client can reach nobody, and is answered with an error. `ping` is answered here.
  `subscriptions/listen` becomes `resources/subscribe` for each resource, and notifications carry the subscription's id.
  Log messages reach only who asked for them in the request. An error that says which address to visit becomes a question.
- **Stateful client, stateless server.** The questions of a result become requests to the client, and the call is made
  again with its answers. `logging/setLevel` is answered here and said with each request; `resources/subscribe` and what
  a client hears unasked become one `subscriptions/listen`. `notifications/roots/list_changed` is for nobody.
- Lists and contents of stateful servers may be kept for no time and for nobody else (`ttlMs` 0, `cacheScope` private).
- `tasks/*` of 2025-11-25 and the extension that followed it are two protocols: neither is promised to the other's side,
  and what is said all the same passes as it is.

## At the gate

All of this is what the bridge makes of single messages. The gate that uses it speaks with each side by itself, and some
of them do not get that far:

- `initialize`, `server/discover`, `ping`, `tools/list` and `logging/setLevel` are answered by the gate, and other lists at
  every address but a server's own. With a server it begins in the server's own way.
- `subscriptions/listen` passes only at `/mcp/NAME`, and only to a stateless server; elsewhere it is refused.
- `resources/subscribe` and `resources/unsubscribe` pass only to a stateful server; a stateless one refuses them.
- The level of `logging/setLevel` is told to stateful servers only.
- Of a client's notifications only `notifications/cancelled` goes on.
- Clients of 2024-11-05 are served over streamable HTTP, not over HTTP+SSE.
";

fn since(since: Revision, until: Option<Revision>) -> String {
    until.map_or_else(|| format!("{since} |"), |until| format!("{since} | {until}"))
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
        Side::Either => "either",
    }
}

fn otherwise(what: Otherwise) -> String {
    match what {
        Otherwise::Passes => "passes as it is".into(),
        Otherwise::Becomes(other) => format!("becomes `{other}`"),
        Otherwise::Answered => "is answered by the gate".into(),
        Otherwise::Dropped => "ends at the gate".into(),
        Otherwise::Refused => "is refused".into(),
    }
}

fn tables(text: &mut String) {
    text.push_str("\n## Revisions\n\n| revision | stateless | batches | over HTTP | session | revision of a request | headers that repeat the body |\n|---|---|---|---|---|---|---|\n");
    let named = |name: Option<&str>| name.map_or_else(String::new, |name| format!("`{name}`"));
    for revision in Revision::ALL {
        let transport = revision.transport();
        let yes = |it| if it { "yes" } else { "" };
        let mirrored: Vec<String> = transport.mirrored.iter().map(|name| format!("`{name}`")).collect();
        writeln!(
            text,
            "| {revision} | {} | {} | {} | {} | {} | {} |",
            yes(revision.is_stateless()),
            yes(revision.allows_batches()),
            transport.name,
            named(transport.session),
            named(transport.version),
            mirrored.join(", ")
        )
        .unwrap();
    }
    text.push_str("\n## Methods\n\nOther methods pass as they are. The last columns say what becomes of one where the listener's revision is older than it,\nor has it no more.\n\n| method | said by | since | until | needs | where the listener is older | where it is newer |\n|---|---|---|---|---|---|---|\n");
    for method in METHODS {
        let needs = method.capability.map_or_else(String::new, |name| format!("`{name}`"));
        let earlier =
            if method.since == Revision::V2024_11_05 { String::new() } else { otherwise(method.earlier) };
        let later = method.until.map_or_else(String::new, |_| otherwise(method.later));
        let when = since(method.since, method.until);
        writeln!(
            text,
            "| `{}` | {} | {when} | {needs} | {earlier} | {later} |",
            method.name,
            side(method.by)
        )
        .unwrap();
    }
    text.push_str("\n## Capabilities\n\nA side is told of the other's capabilities as far as its revision has them; what no revision has ever heard of, and\n`experimental` and `extensions`, it is told as they are.\n\n| capability | of | since | until |\n|---|---|---|---|\n");
    for known in CAPABILITIES {
        writeln!(text, "| `{}` | {} | {} |", known.name, side(known.of), since(known.since, known.until))
            .unwrap();
    }
    text.push_str("\n## Error codes\n\n| code | name | since | until | says |\n|---|---|---|---|---|\n");
    for code in CODES {
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            code.code,
            code.name,
            since(code.since, code.until),
            code.meaning
        )
        .unwrap();
    }
}

/// What became of a case in a word, and why. `None` where it means the same.
fn cell(case: &Case, way: Way, reasons: &mut Vec<String>) -> Option<String> {
    let asked = case.asked.as_ref().map(Value::to_string);
    let (became, notes) = becomes(&case.text(), case.method.as_deref(), asked.as_deref(), way);
    let word = match &became {
        Became::Refused(_) | Became::Instead(Otherwise::Refused) => "refused",
        Became::Instead(what) => return Some(otherwise(*what)),
        Became::Asks(_) if notes.is_empty() => return Some("becomes requests".into()),
        Became::Message(_) if notes.is_empty() => return None,
        _ if notes.iter().any(|note| note.kept == Kept::LeftOut) => "left out",
        _ => "nearly",
    };
    let mut marks = Vec::new();
    let refusal = if let Became::Refused(why) = &became { Some(why.clone()) } else { None };
    let noted = notes.iter().map(|note| format!("`{}`: {}", note.what, note.why));
    for reason in refusal.into_iter().chain(noted) {
        let at = reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
            reasons.push(reason);
            reasons.len() - 1
        });
        marks.push((at + 1).to_string());
    }
    let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
    Some(format!("{word}{marks}"))
}

fn pairs(text: &mut String) {
    text.push_str("\n## From each to each\n\nWhat is not listed reaches the listener as it is, or in words that mean the same.\n");
    let cases = all();
    let mut reasons = Vec::new();
    for from in Revision::ALL {
        let others: Vec<Revision> = Revision::ALL.into_iter().filter(|to| *to != from).collect();
        let names: Vec<String> = others.iter().map(|to| format!("to {to}")).collect();
        write!(text, "\n### From {from}\n\n| what | {} |\n|---|---|---|---|---|\n", names.join(" | "))
            .unwrap();
        for case in cases.iter().filter(|case| case.speakers().any(|revision| revision == from)) {
            let cells: Vec<Option<String>> =
                others.iter().map(|to| cell(case, Way::new(from, *to), &mut reasons)).collect();
            if cells.iter().any(Option::is_some) {
                let cells: Vec<String> = cells.into_iter().map(Option::unwrap_or_default).collect();
                writeln!(text, "| {} | {} |", case.about, cells.join(" | ")).unwrap();
            }
        }
    }
    text.push('\n');
    for (number, reason) in (1..).zip(reasons) {
        writeln!(text, "{number}. {reason}").unwrap();
    }
}

#[test]
fn the_page_says_what_the_code_does() {
    let mut text = INTRO.to_owned();
    tables(&mut text);
    text.push_str(ERAS);
    pairs(&mut text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/mcp-revisions.md");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == text,
        "docs/mcp-revisions.md is not what the code does; UPDATE_FIXTURES=1 writes it anew"
    );
}
