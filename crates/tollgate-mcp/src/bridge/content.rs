//! Blocks of content: in results of tools, in prompts, and in what a model is asked.

use std::borrow::Cow;

use super::{Kept, Notes};
use crate::json::{Change, Draft, Object, map_list, object, quoted};
use crate::message::meta::OURS;
use crate::revision::Revision;

/// Where embedded audio says that it is: a resource must have an address, and audio has none.
const AUDIO: &str = "tollgate:audio";

/// The list of blocks `text` for somebody who speaks `to`.
pub(super) fn blocks<'a>(text: &'a str, to: Revision, notes: &mut Notes) -> Cow<'a, str> {
    if to >= Revision::V2025_06_18 {
        return Cow::Borrowed(text);
    }
    map_list(text, |text| block(text, to, notes))
}

/// One block where the listener has embedded resources, as in results and prompts.
pub(super) fn block(text: &str, to: Revision, notes: &mut Notes) -> Change {
    let Some(object) = Object::read(text) else { return Change::Keep };
    match object.string("type").as_deref() {
        Some("audio") if to < Revision::V2025_03_26 => {
            notes.note("content[].audio", Kept::Nearly, "an embedded resource of the same type and data");
            Change::With(audio_as_resource(object))
        }
        Some("resource_link") if to < Revision::V2025_06_18 => {
            notes.note("content[].resource_link", Kept::Nearly, "its name, address and description as text");
            let shown = link_as_text(&object);
            Change::With(as_text(object, &shown))
        }
        _ => Change::Keep,
    }
}

/// One block where the listener has no embedded resources, as in what a model is asked.
pub(super) fn spoken_block(text: &str, to: Revision, notes: &mut Notes) -> Change {
    let Some(object) = Object::read(text) else { return Change::Keep };
    let kind = object.string("type").unwrap_or_default();
    let shown = match kind.as_ref() {
        "audio" if to < Revision::V2025_03_26 => {
            notes.note("content.audio", Kept::LeftOut, "a text says that there was audio, and of which type");
            let kind = object.string("mimeType").unwrap_or_default();
            let kind = format!("[audio, {kind}]");
            // The sound itself would be of no use to whoever reads the text.
            let mut draft = object.draft();
            draft.remove("data");
            draft.remove("mimeType");
            draft.set("type", quoted("text"));
            draft.set("text", quoted(&kind));
            return Change::With(draft.finish().into_owned());
        }
        "tool_use" if to < Revision::V2025_11_25 => {
            notes.note("content.tool_use", Kept::Nearly, "the call as text");
            let name = object.string("name").unwrap_or_default();
            format!("[tool call {name}] {}", object.get("input").unwrap_or("{}"))
        }
        "tool_result" if to < Revision::V2025_11_25 => {
            notes.note("content.tool_result", Kept::Nearly, "the result as text");
            format!("[tool result] {}", texts(object.get("content").unwrap_or("[]")))
        }
        _ => return Change::Keep,
    };
    Change::With(as_text(object, &shown))
}

fn audio_as_resource(audio: Object<'_>) -> String {
    let address = Some(("uri", Cow::Owned(quoted(AUDIO))));
    let part = |name, of| audio.get(of).map(|value| (name, Cow::Borrowed(value)));
    let resource =
        object([address, part("mimeType", "mimeType"), part("blob", "data")].into_iter().flatten());
    let mut draft = audio.draft();
    draft.set("type", quoted("resource"));
    draft.remove("data");
    draft.remove("mimeType");
    draft.set("resource", resource);
    draft.finish().into_owned()
}

fn link_as_text(link: &Object<'_>) -> String {
    let part = |name| link.string(name).filter(|text| !text.is_empty());
    let mut shown = part("title").or_else(|| part("name")).unwrap_or_default().into_owned();
    if let Some(kind) = part("mimeType") {
        shown = format!("{shown} ({kind})");
    }
    shown = format!("{shown}: {}", part("uri").unwrap_or_default());
    if let Some(description) = part("description") {
        shown = format!("{shown}\n{description}");
    }
    shown
}

/// The block `of` as the text `shown`. What it was is kept in `_meta`, and what is said about it where it stood.
pub(super) fn as_text(of: Object<'_>, shown: &str) -> String {
    let (meta, annotations) = (of.get("_meta"), of.get("annotations"));
    let mut was = of.draft();
    was.remove("_meta");
    was.remove("annotations");
    let was = was.finish();
    let annotations = annotations.map(|annotations| ("annotations", Cow::Borrowed(annotations)));
    let block = [("type", Cow::Borrowed("\"text\"")), ("text", Cow::Owned(quoted(shown)))];
    let meta = ("_meta", Cow::Owned(with_meta(meta, &[("was", &was)])));
    object(block.into_iter().chain(annotations).chain([meta]))
}

/// The texts of a list of blocks, one below the other; what is no text is shown as it stands.
fn texts(list: &str) -> String {
    let all = crate::json::elements(list).unwrap_or_default();
    let shown = |text: &&str| Object::read(text).and_then(|block| block.string("text").map(Cow::into_owned));
    let all: Vec<String> = all.iter().map(|text| shown(text).unwrap_or_else(|| (*text).to_owned())).collect();
    all.join("\n")
}

/// The `_meta` object `text`, or a new one, with members of ours.
pub(super) fn with_meta(text: Option<&str>, ours: &[(&str, &str)]) -> String {
    let read = text.and_then(Object::read);
    let Some(mut draft) = read.or_else(|| Object::read("{}")).map(Object::draft) else {
        return String::new();
    };
    for (name, value) in ours {
        draft.set(&format!("{OURS}{name}"), *value);
    }
    draft.finish().into_owned()
}

/// Moves members out of an object into its `_meta`, under names of ours.
pub(super) fn set_aside(draft: &mut Draft<'_>, names: &[&str]) {
    let was = draft.was().clone();
    let there: Vec<(&str, &str)> =
        names.iter().filter_map(|name| was.get(name).map(|value| (*name, value))).collect();
    if there.is_empty() {
        return;
    }
    let meta = draft.now("_meta");
    draft.set("_meta", with_meta(meta.as_deref(), &there));
    there.iter().for_each(|(name, _)| draft.remove(name));
}
