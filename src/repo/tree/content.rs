//! The list chunks of a long file, written while its ids come by.

use crate::base::id::ChunkId;
use crate::repo::error::RepoError;
use crate::repo::format::LIST_IDS_MAX;
use crate::repo::tree::entry::FileContent;
use crate::repo::tree::node::{INLINE_IDS_MAX, LIST_ITEMS_MIN, ends_list};
use crate::repo::tree::writer::TreeSink;

/// Takes the ids of a file in order. Few are kept for the entry itself; more go into lists, and the ids of many lists
/// into lists above them. Memory does not grow with the file.
#[derive(Default)]
pub struct ContentWriter {
    /// Lowest first; each takes the ids of the lists of the one before.
    levels: Vec<Level>,
}

#[derive(Default)]
struct Level {
    /// Those an entry could hold itself, until there are too many.
    kept: Vec<ChunkId>,
    /// The list being filled, once there were.
    open: Option<Vec<u8>>,
}

impl ContentWriter {
    /// Takes the next id.
    pub fn push(&mut self, id: ChunkId, sink: &mut dyn TreeSink) -> Result<(), RepoError> {
        self.push_at(0, id, sink)
    }

    /// The content of the file.
    pub fn finish(mut self, sink: &mut dyn TreeSink) -> Result<FileContent, RepoError> {
        let mut depth = 0;
        loop {
            let Some(level) = self.levels.get_mut(depth) else { return Ok(FileContent::default()) };
            let Some(open) = level.open.take() else {
                let ids = std::mem::take(&mut level.kept);
                let list_depth = u8::try_from(depth).ok().filter(|depth| *depth > 0);
                return Ok(FileContent { ids, list_depth, ..FileContent::default() });
            };
            if !open.is_empty() {
                let list = sink.store(&open)?;
                self.push_at(depth + 1, list, sink)?;
            }
            depth += 1;
        }
    }

    fn push_at(&mut self, depth: usize, id: ChunkId, sink: &mut dyn TreeSink) -> Result<(), RepoError> {
        if self.levels.len() <= depth {
            self.levels.push(Level::default());
        }
        let Some(level) = self.levels.get_mut(depth) else { return Ok(()) };
        if level.open.is_some() {
            return self.list(depth, id, sink);
        }
        level.kept.push(id);
        if level.kept.len() > INLINE_IDS_MAX {
            level.open = Some(Vec::new());
            for id in std::mem::take(&mut level.kept) {
                self.list(depth, id, sink)?;
            }
        }
        Ok(())
    }

    fn list(&mut self, depth: usize, id: ChunkId, sink: &mut dyn TreeSink) -> Result<(), RepoError> {
        let Some(open) = self.levels.get_mut(depth).and_then(|level| level.open.as_mut()) else { return Ok(()) };
        open.extend_from_slice(id.as_bytes());
        let count = open.len() / 32;
        if count < LIST_IDS_MAX && (count < LIST_ITEMS_MIN || !ends_list(&id)) {
            return Ok(());
        }
        let list = sink.store(open)?;
        open.clear();
        self.push_at(depth + 1, list, sink)
    }
}
