//! What was spent, added up by day: from the calls of a batch to rows, and from rows to answers.

#[macro_use]
pub(crate) mod backend;

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::ports::Position;
use tollgate_core::query::{CallRow, Dimension, SpendFilter, SpendRow};

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

/// What a call has spent that has ended.
#[derive(Debug)]
pub(crate) struct Spent {
    /// The entry that says so.
    pub(crate) seq: Position,
    pub(crate) of: Spender,
    pub(crate) amounts: Amounts,
    pub(crate) labels: Vec<Label>,
}

/// What a caller wants a call counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label {
    /// `end_user` or `tag`.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

/// What models are told apart under.
const MODEL: &str = "model";

/// More different words of a kind than that are counted under one name in a month: callers could think of any number.
pub(crate) const MOST_WORDS: usize = 10_000;

/// That name. Parentheses tell it from what callers say, mostly.
const OTHER: &str = "(other)";

/// A row that is to be added: its key, column by column, and how much.
pub(crate) type Added<'a> = (Vec<&'a str>, Amounts);

/// A table that amounts are added to, and the columns of its key. In [`Added`] they stand in the same order.
pub(crate) type Target = (&'static str, &'static [&'static str]);

/// Everything that was spent.
pub(crate) const ALL: Target = ("spend", &["day", "team", "user_id", "key_id", "model", "deployment"]);

/// What was spent under labels.
pub(crate) const LABELLED: Target =
    ("spend_labelled", &["kind", "label", "day", "team", "user_id", "key_id", "model", "deployment"]);

/// Words by month and by what they are of.
pub(crate) type Words<'a> = BTreeMap<(&'a str, &'static str), BTreeSet<&'a str>>;

/// Words that are told apart, by month and by what they are of.
pub(crate) type ToldApart<'a> = BTreeMap<(&'a str, &'static str), BTreeSet<String>>;

impl Spender {
    fn month(&self) -> &str {
        self.day.get(.."2026-01".len()).unwrap_or_default()
    }

    /// `text` where it is told apart from others of its `kind`.
    fn told<'a>(&self, kind: &'static str, text: &'a str, told_apart: &ToldApart<'_>) -> &'a str {
        let known = told_apart.get(&(self.month(), kind)).is_some_and(|known| known.contains(text));
        if known || text.is_empty() { text } else { OTHER }
    }

    fn columns(&self, told_apart: &ToldApart<'_>) -> [&str; 6] {
        let model = self.told(MODEL, &self.model, told_apart);
        [&self.day, &self.team, &self.user, &self.key, model, &self.deployment]
    }
}

/// What `batch` has that comes after the entry `counted`.
fn news(batch: &Batch, counted: Position) -> impl Iterator<Item = &Spent> {
    batch.spent.iter().filter(move |spent| spent.seq > counted)
}

/// The callers' words in what `batch` adds after the entry `counted`: labels, and models, which a deployment of `*` lets
/// callers name as they like.
pub(crate) fn words(batch: &Batch, counted: Position) -> Words<'_> {
    let mut found = Words::new();
    for spent in news(batch, counted) {
        let model = Some((MODEL, &spent.of.model)).filter(|(_, model)| !model.is_empty());
        let labels = spent.labels.iter().map(|label| (label.kind, &label.text));
        for (kind, text) in labels.chain(model) {
            found.entry((spent.of.month(), kind)).or_default().insert(text);
        }
    }
    found
}

/// What `batch` adds after the entry `counted`. In one order, so that instances that add to the same rows wait for each
/// other and never both ways.
pub(crate) fn added<'a>(batch: &'a Batch, counted: Position, told_apart: &ToldApart<'_>) -> Vec<Added<'a>> {
    summed(news(batch, counted).map(|spent| (spent.of.columns(told_apart).to_vec(), spent.amounts)))
}

/// What it adds under labels.
pub(crate) fn added_labelled<'a>(
    batch: &'a Batch,
    counted: Position,
    told_apart: &ToldApart<'_>,
) -> Vec<Added<'a>> {
    let each = news(batch, counted).flat_map(|spent| {
        spent.labels.iter().map(|label| {
            let text = spent.of.told(label.kind, &label.text, told_apart);
            let key = [label.kind, text].into_iter().chain(spent.of.columns(told_apart)).collect();
            (key, spent.amounts)
        })
    });
    summed(each)
}

fn summed<'a>(each: impl Iterator<Item = Added<'a>>) -> Vec<Added<'a>> {
    let mut sums: BTreeMap<Vec<&str>, Amounts> = BTreeMap::new();
    for (key, amounts) in each {
        sums.entry(key).or_default().add(amounts);
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
        Dimension::EndUser | Dimension::Tag => "label",
    }
}

/// The labels that spend is told apart by, where it is by some.
fn kind_of_label(by: &[Dimension]) -> Option<&'static str> {
    let labels = by.iter().find(|by| matches!(by, Dimension::EndUser | Dimension::Tag));
    labels.map(|label| label.name())
}

/// The table that answers for `by`.
pub(crate) fn table(by: &[Dimension]) -> &'static str {
    if kind_of_label(by).is_some() { LABELLED.0 } else { ALL.0 }
}

/// What all of `rows` are together, told apart by `by`; `None` where that is not everything: a call without a label is in
/// no row of these, and one with several tags in several.
pub(crate) fn total(by: &[Dimension], rows: &[SpendRow]) -> Option<SpendRow> {
    if by.is_empty() || kind_of_label(by).is_some() {
        return None;
    }
    let mut total = SpendRow::default();
    for row in rows {
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        add(&mut total.calls, row.calls);
        add(&mut total.failed_calls, row.failed_calls);
        add(&mut total.input_tokens, row.input_tokens);
        add(&mut total.output_tokens, row.output_tokens);
        add(&mut total.cost_nano_usd, row.cost_nano_usd);
        add(&mut total.unpriced_calls, row.unpriced_calls);
    }
    Some(total)
}

/// The conditions of `filter`, each with the text that its place stands for.
pub(crate) fn conditions(filter: &SpendFilter, by: &[Dimension]) -> Vec<Condition> {
    let all = [
        ("kind = ", kind_of_label(by).map(str::to_owned)),
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
