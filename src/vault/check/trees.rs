//! Following references from snapshots: each distinct tree chunk is read once, block by block and in parallel,
//! and every id in it is noted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::base::id::ChunkId;
use crate::base::progress::Event;
use crate::codec::compress::Inflater;
use crate::repo::RepoError;
use crate::repo::chunks::ChunkReader;
use crate::repo::index::{ChunkPlace, prefix_of};
use crate::repo::pack::reader::{self, Opening};
use crate::repo::tree::node::Node;
use crate::repo::tree::reader::{decode_list, decode_node};
use crate::vault::check::damage::{Damage, Lost, Why};
use crate::vault::check::findings::cause_for;
use crate::vault::check::references::References;
use crate::vault::check::treeset::TreeSet;
use crate::vault::{Context, VaultError};

/// Plaintext of the tree chunks read in one go, about.
const BATCH_BYTES: u64 = 16 << 20;
/// Tree chunks read in one go, at most.
const BATCH_ITEMS: usize = 16 << 10;

/// A tree chunk to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// A node of a directory.
    Node(ChunkId),
    /// A list of ids, and how many levels of lists lie between it and data: 1 means its ids are data. Then whether the
    /// entry it belongs to is marked as damaged.
    List(ChunkId, u8, bool),
}

impl Pending {
    /// The chunk.
    pub const fn id(&self) -> &ChunkId {
        match self {
            Self::Node(id) | Self::List(id, ..) => id,
        }
    }
}

/// What the walk works with.
pub struct Walk<'a> {
    /// Reads chunks whose first copy fails.
    pub chunks: &'a ChunkReader<'a>,
    /// All tree chunks; seen ones are not read again.
    pub trees: &'a TreeSet,
    /// Packs and blocks that cannot be read.
    pub damage: &'a Damage,
    /// Chunks that cannot be read.
    pub lost: &'a Lost,
    /// Receives every reference.
    pub references: Mutex<References>,
    /// Receives those a repair has marked as lost, or as parts of what lacks something.
    pub excused: Option<Mutex<References>>,
    /// Progress, cancel, folders.
    pub context: Context<'a>,
    /// Tree chunks read.
    pub nodes: AtomicU64,
    /// Bytes read from the store.
    pub bytes_read: AtomicU64,
}

/// What one tree chunk refers to.
#[derive(Default)]
struct Found {
    below: Vec<Pending>,
    data: Vec<ChunkId>,
    excused: Vec<ChunkId>,
}

