//! MCP: the tools that servers list, their contracts, and what is said of both. Pure and synchronous: no runtime, no
//! sockets, no clock.

pub mod arguments;
pub mod contract;
pub mod effect;
pub mod exact;
pub mod hidden;
pub mod keywords;
pub mod lint;
pub mod names;
pub mod place;
pub mod scan;
pub mod tool;
