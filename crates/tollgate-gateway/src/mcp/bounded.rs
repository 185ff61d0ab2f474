//! A map that keeps so much and no more: what came first goes first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// At most so many values, by key.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    most: usize,
    values: HashMap<K, V>,
    /// The keys, the latest last.
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V> Bounded<K, V> {
    /// Nothing yet, and later `most` at most.
    pub(super) fn new(most: usize) -> Self {
        Self { most, values: HashMap::new(), order: VecDeque::new() }
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    /// Keeps `value` under `key`. A key that is there keeps its place.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.values.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bounded;

    #[test]
    fn what_came_first_goes_first() {
        let mut kept = Bounded::new(2);
        for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
            kept.insert(key, value);
        }
        assert_eq!((kept.get(&"a"), kept.get(&"b")), (Some(&3), Some(&2)));
        kept.insert("c", 4);
        assert_eq!((kept.get(&"a"), kept.get(&"b"), kept.get(&"c")), (None, Some(&2), Some(&4)));
    }
}
