//! Folding segments into the cache: packs get numbers, entries become a new run, runs are merged.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::base::cancel::Cancel;
use crate::base::id::{PackId, SegmentId};
use crate::repo::error::RepoError;
use crate::repo::index::catalog::{self, Origin, Record, Source};
use crate::repo::index::gone::Gone;
use crate::repo::index::merge::Merge;
use crate::repo::index::place::{ENTRY_BYTES, IndexEntry, PackPlace, entries_of};
use crate::repo::index::run::{EntryRecord, Run, RunInfo, RunWriter};
use crate::repo::index::shelf::{Cache, Fault, Key};
use crate::repo::index::tiers;
use crate::repo::pack::PackTable;
use crate::sys::spill::Spill;

/// Entries sorted in memory at once: 16 MiB.
const SORTED_AT_ONCE: usize = 512 << 10;
/// A stop is looked for once in so many entries.
const CANCEL_EVERY: u64 = 4096;

/// Why folding ended.
pub enum Trouble {
    /// The cache: build it anew.
    Cache(Fault),
    /// The repository, or a request to stop.
    Repo(RepoError),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Cache(fault)
    }
}

impl From<RepoError> for Trouble {
    fn from(error: RepoError) -> Self {
        Self::Repo(error)
    }
}

/// What a cache holds, as read from it at opening.
#[derive(Clone)]
pub struct Contents {
    /// Its own account of itself.
    pub record: Record,
    /// Where it has everything from, in order.
    pub sources: Vec<Source>,
    /// Its runs, largest first.
    pub runs: Vec<Arc<Run>>,
    /// Packs that do not count any more.
    pub gone: Gone,
}

impl Contents {
    /// An empty cache of the same repository.
    pub fn new(record: Record) -> Self {
        Self { record, sources: Vec::new(), runs: Vec::new(), gone: Gone::default() }
    }

    /// The number of a pack that counts.
    pub fn number_of(&self, cache: &Cache, id: &PackId) -> Result<Option<u32>, Fault> {
        Ok(catalog::number_of(cache, &self.record, id)?.filter(|number| !self.gone.contains(*number)))
    }

    /// Whether this segment is folded in.
    pub fn holds(&self, id: SegmentId) -> bool {
        self.sources.iter().rev().any(|source| source.origin == Origin::Segment(id))
    }

    /// The source that gave this pack number.
    pub fn source_of(&self, number: u32) -> Option<usize> {
        let after = self.sources.partition_point(|source| source.first_pack <= number);
        let index = after.checked_sub(1)?;
        (number - self.sources[index].first_pack < self.sources[index].packs).then_some(index)
    }
}

/// Folds sources into a cache. Nothing counts until [`finish`](Self::finish).
pub struct Builder<'a> {
    cache: &'a Cache,
    contents: Contents,
    spill: Spill<ENTRY_BYTES>,
    /// Known packs that the current source lists again.
    again: HashSet<u32>,
    /// Positions of sources that are not written yet.
    changed_sources: Vec<usize>,
}

/// A cache after folding.
pub struct Built {
    /// What it holds now.
    pub contents: Contents,
    /// Runs that were merged into others; to be removed once nobody reads them.
    pub retired: Vec<Arc<Run>>,
}

impl<'a> Builder<'a> {
    /// Goes on from `contents`; what does not fit in memory is sorted in `folder`.
    pub fn new(cache: &'a Cache, contents: Contents, folder: &Path) -> Self {
        Self {
            cache,
            contents,
            spill: Spill::new(folder, SORTED_AT_ONCE),
            again: HashSet::new(),
            changed_sources: Vec::new(),
        }
    }

    /// What has been folded so far.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Whether a pack has a number already.
    pub fn knows(&self, id: &PackId) -> Result<bool, Fault> {
        Ok(self.contents.number_of(self.cache, id)?.is_some())
    }

    /// Begins a source; [`add`](Self::add) its packs, then [`end`](Self::end) it.
    pub fn begin(&mut self, origin: Origin) {
        let first_pack = self.contents.record.next_pack;
        self.contents.sources.push(Source { origin, first_pack, packs: 0, new_packs: 0, covered_by: None });
        self.again.clear();
    }

