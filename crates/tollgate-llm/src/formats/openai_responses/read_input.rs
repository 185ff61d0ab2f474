//! The items of a request's `input`, into neutral turns.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{custom_tools, seal};
use crate::chat::{CacheMark, Losses, Message, Part, Role, Source, Text, joined, split_id};
use crate::formats::body;
use crate::formats::content::Content;
use crate::json::BodyError;

body! {
    /// An item of any type. Members that only OpenAI's own tools have are not read: such items are refused whole.
    WrittenItem<'a> {
        "type" => kind: Cow<'a, str>,
        "id" => id: String,
        "role" => role: Cow<'a, str>,
        "content" => content: Content<'a, WrittenPart<'a>>,
        "call_id" => call_id: String,
        "name" => name: String,
        "arguments" => arguments: Long<'a>,
        "input" => input: Text<'a>,
        "output" => output: Content<'a, WrittenPart<'a>>,
        "summary" => summary: Vec<WrittenPart<'a>>,
        "encrypted_content" => encrypted_content: String,
    }
}

body! {
    /// A part of an item's content, output or summary.
    WrittenPart<'a> {
        "type" => kind: Cow<'a, str>,
        "text" => text: Text<'a>,
        "refusal" => refusal: Text<'a>,
        "image_url" => image_url: Long<'a>,
        "detail" => detail: String,
        "file_data" => file_data: Long<'a>,
        "file_url" => file_url: Long<'a>,
        "filename" => filename: String,
        "file_id" => file_id: String,
        "prompt_cache_breakpoint" => cache_mark: IgnoredAny,
    }
}

/// A text that may be long: borrowed unless it is written with escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Long<'a>(#[serde(borrow)] Cow<'a, str>);

/// The items that are translated.
const KINDS: &[&str] = &[
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
];

/// What the API itself writes beside its answers, clients give back, and says nothing to the model.
const SILENT: &[&str] = &["status", "phase", "annotations", "logprobs"];

pub(super) fn push_item<'a>(
    messages: &mut Vec<Message<'a>>,
    item: WrittenItem<'a>,
    index: usize,
    losses: &mut Losses,
) -> Result<(), BodyError> {
    let at = format!("input[{index}]");
    let kind = item.kind.as_deref().unwrap_or(if item.role.is_some() { "message" } else { "item_reference" });
    if KINDS.contains(&kind) {
        note_foreign(&item.unknown, &at, losses);
    }
    match kind {
        "message" => return push_message(messages, item, &at, losses),
        "reasoning" => push(messages, Role::Assistant, reasoning(item)),
        "function_call" | "custom_tool_call" => push(messages, Role::Assistant, vec![call(item, &at)?]),
        "function_call_output" | "custom_tool_call_output" => {
            push(messages, Role::User, vec![result(item, &at, losses)?]);
        }
        "item_reference" => {
            let why = "refers to an item that OpenAI keeps, and this model is served by another API: send the item \
                       itself";
            return Err(BodyError::shape(at, why));
        }
        _ => losses.lose(at, "items of this type are about OpenAI's own tools and have no counterpart"),
    }
    Ok(())
}

fn note_foreign(unknown: &[String], at: &str, losses: &mut Losses) {
    for name in unknown.iter().filter(|name| !SILENT.contains(&name.as_str())) {
        losses.lose(format!("{at}.{name}"), "has no counterpart");
    }
}

/// What the model said one after the other is one turn, and so are the results of parallel calls.
fn push<'a>(messages: &mut Vec<Message<'a>>, role: Role, parts: Vec<Part<'a>>) {
    let open = messages.last_mut().filter(|last| {
        last.role == role
            && (role == Role::Assistant || matches!(last.parts.last(), Some(Part::ToolResult { .. })))
    });
    match open {
        Some(last) => last.parts.extend(parts),
        None if parts.is_empty() => {}
        None => messages.push(Message { role, parts }),
    }
}

fn push_message<'a>(
    messages: &mut Vec<Message<'a>>,
    item: WrittenItem<'a>,
    at: &str,
    losses: &mut Losses,
) -> Result<(), BodyError> {
    let required = |member: &str| BodyError::shape(format!("{at}.{member}"), "is required");
    let role = match item.role.as_deref().ok_or_else(|| required("role"))? {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => return Err(BodyError::shape(format!("{at}.role"), format!("`{other}` is no role"))),
    };
    let content = item.content.ok_or_else(|| required("content"))?;
    let parts = parts_of(content, &format!("{at}.content"), losses)?;
    if role == Role::Assistant {
        push(messages, role, parts);
    } else {
        messages.push(Message { role, parts });
    }
    Ok(())
}

