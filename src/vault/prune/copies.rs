//! D8 and D9: every chunk snapshots need has a copy that stays, and that copy was read and hashed.

use std::collections::{BTreeSet, HashMap, HashSet};

use rayon::prelude::*;

use crate::base::id::ChunkId;
use crate::base::progress::{Event, Phase};
use crate::repo::chunks::ChunkReader;
use crate::repo::index::place::entries_of;
use crate::repo::index::{ChunkPlace, Index};
use crate::repo::pack::reader;
use crate::repo::{RepoError, Repository};
use crate::sys::spill::{Sorted, Spill};
use crate::vault::prune::census::Census;
use crate::vault::prune::live::{self, Live};
use crate::vault::{Context, VaultError};

/// Records sorted in memory at once: 16 to 24 MiB.
const SORTED_AT_ONCE: usize = 512 << 10;
const PLACE_BYTES: usize = 16;
/// A place in a pack that is to go, and the place of the copy that is kept.
const PAIR_BYTES: usize = 2 * PLACE_BYTES;
/// The place of a copy, and the id it must have.
const COPY_BYTES: usize = PLACE_BYTES + ChunkId::BYTES;
/// Copies read in one go.
const BATCH: usize = 16 << 10;

/// Blocks that turned out to be unreadable or wrong, by number of the pack and slot.
pub type BadBlocks = HashSet<(u32, u32)>;

/// Ids of a pack's chunks, by block and offset.
type Ids = HashMap<(u32, u32), ChunkId>;

/// What is asked.
pub struct Copies<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// The index, opened with the journal of this decision.
    pub index: &'a Index,
    /// The packs, by the same journal.
    pub census: &'a Census,
    /// What snapshots need.
    pub live: &'a Live,
    /// Progress, cancel, folders.
    pub context: Context<'a>,
}

