//! Where chunks and blocks lie, and the fixed-width record the cache keeps of a chunk.

use crate::base::id::{ChunkId, PackId};
use crate::repo::pack::{BlockCodec, PackTable};
use crate::repo::secrets::IdDomain;

/// Bytes of a chunk id an index keeps. Two chunks may share them: the hash of what is read decides.
pub const PREFIX_BYTES: usize = 16;

/// The front of a chunk id.
pub type Prefix = [u8; PREFIX_BYTES];

/// The front of this id.
pub fn prefix_of(id: &ChunkId) -> Prefix {
    std::array::from_fn(|index| id.as_bytes()[index])
}

/// One copy of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkPlace {
    /// The pack, by this index's own number (see [`Index::pack`](super::Index::pack)).
    pub pack: u32,
    /// The block in the pack: its slot.
    pub block: u32,
    /// First byte within the block's plaintext.
    pub offset: u32,
    /// Plaintext bytes.
    pub length: u32,
}

/// A chunk and one place of it, in the order of [`Index::scan`](super::Index::scan): by prefix, then by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexEntry {
    /// The front of its id.
    pub prefix: Prefix,
    /// A copy of it.
    pub place: ChunkPlace,
}

/// Bytes of an entry as a record: prefix, then the four numbers, big-endian, so that records sort as entries do.
pub const ENTRY_BYTES: usize = 32;

impl IndexEntry {
    /// The record.
    pub fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0u8; ENTRY_BYTES];
        bytes[..16].copy_from_slice(&self.prefix);
        bytes[16..20].copy_from_slice(&self.place.pack.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.place.block.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.place.offset.to_be_bytes());
        bytes[28..].copy_from_slice(&self.place.length.to_be_bytes());
        bytes
    }

    /// The entry of a record.
    pub fn from_bytes(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let number = |at: usize| u32::from_be_bytes(std::array::from_fn(|index| bytes[at + index]));
        let place = ChunkPlace { pack: number(16), block: number(20), offset: number(24), length: number(28) };
        Self { prefix: std::array::from_fn(|index| bytes[index]), place }
    }
}

/// A block of a pack, as a reader needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPlace {
    /// First byte within the pack.
    pub offset: u64,
    /// Stored bytes, seal included.
    pub stored_bytes: u32,
    /// Plaintext bytes.
    pub raw_bytes: u32,
    /// How to expand it.
    pub codec: BlockCodec,
}

/// A pack known to the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackPlace {
    /// Its id.
    pub id: PackId,
    /// Stored bytes of the whole pack.
    pub bytes: u64,
    /// Length of its header.
    pub header_bytes: u32,
    /// Which key made the ids of its chunks.
    pub domain: IdDomain,
    /// Its blocks in order of slot.
    pub blocks: Vec<BlockPlace>,
}

impl PackPlace {
    /// What a reader needs of a pack's table.
    pub fn of(id: PackId, bytes: u64, table: &PackTable) -> Self {
        let place = |(block, offset): (&crate::repo::pack::BlockInfo, u64)| BlockPlace {
            offset,
            stored_bytes: block.stored_bytes,
            raw_bytes: block.raw_bytes,
            codec: block.codec,
        };
        let blocks = table.blocks.iter().zip(table.offsets()).map(place).collect();
        Self { id, bytes, header_bytes: table.header_bytes, domain: table.domain, blocks }
    }
}

/// The entries of a pack's chunks, in the order of the table.
pub fn entries_of(pack: u32, table: &PackTable) -> impl Iterator<Item = IndexEntry> {
    table.blocks.iter().enumerate().flat_map(move |(slot, block)| {
        let mut next = 0u32;
        block.chunks.iter().map(move |chunk| {
            let offset = next;
            next += chunk.length;
            let place = ChunkPlace { pack, block: slot as u32, offset, length: chunk.length };
            IndexEntry { prefix: prefix_of(&chunk.id), place }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_and_sort_as_entries_do() {
        let entry = |prefix, pack, block| IndexEntry {
            prefix: [prefix; 16],
            place: ChunkPlace { pack, block, offset: 3, length: 256 },
        };
        let entries = [entry(1, 300, 2), entry(1, 2, 300), entry(0, 9, 9)];
        let mut sorted = entries;
        sorted.sort();
        let mut records = entries.map(IndexEntry::to_bytes);
        records.sort();
        assert_eq!(records.map(|record| IndexEntry::from_bytes(&record)), sorted);
    }
}
