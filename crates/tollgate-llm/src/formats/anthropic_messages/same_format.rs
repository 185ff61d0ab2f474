//! What the gate reads of a request, and the one edit that it gets on its way to an upstream of the same format.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::NAME;
use crate::chat::Sealed;
use crate::formats::{Peek, SameFormat, Target};
use crate::json::{BodyError, Edit, Members, quoted, without_elements};

const WANTED: &[&str] = &["model", "stream", "max_tokens", "anthropic_version", "metadata"];

pub(super) fn peek(body: &str) -> Result<Peek, BodyError> {
    let members = Members::find(body, WANTED)?;
    Ok(Peek {
        model: members.read("model")?.ok_or_else(|| BodyError::shape("model", "is required"))?,
        stream: members.read("stream")?.unwrap_or(false),
        max_output_tokens: members.read("max_tokens")?,
        end_user: members.get("metadata").and_then(user_of),
        array: false,
        found: members.into_found(),
    })
}

/// Whom the client's `metadata` names.
fn user_of(metadata: &str) -> Option<String> {
    Members::find(metadata, &["user_id"]).ok()?.text("user_id")
}

/// `model` becomes the upstream's, or goes where the address names it. Thoughts that another model sealed in an earlier
/// turn are taken out: the provider refuses seals that are not its own. Usage is always part of the stream.
pub(super) fn edits(body: &str, members: &Members<'_>, target: &Target) -> Result<SameFormat, BodyError> {
    let mut same = SameFormat::default();
    if let Some(version) = target.anthropic_version {
        let replaced = members.replace("anthropic_version", quoted(version));
        same.edits.push(replaced.unwrap_or_else(|| members.append("anthropic_version", &quoted(version))));
    }
    if target.model_in_address {
        same.edits.extend(members.remove("model"));
    } else if members.read::<String>("model")?.as_deref() != Some(&*target.model) {
        same.edits.extend(members.replace("model", quoted(&target.model)));
    }
    if let Some(ceiling) = target.output_ceiling {
        let replaced = members.replace("max_tokens", ceiling.to_string());
        same.edits.push(replaced.unwrap_or_else(|| members.append("max_tokens", &ceiling.to_string())));
    }
    if Sealed::may_be_in(body) {
        same.edits.extend(foreign_thoughts(body)?);
    }
    Ok(same)
}

fn foreign_thoughts(body: &str) -> Result<Vec<Edit>, BodyError> {
    #[derive(Deserialize)]
    struct Block<'a> {
        #[serde(borrow, default)]
        signature: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        data: Option<Cow<'a, str>>,
    }
    let foreign = |block: &str| {
        let read: Result<Block<'_>, _> = serde_json::from_str(block);
        let seal = read.ok().and_then(|block| block.signature.or(block.data));
        seal.is_some_and(|seal| Sealed::read(&seal, NAME).origin != NAME)
    };
    let members = Members::find(body, &["messages"])?;
    let messages: Vec<&RawValue> = members.read("messages")?.unwrap_or_default();
    let mut edits = Vec::new();
    for message in messages {
        let content = Members::find(message.get(), &["content"])?;
        if let Some(blocks) = content.get("content").filter(|content| content.starts_with('[')) {
            edits.extend(without_elements(body, blocks, foreign)?);
        }
    }
    Ok(edits)
}

/// The `source` of every image that is an address, in messages and in tool results.
pub(super) fn image_urls(body: &str) -> Result<Vec<(Range<usize>, String)>, BodyError> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        messages: Vec<Holder<'a>>,
    }
    #[derive(Deserialize)]
    struct Holder<'a> {
        #[serde(borrow, default)]
        content: Option<&'a RawValue>,
        #[serde(borrow, default)]
        source: Option<&'a RawValue>,
        #[serde(default, rename = "type")]
        kind: Option<String>,
    }
    #[derive(Deserialize)]
    struct Source {
        #[serde(rename = "type")]
        kind: String,
        url: Option<String>,
    }
    fn search(
        holder: &Holder<'_>,
        body: &str,
        depth: u8,
        found: &mut Vec<(Range<usize>, String)>,
    ) -> Result<(), BodyError> {
        if let Some(source) = holder.source.filter(|_| holder.kind.as_deref() == Some("image")) {
            let read: Source = serde_json::from_str(source.get())?;
            if let (true, Some(url)) = (read.kind == "url", read.url) {
                let start = source.get().as_ptr() as usize - body.as_ptr() as usize;
                found.push((start..start + source.get().len(), url));
            }
        }
        // A message holds blocks, a tool result holds blocks; nothing goes deeper.
        let Some(content) = holder.content.filter(|c| depth < 3 && c.get().starts_with('[')) else {
            return Ok(());
        };
        let blocks: Vec<Holder<'_>> = serde_json::from_str(content.get())?;
        blocks.iter().try_for_each(|block| search(block, body, depth + 1, found))
    }
    let read: Body<'_> = serde_json::from_str(body)?;
    let mut found = Vec::new();
    read.messages.iter().try_for_each(|message| search(message, body, 0, &mut found))?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::splice;

    #[test]
    fn thoughts_of_other_models_are_taken_out() {
        let foreign = Sealed::by("gemini", "x").for_client(NAME);
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"assistant","content":[{{"type":"thinking","thinking":"a","signature":"{foreign}"}}, {{"type":"thinking","thinking":"b","signature":"own"}}, {{"type":"redacted_thinking","data":"{foreign}"}}]}},{{"role":"user","content":"{foreign}"}}]}}"#
        );
        let members = Members::find(&body, WANTED).unwrap();
        let target = Target { model: "m".into(), ..Target::default() };
        let edited = splice(&body, edits(&body, &members, &target).unwrap().edits);
        let expected = format!(
            r#"{{"model":"m","messages":[{{"role":"assistant","content":[{{"type":"thinking","thinking":"b","signature":"own"}}]}},{{"role":"user","content":"{foreign}"}}]}}"#
        );
        assert_eq!(String::from_utf8(edited).unwrap(), expected);
    }
}
