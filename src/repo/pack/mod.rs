//! Packs: the stored objects that hold blocks (`docs/format.md`, "Packs").

pub mod copies;
pub mod reader;
pub mod table;
pub mod writer;

pub use table::{BlockCodec, BlockInfo, ChunkInfo, PackTable};
