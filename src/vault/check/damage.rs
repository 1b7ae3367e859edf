//! What cannot be read: packs, blocks of packs, and the chunks that are lost with them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::repo::RepoError;
use crate::repo::index::{ChunkPlace, Prefix};

/// Lost chunks that are remembered, at most: it bounds the memory when nearly everything is gone.
pub const LOST_MAX: usize = 1 << 20;

/// Packs by the index's number, and blocks in them, that cannot be read.
#[derive(Default)]
pub struct Damage(Mutex<BadPacks>);

#[derive(Default)]
struct BadPacks {
    lost: HashSet<u32>,
    /// Bad blocks of a pack, and why the lowest of them is bad where that is known.
    blocks: BTreeMap<u32, BTreeMap<u32, Option<String>>>,
    /// What was wrong with packs whose mended copy served instead.
    replaced: BTreeMap<u32, String>,
    /// The first answer of a store that may give another one next time.
    doubt: Option<String>,
}

impl Damage {
    /// Nothing of the pack can be read.
    pub fn lose_pack(&self, pack: u32) {
        self.lock().lost.insert(pack);
    }

    /// A block of the pack cannot be read.
    pub fn lose_block(&self, pack: u32, block: u32, cause: Option<String>) {
        self.lock().blocks.entry(pack).or_default().entry(block).or_insert(cause);
    }

    /// A block of the pack cannot be read, but that of its mended copy can.
    pub fn replace_block(&self, pack: u32, cause: String) {
        self.lock().replaced.entry(pack).or_insert(cause);
    }

    /// The store did not answer, so that what is taken for lost here may be there.
    pub fn doubt(&self, error: &RepoError) {
        self.lock().doubt.get_or_insert_with(|| error.to_string());
    }

    /// Why not everything that is taken for lost need be.
    pub fn doubted(&self) -> Option<String> {
        self.lock().doubt.clone()
    }

    /// Packs whose mended copy served, and what is wrong with each, in order of number.
    pub fn replaced(&self) -> Vec<(u32, String)> {
        self.lock().replaced.iter().map(|(pack, cause)| (*pack, cause.clone())).collect()
    }

    /// Whether a copy of a chunk is lost.
    pub fn holds(&self, place: &ChunkPlace) -> bool {
        let bad = self.lock();
        bad.lost.contains(&place.pack)
            || bad.blocks.get(&place.pack).is_some_and(|blocks| blocks.contains_key(&place.block))
    }

    /// Whether nothing of the pack can be read.
    pub fn is_lost(&self, pack: u32) -> bool {
        self.lock().lost.contains(&pack)
    }

    /// Packs with bad blocks, and what to say of each, in order of number.
    pub fn summaries(&self) -> Vec<(u32, String)> {
        let bad = self.lock();
        let say = |(pack, blocks): (&u32, &BTreeMap<u32, Option<String>>)| {
            let cause = blocks.values().flatten().next()?;
            let more =
                if blocks.len() > 1 { format!(" (and {} more blocks)", blocks.len() - 1) } else { String::new() };
            Some((*pack, format!("{cause}{more}")))
        };
        bad.blocks.iter().filter_map(say).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BadPacks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a chunk is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The index knows no copy.
    NotIndexed,
    /// All copies are lost; one of them in this pack, by the index's number.
    InPack(u32),
    /// It can be read, but is no directory or list that can be understood.
    Nonsense,
}

/// Chunks some snapshot needs and no copy of which can be read.
#[derive(Default)]
pub struct Lost {
    chunks: Mutex<HashMap<Prefix, Why>>,
}

impl Lost {
    /// Notes a lost chunk. Beyond the bound only the number of lost chunks would grow, so it is left out.
    pub fn note(&self, prefix: Prefix, why: Why) {
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        if chunks.len() < LOST_MAX {
            chunks.entry(prefix).or_insert(why);
        }
    }

    /// What was lost.
    pub fn into_chunks(self) -> HashMap<Prefix, Why> {
        self.chunks.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
