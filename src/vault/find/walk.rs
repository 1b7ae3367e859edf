//! One snapshot looked through: from memory where that knows, from the store elsewhere.

use std::sync::Arc;

use crate::base::cancel::Cancel;
use crate::base::id::ChunkId;
use crate::repo::RepoError;
use crate::repo::tree::{Entry, EntryKind};
use crate::repo::tree::reader::{Entries, TREE_DEPTH_MAX, TreeSource};
use crate::sys::pattern::PatternSet;
use crate::vault::VaultError;
use crate::vault::find::memory::{Fruit, Item, Key, Memory};

/// Decoded entries held before those of the directories above are let go of.
const HELD_MAX: usize = 20_000;
/// Faults named of one snapshot.
const FAULTS_MAX: usize = 100;

/// Receives a path and its entry.
type Tell<'t> = dyn FnMut(&[u8], &Entry) -> Result<(), VaultError> + 't;

/// What a search works with.
pub struct Search<'s> {
    /// Reads directories.
    pub source: &'s dyn TreeSource,
    /// What is looked for.
    pub patterns: &'s PatternSet,
    /// What is known.
    pub memory: &'s mut Memory,
    /// Ends it early.
    pub cancel: &'s Cancel,
    /// Directories read so far.
    pub trees_read: u64,
}

/// A directory on the way to where the search is.
struct Level<'s> {
    path: usize,
    key: Key,
    from: Reading<'s>,
}

enum Reading<'s> {
    /// It is known: the next of its items.
    Memory(Arc<Fruit>, usize),
    /// It is read, and this was found so far; `None` once that is too much to remember.
    Store(Entries<'s>, Option<Fruit>),
}

impl<'s> Search<'s> {
    /// Looks through everything below a root. Gives the directories that could not be read, and why.
    pub fn run(&mut self, root: ChunkId, tell: &mut Tell<'_>) -> Result<Vec<(String, String)>, VaultError> {
        let (mut path, mut faults) = (Vec::new(), Vec::new());
        let mut stack: Vec<Level<'s>> = Vec::new();
        stack.extend(self.enter(root, &path));
        while let Some(level) = stack.last_mut() {
            if self.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            path.truncate(level.path);
            match level.next() {
                Some(Ok((entry, known))) => {
                    push_name(&mut path, &entry.name);
                    let is_dir = entry.kind == EntryKind::Directory;
                    let matches = known.unwrap_or_else(|| self.patterns.matches(&path, is_dir));
                    if matches {
                        tell(&path, &entry)?;
                    }
                    let below = entry.tree.and_then(|tree| self.enter(tree, &path));
                    level.note(entry, matches, below.is_some(), self.memory);
                    if let Some(below) = below {
                        deepen(&mut stack, below, &path, &mut faults);
                    }
                }
                Some(Err(error)) => {
                    fault(&mut faults, &path, error.to_string());
                    if let Some(level) = stack.pop() {
                        level.forget(self.memory);
                    }
                }
                None => self.leave(&mut stack),
            }
        }
        Ok(faults)
    }

    /// The next level, unless it is known that nothing is there.
    fn enter(&mut self, tree: ChunkId, path: &[u8]) -> Option<Level<'s>> {
        let key = self.memory.key(&tree, path);
        if self.memory.is_barren(&key) || !self.patterns.may_match_below(path) {
            return None;
        }
        let from = match self.memory.fruit(&key) {
            Some(fruit) => Reading::Memory(fruit, 0),
            None => {
                self.trees_read += 1;
                Reading::Store(Entries::new(self.source, tree), Some(Fruit::default()))
            }
        };
        Some(Level { path: path.len(), key, from })
    }

    /// Ends a directory: what it holds is remembered, and the one above learns if that is nothing.
    fn leave(&mut self, stack: &mut Vec<Level<'s>>) {
        let Some(Level { key, from: Reading::Store(_, Some(mut fruit)), .. }) = stack.pop() else { return };
        fruit.drop_last_if_empty(self.memory);
        let empty = fruit.items.is_empty();
        self.memory.put(key, fruit);
        if empty && let Some(Level { from: Reading::Store(_, Some(above)), .. }) = stack.last_mut() {
            above.last_leads_nowhere();
        }
    }
}

impl Level<'_> {
    /// The next entry, and whether it matches if that is known.
    fn next(&mut self) -> Option<Result<(Entry, Option<bool>), RepoError>> {
        match &mut self.from {
            Reading::Memory(fruit, at) => {
                let item = fruit.items.get(*at)?;
                *at += 1;
                Some(Ok((Entry { tree: item.below, ..item.entry.clone() }, Some(item.matches))))
            }
            Reading::Store(entries, _) => entries.next().map(|next| next.map(|entry| (entry, None))),
        }
    }

    /// Notes an entry, for the next snapshot that has this directory.
    fn note(&mut self, entry: Entry, matches: bool, below: bool, memory: &mut Memory) {
        let Reading::Store(_, found) = &mut self.from else { return };
        let Some(fruit) = found else { return };
        fruit.drop_last_if_empty(memory);
        if !matches && !below {
            return;
        }
        if memory.reserve() {
            let below = entry.tree.filter(|_| below);
            fruit.items.push(Item { entry: Entry { content: None, tree: None, ..entry }, matches, below });
        } else {
            memory.release(fruit.items.len());
            *found = None;
        }
    }

    /// Gives back what was noted.
    fn forget(self, memory: &mut Memory) {
        if let Reading::Store(_, Some(fruit)) = self.from {
            memory.release(fruit.items.len());
        }
    }

    fn held(&self) -> usize {
        match &self.from {
            Reading::Memory(..) => 0,
            Reading::Store(entries, _) => entries.held(),
        }
    }
}

fn deepen<'s>(stack: &mut Vec<Level<'s>>, below: Level<'s>, path: &[u8], faults: &mut Vec<(String, String)>) {
    if stack.len() >= TREE_DEPTH_MAX {
        return fault(faults, path, format!("directories are nested deeper than {TREE_DEPTH_MAX}"));
    }
    if stack.iter().map(Level::held).sum::<usize>() > HELD_MAX {
        for level in &mut *stack {
            if let Reading::Store(entries, _) = &mut level.from {
                entries.park();
            }
        }
    }
    stack.push(below);
}

fn fault(faults: &mut Vec<(String, String)>, path: &[u8], cause: String) {
    if faults.len() < FAULTS_MAX {
        faults.push((format!("/{}", String::from_utf8_lossy(path)), cause));
    }
}

fn push_name(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}
