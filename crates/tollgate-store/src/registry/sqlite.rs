//! The registry in an SQLite file.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::StoreError;
use crate::owned::for_owner_only;

crate::registry::backend::registry!(SqliteRegistry, sqlx::Sqlite, SqlitePool);

impl SqliteRegistry {
    /// Opens the file at `path`, or makes it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        for_owner_only(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A key that was given out must be known after a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await?;
        let registry = Self { pool };
        registry.migrate().await?;
        Ok(registry)
    }

    /// The connections, for what else is kept in the same file.
    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// A transaction that writes, from its beginning: it waits for others instead of failing in between.
    async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}
