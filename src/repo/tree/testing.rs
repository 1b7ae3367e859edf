//! Trees in memory, for tests of those who walk them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::base::id::ChunkId;
use crate::codec::kdf::plain_hash;
use crate::repo::error::RepoError;
use crate::repo::tree::reader::TreeSource;
use crate::repo::tree::writer::{DirectoryWriter, TreeSink, encode_entry};
use crate::repo::tree::{Entry, EntryKind, FileContent, Owner};

/// Chunks by id, and how often one was asked for.
#[derive(Default)]
pub struct MemoryTrees {
    chunks: RefCell<HashMap<ChunkId, Vec<u8>>>,
    /// Fetches so far.
    pub fetched: Cell<usize>,
}

impl TreeSink for &MemoryTrees {
    fn store(&mut self, plaintext: &[u8]) -> Result<ChunkId, RepoError> {
        let id = ChunkId::from_bytes(plain_hash(plaintext));
        self.chunks.borrow_mut().insert(id, plaintext.to_vec());
        Ok(id)
    }
}

impl TreeSource for MemoryTrees {
    fn fetch(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        self.fetched.set(self.fetched.get() + 1);
        self.chunks.borrow().get(id).cloned().ok_or(RepoError::ChunkMissing { id: *id })
    }
}

impl MemoryTrees {
    /// A directory of these entries, which must be in order.
    pub fn directory(&self, entries: &[Entry]) -> ChunkId {
        let (mut writer, mut sink) = (DirectoryWriter::default(), self);
        for entry in entries {
            writer.push(&entry.name, &encode_entry(entry), &mut sink).unwrap();
        }
        writer.finish(&mut sink).unwrap()
    }

    /// Takes a chunk away.
    pub fn lose(&self, id: &ChunkId) {
        self.chunks.borrow_mut().remove(id);
    }
}

fn entry(name: &str, kind: EntryKind) -> Entry {
    Entry {
        mode: 0o644,
        owner: Owner { uid: 1, gid: 1, user: None, group: None },
        ..Entry::bare(name.as_bytes().to_vec(), kind)
    }
}

/// A file whose only chunk is named by this byte.
pub fn file(name: &str, chunk: u8) -> Entry {
    let content = FileContent { ids: vec![ChunkId::from_bytes([chunk; 32])], ..FileContent::default() };
    Entry { size: 10_000, content: Some(content), ..entry(name, EntryKind::File) }
}

/// A directory.
pub fn folder(name: &str, tree: ChunkId) -> Entry {
    Entry { tree: Some(tree), ..entry(name, EntryKind::Directory) }
}
