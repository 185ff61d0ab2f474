//! The registry: keys, users and teams, as documents with versions. Unlike the index it cannot be made again from the
//! journal: it has a file or a schema of its own, and its tables are migrated, never dropped.

#[macro_use]
mod backend;
mod postgres;
mod sqlite;
mod table;

use std::path::Path;
use std::sync::Arc;

use tollgate_core::ports::{KeepError, Registry};

pub use self::postgres::PostgresRegistry;
pub use self::sqlite::SqliteRegistry;
use crate::StoreError;

/// Opens the registry at `url`, a PostgreSQL address, or in the file `tollgate.sqlite` in `data_dir`.
pub async fn open_registry(url: Option<&str>, data_dir: &Path) -> Result<Arc<dyn Registry>, StoreError> {
    Ok(match url {
        Some(url) => Arc::new(PostgresRegistry::open(url).await?),
        None => Arc::new(SqliteRegistry::open(&data_dir.join("tollgate.sqlite")).await?),
    })
}

/// The tables, one step after the other; a step is never changed once it was released. The text is the same in SQLite
/// and PostgreSQL.
const MIGRATIONS: &[&[&str]] = &[
    &[
        // A removed holder leaves its row without a document, so that other instances learn of it.
        "CREATE TABLE holders (
        kind TEXT NOT NULL, id TEXT NOT NULL, change BIGINT NOT NULL UNIQUE, document TEXT, hash TEXT UNIQUE,
        PRIMARY KEY (kind, id))",
        // Counting changes in a row makes whoever changes something wait for whoever did so before: changes become visible
        // in the order of their numbers.
        "CREATE TABLE last_change (number BIGINT NOT NULL)",
        "INSERT INTO last_change (number) VALUES (0)",
    ],
    &[
        // What instances share: documents with versions.
        "CREATE TABLE shared (name TEXT PRIMARY KEY, version BIGINT NOT NULL, text TEXT NOT NULL, ends BIGINT)",
        "CREATE INDEX shared_ends ON shared (ends)",
    ],
];

fn keep_error(error: StoreError) -> KeepError {
    match error {
        StoreError::Stale => KeepError::Conflict,
        StoreError::Database(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            KeepError::Conflict
        }
        error => KeepError::Away(error.to_string()),
    }
}
