//! What is kept in a database: the index over the journal, and the registry of keys, users and teams.
//!
//! The index is what can be asked quickly. It holds nothing that the journal does not, is loaded from it exactly once,
//! and can be dropped and made again at any time. What was spent, day by day, is added up from it in the same
//! transaction and outlives the segments that it comes from.
//!
//! SQLite in the data folder by default, PostgreSQL where several instances share one. Both keep calls in one set of
//! tables a month, so that a month is dropped as a whole.

#[macro_use]
mod backend;
mod error;
mod litellm;
mod load;
mod month;
mod owned;
mod postgres;
mod questions;
mod registry;
mod row;
mod schema;
mod shelf;
#[macro_use]
mod spend;
mod sqlite;

pub use error::StoreError;
pub use litellm::{LiteLlm, Table};
pub use load::Loader;
pub use postgres::Postgres;
pub use registry::{PostgresRegistry, Registries, SqliteRegistry, open_registry};
pub use shelf::{PostgresShelf, RedisShelf, SqliteShelf, open_shelf};
pub use sqlite::Sqlite;

use std::sync::Arc;

use jiff::Timestamp;
use tollgate_core::ports::Position;
use tollgate_core::query::{Answering, Records};

use crate::row::Batch;

/// An index, whatever it is kept in.
pub trait Index: Records {
    /// How far the journal of `instance` was loaded.
    fn position<'a>(&'a self, instance: &'a str) -> Answering<'a, Position>;

    /// Loads `batch`, and notes how far that is, in one transaction. An error changes nothing.
    fn load(&self, batch: Batch) -> Answering<'_, ()>;

    /// Drops everything but what was spent, to be loaded anew.
    fn clear(&self) -> Answering<'_, ()>;

    /// Drops what was spent as well: only what the journal still holds is added up again.
    fn clear_with_spend(&self) -> Answering<'_, ()>;

    /// Drops the months that were over before `before`. Returns how many.
    fn drop_before(&self, before: Timestamp) -> Answering<'_, usize>;
}

/// Opens the index at `url`, a PostgreSQL address, or in the file `index.sqlite` in `data_dir`.
pub async fn open(url: Option<&str>, data_dir: &std::path::Path) -> Result<Arc<dyn Index>, StoreError> {
    Ok(match url {
        Some(url) => Arc::new(Postgres::open(url).await?),
        None => Arc::new(Sqlite::open(&data_dir.join("index.sqlite")).await?),
    })
}
