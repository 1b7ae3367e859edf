//! Marking what is lost in the trees of a snapshot. Nothing is left out: a damaged file keeps the ids of all its chunks,
//! and an unreadable directory the id of its tree, so that both are whole again as soon as the chunks are back.

use std::collections::HashMap;

use crate::base::clock::Timestamp;
use crate::base::id::ChunkId;
use crate::repo::chunks::ChunkReader;
use crate::repo::index::prefix_of;
use crate::repo::tree::node::Node;
use crate::repo::tree::reader::{decode_list, decode_node};
use crate::repo::tree::writer::TreeSink;
use crate::repo::tree::{DamageMark, Entry, FileContent};
use crate::vault::check::Losses;
use crate::vault::{Context, VaultError};

/// Chunks that are missing: how many, and the first of them.
#[derive(Debug, Clone, Default)]
struct Missing {
    count: u64,
    first: Vec<ChunkId>,
}

impl Missing {
    fn add(&mut self, id: ChunkId) {
        self.count += 1;
        if self.first.len() < DamageMark::NAMED_MAX {
            self.first.push(id);
        }
    }

    fn join(&mut self, other: &Self) {
        self.count += other.count;
        let room = DamageMark::NAMED_MAX - self.first.len();
        self.first.extend(other.first.iter().take(room));
    }

    /// Puts it into an entry; `false` if the entry tells of it already.
    fn mark(&self, entry: &mut Entry, found: Timestamp) -> bool {
        if entry.damaged.as_ref().is_some_and(|mark| mark.tells_of(&self.first)) {
            return false;
        }
        entry.damaged = Some(DamageMark { found, count: self.count, missing: self.first.clone() });
        true
    }
}

/// Files and directories that lack something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Marks {
    /// Files.
    pub files: u64,
    /// Directories that cannot be read wholly.
    pub directories: u64,
}

/// What became of a tree node and everything below.
#[derive(Debug, Clone)]
struct Done {
    /// The node that says it.
    id: ChunkId,
    /// Nodes of the same directory that are lost.
    missing: Missing,
    marks: Marks,
}

/// A rewritten tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    /// Its root; the same as before if there was nothing to mark.
    pub tree: ChunkId,
    /// What lacks something, marked before or now.
    pub marks: Marks,
    /// Whether nodes of the root directory itself are lost, which has no entry to mark.
    pub root_is_torn: bool,
}

/// A node being looked through.
struct Frame {
    id: ChunkId,
    node: Node,
    next: usize,
    changed: bool,
    missing: Missing,
    marks: Marks,
}

/// Rewrites the trees of one snapshot.
pub struct Rewriter<'a> {
    /// Reads nodes and lists.
    pub chunks: &'a ChunkReader<'a>,
    /// What is lost. Its set of trees remembers what was found whole, for the next snapshot.
    pub losses: &'a Losses,
    /// The time marks get.
    pub found: Timestamp,
    /// Cancel.
    pub context: Context<'a>,
}

