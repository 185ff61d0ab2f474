//! LLM formats and providers: bytes to types and back, pure and synchronous.
//!
//! A *format* is a wire protocol ([`formats`]); a *provider* is somebody who speaks one or more of them at an
//! address ([`providers`]). Two formats meet in the neutral form of [`chat`]. Adding either is one folder or
//! file and one line in its table.

pub mod bound;
pub mod catalog;
pub mod chat;
pub mod embeddings;
pub mod event_stream;
pub mod formats;
pub mod framing;
pub mod json;
pub mod providers;
pub mod rerank;
pub mod simulator;
pub mod sse;
pub mod tool_facts;
