//! Reading trees back: the entries of one directory in order, and the chunk ids of one file.
//!
//! A chunk's hash proves only that a key holder wrote it. Everything else is checked here, on every read: names,
//! their order, kinds and what belongs to them, depth and size. Nothing above need distrust an [`Entry`].

use crate::base::id::ChunkId;
use crate::repo::chunks::ChunkReader;
use crate::repo::error::RepoError;
use crate::repo::format::BLOCK_BYTES_MAX;
use crate::repo::tree::entry::{DamageMark, Entry, EntryKind, FileContent};
use crate::repo::tree::node::{NODE_ITEMS_MAX, Node, SPINE_DEPTH_MAX};

/// How deep directories may be nested: more than any file system's tools can reach, little enough for memory.
pub const TREE_DEPTH_MAX: usize = 16_384;
/// How often a list of ids must be expanded, at most.
pub const LIST_DEPTH_MAX: u8 = 2;
/// Bytes of a symbolic link's target, at most.
const TARGET_BYTES_MAX: usize = 4096;
/// Bytes of an attribute's value, at most.
const XATTR_BYTES_MAX: usize = 64 << 10;

/// Where tree chunks come from.
pub trait TreeSource {
    /// The verified plaintext of a chunk.
    fn fetch(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError>;
}

impl TreeSource for ChunkReader<'_> {
    fn fetch(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        self.read(id)
    }
}

/// The entries of one directory, in order of name. Behind a node that cannot be read come the entries of those beside it;
/// behind names out of order nothing comes.
pub struct Entries<'a> {
    source: &'a dyn TreeSource,
    levels: Vec<Level>,
    previous: Option<Vec<u8>>,
}

/// A node on the way to the current leaf.
struct Level {
    id: ChunkId,
    /// Name the spine above promises for the first entry.
    promised: Option<Vec<u8>>,
    /// How many items were handed out.
    taken: usize,
    /// What is left, last item first; `None` while parked.
    left: Option<Left>,
}

enum Left {
    Entries(Vec<Entry>),
    Children(Vec<crate::repo::tree::node::Child>),
}

impl<'a> Entries<'a> {
    /// The directory whose tree is `tree`. Nothing is read yet.
    pub fn new(source: &'a dyn TreeSource, tree: ChunkId) -> Self {
        Self { source, levels: vec![Level { id: tree, promised: None, taken: 0, left: None }], previous: None }
    }

    /// Forgets what is decoded; the next call reads the node again. A walk parks the directories above when it
    /// goes deep, so that its memory does not grow with what is still to come there.
    pub fn park(&mut self) {
        self.levels.iter_mut().for_each(|level| level.left = None);
    }

    /// How many decoded items are held: what [`park`](Self::park) would free.
    pub fn held(&self) -> usize {
        let held = |level: &Level| match &level.left {
            None => 0,
            Some(Left::Entries(entries)) => entries.len(),
            Some(Left::Children(children)) => children.len(),
        };
        self.levels.iter().map(held).sum()
    }

    fn advance(&mut self) -> Result<Option<Entry>, RepoError> {
        loop {
            let above = self.levels.len();
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            if level.left.is_none() {
                match level.load(self.source) {
                    Ok(left) => level.left = Some(left),
                    Err(error) => {
                        // The nodes beside it may be whole.
                        self.levels.pop();
                        return Err(error);
                    }
                }
            }
            match &mut level.left {
                Some(Left::Entries(entries)) => {
                    if let Some(entry) = entries.pop() {
                        level.taken += 1;
                        if let Err(error) = self.in_order(&entry) {
                            self.levels.clear();
                            return Err(error);
                        }
                        return Ok(Some(entry));
                    }
                }
                Some(Left::Children(children)) => {
                    if let Some(child) = children.pop() {
                        level.taken += 1;
                        if above > SPINE_DEPTH_MAX {
                            let error = malformed(&level.id, "its spines are stacked too high");
                            self.levels.clear();
                            return Err(error);
                        }
                        self.levels.push(Level { id: child.id, promised: Some(child.first), taken: 0, left: None });
                        continue;
                    }
                }
                None => {}
            }
            self.levels.pop();
        }
    }