impl Rewriter<'_> {
    /// Goes through a tree. Changed nodes go to the sink, those below first.
    pub fn run(&self, root: ChunkId, sink: &mut dyn TreeSink) -> Result<Rewritten, VaultError> {
        let (mut stack, mut known) = (Vec::new(), HashMap::new());
        let mut done = self.enter(root, &known, &mut stack)?;
        loop {
            if self.context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            if let Some(done) = done.take() {
                match stack.last_mut() {
                    Some(frame) => frame.take(&done, self.found),
                    None => {
                        let Done { id, missing, marks } = done;
                        return Ok(Rewritten { tree: id, marks, root_is_torn: missing.count > 0 });
                    }
                }
            }
            let Some(frame) = stack.last_mut() else { continue };
            done = match self.step(frame)? {
                Step::Below(id) => self.enter(id, &known, &mut stack)?,
                Step::Next => None,
                Step::End => match stack.pop() {
                    Some(frame) => Some(self.leave(frame, &mut known, sink)?),
                    None => None,
                },
            };
        }
    }

    /// Puts a node on the stack, unless it is known what becomes of it.
    fn enter(
        &self,
        id: ChunkId,
        known: &HashMap<ChunkId, Done>,
        stack: &mut Vec<Frame>,
    ) -> Result<Option<Done>, VaultError> {
        if self.losses.trees.was_seen(&id) {
            return Ok(Some(Done { id, missing: Missing::default(), marks: Marks::default() }));
        }
        if let Some(done) = known.get(&id) {
            return Ok(Some(done.clone()));
        }
        let lost = self.losses.holds(&prefix_of(&id));
        let plaintext = if lost { None } else { self.fetch(&id)? };
        Ok(match plaintext.and_then(|plaintext| decode_node(&id, &plaintext).ok()) {
            Some(node) => {
                let (missing, marks) = (Missing::default(), Marks::default());
                stack.push(Frame { id, node, next: 0, changed: false, missing, marks });
                None
            }
            None => Some(Done { id, missing: Missing { count: 1, first: vec![id] }, marks: Marks::default() }),
        })
    }

    /// A chunk, or nothing if it is lost. A store that does not answer has not lost it.
    fn fetch(&self, id: &ChunkId) -> Result<Option<Vec<u8>>, VaultError> {
        match self.chunks.read(id) {
            Ok(plaintext) => Ok(Some(plaintext)),
            Err(error) if error.is_of_store() => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Looks at the next item of a node.
    fn step(&self, frame: &mut Frame) -> Result<Step, VaultError> {
        let at = frame.next;
        frame.next += 1;
        let entry = match &mut frame.node {
            Node::Spine(children) => return Ok(children.get(at).map_or(Step::End, |child| Step::Below(child.id))),
            Node::Leaf(entries) => match entries.get_mut(at) {
                Some(entry) => entry,
                None => return Ok(Step::End),
            },
        };
        if let Some(tree) = entry.tree {
            return Ok(Step::Below(tree));
        }
        let missing = entry.content.as_ref().map(|content| self.missing_of(content)).transpose()?.unwrap_or_default();
        if missing.count > 0 {
            frame.marks.files += 1;
            frame.changed |= missing.mark(entry, self.found);
        }
        Ok(Step::Next)
    }

    fn leave(
        &self,
        frame: Frame,
        known: &mut HashMap<ChunkId, Done>,
        sink: &mut dyn TreeSink,
    ) -> Result<Done, VaultError> {
        let Frame { id, node, changed, missing, marks, .. } = frame;
        if missing.count == 0 && marks == Marks::default() {
            self.losses.trees.see(&id);
            return Ok(Done { id, missing, marks });
        }
        // Writing CBOR to memory cannot fail; an empty node would be refused by every reader.
        let new = if changed { sink.store(&minicbor::to_vec(&node).unwrap_or_default())? } else { id };
        let done = Done { id: new, missing, marks };
        known.insert(id, done.clone());
        Ok(done)
    }

    fn missing_of(&self, content: &FileContent) -> Result<Missing, VaultError> {
        let mut missing = Missing::default();
        self.missing_among(&content.ids, content.list_depth.unwrap_or(0), &mut missing)?;
        Ok(missing)
    }

    fn missing_among(&self, ids: &[ChunkId], depth: u8, missing: &mut Missing) -> Result<(), VaultError> {
        for id in ids {
            if self.losses.holds(&prefix_of(id)) {
                missing.add(*id);
            } else if depth > 0 {
                match self.fetch(id)?.and_then(|bytes| decode_list(id, &bytes).ok()) {
                    Some(ids) => self.missing_among(&ids, depth - 1, missing)?,
                    None => missing.add(*id),
                }
            }
        }
        Ok(())
    }
}

/// What comes next in a node.
enum Step {
    Below(ChunkId),
    Next,
    End,
}

impl Frame {
    /// Takes in what became of the node below the last item.
    fn take(&mut self, done: &Done, found: Timestamp) {
        let Some(at) = self.next.checked_sub(1) else { return };
        self.marks.files += done.marks.files;
        self.marks.directories += done.marks.directories;
        match &mut self.node {
            Node::Spine(children) => {
                self.missing.join(&done.missing);
                if let Some(child) = children.get_mut(at).filter(|child| child.id != done.id) {
                    child.id = done.id;
                    self.changed = true;
                }
            }
            Node::Leaf(entries) => {
                let Some(entry) = entries.get_mut(at) else { return };
                if done.missing.count > 0 {
                    self.marks.directories += 1;
                    self.changed |= done.missing.mark(entry, found);
                }
                if entry.tree != Some(done.id) {
                    entry.tree = Some(done.id);
                    self.changed = true;
                }
            }
        }
    }
}
