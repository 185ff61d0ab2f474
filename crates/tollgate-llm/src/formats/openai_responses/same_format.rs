//! What the gate reads of a request, and the one edit that it gets on its way to an upstream of the same format.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::NAME;
use crate::chat::Sealed;
use crate::formats::{Peek, SameFormat, Target};
use crate::json::{BodyError, Edit, Members, quoted, without_elements};

const WANTED: &[&str] = &["model", "stream", "max_output_tokens", "user", "safety_identifier"];

pub(super) fn peek(body: &str) -> Result<Peek, BodyError> {
    let members = Members::find(body, WANTED)?;
    Ok(Peek {
        model: members.read("model")?.ok_or_else(|| BodyError::shape("model", "is required"))?,
        stream: members.read("stream")?.unwrap_or(false),
        array: false,
        max_output_tokens: members.read("max_output_tokens")?,
        end_user: members.text("user").or_else(|| members.text("safety_identifier")),
        found: members.into_found(),
    })
}

/// `model` becomes the upstream's. Reasoning that another model sealed in an earlier turn is taken out: the provider
/// refuses seals that are not its own. Usage is always part of the stream.
pub(super) fn edits(body: &str, members: &Members<'_>, target: &Target) -> Result<SameFormat, BodyError> {
    let mut same = SameFormat::default();
    if members.read::<String>("model")?.as_deref() != Some(&*target.model) {
        same.edits.extend(members.replace("model", quoted(&target.model)));
    }
    if let Some(ceiling) = target.output_ceiling {
        let replaced = members.replace("max_output_tokens", ceiling.to_string());
        same.edits
            .push(replaced.unwrap_or_else(|| members.append("max_output_tokens", &ceiling.to_string())));
    }
    if Sealed::may_be_in(body) {
        same.edits.extend(foreign_reasoning(body)?);
    }
    Ok(same)
}

fn foreign_reasoning(body: &str) -> Result<Vec<Edit>, BodyError> {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow, default)]
        encrypted_content: Option<Cow<'a, str>>,
    }
    let foreign = |item: &str| {
        let read: Result<Item<'_>, _> = serde_json::from_str(item);
        let seal = read.ok().and_then(|item| item.encrypted_content);
        seal.is_some_and(|seal| Sealed::read(&seal, NAME).origin != NAME)
    };
    let members = Members::find(body, &["input"])?;
    match members.get("input").filter(|input| input.starts_with('[')) {
        Some(items) => without_elements(body, items, foreign),
        None => Ok(Vec::new()),
    }
}

/// Every `image_url` of a message or of a tool's output that is not a `data:` URL.
pub(super) fn image_urls(body: &str) -> Result<Vec<(Range<usize>, String)>, BodyError> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        input: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow, default)]
        content: Option<&'a RawValue>,
        #[serde(borrow, default)]
        output: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow, default)]
        image_url: Option<&'a RawValue>,
    }
    let read: Body<'_> = serde_json::from_str(body)?;
    let mut found = Vec::new();
    let Some(input) = read.input.filter(|input| input.get().starts_with('[')) else { return Ok(found) };
    let items: Vec<Item<'_>> = serde_json::from_str(input.get())?;
    let lists = items.iter().flat_map(|item| [item.content, item.output]).flatten();
    for list in lists.filter(|list| list.get().starts_with('[')) {
        let parts: Vec<Part<'_>> = serde_json::from_str(list.get())?;
        for raw in
            parts.iter().filter_map(|part| part.image_url).map(RawValue::get).filter(|raw| *raw != "null")
        {
            let url: String =
                serde_json::from_str(raw).map_err(|_| BodyError::shape("image_url", "must be a string"))?;
            if !url.starts_with("data:") {
                let start = raw.as_ptr() as usize - body.as_ptr() as usize;
                found.push((start..start + raw.len(), url));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::splice;

    #[test]
    fn only_the_model_changes() {
        let body =
            r#"{"model":"x","input":"hi","previous_response_id":"resp_1","stream":true,"new":{"a":1}}"#;
        let target = Target { model: "up".into(), stream_usage: true, ..Target::default() };
        let same = edits(body, &Members::find(body, WANTED).unwrap(), &target).unwrap();
        assert!(!same.hide_usage);
        assert_eq!(
            String::from_utf8(splice(body, same.edits)).unwrap(),
            r#"{"model":"up","input":"hi","previous_response_id":"resp_1","stream":true,"new":{"a":1}}"#
        );
    }

    #[test]
    fn image_addresses_are_found_in_messages_and_in_outputs() {
        let body = r#"{"input":[{"role":"user","content":"x"},
            {"role":"user","content":[{"type":"input_image","image_url":"https://a.example/\u0062.png"},
            {"type":"input_image","image_url":null,"file_id":"f"},
            {"type":"input_image","image_url":"data:image/png;base64,AA=="}]},
            {"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"https://c.example"}]}]}"#;
        let found = image_urls(body).unwrap();
        let urls: Vec<&str> = found.iter().map(|(_, url)| url.as_str()).collect();
        assert_eq!(urls, ["https://a.example/b.png", "https://c.example"]);
        assert_eq!(&body[found[0].0.clone()], r#""https://a.example/\u0062.png""#);
        assert!(image_urls(r#"{"input":"hi"}"#).unwrap().is_empty());
    }
}
