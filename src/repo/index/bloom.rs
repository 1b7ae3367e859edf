//! A blocked Bloom filter over chunk id prefixes: it says "no" for nearly every chunk a run does not hold.
//!
//! A prefix belongs to one block of 512 bits, chosen by its leading bits so that blocks follow the order of
//! entries; seven bits of the block are chosen by its last eight bytes. Ids are keyed hashes, so no further
//! hashing is needed.

use crate::repo::index::place::Prefix;

/// Bytes of a block: one cache line.
const BLOCK_BYTES: usize = 64;
/// Bytes of the slices a filter is stored in.
pub const SLICE_BYTES: usize = 4096;
const BLOCKS_PER_SLICE: u32 = (SLICE_BYTES / BLOCK_BYTES) as u32;
/// Entries a block is meant for: ten bits each.
const ENTRIES_PER_BLOCK: u64 = 51;
const BITS_PER_ENTRY: u32 = 7;

/// How many blocks a filter of so many entries has.
pub fn blocks_for(entries: u64) -> u32 {
    u32::try_from(entries.div_ceil(ENTRIES_PER_BLOCK)).unwrap_or(u32::MAX).max(1)
}

/// How many slices hold so many blocks.
pub fn slices_for(blocks: u32) -> u32 {
    blocks.div_ceil(BLOCKS_PER_SLICE)
}

/// The slice a prefix belongs to.
pub fn slice_of(blocks: u32, prefix: &Prefix) -> u32 {
    block_of(blocks, prefix) / BLOCKS_PER_SLICE
}

/// Whether the filter may hold the prefix, given its slice. `true` for a slice of another size.
pub fn may_hold(blocks: u32, slice: &[u8], prefix: &Prefix) -> bool {
    let begin = (block_of(blocks, prefix) % BLOCKS_PER_SLICE) as usize * BLOCK_BYTES;
    slice
        .get(begin..begin + BLOCK_BYTES)
        .is_none_or(|block| bits(prefix).all(|bit| block[bit / 8] & (1 << (bit % 8)) != 0))
}

fn block_of(blocks: u32, prefix: &Prefix) -> u32 {
    let (front, _) = halves(prefix);
    ((u128::from(front) * u128::from(blocks)) >> 64) as u32
}

fn bits(prefix: &Prefix) -> impl Iterator<Item = usize> {
    let (_, back) = halves(prefix);
    (0..BITS_PER_ENTRY).map(move |nth| (back >> (9 * nth)) as usize % 512)
}

/// The two halves of a prefix as numbers.
pub fn halves(prefix: &Prefix) -> (u64, u64) {
    let half = |at: usize| u64::from_be_bytes(std::array::from_fn(|index| prefix[at + index]));
    (half(0), half(8))
}

/// Makes a filter from prefixes in ascending order, one slice at a time.
pub struct FilterBuilder {
    blocks: u32,
    slice: u32,
    bytes: Vec<u8>,
}

impl FilterBuilder {
    /// A filter of so many blocks.
    pub fn new(blocks: u32) -> Self {
        Self { blocks, slice: 0, bytes: vec![0; SLICE_BYTES] }
    }

    /// Adds a prefix not below any before it. Slices that are complete are given away, in order.
    pub fn insert<E>(&mut self, prefix: &Prefix, mut done: impl FnMut(u32, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let block = block_of(self.blocks, prefix);
        while self.slice < block / BLOCKS_PER_SLICE {
            self.give(&mut done)?;
        }
        let begin = (block % BLOCKS_PER_SLICE) as usize * BLOCK_BYTES;
        for bit in bits(prefix) {
            self.bytes[begin + bit / 8] |= 1 << (bit % 8);
        }
        Ok(())
    }

    /// Gives away all slices that are left.
    pub fn finish<E>(mut self, mut done: impl FnMut(u32, &[u8]) -> Result<(), E>) -> Result<(), E> {
        while self.slice < slices_for(self.blocks) {
            self.give(&mut done)?;
        }
        Ok(())
    }

    fn give<E>(&mut self, done: &mut impl FnMut(u32, &[u8]) -> Result<(), E>) -> Result<(), E> {
        done(self.slice, &self.bytes)?;
        self.slice += 1;
        self.bytes.fill(0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::index::place::prefix_of;
    use crate::repo::index::testing::chunk_id;

    fn filter(count: u64) -> (u32, Vec<Vec<u8>>) {
        let mut prefixes: Vec<_> = (0..count).map(|number| prefix_of(&chunk_id(number))).collect();
        prefixes.sort_unstable();
        let (blocks, mut slices) = (blocks_for(count), Vec::new());
        let mut keep = |number: u32, slice: &[u8]| {
            assert_eq!(number as usize, slices.len());
            slices.push(slice.to_vec());
            Ok::<_, ()>(())
        };
        let mut builder = FilterBuilder::new(blocks);
        for prefix in &prefixes {
            builder.insert(prefix, &mut keep).unwrap();
        }
        builder.finish(&mut keep).unwrap();
        assert_eq!(slices.len(), slices_for(blocks) as usize);
        (blocks, slices)
    }

    fn says_yes((blocks, slices): &(u32, Vec<Vec<u8>>), number: u64) -> bool {
        let prefix = prefix_of(&chunk_id(number));
        may_hold(*blocks, &slices[slice_of(*blocks, &prefix) as usize], &prefix)
    }

    #[test]
    fn a_filter_holds_all_it_was_given() {
        for count in [0, 1, 50, 20_000] {
            let filter = filter(count);
            assert!((0..count).all(|number| says_yes(&filter, number)), "{count}");
        }
    }

    #[test]
    fn a_filter_is_wrong_about_fewer_than_two_in_a_hundred() {
        let filter = filter(50_000);
        let wrong = (50_000..150_000).filter(|number| says_yes(&filter, *number)).count();
        assert!(wrong < 2_000, "{wrong} of 100000");
    }
}
