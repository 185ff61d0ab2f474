//! The one text of both backends.

/// Defines the registry `$name` over a pool of connections to `$database`.
macro_rules! registry {
    ($name:ident, $database:ty, $pool:ty) => {
        use sqlx::Row;
        use tollgate_core::document::DocumentRef;
        use tollgate_core::ports::{Change, KeepError, Keeping, Registry, Stored};
        use tollgate_core::query::Answering;

        use super::table::{Table, stored};
        use super::{MIGRATIONS, PART, keep_error};

        /// A registry in this kind of database.
        #[derive(Clone, Debug)]
        pub struct $name {
            pool: $pool,
        }

        type Transaction = sqlx::Transaction<'static, $database>;

        /// What a change expects of the row before it.
        struct Written<'a, D: Table> {
            name: &'a DocumentRef<D::Kind>,
            document: Option<String>,
            unique: Option<String>,
            expected: Option<Change>,
        }

        impl $name {
            /// Brings the tables to the newest form. Instances that start at once wait for each other.
            async fn migrate(&self) -> Result<(), StoreError> {
                let mut all = self.begin().await?;
                sqlx::query("CREATE TABLE IF NOT EXISTS migrations (step BIGINT PRIMARY KEY)")
                    .execute(&mut *all)
                    .await?;
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
                    sqlx::query("INSERT INTO migrations (step) VALUES ($1)")
                        .bind(step)
                        .execute(&mut *all)
                        .await?;
                }
                Ok(all.commit().await?)
            }

            async fn read_after<D: Table>(&self, change: Change) -> Result<Vec<Stored<D>>, StoreError> {
                let after = i64::try_from(change).unwrap_or(i64::MAX);
                let rows = sqlx::query(D::READ).bind(after).bind(PART).fetch_all(&self.pool).await?;
                let rows = rows.iter().map(|row| {
                    let (kind, id): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                    stored(&kind, &id, row.try_get(2)?, row.try_get::<Option<String>, _>(3)?.as_deref())
                });
                rows.collect()
            }

            async fn write<D: Table>(&self, row: Written<'_, D>) -> Result<Change, StoreError> {
                let mut all = self.begin().await?;
                let counted = sqlx::query("UPDATE last_change SET number = number + 1 RETURNING number")
                    .fetch_one(&mut *all)
                    .await?;
                let change: i64 = counted.try_get(0)?;
                let text = if row.expected.is_none() { D::MAKE } else { D::REPLACE };
                let kind = tollgate_core::document::Kind::word(row.name.kind);
                let query = sqlx::query(text)
                    .bind(kind)
                    .bind(&*row.name.id)
                    .bind(change)
                    .bind(row.document)
                    .bind(row.unique);
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

        impl<D: Table> Registry<D> for $name {
            fn changed_after(&self, change: Change) -> Answering<'_, Vec<Stored<D>>> {
                Box::pin(async move { Ok(self.read_after(change).await?) })
            }

            fn keep<'a>(&'a self, document: &'a D, expected: Option<Change>) -> Keeping<'a> {
                Box::pin(async move {
                    let text = serde_json::to_string(document)
                        .map_err(|error| KeepError::Away(error.to_string()))?;
                    let (name, unique) = (document.document(), document.unique());
                    let row = Written::<D> { name: &name, document: Some(text), unique, expected };
                    self.write(row).await.map_err(keep_error)
                })
            }

            fn remove<'a>(&'a self, name: &'a DocumentRef<D::Kind>, expected: Change) -> Keeping<'a> {
                Box::pin(async move {
                    let row = Written::<D> { name, document: None, unique: None, expected: Some(expected) };
                    self.write(row).await.map_err(keep_error)
                })
            }
        }
    };
}

pub(crate) use registry;
