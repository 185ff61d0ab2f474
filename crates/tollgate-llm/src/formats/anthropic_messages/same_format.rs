//! What the gate reads of a request, and the one edit that it gets on its way to an upstream of the same format.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::formats::{Peek, SameFormat, Target};
use crate::json::{BodyError, Members, quoted};

const WANTED: &[&str] = &["model", "stream", "max_tokens", "anthropic_version"];

pub(super) fn peek(body: &str) -> Result<Peek, BodyError> {
    let members = Members::find(body, WANTED)?;
    Ok(Peek {
        model: members.read("model")?.ok_or_else(|| BodyError::shape("model", "is required"))?,
        stream: members.read("stream")?.unwrap_or(false),
        max_output_tokens: members.read("max_tokens")?,
        array: false,
        found: members.into_found(),
    })
}

/// `model` becomes the upstream's, or goes where the address says it. Usage is always part of the stream.
pub(super) fn edits(members: &Members<'_>, target: &Target) -> Result<SameFormat, BodyError> {
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
    Ok(same)
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
