//! What a server asks a person: a form to fill in, or an address to visit.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Kept, Notes, Unsayable};
use crate::json::{Change, Draft, Object, elements, quoted, string, strings};
use crate::revision::Revision;

/// The members of the params of `elicitation/create`. `id` is by what an address to visit is known, where the speaker's
/// revision gives none and the listener's requires one.
pub(super) fn params(
    draft: &mut Draft<'_>,
    to: Revision,
    id: Option<&str>,
    notes: &mut Notes,
) -> Result<(), Unsayable> {
    let visits = draft.was().string("mode").as_deref() == Some("url");
    if visits && to < Revision::V2025_11_25 {
        return Err(Unsayable("the client's revision knows no addresses to visit"));
    }
    if visits && to == Revision::V2025_11_25 && !draft.was().has("elicitationId") {
        draft.set("elicitationId", quoted(id.unwrap_or_default()));
    }
    if to < Revision::V2025_11_25 {
        draft.map("requestedSchema", |schema| form(schema, notes));
    }
    Ok(())
}

/// A form for 2025-06-18, which has choices of one without titles, or with titles in a list beside them.
fn form<'a>(text: &'a str, notes: &mut Notes) -> Cow<'a, str> {
    let Some(schema) = Object::read(text) else { return Cow::Borrowed(text) };
    let mut draft = schema.draft();
    draft.map("properties", |text| {
        let Some(properties) = Object::read(text) else { return Cow::Borrowed(text) };
        let mut changed = properties.draft();
        changed.each(|_, property| Change::of(field(property, notes)));
        changed.finish()
    });
    draft.finish()
}

fn field<'a>(text: &'a str, notes: &mut Notes) -> Cow<'a, str> {
    let Some(field) = Object::read(text) else { return Cow::Borrowed(text) };
    if field.string("type").as_deref() == Some("array") {
        notes.note(
            "requestedSchema.properties.*.items",
            Kept::Nearly,
            "a text, the choices separated by commas",
        );
        return Cow::Owned(several_as_text(field));
    }
    let Some(choices) = field.get("oneOf").and_then(elements) else { return Cow::Borrowed(text) };
    let part = |name: &str| -> Vec<Cow<'_, str>> {
        choices.iter().filter_map(|choice| Object::read(choice)?.string(name)).collect()
    };
    let (values, titles) = (part("const"), part("title"));
    let mut draft = field.draft();
    draft.remove("oneOf");
    draft.set("enum", strings(values));
    draft.set("enumNames", strings(titles));
    draft.finish()
}

/// The values that a choice of several offers.
fn offered<'a>(field: &Object<'a>) -> Vec<Cow<'a, str>> {
    let Some(items) = field.object("items") else { return Vec::new() };
    let plain = items.get("enum").and_then(elements).unwrap_or_default();
    let titled = items.get("anyOf").and_then(elements).unwrap_or_default();
    let titled = titled.into_iter().filter_map(|choice| Object::read(choice)?.string("const"));
    plain.into_iter().filter_map(string).chain(titled).collect()
}

fn several_as_text(field: Object<'_>) -> String {
    let choices = format!("Several of these, separated by commas: {}", offered(&field).join(", "));
    let description = match field.string("description") {
        Some(known) if !known.is_empty() => format!("{known} {choices}"),
        _ => choices,
    };
    let mut draft = field.draft();
    for gone in ["items", "minItems", "maxItems", "default"] {
        draft.remove(gone);
    }
    draft.set("type", quoted("string"));
    draft.set("description", quoted(&description));
    draft.finish().into_owned()
}

/// The result `text` of `elicitation/create`, where what was `asked` for (its params, as the server sent them) had to be
/// put in other words: texts that stand for choices of several become those again.
pub(super) fn result<'a>(text: &'a str, asked: Option<&str>) -> Cow<'a, str> {
    let properties = || Object::read(asked?)?.object("requestedSchema")?.object("properties");
    let (Some(properties), Some(result)) = (properties(), Object::read(text)) else {
        return Cow::Borrowed(text);
    };
    let of_several = |(name, text): (&str, &str)| {
        let field = Object::read(text).filter(|f| f.string("type").as_deref() == Some("array"))?;
        Some((name.to_owned(), offered(&field).into_iter().map(Cow::into_owned).collect()))
    };
    let several: HashMap<String, Vec<String>> = properties.iter().filter_map(of_several).collect();
    let mut draft = result.draft();
    draft.map("content", |text| {
        let Some(content) = Object::read(text) else { return Cow::Borrowed(text) };
        let mut changed = content.draft();
        changed.each(|name, value| match (several.get(name), string(value)) {
            (Some(offered), Some(said)) => Change::With(chosen(offered, &said)),
            _ => Change::Keep,
        });
        changed.finish()
    });
    draft.finish()
}

/// The choices that `said` names. What is none of them stays: refusing it is for whoever asked.
fn chosen(offered: &[String], said: &str) -> String {
    // A choice may hold a comma itself.
    if offered.iter().any(|choice| choice == said) {
        return strings([said]);
    }
    strings(said.split(',').map(str::trim).filter(|part| !part.is_empty()))
}
