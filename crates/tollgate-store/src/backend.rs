//! The one text of both backends: the same tables and the same statements, for two types of connection.

/// Defines the index `$name` over a pool of connections to `$database`.
macro_rules! backend {
    ($name:ident, $database:ty, $pool:ty) => {
        use std::collections::{BTreeMap, BTreeSet};

        use jiff::Timestamp;
        use sqlx::{AssertSqlSafe, QueryBuilder, Row};
        use tollgate_core::call::CallId;
        use tollgate_core::ports::Position;
        use tollgate_core::query::{
            Answering, CallFilter, CallPage, CallRow, CallStory, Dimension, Records, Spend, SpendFilter, SpendRow, TraceStory,
        };

        use crate::month::Month;
        use crate::row::{Batch, Call};
        use crate::{Index, questions, schema};

        /// An index in this kind of database.
        #[derive(Clone, Debug)]
        pub struct $name {
            pool: $pool,
        }

        type Transaction = sqlx::Transaction<'static, $database>;
        type DbRow = <$database as sqlx::Database>::Row;

        /// Rows of one statement.
        const ROWS: usize = 100;

        /// Calls of a trace that are answered at most.
        const MOST_OF_TRACE: usize = 500;

        const COLUMNS: &str = "call_id, instance, at, principal_kind, principal, surface, model, deployment, outcome, status, fault, input_tokens, output_tokens, cost_nano_usd, duration_us, attempts, trace_id, user_id, team, tool";

        impl $name {
            async fn prepare(&self) -> Result<(), StoreError> {
                let mut all = self.begin_making().await?;
                for statement in schema::fixed(Self::CLUSTERED) {
                    sqlx::query(AssertSqlSafe(statement)).execute(&mut *all).await?;
                }
                let version = sqlx::query("SELECT value FROM meta WHERE name = 'version'").fetch_optional(&mut *all).await?;
                let version = version.map(|row| row.try_get::<String, _>(0)).transpose()?;
                if version.as_deref() != Some(schema::VERSION) {
                    if version.is_some() {
                        self.drop_tables(&mut all, |_| true).await?;
                        for statement in schema::POSITIONS {
                            sqlx::query(*statement).execute(&mut *all).await?;
                        }
                    }
                    sqlx::query("INSERT INTO meta (name, value) VALUES ('version', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value").bind(schema::VERSION).execute(&mut *all).await?;
                }
                Ok(all.commit().await?)
            }

            /// A transaction that makes or drops tables.
            async fn begin_making(&self) -> Result<Transaction, StoreError> {
                let mut all = self.pool.begin().await?;
                if let Some(lock) = Self::ONE_AT_A_TIME {
                    sqlx::query(lock).execute(&mut *all).await?;
                }
                Ok(all)
            }

            async fn tables(&self) -> Result<Vec<String>, StoreError> {
                let rows = sqlx::query(Self::TABLES).fetch_all(&self.pool).await?;
                Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
            }

            /// The months there are, the latest first.
            async fn months(&self) -> Result<Vec<Month>, StoreError> {
                let tables = self.tables().await?;
                let calls = tables.iter().filter(|name| name.starts_with("calls_"));
                let months: BTreeSet<Month> = calls.filter_map(|name| Month::of_table(name)).collect();
                Ok(months.into_iter().rev().collect())
            }

            async fn make_months(&self, months: &BTreeSet<Month>) -> Result<(), StoreError> {
                let known = self.months().await?;
                for month in months.iter().filter(|month| !known.contains(month)) {
                    let mut all = self.begin_making().await?;
                    for statement in schema::monthly(*month) {
                        sqlx::query(AssertSqlSafe(statement)).execute(&mut *all).await?;
                    }
                    all.commit().await?;
                }
                Ok(())
            }

            async fn drop_tables(&self, all: &mut Transaction, which: impl Fn(Month) -> bool) -> Result<usize, StoreError> {
                let rows = sqlx::query(Self::TABLES).fetch_all(&mut **all).await?;
                let mut dropped = BTreeSet::new();
                for row in rows {
                    let table: String = row.try_get(0)?;
                    let Some(month) = Month::of_table(&table).filter(|month| which(*month)) else { continue };
                    if schema::MONTHLY.iter().any(|known| table.strip_prefix(known).is_some_and(|rest| rest.starts_with('_'))) {
                        sqlx::query(AssertSqlSafe(format!("DROP TABLE {table}"))).execute(&mut **all).await?;
                        dropped.insert(month);
                    }
                }
                Ok(dropped.len())
            }

            /// Drops every month, and what the statements `forget` say.
            async fn drop_all(&self, forget: &[&'static str]) -> Result<(), StoreError> {
                let mut all = self.begin_making().await?;
                self.drop_tables(&mut all, |_| true).await?;
                for statement in forget {
                    sqlx::query(*statement).execute(&mut *all).await?;
                }
                Ok(all.commit().await?)
            }

            async fn read_position(&self, instance: &str) -> Result<Position, StoreError> {
                let row = sqlx::query("SELECT seq FROM positions WHERE instance = $1").bind(instance).fetch_optional(&self.pool).await?;
                let seq: i64 = row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
                Ok(Position::try_from(seq).unwrap_or(0))
            }

            async fn load_batch(&self, mut batch: Batch) -> Result<(), StoreError> {
                let of_call = |id: &str| Month::of_call(id).unwrap_or_else(|| Month::of(Timestamp::UNIX_EPOCH));
                let mut calls: BTreeMap<Month, Vec<Call>> = BTreeMap::new();
                for (id, call) in std::mem::take(&mut batch.calls) {
                    calls.entry(of_call(&id)).or_default().push(call);
                }
                let mut months: BTreeSet<Month> = calls.keys().copied().collect();
                months.extend(batch.events.iter().map(|event| event.month));
                self.make_months(&months).await?;
                let mut all = self.pool.begin().await?;
                self.advance(&mut all, &batch).await?;
                for month in months {
                    let mut calls = calls.remove(&month).unwrap_or_default().into_iter();
                    while calls.len() > 0 {
                        insert_calls(month, calls.by_ref().take(ROWS)).build().execute(&mut *all).await?;
                    }
                    let tools: Vec<_> = batch.tools.iter().filter(|tool| of_call(&tool.call_id) == month).collect();
                    for rows in tools.chunks(ROWS) {
                        let mut insert = QueryBuilder::<$database>::new(format!("INSERT INTO tools_{month} (tenant, tool_call_id, role, call_id, name) "));
                        insert.push_values(rows, |mut row, tool| {
                            row.push_bind(&tool.tenant).push_bind(&tool.tool_call_id).push_bind(tool.role).push_bind(&tool.call_id).push_bind(&tool.name);
                        });
                        insert.push(" ON CONFLICT DO NOTHING");
                        insert.build().execute(&mut *all).await?;
                    }
                    let events: Vec<_> = batch.events.iter().filter(|event| event.month == month).collect();
                    for rows in events.chunks(ROWS) {
                        let mut insert = QueryBuilder::<$database>::new(format!("INSERT INTO events_{month} (instance, seq, at, event, entry) "));
                        insert.push_values(rows, |mut row, event| {
                            row.push_bind(&batch.instance).push_bind(i64::try_from(event.seq).unwrap_or(i64::MAX)).push_bind(&event.at).push_bind(&event.event).push_bind(&event.entry);
                        });
                        insert.push(" ON CONFLICT DO NOTHING");
                        insert.build().execute(&mut *all).await?;
                    }
                }
                self.load_spend(&mut all, &batch).await?;
                Ok(all.commit().await?)
            }

            /// Moves the position, from where this batch begins and from nowhere else: whoever comes second changes
            /// nothing.
            async fn advance(&self, all: &mut Transaction, batch: &Batch) -> Result<(), StoreError> {
                let number = |position: Position| i64::try_from(position).unwrap_or(i64::MAX);
                sqlx::query("INSERT INTO positions (instance, seq) VALUES ($1, 0) ON CONFLICT (instance) DO NOTHING").bind(&batch.instance).execute(&mut **all).await?;
                let moved = sqlx::query("UPDATE positions SET seq = $1 WHERE instance = $2 AND seq = $3").bind(number(batch.to)).bind(&batch.instance).bind(number(batch.after)).execute(&mut **all).await?;
                if moved.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Conflict { instance: batch.instance.clone() }) }
            }

            async fn find_calls(&self, filter: CallFilter) -> Result<CallPage, StoreError> {
                let limit = filter.limit() as usize;
                let mut calls = Vec::new();
                for month in questions::months_of(&filter, self.months().await?) {
                    let mut select = QueryBuilder::<$database>::new(format!("SELECT {COLUMNS} FROM calls_{month} WHERE 1 = 1"));
                    for (what, value) in questions::conditions(&filter) {
                        select.push(" AND ").push(what).push_bind(value);
                    }
                    if let Some(tool) = &filter.tool {
                        select.push(format!(" AND call_id IN (SELECT call_id FROM tools_{month} WHERE role IN ('chosen', 'executed') AND name = ")).push_bind(tool.clone()).push(")");
                    }
                    select.push(" ORDER BY call_id DESC LIMIT ").push_bind(i64::try_from(limit + 1 - calls.len()).unwrap_or(i64::MAX));
                    for row in select.build().fetch_all(&self.pool).await? {
                        calls.push(call_row(&row)?);
                    }
                    if calls.len() > limit {
                        break;
                    }
                }
                let more = calls.len() > limit;
                calls.truncate(limit);
                let next = calls.last().filter(|_| more).map(|call| call.call_id.clone());
                Ok(CallPage { calls, next })
            }

            async fn find_story(&self, id: &str) -> Result<Option<CallStory>, StoreError> {
                let Some(month) = Month::of_call(id) else { return Ok(None) };
                if !self.months().await?.contains(&month) {
                    return Ok(None);
                }
                let text = format!("SELECT call_id, instance, opened, in_between, closed FROM calls_{month} WHERE call_id = $1");
                let row = sqlx::query(AssertSqlSafe(text)).bind(id).fetch_optional(&self.pool).await?;
                Ok(row.map(|row| {
                    Ok::<_, sqlx::Error>(questions::story(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?))
                }).transpose()?)
            }

            async fn find_trace(&self, id: &str) -> Result<Option<TraceStory>, StoreError> {
                let months = self.months().await?;
                let asked_call = id.parse::<CallId>().ok().filter(|_| id.contains('-'));
                let trace_id = match asked_call {
                    None => id.to_owned(),
                    Some(call) => match self.texts(&months, "SELECT trace_id FROM calls_{month} WHERE call_id = $1", &call.to_string()).await?.pop() {
                        Some(trace_id) => trace_id,
                        None => return Ok(None),
                    },
                };
                let mut found: BTreeSet<String> = asked_call.iter().map(CallId::to_string).collect();
                found.extend(self.texts(&months, "SELECT call_id FROM calls_{month} WHERE trace_id = $1", &trace_id).await?);
                // From call to call along the tool calls that one chose and whose result another carries.
                let mut open: Vec<String> = found.iter().cloned().collect();
                while let Some(call) = open.pop() {
                    if found.len() > MOST_OF_TRACE {
                        break;
                    }
                    for tied in self.tied_to(&months, &call).await? {
                        if found.insert(tied.clone()) {
                            open.push(tied);
                        }
                    }
                }
                let truncated = found.len() > MOST_OF_TRACE;
                let mut calls = Vec::new();
                for call in found.into_iter().take(MOST_OF_TRACE) {
                    calls.extend(self.find_story(&call).await?);
                }
                Ok((!calls.is_empty()).then_some(TraceStory { trace_id, calls, truncated }))
            }

            /// The calls that chose what `call` executes or carries the result of, and those that do so with what it chose.
            async fn tied_to(&self, months: &[Month], call: &str) -> Result<Vec<String>, StoreError> {
                let mut tied = Vec::new();
                let Some(own) = Month::of_call(call).filter(|month| months.contains(month)) else { return Ok(tied) };
                let text = format!("SELECT tenant, tool_call_id, role FROM tools_{own} WHERE call_id = $1");
                let rows = sqlx::query(AssertSqlSafe(text)).bind(call).fetch_all(&self.pool).await?;
                for row in rows {
                    let (tenant, id, role): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                    let other = if role == "chosen" { "<>" } else { "=" };
                    for month in months {
                        let text = format!("SELECT call_id FROM tools_{month} WHERE tenant = $1 AND tool_call_id = $2 AND role {other} $3 LIMIT 100");
                        let rows = sqlx::query(AssertSqlSafe(text)).bind(&tenant).bind(&id).bind("chosen").fetch_all(&self.pool).await?;
                        for row in rows {
                            tied.push(row.try_get(0)?);
                        }
                    }
                }
                Ok(tied)
            }

            /// The texts that `select` finds in any month, for one value.
            async fn texts(&self, months: &[Month], select: &str, value: &str) -> Result<Vec<String>, StoreError> {
                let mut texts = Vec::new();
                for month in months {
                    let select = format!("{} LIMIT {}", select.replace("{month}", &month.to_string()), MOST_OF_TRACE + 1);
                    for row in sqlx::query(AssertSqlSafe(select)).bind(value).fetch_all(&self.pool).await? {
                        texts.push(row.try_get(0)?);
                    }
                }
                Ok(texts)
            }
        }

        /// One statement for many calls. What was loaded of a call before stays where this batch says nothing of it.
        fn insert_calls(month: Month, calls: impl Iterator<Item = Call>) -> QueryBuilder<$database> {
            let mut insert = QueryBuilder::<$database>::new(format!("INSERT INTO calls_{month} ({COLUMNS}, opened, in_between, closed) "));
            insert.push_values(calls, |mut values, call| {
                let row = call.row;
                values
                    .push_bind(row.call_id).push_bind(row.instance).push_bind(row.at)
                    .push_bind(row.principal_kind).push_bind(row.principal).push_bind(row.surface)
                    .push_bind(row.model).push_bind(row.deployment).push_bind(row.outcome)
                    .push_bind(row.status).push_bind(row.fault).push_bind(row.input_tokens)
                    .push_bind(row.output_tokens).push_bind(row.cost_nano_usd).push_bind(row.duration_us)
                    .push_bind(row.attempts).push_bind(row.trace_id).push_bind(row.user).push_bind(row.team).push_bind(row.tool)
                    .push_bind(call.opened).push_bind(call.between).push_bind(call.closed);
            });
            insert.push(" ON CONFLICT (call_id) DO UPDATE SET ");
            // A row that holds only an attempt says nothing but that.
            let known = format!("calls_{month}");
            for column in ["principal_kind", "principal", "surface", "model", "deployment", "outcome", "status", "fault", "input_tokens", "output_tokens", "cost_nano_usd", "duration_us", "attempts", "trace_id", "user_id", "team", "tool"] {
                insert.push(format!("{column} = CASE WHEN excluded.closed = '' THEN {known}.{column} ELSE excluded.{column} END, "));
            }
            insert.push(format!(
                "in_between = {known}.in_between || excluded.in_between, closed = CASE WHEN excluded.closed = '' THEN {known}.closed ELSE excluded.closed END"
            ));
            insert
        }

        fn call_row(row: &DbRow) -> Result<CallRow, sqlx::Error> {
            Ok(CallRow {
                call_id: row.try_get(0)?,
                instance: row.try_get(1)?,
                at: row.try_get(2)?,
                principal_kind: row.try_get(3)?,
                principal: row.try_get(4)?,
                surface: row.try_get(5)?,
                model: row.try_get(6)?,
                deployment: row.try_get(7)?,
                outcome: row.try_get(8)?,
                status: row.try_get(9)?,
                fault: row.try_get(10)?,
                input_tokens: row.try_get(11)?,
                output_tokens: row.try_get(12)?,
                cost_nano_usd: row.try_get(13)?,
                duration_us: row.try_get(14)?,
                attempts: row.try_get(15)?,
                trace_id: row.try_get(16)?,
                user: row.try_get(17)?,
                team: row.try_get(18)?,
                tool: row.try_get(19)?,
            })
        }

        impl Records for $name {
            fn calls(&self, filter: CallFilter) -> Answering<'_, CallPage> {
                Box::pin(async move { Ok(self.find_calls(filter).await?) })
            }

            fn call(&self, id: CallId) -> Answering<'_, Option<CallStory>> {
                Box::pin(async move { Ok(self.find_story(&id.to_string()).await?) })
            }

            fn trace(&self, id: String) -> Answering<'_, Option<TraceStory>> {
                Box::pin(async move { Ok(self.find_trace(&id).await?) })
            }

            fn spend(&self, filter: SpendFilter) -> Answering<'_, Spend> {
                Box::pin(async move { Ok(self.find_spend(&filter).await?) })
            }
        }

        impl Index for $name {
            fn position<'a>(&'a self, instance: &'a str) -> Answering<'a, Position> {
                Box::pin(async move { Ok(self.read_position(instance).await?) })
            }

            fn load(&self, batch: Batch) -> Answering<'_, ()> {
                Box::pin(async move { Ok(self.load_batch(batch).await?) })
            }

            fn clear(&self) -> Answering<'_, ()> {
                Box::pin(async move { Ok(self.drop_all(schema::POSITIONS).await?) })
            }

            fn clear_with_spend(&self) -> Answering<'_, ()> {
                Box::pin(async move { Ok(self.drop_all(schema::POSITIONS_AND_SPEND).await?) })
            }

            fn drop_before(&self, before: Timestamp) -> Answering<'_, usize> {
                Box::pin(async move {
                    let mut all = self.begin_making().await?;
                    let first_kept = Month::of(before);
                    let dropped = self.drop_tables(&mut all, |month| month < first_kept).await?;
                    all.commit().await.map_err(StoreError::from)?;
                    Ok(dropped)
                })
            }
        }
    };
}

pub(crate) use backend;
