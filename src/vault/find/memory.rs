//! What directories have been found to hold.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::base::id::ChunkId;
use crate::codec::kdf::plain_hash;
use crate::repo::tree::Entry;

/// Directories without a match that are remembered: 16 bytes each and what a set needs besides.
const BARREN_MAX: usize = 2 << 20;
/// Entries remembered of directories with matches.
const ITEMS_MAX: usize = 200_000;

/// Names a directory for the purposes of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 16]);

/// What a directory holds that matters.
#[derive(Default)]
pub struct Fruit {
    /// In order of name.
    pub items: Vec<Item>,
}

/// An entry that matches, or leads to one that does.
pub struct Item {
    /// Without its chunks.
    pub entry: Entry,
    /// Whether it matches itself.
    pub matches: bool,
    /// The directory below, if there is something in it.
    pub below: Option<ChunkId>,
}

impl Fruit {
    /// The directory entered last has nothing.
    pub fn last_leads_nowhere(&mut self) {
        if let Some(last) = self.items.last_mut() {
            last.below = None;
        }
    }

    /// Whatever was noted last, and led nowhere, makes room.
    pub fn drop_last_if_empty(&mut self, memory: &mut Memory) {
        if self.items.pop_if(|last| !last.matches && last.below.is_none()).is_some() {
            memory.release(1);
        }
    }
}

/// Remembers, within bounds; what it has no room for is read again.
pub struct Memory {
    /// Whether the same directory under another path may match otherwise.
    by_path: bool,
    barren: HashSet<Key>,
    fruit: HashMap<Key, Arc<Fruit>>,
    /// Entries in these, and in directories that are being read.
    items: usize,
}

impl Memory {
    /// A memory for these patterns.
    pub fn new(patterns: &[String]) -> Self {
        let inside = |pattern: &String| pattern.trim_end_matches('/').contains('/');
        let by_path = patterns.iter().any(inside);
        Self { by_path, barren: HashSet::new(), fruit: HashMap::new(), items: 0 }
    }

    /// The key of a directory at a path.
    pub fn key(&self, tree: &ChunkId, path: &[u8]) -> Key {
        let mut key = [0; 16];
        let whole = if self.by_path { plain_hash(&[tree.as_bytes(), path].concat()) } else { *tree.as_bytes() };
        key.copy_from_slice(&whole[..16]);
        Key(key)
    }

    /// Whether nothing in it or below it matches.
    pub fn is_barren(&self, key: &Key) -> bool {
        self.barren.contains(key)
    }

    /// What is in it.
    pub fn fruit(&self, key: &Key) -> Option<Arc<Fruit>> {
        self.fruit.get(key).map(Arc::clone)
    }

    /// Asks for room for one entry more, of a directory that is being read.
    pub fn reserve(&mut self) -> bool {
        let room = self.items < ITEMS_MAX;
        self.items += usize::from(room);
        room
    }

    /// Gives room back.
    pub fn release(&mut self, items: usize) {
        self.items = self.items.saturating_sub(items);
    }

    /// Takes in what was found, for which there is room.
    pub fn put(&mut self, key: Key, fruit: Fruit) {
        if !fruit.items.is_empty() {
            let items = fruit.items.len();
            // Two paths to one directory may both have been under way.
            if self.fruit.insert(key, Arc::new(fruit)).is_some() {
                self.release(items);
            }
        } else if self.barren.len() < BARREN_MAX {
            self.barren.insert(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_the_same_wherever_it_stands_unless_a_pattern_speaks_of_paths() {
        let tree = ChunkId::from_bytes([7; 32]);
        for (pattern, same) in [("*.json", true), ("dir/", true), ("config/*.json", false), ("/etc", false)] {
            let memory = Memory::new(&[pattern.to_owned()]);
            assert_eq!(memory.key(&tree, b"a") == memory.key(&tree, b"b"), same, "{pattern}");
        }
    }
}
