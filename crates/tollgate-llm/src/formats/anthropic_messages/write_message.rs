//! The conversation of a request, from neutral turns.

use serde::Serialize;
use serde_json::value::RawValue;

use super::NAME;
use crate::chat::{CacheMark, Feature, Losses, Message, Part, Role, Source, Text, arguments_object};
use crate::json::BodyError;

#[derive(Serialize)]
pub(super) struct OutTurn<'r> {
    role: &'static str,
    content: OutContent<'r>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum OutContent<'r> {
    Text(&'r Text<'r>),
    Blocks(Vec<OutBlock<'r>>),
}

/// A block of any type: each has a few of these members.
#[derive(Default, Serialize)]
pub(super) struct OutBlock<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'r Text<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<OutSource<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'r RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_use_id: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<OutContent<'r>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_error: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'r Text<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<OutCache<'r>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutSource<'r> {
    Url { url: &'r str },
    Base64 { media_type: &'r str, data: &'r str },
}

#[derive(Serialize)]
pub(super) struct OutCache<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'r str>,
}

impl<'r> OutCache<'r> {
    pub(super) fn of(mark: &'r CacheMark) -> Self {
        Self { kind: "ephemeral", ttl: mark.ttl.as_deref() }
    }
}

/// Instructions stand above the conversation here. Those in the middle of it move up.
pub(super) fn conversation<'r>(
    messages: &'r [Message<'r>],
    losses: &mut Losses,
) -> Result<(Option<OutContent<'r>>, Vec<OutTurn<'r>>), BodyError> {
    let mut system: Vec<&Part<'_>> = Vec::new();
    let mut turns = Vec::with_capacity(messages.len());
    for message in messages {
        if !message.role.instructs() {
            turns.push(turn(message, losses)?);
            continue;
        }
        if !turns.is_empty() {
            losses.approximate("messages", "a system message in the middle was moved to the top");
        }
        if message.parts.iter().any(|part| !matches!(part, Part::Text(_) | Part::CacheMark(_))) {
            losses.lose("messages", "a system message holds only text here");
        }
        system.extend(message.parts.iter().filter(|p| matches!(p, Part::Text(_) | Part::CacheMark(_))));
    }
    let system = if system.is_empty() { None } else { Some(content(system, losses)?) };
    Ok((system, turns))
}

fn turn<'r>(message: &'r Message<'r>, losses: &mut Losses) -> Result<OutTurn<'r>, BodyError> {
    let role = if message.role == Role::Assistant { "assistant" } else { "user" };
    Ok(OutTurn { role, content: content(&message.parts, losses)? })
}

/// A lone text stays a string, as most clients write it.
fn content<'r>(
    parts: impl IntoIterator<Item = &'r Part<'r>>,
    losses: &mut Losses,
) -> Result<OutContent<'r>, BodyError> {
    let parts: Vec<&Part<'_>> = parts.into_iter().collect();
    if let [Part::Text(text)] = parts[..] {
        return Ok(OutContent::Text(text));
    }
    let mut blocks: Vec<OutBlock<'_>> = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            // Empty text blocks are an error here, and common beside tool calls elsewhere.
            Part::Text(text) if text.is_empty() => {}
            Part::CacheMark(mark) => {
                if let Some(last) = blocks.last_mut() {
                    last.cache_control = Some(OutCache::of(mark));
                }
            }
            part => blocks.extend(block(part, losses)?),
        }
    }
    Ok(OutContent::Blocks(blocks))
}

fn block<'r>(part: &'r Part<'r>, losses: &mut Losses) -> Result<Option<OutBlock<'r>>, BodyError> {
    let empty = OutBlock::default();
    Ok(Some(match part {
        Part::Text(text) | Part::Refusal(text) => OutBlock { kind: "text", text: Some(text), ..empty },
        Part::Image { source: from, .. } => OutBlock { kind: "image", source: Some(source(from)), ..empty },
        Part::Document { source: from, name } => {
            OutBlock { kind: "document", source: Some(source(from)), title: name.as_deref(), ..empty }
        }
        Part::ToolCall { id, name, arguments, .. } => OutBlock {
            kind: "tool_use",
            id: Some(id),
            name: Some(name),
            input: Some(arguments_object(arguments)?),
            ..empty
        },
        Part::ToolResult { id, parts, is_error } => OutBlock {
            kind: "tool_result",
            tool_use_id: Some(id),
            content: Some(content(parts, losses)?),
            is_error: *is_error,
            ..empty
        },
        Part::Thinking { text, seal } => match seal.as_ref().and_then(|seal| seal.for_upstream(NAME)) {
            Some(signature) => {
                OutBlock { kind: "thinking", thinking: Some(text), signature: Some(signature), ..empty }
            }
            None => return Ok(sealed_by_another(losses)),
        },
        Part::Redacted(seal) => match seal.for_upstream(NAME) {
            Some(data) => OutBlock { kind: "redacted_thinking", data: Some(data), ..empty },
            None => return Ok(sealed_by_another(losses)),
        },
        // Sound was noted as unsaid; a mark belongs to the block before it.
        Part::Audio(_) | Part::CacheMark(_) => return Ok(None),
    }))
}

fn sealed_by_another(losses: &mut Losses) -> Option<OutBlock<'static>> {
    losses.leave_out(Feature::SealedThinking, "thinking is sealed for the model that thought it");
    None
}

fn source<'r>(source: &'r Source<'_>) -> OutSource<'r> {
    match source {
        Source::Url(url) => OutSource::Url { url },
        Source::Base64 { media_type, data } => OutSource::Base64 { media_type, data },
    }
}
