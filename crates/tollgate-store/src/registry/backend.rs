//! The one text of both backends.

/// Defines the registry `$name` over a pool of connections to `$database`.
macro_rules! registry {
    ($name:ident, $database:ty, $pool:ty) => {
        use sqlx::Row;
        use tollgate_core::access::{Holder, HolderRef};
        use tollgate_core::ports::{Change, Keeping, Registry, Stored};
        use tollgate_core::query::Answering;

        use super::{MIGRATIONS, PART, keep_error, stored};

        /// A registry in this kind of database.
        #[derive(Clone, Debug)]
        pub struct $name {
            pool: $pool,
        }

        type Transaction = sqlx::Transaction<'static, $database>;

        /// What a change expects of the row before it.
        struct Written<'a> {
            name: &'a HolderRef,
            document: Option<String>,
            hash: Option<String>,
            expected: Option<Change>,
        }

        impl $name {
            /// Brings the tables to the newest form. Instances that start at once wait for each other.
            async fn migrate(&self) -> Result<(), StoreError> {
                let mut all = self.begin().await?;
                sqlx::query("CREATE TABLE IF NOT EXISTS migrations (step BIGINT PRIMARY KEY)").execute(&mut *all).await?;
                let row = sqlx::query("SELECT COUNT(*) FROM migrations").fetch_one(&mut *all).await?;
                let done = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
                if done > MIGRATIONS.len() {
                    return Err(StoreError::Newer);
                }
                for (step, statements) in MIGRATIONS.iter().enumerate().skip(done) {
                    for statement in *statements {
                        sqlx::query(*statement).execute(&mut *all).await?;
                    }
                    let step = i64::try_from(step).unwrap_or(i64::MAX);
                    sqlx::query("INSERT INTO migrations (step) VALUES ($1)").bind(step).execute(&mut *all).await?;
                }
                Ok(all.commit().await?)
            }

            async fn read_after(&self, change: Change) -> Result<Vec<Stored>, StoreError> {
                let after = i64::try_from(change).unwrap_or(i64::MAX);
                let text = "SELECT kind, id, change, document FROM holders WHERE change > $1 ORDER BY change LIMIT $2";
                let rows = sqlx::query(text).bind(after).bind(PART).fetch_all(&self.pool).await?;
                let rows = rows.iter().map(|row| {
                    let (kind, id): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                    stored(&kind, &id, row.try_get(2)?, row.try_get::<Option<String>, _>(3)?.as_deref())
                });
                rows.collect()
            }

            async fn write(&self, row: Written<'_>) -> Result<Change, StoreError> {
                let mut all = self.begin().await?;
                let counted = sqlx::query("UPDATE last_change SET number = number + 1 RETURNING number").fetch_one(&mut *all).await?;
                let change: i64 = counted.try_get(0)?;
                let text = match row.expected {
                    // A name that was removed may be given again.
                    None => "INSERT INTO holders (kind, id, change, document, hash) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (kind, id) DO UPDATE SET change = excluded.change, document = excluded.document, hash = excluded.hash WHERE holders.document IS NULL",
                    Some(_) => "UPDATE holders SET change = $3, document = $4, hash = $5 WHERE kind = $1 AND id = $2 AND change = $6 AND document IS NOT NULL",
                };
                let query = sqlx::query(text).bind(row.name.kind.name()).bind(&*row.name.id).bind(change).bind(row.document).bind(row.hash);
                let query = match row.expected {
                    None => query,
                    Some(expected) => query.bind(i64::try_from(expected).unwrap_or(i64::MAX)),
                };
                if query.execute(&mut *all).await?.rows_affected() != 1 {
                    return Err(StoreError::Stale);
                }
                all.commit().await?;
                Ok(Change::try_from(change).unwrap_or(0))
            }
        }

        impl Registry for $name {
            fn changed_after(&self, change: Change) -> Answering<'_, Vec<Stored>> {
                Box::pin(async move { Ok(self.read_after(change).await?) })
            }

            fn keep<'a>(&'a self, holder: &'a Holder, expected: Option<Change>) -> Keeping<'a> {
                Box::pin(async move {
                    let document = serde_json::to_string(holder).map_err(|error| tollgate_core::ports::KeepError::Away(error.to_string()))?;
                    let hash = holder.as_key().map(|key| key.hash.to_string());
                    let row = Written { name: &holder.name(), document: Some(document), hash, expected };
                    self.write(row).await.map_err(keep_error)
                })
            }

            fn remove<'a>(&'a self, holder: &'a HolderRef, expected: Change) -> Keeping<'a> {
                Box::pin(async move {
                    let row = Written { name: holder, document: None, hash: None, expected: Some(expected) };
                    self.write(row).await.map_err(keep_error)
                })
            }
        }
    };
}

pub(crate) use registry;
