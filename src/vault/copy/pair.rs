//! A directory that was copied before, on both sides: what its entries are called there.

use crate::base::id::ChunkId;
use crate::repo::tree::reader::{Entries, TreeSource};
use crate::repo::tree::{Entry, FileContent};

/// Where the trees of an earlier snapshot are read.
#[derive(Clone, Copy)]
pub struct Earlier<'s> {
    /// The source; `None` if both repositories name chunks alike, so that the target's tree is the source's too.
    pub source: Option<&'s dyn TreeSource>,
    /// The target.
    pub target: &'s dyn TreeSource,
}

/// The ids of one tree in source and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Twins {
    /// In the source.
    pub source: ChunkId,
    /// In the target.
    pub target: ChunkId,
}

/// An entry of both sides.
pub struct Known {
    source: Option<Entry>,
    target: Entry,
}

impl Known {
    /// The tree in the target, if this is the same directory in the source still.
    pub fn tree(&self, now: ChunkId) -> Option<ChunkId> {
        self.twins().filter(|twins| twins.source == now).map(|twins| twins.target)
    }

    /// The trees of an earlier directory.
    pub fn twins(&self) -> Option<Twins> {
        // What a repair has marked there may be lost: it is brought anew.
        let target = self.target.tree.filter(|_| self.target.damaged.is_none())?;
        let source = self.source.as_ref().map_or(Some(target), |source| source.tree)?;
        Some(Twins { source, target })
    }

    /// The content in the target, if this is the same content in the source still.
    pub fn content(&self, now: &Entry) -> Option<FileContent> {
        let before = self.source.as_ref().unwrap_or(&self.target);
        let same = before.content == now.content && before.size == now.size && self.target.size == now.size;
        self.target.content.clone().filter(|_| same && self.target.damaged.is_none())
    }
}

/// The entries of both sides, asked for in ascending order of their names.
pub struct Pair<'s> {
    source: Option<Side<'s>>,
    target: Side<'s>,
}

impl<'s> Pair<'s> {
    /// A directory.
    pub fn new(earlier: Earlier<'s>, twins: Twins) -> Self {
        Self {
            source: earlier.source.map(|source| Side::new(source, twins.source)),
            target: Side::new(earlier.target, twins.target),
        }
    }

    /// The entry of this name. What cannot be read is not known: it only costs the shorter way.
    pub fn find(&mut self, name: &[u8]) -> Option<Known> {
        let target = self.target.find(name);
        let source = match &mut self.source {
            Some(side) => Some(side.find(name)?),
            None => None,
        };
        Some(Known { source, target: target? })
    }

    /// Decoded entries held.
    pub fn held(&self) -> usize {
        self.target.entries.held() + self.source.as_ref().map_or(0, |side| side.entries.held())
    }

    /// Lets go of them; they are read again when they are needed.
    pub fn park(&mut self) {
        self.target.entries.park();
        if let Some(side) = &mut self.source {
            side.entries.park();
        }
    }
}

struct Side<'s> {
    entries: Entries<'s>,
    next: Option<Entry>,
}

impl<'s> Side<'s> {
    fn new(source: &'s dyn TreeSource, tree: ChunkId) -> Self {
        Self { entries: Entries::new(source, tree), next: None }
    }

    fn find(&mut self, name: &[u8]) -> Option<Entry> {
        loop {
            let next = match self.next.take() {
                Some(next) => next,
                None => self.entries.next()?.ok()?,
            };
            match next.name.as_slice().cmp(name) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Some(next),
                std::cmp::Ordering::Greater => {
                    self.next = Some(next);
                    return None;
                }
            }
        }
    }
}
