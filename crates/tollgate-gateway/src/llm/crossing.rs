//! How the client's format meets the upstream's: as the same one, or in a neutral form between them.

use tollgate_core::fault::{Fault, FaultClass};
use tollgate_llm::formats::{
    ChatClient, ChatUpstream, EmbeddingsClient, EmbeddingsUpstream, Format, RerankClient, RerankUpstream,
    Surface,
};

/// How two formats meet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Crossing {
    /// They are the same: bodies pass untouched but for the closed list of edits.
    Same(&'static dyn Surface),
    /// Both are about chats, and are translated.
    Chat(&'static dyn ChatClient, &'static dyn ChatUpstream),
    /// Both are about embeddings, and are translated.
    Embeddings(&'static dyn EmbeddingsClient, &'static dyn EmbeddingsUpstream),
    /// Both are about reranking, and are translated.
    Rerank(&'static dyn RerankClient, &'static dyn RerankUpstream),
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
        let chat = surface.chat_client().zip(upstream.chat_upstream());
        let embeddings = surface.embeddings_client().zip(upstream.embeddings_upstream());
        let rerank = surface.rerank_client().zip(upstream.rerank_upstream());
        chat.map(|(client, upstream)| Self::Chat(client, upstream))
            .or_else(|| embeddings.map(|(client, upstream)| Self::Embeddings(client, upstream)))
            .or_else(|| rerank.map(|(client, upstream)| Self::Rerank(client, upstream)))
            .ok_or_else(|| {
                let (from, to) = (surface.name(), upstream.name());
                Fault::new(FaultClass::Unsupported, format!("{from} cannot be translated into {to}"))
            })
    }
}
