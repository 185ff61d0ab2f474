//! The items of a streamed answer: each is told as it grows, and kept, for the last event tells all of them again.

use super::items::{Answer, Ids, Incomplete, Item, Kind, Status, Summary};
use super::parts::{Annotation, Part, Token};
use super::told::{Piece, Told, tell};
use super::usage::WireUsage;
use crate::chat::Citation;

#[derive(Default)]
pub(super) struct Items {
    pub(super) ids: Ids,
    all: Vec<Item>,
    /// How many events were told.
    told: u64,
    /// How many bytes of the answer are kept.
    kept: usize,
}

impl Items {
    /// Tells that the answer has begun.
    pub(super) fn answer_begins(&mut self, kind: &'static str, answer: Answer<'_>, out: &mut Vec<u8>) {
        tell(&mut self.told, Told { kind, response: Some(answer), ..Told::default() }, out);
    }

    /// Tells that the answer has ended, and all of it.
    pub(super) fn answer_ends(
        &mut self,
        answer: Answer<'_>,
        why: Option<Incomplete>,
        usage: Option<WireUsage>,
        out: &mut Vec<u8>,
    ) {
        let kind = if why.is_some() { "response.incomplete" } else { "response.completed" };
        let response = Some(answer.ended(&self.all, why, usage));
        tell(&mut self.told, Told { kind, response, ..Told::default() }, out);
    }

    /// How many bytes of the answer are kept.
    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    pub(super) fn is_message(&self, at: usize) -> bool {
        matches!(self.all.get(at), Some(Item { kind: Kind::Message { .. }, .. }))
    }

    /// Begins an item and returns where it stands.
    pub(super) fn begin(&mut self, kind: Kind, out: &mut Vec<u8>) -> usize {
        let at = self.all.len();
        self.kept += kind.size();
        self.all.push(self.ids.item(kind, Status::InProgress, at));
        self.item("response.output_item.added", at, out);
        at
    }

    /// Ends the item at `at`.
    pub(super) fn end(&mut self, at: usize, status: Status, out: &mut Vec<u8>) {
        if let Some(item) = self.all.get_mut(at) {
            item.status = status;
        }
        self.item("response.output_item.done", at, out);
    }

    fn item(&mut self, kind: &'static str, at: usize, out: &mut Vec<u8>) {
        let item = self.all.get(at);
        tell(&mut self.told, Told { kind, output_index: Some(at), item, ..Told::default() }, out);
    }

    /// Says more in the message at `at`.
    pub(super) fn say(&mut self, at: usize, more: &str, refuses: bool, out: &mut Vec<u8>) {
        if !self.goes_on(at, refuses) {
            self.end_part(at, out);
            self.begin_part(at, refuses, out);
        }
        let Some(Item { kind: Kind::Message { content, .. }, .. }) = self.all.get_mut(at) else { return };
        let index = content.len().saturating_sub(1);
        let kind = match content.last_mut() {
            Some(Part::OutputText { text, .. }) => {
                text.push_str(more);
                "response.output_text.delta"
            }
            Some(Part::Refusal { refusal }) => {
                refusal.push_str(more);
                "response.refusal.delta"
            }
            _ => return,
        };
        self.kept += more.len();
        let logprobs = (!refuses).then_some(&[][..]);
        let told = Told { kind, delta: Some(more), logprobs, ..Told::part(&self.all[at], at, index) };
        tell(&mut self.told, told, out);
    }

    fn last_part(&mut self, at: usize) -> Option<&mut Part> {
        match &mut self.all.get_mut(at)?.kind {
            Kind::Message { content, .. } => content.last_mut(),
            _ => None,
        }
    }

    fn goes_on(&mut self, at: usize, refuses: bool) -> bool {
        matches!(
            (self.last_part(at), refuses),
            (Some(Part::OutputText { .. }), false) | (Some(Part::Refusal { .. }), true)
        )
    }

    fn begin_part(&mut self, at: usize, refuses: bool, out: &mut Vec<u8>) {
        let part = if refuses { Part::Refusal { refusal: String::new() } } else { Part::text(String::new()) };
        let Some(Item { kind: Kind::Message { content, .. }, .. }) = self.all.get_mut(at) else { return };
        content.push(part);
        let index = content.len() - 1;
        self.part("response.content_part.added", at, index, out);
    }

    fn part(&mut self, kind: &'static str, at: usize, index: usize, out: &mut Vec<u8>) {
        let Some(item) = self.all.get(at) else { return };
        let Kind::Message { content, .. } = &item.kind else { return };
        let part = content.get(index).map(Piece::Part);
        tell(&mut self.told, Told { kind, part, ..Told::part(item, at, index) }, out);
    }

    /// Says that the last part of the message at `at` is whole.
    pub(super) fn end_part(&mut self, at: usize, out: &mut Vec<u8>) {
        let Some(item) = self.all.get(at) else { return };
        let Kind::Message { content, .. } = &item.kind else { return };
        let Some(index) = content.len().checked_sub(1) else { return };
        let about = Told::part(item, at, index);
        let told = match &content[index] {
            Part::OutputText { text, logprobs, .. } => {
                let kind = "response.output_text.done";
                Told { kind, text: Some(text), logprobs: logprobs.as_deref(), ..about }
            }
            Part::Refusal { refusal } => {
                Told { kind: "response.refusal.done", refusal: Some(refusal), ..about }
            }
            Part::Other => return,
        };
        tell(&mut self.told, told, out);
        self.part("response.content_part.done", at, index, out);
    }

