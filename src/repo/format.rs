//! Constants with on-disk meaning. Each names its section of `docs/format.md`; changing one changes the format.

use crate::base::object::ObjectKind;

/// First bytes of every object (section "Objects").
pub const MAGIC: [u8; 8] = *b"DSSVAULT";

/// Version of the header layout (section "Header").
pub const VERSION: u8 = 1;

/// Feature bits this program understands. None is defined yet (section "Evolution").
pub const KNOWN_FEATURES: u64 = 0;

/// Reserved feature bit: blocks that name base chunks as zstd prefix (section "Deltas").
pub const FEATURE_DELTA: u64 = 1;

/// Bytes of the plain section of a header, at most.
pub const PLAIN_BYTES_MAX: usize = 1 << 20;

/// Plaintext a block gathers before it is closed; a longer chunk is a block alone (section "Blocks").
pub const BLOCK_BYTES: usize = 2 << 20;

/// Plaintext of a block, at most: what a reader is willing to expand.
pub const BLOCK_BYTES_MAX: usize = 9 << 20;

/// Stored bytes of a pack, at most.
pub const PACK_BYTES_MAX: u64 = 512 << 20;

/// Blocks in a pack, at most.
pub const PACK_BLOCKS_MAX: u32 = 1 << 20;

/// Stored bytes of a sealed pack table, at most.
pub const TABLE_BYTES_MAX: usize = 64 << 20;

/// Ids in one list chunk, at most (section "Trees").
pub const LIST_IDS_MAX: usize = 1 << 16;

/// Bytes of the table of a parity group, at most (section "Parity").
pub const PARITY_TABLE_BYTES_MAX: usize = 64 << 20;

/// Packs in a parity group, at most; recovery shards of a stripe likewise (section "Parity").
pub const PARITY_MEMBERS_MAX: usize = 200;

/// Bytes of a shard, at most (section "Parity").
pub const PARITY_SHARD_BYTES_MAX: usize = 1 << 20;

/// Stored bytes of an object of a kind, at most: what a reader is willing to load.
pub const fn object_bytes_max(kind: ObjectKind) -> u64 {
    match kind {
        ObjectKind::Config | ObjectKind::Key | ObjectKind::Session => 1 << 20,
        ObjectKind::Journal | ObjectKind::Snapshot => 64 << 20,
        ObjectKind::Index => 256 << 20,
        ObjectKind::Pack | ObjectKind::Mended => PACK_BYTES_MAX,
        ObjectKind::Parity => PACK_BYTES_MAX + PARITY_TABLE_BYTES_MAX as u64 + (1 << 20),
    }
}
