//! Adding up spend, and answering for it: the one text of both backends.

/// Defines how the index `$name` over a `$database` adds up spend and answers for it. It stands beside `backend!`.
macro_rules! spend {
    ($name:ident, $database:ty) => {
        use crate::spend;

        impl $name {
            /// Adds up what `batch` spent, where that was not done before: an index that is made anew takes the same
            /// entries once more.
            async fn load_spend(&self, all: &mut Transaction, batch: &Batch) -> Result<(), StoreError> {
                let number = |position: Position| i64::try_from(position).unwrap_or(i64::MAX);
                let row = sqlx::query("SELECT seq FROM spend_positions WHERE instance = $1").bind(&batch.instance).fetch_optional(&mut **all).await?;
                let counted: i64 = row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
                let counted = Position::try_from(counted).unwrap_or(0);
                if batch.to <= counted {
                    return Ok(());
                }
                sqlx::query("INSERT INTO spend_positions (instance, seq) VALUES ($1, $2) ON CONFLICT (instance) DO UPDATE SET seq = excluded.seq").bind(&batch.instance).bind(number(batch.to)).execute(&mut **all).await?;
                let told_apart = self.told_apart(all, spend::words(batch, counted)).await?;
                self.add_spend(all, spend::ALL, &spend::added(batch, counted, &told_apart)).await?;
                let labelled = spend::added_labelled(batch, counted, &told_apart);
                self.add_spend(all, spend::LABELLED, &labelled).await
            }

            /// Adds `rows` to a table.
            async fn add_spend(&self, all: &mut Transaction, (table, key): spend::Target, rows: &[spend::Added<'_>]) -> Result<(), StoreError> {
                const AMOUNTS: [&str; 6] = ["calls", "failed_calls", "input_tokens", "output_tokens", "cost_nano_usd", "unpriced_calls"];
                let key = key.join(", ");
                let sums = AMOUNTS.map(|column| format!("{column} = {table}.{column} + excluded.{column}")).join(", ");
                for rows in rows.chunks(ROWS) {
                    let mut insert = QueryBuilder::<$database>::new(format!("INSERT INTO {table} ({key}, {}) ", AMOUNTS.join(", ")));
                    insert.push_values(rows, |mut values, (key, amounts)| {
                        for text in key {
                            values.push_bind(*text);
                        }
                        values
                            .push_bind(amounts.calls).push_bind(amounts.failed_calls)
                            .push_bind(amounts.input_tokens).push_bind(amounts.output_tokens)
                            .push_bind(amounts.cost_nano_usd).push_bind(amounts.unpriced_calls);
                    });
                    insert.push(format!(" ON CONFLICT ({key}) DO UPDATE SET {sums}"));
                    insert.build().execute(&mut **all).await?;
                }
                Ok(())
            }

            /// Of `words`, by month and kind, those that are told apart from now on: the ones that are already, and new
            /// ones while there is room.
            async fn told_apart<'a>(&self, all: &mut Transaction, words: spend::Words<'a>) -> Result<spend::ToldApart<'a>, StoreError> {
                let mut told_apart = BTreeMap::new();
                for ((month, kind), words) in words {
                    let words: Vec<&str> = words.into_iter().collect();
                    let mut known = self.known_words(all, (month, kind), &words).await?;
                    let new: Vec<&str> = words.into_iter().filter(|word| !known.contains(*word)).collect();
                    for word in self.take_words(all, (month, kind), &new).await? {
                        known.insert((*word).to_owned());
                    }
                    told_apart.insert((month, kind), known);
                }
                Ok(told_apart)
            }

            async fn known_words(&self, all: &mut Transaction, (month, kind): (&str, &str), words: &[&str]) -> Result<BTreeSet<String>, StoreError> {
                let mut known = BTreeSet::new();
                for words in words.chunks(ROWS) {
                    let mut select = QueryBuilder::<$database>::new("SELECT word FROM spend_words WHERE month = ");
                    select.push_bind(month).push(" AND kind = ").push_bind(kind).push(" AND word IN (");
                    let mut list = select.separated(", ");
                    for word in words {
                        list.push_bind(*word);
                    }
                    select.push(")");
                    for row in select.build().fetch_all(&mut **all).await? {
                        known.insert(row.try_get(0)?);
                    }
                }
                Ok(known)
            }

            /// Takes as many of `new` as there is room for, and returns them.
            async fn take_words<'a, 'b>(&self, all: &mut Transaction, (month, kind): (&str, &str), new: &'b [&'a str]) -> Result<&'b [&'a str], StoreError> {
                if new.is_empty() {
                    return Ok(new);
                }
                let row = sqlx::query("SELECT COUNT(*) FROM spend_words WHERE month = $1 AND kind = $2").bind(month).bind(kind).fetch_one(&mut **all).await?;
                let count = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
                let taken = &new[..spend::MOST_WORDS.saturating_sub(count).min(new.len())];
                for words in taken.chunks(ROWS) {
                    let mut insert = QueryBuilder::<$database>::new("INSERT INTO spend_words (month, kind, word) ");
                    insert.push_values(words, |mut values, word| {
                        values.push_bind(month).push_bind(kind).push_bind(*word);
                    });
                    insert.push(" ON CONFLICT DO NOTHING");
                    insert.build().execute(&mut **all).await?;
                }
                Ok(taken)
            }

            async fn find_spend(&self, filter: &SpendFilter) -> Result<Spend, StoreError> {
                let by: Vec<_> = filter.by.each().collect();
                let limit = filter.limit() as usize;
                let mut rows = if by.is_empty() { Vec::new() } else { self.spend_rows(filter, &by, limit + 1).await? };
                let truncated = rows.len() > limit;
                let total = match spend::total(&by, &rows).filter(|_| !truncated) {
                    Some(total) => total,
                    None => self.spend_rows(filter, &[], 1).await?.pop().unwrap_or_default(),
                };
                rows.truncate(limit);
                Ok(Spend { rows, truncated, total })
            }

            async fn spend_rows(&self, filter: &SpendFilter, by: &[Dimension], limit: usize) -> Result<Vec<SpendRow>, StoreError> {
                let columns: Vec<&str> = by.iter().copied().map(spend::column).collect();
                let sums = spend::SUMS;
                let mut select = QueryBuilder::<$database>::new("SELECT ");
                for column in &columns {
                    select.push(*column).push(", ");
                }
                select.push(sums).push(" FROM ").push(spend::table(by)).push(" WHERE 1 = 1");
                for (what, value) in spend::conditions(filter, by) {
                    select.push(" AND ").push(what).push_bind(value);
                }
                if !by.is_empty() {
                    select.push(" GROUP BY ").push(columns.join(", ")).push(" ORDER BY ").push(spend::order(by));
                }
                select.push(" LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
                let rows = select.build().fetch_all(&self.pool).await?;
                Ok(rows.iter().map(|row| spend_row(row, by)).collect::<Result<_, _>>()?)
            }
        }

        fn spend_row(row: &DbRow, by: &[Dimension]) -> Result<SpendRow, sqlx::Error> {
            let mut answer = SpendRow::default();
            for (at, dimension) in by.iter().enumerate() {
                *answer.place(*dimension) = Some(row.try_get(at)?);
            }
            let sum = |at: usize| row.try_get(by.len() + at);
            (answer.calls, answer.failed_calls) = (sum(0)?, sum(1)?);
            (answer.input_tokens, answer.output_tokens) = (sum(2)?, sum(3)?);
            (answer.cost_nano_usd, answer.unpriced_calls) = (sum(4)?, sum(5)?);
            Ok(answer)
        }
    };
}

pub(crate) use spend;
