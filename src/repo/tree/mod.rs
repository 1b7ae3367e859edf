//! Directories as stored: entries, the nodes that hold them, and walking them (`docs/format.md`, "Trees").

pub mod entry;
pub mod node;
pub mod reader;
pub mod writer;

pub use entry::{DamageMark, Entry, EntryKind, Extent, FileContent, HardLink, Owner, XattrPair};
