//! What a server asks a client's model, and what that answers.

use std::borrow::Cow;

use super::content::{set_aside, spoken_block};
use super::{Kept, Notes};
use crate::json::{Change, Draft, Object, elements, map_list, quoted, string};
use crate::revision::Revision;

/// The members of the params of `sampling/createMessage`.
pub(super) fn params(draft: &mut Draft<'_>, to: Revision, notes: &mut Notes) {
    if to >= Revision::V2025_11_25 {
        return;
    }
    draft.map("messages", |messages| map_list(messages, |text| message(text, to, notes)));
    for name in ["tools", "toolChoice"] {
        if draft.was().has(name) {
            notes.note(
                name,
                Kept::LeftOut,
                "the client's revision has no tools for sampling; kept in `_meta`",
            );
        }
    }
    set_aside(draft, &["tools", "toolChoice"]);
}

/// One message. Until 2025-06-18 it is one block, so that several blocks become several messages of the same role.
fn message(text: &str, to: Revision, notes: &mut Notes) -> Change {
    let Some(message) = Object::read(text) else { return Change::Keep };
    let Some(content) = message.get("content") else { return Change::Keep };
    let Some(blocks) = elements(content) else {
        let mut draft = message.draft();
        if let Change::With(block) = spoken_block(content, to, notes) {
            draft.set("content", block);
        }
        return Change::of(draft.finish());
    };
    if blocks.len() > 1 {
        notes.note("messages[].content", Kept::Nearly, "each block a message of its own");
    }
    let said = |block: &str, notes: &mut Notes| match spoken_block(block, to, notes) {
        Change::With(block) => block,
        _ => block.to_owned(),
    };
    let role = message.get("role").unwrap_or("\"user\"").to_owned();
    let mut first = message.draft();
    let mut all = blocks.into_iter().map(|block| said(block, notes));
    first.set("content", all.next().unwrap_or_else(|| r#"{"type":"text","text":""}"#.to_owned()));
    let rest: Vec<String> = all.map(|content| format!(r#"{{"role":{role},"content":{content}}}"#)).collect();
    Change::Several([first.finish().into_owned()].into_iter().chain(rest).collect())
}

/// The members of the result of `sampling/createMessage`. Until 2025-06-18 an answer is one block.
pub(super) fn result(draft: &mut Draft<'_>, to: Revision, notes: &mut Notes) {
    let Some(content) = draft.was().get("content").filter(|_| to < Revision::V2025_11_25) else { return };
    let blocks = elements(content);
    let said: Vec<String> = blocks
        .as_deref()
        .unwrap_or(&[content])
        .iter()
        .map(|block| match spoken_block(block, to, notes) {
            Change::With(block) => block,
            _ => (*block).to_owned(),
        })
        .collect();
    if blocks.is_none() {
        return draft.put("content", changed(content, said));
    }
    if said.len() != 1 {
        notes.note("content", Kept::Nearly, "the texts as one; all of it is kept in `_meta`");
        set_aside(draft, &["content"]);
    }
    draft.set("content", one(said));
}

fn changed<'a>(was: &'a str, said: Vec<String>) -> Cow<'a, str> {
    said.into_iter().next().filter(|said| said != was).map_or(Cow::Borrowed(was), Cow::Owned)
}

/// Several blocks as one: their texts, or the first where there is no text.
fn one(mut said: Vec<String>) -> String {
    if said.len() == 1 {
        return said.remove(0);
    }
    let text = |block: &String| {
        Object::read(block).and_then(|block| block.get("text").and_then(string).map(Cow::into_owned))
    };
    let texts: Vec<String> = said.iter().filter_map(text).collect();
    match said.into_iter().next() {
        Some(first) if texts.is_empty() => first,
        _ => format!(r#"{{"type":"text","text":{}}}"#, quoted(&texts.join("\n"))),
    }
}
