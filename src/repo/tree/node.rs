//! The chunks a directory is stored in: leaves of entries, and above many leaves a level of references.
//!
//! A leaf ends behind an entry whose name says so, so that one new file changes one leaf and the spine above
//! it, however large the directory. A chunk of ids ("list") holds nothing else.

use minicbor::{Decode, Encode};

use crate::base::id::ChunkId;
use crate::codec::kdf::plain_hash;
use crate::repo::tree::entry::Entry;

/// What one tree chunk holds.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Node {
    /// Entries in order of name.
    #[n(0)]
    Leaf(#[n(0)] Vec<Entry>),
    /// References to the nodes below, in order of their first names.
    #[n(1)]
    Spine(#[n(0)] Vec<Child>),
}

/// A reference from a spine.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Child {
    /// Name of the first entry below.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub first: Vec<u8>,
    /// The node.
    #[n(1)]
    pub id: ChunkId,
}

/// How deep spines may be stacked; 4 levels hold more entries than a file system can.
pub const SPINE_DEPTH_MAX: usize = 4;

/// Entries (or references) a node holds before it may end.
pub const NODE_ITEMS_MIN: usize = 64;

/// Entries (or references) a node holds at most.
pub const NODE_ITEMS_MAX: usize = 4096;

/// Encoded bytes after which a node ends whatever its names say.
pub const NODE_BYTES_MAX: usize = 1 << 20;

/// Ids a list chunk holds before it may end.
pub const LIST_ITEMS_MIN: usize = 256;

/// Ids an entry may hold itself; longer lists are stored as chunks.
pub const INLINE_IDS_MAX: usize = 2048;

/// Whether a node ends behind this name: one in 256 does.
pub fn ends_node(name: &[u8]) -> bool {
    plain_hash(name)[0] == 0
}

/// Whether a list ends behind this id: one in 1024 does.
pub fn ends_list(id: &ChunkId) -> bool {
    let bytes = id.as_bytes();
    bytes[0] == 0 && bytes[1] < 64
}

/// Ids as one CBOR byte string.
pub mod ids {
    use minicbor::decode::{Decoder, Error};
    use minicbor::encode::{self, Encoder, Write};

    use crate::base::id::ChunkId;

    /// Writes the ids back to back.
    pub fn encode<C, W: Write>(ids: &[ChunkId], e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        let mut bytes = Vec::with_capacity(ids.len() * 32);
        ids.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
        e.bytes(&bytes)?.ok()
    }

    /// Reads a whole number of ids.
    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Vec<ChunkId>, Error> {
        let (ids, rest) = d.bytes()?.as_chunks::<32>();
        if rest.is_empty() {
            Ok(ids.iter().copied().map(ChunkId::from_bytes).collect())
        } else {
            Err(Error::message("a list of ids has a torn end"))
        }
    }
}
