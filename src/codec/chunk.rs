//! Content-defined chunking: FastCDC 2020 (Xia et al., IEEE TPDS 2020) over a secret gear table.
//!
//! The only door to the `fastcdc` crate. The table is secret because cut points of a public one betray
//! content (eprint 2025/532, 2025/558); lengths are sealed besides.

use fastcdc::v2020::{Normalization, cut_gear, select_masks};
use zeroize::Zeroizing;

/// Sizes of the chunks of one class, in bytes. All even, as the algorithm steps by two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode, serde::Serialize)]
#[cbor(map)]
pub struct ChunkSizes {
    /// No chunk but a last one is shorter.
    #[n(0)]
    pub min: u32,
    /// Where cutting becomes easier.
    #[n(1)]
    pub average: u32,
    /// No chunk is longer.
    #[n(2)]
    pub max: u32,
}

impl ChunkSizes {
    /// The largest maximum any repository may use; bounds the memory of every reader.
    pub const MAX_LIMIT: u32 = 8 << 20;

    /// Whether the algorithm can work with these sizes.
    pub fn are_valid(&self) -> bool {
        let even = [self.min, self.average, self.max].iter().all(|size| size % 2 == 0);
        even && self.min >= 64
            && self.min < self.average
            && self.average < self.max
            && self.average >= 256
            && self.average <= 4 << 20
            && self.max <= Self::MAX_LIMIT
    }
}

/// 256 secret numbers, one for each byte value.
pub struct GearTable {
    gear: Zeroizing<Vec<u64>>,
    shifted: Zeroizing<Vec<u64>>,
}

impl GearTable {
    /// The table spelled by 2048 bytes, eight for each entry, little-endian.
    pub fn from_bytes(bytes: &[u8; 2048]) -> Self {
        let mut gear = Zeroizing::new(vec![0u64; 256]);
        let mut shifted = Zeroizing::new(vec![0u64; 256]);
        for (index, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
            gear[index] = u64::from_le_bytes(*eight);
            shifted[index] = gear[index] << 1;
        }
        Self { gear, shifted }
    }
}

/// Cuts one class of data.
#[derive(Clone)]
pub struct Chunker {
    sizes: ChunkSizes,
    mask_small: u64,
    mask_large: u64,
    table: std::sync::Arc<GearTable>,
}

impl Chunker {
    /// A chunker of valid sizes.
    pub fn new(sizes: ChunkSizes, table: std::sync::Arc<GearTable>) -> Self {
        let (mask_small, mask_large) = select_masks(sizes.average as usize, Normalization::Level1);
        Self { sizes, mask_small, mask_large, table }
    }

    /// The sizes it cuts to.
    pub fn sizes(&self) -> ChunkSizes {
        self.sizes
    }

