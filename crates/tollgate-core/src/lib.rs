//! The pure domain: what a call, a principal, a price, a fault and a record are, and how a configuration
//! file becomes a snapshot. No runtime, no sockets, no database: everything here is a value or a function.

pub mod access;
pub mod addition;
pub mod approval;
pub mod call;
pub mod changes;
pub mod config;
pub mod contract;
pub mod deliver;
pub mod digest;
pub mod document;
pub mod effect;
pub mod egress;
pub mod fault;
pub mod identity;
pub mod ledger;
pub mod merge_patch;
#[cfg(feature = "openapi")]
mod openapi;
pub mod operation;
pub mod policy;
pub mod ports;
pub mod price;
pub mod principal;
pub mod query;
pub mod record;
pub mod redact;
pub mod seal;
pub mod secret;
pub mod trace;
pub mod undo;
pub mod unseen;
pub mod usage;
