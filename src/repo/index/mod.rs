//! Where each chunk lies. The truth is the write-once segments in the store; a sled cache makes it quick.

use std::path::Path;
use std::sync::Arc;

use crate::base::cancel::Cancel;
use crate::base::id::{ChunkId, PackId, SegmentId};
use crate::base::progress::Progress;
use crate::repo::error::RepoError;
use crate::repo::pack::{BlockCodec, PackTable};
use crate::repo::repository::Repository;

/// One copy of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkPlace {
    /// The pack, by this index's own number (see [`Index::pack`]).
    pub pack: u32,
    /// The block in the pack: its slot.
    pub block: u32,
    /// First byte within the block's plaintext.
    pub offset: u32,
    /// Plaintext bytes.
    pub length: u32,
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
    pub domain: crate::repo::secrets::IdDomain,
    /// Its blocks in order of slot.
    pub blocks: Vec<BlockPlace>,
}

/// The index of one repository, as far as this process knows it.
pub struct Index {}

impl Index {
    /// Brings the cache in `cache_dir` up to date with the segments listed in the store, and opens it. Doomed
    /// packs are left out; marked packs are found by `places` but not by `contains`.
    pub fn open(
        _repository: &Repository,
        _cache_dir: &Path,
        _progress: &dyn Progress,
        _cancel: &Cancel,
    ) -> Result<Self, RepoError> {
        unimplemented!("helper: index")
    }

    /// Whether a writer may rely on a stored copy of this chunk. A damaged cache may answer `false`, which costs
    /// an upload.
    pub fn contains(&self, _id: &ChunkId) -> Result<bool, RepoError> {
        unimplemented!("helper: index")
    }

    /// All known copies of a chunk.
    pub fn places(&self, _id: &ChunkId) -> Result<Vec<ChunkPlace>, RepoError> {
        unimplemented!("helper: index")
    }

    /// The pack of a place.
    pub fn pack(&self, _number: u32) -> Result<Arc<PackPlace>, RepoError> {
        unimplemented!("helper: index")
    }

    /// Folds a segment this process has just stored into the cache, so that the next run need not read it.
    pub fn fold(&self, _segment: SegmentId, _packs: &[(PackId, u64, PackTable)]) -> Result<(), RepoError> {
        unimplemented!("helper: index")
    }
}
