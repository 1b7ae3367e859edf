//! Runs: immutable sorted lists of entries, in pages, with a filter and with fences that say where pages begin.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::repo::index::bloom::{self, FilterBuilder, SLICE_BYTES};
use crate::repo::index::place::{ENTRY_BYTES, IndexEntry, Prefix};
use crate::repo::index::shelf::{Cache, Fault, Key, RunPart};

/// An entry as it is stored.
pub type EntryRecord = [u8; ENTRY_BYTES];

/// Entries in a page: 4 KiB.
const PAGE_ENTRIES: usize = 128;
/// Fences in a value: 4 KiB.
const FENCES_PER_PART: usize = 512;

/// What the record says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunInfo {
    /// Its number.
    pub id: u32,
    /// How many entries.
    pub entries: u64,
    /// In how many pages.
    pub pages: u32,
    /// Size of its filter.
    pub filter_blocks: u32,
}

/// Memory all filters may still take, in bytes; what has no room is looked up in pages instead.
pub struct FilterBudget(AtomicUsize);

impl FilterBudget {
    /// So many bytes.
    pub const fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A slice of a filter, once it is loaded.
type Slice = OnceLock<Box<[u8]>>;

/// A run being read. Nothing of it is in memory until it is asked for.
pub struct Run {
    info: RunInfo,
    /// The first eight bytes of the first entry of each page.
    fences: OnceLock<Box<[u64]>>,
    filter: OnceLock<Box<[Slice]>>,
}

impl Run {
    /// The run of this description.
    pub fn new(info: RunInfo) -> Self {
        Self { info, fences: OnceLock::new(), filter: OnceLock::new() }
    }

    /// Its description.
    pub fn info(&self) -> RunInfo {
        self.info
    }

    /// Calls `found` with each entry of this prefix.
    pub fn find(&self, cache: &Cache, prefix: &Prefix, mut found: impl FnMut(IndexEntry)) -> Result<(), Fault> {
        if !self.may_hold(cache, prefix)? {
            return Ok(());
        }
        let fences = self.fences(cache)?;
        let (front, _) = bloom::halves(prefix);
        // Entries of one prefix may go on over several pages, and begin in the one before the first such fence.
        let first = fences.partition_point(|fence| *fence < front).saturating_sub(1);
        let after = fences.partition_point(|fence| *fence <= front);
        for page in first..after {
            let bytes = cache.page(self.info.id, page as u32)?;
            let records = bytes.as_chunks::<ENTRY_BYTES>().0;
            let begin = records.partition_point(|record| record[..prefix.len()] < prefix[..]);
            let same = records[begin..].iter().take_while(|record| record.starts_with(prefix));
            same.for_each(|record| found(IndexEntry::from_bytes(record)));
        }
        Ok(())
    }

    fn may_hold(&self, cache: &Cache, prefix: &Prefix) -> Result<bool, Fault> {
        let blocks = self.info.filter_blocks;
        let slices = self.filter.get_or_init(|| (0..bloom::slices_for(blocks)).map(|_| OnceLock::new()).collect());
        let number = bloom::slice_of(blocks, prefix);
        let Some(slice) = slices.get(number as usize) else { return Ok(true) };
        if slice.get().is_none() {
            if !cache.filters.take(SLICE_BYTES) {
                return Ok(true);
            }
            let bytes = cache.need(Key::Run { run: self.info.id, part: RunPart::Filter, number })?;
            if slice.set(bytes.into()).is_err() {
                cache.filters.give_back(SLICE_BYTES);
            }
        }
        Ok(slice.get().is_none_or(|bytes| bloom::may_hold(blocks, bytes, prefix)))
    }

    /// The first page that can hold entries not below this record.
    pub fn page_of(&self, cache: &Cache, record: &EntryRecord) -> Result<u32, Fault> {
        let front = u64::from_be_bytes(std::array::from_fn(|index| record[index]));
        let fences = self.fences(cache)?;
        Ok(fences.partition_point(|fence| *fence < front).saturating_sub(1) as u32)
    }

