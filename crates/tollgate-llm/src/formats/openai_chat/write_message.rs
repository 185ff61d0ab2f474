//! The messages of a request, from neutral turns.

use std::borrow::Cow;

use serde::Serialize;

use crate::chat::{Feature, Losses, Message, Part, Request, Role, Source, Text, arguments_text, joined};

#[derive(Serialize)]
pub(super) struct OutMessage<'r> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<OutContent<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'r Text<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<OutCall<'r>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutContent<'r> {
    Text(Text<'r>),
    Parts(Vec<OutPart<'r>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutPart<'r> {
    Text { text: &'r Text<'r> },
    ImageUrl { image_url: OutImage<'r> },
    InputAudio { input_audio: OutAudio<'r> },
    File { file: OutFile<'r> },
}

#[derive(Serialize)]
struct OutImage<'r> {
    url: Cow<'r, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'r str>,
}

#[derive(Serialize)]
struct OutAudio<'r> {
    data: &'r str,
    format: &'r str,
}

#[derive(Serialize)]
struct OutFile<'r> {
    filename: &'r str,
    file_data: Cow<'r, str>,
}

#[derive(Serialize)]
struct OutCall<'r> {
    id: &'r str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: OutFunction<'r>,
}

#[derive(Serialize)]
struct OutFunction<'r> {
    name: &'r str,
    arguments: &'r str,
}

/// One neutral turn may be several messages here: each tool result is its own.
pub(super) fn messages<'r>(request: &'r Request<'_>, losses: &mut Losses) -> Vec<OutMessage<'r>> {
    let mut out = Vec::with_capacity(request.messages.len());
    for message in &request.messages {
        match message.role {
            Role::System => out.push(plain("system", &message.parts, losses)),
            Role::Developer => out.push(plain("developer", &message.parts, losses)),
            Role::Assistant => out.push(assistant(message)),
            Role::User => user(message, &mut out, losses),
        }
    }
    out
}

fn plain<'r>(
    role: &'static str,
    parts: impl IntoIterator<Item = &'r Part<'r>>,
    losses: &mut Losses,
) -> OutMessage<'r> {
    let content = Some(content(parts, losses));
    OutMessage { role, tool_call_id: None, content, refusal: None, tool_calls: Vec::new() }
}

fn texts<'r>(parts: &'r [Part<'r>]) -> Vec<&'r Text<'r>> {
    parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(text) } else { None }).collect()
}

fn assistant<'r>(message: &'r Message<'r>) -> OutMessage<'r> {
    let call = |part: &'r Part<'r>| match part {
        Part::ToolCall { id, name, arguments, .. } => {
            let arguments = arguments_text(arguments);
            Some(OutCall { id, kind: "function", function: OutFunction { name, arguments } })
        }
        _ => None,
    };
    let tool_calls: Vec<OutCall<'_>> = message.parts.iter().filter_map(call).collect();
    let texts = texts(&message.parts);
    OutMessage {
        role: "assistant",
        tool_call_id: None,
        content: (!texts.is_empty() || tool_calls.is_empty()).then(|| OutContent::Text(joined(&texts, ""))),
        refusal: message.parts.iter().find_map(|part| match part {
            Part::Refusal(text) => Some(text),
            _ => None,
        }),
        tool_calls,
    }
}

/// Tool results come first, in order, then the rest of the turn. A result can hold only text here, so what else
/// is in it moves into the user's message after them.
fn user<'r>(message: &'r Message<'r>, out: &mut Vec<OutMessage<'r>>, losses: &mut Losses) {
    let before = out.len();
    let mut rest: Vec<&Part<'_>> = Vec::new();
    for part in &message.parts {
        match part {
            Part::ToolResult { id, parts, .. } => {
                out.push(OutMessage {
                    role: "tool",
                    tool_call_id: Some(id),
                    content: Some(OutContent::Text(joined(&texts(parts), "\n"))),
                    refusal: None,
                    tool_calls: Vec::new(),
                });
                rest.extend(parts.iter().filter(|p| !matches!(p, Part::Text(_) | Part::CacheMark(_))));
            }
            Part::CacheMark(_) => {}
            other => rest.push(other),
        }
    }
    if !rest.is_empty() || out.len() == before {
        out.push(plain("user", rest, losses));
    }
}

/// A lone text stays a string, as most clients write it.
fn content<'r>(parts: impl IntoIterator<Item = &'r Part<'r>>, losses: &mut Losses) -> OutContent<'r> {
    let parts: Vec<&Part<'_>> = parts.into_iter().filter(|p| !matches!(p, Part::CacheMark(_))).collect();
    match parts[..] {
        [Part::Text(text)] => OutContent::Text(text.clone()),
        _ => OutContent::Parts(parts.into_iter().filter_map(|part| out_part(part, losses)).collect()),
    }
}

fn out_part<'r>(part: &'r Part<'r>, losses: &mut Losses) -> Option<OutPart<'r>> {
    Some(match part {
        Part::Text(text) | Part::Refusal(text) => OutPart::Text { text },
        Part::Image { source, detail } => {
            OutPart::ImageUrl { image_url: OutImage { url: source.to_url(), detail: detail.as_deref() } }
        }
        Part::Audio(Source::Base64 { media_type, data }) => {
            let kind = media_type.strip_prefix("audio/").unwrap_or(media_type);
            let format = if matches!(kind, "mpeg" | "mp3") { "mp3" } else { kind };
            OutPart::InputAudio { input_audio: OutAudio { data, format } }
        }
        Part::Audio(Source::Url(_)) => {
            losses.lose(Feature::Audio, "the upstream takes sound only as bytes");
            return None;
        }
        Part::Document { source: source @ Source::Base64 { .. }, name } => OutPart::File {
            file: OutFile { filename: name.as_deref().unwrap_or("document.pdf"), file_data: source.to_url() },
        },
        Part::Document { source: Source::Url(_), .. } => {
            losses.lose(Feature::Documents, "the upstream takes documents only as bytes, not by address");
            return None;
        }
        // What else there is was said elsewhere, or noted as unsaid.
        _ => return None,
    })
}
