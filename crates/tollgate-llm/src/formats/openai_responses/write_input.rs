//! The items of a request's `input`, from neutral turns.

use std::borrow::Cow;

use serde::Serialize;

use super::seal;
use crate::chat::{Feature, Losses, Message, Part, Role, Source, Text, arguments_text};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum OutItem<'r> {
    Message {
        role: &'static str,
        content: OutContent<'r>,
    },
    Reasoning {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'r str>,
        summary: Vec<OutSummary<'r>>,
        encrypted_content: &'r str,
    },
    FunctionCall {
        call_id: &'r str,
        name: &'r str,
        arguments: &'r str,
    },
    FunctionCallOutput {
        call_id: &'r str,
        output: OutContent<'r>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "summary_text")]
pub(super) struct OutSummary<'r> {
    text: &'r Text<'r>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum OutContent<'r> {
    Text(Cow<'r, Text<'r>>),
    Parts(Vec<OutPart<'r>>),
}

#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum OutPart<'r> {
    #[serde(rename = "input_text")]
    Text { text: &'r Text<'r> },
    #[serde(rename = "input_image")]
    Image { image_url: Cow<'r, str>, detail: &'r str },
    #[serde(rename = "input_file")]
    File {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'r str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<Cow<'r, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'r str>,
    },
}

/// One neutral turn may be several items here: each call, each result and each thought is its own.
pub(super) fn push_turn<'r>(out: &mut Vec<OutItem<'r>>, message: &'r Message<'_>, losses: &mut Losses) {
    match message.role {
        Role::System => push_message(out, "system", &message.parts),
        Role::Developer => push_message(out, "developer", &message.parts),
        Role::User => push_user(out, &message.parts),
        Role::Assistant => {
            out.extend(message.parts.iter().filter_map(|part| assistant(part, losses)));
        }
    }
}

fn push_message<'r>(
    out: &mut Vec<OutItem<'r>>,
    role: &'static str,
    parts: impl IntoIterator<Item = &'r Part<'r>>,
) {
    out.push(OutItem::Message { role, content: content(parts) });
}

/// Tool results come first, in order, then the rest of the turn.
fn push_user<'r>(out: &mut Vec<OutItem<'r>>, parts: &'r [Part<'r>]) {
    let before = out.len();
    let mut rest: Vec<&Part<'_>> = Vec::new();
    for part in parts {
        match part {
            Part::ToolResult { id, parts, .. } => {
                out.push(OutItem::FunctionCallOutput { call_id: id, output: content(parts) });
            }
            Part::CacheMark(_) => {}
            other => rest.push(other),
        }
    }
    if !rest.is_empty() || out.len() == before {
        push_message(out, "user", rest);
    }
}

fn assistant<'r>(part: &'r Part<'r>, losses: &mut Losses) -> Option<OutItem<'r>> {
    Some(match part {
        // What the model itself said is a plain text here: its own kind of part would need the id of its item.
        Part::Text(text) | Part::Refusal(text) => {
            OutItem::Message { role: "assistant", content: OutContent::Text(Cow::Borrowed(text)) }
        }
        Part::ToolCall { id, name, arguments, .. } => {
            OutItem::FunctionCall { call_id: id, name, arguments: arguments_text(arguments) }
        }
        Part::Thinking { text, seal: Some(seal) } => {
            return thought(Some(text), seal, losses);
        }
        Part::Redacted(seal) => return thought(None, seal, losses),
        Part::Thinking { seal: None, .. } => {
            losses.leave_out(Feature::SealedThinking, SEALED);
            return None;
        }
        _ => return None,
    })
}

const SEALED: &str = "the upstream takes back only thinking that it has sealed itself";

fn thought<'r>(
    text: Option<&'r Text<'r>>,
    seal: &'r crate::chat::Sealed,
    losses: &mut Losses,
) -> Option<OutItem<'r>> {
    let Some((id, encrypted_content)) = seal::opened(seal) else {
        losses.leave_out(Feature::SealedThinking, SEALED);
        return None;
    };
    let summary = text.filter(|text| !text.is_empty()).map(|text| OutSummary { text });
    Some(OutItem::Reasoning { id, summary: summary.into_iter().collect(), encrypted_content })
}

/// A lone text stays a string, as most clients write it.
fn content<'r>(parts: impl IntoIterator<Item = &'r Part<'r>>) -> OutContent<'r> {
    let parts: Vec<&Part<'_>> =
        parts.into_iter().filter(|part| !matches!(part, Part::CacheMark(_))).collect();
    match parts[..] {
        [] => OutContent::Text(Cow::Owned(Text::new(""))),
        [Part::Text(text)] => OutContent::Text(Cow::Borrowed(text)),
        _ => OutContent::Parts(parts.into_iter().filter_map(out_part).collect()),
    }
}

fn out_part<'r>(part: &'r Part<'r>) -> Option<OutPart<'r>> {
    Some(match part {
        Part::Text(text) | Part::Refusal(text) => OutPart::Text { text },
        Part::Image { source, detail } => {
            OutPart::Image { image_url: source.to_url(), detail: detail.as_deref().unwrap_or("auto") }
        }
        Part::Document { source: source @ Source::Base64 { .. }, name } => OutPart::File {
            filename: Some(name.as_deref().unwrap_or("document.pdf")),
            file_data: Some(source.to_url()),
            file_url: None,
        },
        Part::Document { source: Source::Url(url), .. } => {
            OutPart::File { filename: None, file_data: None, file_url: Some(url) }
        }
        // What else there is was said elsewhere, or noted as unsaid.
        _ => return None,
    })
}
