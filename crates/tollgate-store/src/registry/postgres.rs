//! The registry in PostgreSQL, in a schema of its own, shared by all instances.

use std::str::FromStr;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::StoreError;

crate::registry::backend::registry!(PostgresRegistry, sqlx::Postgres, PgPool);

/// The schema: nothing else in the database is touched.
const SCHEMA: &str = "tollgate";

impl PostgresRegistry {
    /// Opens the database at `url`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(|e| StoreError::Address(e.to_string()))?;
        let options = options.options([("search_path", SCHEMA)]).application_name("tollgate");
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(3))
            .connect_with(options)
            .await?;
        let registry = Self { pool };
        let mut all = registry.begin().await?;
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {SCHEMA}")))
            .execute(&mut *all)
            .await?;
        all.commit().await?;
        registry.migrate().await?;
        Ok(registry)
    }

    /// The connections, for what else is kept in the same schema.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A transaction that writes: one at a time, so that changes become visible in the order of their numbers, and
    /// tables are made once.
    async fn begin(&self) -> Result<Transaction, StoreError> {
        let mut all = self.pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock(7355608110012)").execute(&mut *all).await?;
        Ok(all)
    }
}
