//! The messages of a request, from neutral turns.

use std::borrow::Cow;

use serde::Serialize;

use crate::chat::{Feature, Losses, Message, Part, Request, Role, Text, arguments_text, joined};

#[derive(Serialize)]
pub(super) struct OutMessage<'r> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_plan: Option<Text<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<OutContent<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<OutCall<'r>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutContent<'r> {
    Text(&'r Text<'r>),
    Empty(&'static str),
    Parts(Vec<OutPart<'r>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutPart<'r> {
    Text { text: &'r Text<'r> },
    Thinking { thinking: &'r Text<'r> },
    ImageUrl { image_url: OutImage<'r> },
}

#[derive(Serialize)]
struct OutImage<'r> {
    url: Cow<'r, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'r str>,
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
            Role::System | Role::Developer => out.push(system(message, losses)),
            Role::Assistant => out.push(assistant(message, losses)),
            Role::User => user(message, &mut out),
        }
    }
    out
}

fn said<'r>(role: &'static str, parts: Vec<OutPart<'r>>) -> OutMessage<'r> {
    OutMessage {
        role,
        tool_call_id: None,
        tool_plan: None,
        content: Some(content(parts)),
        tool_calls: Vec::new(),
    }
}

/// A lone text stays a string, as most clients write it.
fn content(parts: Vec<OutPart<'_>>) -> OutContent<'_> {
    match parts[..] {
        [] => OutContent::Empty(""),
        [OutPart::Text { text }] => OutContent::Text(text),
        _ => OutContent::Parts(parts),
    }
}

fn system<'r>(message: &'r Message<'r>, losses: &mut Losses) -> OutMessage<'r> {
    if message.parts.iter().any(|part| !matches!(part, Part::Text(_) | Part::CacheMark(_))) {
        losses.lose("messages", "a system message holds only text here");
    }
    said("system", texts(&message.parts))
}

fn texts<'r>(parts: &'r [Part<'r>]) -> Vec<OutPart<'r>> {
    let text = |part: &'r Part<'r>| match part {
        Part::Text(text) => Some(OutPart::Text { text }),
        _ => None,
    };
    parts.iter().filter_map(text).collect()
}

/// What the model thought before it called tools is its plan here; what it thought before it spoke is a part of
/// what it said. Only thoughts without a seal can be the model's own.
fn assistant<'r>(message: &'r Message<'r>, losses: &mut Losses) -> OutMessage<'r> {
    let (mut thoughts, mut parts, mut tool_calls) = (Vec::new(), Vec::new(), Vec::new());
    for part in &message.parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => parts.push(OutPart::Text { text }),
            Part::Thinking { text, seal: None } if !text.is_empty() => thoughts.push(text),
            Part::Thinking { seal: Some(_), .. } | Part::Redacted(_) => {
                losses.leave_out(Feature::SealedThinking, "thinking is sealed for the model that thought it");
            }
            Part::ToolCall { id, name, arguments, .. } => {
                let arguments = arguments_text(arguments);
                tool_calls.push(OutCall { id, kind: "function", function: OutFunction { name, arguments } });
            }
            // What else there is was noted as unsaid, or an assistant does not say it.
            _ => {}
        }
    }
    let calls = !tool_calls.is_empty();
    let tool_plan = (calls && !thoughts.is_empty()).then(|| joined(&thoughts, "\n"));
    if !calls {
        parts.splice(0..0, thoughts.into_iter().map(|thinking| OutPart::Thinking { thinking }));
    }
    // An empty text beside calls is what other formats write for none.
    let none = calls && parts.iter().all(|part| matches!(part, OutPart::Text { text } if text.is_empty()));
    OutMessage {
        tool_plan,
        tool_calls,
        content: (!none).then(|| content(parts)),
        ..said("assistant", Vec::new())
    }
}

/// Tool results come first, in order, then the rest of the turn. A result can hold only text here, so what else
/// is in it moves into the user's message after them.
fn user<'r>(message: &'r Message<'r>, out: &mut Vec<OutMessage<'r>>) {
    let before = out.len();
    let mut rest = Vec::new();
    for part in &message.parts {
        match part {
            Part::ToolResult { id, parts, .. } => {
                out.push(OutMessage { tool_call_id: Some(id), ..said("tool", texts(parts)) });
                rest.extend(parts.iter().filter(|p| !matches!(p, Part::Text(_))).filter_map(out_part));
            }
            other => rest.extend(out_part(other)),
        }
    }
    if !rest.is_empty() || out.len() == before {
        out.push(said("user", rest));
    }
}

fn out_part<'r>(part: &'r Part<'r>) -> Option<OutPart<'r>> {
    match part {
        Part::Text(text) => Some(OutPart::Text { text }),
        Part::Image { source, detail } => Some(OutPart::ImageUrl {
            image_url: OutImage { url: source.to_url(), detail: detail.as_deref() },
        }),
        // What else there is was noted as unsaid.
        _ => None,
    }
}
