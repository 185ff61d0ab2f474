//! Calls that somebody must let pass before they are made. An approval is of one call: for whom, which tool by which
//! contract, with which arguments; it is used up by that call, and ends by itself. It is kept in the registry, so that
//! whoever decides may do so at any instance, and everything that becomes of it is on the record.

mod asking;
mod decisions;
mod error;

pub use asking::Waiting;
pub use error::ApprovalError;
