//! Numbers of packs that a cache knew, or met in a segment, and that do not count: missing from the store, or doomed.
//!
//! Their entries stay in the runs until those are merged; everybody who reads a run passes over them.

use std::collections::HashSet;

use crate::codec::wire::Reader;
use crate::repo::index::shelf::{Cache, Fault, Key};

/// Numbers in one value.
const PER_PART: usize = 1000;

/// The numbers, in the order they were given up. What was written of them never changes, only more follows, so that
/// a fold that was cut off leaves nothing that counts.
#[derive(Debug, Clone, Default)]
pub struct Gone {
    order: Vec<u32>,
    known: HashSet<u32>,
    /// How many of them are written.
    stored: usize,
}

impl Gone {
    /// Reads the first `count`.
    pub fn load(cache: &Cache, count: u32) -> Result<Self, Fault> {
        let mut order = Vec::new();
        for part in 0..(count as usize).div_ceil(PER_PART) {
            let bytes = cache.need(Key::Gone(part as u32))?;
            let mut reader = Reader::new(&bytes);
            while reader.left() > 0 {
                order.push(reader.u32().map_err(|why| Fault(why.to_string()))?);
            }
        }
        if order.len() < count as usize {
            return Err(Fault("a part of the packs that are gone is cut".to_owned()));
        }
        order.truncate(count as usize);
        let known = order.iter().copied().collect();
        Ok(Self { stored: order.len(), order, known })
    }

    /// Writes what is not written yet. Gives how many there are, for the record.
    pub fn store(&mut self, cache: &Cache) -> Result<u32, Fault> {
        for (part, numbers) in self.order.chunks(PER_PART).enumerate().skip(self.stored / PER_PART) {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
            cache.put(Key::Gone(part as u32), &bytes)?;
        }
        self.stored = self.order.len();
        Ok(self.stored as u32)
    }

    /// Adds a number.
    pub fn insert(&mut self, number: u32) {
        if self.known.insert(number) {
            self.order.push(number);
        }
    }

    /// Whether the pack of this number does not count.
    pub fn contains(&self, number: u32) -> bool {
        self.known.contains(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::index::scratch::ScratchShelf;

    #[test]
    fn numbers_read_back_as_far_as_the_record_reaches() {
        let cache = Cache::new(Box::new(ScratchShelf::create(&std::env::temp_dir()).unwrap()));
        let mut gone = Gone::default();
        for number in (0..2500).rev() {
            gone.insert(number * 2);
            gone.insert(number * 2);
        }
        assert_eq!(gone.store(&cache), Ok(2500));
        gone.insert(7);
        assert_eq!(gone.store(&cache), Ok(2501));
        let all = Gone::load(&cache, 2501).unwrap();
        assert!(all.contains(7) && all.contains(4998) && !all.contains(9));
        let before = Gone::load(&cache, 2500).unwrap();
        assert!(!before.contains(7) && before.contains(0));
        assert!(Gone::load(&cache, 2502).is_err());
    }
}
