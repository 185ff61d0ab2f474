//! The messages of a request, into neutral turns.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::thinking::WrittenBlock;
use crate::chat::{CacheMark, Losses, Message, Part, Role, Source, Text, bare_id, split_id};
use crate::formats::content::Content;
use crate::formats::{body, note_unknown};
use crate::json::BodyError;

body! {
    /// A message of any role.
    WrittenMessage<'a> {
        "role" => role: Cow<'a, str>,
        "content" => content: Content<'a, WrittenPart<'a>>,
        "refusal" => refusal: Text<'a>,
        "tool_calls" => tool_calls: Vec<WrittenCall<'a>>,
        "tool_call_id" => tool_call_id: Cow<'a, str>,
        "reasoning_content" | "reasoning" => reasoning: Text<'a>,
        "thinking_blocks" => thinking_blocks: Vec<WrittenBlock<'a>>,
        "cache_control" => cache_control: CacheControl,
        "function_call" => function_call: IgnoredAny,
    }
}

body! {
    /// A part of a message's content.
    WrittenPart<'a> {
        "type" => kind: Cow<'a, str>,
        "text" => text: Text<'a>,
        "refusal" => refusal: Text<'a>,
        "image_url" => image_url: ImageUrl<'a>,
        "input_audio" => input_audio: InputAudio<'a>,
        "file" => file: File<'a>,
        "cache_control" => cache_control: CacheControl,
        "prompt_cache_breakpoint" => prompt_cache_breakpoint: IgnoredAny,
    }
}

#[derive(Deserialize)]
struct ImageUrl<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow)]
    detail: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct InputAudio<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    format: String,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    file_data: Option<Cow<'a, str>>,
    #[serde(borrow)]
    filename: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(super) struct WrittenCall<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    function: Option<CalledFunction<'a>>,
}

#[derive(Deserialize)]
struct CalledFunction<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Cow<'a, str>,
}

/// Anthropic's mark, which clients of other gateways write here too.
#[derive(Deserialize)]
pub(super) struct CacheControl {
    ttl: Option<String>,
}

/// Members of a message that say nothing to the model.
const HARMLESS: &[&str] =
    &["name", "annotations", "provider_specific_fields", "reasoning_details", "audio_id", "images"];

pub(super) fn push_message<'a>(
    messages: &mut Vec<Message<'a>>,
    mut written: WrittenMessage<'a>,
    index: usize,
    losses: &mut Losses,
) -> Result<(), BodyError> {
    let at = |member: &str| format!("messages[{index}].{member}");
    note_unknown(&written.unknown, &at(""), HARMLESS, losses);
    let role = written.role.take().ok_or_else(|| BodyError::shape(at("role"), "is required"))?;
    let mut parts = content(written.content.take(), index, losses)?;
    let role = match &*role {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => {
            parts = assistant(parts, &mut written, &at, losses);
            Role::Assistant
        }
        "tool" => {
            let id =
                written.tool_call_id.ok_or_else(|| BodyError::shape(at("tool_call_id"), "is required"))?;
            push_result(messages, bare_id(id), parts);
            return Ok(());
        }
        other => return Err(BodyError::shape(at("role"), format!("`{other}` is no role"))),
    };
    parts.extend(written.cache_control.map(|mark| Part::CacheMark(CacheMark { ttl: mark.ttl })));
    messages.push(Message { role, parts });
    Ok(())
}

/// The results of parallel calls are one turn.
fn push_result<'a>(messages: &mut Vec<Message<'a>>, id: Cow<'a, str>, parts: Vec<Part<'a>>) {
    let result = Part::ToolResult { id, parts, is_error: false };
    let open = messages
        .last_mut()
        .filter(|last| last.role == Role::User && matches!(last.parts.last(), Some(Part::ToolResult { .. })));
    match open {
        Some(last) => last.parts.push(result),
        None => messages.push(Message { role: Role::User, parts: vec![result] }),
    }
}

