//! A bounded memory of what was used last.

use std::collections::HashMap;
use std::hash::Hash;

/// Values used lately, by key. Two generations stand in for an exact order: what is used moves to the young one;
/// when that has grown to half of the bound, the old one is forgotten.
pub struct Recent<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    weight: usize,
    weight_max: usize,
}

impl<K: Eq + Hash + Copy, V: Clone> Recent<K, V> {
    /// Keeps values of up to `weight_max` together.
    pub fn new(weight_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), weight: 0, weight_max }
    }

    /// A value, if it is remembered.
    pub fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (value, weight) = self.old.remove(key)?;
        self.insert(*key, value.clone(), weight);
        Some(value)
    }

    /// Remembers a value of this weight. One heavier than the bound is kept too, until the next one comes: whoever
    /// asked for it asks again.
    pub fn insert(&mut self, key: K, value: V, weight: usize) {
        if self.weight + weight > self.weight_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        if let Some((_, before)) = self.young.insert(key, (value, weight)) {
            self.weight -= before;
        }
        self.weight += weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_bound_holds() {
        let mut recent = Recent::new(100);
        for number in 0..1000 {
            recent.insert(number, number, 1);
            assert_eq!(recent.get(&0), Some(0), "after {number}");
            assert!(recent.young.len() + recent.old.len() <= 100);
        }
        assert_eq!(recent.get(&500), None);
        assert_eq!(recent.get(&999), Some(999));
    }

    #[test]
    fn a_value_too_heavy_is_kept_for_a_while() {
        let mut recent = Recent::new(100);
        recent.insert(1, 'a', 1000);
        assert_eq!(recent.get(&1), Some('a'));
        recent.insert(2, 'b', 1);
        recent.insert(3, 'c', 50);
        assert_eq!((recent.get(&1), recent.get(&3)), (None, Some('c')));
    }
}
