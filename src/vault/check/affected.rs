//! Naming the files that need lost chunks. Runs only when there are any: a second walk, snapshot by snapshot,
//! which skips every directory found whole before.

use std::cell::Cell;
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
use crate::vault::check::objects::Root;
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
    /// Named so far, in all snapshots.
    pub named: usize,
    /// Named of the snapshot at hand.
    pub named_here: Cell<usize>,
    /// Marked ones told of.
    pub marks: Cell<usize>,
}

/// What is lost of a file or directory.
struct Loss {
    what: String,
    /// A chunk no pack is known to hold.
    unknown: Option<ChunkId>,
}

impl Loss {
    fn unreadable(id: &ChunkId) -> Self {
        Self { what: format!("chunk {id} cannot be read"), unknown: None }
    }
}

/// A tree chunk being looked through.
struct Frame {
    id: ChunkId,
    /// Length of the path of its directory.
    path_bytes: usize,
    steps: std::vec::IntoIter<Step>,
    /// Whether its directory is marked as damaged.
    marked: bool,
    whole: bool,
}

enum Step {
    /// The next node of the same directory.
    Spine(ChunkId),
    Entry(Box<Entry>),
}

impl Affected<'_> {
    /// Names what one snapshot lost.
    pub fn snapshot(&mut self, root: &Root) -> Result<(), VaultError> {
        let limit = if self.named < NAMED_MAX { NAMED_PER_SNAPSHOT } else { 1 };
        self.named_here.set(0);
        let mut path = Vec::new();
        let mut stack = Vec::new();
        // The root has no entry to mark; a repaired snapshot says of itself that something of it may be lost.
        self.enter(root, root.tree, root.stands_for.is_some(), &path, &mut stack);
        while let Some(frame) = stack.last_mut() {
            if self.context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            if self.named_here.get() >= limit {
                let what = "more of it may be lost; a restore names all of it".to_owned();
                self.tell(root, false, Kind::MoreAffected, b"", &Loss { what, unknown: None });
                break;
            }
            path.truncate(frame.path_bytes);
            let marked = frame.marked;
            let Some(step) = frame.steps.next() else {
                leave(&mut stack, self.whole);
                continue;
            };
            let whole = match step {
                Step::Spine(id) => self.enter(root, id, marked, &path, &mut stack),
                Step::Entry(entry) => self.entry(root, &entry, &mut path, &mut stack),
            };
            if !whole {
                // Entering nothing leaves the frame of this step on top.
                if let Some(frame) = stack.last_mut() {
                    frame.whole = false;
                }
            }
        }
        self.named += self.named_here.get();
        Ok(())
    }

    /// Looks at an entry; `false`, with the finding made, if something of it itself is lost.
    fn entry(&self, root: &Root, entry: &Entry, path: &mut Vec<u8>, stack: &mut Vec<Frame>) -> bool {
        path.push(b'/');
        path.extend_from_slice(&entry.name);
        if let Some(tree) = entry.tree {
            return self.enter(root, tree, entry.damaged.is_some(), path, stack);
        }
        let lost = entry.content.as_ref().and_then(|content| self.lost_of_content(content));
        if let Some(loss) = &lost {
            self.tell(root, entry.damaged.is_some(), Kind::FileAffected, path, loss);
        }
        lost.is_none()
    }

    /// Puts a tree chunk on the stack unless it is known to be whole; `false`, with the finding made, if it
    /// cannot be read.
    fn enter(&self, root: &Root, id: ChunkId, marked: bool, path: &[u8], stack: &mut Vec<Frame>) -> bool {
        if self.whole.was_seen(&id) {
            return true;
        }
        let loss =
            match (self.cause_of(&id), self.chunks.read(&id).ok().and_then(|bytes| decode_node(&id, &bytes).ok())) {
                (None, Some(node)) => {
                    let steps: Vec<Step> = match node {
                        Node::Leaf(entries) => entries.into_iter().map(|entry| Step::Entry(Box::new(entry))).collect(),
                        Node::Spine(children) => children.into_iter().map(|child| Step::Spine(child.id)).collect(),
                    };
                    stack.push(Frame { id, path_bytes: path.len(), steps: steps.into_iter(), marked, whole: true });
                    return true;
                }
                (Some(loss), _) => loss,
                (None, None) => Loss::unreadable(&id),
            };
        let loss = Loss { what: format!("a part of this directory is lost: {}", loss.what), ..loss };
        self.tell(root, marked, Kind::DirectoryAffected, path, &loss);
        false
    }

    /// Tells of a loss. One that a repair has marked is known, and so is all of a snapshot in whose place stands another.
    fn tell(&self, root: &Root, marked: bool, kind: Kind, path: &[u8], loss: &Loss) {
        let (place, what) = (place(&root.snapshot, path), &loss.what);
        if root.replaced {
            self.named_here.update(|named| named + 1);
            let what = format_args!("{what}; the snapshot is forgotten, and a repaired one stands in its place");
            return self.findings.warning(kind, place, what);
        }
        if marked {
            // Marks are no news: they do not use up what may be named.
            if self.marks.replace(self.marks.get() + 1) < NAMED_MAX {
                self.findings.warning(kind, place, format_args!("{what}; it is marked as damaged"));
            }
            return;
        }
        self.named_here.update(|named| named + 1);
        self.findings.damage(kind, place, what);
        if let Some(id) = loss.unknown {
            self.findings.damage(Kind::ChunkMissing, format_args!("chunk {id}"), "it is in no pack the index knows");
        }
    }

    fn lost_of_content(&self, content: &FileContent) -> Option<Loss> {
        self.lost_of_ids(&content.ids, content.list_depth.unwrap_or(0))
    }

    fn lost_of_ids(&self, ids: &[ChunkId], depth: u8) -> Option<Loss> {
        if let Some(cause) = ids.iter().find_map(|id| self.cause_of(id)) {
            return Some(cause);
        }
        let below = depth.checked_sub(1)?;
        ids.iter().find_map(|id| match self.chunks.read(id).ok().and_then(|bytes| decode_list(id, &bytes).ok()) {
            Some(ids) => self.lost_of_ids(&ids, below),
            None => Some(Loss::unreadable(id)),
        })
    }

    /// Why a chunk is lost; `None` if it is not.
    fn cause_of(&self, id: &ChunkId) -> Option<Loss> {
        let why = *self.lost.get(&prefix_of(id))?;
        let what = cause(id, why, self.chunks.index(), self.damage);
        Some(Loss { what, unknown: (why == Why::NotIndexed).then_some(*id) })
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
