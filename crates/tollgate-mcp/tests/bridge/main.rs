//! Promise: a client of any revision and a server of any other understand each other, as far as there is a way; what
//! neither knows survives, and what is lost is noted.
//!
//! `tests/golden/SUBJECT/CASE.in.json`, written by hand, is something that is said: the message, which revisions it may
//! be said in, and of answers the method. `CASE.out.json` is what it becomes on every way from one of those to any
//! revision, ways with the same outcome together, and what is noted. After a wanted change:
//! `UPDATE_FIXTURES=1 cargo nextest run --workspace -E 'package(tollgate-mcp)'`, then read the difference.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;
mod eras;
mod golden;
mod page;
mod properties;
mod schema;
#[path = "../shared/mod.rs"]
mod shared;
