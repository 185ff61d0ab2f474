//! The index in an SQLite file.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::StoreError;
use crate::owned::for_owner_only;

crate::backend::backend!(Sqlite, sqlx::Sqlite, SqlitePool);
crate::spend::backend::spend!(Sqlite, sqlx::Sqlite);

impl Sqlite {
    /// Opens the file at `path`, or makes it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        for_owner_only(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What a power cut takes is loaded again: the position is a part of the same transaction.
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", "-16384")
            .pragma("temp_store", "memory");
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        let store = Self { pool };
        store.prepare().await?;
        Ok(store)
    }

    const TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table'";

    /// How a table says that its rows stand in the order of their key.
    const CLUSTERED: &str = "WITHOUT ROWID";

    /// SQLite has one writer at a time anyway.
    const ONE_AT_A_TIME: Option<&str> = None;
}
