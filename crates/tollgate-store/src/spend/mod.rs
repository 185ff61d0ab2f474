//! What was spent, added up by day: from the calls of a batch to rows, and from rows to answers.

use std::collections::BTreeMap;

use tollgate_core::ports::Position;
use tollgate_core::query::{CallRow, Dimension, SpendFilter};

use crate::questions::Condition;
use crate::row::Batch;

/// What a row of spend is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spender {
    pub(crate) day: String,
    pub(crate) team: String,
    pub(crate) user: String,
    pub(crate) key: String,
    pub(crate) model: String,
    pub(crate) deployment: String,
}

impl Spender {
    /// Whose spend a call is that has ended. It counts on the day on which it came.
    pub(crate) fn of(call: &CallRow) -> Self {
        // Parentheses stand in no key's name.
        let key = match call.principal_kind.as_str() {
            "key" => call.principal.clone(),
            kind => format!("({kind})"),
        };
        // A model's name is a caller's word until a deployment has taken it: anything else would let callers fill the
        // table with words.
        let model = if call.deployment.is_empty() { String::new() } else { call.model.clone() };
        Self {
            day: call.at.chars().take("2026-01-31".len()).collect(),
            team: call.team.clone(),
            user: call.user.clone(),
            key,
            model,
            deployment: call.deployment.clone(),
        }
    }
}

/// How much.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amounts {
    pub(crate) calls: i64,
    pub(crate) failed_calls: i64,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) cost_nano_usd: i64,
    pub(crate) unpriced_calls: i64,
}

impl Amounts {
    /// What a call has spent that has ended.
    pub(crate) fn of(call: &CallRow, unpriced: bool) -> Self {
        Self {
            calls: 1,
            failed_calls: i64::from(call.outcome != "ok"),
            input_tokens: call.input_tokens,
            output_tokens: call.output_tokens,
            cost_nano_usd: call.cost_nano_usd.unwrap_or(0),
            unpriced_calls: i64::from(unpriced),
        }
    }

    fn add(&mut self, more: Self) {
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        add(&mut self.calls, more.calls);
        add(&mut self.failed_calls, more.failed_calls);
        add(&mut self.input_tokens, more.input_tokens);
        add(&mut self.output_tokens, more.output_tokens);
        add(&mut self.cost_nano_usd, more.cost_nano_usd);
        add(&mut self.unpriced_calls, more.unpriced_calls);
    }
}

/// What `batch` adds after the entry `counted`. In one order, so that instances that add to the same rows wait for each
/// other and never both ways.
pub(crate) fn added(batch: &Batch, counted: Position) -> Vec<(&Spender, Amounts)> {
    let mut sums: BTreeMap<&Spender, Amounts> = BTreeMap::new();
    for (_, spender, amounts) in batch.spent.iter().filter(|(seq, ..)| *seq > counted) {
        sums.entry(spender).or_default().add(*amounts);
    }
    sums.into_iter().collect()
}

/// The column of a dimension.
pub(crate) const fn column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Day => "day",
        Dimension::Team => "team",
        Dimension::User => "user_id",
        Dimension::Key => "key_id",
        Dimension::Model => "model",
        Dimension::Deployment => "deployment",
    }
}

/// The conditions of `filter`, each with the text that its place stands for.
pub(crate) fn conditions(filter: &SpendFilter) -> Vec<Condition> {
    let all = [
        ("day >= ", filter.first_day()),
        ("day <= ", filter.last_day()),
        ("key_id = ", filter.key.clone()),
        ("user_id = ", filter.user.clone()),
        ("team = ", filter.team.clone()),
        ("model = ", filter.model.clone()),
    ];
    all.into_iter().filter_map(|(what, value)| Some((what, value?))).collect()
}

/// The sums of amounts, in the order of [`Amounts`]. Added up as integers: PostgreSQL answers with a wider type.
pub(crate) const SUMS: &str = "CAST(COALESCE(SUM(calls), 0) AS BIGINT), CAST(COALESCE(SUM(failed_calls), 0) AS BIGINT), CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT), CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT), CAST(COALESCE(SUM(cost_nano_usd), 0) AS BIGINT), CAST(COALESCE(SUM(unpriced_calls), 0) AS BIGINT)";

/// In which order rows are answered.
pub(crate) fn order(by: &[Dimension]) -> String {
    let latest = by.iter().filter(|by| **by == Dimension::Day).map(|_| "day DESC");
    let dearest = ["SUM(cost_nano_usd) DESC", "SUM(calls) DESC"].into_iter();
    latest.chain(dearest).chain(by.iter().copied().map(column)).collect::<Vec<_>>().join(", ")
}

/// Defines how the index `$name` over a `$database` adds up spend and answers for it. It stands beside `backend!`.
macro_rules! spend {
    ($name:ident, $database:ty) => {
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
                for rows in crate::spend::added(batch, counted).chunks(ROWS) {
                    let mut insert = QueryBuilder::<$database>::new("INSERT INTO spend (day, team, user_id, key_id, model, deployment, calls, failed_calls, input_tokens, output_tokens, cost_nano_usd, unpriced_calls) ");
                    insert.push_values(rows, |mut values, (of, amounts)| {
                        values
                            .push_bind(&of.day).push_bind(&of.team).push_bind(&of.user)
                            .push_bind(&of.key).push_bind(&of.model).push_bind(&of.deployment)
                            .push_bind(amounts.calls).push_bind(amounts.failed_calls)
                            .push_bind(amounts.input_tokens).push_bind(amounts.output_tokens)
                            .push_bind(amounts.cost_nano_usd).push_bind(amounts.unpriced_calls);
                    });
                    insert.push(" ON CONFLICT (day, team, user_id, key_id, model, deployment) DO UPDATE SET calls = spend.calls + excluded.calls, failed_calls = spend.failed_calls + excluded.failed_calls, input_tokens = spend.input_tokens + excluded.input_tokens, output_tokens = spend.output_tokens + excluded.output_tokens, cost_nano_usd = spend.cost_nano_usd + excluded.cost_nano_usd, unpriced_calls = spend.unpriced_calls + excluded.unpriced_calls");
                    insert.build().execute(&mut **all).await?;
                }
                Ok(())
            }

            async fn find_spend(&self, filter: &SpendFilter) -> Result<Spend, StoreError> {
                let by: Vec<_> = filter.by.each().collect();
                let limit = filter.limit() as usize;
                let total = self.spend_rows(filter, &[], 1).await?.pop().unwrap_or_default();
                let mut rows = if by.is_empty() { Vec::new() } else { self.spend_rows(filter, &by, limit + 1).await? };
                let truncated = rows.len() > limit;
                rows.truncate(limit);
                Ok(Spend { rows, truncated, total })
            }

            async fn spend_rows(&self, filter: &SpendFilter, by: &[Dimension], limit: usize) -> Result<Vec<SpendRow>, StoreError> {
                let columns: Vec<&str> = by.iter().copied().map(crate::spend::column).collect();
                let sums = crate::spend::SUMS;
                let mut select = QueryBuilder::<$database>::new("SELECT ");
                for column in &columns {
                    select.push(*column).push(", ");
                }
                select.push(sums).push(" FROM spend WHERE 1 = 1");
                for (what, value) in crate::spend::conditions(filter) {
                    select.push(" AND ").push(what).push_bind(value);
                }
                if !by.is_empty() {
                    select.push(" GROUP BY ").push(columns.join(", ")).push(" ORDER BY ").push(crate::spend::order(by));
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