    /// Adds a pack of the current source. One that is known already only takes a number.
    pub fn add(&mut self, id: PackId, bytes: u64, table: &PackTable) -> Result<(), Fault> {
        let known = self.contents.number_of(self.cache, &id)?;
        let number = self.next_number()?;
        if let Some(known) = known {
            self.again.insert(known);
            return catalog::store_pack(self.cache, number, None);
        }
        catalog::store_pack(self.cache, number, Some(&PackPlace::of(id, bytes, table)))?;
        catalog::store_number(self.cache, &id, number)?;
        for entry in entries_of(number, table) {
            self.spill.push(entry.to_bytes())?;
        }
        self.contents.record.packs += 1;
        self.current()?.new_packs += 1;
        Ok(())
    }

    /// Passes over a pack of the current source that does not count: it only takes a number.
    pub fn skip(&mut self) -> Result<(), Fault> {
        let number = self.next_number()?;
        self.contents.gone.insert(number);
        catalog::store_pack(self.cache, number, None)
    }

    /// Gives up all packs that are not present any more.
    pub fn look_again(&mut self, is_present: impl Fn(&PackId) -> bool) -> Result<(), Fault> {
        for index in 0..self.contents.sources.len() {
            let Source { first_pack, packs, new_packs, .. } = self.contents.sources[index];
            let mut counting = 0;
            for number in first_pack..first_pack.saturating_add(packs) {
                let Some(pack) = catalog::load_pack_id(self.cache, number)? else { continue };
                if self.contents.gone.contains(number) {
                    continue;
                }
                if is_present(&pack) {
                    counting += 1;
                } else {
                    self.contents.gone.insert(number);
                    self.contents.record.packs = self.contents.record.packs.saturating_sub(1);
                }
            }
            if counting != new_packs {
                self.contents.sources[index].new_packs = counting;
                self.changed_sources.push(index);
            }
        }
        Ok(())
    }

    /// Notes that the packs were looked for after this entry of the journal was read.
    pub fn take_notice(&mut self, last_swept: u64) {
        let record = &mut self.contents.record;
        record.last_swept = record.last_swept.max(last_swept);
    }

    /// Ends the current source.
    pub fn end(&mut self) -> Result<(), Fault> {
        let (last, source) = (self.contents.sources.len().saturating_sub(1), *self.current()?);
        self.contents.record.sources += 1;
        self.changed_sources.push(last);
        let Origin::Segment(segment) = source.origin else { return Ok(()) };
        let mut again = HashMap::<usize, u32>::new();
        for index in self.again.drain().filter_map(|number| self.contents.source_of(number)) {
            *again.entry(index).or_default() += 1;
        }
        for (index, packs) in again.into_iter().filter(|(index, _)| *index < last) {
            let known = &mut self.contents.sources[index];
            if let Origin::Adopted(pack) = known.origin {
                known.origin = Origin::Listed(pack);
                known.covered_by = Some(segment);
            } else if packs >= known.new_packs {
                known.covered_by = Some(segment);
            } else {
                continue;
            }
            self.changed_sources.push(index);
        }
        Ok(())
    }

    /// Ends the current source as one that could not be read again; its `packs` numbers stay taken.
    pub fn lose(&mut self, packs: u32) -> Result<(), Fault> {
        for _ in 0..packs {
            let number = self.next_number()?;
            catalog::store_pack(self.cache, number, None)?;
        }
        self.current()?.origin = Origin::Lost;
        self.end()
    }

    fn current(&mut self) -> Result<&mut Source, Fault> {
        self.contents.sources.last_mut().ok_or_else(|| Fault("no source was begun".to_owned()))
    }

    fn next_number(&mut self) -> Result<u32, Fault> {
        let record = &mut self.contents.record;
        let number = record.next_pack;
        record.next_pack =
            number.checked_add(1).ok_or_else(|| Fault("the cache has no pack number left".to_owned()))?;
        self.current()?.packs += 1;
        Ok(number)
    }

