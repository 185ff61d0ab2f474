//! Thinking, for which this format has no words of its own. `reasoning_content` and `thinking_blocks` are what
//! servers and gateways write, and what clients give back.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::chat::{Part, Said, Sealed, Text};

/// Whose seals stand here as they are: blocks are Anthropic's by origin.
const USUAL: &str = crate::formats::anthropic_messages::NAME;

/// A block, as a client gives it back.
#[derive(Deserialize)]
pub(super) struct WrittenBlock<'a> {
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<Cow<'a, str>>,
}

/// What an earlier turn thought. Blocks hold all that the bare text says, and the seals.
pub(super) fn read<'a>(blocks: Option<Vec<WrittenBlock<'a>>>, bare: Option<Text<'a>>) -> Vec<Part<'a>> {
    let Some(blocks) = blocks.filter(|blocks| !blocks.is_empty()) else {
        return bare.map(|text| Part::Thinking { text, seal: None }).into_iter().collect();
    };
    let part = |block: WrittenBlock<'a>| match block.data {
        Some(data) => Part::Redacted(Sealed::read(&data, USUAL)),
        None => Part::Thinking {
            text: block.thinking.unwrap_or_else(|| Text::new("")),
            seal: block.signature.filter(|s| !s.is_empty()).map(|s| Sealed::read(&s, USUAL)),
        },
    };
    blocks.into_iter().map(part).collect()
}

/// A block, for a client.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    /// A thought and its seal.
    Thinking { thinking: String, signature: String },
    /// A thought that is shown to nobody.
    RedactedThinking { data: String },
}

impl Block {
    /// A thought that is complete.
    pub(super) fn sealed(thinking: String, seal: &Sealed) -> Self {
        Self::Thinking { thinking, signature: seal.for_client(USUAL) }
    }

    /// A thought that is shown to nobody.
    pub(super) fn redacted(seal: &Sealed) -> Self {
        Self::RedactedThinking { data: seal.for_client(USUAL) }
    }
}

/// All thoughts of an answer as one text, and as blocks where they are sealed.
pub(super) fn write(said: &[Said]) -> (Option<String>, Vec<Block>) {
    let (mut all, mut blocks) = (None::<String>, Vec::new());
    for said in said {
        match said {
            Said::Thinking { text, seal } => {
                all.get_or_insert_default().push_str(text);
                blocks.extend(seal.as_ref().map(|seal| Block::sealed(text.clone(), seal)));
            }
            Said::Redacted(seal) => blocks.push(Block::redacted(seal)),
            _ => {}
        }
    }
    (all, blocks)
}