impl Copies<'_> {
    /// Of the packs that are to go, those that must stay: some chunk in them has no good copy elsewhere. The others
    /// may be doomed together. `bad` learns of copies that are not good; they count as none from the beginning.
    pub fn needed(&self, going: &HashSet<u32>, bad: &mut BadBlocks) -> Result<BTreeSet<u32>, VaultError> {
        let mut needed = BTreeSet::new();
        loop {
            let pairs = self.pairs(going, bad, &mut needed)?;
            let copies = self.identified(pairs, &mut needed)?;
            let found = self.verify(copies)?;
            if found.is_empty() {
                return Ok(needed);
            }
            bad.extend(found);
        }
    }

    /// For each chunk in a pack that is to go, the copy that is kept for it.
    fn pairs(
        &self,
        going: &HashSet<u32>,
        bad: &BadBlocks,
        needed: &mut BTreeSet<u32>,
    ) -> Result<Sorted<PAIR_BYTES>, VaultError> {
        let mut pairs = Spill::<PAIR_BYTES>::new(&self.context.folders.cache, SORTED_AT_ONCE);
        live::each_live(self.live, self.index, self.context, |_, places, _| {
            if !places.iter().any(|place| going.contains(&place.pack)) {
                return Ok(());
            }
            let is_good = |place: &&ChunkPlace| {
                let stays = self.census.pack(place.pack).is_some_and(|pack| pack.stays());
                stays && !going.contains(&place.pack) && !bad.contains(&(place.pack, place.block))
            };
            let kept = places.iter().find(is_good);
            for place in places.iter().filter(|place| going.contains(&place.pack)) {
                match kept {
                    Some(kept) => {
                        let pair = [to_bytes(place), to_bytes(kept)].concat();
                        let Ok(pair) = pair.try_into() else { continue };
                        pairs.push(pair).map_err(|error| self.spilled(error))?;
                    }
                    None => _ = needed.insert(place.pack),
                }
            }
            Ok(())
        })?;
        pairs.sorted().map_err(|error| self.spilled(error))
    }

    /// The copies with the ids they must have, which the tables of the packs to go tell. A pack whose table cannot be
    /// read stays.
    fn identified(
        &self,
        pairs: Sorted<PAIR_BYTES>,
        needed: &mut BTreeSet<u32>,
    ) -> Result<Sorted<COPY_BYTES>, VaultError> {
        let mut copies = Spill::<COPY_BYTES>::distinct(&self.context.folders.cache, SORTED_AT_ONCE);
        let mut table: Option<(u32, Ids)> = None;
        for pair in pairs {
            let pair = pair.map_err(|error| self.spilled(error))?;
            let (from, kept) = (from_bytes(&pair), from_bytes(&pair[PLACE_BYTES..]));
            if needed.contains(&from.pack) {
                continue;
            }
            if table.as_ref().is_none_or(|(pack, _)| *pack != from.pack) {
                table = Some((from.pack, self.ids(from.pack)?));
            }
            match table.as_ref().and_then(|(_, ids)| ids.get(&(from.block, from.offset))) {
                Some(id) => {
                    let record = [&to_bytes(&kept)[..], id.as_bytes()].concat();
                    let Ok(record) = record.try_into() else { continue };
                    copies.push(record).map_err(|error| self.spilled(error))?;
                }
                None => _ = needed.insert(from.pack),
            }
        }
        copies.sorted().map_err(|error| self.spilled(error))
    }

    /// The ids of a pack's chunks by block and offset; none if its table cannot be read.
    fn ids(&self, number: u32) -> Result<Ids, VaultError> {
        let Some(pack) = self.census.pack(number) else { return Ok(Ids::new()) };
        match reader::read_table(self.repository, pack.id, pack.stored) {
            Ok(table) => {
                let ids = table.blocks.iter().flat_map(|block| block.chunks.iter().map(|chunk| chunk.id));
                let places = entries_of(number, &table).map(|entry| (entry.place.block, entry.place.offset));
                Ok(places.zip(ids).collect())
            }
            Err(error) if error.is_of_store() => Err(error.into()),
            Err(_) => Ok(Ids::new()),
        }
    }

    /// Reads and hashes the copies; gives the blocks of those that are not what they must be.
    fn verify(&self, copies: Sorted<COPY_BYTES>) -> Result<BadBlocks, VaultError> {
        self.context.progress.on(Event::Phase { phase: Phase::Copies, total: None });
        let chunks = ChunkReader::new(self.repository, self.index);
        let mut copies = copies.map(|record| record.map_err(|error| self.spilled(error)));
        let mut bad = BadBlocks::new();
        loop {
            if self.context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            let batch = copies.by_ref().take(BATCH).collect::<Result<Vec<_>, VaultError>>()?;
            if batch.is_empty() {
                return Ok(bad);
            }
            let same_block = |a: &[u8; COPY_BYTES], b: &[u8; COPY_BYTES]| a[..8] == b[..8];
            let groups: Vec<_> = batch.chunk_by(same_block).collect();
            let found = groups.par_iter().map(|group| self.verify_block(&chunks, group));
            bad.extend(found.collect::<Result<Vec<_>, VaultError>>()?.into_iter().flatten());
        }
    }

    fn verify_block(
        &self,
        chunks: &ChunkReader<'_>,
        group: &[[u8; COPY_BYTES]],
    ) -> Result<Option<(u32, u32)>, VaultError> {
        let Some(first) = group.first().map(|record| from_bytes(record)) else { return Ok(None) };
        let bad = Some((first.pack, first.block));
        let block = match chunks.block_once(first.pack, first.block) {
            Ok(block) => block,
            Err(error) if error.is_of_store() => return Err(error.into()),
            Err(_) => return Ok(bad),
        };
        let pack = chunks.index().pack(first.pack)?;
        let key = chunks.id_key(pack.domain);
        let is_right = |record: &[u8; COPY_BYTES]| {
            let place = from_bytes(record);
            let start = place.offset as usize;
            let bytes = start.checked_add(place.length as usize).and_then(|end| block.get(start..end));
            bytes.is_some_and(|bytes| key.id(bytes).as_bytes()[..] == record[PLACE_BYTES..])
        };
        self.context.progress.on(Event::Advanced { bytes: block.len() as u64, files: group.len() as u64 });
        Ok(if group.iter().all(is_right) { None } else { bad })
    }

    fn spilled(&self, error: std::io::Error) -> VaultError {
        VaultError::local("sort in", &self.context.folders.cache, error)
    }
}

fn to_bytes(place: &ChunkPlace) -> [u8; PLACE_BYTES] {
    let mut bytes = [0; PLACE_BYTES];
    for (to, number) in bytes.chunks_exact_mut(4).zip([place.pack, place.block, place.offset, place.length]) {
        to.copy_from_slice(&number.to_be_bytes());
    }
    bytes
}

fn from_bytes(bytes: &[u8]) -> ChunkPlace {
    let number = |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |n| u32::from_be_bytes(*n));
    ChunkPlace { pack: number(0), block: number(4), offset: number(8), length: number(12) }
}

/// The name of a pack and what is wrong with its blocks, for people.
pub fn problem(index: &Index, block: (u32, u32)) -> Result<(String, String), RepoError> {
    let name = reader::name(index.pack(block.0)?.id).to_string();
    Ok((name, format!("block {} cannot be read or holds other content, so no other copy is given up for it", block.1)))
}
