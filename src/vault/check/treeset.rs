//! The tree chunks an index knows, and which of them were seen: 8 bytes and a bit for each.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::id::ChunkId;
use crate::repo::index::Prefix;

/// Built from prefixes in ascending order; marked from many threads.
#[derive(Default)]
pub struct TreeSet {
    /// The first eight bytes of each prefix, ascending, without repeats.
    fronts: Vec<u64>,
    /// Fronts that belong to more than one prefix: never taken for seen.
    ambiguous: HashSet<u64>,
    last: Option<Prefix>,
    seen: Vec<AtomicU64>,
}

impl TreeSet {
    /// Adds the next prefix; the same one may come again.
    pub fn push(&mut self, prefix: Prefix) {
        if self.last == Some(prefix) {
            return;
        }
        self.last = Some(prefix);
        let front = front(&prefix);
        if self.fronts.last() == Some(&front) {
            self.ambiguous.insert(front);
        } else {
            self.fronts.push(front);
        }
    }

    /// Ends the building.
    pub fn close(mut self) -> Self {
        self.fronts.shrink_to_fit();
        self.seen = (0..self.fronts.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        self
    }

    /// Whether the index knows a tree chunk whose id begins like this one.
    pub fn knows(&self, id: &ChunkId) -> bool {
        self.position(id).is_some()
    }

    /// Marks a chunk as seen. `true`: it was not seen before, or that cannot be told.
    pub fn see(&self, id: &ChunkId) -> bool {
        let Some(at) = self.position(id) else { return true };
        let bit = 1 << (at % 64);
        let before = self.seen[at / 64].fetch_or(bit, Ordering::Relaxed);
        before & bit == 0 || self.ambiguous.contains(&self.fronts[at])
    }

    /// Whether it was surely seen.
    pub fn was_seen(&self, id: &ChunkId) -> bool {
        self.position(id).is_some_and(|at| {
            self.seen[at / 64].load(Ordering::Relaxed) & (1 << (at % 64)) != 0
                && !self.ambiguous.contains(&self.fronts[at])
        })
    }

    /// Forgets what was seen.
    pub fn reset(&mut self) {
        self.seen.iter_mut().for_each(|bits| *bits.get_mut() = 0);
    }

    fn position(&self, id: &ChunkId) -> Option<usize> {
        self.fronts.binary_search(&front(id.as_bytes())).ok()
    }
}

fn front(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |front, byte| front << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(front: u64, rest: u8) -> ChunkId {
        let mut bytes = [rest; 32];
        bytes[..8].copy_from_slice(&front.to_be_bytes());
        ChunkId::from_bytes(bytes)
    }

    fn set(ids: &[ChunkId]) -> TreeSet {
        let mut set = TreeSet::default();
        ids.iter().for_each(|id| set.push(crate::repo::index::prefix_of(id)));
        set.close()
    }

    #[test]
    fn a_chunk_is_new_once() {
        let mut set = set(&[id(1, 1), id(1, 1), id(9, 1)]);
        assert!(set.knows(&id(9, 1)) && !set.knows(&id(8, 1)));
        assert!(set.see(&id(1, 1)) && !set.see(&id(1, 1)) && set.was_seen(&id(1, 1)));
        assert!(set.see(&id(9, 1)));
        set.reset();
        assert!(set.see(&id(1, 1)));
    }

    #[test]
    fn two_chunks_that_begin_alike_are_never_taken_for_each_other() {
        let set = set(&[id(5, 1), id(5, 2)]);
        assert!(set.see(&id(5, 1)) && set.see(&id(5, 2)));
        assert!(!set.was_seen(&id(5, 1)));
    }
}
