//! A pack's table of contents. The same bytes stand, sealed, in the pack itself and in an index segment.

use crate::base::id::{ChunkId, NodeId};
use crate::codec::wire::{Malformed, Reader};
use crate::repo::format::{BLOCK_BYTES_MAX, PACK_BLOCKS_MAX};
use crate::repo::secrets::{Content, IdDomain, IdOwner};

/// How a block's bytes were made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockCodec {
    /// They were not.
    Raw,
    /// One zstd frame.
    Zstd,
}

/// A chunk inside a block; its offset is the sum of the lengths before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkInfo {
    /// Its id.
    pub id: ChunkId,
    /// Its plaintext length in bytes, at least 1.
    pub length: u32,
}

/// A block inside a pack; its offset is the header's length plus the stored lengths before it, and its position
/// is the slot it was sealed under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockInfo {
    /// Bytes in the pack, seal included.
    pub stored_bytes: u32,
    /// Plaintext bytes: the sum of the chunks' lengths.
    pub raw_bytes: u32,
    /// How to expand it.
    pub codec: BlockCodec,
    /// Its chunks in order, at least one.
    pub chunks: Vec<ChunkInfo>,
}

/// What a pack holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackTable {
    /// Which key made the ids of all its chunks.
    pub domain: IdDomain,
    /// Length of the pack's header: where the first block begins.
    pub header_bytes: u32,
    /// Its blocks in order.
    pub blocks: Vec<BlockInfo>,
}

/// Bytes of a table with no block.
pub const TABLE_FIXED_BYTES: usize = 26;
/// Bytes a block adds to a table.
pub const TABLE_BLOCK_BYTES: usize = 14;
/// Bytes a chunk adds to a table.
pub const TABLE_CHUNK_BYTES: usize = 36;

impl PackTable {
    /// An empty table.
    pub fn new(domain: IdDomain, header_bytes: u32) -> Self {
        Self { domain, header_bytes, blocks: Vec::new() }
    }

    /// Exact length of [`encode`](Self::encode)'s result.
    pub fn encoded_bytes(&self) -> usize {
        TABLE_FIXED_BYTES
            + self.blocks.iter().map(|block| TABLE_BLOCK_BYTES + TABLE_CHUNK_BYTES * block.chunks.len()).sum::<usize>()
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_bytes());
        let (owner, node) = match self.domain.owner {
            IdOwner::Shared => (0, [0u8; 16]),
            IdOwner::Node(node) => (1, *node.as_bytes()),
        };
        bytes.push(u8::from(self.domain.content == Content::Tree));
        bytes.push(owner);
        bytes.extend_from_slice(&node);
        bytes.extend_from_slice(&self.header_bytes.to_be_bytes());
        bytes.extend_from_slice(&(self.blocks.len() as u32).to_be_bytes());
        for block in &self.blocks {
            bytes.extend_from_slice(&block.stored_bytes.to_be_bytes());
            bytes.extend_from_slice(&block.raw_bytes.to_be_bytes());
            bytes.push(u8::from(block.codec == BlockCodec::Zstd));
            bytes.push(0); // bases: always none until the delta feature
            bytes.extend_from_slice(&(block.chunks.len() as u32).to_be_bytes());
            for chunk in &block.chunks {
                bytes.extend_from_slice(chunk.id.as_bytes());
                bytes.extend_from_slice(&chunk.length.to_be_bytes());
            }
        }
        bytes
    }

    /// Parses a whole stored table.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let content = match reader.u8()? {
            0 => Content::Data,
            1 => Content::Tree,
            _ => return Err(Malformed("its table holds unknown content")),
        };
        let owner = (reader.u8()?, NodeId::from_bytes(reader.array()?));
        let owner = match owner {
            (0, _) => IdOwner::Shared,
            (1, node) => IdOwner::Node(node),
            _ => return Err(Malformed("its table has an unknown id domain")),
        };
        let header_bytes = reader.u32()?;
        let count = reader.u32()?;
        if count > PACK_BLOCKS_MAX {
            return Err(Malformed("its table claims too many blocks"));
        }
        let mut table = Self::new(IdDomain { content, owner }, header_bytes);
        for _ in 0..count {
            table.blocks.push(BlockInfo::decode(&mut reader)?);
        }
        reader.end()?;
        Ok(table)
    }

    /// Offset of each block within the pack, in order.
    pub fn offsets(&self) -> impl Iterator<Item = u64> {
        self.blocks.iter().scan(u64::from(self.header_bytes), |at, block| {
            let offset = *at;
            *at += u64::from(block.stored_bytes);
            Some(offset)
        })
    }
}

impl BlockInfo {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let stored_bytes = reader.u32()?;
        let raw_bytes = reader.u32()?;
        let codec = match reader.u8()? {
            0 => BlockCodec::Raw,
            1 => BlockCodec::Zstd,
            _ => return Err(Malformed("a block has an unknown codec")),
        };
        if reader.u8()? != 0 {
            return Err(Malformed("a block names bases, which this version cannot read"));
        }
        let count = reader.u32()? as usize;
        let limit = BLOCK_BYTES_MAX;
        if raw_bytes as usize > limit || stored_bytes as usize > limit || count == 0 || count > raw_bytes as usize {
            return Err(Malformed("a block has impossible sizes"));
        }
        let mut entries = Reader::new(reader.bytes(count * TABLE_CHUNK_BYTES)?);
        let mut chunks = Vec::with_capacity(count);
        let mut sum = 0u64;
        for _ in 0..count {
            let chunk = ChunkInfo { id: ChunkId::from_bytes(entries.array()?), length: entries.u32()? };
            sum += u64::from(chunk.length);
            if chunk.length == 0 {
                return Err(Malformed("a chunk is empty"));
            }
            chunks.push(chunk);
        }
        if sum != u64::from(raw_bytes) {
            return Err(Malformed("a block's chunks do not add up to it"));
        }
        Ok(Self { stored_bytes, raw_bytes, codec, chunks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> PackTable {
        let chunk = |byte, length| ChunkInfo { id: ChunkId::from_bytes([byte; 32]), length };
        let owner = IdOwner::Node(NodeId::from_bytes([9; 16]));
        PackTable {
            domain: IdDomain { content: Content::Tree, owner },
            header_bytes: 1280,
            blocks: vec![
                BlockInfo {
                    stored_bytes: 60,
                    raw_bytes: 30,
                    codec: BlockCodec::Raw,
                    chunks: vec![chunk(1, 10), chunk(2, 20)],
                },
                BlockInfo { stored_bytes: 50, raw_bytes: 900, codec: BlockCodec::Zstd, chunks: vec![chunk(3, 900)] },
            ],
        }
    }

    #[test]
    fn a_table_reads_back_and_knows_its_length() {
        let bytes = table().encode();
        assert_eq!(bytes.len(), table().encoded_bytes());
        assert_eq!(PackTable::decode(&bytes), Ok(table()));
        assert_eq!(table().offsets().collect::<Vec<_>>(), [1280, 1340]);
    }

    #[test]
    fn every_cut_of_a_table_is_refused() {
        let bytes = table().encode();
        for length in 0..bytes.len() {
            assert!(PackTable::decode(&bytes[..length]).is_err(), "{length}");
        }
    }
}