    fn in_order(&mut self, entry: &Entry) -> Result<(), RepoError> {
        let id = self.levels.last().map_or_else(|| ChunkId::from_bytes([0; 32]), |level| level.id);
        if self.previous.as_ref().is_some_and(|previous| *previous >= entry.name) {
            return Err(malformed(&id, "its names are not in order"));
        }
        match &mut self.previous {
            Some(previous) => previous.clone_from(&entry.name),
            none => *none = Some(entry.name.clone()),
        }
        Ok(())
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, RepoError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

impl Level {
    fn load(&self, source: &dyn TreeSource) -> Result<Left, RepoError> {
        let node = decode_node(&self.id, &source.fetch(&self.id)?)?;
        let first = match &node {
            Node::Leaf(entries) => entries.first().map(|entry| &entry.name),
            Node::Spine(children) => children.first().map(|child| &child.first),
        };
        if self.promised.is_some() && first != self.promised.as_ref() {
            return Err(malformed(&self.id, "it does not begin with the name it is listed under"));
        }
        Ok(match node {
            Node::Leaf(mut entries) => {
                entries.drain(..self.taken.min(entries.len()));
                entries.reverse();
                Left::Entries(entries)
            }
            Node::Spine(mut children) => {
                children.drain(..self.taken.min(children.len()));
                children.reverse();
                Left::Children(children)
            }
        })
    }
}

/// Parses and checks one node on its own.
pub fn decode_node(id: &ChunkId, bytes: &[u8]) -> Result<Node, RepoError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let node: Node = decoder.decode().map_err(|error| malformed(id, error))?;
    if decoder.position() != bytes.len() {
        return Err(malformed(id, "something follows behind it"));
    }
    match &node {
        Node::Leaf(entries) if entries.len() > NODE_ITEMS_MAX => Err(malformed(id, "it holds too many entries")),
        Node::Leaf(entries) => {
            entries.iter().try_for_each(|entry| check_entry(entry).map_err(|why| malformed(id, why)))?;
            Ok(node)
        }
        Node::Spine(children) if children.is_empty() || children.len() > NODE_ITEMS_MAX => {
            Err(malformed(id, "it has an impossible number of references"))
        }
        Node::Spine(_) => Ok(node),
    }
}

/// Whether an entry could have come from a file system, and may be made in one.
fn check_entry(entry: &Entry) -> Result<(), &'static str> {
    if !Entry::name_is_safe(&entry.name) {
        return Err("it holds a name no file may have");
    }
    if entry.mode > 0o7777 {
        return Err("it holds impossible permission bits");
    }
    let attributes = entry.xattrs.as_deref().unwrap_or_default();
    let sound = |name: &[u8]| !name.is_empty() && name.len() <= 255 && !name.contains(&0);
    if attributes.iter().any(|pair| !sound(&pair.name) || pair.value.len() > XATTR_BYTES_MAX) {
        return Err("it holds an impossible attribute");
    }
    let is = |kind| entry.kind == kind;
    if is(EntryKind::Directory) != entry.tree.is_some() {
        return Err("a directory has no tree, or something else has one");
    }
    let target = entry.target.as_deref();
    let target_is_sound =
        |target: &[u8]| !target.is_empty() && target.len() <= TARGET_BYTES_MAX && !target.contains(&0);
    if is(EntryKind::Symlink) != target.is_some() || target.is_some_and(|target| !target_is_sound(target)) {
        return Err("a link has no target a link can have");
    }
    if !is(EntryKind::File) && (entry.content.is_some() || entry.size != 0) {
        return Err("something that is no file has content");
    }
    if let Some(mark) = &entry.damaged {
        let named = mark.missing.len();
        if named == 0 || named > DamageMark::NAMED_MAX || mark.count < named as u64 {
            return Err("a mark of damage says nothing, or too much");
        }
    }
    if is(EntryKind::File) && (entry.size > i64::MAX as u64 || !content_fits(entry)) {
        return Err("a file's content does not fit its length");
    }
    Ok(())
}

/// Whether the extents are in order, apart and inside of the file, and there is content where there must be.
fn content_fits(entry: &Entry) -> bool {
    let Some(content) = &entry.content else { return entry.size == 0 };
    if content.list_depth.unwrap_or(0) > LIST_DEPTH_MAX {
        return false;
    }
    if let Some(offset) = content.fragment {
        let inside = u64::from(offset).saturating_add(entry.size) <= BLOCK_BYTES_MAX as u64;
        return inside
            && entry.size > 0
            && content.ids.len() == 1
            && content.list_depth.is_none()
            && content.extents.is_none();
    }
    let Some(extents) = &content.extents else { return content.ids.is_empty() == (entry.size == 0) };
    let mut at = 0;
    for extent in extents {
        let end = extent.offset.checked_add(extent.length);
        let Some(end) = end.filter(|&end| extent.offset >= at && extent.length > 0 && end <= entry.size) else {
            return false;
        };
        at = end;
    }
    content.ids.is_empty() == extents.is_empty()
}

/// Calls `visit` with every data chunk of a file, in order; lists are read as they are needed.
pub fn for_each_id<E: From<RepoError>>(
    source: &dyn TreeSource,
    content: &FileContent,
    visit: &mut dyn FnMut(ChunkId) -> Result<(), E>,
) -> Result<(), E> {
    expand(source, &content.ids, content.list_depth.unwrap_or(0).min(LIST_DEPTH_MAX), visit)
}

fn expand<E: From<RepoError>>(
    source: &dyn TreeSource,
    ids: &[ChunkId],
    depth: u8,
    visit: &mut dyn FnMut(ChunkId) -> Result<(), E>,
) -> Result<(), E> {
    for id in ids {
        if depth == 0 {
            visit(*id)?;
        } else {
            expand(source, &decode_list(id, &source.fetch(id)?)?, depth - 1, visit)?;
        }
    }
    Ok(())
}

/// Parses a list chunk.
pub fn decode_list(id: &ChunkId, bytes: &[u8]) -> Result<Vec<ChunkId>, RepoError> {
    let (ids, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || ids.is_empty() || ids.len() > crate::repo::format::LIST_IDS_MAX {
        return Err(malformed(id, "it is no list of ids"));
    }
    Ok(ids.iter().copied().map(ChunkId::from_bytes).collect())
}

fn malformed(id: &ChunkId, why: impl std::fmt::Display) -> RepoError {
    RepoError::BadTree { id: *id, why: why.to_string() }
}

#[cfg(test)]
mod tests;
