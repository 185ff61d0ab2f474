//! The index in PostgreSQL, in a schema of its own, shared by all instances.

use std::str::FromStr;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::StoreError;

/// The schema: nothing else in the database is touched.
const SCHEMA: &str = "tollgate_index";

crate::backend::backend!(Postgres, sqlx::Postgres, PgPool);
crate::spend::backend::spend!(Postgres, sqlx::Postgres);

impl Postgres {
    /// Opens the database at `url`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(|e| StoreError::Address(e.to_string()))?;
        let options = options.options([("search_path", SCHEMA)]).application_name("tollgate");
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(options)
            .await?;
        let mut connection = pool.acquire().await?;
        // Two instances that start at once would both try.
        let mut all = sqlx::Connection::begin(&mut *connection).await?;
        if let Some(lock) = Self::ONE_AT_A_TIME {
            sqlx::query(lock).execute(&mut *all).await?;
        }
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {SCHEMA}")))
            .execute(&mut *all)
            .await?;
        all.commit().await?;
        drop(connection);
        let store = Self { pool };
        store.prepare().await?;
        Ok(store)
    }

    /// A table has no order of its own.
    const CLUSTERED: &str = "";

    const TABLES: &str = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'tollgate_index'";

    /// Held until the transaction ends, by whoever makes tables.
    const ONE_AT_A_TIME: Option<&str> = Some("SELECT pg_advisory_xact_lock(7355608110011)");
}
