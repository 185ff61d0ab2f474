//! Why a database does not answer.

use tollgate_core::query::QueryError;

/// Why a database does not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// Somebody else has loaded the same entries.
    #[error("the index: entries of {instance} were loaded by somebody else meanwhile")]
    Conflict {
        /// Whose entries.
        instance: String,
    },
    /// Valkey or Redis said no.
    #[error("what instances share: {0}")]
    Shared(#[from] redis::RedisError),
    /// What was to be changed is not what it was thought to be.
    #[error("it was changed meanwhile")]
    Stale,
    /// A later version has changed the tables.
    #[error("the database was made by a later version of Tollgate; this one cannot use it")]
    Newer,
    /// What is kept cannot be understood.
    #[error("the database: the {what} cannot be read: {why}")]
    Unreadable {
        /// What.
        what: String,
        /// Why not.
        why: String,
    },
    /// The address is none.
    #[error("the database: {0} (postgres://USER:PASSWORD@HOST/DATABASE is expected)")]
    Address(String),
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}
