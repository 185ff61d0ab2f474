//! How the client's format meets the upstream's: as the same one, or in the neutral form between them.

use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::formats::{ChatClient, ChatUpstream, Format, Surface};

/// How two formats meet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Crossing {
    /// They are the same: bodies pass untouched but for the closed list of edits.
    Same(&'static dyn Surface),
    /// Both are about chats, and are translated.
    Chat(&'static dyn ChatClient, &'static dyn ChatUpstream),
}

impl Crossing {
    /// How `surface` meets `upstream`.
    pub(super) fn between(
        surface: &'static dyn Surface,
        upstream: &'static dyn Format,
    ) -> Result<Self, Fault> {
        if surface.name() == upstream.name() {
            return Ok(Self::Same(surface));
        }
        match (surface.chat_client(), upstream.chat_upstream()) {
            (Some(client), Some(upstream)) => Ok(Self::Chat(client, upstream)),
            _ => Err(Fault::new(
                FaultClass::Unsupported,
                format!("{} cannot be translated into {}", surface.name(), upstream.name()),
            )),
        }
    }
}
