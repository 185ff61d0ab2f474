//! The events of a streamed answer.

use serde::Serialize;

use super::items::{Answer, Item, Summary};
use super::parts::{Annotation, Part, Token};
use crate::sse::write_json;

/// An event of any type, with the members that its type has.
#[derive(Default, Serialize)]
pub(super) struct Told<'w> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Answer<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<&'w Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_id: Option<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<Piece<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation: Option<&'w Annotation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<&'w str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<&'w [Token]>,
}

/// A part of a message or of a thought.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Piece<'w> {
    /// Of a message.
    Part(&'w Part),
    /// Of a thought.
    Summary(&'w Summary),
}

impl<'w> Told<'w> {
    /// About the item at `at`.
    pub(super) fn item(item: &'w Item, at: usize) -> Self {
        Self { output_index: Some(at), item_id: Some(&item.id), ..Self::default() }
    }

    /// About the part number `index` of the message at `at`.
    pub(super) fn part(item: &'w Item, at: usize, index: usize) -> Self {
        Self { content_index: Some(index), ..Self::item(item, at) }
    }

    /// About what is told of the thought at `at`.
    pub(super) fn summary(item: &'w Item, at: usize) -> Self {
        Self { summary_index: Some(0), ..Self::item(item, at) }
    }
}

/// Appends `told` as the next event, of which `before` were told before.
pub(super) fn tell(before: &mut u64, told: Told<'_>, out: &mut Vec<u8>) {
    let told = Told { sequence_number: *before, ..told };
    *before += 1;
    write_json(Some(told.kind), &told, out);
}