impl Walk<'_> {
    /// Follows everything below the roots.
    pub fn run(&self, roots: impl IntoIterator<Item = ChunkId>) -> Result<(), VaultError> {
        let mut pending = Vec::new();
        self.take_on(roots.into_iter().map(Pending::Node).collect(), &mut pending)?;
        // Last in, first out: what waits is bounded by the depth of trees, not by their number.
        while !pending.is_empty() {
            if self.context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            let groups = self.next_groups(&mut pending)?;
            let found = groups.par_iter().map(|group| self.read_group(group)).collect::<Result<Vec<_>, _>>()?;
            for below in found {
                self.take_on(below, &mut pending)?;
            }
        }
        Ok(())
    }

    /// Notes references to tree chunks, and puts those not seen before on the heap.
    fn take_on(&self, found: Vec<Pending>, pending: &mut Vec<Pending>) -> Result<(), VaultError> {
        self.refer(found.iter().map(Pending::id))?;
        pending.extend(found.into_iter().filter(|item| {
            // The merge of references with the index will tell of those it does not know.
            self.trees.knows(item.id()) && self.trees.see(item.id())
        }));
        Ok(())
    }

    fn refer<'i>(&self, ids: impl Iterator<Item = &'i ChunkId>) -> Result<(), VaultError> {
        self.references.lock().unwrap_or_else(PoisonError::into_inner).add(ids.map(prefix_of))
    }

    /// Takes a batch off the heap and groups it by the block it lies in.
    fn next_groups(&self, pending: &mut Vec<Pending>) -> Result<Vec<Vec<(ChunkPlace, Pending)>>, VaultError> {
        let mut placed = Vec::new();
        let mut bytes = 0;
        while let Some(item) = pending.pop() {
            let places = self.chunks.index().places(item.id())?;
            let Some(place) = places.iter().find(|place| !self.damage.holds(place)).or(places.first()) else {
                continue;
            };
            bytes += u64::from(place.length);
            placed.push((*place, item));
            if bytes >= BATCH_BYTES || placed.len() >= BATCH_ITEMS {
                break;
            }
        }
        placed.sort_unstable_by_key(|(place, _)| *place);
        let same_block =
            |a: &(ChunkPlace, Pending), b: &(ChunkPlace, Pending)| (a.0.pack, a.0.block) == (b.0.pack, b.0.block);
        Ok(placed.chunk_by(same_block).map(<[_]>::to_vec).collect())
    }

    /// Reads one block and everything wanted in it.
    fn read_group(&self, group: &[(ChunkPlace, Pending)]) -> Result<Vec<Pending>, VaultError> {
        let Some((first, _)) = group.first() else { return Ok(Vec::new()) };
        if self.context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        let block = if self.damage.is_lost(first.pack) { Vec::new() } else { self.block(first)? };
        let mut below = Vec::new();
        let mut bytes = 0;
        for (place, item) in group {
            let Some(chunk) = self.chunk(&block, place, item)? else { continue };
            bytes += chunk.len() as u64;
            match parse(&chunk, item) {
                Some(found) => {
                    self.refer(found.data.iter())?;
                    if let Some(excused) = self.excused.as_ref().filter(|_| !found.excused.is_empty()) {
                        let mut excused = excused.lock().unwrap_or_else(PoisonError::into_inner);
                        excused.add(found.excused.iter().map(prefix_of))?;
                    }
                    below.extend(found.below);
                }
                None => self.lost.note(prefix_of(item.id()), Why::Nonsense),
            }
        }
        self.nodes.fetch_add(group.len() as u64, Ordering::Relaxed);
        self.context.progress.on(Event::Advanced { bytes, files: group.len() as u64 });
        Ok(below)
    }

    /// The plaintext of a block; empty, with the damage noted, if it cannot be had.
    fn block(&self, place: &ChunkPlace) -> Result<Vec<u8>, VaultError> {
        let pack = self.chunks.index().pack(place.pack)?;
        let name = reader::name(pack.id);
        let read = || -> Result<Vec<u8>, RepoError> {
            let outside = || RepoError::damaged(&name, "the index names a block it does not have");
            let block = pack.blocks.get(place.block as usize).ok_or_else(outside)?;
            let cipher = self.chunks.cipher(place.pack, &pack)?;
            let storage = &self.chunks.repository().storage;
            let stored = storage.get_range(&name, block.offset, block.stored_bytes as usize)?;
            self.bytes_read.fetch_add(stored.len() as u64, Ordering::Relaxed);
            let no_memory = |error| RepoError::damaged(&name, format_args!("no memory to expand it: {error}"));
            let mut inflater = Inflater::new().map_err(no_memory)?;
            let mut plain = Vec::new();
            Opening { name: &name, cipher: &cipher, slot: place.block }.block(
                block.codec,
                block.raw_bytes,
                stored,
                &mut inflater,
                &mut plain,
            )?;
            Ok(plain)
        };
        Ok(read().unwrap_or_else(|error| match self.chunks.fetch_mended(place.block, &pack) {
            Ok(plain) => {
                self.damage.replace_block(place.pack, cause_for(&name, &error));
                plain
            }
            Err(_) => {
                if error.is_of_store() {
                    self.damage.doubt(&error);
                }
                self.damage.lose_block(place.pack, place.block, Some(cause_for(&name, &error)));
                Vec::new()
            }
        }))
    }

    /// The chunk from its block, or else from any other copy; `None`, with the loss noted, if there is none.
    fn chunk(&self, block: &[u8], place: &ChunkPlace, item: &Pending) -> Result<Option<Vec<u8>>, VaultError> {
        let pack = self.chunks.index().pack(place.pack)?;
        let start = place.offset as usize;
        let bytes = start.checked_add(place.length as usize).and_then(|end| block.get(start..end));
        if let Some(bytes) = bytes.filter(|bytes| self.chunks.id_key(pack.domain).id(bytes) == *item.id()) {
            return Ok(Some(bytes.to_vec()));
        }
        if !block.is_empty() {
            let cause = format!("block {}: chunk {} has other content", place.block, item.id());
            self.damage.lose_block(place.pack, place.block, Some(cause));
        }
        let other = self.chunks.read(item.id()).ok();
        if other.is_none() {
            self.lost.note(prefix_of(item.id()), Why::InPack(place.pack));
        }
        Ok(other)
    }
}

/// What a tree chunk refers to; `None` if it cannot be understood.
fn parse(bytes: &[u8], item: &Pending) -> Option<Found> {
    match item {
        Pending::List(id, depth, marked) => {
            let ids = decode_list(id, bytes).ok()?;
            let mut found = Found::default();
            if *marked {
                found.excused.clone_from(&ids);
            }
            match depth {
                0 | 1 => found.data = ids,
                deeper => found.below = ids.into_iter().map(|id| Pending::List(id, deeper - 1, *marked)).collect(),
            }
            Some(found)
        }
        Pending::Node(id) => parse_node(id, bytes),
    }
}

fn parse_node(id: &ChunkId, bytes: &[u8]) -> Option<Found> {
    let mut found = Found::default();
    match decode_node(id, bytes).ok()? {
        Node::Spine(children) => found.below = children.into_iter().map(|child| Pending::Node(child.id)).collect(),
        Node::Leaf(entries) => {
            for entry in entries {
                let marked = entry.damaged.is_some();
                if let Some(mark) = entry.damaged {
                    found.excused.extend(mark.missing.into_iter().chain(entry.tree));
                    found.excused.extend(entry.content.iter().flat_map(|content| &content.ids));
                }
                found.below.extend(entry.tree.map(Pending::Node));
                let Some(content) = entry.content else { continue };
                match content.list_depth.unwrap_or(0) {
                    0 => found.data.extend(content.ids),
                    depth => found.below.extend(content.ids.into_iter().map(|id| Pending::List(id, depth, marked))),
                }
            }
        }
    }
    Some(found)
}
