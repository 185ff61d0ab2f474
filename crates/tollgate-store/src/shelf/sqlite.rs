//! Documents in the registry's SQLite file: for one instance, which shares them with itself after a restart.

use jiff::Timestamp;
use sqlx::{Row, SqlitePool};
use tollgate_core::ports::{Documents, Rewritten, Shelf};
use tollgate_core::query::Answering;

use super::Swept;
use crate::StoreError;

/// Documents in SQLite.
#[derive(Debug)]
pub struct SqliteShelf {
    pool: SqlitePool,
    swept: Swept,
}

/// One document, as far as it is still what was read.
const REWRITE: &str = "UPDATE shared SET version = version + 1, text = $3, ends = COALESCE($4, ends)
    WHERE name = $1 AND version = $2";

/// One that is not there yet.
const MAKE: &str =
    "INSERT INTO shared (name, version, text, ends) VALUES ($1, 1, $2, $3) ON CONFLICT (name) DO NOTHING";

impl SqliteShelf {
    /// Over the registry's connections.
    pub(crate) const fn over(pool: SqlitePool) -> Self {
        Self { pool, swept: Swept::never() }
    }

    /// Removes what is of no use any more, now and then.
    async fn sweep(&self) -> Result<(), StoreError> {
        let Some(before) = self.swept.due() else { return Ok(()) };
        let text = "DELETE FROM shared WHERE ends < $1";
        sqlx::query(text).bind(before).execute(&self.pool).await?;
        Ok(())
    }

    async fn read_all(&self, names: &[String]) -> Result<Documents, StoreError> {
        let mut each = Vec::with_capacity(names.len());
        for name in names {
            let query = sqlx::query("SELECT version, text FROM shared WHERE name = $1").bind(name);
            each.push(match query.fetch_optional(&self.pool).await? {
                Some(row) => {
                    let version = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
                    (version, row.try_get::<Option<String>, _>(1)?)
                }
                None => (0, None),
            });
        }
        Ok(Documents { now: Timestamp::now(), life: String::new(), each })
    }

    async fn write_all(&self, documents: &[Rewritten]) -> Result<Vec<bool>, StoreError> {
        self.sweep().await?;
        let mut all = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let mut written = Vec::with_capacity(documents.len());
        for document in documents {
            let ends = document.ends.map(Timestamp::as_millisecond);
            let query = if document.version == 0 {
                sqlx::query(MAKE).bind(&document.name).bind(&document.text).bind(ends)
            } else {
                let version = i64::try_from(document.version).unwrap_or(i64::MAX);
                sqlx::query(REWRITE).bind(&document.name).bind(version).bind(&document.text).bind(ends)
            };
            written.push(query.execute(&mut *all).await?.rows_affected() == 1);
        }
        all.commit().await?;
        Ok(written)
    }

    async fn names_naming(&self, who: &str) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT name FROM shared WHERE INSTR(text, $1) > 0")
            .bind(super::quoted(who))
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, sqlx::Error>>()?)
    }
}

impl Shelf for SqliteShelf {
    fn read<'a>(&'a self, names: &'a [String]) -> Answering<'a, Documents> {
        Box::pin(async move { Ok(self.read_all(names).await?) })
    }

    fn write<'a>(&'a self, documents: &'a [Rewritten]) -> Answering<'a, Vec<bool>> {
        Box::pin(async move { Ok(self.write_all(documents).await?) })
    }

    fn naming<'a>(&'a self, who: &'a str) -> Answering<'a, Vec<String>> {
        Box::pin(async move { Ok(self.names_naming(who).await?) })
    }
}
