//! MCP: its messages and its revisions. Pure and synchronous: no runtime, no sockets, no clock.

pub mod json;
pub mod message;
pub mod revision;
