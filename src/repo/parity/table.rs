//! The table of a parity group: which packs it is made over, and the hash of every shard.

use std::collections::HashSet;

use crate::base::id::{PackId, ParityId, StoredHash};
use crate::codec::erasure::SHARD_STEP;
use crate::codec::kdf::plain_hash;
use crate::codec::wire::{Malformed, Reader};
use crate::repo::format::{PACK_BYTES_MAX, PARITY_MEMBERS_MAX, PARITY_SHARD_BYTES_MAX, PARITY_TABLE_BYTES_MAX};

/// How much is stored for what is protected, in hundredths of a percent: 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Overhead(u16);

impl Overhead {
    /// Five percent.
    pub const DEFAULT: Self = Self(500);

    /// From hundredths of a percent; `None` beyond the bounds.
    pub fn from_hundredths(hundredths: u16) -> Option<Self> {
        (1..=10_000).contains(&hundredths).then_some(Self(hundredths))
    }

    /// Hundredths of a percent.
    pub const fn hundredths(self) -> u16 {
        self.0
    }

    /// Recovery shards for each stripe of a group of so many packs: at least one.
    pub fn recovery_of(self, members: usize) -> usize {
        ((members * usize::from(self.0) + 5_000) / 10_000).max(1)
    }

    /// How many packs a full group has: about forty, or as many as one recovery shard pays for.
    pub fn members_full(self) -> usize {
        (10_000 / usize::from(self.0)).clamp(40, PARITY_MEMBERS_MAX)
    }
}

impl std::fmt::Display for Overhead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} %", f64::from(self.0) / 100.0)
    }
}

/// A pack of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// Its name.
    pub pack: PackId,
    /// Its stored bytes; 0 for a pack that left the group, whose shards count as zeros.
    pub bytes: u64,
}

impl Member {
    /// The place of a pack that left.
    pub const HOLE: Self = Self { pack: PackId::from_bytes([0; 32]), bytes: 0 };

    /// Whether no pack stands here.
    pub fn is_hole(&self) -> bool {
        self.bytes == 0
    }
}

/// Everything about a group but the hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of a shard, of the last of a column fewer.
    pub shard_bytes: u32,
    /// Recovery shards of each stripe.
    pub recovery: u16,
    /// What was asked for when it was made.
    pub overhead: Overhead,
    /// Its packs, in the order of their columns.
    pub members: Vec<Member>,
}

impl Shape {
    /// Bytes of the longest pack.
    pub fn longest(&self) -> u64 {
        self.members.iter().map(|member| member.bytes).max().unwrap_or(0)
    }

    /// How many stripes there are.
    pub fn stripes(&self) -> usize {
        self.longest().div_ceil(u64::from(self.shard_bytes)) as usize
    }

    /// Where a stripe begins in every pack, and in the recovery bytes of an object.
    pub fn offset(&self, stripe: usize) -> u64 {
        stripe as u64 * u64::from(self.shard_bytes)
    }

    /// Bytes of the shards of a stripe: those of the last are as long as the longest pack needs.
    pub fn shard_length(&self, stripe: usize) -> usize {
        let left = self.longest().saturating_sub(self.offset(stripe)).min(u64::from(self.shard_bytes)) as usize;
        left.next_multiple_of(SHARD_STEP)
    }

    /// Bytes of a pack that lie in a stripe.
    pub fn data_length(&self, member: &Member, stripe: usize) -> usize {
        member.bytes.saturating_sub(self.offset(stripe)).min(u64::from(self.shard_bytes)) as usize
    }

    /// How many stripes reach into a pack.
    pub fn shards_of(&self, member: &Member) -> usize {
        member.bytes.div_ceil(u64::from(self.shard_bytes)) as usize
    }

    /// Recovery bytes of each object.
    pub fn recovery_bytes(&self) -> u64 {
        match self.stripes() {
            0 => 0,
            stripes => self.offset(stripes - 1) + self.shard_length(stripes - 1) as u64,
        }
    }

