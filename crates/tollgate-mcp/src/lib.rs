//! MCP: its messages, its revisions, and what a client of one revision and a server of another understand of each
//! other. Pure and synchronous: no runtime, no sockets, no clock.

pub mod bridge;
pub mod capability;
pub mod headers;
pub mod json;
pub mod message;
pub mod method;
pub mod revision;
