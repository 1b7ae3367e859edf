//! One snapshot looked through: from memory where that knows, from the store elsewhere.

use std::sync::Arc;

use crate::base::cancel::Cancel;
use crate::base::id::ChunkId;
use crate::repo::RepoError;
use crate::repo::tree::reader::{Entries, TREE_DEPTH_MAX, TreeSource};
use crate::repo::tree::{Entry, EntryKind};
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
                    // The rest of the directory may be whole.
                    fault(&mut faults, &path, error.to_string());
                    level.forget(self.memory);
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

    /// Gives back what was noted, and notes no more.
    fn forget(&mut self, memory: &mut Memory) {
        if let Reading::Store(_, found) = &mut self.from
            && let Some(fruit) = found.take()
        {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::tree::testing::{MemoryTrees, file, folder};

    /// What is found in one root after the other, with one memory.
    fn found(trees: &MemoryTrees, pattern: &str, roots: &[ChunkId]) -> Vec<Vec<String>> {
        let patterns = [pattern.to_owned()];
        let (set, mut memory) = (PatternSet::new(&patterns).unwrap(), Memory::new(&patterns));
        let cancel = Cancel::default();
        let mut look = |root: &ChunkId| {
            let mut paths = Vec::new();
            let mut tell = |path: &[u8], _: &Entry| {
                paths.push(String::from_utf8_lossy(path).into_owned());
                Ok(())
            };
            let mut search =
                Search { source: trees, patterns: &set, memory: &mut memory, cancel: &cancel, trees_read: 0 };
            assert!(search.run(*root, &mut tell).unwrap().is_empty());
            paths
        };
        roots.iter().map(&mut look).collect()
    }

    #[test]
    fn what_was_found_once_is_told_again_without_reading() {
        let trees = MemoryTrees::default();
        let deep = trees.directory(&[file("no", 1), file("yes", 1)]);
        let empty = trees.directory(&[file("no", 1)]);
        let middle = trees.directory(&[folder("a", empty), folder("b", deep), file("yes", 2), folder("z", empty)]);
        let one = trees.directory(&[folder("x", middle)]);
        let other = trees.directory(&[folder("x", middle), file("yes", 3)]);
        let expected = vec!["x/b/yes", "x/yes"];
        let all = found(&trees, "yes", &[one, one, other]);
        assert_eq!(all, [expected.clone(), expected.clone(), [expected, vec!["yes"]].concat()]);
        // `a` and `z` are one directory: root, middle, empty, deep; the same root again; another root.
        assert_eq!(trees.fetched.get(), 5);
    }

    #[test]
    fn what_there_is_no_room_for_is_read_again_and_nothing_is_missed() {
        let trees = MemoryTrees::default();
        let many: Vec<Entry> = (0..1000).map(|number| file(&format!("{number:04}"), 1)).collect();
        let leaf = |extra: &str| {
            let mut entries = many.clone();
            entries.push(file(extra, 1));
            trees.directory(&entries)
        };
        let folders: Vec<Entry> =
            (0..250).map(|number| folder(&format!("{number:03}"), leaf(&format!("x{number}")))).collect();
        let root = trees.directory(&folders);
        let all = found(&trees, "*", &[root, root]);
        assert_eq!(all[0].len(), 250 + 250 * 1001);
        assert_eq!(all[0], all[1]);
    }

    #[test]
    fn what_is_let_go_of_in_deep_and_wide_trees_is_read_again_where_it_was_left() {
        let trees = MemoryTrees::default();
        let level = |below: Option<ChunkId>| {
            let mut entries: Vec<Entry> = (0..900).map(|number| file(&format!("{number:04}"), 1)).collect();
            entries.insert(10, below.map_or(file("0009-leaf", 1), |below| folder("0009-way", below)));
            entries.push(file("last", 1));
            trees.directory(&entries)
        };
        let root = (0..40).fold(None, |below, _| Some(level(below))).unwrap();
        let [paths] = found(&trees, "last", &[root]).try_into().unwrap();
        let expected: Vec<String> = (0..40).rev().map(|depth| format!("{}last", "0009-way/".repeat(depth))).collect();
        assert_eq!(paths, expected);
    }
}
