//! The conversation of a request, from neutral turns.

use std::borrow::Cow;

use serde::Serialize;

use super::NAME;
use super::blocks::{
    OutBlock, OutBytes, OutCachePoint, OutDocument, OutImage, OutReasoning, OutToolResult, OutToolUse,
};
use super::documents::{Names, document_format, image_format};
use super::models::Maker;
use crate::chat::{Feature, Losses, Message, Part, Role, Source, arguments_object};
use crate::json::BodyError;

#[derive(Serialize)]
pub(super) struct OutTurn<'r> {
    role: &'static str,
    content: Vec<OutBlock<'r>>,
}

/// Writes a conversation.
pub(super) struct Writer<'l> {
    maker: Maker,
    names: Names,
    losses: &'l mut Losses,
}

impl<'l> Writer<'l> {
    pub(super) fn new(maker: Maker, losses: &'l mut Losses) -> Self {
        Self { maker, names: Names::default(), losses }
    }

    /// Instructions stand above the conversation here; those in the middle of it move up. Roles must take turns:
    /// turns of one role in a row are one.
    pub(super) fn conversation<'r>(
        &mut self,
        messages: &'r [Message<'r>],
    ) -> Result<(Vec<OutBlock<'r>>, Vec<OutTurn<'r>>), BodyError> {
        let mut system: Vec<OutBlock<'_>> = Vec::new();
        let mut turns: Vec<OutTurn<'_>> = Vec::with_capacity(messages.len());
        for message in messages {
            if message.role.instructs() {
                if !turns.is_empty() {
                    self.losses
                        .approximate("messages", "a system message in the middle was moved to the top");
                }
                self.instructions(message, &mut system);
                continue;
            }
            let role = if message.role == Role::Assistant { "assistant" } else { "user" };
            let mut content = match turns.last_mut() {
                Some(last) if last.role == role => std::mem::take(&mut last.content),
                _ => {
                    turns.push(OutTurn { role, content: Vec::new() });
                    Vec::new()
                }
            };
            for part in &message.parts {
                self.block(part, &mut content)?;
            }
            self.beside_documents(&mut content);
            match turns.last_mut() {
                // A turn that says nothing is an error here.
                Some(last) if !content.is_empty() => last.content = content,
                _ => drop(turns.pop()),
            }
        }
        Ok((system, turns))
    }

    /// A turn with a document must hold a text as well.
    fn beside_documents(&mut self, content: &mut Vec<OutBlock<'_>>) {
        let any_text = content.iter().any(|block| matches!(block, OutBlock::Text(_) | OutBlock::Ours(_)));
        if !any_text && content.iter().any(|block| matches!(block, OutBlock::Document(_))) {
            self.losses.approximate(Feature::Documents, "the upstream wants a text beside it, and gets one");
            content.push(OutBlock::Ours("See the document."));
        }
    }

    fn instructions<'r>(&mut self, message: &'r Message<'r>, system: &mut Vec<OutBlock<'r>>) {
        for part in &message.parts {
            match part {
                Part::Text(text) if text.is_blank() => {}
                Part::Text(text) => system.push(OutBlock::Text(text)),
                Part::CacheMark(mark) if self.maker.caches() && !system.is_empty() => {
                    system.push(OutBlock::CachePoint(OutCachePoint::of(mark)));
                }
                Part::CacheMark(_) => {}
                _ => self.losses.lose("messages", "a system message holds only text here"),
            }
        }
    }

    fn block<'r>(&mut self, part: &'r Part<'r>, out: &mut Vec<OutBlock<'r>>) -> Result<(), BodyError> {
        out.push(match part {
            // Blank text is an error here, and common beside tool calls elsewhere.
            Part::Text(text) | Part::Refusal(text) if text.is_blank() => return Ok(()),
            Part::Text(text) | Part::Refusal(text) => OutBlock::Text(text),
            Part::Image { source, .. } => {
                out.extend(self.image(source));
                return Ok(());
            }
            Part::Document { source, name } => {
                out.extend(self.document(source, name.as_deref()));
                return Ok(());
            }
            Part::ToolCall { id, name, arguments, .. } => OutBlock::ToolUse(OutToolUse {
                tool_use_id: call_id(id),
                name,
                input: arguments_object(arguments)?,
            }),
            Part::ToolResult { id, parts, is_error } => {
                return self.result(id, parts, *is_error, out);
            }
            Part::Thinking { text, seal } => match seal.as_ref().and_then(|seal| seal.for_upstream(NAME)) {
                Some(signature) => {
                    OutBlock::ReasoningContent(OutReasoning::ReasoningText { text, signature })
                }
                None => return self.sealed_by_another(),
            },
            Part::Redacted(seal) => match seal.for_upstream(NAME) {
                Some(data) => OutBlock::ReasoningContent(OutReasoning::RedactedContent(data)),
                None => return self.sealed_by_another(),
            },
            Part::CacheMark(mark) if self.maker.caches() && !out.is_empty() => {
                OutBlock::CachePoint(OutCachePoint::of(mark))
            }
            // Sound was noted as unsaid, and so were marks where nothing is cached.
            Part::Audio(_) | Part::CacheMark(_) => return Ok(()),
        });
        Ok(())
    }

    /// Within a result nothing can be marked: a mark comes behind it.
    fn result<'r>(
        &mut self,
        id: &'r str,
        parts: &'r [Part<'r>],
        is_error: bool,
        out: &mut Vec<OutBlock<'r>>,
    ) -> Result<(), BodyError> {
        let mut content = Vec::with_capacity(parts.len());
        for part in parts.iter().filter(|part| !matches!(part, Part::CacheMark(_))) {
            self.block(part, &mut content)?;
        }
        let status = is_error.then_some("error");
        out.push(OutBlock::ToolResult(OutToolResult { tool_use_id: call_id(id), content, status }));
        match parts.iter().rfind(|part| matches!(part, Part::CacheMark(_))) {
            Some(mark) => self.block(mark, out),
            None => Ok(()),
        }
    }

    fn image<'r>(&mut self, source: &'r Source<'_>) -> Option<OutBlock<'r>> {
        let (media_type, bytes) =
            self.bytes(source, Feature::Images, "the upstream takes pictures only as bytes; with `image_urls: false`, as usual there, the gate fetches them")?;
        let Some(format) = image_format(media_type) else {
            self.losses.lose(Feature::Images, "the upstream takes PNG, JPEG, GIF and WebP");
            return None;
        };
        Some(OutBlock::Image(OutImage { format, source: OutBytes { bytes } }))
    }

    fn document<'r>(&mut self, source: &'r Source<'_>, name: Option<&str>) -> Option<OutBlock<'r>> {
        let only_bytes = "the upstream takes documents only as bytes";
        let (media_type, bytes) = self.bytes(source, Feature::Documents, only_bytes)?;
        let Some(format) = document_format(media_type) else {
            self.losses.lose(Feature::Documents, "the upstream takes no documents of this type");
            return None;
        };
        let name = self.names.name(name);
        Some(OutBlock::Document(OutDocument { format, name, source: OutBytes { bytes } }))
    }

    fn bytes<'r>(
        &mut self,
        source: &'r Source<'_>,
        feature: Feature,
        why: &'static str,
    ) -> Option<(&'r str, &'r str)> {
        match source {
            Source::Base64 { media_type, data } => Some((media_type, data)),
            Source::Url(_) => {
                self.losses.lose(feature, why);
                None
            }
        }
    }

    fn sealed_by_another(&mut self) -> Result<(), BodyError> {
        self.losses.leave_out(Feature::SealedThinking, "thinking is sealed for the model that thought it");
        Ok(())
    }
}

/// The longest id of a call.
const LONGEST_ID: usize = 64;

/// An id that the service takes. Others make longer ones, of more letters: call and result get the same one again.
fn call_id(id: &str) -> Cow<'_, str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    if (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(allowed) {
        return Cow::Borrowed(id);
    }
    // FNV-1a, 64 bits: it has to tell the calls of one conversation apart, no more.
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    Cow::Owned(format!("call_{:016x}", id.bytes().fold(0xcbf2_9ce4_8422_2325, hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_the_service_refuses_get_another() {
        assert_eq!(call_id("toolu_01:a-b.c"), "toolu_01:a-b.c");
        let long = "x".repeat(65);
        for id in ["", "a b", "ä", &long] {
            assert_eq!(call_id(id), call_id(id));
            assert!(call_id(id).len() == 21, "{id}");
        }
        assert_ne!(call_id("a b"), call_id("a c"));
    }
}