    /// The packs that are in it.
    pub fn packs(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.is_hole())
    }

    /// Bytes of its table.
    pub fn table_bytes(&self) -> u64 {
        let hashes: u64 = self.members.iter().map(|member| self.shards_of(member) as u64).sum();
        let recovery = self.stripes() as u64 * u64::from(self.recovery);
        FIXED_BYTES + MEMBER_BYTES * self.members.len() as u64 + HASH_BYTES * (hashes + recovery)
    }

    fn check(&self) -> Result<(), Malformed> {
        let shard = self.shard_bytes as usize;
        if shard == 0 || shard > PARITY_SHARD_BYTES_MAX || !shard.is_multiple_of(SHARD_STEP) {
            return Err(Malformed("its shards have an impossible length"));
        }
        if self.recovery == 0 || usize::from(self.recovery) > PARITY_MEMBERS_MAX {
            return Err(Malformed("it has an impossible number of recovery shards"));
        }
        let mut seen = HashSet::new();
        for member in &self.members {
            let fits = if member.is_hole() { *member == Member::HOLE } else { seen.insert(member.pack) };
            if !fits || member.bytes > PACK_BYTES_MAX {
                return Err(Malformed("one of its packs cannot be right"));
            }
        }
        if seen.is_empty() {
            return Err(Malformed("it has no pack"));
        }
        if self.table_bytes() > PARITY_TABLE_BYTES_MAX as u64 {
            return Err(Malformed("it is larger than any table"));
        }
        Ok(())
    }
}

const FIXED_BYTES: u64 = 10;
const MEMBER_BYTES: u64 = 40;
const HASH_BYTES: u64 = 32;

/// A group: its shape, and the hash of every shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it is made of.
    pub shape: Shape,
    /// Hashes of the bytes of each pack that lie in each stripe.
    pub data: Vec<Vec<StoredHash>>,
    /// Hashes of recovery shards: those of the first object, of the second …
    pub recovery: Vec<Vec<StoredHash>>,
}

impl Table {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let shape = &self.shape;
        let mut bytes = Vec::with_capacity(shape.table_bytes() as usize);
        bytes.extend_from_slice(&shape.shard_bytes.to_be_bytes());
        bytes.extend_from_slice(&shape.recovery.to_be_bytes());
        bytes.extend_from_slice(&shape.overhead.hundredths().to_be_bytes());
        bytes.extend_from_slice(&(shape.members.len() as u16).to_be_bytes());
        for member in &shape.members {
            bytes.extend_from_slice(member.pack.as_bytes());
            bytes.extend_from_slice(&member.bytes.to_be_bytes());
        }
        for hash in self.data.iter().chain(&self.recovery).flatten() {
            bytes.extend_from_slice(hash.as_bytes());
        }
        bytes
    }

    /// Parses a whole stored table.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let (shard_bytes, recovery) = (reader.u32()?, reader.u16()?);
        let overhead = Overhead::from_hundredths(reader.u16()?).ok_or(Malformed("its overhead is out of bounds"))?;
        let count = usize::from(reader.u16()?);
        if count > PARITY_MEMBERS_MAX {
            return Err(Malformed("it has more packs than a group may have"));
        }
        let member =
            |reader: &mut Reader<'_>| Ok(Member { pack: PackId::from_bytes(reader.array()?), bytes: reader.u64()? });
        let members = (0..count).map(|_| member(&mut reader)).collect::<Result<_, Malformed>>()?;
        let shape = Shape { shard_bytes, recovery, overhead, members };
        shape.check()?;
        if shape.table_bytes() != bytes.len() as u64 {
            return Err(Malformed("its length is not the one its packs ask for"));
        }
        let mut hashes = |count: usize| -> Result<Vec<StoredHash>, Malformed> {
            (0..count).map(|_| Ok(StoredHash::from_bytes(reader.array()?))).collect()
        };
        let data = shape.members.iter().map(|member| hashes(shape.shards_of(member))).collect::<Result<_, _>>()?;
        let recovery = (0..recovery).map(|_| hashes(shape.stripes())).collect::<Result<_, _>>()?;
        reader.end()?;
        Ok(Self { shape, data, recovery })
    }

    /// The name of the group.
    pub fn id(&self) -> ParityId {
        id_of(&self.encode())
    }
}

