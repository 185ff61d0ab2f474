//! The order in which a model's deployments are tried.

use tokio::time::Instant;

use super::Candidate;
use crate::dice::Dice;

/// `candidates` in the order to try them: those that do not rest first; among those the lower `order` first;
/// among equals by chance, according to weight. Nothing is left out: a call is not refused because everything
/// rests.
pub fn in_order(mut candidates: Vec<Candidate>, dice: &Dice, now: Instant) -> Vec<Candidate> {
    if candidates.len() < 2 {
        return candidates;
    }
    let mut ordered = Vec::with_capacity(candidates.len());
    while !candidates.is_empty() {
        let rank = |c: &Candidate| (c.health.resting(now), c.deployment.order);
        let best = candidates.iter().map(rank).min();
        let equals: Vec<usize> =
            (0..candidates.len()).filter(|i| Some(rank(&candidates[*i])) == best).collect();
        let chosen = draw(&candidates, &equals, dice);
        ordered.push(candidates.remove(chosen));
    }
    ordered
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
