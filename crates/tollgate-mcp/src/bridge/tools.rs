//! Tools: their definitions, and the results of calling them.

use std::borrow::Cow;

use super::content::{blocks, set_aside};
use super::{Kept, Notes, Way};
use crate::json::{Change, Draft, Object, elements, map_list, quoted};
use crate::revision::Revision::{V2025_03_26, V2025_06_18, V2025_11_25, V2026_07_28};

/// The members of a result of `tools/list`.
pub(super) fn list<'a>(draft: &mut Draft<'a>, way: Way, notes: &mut Notes) {
    let narrower = way.from >= V2026_07_28 && way.to < V2026_07_28;
    let untitled = way.from > V2025_03_26 && way.to == V2025_03_26;
    if narrower || untitled {
        draft.map("tools", |tools| map_list(tools, |tool| definition(tool, way, notes)));
    }
}

fn definition(text: &str, way: Way, notes: &mut Notes) -> Change {
    let Some(tool) = Object::read(text) else { return Change::Keep };
    let mut draft = tool.draft();
    if way.from >= V2026_07_28 {
        draft.map("inputSchema", |schema| object_schema(schema));
        // Older revisions than these overlook it, so that it may say what it likes.
        if way.to >= V2025_06_18 {
            output_schema(&mut draft, notes);
        }
    }
    if way.to == V2025_03_26 {
        title(&mut draft);
    }
    Change::of(draft.finish())
}

/// A schema of an object whose properties are schemas that are objects: until 2025-11-25 the booleans that JSON Schema
/// has, too, are none. What they say can be said exactly.
fn object_schema(text: &str) -> Cow<'_, str> {
    let Some(schema) = Object::read(text) else { return Cow::Borrowed(text) };
    let mut draft = schema.draft();
    draft.map("properties", |text| {
        let Some(properties) = Object::read(text) else { return Cow::Borrowed(text) };
        let mut changed = properties.draft();
        changed.each(|_, schema| match schema {
            "true" => Change::With("{}".to_owned()),
            "false" => Change::With(r#"{"not":{}}"#.to_owned()),
            _ => Change::Keep,
        });
        changed.finish()
    });
    draft.finish()
}

/// Until 2025-11-25 structured results are objects, and clients refuse a whole list for a schema of anything else.
fn output_schema(draft: &mut Draft<'_>, notes: &mut Notes) {
    let Some(schema) = draft.was().get("outputSchema") else { return };
    let of_object = Object::read(schema).is_some_and(|s| s.string("type").as_deref() == Some("object"));
    if of_object {
        draft.map("outputSchema", |schema| object_schema(schema));
    } else {
        notes.note("tools[].outputSchema", Kept::LeftOut, "not of an object; kept in `_meta`");
        set_aside(draft, &["outputSchema"]);
    }
}

/// 2025-03-26 has titles only among annotations.
fn title(draft: &mut Draft<'_>) {
    let Some(title) = draft.was().get("title") else { return };
    let annotations = draft.was().get("annotations").unwrap_or("{}");
    let Some(mut annotations) = Object::read(annotations).map(Object::draft) else { return };
    if !annotations.was().has("title") {
        annotations.set("title", title);
        draft.set("annotations", annotations.finish().into_owned());
    }
}

/// The members of a result of `tools/call`.
pub(super) fn result(draft: &mut Draft<'_>, way: Way, notes: &mut Notes) {
    draft.map("content", |content| blocks(content, way.to, notes));
    let Some(structured) = draft.was().get("structuredContent") else { return };
    let narrower = way.from >= V2026_07_28 && (V2025_06_18..=V2025_11_25).contains(&way.to);
    let unfit = narrower && !structured.starts_with('{');
    if unfit {
        notes.note("structuredContent", Kept::Nearly, "not an object: as text, and kept in `_meta`");
        set_aside(draft, &["structuredContent"]);
    }
    if (unfit || way.to < V2025_06_18) && !has_text(draft.was().get("content")) {
        if !unfit {
            notes.note("structuredContent", Kept::Nearly, "as text, since no text was there");
        }
        say_as_text(draft, structured);
    }
}

/// Whether there is a text among `content`: servers are to repeat in it what they say structured.
fn has_text(content: Option<&str>) -> bool {
    let is_text =
        |block: &&str| Object::read(block).is_some_and(|b| b.string("type").as_deref() == Some("text"));
    content.and_then(elements).is_some_and(|all| all.iter().any(is_text))
}

fn say_as_text(draft: &mut Draft<'_>, structured: &str) {
    let text = format!(r#"{{"type":"text","text":{}}}"#, quoted(structured));
    let content = draft.now("content").unwrap_or_else(|| "[]".to_owned());
    let mut all: Vec<String> =
        elements(&content).unwrap_or_default().into_iter().map(str::to_owned).collect();
    all.push(text);
    draft.set("content", format!("[{}]", all.join(",")));
}