/// The name of the group with this stored table.
pub fn id_of(table: &[u8]) -> ParityId {
    let hash = plain_hash(table);
    ParityId::from_bytes(std::array::from_fn(|at| hash[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let member = |byte, bytes| Member { pack: PackId::from_bytes([byte; 32]), bytes };
        let shape = Shape {
            shard_bytes: 128,
            recovery: 2,
            overhead: Overhead::DEFAULT,
            members: vec![member(1, 300), Member::HOLE, member(2, 5)],
        };
        let hashes = |count: usize| (0..count).map(|at| StoredHash::from_bytes([at as u8; 32])).collect::<Vec<_>>();
        let data = shape.members.iter().map(|member| hashes(shape.shards_of(member))).collect();
        Table { data, recovery: vec![hashes(3); 2], shape }
    }

    #[test]
    fn a_table_reads_back_as_it_was_written() {
        let table = table();
        let bytes = table.encode();
        assert_eq!(bytes.len() as u64, table.shape.table_bytes());
        assert_eq!(Table::decode(&bytes).unwrap(), table);
        assert_eq!(table.id(), id_of(&bytes));
    }

    #[test]
    fn stripes_reach_as_far_as_the_longest_pack() {
        let shape = table().shape;
        assert_eq!((shape.stripes(), shape.recovery_bytes()), (3, 320));
        assert_eq!([0, 1, 2].map(|stripe| shape.shard_length(stripe)), [128, 128, 64]);
        assert_eq!([0, 1, 2].map(|stripe| shape.data_length(&shape.members[0], stripe)), [128, 128, 44]);
        assert_eq!([0, 1].map(|stripe| shape.data_length(&shape.members[2], stripe)), [5, 0]);
        assert_eq!(shape.members.iter().map(|member| shape.shards_of(member)).collect::<Vec<_>>(), [3, 0, 1]);
    }

    #[test]
    fn nothing_but_a_table_is_taken_for_one() {
        let good = table().encode();
        for length in 0..good.len() {
            assert!(Table::decode(&good[..length]).is_err(), "{length}");
        }
        let with = |at: usize, bytes: &[u8]| {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            Table::decode(&bad)
        };
        assert!(with(0, &[0, 0, 0, 0]).is_err(), "shards of nothing");
        assert!(with(0, &[0xff; 4]).is_err(), "huge shards");
        assert!(with(0, &[0, 0, 0, 65]).is_err(), "odd shards");
        assert!(with(4, &[0, 0]).is_err() && with(4, &[0xff, 0xff]).is_err(), "recovery shards");
        assert!(with(6, &[0, 0]).is_err() && with(6, &[0xff, 0xff]).is_err(), "overhead");
        assert!(with(8, &[0, 0]).is_err() && with(8, &[0xff, 0xff]).is_err(), "number of packs");
        assert!(with(10 + 32, &[0xff; 8]).is_err(), "a huge pack");
        assert!(with(10 + 80, &[1; 32]).is_err(), "one pack twice");
        assert!(with(10 + 40, &[1; 32]).is_err(), "a hole with a name");
    }

    #[test]
    fn an_overhead_says_how_many_recovery_shards_a_group_has() {
        let of = |percent: u16| Overhead::from_hundredths(percent * 100).unwrap();
        let full = |overhead: Overhead| (overhead.members_full(), overhead.recovery_of(overhead.members_full()));
        assert_eq!(full(of(1)), (100, 1));
        assert_eq!(full(of(5)), (40, 2));
        assert_eq!(full(of(10)), (40, 4));
        assert_eq!(full(of(100)), (40, 40));
        assert_eq!(full(Overhead::from_hundredths(1).unwrap()), (200, 1));
        assert_eq!([1, 20, 29, 30, 40].map(|members| of(5).recovery_of(members)), [1, 1, 1, 2, 2]);
        assert_eq!((Overhead::from_hundredths(0), Overhead::from_hundredths(10_001)), (None, None));
        assert_eq!(of(5).to_string(), "5 %");
    }
}