    /// Length of the first chunk of `data`, or `None` if more data must be seen first (`data` is shorter than
    /// the largest chunk and not `last`). Never 0 unless `data` is empty.
    pub fn cut(&self, data: &[u8], last: bool) -> Option<usize> {
        let max = self.sizes.max as usize;
        if data.len() < max && !last {
            return None;
        }
        let window = &data[..data.len().min(max)];
        let (_, length) = cut_gear(
            window,
            self.sizes.min as usize,
            self.sizes.average as usize,
            max,
            self.mask_small,
            self.mask_large,
            self.mask_small << 1,
            self.mask_large << 1,
            &self.table.gear,
            &self.table.shifted,
        );
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::{Entropy, SeededEntropy};

    const SIZES: ChunkSizes = ChunkSizes { min: 1024, average: 4096, max: 16384 };

    fn chunker(seed: u64) -> Chunker {
        let mut table = [0u8; 2048];
        SeededEntropy::new(seed).fill(&mut table);
        Chunker::new(SIZES, std::sync::Arc::new(GearTable::from_bytes(&table)))
    }

    fn lengths(chunker: &Chunker, mut data: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        while !data.is_empty() {
            let length = chunker.cut(data, true).unwrap();
            lengths.push(length);
            data = &data[length..];
        }
        lengths
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut data = vec![0u8; bytes];
        SeededEntropy::new(9).fill(&mut data);
        data
    }

    #[test]
    fn chunks_keep_their_bounds_and_average() {
        let data = noise(1 << 20);
        let lengths = lengths(&chunker(1), &data);
        assert_eq!(lengths.iter().sum::<usize>(), data.len());
        assert!(lengths.iter().rev().skip(1).all(|&length| (1024..=16384).contains(&length)));
        let average = data.len() / lengths.len();
        assert!((2048..8192).contains(&average), "average {average}");
    }

    #[test]
    fn an_insertion_moves_only_the_cuts_near_it() {
        let data = noise(1 << 20);
        let mut edited = data.clone();
        edited.splice(500_000..500_000, *b"inserted");
        let (before, after) = (lengths(&chunker(1), &data), lengths(&chunker(1), &edited));
        let same_tail = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
        assert!(same_tail * 3 > before.len(), "{same_tail} of {} cuts came back", before.len());
    }

    #[test]
    fn another_secret_cuts_elsewhere() {
        let data = noise(1 << 18);
        assert_ne!(lengths(&chunker(1), &data), lengths(&chunker(2), &data));
    }

    #[test]
    fn nothing_is_cut_before_a_full_window_was_seen() {
        assert_eq!(chunker(1).cut(&[0; 16383], false), None);
        assert_eq!(chunker(1).cut(&[0; 16384], false), Some(16384));
        assert_eq!(chunker(1).cut(&[0; 5], true), Some(5));
    }

    #[test]
    fn cuts_do_not_depend_on_how_much_is_seen_at_once() {
        let data = noise(1 << 18);
        let whole = lengths(&chunker(1), &data);
        let (mut fed, mut at, mut seen) = (Vec::new(), 0, 0);
        while at < data.len() {
            match chunker(1).cut(&data[at..seen], seen == data.len()) {
                Some(length) => {
                    fed.push(length);
                    at += length;
                }
                None => seen = (seen + 777).min(data.len()),
            }
        }
        assert_eq!(fed, whole);
    }

    #[test]
    fn data_that_is_one_byte_over_and_over_is_cut_at_the_maximum() {
        let lengths = lengths(&chunker(1), &[0; 16384 * 3 + 5]);
        assert_eq!(lengths, [16384, 16384, 16384, 5]);
    }

    #[test]
    fn the_end_of_data_may_be_shorter_than_any_chunk() {
        let data = noise(1024);
        assert_eq!(chunker(1).cut(&[], true), Some(0));
        for length in [1, 2, 63, 1023, 1024] {
            assert_eq!(chunker(1).cut(&data[..length], true), Some(length));
        }
    }

    /// Other cuts after an update of the crate would store everything again.
    #[test]
    fn cuts_are_the_same_for_ever() {
        let lengths = lengths(&chunker(1), &noise(1 << 16));
        assert_eq!(lengths, [3401, 6933, 7213, 4767, 2832, 4782, 4994, 4335, 4505, 5956, 7546, 5354, 2918]);
    }

    #[test]
    fn only_sizes_the_algorithm_can_work_with_are_valid() {
        let valid = |min, average, max| ChunkSizes { min, average, max }.are_valid();
        assert!(SIZES.are_valid() && valid(64, 256, 258) && valid(64, 4 << 20, 8 << 20));
        assert!(!valid(62, 256, 1024), "minimum too small");
        assert!(!valid(64, 254, 1024), "average too small");
        assert!(!valid(4096, 4096, 8192) && !valid(1024, 4096, 4096), "not in order");
        assert!(!valid(1024, (4 << 20) + 2, 8 << 20), "average too large");
        assert!(!valid(1024, 4096, ChunkSizes::MAX_LIMIT + 2), "maximum too large");
        assert!(!valid(1025, 4096, 8192) && !valid(1024, 4097, 8192) && !valid(1024, 4096, 8191), "odd");
        assert!(!valid(0, 0, 0) && !valid(u32::MAX, u32::MAX, u32::MAX));
    }
}
