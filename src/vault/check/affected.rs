//! Naming the files that need lost chunks. Runs only when there are any: a second walk, snapshot by snapshot,
//! which skips every directory found whole before.

use std::collections::HashMap;

use crate::base::id::{ChunkId, SnapshotId};
use crate::repo::chunks::ChunkReader;
use crate::repo::index::{Index, Prefix, prefix_of};
use crate::repo::pack::reader;
use crate::repo::tree::node::Node;
use crate::repo::tree::reader::{decode_list, decode_node};
use crate::repo::tree::{Entry, FileContent};
use crate::vault::check::Kind;
use crate::vault::check::damage::{Damage, Why};
use crate::vault::check::findings::Findings;
use crate::vault::check::treeset::TreeSet;
use crate::vault::{Context, VaultError};

/// Files and directories named for each snapshot, at most.
const NAMED_PER_SNAPSHOT: usize = 100;
/// Files and directories named in all; beyond that, one for each snapshot.
const NAMED_MAX: usize = 10_000;

/// What naming works with.
pub struct Affected<'a> {
    /// Reads trees again.
    pub chunks: &'a ChunkReader<'a>,
    /// Marks the tree chunks below which nothing is lost; nothing is marked at first.
    pub whole: &'a TreeSet,
    /// What is lost.
    pub lost: &'a HashMap<Prefix, Why>,
    /// To tell a missing pack from a damaged one.
    pub damage: &'a Damage,
    /// Receives a finding for each file.
    pub findings: &'a Findings<'a>,
    /// Cancel.
    pub context: Context<'a>,
    /// Named so far.
    pub named: usize,
}

/// A tree chunk being looked through.
struct Frame {
    id: ChunkId,
    /// Length of the path of its directory.
    path_bytes: usize,
    steps: std::vec::IntoIter<Step>,
    whole: bool,
}

enum Step {
    /// The next node of the same directory.
    Spine(ChunkId),
    Entry(Box<Entry>),
}

impl Affected<'_> {
    /// Names what one snapshot lost.
    pub fn snapshot(&mut self, snapshot: &SnapshotId, root: ChunkId) -> Result<(), VaultError> {
        let limit = if self.named < NAMED_MAX { NAMED_PER_SNAPSHOT } else { 1 };
        let mut named = 0;
        let mut path = Vec::new();
        let mut stack = Vec::new();
        named += usize::from(!self.enter(snapshot, root, &path, &mut stack));
        while let Some(frame) = stack.last_mut() {
            if self.context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            if named >= limit {
                self.findings.damage(
                    Kind::MoreAffected,
                    place(snapshot, b""),
                    "more of it may be lost; a restore names all of it",
                );
                break;
            }
            path.truncate(frame.path_bytes);
            let Some(step) = frame.steps.next() else {
                leave(&mut stack, self.whole);
                continue;
            };
            let whole = match step {
                Step::Spine(id) => self.enter(snapshot, id, &path, &mut stack),
                Step::Entry(entry) => self.entry(snapshot, &entry, &mut path, &mut stack),
            };
            if !whole {
                named += 1;
                // Entering nothing leaves the frame of this step on top.
                if let Some(frame) = stack.last_mut() {
                    frame.whole = false;
                }
            }
        }
        self.named += named;
        Ok(())
    }

    /// Looks at an entry; `false`, with the finding made, if something of it itself is lost.
    fn entry(&self, snapshot: &SnapshotId, entry: &Entry, path: &mut Vec<u8>, stack: &mut Vec<Frame>) -> bool {
        path.push(b'/');
        path.extend_from_slice(&entry.name);
        if let Some(tree) = entry.tree {
            return self.enter(snapshot, tree, path, stack);
        }
        let lost = entry.content.as_ref().and_then(|content| self.lost_of_content(content));
        if let Some(cause) = &lost {
            self.findings.damage(Kind::FileAffected, place(snapshot, path), cause);
        }
        lost.is_none()
    }

    /// Puts a tree chunk on the stack unless it is known to be whole; `false`, with the finding made, if it
    /// cannot be read.
    fn enter(&self, snapshot: &SnapshotId, id: ChunkId, path: &[u8], stack: &mut Vec<Frame>) -> bool {
        if self.whole.was_seen(&id) {
            return true;
        }
        let cause =
            match (self.cause_of(&id), self.chunks.read(&id).ok().and_then(|bytes| decode_node(&id, &bytes).ok())) {
                (None, Some(node)) => {
                    let steps: Vec<Step> = match node {
                        Node::Leaf(entries) => entries.into_iter().map(|entry| Step::Entry(Box::new(entry))).collect(),
                        Node::Spine(children) => children.into_iter().map(|child| Step::Spine(child.id)).collect(),
                    };
                    stack.push(Frame { id, path_bytes: path.len(), steps: steps.into_iter(), whole: true });
                    return true;
                }
                (Some(cause), _) => cause,
                (None, None) => format!("chunk {id} cannot be read"),
            };
        let cause = format_args!("a part of this directory is lost: {cause}");
        self.findings.damage(Kind::DirectoryAffected, place(snapshot, path), cause);
        false
    }

    fn lost_of_content(&self, content: &FileContent) -> Option<String> {
        self.lost_of_ids(&content.ids, content.list_depth.unwrap_or(0))
    }

    fn lost_of_ids(&self, ids: &[ChunkId], depth: u8) -> Option<String> {
        if let Some(cause) = ids.iter().find_map(|id| self.cause_of(id)) {
            return Some(cause);
        }
        let below = depth.checked_sub(1)?;
        ids.iter().find_map(|id| match self.chunks.read(id).ok().and_then(|bytes| decode_list(id, &bytes).ok()) {
            Some(ids) => self.lost_of_ids(&ids, below),
            None => Some(format!("chunk {id} cannot be read")),
        })
    }

    /// Why a chunk is lost; `None` if it is not.
    fn cause_of(&self, id: &ChunkId) -> Option<String> {
        let why = *self.lost.get(&prefix_of(id))?;
        if why == Why::NotIndexed {
            self.findings.damage(Kind::ChunkMissing, format_args!("chunk {id}"), "it is in no pack the index knows");
        }
        Some(cause(id, why, self.chunks.index(), self.damage))
    }
}

/// Ends a tree chunk: marks it if it is whole, and tells the one above.
fn leave(stack: &mut Vec<Frame>, whole: &TreeSet) {
    let Some(done) = stack.pop() else { return };
    if done.whole {
        whole.see(&done.id);
    } else if let Some(above) = stack.last_mut() {
        above.whole = false;
    }
}

fn cause(id: &ChunkId, why: Why, index: &Index, damage: &Damage) -> String {
    match why {
        Why::NotIndexed => format!("chunk {id} is in no pack the index knows"),
        Why::Nonsense => format!("chunk {id} is no directory and no list of chunks"),
        Why::InPack(number) => match index.pack(number) {
            Ok(pack) if damage.is_lost(number) => format!("chunk {id} is lost with {}", reader::name(pack.id)),
            Ok(pack) => format!("chunk {id} is in a damaged part of {}", reader::name(pack.id)),
            Err(_) => format!("chunk {id} is lost"),
        },
    }
}

/// `SNAPSHOT:PATH`, as a user would write it.
fn place(snapshot: &SnapshotId, path: &[u8]) -> String {
    let path = if path.is_empty() { b"/" } else { path };
    format!("{}:{}", snapshot.short(), String::from_utf8_lossy(path))
}