    /// Makes a run of the new entries, merges runs, and makes all of it durable, the record last.
    pub fn finish(mut self, cancel: &Cancel) -> Result<Built, Trouble> {
        let cache = self.cache;
        let mut retired = Vec::new();
        let expected = self.spill.count();
        if expected > 0 {
            let id = take_run_id(&mut self.contents.record);
            let mut records = self.spill.sorted().map_err(Fault::from)?.map(|record| record.map_err(Fault::from));
            let info = write_run(cache, id, expected, cancel, || records.next().transpose())?;
            self.contents.runs.push(Arc::new(Run::new(info)));
        }
        loop {
            let runs = &mut self.contents.runs;
            runs.sort_by_key(|run| std::cmp::Reverse(run.info().entries));
            let sizes: Vec<u64> = runs.iter().map(|run| run.info().entries).collect();
            let count = tiers::merge_from_end(&sizes);
            if count == 0 {
                break;
            }
            let inputs = runs.split_off(runs.len() - count);
            let id = take_run_id(&mut self.contents.record);
            let expected = inputs.iter().map(|run| run.info().entries).sum();
            let mut merge = Merge::new(cache, &inputs, None)?;
            let gone = &self.contents.gone;
            let info = write_run(cache, id, expected, cancel, || next_counting(&mut merge, cache, gone))?;
            runs.push(Arc::new(Run::new(info)));
            retired.extend(inputs);
        }
        Source::store(cache, &self.contents.sources, self.changed_sources)?;
        self.contents.record.gone = self.contents.gone.store(cache)?;
        self.contents.record.runs = self.contents.runs.iter().map(|run| run.info()).collect();
        self.contents.record.entries = self.contents.record.runs.iter().map(|run| run.entries).sum();
        // The record vouches for everything before it, so it may not become durable first.
        cache.flush()?;
        self.contents.record.store(cache)?;
        cache.flush()?;
        Ok(Built { contents: self.contents, retired })
    }
}

/// The next entry of a pack that counts.
fn next_counting(merge: &mut Merge, cache: &Cache, gone: &Gone) -> Result<Option<EntryRecord>, Fault> {
    while let Some(record) = merge.next(cache)? {
        if !gone.contains(IndexEntry::from_bytes(&record).place.pack) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

fn take_run_id(record: &mut Record) -> u32 {
    let id = record.next_run;
    // After four thousand million merges numbers begin anew; the runs of the beginning are long gone.
    record.next_run = id.wrapping_add(1);
    id
}

fn write_run(
    cache: &Cache,
    id: u32,
    expected: u64,
    cancel: &Cancel,
    mut next: impl FnMut() -> Result<Option<EntryRecord>, Fault>,
) -> Result<RunInfo, Trouble> {
    let mut run = RunWriter::new(cache, id, expected);
    for count in 0u64.. {
        if count % CANCEL_EVERY == 0 && cancel.is_requested() {
            return Err(RepoError::Interrupted.into());
        }
        let Some(record) = next()? else { break };
        run.push(&record)?;
    }
    Ok(run.finish()?)
}

/// Opens what a cache says it holds, and removes what earlier processes left unfinished. `None` if it is not the
/// cache of this repository.
pub fn contents(cache: &Cache, repository: crate::base::id::RepositoryId) -> Result<Option<Contents>, Fault> {
    let Some(record) = Record::load(cache, repository)? else { return Ok(None) };
    let sources = Source::load_all(cache, record.sources)?;
    let gone = Gone::load(cache, record.gone)?;
    let runs: Vec<_> = record.runs.iter().map(|info| Arc::new(Run::new(*info))).collect();
    let mut from = Some(0);
    while let Some(run) = from.map_or(Ok(None), |from| cache.run_from(from))? {
        if !record.runs.iter().any(|info| info.id == run) {
            cache.remove_run(run)?;
        }
        from = run.checked_add(1);
    }
    // One look at each run's last page: a file that was cut is noticed now rather than in the middle of a command.
    for info in record.runs.iter().filter(|info| info.pages > 0) {
        let part = crate::repo::index::shelf::RunPart::Page;
        cache.need(Key::Run { run: info.id, part, number: info.pages - 1 })?;
    }
    Ok(Some(Contents { record, sources, runs, gone }))
}
