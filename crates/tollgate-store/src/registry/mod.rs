//! The registry: keys, users and teams, models and credentials, as documents with versions. Unlike the index it cannot be made again from the
//! journal: it has a file or a schema of its own, and its tables are migrated, never dropped.

#[macro_use]
mod backend;
mod postgres;
mod sqlite;
mod table;

use std::path::Path;
use std::sync::Arc;

use tollgate_core::access::Holder;
use tollgate_core::addition::Addition;
use tollgate_core::approval::Approval;
use tollgate_core::contract::ToolContract;
use tollgate_core::identity::{Login, SigningKey};
use tollgate_core::ports::{KeepError, Registry, Shelf};

pub use self::postgres::PostgresRegistry;
pub use self::sqlite::SqliteRegistry;
use crate::StoreError;
use crate::shelf::{PostgresShelf, SqliteShelf};

/// A registry of every sort of documents, in one database.
#[derive(Clone)]
pub struct Registries {
    /// Keys, users and teams.
    pub holders: Arc<dyn Registry<Holder>>,
    /// Models and credentials.
    pub additions: Arc<dyn Registry<Addition>>,
    /// Contracts of tools.
    pub contracts: Arc<dyn Registry<ToolContract>>,
    /// Calls that wait for somebody to let them pass.
    pub approvals: Arc<dyn Registry<Approval>>,
    /// How users sign in.
    pub logins: Arc<dyn Registry<Login>>,
    /// What the authorization server signs with.
    pub signing_keys: Arc<dyn Registry<SigningKey>>,
    /// What lasts for a while only, in the same database: sessions and grants.
    pub shelf: Arc<dyn Shelf>,
}

impl std::fmt::Debug for Registries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registries")
    }
}

impl Registries {
    fn of<R>(registry: R, shelf: Arc<dyn Shelf>) -> Self
    where
        R: Registry<Holder> + Registry<Addition> + Registry<ToolContract> + Registry<Approval>,
        R: Registry<Login> + Registry<SigningKey> + 'static,
    {
        let registry = Arc::new(registry);
        Self {
            holders: Arc::clone(&registry) as Arc<_>,
            additions: Arc::clone(&registry) as Arc<_>,
            contracts: Arc::clone(&registry) as Arc<_>,
            approvals: Arc::clone(&registry) as Arc<_>,
            logins: Arc::clone(&registry) as Arc<_>,
            signing_keys: registry,
            shelf,
        }
    }
}

/// Opens the registries at `url`, a PostgreSQL address, or in the file `tollgate.sqlite` in `data_dir`.
pub async fn open_registry(url: Option<&str>, data_dir: &Path) -> Result<Registries, StoreError> {
    Ok(match url {
        Some(url) => {
            let registry = PostgresRegistry::open(url).await?;
            let shelf = Arc::new(PostgresShelf::over(registry.pool().clone()));
            Registries::of(registry, shelf)
        }
        None => {
            let registry = SqliteRegistry::open(&data_dir.join("tollgate.sqlite")).await?;
            let shelf = Arc::new(SqliteShelf::over(registry.pool().clone()));
            Registries::of(registry, shelf)
        }
    })
}

/// How many changes are read at once: a start with many holders must not hold all of their rows beside the holders.
const PART: i64 = 2_000;

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
    &[
        // Models and credentials, in the same form as holders and in the same order of changes. A table of their own: a
        // version that does not know them does not read them.
        "CREATE TABLE additions (
        kind TEXT NOT NULL, id TEXT NOT NULL, change BIGINT NOT NULL UNIQUE, document TEXT, hash TEXT UNIQUE,
        PRIMARY KEY (kind, id))",
    ],
    &[
        // Contracts of tools, and calls that wait for an approval, in the same form.
        "CREATE TABLE contracts (
        kind TEXT NOT NULL, id TEXT NOT NULL, change BIGINT NOT NULL UNIQUE, document TEXT, hash TEXT UNIQUE,
        PRIMARY KEY (kind, id))",
        "CREATE TABLE approvals (
        kind TEXT NOT NULL, id TEXT NOT NULL, change BIGINT NOT NULL UNIQUE, document TEXT, hash TEXT UNIQUE,
        PRIMARY KEY (kind, id))",
    ],
    &[
        // How users sign in, and what the authorization server signs with, in the same form.
        "CREATE TABLE logins (
        kind TEXT NOT NULL, id TEXT NOT NULL, change BIGINT NOT NULL UNIQUE, document TEXT, hash TEXT UNIQUE,
        PRIMARY KEY (kind, id))",
        "CREATE TABLE signing_keys (
        kind TEXT NOT NULL, id TEXT NOT NULL, change BIGINT NOT NULL UNIQUE, document TEXT, hash TEXT UNIQUE,
        PRIMARY KEY (kind, id))",
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
