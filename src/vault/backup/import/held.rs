//! Small files that wait for their neighbours. An archive holds a directory's files in any order, with whole
//! subdirectories between them; which files share a chunk is told by their order in the directory.

use std::collections::{BTreeMap, HashMap};

use crate::repo::tree::{Entry, Owner};
use crate::vault::archive::name;
use crate::vault::backup::fragments::ends_shared;

/// What is held at most. A directory that is left for good needs no more room; only one with more small files in it
/// than this is given up early, and shares differently than a walk would.
const HELD_BYTES_MAX: usize = 64 << 20;
/// What holding a file and a directory costs besides their bytes, about.
const FILE_COST: usize = 640;
const FOLDER_COST: usize = 800;
/// What an attribute costs besides its bytes.
const PAIR_COST: usize = 48;

/// A small file.
pub struct Small {
    /// Where it stands in the snapshot.
    pub path: Vec<u8>,
    /// Number of its member.
    pub order: u64,
    /// Everything but its content.
    pub entry: Entry,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Names of a directory, in order: small files, and others behind whose names a shared chunk ends.
pub type Folder = BTreeMap<Vec<u8>, Option<Box<Small>>>;

impl Small {
    /// Bytes it holds of what the archive decides the length of.
    fn bytes(&self) -> usize {
        let Owner { user, group, .. } = &self.entry.owner;
        let names = [user, group].map(|name| name.as_ref().map_or(0, String::len));
        let attributes = self.entry.xattrs.iter().flatten().map(|pair| pair.name.len() + pair.value.len() + PAIR_COST);
        self.path.len() + self.content.len() + names.iter().sum::<usize>() + attributes.sum::<usize>()
    }
}

/// What a name of a directory costs.
fn cost(name: &[u8], small: Option<&Small>) -> usize {
    FILE_COST + name.len() + small.map_or(0, Small::bytes)
}

struct Waiting {
    names: Folder,
    bytes: usize,
    touched: u64,
}

/// Small files by directory.
pub struct Held {
    folders: HashMap<Vec<u8>, Waiting>,
    bytes: usize,
    max: usize,
    moves: u64,
}

impl Default for Held {
    fn default() -> Self {
        Self { folders: HashMap::new(), bytes: 0, max: HELD_BYTES_MAX, moves: 0 }
    }
}

impl Held {
    /// Holds a small file; one that was held under the same path goes.
    pub fn hold(&mut self, small: Small) {
        self.put(&small.path.clone(), Some(Box::new(small)));
    }

    /// Something else stands at a path, in the place of what may have been held there.
    pub fn pass(&mut self, path: &[u8]) {
        let (folder, name) = name::split(path);
        if ends_shared(name) {
            self.put(path, None);
        } else if let Some(waiting) = self.folders.get_mut(folder)
            && let Some(before) = waiting.names.remove(name)
        {
            let freed = cost(name, before.as_deref());
            waiting.bytes -= freed;
            self.bytes -= freed;
        }
    }

    fn put(&mut self, path: &[u8], small: Option<Box<Small>>) {
        let (folder, name) = name::split(path);
        self.moves += 1;
        if !self.folders.contains_key(folder) {
            let bytes = FOLDER_COST + folder.len();
            self.bytes += bytes;
            self.folders.insert(folder.to_vec(), Waiting { names: Folder::new(), bytes, touched: 0 });
        }
        let Some(waiting) = self.folders.get_mut(folder) else { return };
        waiting.touched = self.moves;
        let cost_now = cost(name, small.as_deref());
        let before = waiting.names.insert(name.to_vec(), small);
        let freed = before.map_or(0, |before| cost(name, before.as_deref()));
        waiting.bytes = waiting.bytes + cost_now - freed;
        self.bytes = self.bytes + cost_now - freed;
    }

