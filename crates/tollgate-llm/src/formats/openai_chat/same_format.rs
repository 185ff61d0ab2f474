//! What the gate reads of a request, and the edits that one gets on its way to an upstream of the same format.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::formats::{Peek, SameFormat, Target};
use crate::json::{BodyError, Edit, Members, quoted};

const WANTED: &[&str] = &[
    "model",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "user",
    "safety_identifier",
];

pub(super) fn peek(body: &str) -> Result<Peek, BodyError> {
    let members = Members::find(body, WANTED)?;
    let max: Option<u64> = match members.read("max_completion_tokens")? {
        Some(max) => Some(max),
        None => members.read("max_tokens")?,
    };
    Ok(Peek {
        model: members.read("model")?.ok_or_else(|| BodyError::shape("model", "is required"))?,
        stream: members.read("stream")?.unwrap_or(false),
        max_output_tokens: max,
        end_user: members.text("user").or_else(|| members.text("safety_identifier")),
        array: false,
        found: members.into_found(),
    })
}

/// `model` becomes the upstream's; a stream is asked to end with its usage, which the gate needs for the record.
pub(super) fn edits(members: &Members<'_>, target: &Target) -> Result<SameFormat, BodyError> {
    let mut same = SameFormat::default();
    if members.read::<String>("model")?.as_deref() != Some(&*target.model) {
        same.edits.extend(members.replace("model", quoted(&target.model)));
    }
    if let Some(ceiling) = target.output_ceiling {
        same.edits.extend(shorter(members, target, ceiling));
    }
    if members.read("stream")?.unwrap_or(false) && target.stream_usage {
        ask_for_usage(members, &mut same)?;
    }
    Ok(same)
}

/// The longest answer becomes `ceiling`, in whichever of its two words the request says it.
fn shorter(members: &Members<'_>, target: &Target, ceiling: u64) -> Vec<Edit> {
    let said = ["max_completion_tokens", "max_tokens"];
    let mut edits: Vec<Edit> =
        said.iter().filter_map(|name| members.replace(name, ceiling.to_string())).collect();
    // Whoever knows only the older word reads only that.
    let understood = if target.legacy_max_tokens { "max_tokens" } else { "max_completion_tokens" };
    if edits.is_empty() || (target.legacy_max_tokens && members.get(understood).is_none()) {
        edits.push(members.append(understood, &ceiling.to_string()));
    }
    edits
}

fn ask_for_usage(members: &Members<'_>, same: &mut SameFormat) -> Result<(), BodyError> {
    const INCLUDE: &[&str] = &["include_usage"];
    let (Some(span), Some(text)) =
        (members.span("stream_options"), members.get("stream_options").filter(|t| *t != "null"))
    else {
        same.hide_usage = true;
        same.edits.push(match members.span("stream_options") {
            Some(span) => Edit { span, with: r#"{"include_usage":true}"#.to_owned() },
            None => members.append("stream_options", r#"{"include_usage":true}"#),
        });
        return Ok(());
    };
    let options =
        Members::find(text, INCLUDE).map_err(|e| BodyError::shape("stream_options", e.to_string()))?;
    let asked = options
        .read::<bool>("include_usage")
        .map_err(|_| BodyError::shape("stream_options.include_usage", "must be a boolean"))?;
    if asked == Some(true) {
        return Ok(());
    }
    same.hide_usage = true;
    let mut edit = match options.replace("include_usage", "true".to_owned()) {
        Some(edit) => edit,
        None => options.append("include_usage", "true"),
    };
    edit.span = edit.span.start + span.start..edit.span.end + span.start;
    same.edits.push(edit);
    Ok(())
}

/// Every `messages[].content[].image_url.url` that is not a `data:` URL.
pub(super) fn image_urls(body: &str) -> Result<Vec<(Range<usize>, String)>, BodyError> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        messages: Vec<Message<'a>>,
    }
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow, default)]
        content: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow, default)]
        image_url: Option<Address<'a>>,
    }
    #[derive(Deserialize)]
    struct Address<'a> {
        #[serde(borrow)]
        url: &'a RawValue,
    }
    let read: Body<'_> = serde_json::from_str(body)?;
    let mut found = Vec::new();
    for content in read.messages.iter().filter_map(|m| m.content).filter(|c| c.get().starts_with('[')) {
        let parts: Vec<Part<'_>> = serde_json::from_str(content.get())?;
        for raw in parts.iter().filter_map(|part| part.image_url.as_ref()).map(|address| address.url.get()) {
            let url: String = serde_json::from_str(raw)
                .map_err(|_| BodyError::shape("image_url.url", "must be a string"))?;
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

    fn edited(body: &str) -> (String, bool) {
        let target = Target { model: "up".into(), stream_usage: true, ..Target::default() };
        let same = edits(&Members::find(body, WANTED).unwrap(), &target).unwrap();
        (String::from_utf8(splice(body, same.edits)).unwrap(), same.hide_usage)
    }

    #[test]
    fn only_the_model_changes_where_nothing_is_streamed() {
        assert_eq!(
            edited(r#"{"model":"x","messages":[],"new_member":{"a":1}}"#),
            (r#"{"model":"up","messages":[],"new_member":{"a":1}}"#.into(), false)
        );
        assert_eq!(edited(r#"{"model":"up"}"#).0, r#"{"model":"up"}"#);
    }

    #[test]
    fn an_end_user_is_a_text_or_none() {
        let end_user = |more: &str| peek(&format!(r#"{{"model":"m"{more}}}"#)).unwrap().end_user;
        assert_eq!(end_user(r#","user":"ann","safety_identifier":"x""#).as_deref(), Some("ann"));
        assert_eq!(end_user(r#","safety_identifier":"x""#).as_deref(), Some("x"));
        assert_eq!(
            end_user(r#","user":["no text"]"#),
            None,
            "what else stands there is the upstream's business"
        );
        assert_eq!(end_user(r#","user":null"#), None);
    }

    #[test]
    fn usage_is_asked_for_and_hidden_only_from_who_did_not_ask() {
        let asks = |options: &str| edited(&format!(r#"{{"model":"up","stream":true{options}}}"#));
        assert_eq!(
            asks(""),
            (r#"{"model":"up","stream":true,"stream_options":{"include_usage":true}}"#.into(), true)
        );
        assert_eq!(
            asks(r#","stream_options":null"#),
            (r#"{"model":"up","stream":true,"stream_options":{"include_usage":true}}"#.into(), true)
        );
        assert_eq!(
            asks(r#","stream_options":{"x":1,"include_usage":false}"#),
            (r#"{"model":"up","stream":true,"stream_options":{"x":1,"include_usage":true}}"#.into(), true)
        );
        assert_eq!(
            asks(r#","stream_options":{}"#),
            (r#"{"model":"up","stream":true,"stream_options":{"include_usage":true}}"#.into(), true)
        );
        let asked = r#","stream_options":{"include_usage":true}"#;
        assert!(!asks(asked).1);
    }

    #[test]
    fn image_addresses_are_found_where_they_stand() {
        let body = r#"{"messages":[{"role":"user","content":"x"},{"role":"user","content":[{"type":"text","text":"?"},
            {"type":"image_url","image_url":{"detail":"low","url":"https://a.example/\u0062.png"}},
            {"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]}"#;
        let found = image_urls(body).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, "https://a.example/b.png");
        assert_eq!(&body[found[0].0.clone()], r#""https://a.example/\u0062.png""#);
    }
}
