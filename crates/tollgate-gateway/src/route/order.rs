//! The order in which a model's deployments are tried, and why: the explanation is a part of the record.

use std::cmp::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_core::config::file::Strategy;
use tollgate_core::record::Considered;
use tollgate_core::usage::Usage;

use super::Candidate;
use crate::dice::Dice;

/// Deployments that begin to answer within a fifth of the soonest are as good: otherwise all calls would go to
/// whichever was luckiest.
const AS_SOON: f64 = 1.2;

/// What a strategy goes by.
#[derive(Clone, Copy, Debug)]
pub struct By {
    /// How one of several is chosen.
    pub strategy: Strategy,
    /// What the call is likely to use, for prices.
    pub usage: Usage,
}

/// `candidates` in the order to try them: those that do not rest first; among those the lower `order` first; among
/// equals as `by` says, and by chance, according to weight, where that leaves a choice. Nothing is left out: a call
/// is not refused because everything rests.
pub fn in_order(mut candidates: Vec<Candidate>, by: &By, dice: &Dice, now: Instant) -> Vec<Candidate> {
    if candidates.len() < 2 {
        return candidates;
    }
    let mut ordered = Vec::with_capacity(candidates.len());
    while !candidates.is_empty() {
        let rank = |c: &Candidate| (c.health.resting(now), c.deployment.order);
        let best = candidates.iter().map(rank).min();
        let equals: Vec<usize> =
            (0..candidates.len()).filter(|i| Some(rank(&candidates[*i])) == best).collect();
        let equals = preferred(&candidates, equals, by, now);
        let chosen = draw(&candidates, &equals, dice);
        ordered.push(candidates.remove(chosen));
    }
    ordered
}

/// Those of `equals` that the strategy likes best.
fn preferred(candidates: &[Candidate], equals: Vec<usize>, by: &By, now: Instant) -> Vec<usize> {
    // By weight: twice the weight may carry twice the load. What has no weight is kept for the end.
    let load = |amount: u64, index: usize| match candidates[index].deployment.weight {
        0 => f64::INFINITY,
        #[expect(clippy::cast_precision_loss, reason = "only compared")]
        weight => amount as f64 / f64::from(weight),
    };
    let score = |index: usize| -> f64 {
        let candidate = &candidates[index];
        match by.strategy {
            Strategy::Weighted => 0.0,
            Strategy::LeastBusy => load(candidate.health.busy(), index),
            Strategy::LeastUsed => load(candidate.health.tokens(now), index),
            // What nobody has measured of late is tried, so that it is measured.
            Strategy::Latency => candidate.health.first_byte(now).unwrap_or_default().as_secs_f64(),
            Strategy::Cost => cost(candidate, &by.usage),
        }
    };
    let scored: Vec<(usize, f64)> = equals.into_iter().map(|index| (index, score(index))).collect();
    let best = scored.iter().map(|(_, score)| *score).min_by(f64::total_cmp).unwrap_or_default();
    let limit = if by.strategy == Strategy::Latency { best * AS_SOON } else { best };
    let good = |score: f64| score.total_cmp(&limit) != Ordering::Greater;
    scored.into_iter().filter(|(_, score)| good(*score)).map(|(index, _)| index).collect()
}

/// What the call is likely to cost there, in nano-dollars; what has no price comes last.
#[expect(clippy::cast_precision_loss, reason = "only compared")]
fn cost(candidate: &Candidate, usage: &Usage) -> f64 {
    use tollgate_core::price::Cost;
    match candidate.deployment.facts.price.as_ref().map(|price| price.cost(usage)) {
        Some(Cost::Known(nano)) => nano as f64,
        Some(Cost::Unknown) | None => f64::INFINITY,
    }
}

/// One of `equals` by weight; the first when none has any.
fn draw(candidates: &[Candidate], equals: &[usize], dice: &Dice) -> usize {
    let weight = |index: usize| u64::from(candidates[index].deployment.weight);
    let total: u64 = equals.iter().map(|i| weight(*i)).sum();
    let mut point = dice.below(total);
    for index in equals {
        if point < weight(*index) {
            return *index;
        }
        point -= weight(*index);
    }
    equals[0]
}

/// What was known of each candidate when it was put in its place.
pub fn explain(ordered: &[Candidate], by: &By, now: Instant) -> Vec<Considered> {
    let one = |candidate: &Candidate| {
        let deployment = &candidate.deployment;
        let mut facts = Vec::new();
        if let Some(until) = candidate.health.resting(now) {
            facts.push(format!("rests for {} ms", until.duration_since(now).as_millis()));
        }
        if deployment.order != 0 {
            facts.push(format!("order {}", deployment.order));
        }
        facts.push(match by.strategy {
            Strategy::Weighted => format!("weight {}", deployment.weight),
            Strategy::LeastBusy => format!("{} in flight", candidate.health.busy()),
            Strategy::LeastUsed => format!("{} tokens this minute", candidate.health.tokens(now)),
            Strategy::Latency => match candidate.health.first_byte(now) {
                Some(first_byte) => format!("first byte after {}", shown(first_byte)),
                None => "not measured of late".to_owned(),
            },
            Strategy::Cost => match cost(candidate, &by.usage) {
                f64::INFINITY => "no price".to_owned(),
                nano => format!("about {nano} nano-USD"),
            },
        });
        Considered { deployment: std::sync::Arc::clone(&deployment.id), because: facts.join(", ") }
    };
    ordered.iter().map(one).collect()
}

fn shown(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
