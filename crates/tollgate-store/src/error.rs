//! Why the index does not answer.

use tollgate_core::query::QueryError;

/// Why the index does not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no.
    #[error("the index: {0}")]
    Database(#[from] sqlx::Error),
    /// Somebody else has loaded the same entries.
    #[error("the index: entries of {instance} were loaded by somebody else meanwhile")]
    Conflict {
        /// Whose entries.
        instance: String,
    },
    /// The address is none.
    #[error("the index: {0} (postgres://USER:PASSWORD@HOST/DATABASE is expected)")]
    Address(String),
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}
