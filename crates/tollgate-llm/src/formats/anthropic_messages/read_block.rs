//! The content blocks of a request, into neutral parts.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::NAME;
use crate::chat::{CacheMark, Losses, NO_ARGUMENTS, Part, Sealed, Source, Text, bare_id, split_id};
use crate::formats::content::Content;
use crate::formats::{body, note_unknown};
use crate::json::BodyError;

body! {
    /// A content block of any type.
    Block<'a> {
        "type" => kind: Cow<'a, str>,
        "text" => text: Text<'a>,
        "source" => source: WrittenSource<'a>,
        "title" => title: Cow<'a, str>,
        "id" => id: Cow<'a, str>,
        "name" => name: Cow<'a, str>,
        "input" => input: &'a RawValue,
        "tool_use_id" => tool_use_id: Cow<'a, str>,
        "content" => content: Content<'a, Block<'a>>,
        "is_error" => is_error: bool,
        "thinking" => thinking: Text<'a>,
        "signature" => signature: Cow<'a, str>,
        "data" => data: Cow<'a, str>,
        "citations" => citations: Citations,
        "cache_control" => cache_control: CacheControl,
    }
}

#[derive(Deserialize)]
pub(super) struct WrittenSource<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    media_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    url: Option<Cow<'a, str>>,
}

/// A mark up to which the prompt is cached.
#[derive(Deserialize)]
pub(super) struct CacheControl {
    pub(super) ttl: Option<String>,
}

/// Of an earlier answer: a list; of a document: whether they are wanted.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Citations {
    Wanted { enabled: Option<bool> },
    Given(#[expect(dead_code, reason = "only tells the shapes apart")] Vec<IgnoredAny>),
}

/// Members of a block that say nothing to the model.
const HARMLESS: &[&str] = &["caller"];

pub(super) fn parts_of<'a>(
    content: Content<'a, Block<'a>>,
    at: &str,
    losses: &mut Losses,
) -> Result<Vec<Part<'a>>, BodyError> {
    let blocks = match content {
        Content::Text(text) => return Ok(vec![Part::Text(text)]),
        Content::Parts(blocks) => blocks,
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (number, mut block) in blocks.into_iter().enumerate() {
        let at = format!("{at}[{number}]");
        let mark = block.cache_control.take();
        parts.extend(part_of(block, &at, losses)?);
        parts.extend(mark.map(|mark| Part::CacheMark(CacheMark { ttl: mark.ttl })));
    }
    Ok(parts)
}

fn part_of<'a>(block: Block<'a>, at: &str, losses: &mut Losses) -> Result<Option<Part<'a>>, BodyError> {
    let required = |member: &str| BodyError::shape(format!("{at}.{member}"), "is required");
    note_unknown(&block.unknown, &format!("{at}."), HARMLESS, losses);
    if matches!(block.citations, Some(Citations::Wanted { enabled: Some(true) })) {
        losses.lose(format!("{at}.citations"), "has no counterpart");
    }
    Ok(Some(match block.kind.as_deref().ok_or_else(|| required("type"))? {
        "text" => Part::Text(block.text.ok_or_else(|| required("text"))?),
        "image" => {
            let source = block.source.ok_or_else(|| required("source"))?;
            match media(source, at, losses)? {
                Some(source) => Part::Image { source, detail: None },
                None => return Ok(None),
            }
        }
        "document" => {
            return document(block.source.ok_or_else(|| required("source"))?, block.title, at, losses);
        }
        "tool_use" => {
            let id = block.id.ok_or_else(|| required("id"))?;
            let seal = split_id(&id).1;
            Part::ToolCall {
                id: bare_id(id),
                name: block.name.ok_or_else(|| required("name"))?,
                arguments: block
                    .input
                    .map_or(Cow::Borrowed(NO_ARGUMENTS), |input| Cow::Borrowed(input.get())),
                seal,
            }
        }
        "tool_result" => Part::ToolResult {
            id: bare_id(block.tool_use_id.ok_or_else(|| required("tool_use_id"))?),
            parts: match block.content {
                None => Vec::new(),
                Some(content) => parts_of(content, &format!("{at}.content"), losses)?,
            },
            is_error: block.is_error.unwrap_or(false),
        },
        "thinking" => Part::Thinking {
            text: block.thinking.ok_or_else(|| required("thinking"))?,
            seal: block.signature.filter(|s| !s.is_empty()).map(|s| Sealed::read(&s, NAME)),
        },
        "redacted_thinking" => {
            Part::Redacted(Sealed::read(&block.data.ok_or_else(|| required("data"))?, NAME))
        }
        _ => {
            losses.lose(at, "content of this type is not translated");
            return Ok(None);
        }
    }))
}

fn media<'a>(
    source: WrittenSource<'a>,
    at: &str,
    losses: &mut Losses,
) -> Result<Option<Source<'a>>, BodyError> {
    Ok(match (source.kind.as_str(), source.url, source.media_type, source.data) {
        ("url", Some(url), ..) => Some(Source::Url(url)),
        ("base64", _, Some(media_type), Some(data)) => {
            Some(Source::Base64 { media_type, data: data.into_decoded() })
        }
        ("url" | "base64", ..) => return Err(BodyError::shape(format!("{at}.source"), "is incomplete")),
        _ => {
            losses.lose(format!("{at}.source"), "a file of the provider's has no counterpart");
            None
        }
    })
}

/// A document of plain text is text elsewhere.
fn document<'a>(
    source: WrittenSource<'a>,
    name: Option<Cow<'a, str>>,
    at: &str,
    losses: &mut Losses,
) -> Result<Option<Part<'a>>, BodyError> {
    if source.kind == "text" {
        losses.approximate(at, "a document of plain text becomes text");
        let text = source.data.ok_or_else(|| BodyError::shape(format!("{at}.source.data"), "is required"))?;
        return Ok(Some(Part::Text(text)));
    }
    Ok(media(source, at, losses)?.map(|source| Part::Document { source, name }))
}
