//! MCP: its messages, its revisions, and what a client of one revision and a server of another understand of each
//! other; the tools that servers list, their contracts, and what is said of both. Pure and synchronous: no runtime, no
//! sockets, no clock.

pub mod arguments;
pub mod bridge;
pub mod capability;
pub mod contract;
pub mod effect;
pub mod exact;
pub mod headers;
pub mod hidden;
pub mod json;
pub mod keywords;
pub mod lint;
pub mod message;
pub mod method;
pub mod names;
pub mod place;
pub mod revision;
pub mod scan;
pub mod tool;
