//! When one file changed over the snapshots, in bounded memory: the way to it is read again only from where it leads
//! through another directory than in the snapshot before.

use crate::base::clock::Timestamp;
use crate::base::id::{ChunkId, NodeId, SnapshotId};
use crate::repo::chunks::ChunkReader;
use crate::repo::snapshot::{self, SnapshotRecord};
use crate::repo::tree::Entry;
use crate::repo::tree::reader::{Entries, TreeSource};
use crate::repo::{RepoError, Repository};
use crate::vault::browse::{self, Filter};
use crate::vault::diff::{Difference, compare};
use crate::vault::{Context, VaultError};

/// What a snapshot says of the path, where that differs from the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It was not there before.
    Appeared(Box<Entry>),
    /// It is not the same.
    Changed {
        /// As it is now.
        now: Box<Entry>,
        /// Bytes before.
        size_before: u64,
        /// In what it differs. Of a directory `content` says that something below it does.
        difference: Difference,
    },
    /// It is there no more.
    Gone,
}

/// One turn of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The first snapshot that shows it.
    pub snapshot: SnapshotId,
    /// That snapshot's time.
    pub time: Timestamp,
    /// What it shows.
    pub turn: Turn,
}

/// The history of a path on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeHistory {
    /// The node.
    pub node: NodeId,
    /// Its label, as the newest snapshot has it.
    pub label: String,
    /// Oldest first.
    pub events: Vec<Event>,
    /// Snapshots looked at.
    pub snapshots: u64,
    /// Of these, with the path.
    pub present: u64,
}

/// All nodes that ever had the path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// By label.
    pub nodes: Vec<NodeHistory>,
    /// Snapshots that could not be looked at: object and reason.
    pub unreadable: Vec<(String, String)>,
}

/// Follows a path (raw bytes, no leading slash) through the snapshots that match.
pub fn run(repository: &Repository, path: &[u8], filter: &Filter, context: Context<'_>) -> Result<History, VaultError> {
    let listing = browse::list(repository, filter)?;
    let mut meant: Vec<(NodeId, Timestamp, SnapshotId)> =
        listing.snapshots.iter().map(|listed| (listed.manifest.node, listed.manifest.time, listed.id)).collect();
    meant.sort_unstable();
    let mut history = History { nodes: Vec::new(), unreadable: listing.unreadable };
    drop(listing.snapshots);
    let index = browse::open_index(repository, context)?;
    let chunks = ChunkReader::new(repository, &index);
    for of_node in meant.chunk_by(|one, other| one.0 == other.0) {
        let mut follower = Follower { source: &chunks, way: Vec::new(), before: None };
        let mut node: Option<NodeHistory> = None;
        for (_, time, id) in of_node {
            if context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            let turn = match look(repository, id, path, &mut follower, &mut node) {
                Ok(turn) => turn,
                Err(error) => {
                    history.unreadable.push((snapshot::name(id).to_string(), error.to_string()));
                    continue;
                }
            };
            let Some(node) = &mut node else { continue };
            node.snapshots += 1;
            node.present += u64::from(follower.before.is_some());
            node.events.extend(turn.map(|turn| Event { snapshot: *id, time: *time, turn }));
        }
        history.nodes.extend(node.filter(|node| node.present > 0));
    }
    history.nodes.sort_by(|one, other| (&one.label, one.node).cmp(&(&other.label, other.node)));
    Ok(history)
}

fn look(
    repository: &Repository,
    id: &SnapshotId,
    path: &[u8],
    follower: &mut Follower<'_>,
    node: &mut Option<NodeHistory>,
) -> Result<Option<Turn>, RepoError> {
    let SnapshotRecord::Committed(manifest) = snapshot::load(repository, id)?.1 else { return Ok(None) };
    let turn = follower.turn(manifest.root, path)?;
    let fresh =
        || NodeHistory { node: manifest.node, label: String::new(), events: Vec::new(), snapshots: 0, present: 0 };
    node.get_or_insert_with(fresh).label = manifest.label;
    Ok(turn)
}

/// Goes the same way through one tree after the other.
struct Follower<'s> {
    source: &'s dyn TreeSource,
    /// The directories that were read on the way last time, and what stood there under the next name.
    way: Vec<(ChunkId, Option<Entry>)>,
    /// What stood at the end of it.
    before: Option<Entry>,
}

impl Follower<'_> {
    fn turn(&mut self, root: ChunkId, path: &[u8]) -> Result<Option<Turn>, RepoError> {
        let now = self.locate(root, path)?;
        let turn = match (&self.before, &now) {
            (None, None) => None,
            (None, Some(now)) => Some(Turn::Appeared(Box::new(now.clone()))),
            (Some(_), None) => Some(Turn::Gone),
            (Some(before), Some(now)) => self.changed(before, now)?,
        };
        self.before = now;
        Ok(turn)
    }

    fn changed(&self, before: &Entry, now: &Entry) -> Result<Option<Turn>, RepoError> {
        let mut difference = compare(self.source, before, now)?.unwrap_or_default();
        difference.content |= !difference.kind && before.tree != now.tree;
        let turn = || Turn::Changed { now: Box::new(now.clone()), size_before: before.size, difference };
        Ok((difference != Difference::default()).then(turn))
    }

    fn locate(&mut self, root: ChunkId, path: &[u8]) -> Result<Option<Entry>, RepoError> {
        let mut tree = root;
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).enumerate().peekable();
        while let Some((depth, name)) = names.next() {
            if self.way.get(depth).is_none_or(|(known, _)| *known != tree) {
                self.way.truncate(depth);
                self.way.push((tree, child(self.source, tree, name)?));
            }
            let Some((_, Some(entry))) = self.way.get(depth) else { return Ok(None) };
            if names.peek().is_none() {
                return Ok(Some(entry.clone()));
            }
            // What is no directory has nothing below it.
            let Some(below) = entry.tree else { return Ok(None) };
            tree = below;
        }
        Ok(None)
    }
}

/// An entry of a directory. What cannot be read of it matters only if the entry is not found in the rest.
fn child(source: &dyn TreeSource, tree: ChunkId, name: &[u8]) -> Result<Option<Entry>, RepoError> {
    let mut fault = None;
    for entry in Entries::new(source, tree) {
        match entry {
            Ok(entry) if entry.name == name => return Ok(Some(entry)),
            Ok(entry) if entry.name.as_slice() > name => break,
            Ok(_) => {}
            Err(error) => _ = fault.get_or_insert(error),
        }
    }
    fault.map_or(Ok(None), Err)
}
