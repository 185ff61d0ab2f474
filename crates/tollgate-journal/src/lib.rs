//! The journal: the log of records and events that can be trusted afterwards.
//!
//! Each instance of the gate has one chain of entries, one JSON object a line, numbered without gaps, each with the
//! hash of the line before it. The chain is cut into segments; its head is signed. `docs/journal.md` says what that
//! proves and what it does not.
//!
//! An entry is handed to the operating system before [`Journal::append`](tollgate_core::ports::Journal::append)
//! returns, so that a killed process loses none. This crate never waits for anybody: what follows the journal reads its
//! files.

mod aside;
mod background;
mod error;
mod follow;
mod hash;
mod keys;
mod line;
mod manifest;
mod options;
mod private;
mod recover;
mod reserve;
mod retention;
mod segment;
mod state;
mod statement;
mod verify;
mod waiting;
mod writer;

pub use aside::{AsideError, read_aside};
pub use error::OpenError;
pub use follow::{Followed, Follower, Gap};
pub use hash::Hash;
pub use keys::{Keys, PublicKey, instance_of};
pub use line::is_of;
pub use manifest::replace as replace_file;
pub use options::Options;
pub use retention::Consumer;
pub use segment::chains;
pub use statement::{Head, Signed, Statement};
pub use verify::{Finding, Report, Verifier};
pub use writer::DiskJournal;
