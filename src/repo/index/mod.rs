//! Where each chunk lies. The truth is the write-once segments in the store; a sled cache makes it quick.

pub mod place;
pub mod segment;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod unlisted;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::base::cancel::Cancel;
use crate::base::id::{ChunkId, PackId, SegmentId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::progress::{Event, Progress};
use crate::codec::sign::SigningSecret;
use crate::repo::crypt::Sealer;
use crate::repo::error::RepoError;
use crate::repo::pack::{PackTable, reader};
use crate::repo::repository::Repository;

pub use place::{BlockPlace, ChunkPlace, IndexEntry, PackPlace, Prefix, prefix_of};
pub use segment::ListedPack;

/// What to do with a listed segment that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Open without it: it is reported as a problem, and its packs can be adopted.
    #[default]
    Lenient,
    /// Fail, naming it.
    Strict,
}

/// Packs the journal speaks of. All others are live.
#[derive(Debug, Clone, Default)]
pub struct PackVerdicts {
    /// May be deleted later: readable, but nothing new may rely on them.
    pub marked: HashSet<PackId>,
    /// Being deleted: as if they were not there.
    pub doomed: HashSet<PackId>,
}

/// How an index is opened.
pub struct IndexOptions<'a> {
    /// Where the cache lives; belongs to this repository alone.
    pub cache_dir: &'a Path,
    /// What a damaged segment means.
    pub strictness: Strictness,
    /// The journal's verdicts on packs.
    pub verdicts: PackVerdicts,
}

impl<'a> IndexOptions<'a> {
    /// All packs live, damaged segments reported.
    pub fn new(cache_dir: &'a Path) -> Self {
        Self { cache_dir, strictness: Strictness::Lenient, verdicts: PackVerdicts::default() }
    }
}

/// A segment or pack that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexProblem {
    /// The object.
    pub name: ObjectName,
    /// Why.
    pub cause: String,
}

/// The index of one repository, as far as this process knows it.
pub struct Index {
    state: RwLock<State>,
    verdicts: PackVerdicts,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<Prefix, Vec<ChunkPlace>>,
    chunks: u64,
    packs: Vec<Arc<PackPlace>>,
    numbers: HashMap<PackId, u32>,
    adopted: HashSet<u32>,
    segments: HashSet<SegmentId>,
    problems: Vec<IndexProblem>,
}

