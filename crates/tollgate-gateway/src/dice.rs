//! Chance: for weights and for jitter, where nobody gains by guessing it.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of numbers. Tests fix its seed.
#[derive(Debug)]
pub struct Dice(AtomicU64);

impl Dice {
    /// Seeded by the operating system.
    pub fn new() -> Self {
        Self::seeded(RandomState::new().hash_one("dice"))
    }

    /// Always the same numbers.
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number below `limit`; 0 when that is 0.
    pub fn below(&self, limit: u64) -> u64 {
        // SplitMix64: the state is a counter, so that threads need no lock.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = u128::from(z ^ (z >> 31));
        u64::try_from((number * u128::from(limit)) >> 64).unwrap_or(0)
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_below_the_limit() {
        let dice = Dice::seeded(1);
        let mut seen = [0_u32; 4];
        for _ in 0..4000 {
            seen[usize::try_from(dice.below(4)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| (900..1100).contains(n)), "{seen:?}");
        assert_eq!(dice.below(0), 0);
    }
}