    /// Puts a citation beside the text that is being told in the message at `at`.
    pub(super) fn cite(&mut self, at: usize, citation: &Citation, out: &mut Vec<u8>) {
        let Some(Part::OutputText { text, annotations, .. }) = self.last_part(at) else { return };
        annotations.push(Annotation::of(citation, text.chars().count() as u64));
        let number = annotations.len() - 1;
        let item = &self.all[at];
        let Kind::Message { content, .. } = &item.kind else { return };
        let (index, annotation) = match content.last() {
            Some(Part::OutputText { annotations, .. }) => (content.len() - 1, annotations.last()),
            _ => return,
        };
        let kind = "response.output_text.annotation.added";
        let about = Told::part(item, at, index);
        tell(&mut self.told, Told { kind, annotation_index: Some(number), annotation, ..about }, out);
    }

    /// Keeps probabilities until the text in the message at `at` is whole: they come after its pieces.
    pub(super) fn likely(&mut self, at: usize, tokens: impl Iterator<Item = Token>) {
        if let Some(Part::OutputText { logprobs: Some(logprobs), .. }) = self.last_part(at) {
            logprobs.extend(tokens);
        }
    }

    /// Begins to tell of the thought at `at`.
    pub(super) fn begin_summary(&mut self, at: usize, out: &mut Vec<u8>) {
        if let Some(Item { kind: Kind::Reasoning { summary, .. }, .. }) = self.all.get_mut(at) {
            summary.push(Summary { text: String::new() });
        }
        self.summary("response.reasoning_summary_part.added", at, out);
    }

    /// Tells more of the thought at `at`.
    pub(super) fn think(&mut self, at: usize, more: &str, out: &mut Vec<u8>) {
        let Some(item) = self.all.get_mut(at) else { return };
        self.kept += more.len();
        if let Kind::Reasoning { summary, .. } = &mut item.kind
            && let Some(told) = summary.last_mut()
        {
            told.text.push_str(more);
        }
        let kind = "response.reasoning_summary_text.delta";
        tell(&mut self.told, Told { kind, delta: Some(more), ..Told::summary(item, at) }, out);
    }

    /// Says that what is told of the thought at `at` is whole.
    pub(super) fn end_summary(&mut self, at: usize, out: &mut Vec<u8>) {
        let Some(item) = self.all.get(at) else { return };
        let Kind::Reasoning { summary, .. } = &item.kind else { return };
        let Some(part) = summary.last() else { return };
        let kind = "response.reasoning_summary_text.done";
        tell(&mut self.told, Told { kind, text: Some(&part.text), ..Told::summary(item, at) }, out);
        self.summary("response.reasoning_summary_part.done", at, out);
    }

    fn summary(&mut self, kind: &'static str, at: usize, out: &mut Vec<u8>) {
        let Some(item) = self.all.get(at) else { return };
        let Kind::Reasoning { summary, .. } = &item.kind else { return };
        let part = summary.last().map(Piece::Summary);
        tell(&mut self.told, Told { kind, part, ..Told::summary(item, at) }, out);
    }

    /// Seals the thought at `at`.
    pub(super) fn seal(&mut self, at: usize, sealed: String) {
        if let Some(Item { kind: Kind::Reasoning { encrypted_content, .. }, .. }) = self.all.get_mut(at) {
            self.kept += sealed.len();
            *encrypted_content = Some(sealed);
        }
    }

    /// Tells more of what the call at `at` gives its tool.
    pub(super) fn give(&mut self, at: usize, more: &str, out: &mut Vec<u8>) {
        let Some(item) = self.all.get_mut(at) else { return };
        self.kept += more.len();
        let kind = match &mut item.kind {
            Kind::FunctionCall { arguments, .. } => {
                arguments.push_str(more);
                "response.function_call_arguments.delta"
            }
            Kind::CustomToolCall { input, .. } => {
                input.push_str(more);
                "response.custom_tool_call_input.delta"
            }
            _ => return,
        };
        tell(&mut self.told, Told { kind, delta: Some(more), ..Told::item(item, at) }, out);
    }

    /// Says that what the call at `at` gives its tool is whole.
    pub(super) fn given(&mut self, at: usize, out: &mut Vec<u8>) {
        let Some(item) = self.all.get(at) else { return };
        let about = Told::item(item, at);
        let told = match &item.kind {
            Kind::FunctionCall { name, arguments, .. } => {
                let kind = "response.function_call_arguments.done";
                Told { kind, name: Some(name), arguments: Some(arguments), ..about }
            }
            Kind::CustomToolCall { input, .. } => {
                Told { kind: "response.custom_tool_call_input.done", input: Some(input), ..about }
            }
            _ => return,
        };
        tell(&mut self.told, told, out);
    }
}