/// What the model said, thought first, calls last.
fn assistant<'a>(
    said: Vec<Part<'a>>,
    written: &mut WrittenMessage<'a>,
    at: &impl Fn(&str) -> String,
    losses: &mut Losses,
) -> Vec<Part<'a>> {
    let mut parts = super::thinking::read(written.thinking_blocks.take(), written.reasoning.take());
    parts.extend(said);
    parts.extend(written.refusal.take().map(Part::Refusal));
    if written.function_call.is_some() {
        losses.lose(at("function_call"), "was replaced by `tool_calls`");
    }
    for (number, call) in written.tool_calls.take().unwrap_or_default().into_iter().enumerate() {
        let Some(function) = call.function else {
            losses.lose(
                at(&format!("tool_calls[{number}]")),
                "only calls of type `function` have a counterpart",
            );
            continue;
        };
        let (_, seal) = split_id(&call.id);
        parts.push(Part::ToolCall {
            id: bare_id(call.id),
            name: function.name,
            arguments: function.arguments,
            seal,
        });
    }
    parts
}

fn content<'a>(
    written: Option<Content<'a, WrittenPart<'a>>>,
    index: usize,
    losses: &mut Losses,
) -> Result<Vec<Part<'a>>, BodyError> {
    let parts = match written {
        None => return Ok(Vec::new()),
        Some(Content::Text(text)) => return Ok(vec![Part::Text(text)]),
        Some(Content::Parts(parts)) => parts,
    };
    let mut read = Vec::with_capacity(parts.len());
    for (number, mut part) in parts.into_iter().enumerate() {
        let at = || format!("messages[{index}].content[{number}]");
        note_unknown(&part.unknown, &format!("{}.", at()), &[], losses);
        let mark = part.cache_control.take().map(|mark| mark.ttl);
        let mark = mark.or(part.prompt_cache_breakpoint.take().map(|_| None));
        read.extend(part_of(part, at, losses)?);
        read.extend(mark.map(|ttl| Part::CacheMark(CacheMark { ttl })));
    }
    Ok(read)
}

fn part_of<'a>(
    part: WrittenPart<'a>,
    at: impl Fn() -> String,
    losses: &mut Losses,
) -> Result<Option<Part<'a>>, BodyError> {
    let required = |member: &str| BodyError::shape(format!("{}.{member}", at()), "is required");
    Ok(match part.kind.as_deref().ok_or_else(|| required("type"))? {
        "text" => Some(Part::Text(part.text.ok_or_else(|| required("text"))?)),
        "refusal" => Some(Part::Refusal(part.refusal.ok_or_else(|| required("refusal"))?)),
        "image_url" => {
            let image = part.image_url.ok_or_else(|| required("image_url"))?;
            Some(Part::Image { source: Source::from_url(image.url), detail: image.detail })
        }
        "input_audio" => {
            let audio = part.input_audio.ok_or_else(|| required("input_audio"))?;
            let media_type =
                if audio.format == "mp3" { "audio/mpeg".into() } else { format!("audio/{}", audio.format) };
            Some(Part::Audio(Source::Base64 { media_type: media_type.into(), data: audio.data }))
        }
        "file" => match part.file.ok_or_else(|| required("file"))? {
            File { file_data: Some(data), filename } => {
                Some(Part::Document { source: document(data), name: filename })
            }
            _ => {
                losses.lose(at(), "a file of the provider's has no counterpart: send it as `file_data`");
                None
            }
        },
        _ => {
            losses.lose(at(), "content of this type is not translated");
            None
        }
    })
}

/// `file_data` is a data URL; bare base64, which some clients send, is taken for a PDF.
fn document(data: Cow<'_, str>) -> Source<'_> {
    match Source::from_url(data) {
        Source::Url(data) => Source::Base64 { media_type: "application/pdf".into(), data },
        inline => inline,
    }
}
