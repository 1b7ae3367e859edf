//! Directories as stored: entries, the nodes that hold them, and walking them (`docs/format.md`, "Trees").

pub mod content;
pub mod entry;
pub mod node;
pub mod reader;
#[cfg(test)]
pub mod testing;
pub mod writer;

pub use entry::{DamageMark, Entry, EntryKind, Extent, FileContent, HardLink, Owner, XattrPair};
