//! Which tools may be offered. A tool's definition is pinned when it is seen first; what a server says otherwise later is
//! let through, told, or held until somebody approves it, as the configuration says. What was pinned is kept in the
//! registry, so that all instances hold tools to the same, and every change to it is on the record.
//!
//! Nothing is offered of which this cannot say what it is: when the registry is away, what is known goes on, and what is new
//! waits.

mod consider;
mod contracts;
mod decisions;
mod error;
mod known;

pub use contracts::Contracts;
pub use decisions::{Page, Shown};
pub use error::ContractError;
