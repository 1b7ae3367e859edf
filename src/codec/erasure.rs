//! Reed–Solomon over equal shards (`docs/format.md`, "Parity"). The only door to `reed-solomon-simd`.
//!
//! A code word is k data shards and m recovery shards of one length; any k of them give all of it back. A shard
//! must be known to be right or be left out: a wrong one makes everything wrong, and nothing here notices.

use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

/// Lengths of shards are multiples of this.
pub const SHARD_STEP: usize = 64;

/// A shape or a set of shards that no code word has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these shards are no code word: {0}")]
pub struct NoCode(String);

fn no_code(error: reed_solomon_simd::Error) -> NoCode {
    NoCode(error.to_string())
}

/// Makes recovery shards; keeps its working space from one code word to the next.
#[derive(Default)]
pub struct Encoder(Option<ReedSolomonEncoder>);

impl Encoder {
    /// The recovery shards of these data shards, each given to `each` with its number.
    pub fn encode<'a>(
        &mut self,
        data: impl ExactSizeIterator<Item = &'a [u8]>,
        recovery: usize,
        shard_bytes: usize,
        mut each: impl FnMut(usize, &[u8]),
    ) -> Result<(), NoCode> {
        let count = data.len();
        let encoder = match &mut self.0 {
            Some(encoder) => {
                encoder.reset(count, recovery, shard_bytes).map_err(no_code)?;
                encoder
            }
            empty => empty.insert(ReedSolomonEncoder::new(count, recovery, shard_bytes).map_err(no_code)?),
        };
        for shard in data {
            encoder.add_original_shard(shard).map_err(no_code)?;
        }
        let made = encoder.encode().map_err(no_code)?;
        made.recovery_iter().enumerate().for_each(|(number, shard)| each(number, shard));
        Ok(())
    }
}

/// The data shards that are `None`, from those that are there and from recovery shards. Fails if there are fewer
/// recovery shards than missing ones.
pub fn restore(
    data: &[Option<&[u8]>],
    recovery: &[Option<&[u8]>],
    shard_bytes: usize,
) -> Result<Vec<(usize, Vec<u8>)>, NoCode> {
    let mut decoder = ReedSolomonDecoder::new(data.len(), recovery.len(), shard_bytes).map_err(no_code)?;
    for (number, shard) in data.iter().enumerate().filter_map(|(number, shard)| Some((number, (*shard)?))) {
        decoder.add_original_shard(number, shard).map_err(no_code)?;
    }
    for (number, shard) in recovery.iter().enumerate().filter_map(|(number, shard)| Some((number, (*shard)?))) {
        decoder.add_recovery_shard(number, shard).map_err(no_code)?;
    }
    let restored = decoder.decode().map_err(no_code)?;
    let mut found: Vec<_> = restored.restored_original_iter().map(|(number, shard)| (number, shard.to_vec())).collect();
    found.sort_by_key(|(number, _)| *number);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: usize, bytes: usize) -> Vec<Vec<u8>> {
        let byte = |at: usize| (at.wrapping_mul(2_654_435_761) >> 11) as u8;
        (0..count).map(|shard| (0..bytes).map(|at| byte(shard * bytes + at)).collect()).collect()
    }

    fn encoded(data: &[Vec<u8>], recovery: usize) -> Vec<Vec<u8>> {
        let (mut made, bytes) = (Vec::new(), data[0].len());
        let keep = |_: usize, shard: &[u8]| made.push(shard.to_vec());
        Encoder::default().encode(data.iter().map(Vec::as_slice), recovery, bytes, keep).unwrap();
        made
    }

    #[test]
    fn as_many_shards_as_there_are_recovery_shards_come_back_and_no_more() {
        let data = shards(7, 128);
        let made = encoded(&data, 3);
        let recovery: Vec<_> = made.iter().map(|shard| Some(shard.as_slice())).collect();
        let without = |lost: &[usize]| -> Vec<Option<&[u8]>> {
            data.iter().enumerate().map(|(n, shard)| (!lost.contains(&n)).then_some(shard.as_slice())).collect()
        };
        let back = restore(&without(&[0, 3, 6]), &recovery, 128).unwrap();
        assert_eq!(back, [0, 3, 6].map(|n| (n, data[n].clone())));
        assert!(restore(&without(&[0, 1, 3, 6]), &recovery, 128).is_err());
        assert_eq!(restore(&without(&[]), &recovery, 128).unwrap(), []);
    }

    #[test]
    fn a_shard_that_is_zeros_adds_nothing() {
        let mut data = shards(5, 64);
        data[2].fill(0);
        let whole = encoded(&data, 2);
        let alone = |n: usize| {
            let mut one = vec![vec![0; 64]; 5];
            one[n] = data[n].clone();
            encoded(&one, 2)
        };
        let mut sum = vec![vec![0u8; 64]; 2];
        for n in [0, 1, 3, 4] {
            sum.iter_mut().zip(alone(n)).for_each(|(sum, part)| sum.iter_mut().zip(part).for_each(|(a, b)| *a ^= b));
        }
        assert_eq!(sum, whole, "the code is linear: a pack can leave a group without the others being read");
    }

    #[test]
    fn the_code_is_the_one_that_was_always_used() {
        let hash = |shards: Vec<Vec<u8>>| blake3::hash(&shards.concat()).to_hex()[..16].to_owned();
        let shapes = [(1, 64, 1), (40, 192, 2), (3, 64, 200), (200, 64, 200)];
        let hashes = shapes.map(|(data, bytes, recovery)| hash(encoded(&shards(data, bytes), recovery)));
        assert_eq!(hashes, ["4de76096c64f9672", "3acff0d09337be29", "a42d3943ca15a35c", "821070f59cbfcdbc"]);
    }
}
