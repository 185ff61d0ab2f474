//! Prompts: the messages that they are.

use super::Notes;
use super::content::block;
use crate::json::{Change, Draft, Object, map_list};
use crate::revision::Revision;

/// The members of a result of `prompts/get`.
pub(super) fn result(draft: &mut Draft<'_>, to: Revision, notes: &mut Notes) {
    if to >= Revision::V2025_06_18 {
        return;
    }
    draft.map("messages", |messages| {
        map_list(messages, |text| {
            let Some(message) = Object::read(text) else { return Change::Keep };
            let content = message.get("content").map_or(Change::Keep, |content| block(content, to, notes));
            let mut draft = message.draft();
            if let Change::With(content) = content {
                draft.set("content", content);
            }
            Change::of(draft.finish())
        })
    });
}