    /// Takes a file out: it gets another name, and files with several names share nothing.
    pub fn take(&mut self, path: &[u8]) -> Option<Small> {
        let (folder, name) = name::split(path);
        let waiting = self.folders.get_mut(folder)?;
        let small = waiting.names.get_mut(name)?.take()?;
        let stays = ends_shared(name);
        let freed = if stays { small.bytes() } else { cost(name, Some(&small)) };
        if !stays {
            waiting.names.remove(name);
        }
        waiting.bytes -= freed;
        self.bytes -= freed;
        Some(*small)
    }

    /// Directories to be given up because too much is held: first those that `path` does not lie in, the longest
    /// untouched first, for archives are mostly written directory by directory.
    pub fn overflow(&mut self, path: &[u8]) -> Vec<Folder> {
        if self.bytes <= self.max {
            return Vec::new();
        }
        let mut order: Vec<(bool, u64, Vec<u8>)> = self
            .folders
            .iter()
            .map(|(folder, waiting)| (name::below(path, folder).is_some(), waiting.touched, folder.clone()))
            .collect();
        order.sort_unstable();
        let mut given_up = Vec::new();
        for (_, _, folder) in order {
            if self.bytes <= self.max / 2 {
                break;
            }
            if let Some(waiting) = self.folders.remove(&folder) {
                self.bytes -= waiting.bytes;
                given_up.push(waiting.names);
            }
        }
        given_up
    }

    /// All of them, in the order in which they were last touched.
    pub fn all(&mut self) -> Vec<Folder> {
        let mut all: Vec<Waiting> = std::mem::take(&mut self.folders).into_values().collect();
        all.sort_unstable_by_key(|waiting| waiting.touched);
        self.bytes = 0;
        all.into_iter().map(|waiting| waiting.names).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::repo::tree::{EntryKind, XattrPair};

    fn small(path: &str, bytes: usize) -> Small {
        let owner = Owner { uid: 0, gid: 0, user: None, group: None };
        let (mtime, ctime) = (Timestamp::default(), Timestamp::default());
        let kind = EntryKind::File;
        let entry = Entry { mode: 0, owner, mtime, ctime, size: bytes as u64, ..Entry::bare(Vec::new(), kind) };
        Small { path: path.into(), order: 1, entry, content: vec![1; bytes] }
    }

    fn held(max: usize, paths: &[&str]) -> Held {
        let mut held = Held { max, ..Held::default() };
        paths.iter().for_each(|path| held.hold(small(path, 100)));
        held
    }

    #[test]
    fn a_directory_that_was_left_goes_before_the_one_it_lies_in() {
        let mut held = held(5_000, &["a/1", "a/b/2", "a/b/3", "a/c/4"]);
        let given_up = held.overflow(b"a/c/4");
        let names: Vec<Vec<&[u8]>> = given_up.iter().map(|folder| folder.keys().map(Vec::as_slice).collect()).collect();
        assert_eq!(names, [vec![b"2".as_slice(), b"3"], vec![b"1"]]);
        assert!(held.take(b"a/c/4").is_some());
    }

    #[test]
    fn everything_an_archive_can_make_long_counts() {
        let mut long = small("a/1", 100);
        long.entry.xattrs = Some(vec![XattrPair { name: b"user.a".to_vec(), value: vec![0; 60_000] }]);
        long.entry.owner.user = Some("x".repeat(250));
        let mut held = held(1 << 20, &[]);
        held.hold(long);
        assert!(held.bytes > 60_250);
        held.hold(small(&"deep/".repeat(10_000), 100));
        assert!(held.bytes > 60_250 + 50_000);
        assert!(held.take(b"a/1").is_some() && held.bytes < 120_000);
    }

    #[test]
    fn what_was_put_in_and_taken_out_leaves_no_trace() {
        let mut held = held(1 << 20, &["a/1", "a/2", "a/1"]);
        held.pass(b"a/1");
        assert!(held.take(b"a/1").is_none() && held.take(b"a/2").is_some() && held.take(b"x/y").is_none());
        let left: usize = held.all().iter().map(|folder| folder.values().flatten().count()).sum();
        assert_eq!((left, held.bytes), (0, 0));
    }
}
