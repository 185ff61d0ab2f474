//! A whole answer, from the neutral form.

use super::items::{Answer, Ids, Item, Kind, Status, Summary, incomplete};
use super::parts::{Annotation, Part, Token};
use super::usage::WireUsage;
use super::{custom_tools, seal};
use crate::chat::{Choice, Response, Said, StopReason, ToolCall, id_with};
use crate::formats::{AnswerFor, SCHEMA_TOOL};

/// The format has room for one answer: of several, the first.
pub(super) fn write(response: &Response, answer: &AnswerFor) -> Vec<u8> {
    let nothing = Choice::default();
    let choice = response.choices.first().unwrap_or(&nothing);
    let ids = Ids::of(&response.id);
    let mut items = items(choice, &ids, answer);
    let only_schema = answer.schema_tool && choice.calls().all(|call| call.name == SCHEMA_TOOL);
    let stop =
        if only_schema && choice.stop == StopReason::ToolCalls { &StopReason::End } else { &choice.stop };
    let why = incomplete(stop, choice.refusal().is_some());
    if let (Some(last), true) = (items.last_mut(), why.is_some()) {
        last.status = Status::Incomplete;
    }
    let created = if response.created == 0 { answer.created } else { response.created };
    let usage = response.usage.as_ref().map(WireUsage::from);
    let id = ids.response();
    crate::json::written(&Answer::begun(&id, &response.model, created).ended(&items, why, usage))
}

fn items(choice: &Choice, ids: &Ids, answer: &AnswerFor) -> Vec<Item> {
    let stands_in = |call: &ToolCall| answer.schema_tool && call.name == SCHEMA_TOOL;
    let any_stand_in = choice.calls().any(stands_in);
    let mut items: Vec<Item> = Vec::new();
    for said in &choice.said {
        match said {
            // Beside the answer itself, what was said on the way to it is no part of it.
            Said::Text { .. } if any_stand_in => {}
            Said::Text { text, citations } => {
                let length = text.chars().count() as u64;
                let annotations = citations.iter().map(|citation| Annotation::of(citation, length)).collect();
                let logprobs = Some(Vec::new());
                push_part(&mut items, ids, Part::OutputText { text: text.clone(), annotations, logprobs });
            }
            Said::Refusal(text) => push_part(&mut items, ids, Part::Refusal { refusal: text.clone() }),
            Said::ToolCall(call) if stands_in(call) => {
                push_part(&mut items, ids, Part::text(call.arguments.clone()));
            }
            Said::ToolCall(call) => push(&mut items, ids, called(call)),
            Said::Thinking { text, seal } => {
                let summary = vec![Summary { text: text.clone() }];
                let encrypted_content = seal.as_ref().map(seal::for_client);
                push(&mut items, ids, Kind::Reasoning { summary, encrypted_content });
            }
            Said::Redacted(seal) => {
                let encrypted_content = Some(seal::for_client(seal));
                push(&mut items, ids, Kind::Reasoning { summary: Vec::new(), encrypted_content });
            }
            Said::Image { data, .. } => {
                push(&mut items, ids, Kind::ImageGenerationCall { result: data.clone() });
            }
        }
    }
    put_logprobs(&mut items, choice);
    items
}

fn push(items: &mut Vec<Item>, ids: &Ids, kind: Kind) {
    items.push(ids.item(kind, Status::Completed, items.len()));
}

/// What is said one after the other is one message.
fn push_part(items: &mut Vec<Item>, ids: &Ids, part: Part) {
    if !matches!(items.last(), Some(Item { kind: Kind::Message { .. }, .. })) {
        push(items, ids, Kind::message());
    }
    if let Some(Item { kind: Kind::Message { content, .. }, .. }) = items.last_mut() {
        content.push(part);
    }
}

/// The neutral form does not say which text the tokens are of: they go to the first.
fn put_logprobs(items: &mut [Item], choice: &Choice) {
    let parts = items.iter_mut().flat_map(|item| match &mut item.kind {
        Kind::Message { content, .. } => content.as_mut_slice(),
        _ => &mut [],
    });
    let mut texts = parts.filter_map(|part| match part {
        Part::OutputText { logprobs, .. } => Some(logprobs),
        _ => None,
    });
    if let Some(logprobs) = texts.next() {
        *logprobs = Some(choice.logprobs.iter().map(Token::of).collect());
    }
}

fn called(call: &ToolCall) -> Kind {
    let call_id = id_with(&call.id, call.seal.as_ref());
    match custom_tools::tool_name(&call.name) {
        Some(name) => Kind::CustomToolCall {
            call_id,
            name: name.to_owned(),
            input: custom_tools::input(&call.arguments),
        },
        None => Kind::FunctionCall { call_id, name: call.name.clone(), arguments: call.arguments.clone() },
    }
}