impl Index {
    /// Brings the cache in `cache_dir` up to date with the segments listed in the store, and opens it. All packs
    /// count as live; a damaged segment is reported and left out.
    pub fn open(
        repository: &Repository,
        cache_dir: &Path,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Self, RepoError> {
        Self::open_with(repository, IndexOptions::new(cache_dir), progress, cancel)
    }

    /// The same with the journal's verdicts: doomed packs are left out; marked packs are found by `places` but
    /// not by `contains`.
    pub fn open_with(
        repository: &Repository,
        options: IndexOptions<'_>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Self, RepoError> {
        let index = Self { state: RwLock::default(), verdicts: options.verdicts };
        let mut listed = repository.storage.list(ObjectKind::Index)?;
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        for entry in listed {
            if cancel.is_requested() {
                return Err(RepoError::Interrupted);
            }
            let loaded = segment::id_of(&entry.name)
                .ok_or_else(|| RepoError::damaged(&entry.name, "its name is not a hash"))
                .and_then(|id| index.load(repository, id));
            match loaded {
                Ok(()) => progress.on(Event::Advanced { bytes: entry.bytes, files: 1 }),
                Err(error @ RepoError::Damaged { .. }) if options.strictness == Strictness::Lenient => {
                    index.note_problem(entry.name, &error, progress);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(index)
    }

    fn load(&self, repository: &Repository, id: SegmentId) -> Result<(), RepoError> {
        let loaded = segment::Segment::load(repository, id)?;
        let mut state = self.write();
        for pack in loaded.packs() {
            let (pack, bytes, table) = pack.map_err(|why| RepoError::damaged(&segment::name(id), why))?;
            state.add(pack, bytes, &table, false);
        }
        state.segments.insert(id);
        Ok(())
    }

    /// Whether a writer may rely on a stored copy of this chunk: one in a live pack that a readable segment
    /// lists. A damaged cache may answer `false`, which costs an upload.
    pub fn contains(&self, id: &ChunkId) -> Result<bool, RepoError> {
        let state = self.read();
        let places = state.entries.get(&prefix_of(id)).map(Vec::as_slice).unwrap_or_default();
        Ok(places.iter().any(|place| {
            let pack = state.packs[place.pack as usize].id;
            let dead = self.verdicts.marked.contains(&pack) || self.verdicts.doomed.contains(&pack);
            !dead && !state.adopted.contains(&place.pack)
        }))
    }

    /// All known copies of a chunk, and of any other chunk whose id begins with the same 16 bytes.
    pub fn places(&self, id: &ChunkId) -> Result<Vec<ChunkPlace>, RepoError> {
        let state = self.read();
        let mut places = state.entries.get(&prefix_of(id)).cloned().unwrap_or_default();
        places.retain(|place| !self.verdicts.doomed.contains(&state.packs[place.pack as usize].id));
        Ok(places)
    }

    /// The pack of a place.
    pub fn pack(&self, number: u32) -> Result<Arc<PackPlace>, RepoError> {
        self.read().packs.get(number as usize).cloned().ok_or_else(|| RepoError::Local {
            action: "find",
            what: format!("pack number {number} in the index cache"),
            why: "there is no such number".to_owned(),
        })
    }

    /// Folds a segment this process has just stored into the cache, so that the next run need not read it.
    pub fn fold(&self, segment: SegmentId, packs: &[ListedPack]) -> Result<(), RepoError> {
        let mut state = self.write();
        for (id, bytes, table) in packs {
            state.add(*id, *bytes, table, false);
        }
        state.segments.insert(segment);
        Ok(())
    }

    /// Stores the packs' tables as segments and folds them.
    pub fn store(
        &self,
        repository: &Repository,
        sealer: &Sealer,
        signing: &SigningSecret,
        packs: &[ListedPack],
    ) -> Result<Vec<SegmentId>, RepoError> {
        let mut ids = Vec::new();
        for written in segment::write(repository, sealer, signing, packs)? {
            self.fold(written.id, &packs[written.packs])?;
            ids.push(written.id);
        }
        Ok(ids)
    }

    /// Reads the tables of stored packs that no readable segment lists, so that chunks can be read although a
    /// segment is lost. `contains` stays `false` for what only such packs hold. Returns how many were adopted;
    /// packs that cannot be read are problems.
    pub fn adopt_unlisted_packs(
        &self,
        repository: &Repository,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<u64, RepoError> {
        let mut adopted = 0;
        for entry in repository.storage.list(ObjectKind::Pack)? {
            if cancel.is_requested() {
                return Err(RepoError::Interrupted);
            }
            let id = entry.name.text().parse::<PackId>();
            let Ok(id) = id else { continue };
            if self.read().numbers.contains_key(&id) {
                continue;
            }
            match reader::read_table(repository, id, entry.bytes) {
                Ok(table) => {
                    self.write().add(id, entry.bytes, &table, true);
                    adopted += 1;
                }
                Err(error) => self.note_problem(entry.name, &error, progress),
            }
        }
        Ok(adopted)
    }

    /// Segments and packs that could not be read, in the order they were met.
    pub fn problems(&self) -> Vec<IndexProblem> {
        self.read().problems.clone()
    }

    /// How many copies of chunks are known, those in doomed packs included.
    pub fn chunk_count(&self) -> u64 {
        self.read().chunks
    }

    /// How many packs are known, doomed ones included.
    pub fn pack_count(&self) -> u64 {
        self.read().packs.len() as u64
    }

    /// All entries of packs that are not doomed, in order.
    pub fn scan(&self) -> impl Iterator<Item = Result<IndexEntry, RepoError>> + '_ {
        let state = self.read();
        let mut all = Vec::new();
        for (prefix, places) in &state.entries {
            let mut places = places.clone();
            places.retain(|place| !self.verdicts.doomed.contains(&state.packs[place.pack as usize].id));
            places.sort_unstable();
            all.extend(places.into_iter().map(|place| Ok(IndexEntry { prefix: *prefix, place })));
        }
        all.into_iter()
    }

    /// All packs that are not doomed, with their numbers, in order of number.
    pub fn packs(&self) -> impl Iterator<Item = Result<(u32, Arc<PackPlace>), RepoError>> + '_ {
        let packs = self.read().packs.clone();
        let live = move |(number, pack): (usize, Arc<PackPlace>)| {
            (!self.verdicts.doomed.contains(&pack.id)).then_some(Ok((number as u32, pack)))
        };
        packs.into_iter().enumerate().filter_map(live)
    }

    fn note_problem(&self, name: ObjectName, error: &RepoError, progress: &dyn Progress) {
        let cause = error.to_string();
        progress.on(Event::Problem { path: Path::new(&name.to_string()), cause: &cause });
        self.write().problems.push(IndexProblem { name, cause });
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, id: PackId, bytes: u64, table: &PackTable, adopted: bool) {
        if let Some(number) = self.numbers.get(&id) {
            if !adopted {
                self.adopted.remove(number);
            }
            return;
        }
        let number = self.packs.len() as u32;
        self.packs.push(Arc::new(PackPlace::of(id, bytes, table)));
        self.numbers.insert(id, number);
        if adopted {
            self.adopted.insert(number);
        }
        for entry in place::entries_of(number, table) {
            self.entries.entry(entry.prefix).or_default().push(entry.place);
            self.chunks += 1;
        }
    }
}