    fn fences(&self, cache: &Cache) -> Result<&[u64], Fault> {
        if let Some(fences) = self.fences.get() {
            return Ok(fences);
        }
        let mut fences = Vec::with_capacity(self.info.pages as usize);
        for number in 0..self.info.pages.div_ceil(FENCES_PER_PART as u32) {
            let part = cache.need(Key::Run { run: self.info.id, part: RunPart::Fence, number })?;
            fences.extend(part.as_chunks::<8>().0.iter().map(|fence| u64::from_be_bytes(*fence)));
        }
        if fences.len() != self.info.pages as usize {
            return Err(Fault(format!("run {} has not as many fences as pages", self.info.id)));
        }
        Ok(self.fences.get_or_init(|| fences.into()))
    }

    /// Removes all its parts from the cache, once nobody reads it any more.
    pub fn remove(&self, cache: &Cache) -> Result<(), Fault> {
        let loaded = self.filter.get().map_or(0, |slices| slices.iter().filter(|slice| slice.get().is_some()).count());
        cache.filters.give_back(loaded * SLICE_BYTES);
        let parts = [
            (RunPart::Page, self.info.pages),
            (RunPart::Fence, self.info.pages.div_ceil(FENCES_PER_PART as u32)),
            (RunPart::Filter, bloom::slices_for(self.info.filter_blocks)),
        ];
        for (part, count) in parts {
            for number in 0..count {
                cache.remove(Key::Run { run: self.info.id, part, number })?;
            }
        }
        Ok(())
    }
}

/// Writes a run from records in ascending order.
pub struct RunWriter<'a> {
    cache: &'a Cache,
    info: RunInfo,
    page: Vec<u8>,
    fences: Vec<u8>,
    fence_parts: u32,
    filter: FilterBuilder,
}

impl<'a> RunWriter<'a> {
    /// A run of about `expected` entries; the number sizes its filter.
    pub fn new(cache: &'a Cache, id: u32, expected: u64) -> Self {
        let filter_blocks = bloom::blocks_for(expected);
        Self {
            cache,
            info: RunInfo { id, entries: 0, pages: 0, filter_blocks },
            page: Vec::with_capacity(PAGE_ENTRIES * ENTRY_BYTES),
            fences: Vec::new(),
            fence_parts: 0,
            filter: FilterBuilder::new(filter_blocks),
        }
    }

    /// Appends a record.
    pub fn push(&mut self, record: &EntryRecord) -> Result<(), Fault> {
        if self.page.len() == PAGE_ENTRIES * ENTRY_BYTES {
            self.end_page()?;
        }
        if self.page.is_empty() {
            self.fences.extend_from_slice(&record[..8]);
        }
        self.page.extend_from_slice(record);
        self.info.entries += 1;
        let (cache, run) = (self.cache, self.info.id);
        let prefix: Prefix = std::array::from_fn(|index| record[index]);
        self.filter.insert(&prefix, |number, slice| cache.put(Key::Run { run, part: RunPart::Filter, number }, slice))
    }

    /// Writes what is left. The run counts once a record names it.
    pub fn finish(mut self) -> Result<RunInfo, Fault> {
        if !self.page.is_empty() {
            self.end_page()?;
        }
        if !self.fences.is_empty() {
            self.end_fences()?;
        }
        let (cache, run) = (self.cache, self.info.id);
        self.filter.finish(|number, slice| cache.put(Key::Run { run, part: RunPart::Filter, number }, slice))?;
        Ok(self.info)
    }

    fn end_page(&mut self) -> Result<(), Fault> {
        let key = Key::Run { run: self.info.id, part: RunPart::Page, number: self.info.pages };
        self.cache.put(key, &self.page)?;
        self.page.clear();
        self.info.pages += 1;
        if self.fences.len() == FENCES_PER_PART * 8 { self.end_fences() } else { Ok(()) }
    }

    fn end_fences(&mut self) -> Result<(), Fault> {
        let key = Key::Run { run: self.info.id, part: RunPart::Fence, number: self.fence_parts };
        self.cache.put(key, &self.fences)?;
        self.fences.clear();
        self.fence_parts += 1;
        Ok(())
    }
}