/// A thought. Without a summary it is one that is shown to nobody; an empty text in the summary is one that is
/// merely not told.
fn reasoning(item: WrittenItem<'_>) -> Vec<Part<'_>> {
    let sealed = item.encrypted_content.as_deref().filter(|sealed| !sealed.is_empty());
    let seal = sealed.map(|sealed| seal::given_back(item.id.as_deref(), sealed));
    let mut told = item.summary.unwrap_or_default();
    if let (true, Some(Content::Parts(content))) = (told.is_empty(), item.content) {
        told = content;
    }
    let texts: Vec<&Text<'_>> = told.iter().filter_map(|part| part.text.as_ref()).collect();
    match seal {
        Some(seal) if texts.is_empty() => vec![Part::Redacted(seal)],
        None if texts.is_empty() => Vec::new(),
        seal => vec![Part::Thinking { text: joined(&texts, "\n\n"), seal }],
    }
}

fn call<'a>(item: WrittenItem<'a>, at: &str) -> Result<Part<'a>, BodyError> {
    let required = |member: &str| BodyError::shape(format!("{at}.{member}"), "is required");
    let call_id = item.call_id.ok_or_else(|| required("call_id"))?;
    let name = item.name.ok_or_else(|| required("name"))?;
    let (id, seal) = split_id(&call_id);
    let (name, arguments) = if item.kind.as_deref() == Some("custom_tool_call") {
        let input = item.input.ok_or_else(|| required("input"))?;
        (custom_tools::function_name(&name), Cow::Owned(custom_tools::arguments(&input)))
    } else {
        (name, item.arguments.ok_or_else(|| required("arguments"))?.0)
    };
    Ok(Part::ToolCall { id: id.to_owned().into(), name: name.into(), arguments, seal })
}

fn result<'a>(item: WrittenItem<'a>, at: &str, losses: &mut Losses) -> Result<Part<'a>, BodyError> {
    let required = |member: &str| BodyError::shape(format!("{at}.{member}"), "is required");
    let call_id = item.call_id.ok_or_else(|| required("call_id"))?;
    let output = item.output.ok_or_else(|| required("output"))?;
    Ok(Part::ToolResult {
        id: split_id(&call_id).0.to_owned().into(),
        parts: parts_of(output, &format!("{at}.output"), losses)?,
        is_error: false,
    })
}

fn parts_of<'a>(
    content: Content<'a, WrittenPart<'a>>,
    at: &str,
    losses: &mut Losses,
) -> Result<Vec<Part<'a>>, BodyError> {
    let written = match content {
        Content::Text(text) => return Ok(vec![Part::Text(text)]),
        Content::Parts(written) => written,
    };
    let mut parts = Vec::with_capacity(written.len());
    for (number, mut part) in written.into_iter().enumerate() {
        note_foreign(&part.unknown, &format!("{at}[{number}]"), losses);
        let mark = part.cache_mark.take().map(|_| Part::CacheMark(CacheMark { ttl: None }));
        parts.extend(part_of(part, &format!("{at}[{number}]"), losses)?);
        parts.extend(mark);
    }
    Ok(parts)
}

fn part_of<'a>(part: WrittenPart<'a>, at: &str, losses: &mut Losses) -> Result<Option<Part<'a>>, BodyError> {
    const KEPT: &str = "a file that OpenAI keeps has no counterpart: send its bytes or its address";
    let required = |member: &str| BodyError::shape(format!("{at}.{member}"), "is required");
    let read = match part.kind.as_deref().ok_or_else(|| required("type"))? {
        "input_text" | "output_text" | "text" => Part::Text(part.text.ok_or_else(|| required("text"))?),
        "refusal" => Part::Refusal(part.refusal.ok_or_else(|| required("refusal"))?),
        "input_image" => match part.image_url {
            // `auto` is what holds without it, and the SDKs always write it.
            Some(Long(url)) => Part::Image {
                source: Source::from_url(url),
                detail: part.detail.filter(|detail| detail != "auto").map(Cow::Owned),
            },
            None if part.file_id.is_none() => return Err(required("image_url")),
            None => {
                losses.lose(at, KEPT);
                return Ok(None);
            }
        },
        "input_file" => match (part.file_data, part.file_url) {
            (Some(Long(data)), _) => document(inline(data), part.filename),
            (None, Some(Long(url))) => document(Source::Url(url), part.filename),
            (None, None) if part.file_id.is_none() => return Err(required("file_data")),
            (None, None) => {
                losses.lose(at, KEPT);
                return Ok(None);
            }
        },
        _ => {
            losses.lose(at, "content of this type is not translated");
            return Ok(None);
        }
    };
    Ok(Some(read))
}

fn document(source: Source<'_>, name: Option<String>) -> Part<'_> {
    Part::Document { source, name: name.map(Cow::Owned) }
}

/// `file_data` is a data URL; bare base64, which some clients send, is taken for a PDF.
fn inline(data: Cow<'_, str>) -> Source<'_> {
    match Source::from_url(data) {
        Source::Url(data) => Source::Base64 { media_type: "application/pdf".into(), data },
        inline => inline,
    }
}
