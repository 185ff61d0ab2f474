//! Documents in PostgreSQL, in the registry's schema.

use jiff::Timestamp;
use sqlx::{PgPool, Row};
use tollgate_core::ports::{Documents, Rewritten, Shelf};
use tollgate_core::query::Answering;

use super::Swept;
use crate::StoreError;
use crate::registry::PostgresRegistry;

/// Documents in PostgreSQL.
#[derive(Debug)]
pub struct PostgresShelf {
    pool: PgPool,
    swept: Swept,
}

/// All of the documents at once; what is not there yet is made.
const WRITE: &str = "
WITH given AS (
    SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::text[], $4::bigint[]) AS given (name, version, text, ends)
), changed AS (
    UPDATE shared SET version = shared.version + 1, text = given.text, ends = COALESCE(given.ends, shared.ends)
    FROM given WHERE shared.name = given.name AND shared.version = given.version
    RETURNING shared.name
), made AS (
    INSERT INTO shared (name, version, text, ends) SELECT name, 1, text, ends FROM given WHERE version = 0 ORDER BY name
    ON CONFLICT (name) DO NOTHING RETURNING name
)
SELECT name FROM changed UNION ALL SELECT name FROM made";

impl PostgresShelf {
    /// Opens the database at `url`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let shelf = Self::over(PostgresRegistry::open(url).await?.pool().clone());
        shelf.sweep().await?;
        Ok(shelf)
    }

    /// Over the registry's connections.
    pub(crate) const fn over(pool: PgPool) -> Self {
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
        let text = "SELECT COALESCE(shared.version, 0), shared.text,
                (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint
            FROM UNNEST($1::text[]) WITH ORDINALITY AS asked (name, place)
            LEFT JOIN shared ON shared.name = asked.name ORDER BY asked.place";
        let rows = sqlx::query(text).bind(names).fetch_all(&self.pool).await?;
        let now = rows.first().map(|row| row.try_get::<i64, _>(2)).transpose()?.unwrap_or_default();
        let each = rows.iter().map(|row| {
            let version = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
            Ok((version, row.try_get::<Option<String>, _>(1)?))
        });
        Ok(Documents {
            now: Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX),
            // What was committed is never forgotten.
            life: String::new(),
            each: each.collect::<Result<_, sqlx::Error>>()?,
        })
    }

    async fn write_all(&self, documents: &[Rewritten]) -> Result<Vec<bool>, StoreError> {
        self.sweep().await?;
        let mut all = self.pool.begin().await?;
        let names: Vec<&str> = documents.iter().map(|document| document.name.as_str()).collect();
        if names.len() > 1 {
            // In one order for all instances, so that none waits for one that waits for it.
            sqlx::query("SELECT name FROM shared WHERE name = ANY($1) ORDER BY name FOR UPDATE")
                .bind(&names)
                .execute(&mut *all)
                .await?;
        }
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let versions: Vec<i64> = documents.iter().map(|document| number(document.version)).collect();
        let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
        let ends: Vec<Option<i64>> =
            documents.iter().map(|document| document.ends.map(Timestamp::as_millisecond)).collect();
        let rows = sqlx::query(WRITE).bind(&names).bind(versions).bind(texts).bind(ends);
        let rows = rows.fetch_all(&mut *all).await?;
        all.commit().await?;
        let written = rows.iter().map(|row| row.try_get::<String, _>(0));
        let written: std::collections::HashSet<String> = written.collect::<Result<_, _>>()?;
        Ok(names.iter().map(|name| written.contains(*name)).collect())
    }

    async fn names_naming(&self, who: &str) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT name, text FROM shared WHERE POSITION($1 IN text) > 0")
            .bind(super::quoted(who))
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, sqlx::Error>>()?)
    }
}

impl Shelf for PostgresShelf {
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
