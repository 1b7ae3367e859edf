//! Sorting more fixed-width records than fit in memory, through one temporary file without a name.
//!
//! Sorted runs of a bounded buffer go to the file one after another; reading merges them. `sorter` does the same for
//! records of any length. They stay two: here a record costs its bytes and nothing else, which for the tens of millions
//! of an index is what counts; there each has an order, two lengths, a place in the buffer and memory of its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes read ahead from all runs together while merging, about.
const READ_AHEAD_BYTES: usize = 4 << 20;
/// Bytes read ahead from one run, at least and at most.
const READ_AHEAD_MIN: usize = 16 << 10;
const READ_AHEAD_MAX: usize = 256 << 10;

/// Gathers records, to give them back sorted.
pub struct Spill<const N: usize> {
    folder: PathBuf,
    buffer: Vec<[u8; N]>,
    buffered_max: usize,
    file: Option<File>,
    /// Where each spilled run ends in the file.
    ends: Vec<u64>,
    count: u64,
    /// Whether equal records count once.
    distinct: bool,
}

impl<const N: usize> Spill<N> {
    /// Keeps up to `buffered_max` records in memory; more go to a temporary file in `folder`. Both are made only then;
    /// the file vanishes with the process.
    pub fn new(folder: &Path, buffered_max: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            buffer: Vec::new(),
            buffered_max: buffered_max.max(1),
            file: None,
            ends: Vec::new(),
            count: 0,
            distinct: false,
        }
    }

    /// The same for records of which equal ones are wanted once.
    pub fn distinct(folder: &Path, buffered_max: usize) -> Self {
        Self { distinct: true, ..Self::new(folder, buffered_max) }
    }

    /// Adds a record.
    pub fn push(&mut self, record: [u8; N]) -> io::Result<()> {
        if self.buffer.len() == self.buffered_max {
            self.make_room()?;
        }
        if self.buffer.len() == self.buffer.capacity() {
            // Doubling beyond the bound would cost twice the memory that was asked for.
            let more = self.buffer.capacity().clamp(64, self.buffered_max.max(64));
            self.buffer.reserve_exact(more.min((self.buffered_max - self.buffer.len()).max(1)));
        }
        self.buffer.push(record);
        self.count += 1;
        Ok(())
    }

    /// How many records were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The records in order.
    pub fn sorted(mut self) -> io::Result<Sorted<N>> {
        self.sort();
        if self.file.is_none() {
            return Ok(Sorted { source: Source::Memory(self.buffer.into_iter()), distinct: false, last: None });
        }
        if !self.buffer.is_empty() {
            self.spill()?;
        }
        self.buffer = Vec::new();
        let Some(file) = self.file else { return Err(io::Error::other("the spilled records are gone")) };
        let ahead = (READ_AHEAD_BYTES / self.ends.len()).clamp(READ_AHEAD_MIN, READ_AHEAD_MAX) / N * N;
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let runs = begins.zip(&self.ends).map(|(at, end)| Run { at, end: *end, ahead: Vec::new(), next: 0 }).collect();
        let mut merge = Merge { file, runs, heap: BinaryHeap::new(), ahead: ahead.max(N) };
        for run in 0..self.ends.len() {
            merge.advance(run)?;
        }
        Ok(Sorted { source: Source::File(Box::new(merge)), distinct: self.distinct, last: None })
    }

    fn sort(&mut self) {
        self.buffer.sort_unstable();
        if self.distinct {
            self.buffer.dedup();
        }
    }

    /// Sorting may find so many repeats that nothing has to be written.
    fn make_room(&mut self) -> io::Result<()> {
        self.sort();
        if self.distinct && self.buffer.len() <= self.buffered_max / 2 { Ok(()) } else { self.spill() }
    }

    /// Writes what is sorted.
    fn spill(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => {
                std::fs::create_dir_all(&self.folder)?;
                self.file.insert(tempfile::tempfile_in(&self.folder)?)
            }
        };
        let begin = self.ends.last().copied().unwrap_or(0);
        let mut at = begin;
        for part in self.buffer.chunks((1 << 20) / N) {
            let bytes = part.as_flattened();
            file.write_all_at(bytes, at)?;
            at += bytes.len() as u64;
        }
        self.ends.push(at);
        self.buffer.clear();
        Ok(())
    }
}

/// The records of a [`Spill`] in order. After a failure nothing more comes.
pub struct Sorted<const N: usize> {
    source: Source<N>,
    /// Whether runs may repeat each other.
    distinct: bool,
    last: Option<[u8; N]>,
}

enum Source<const N: usize> {
    Memory(std::vec::IntoIter<[u8; N]>),
    File(Box<Merge<N>>),
    Failed,
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = self.source.next();
            match next {
                Some(Ok(record)) if self.distinct && self.last.replace(record) == Some(record) => {}
                next => return next,
            }
        }
    }
}

impl<const N: usize> Source<N> {
    fn next(&mut self) -> Option<io::Result<[u8; N]>> {
        match self {
            Self::Memory(records) => records.next().map(Ok),
            Self::File(merge) => {
                let next = merge.next().transpose();
                if matches!(next, Some(Err(_))) {
                    *self = Self::Failed;
                }
                next
            }
            Self::Failed => None,
        }
    }
}

struct Merge<const N: usize> {
    file: File,
    runs: Vec<Run<N>>,
    heap: BinaryHeap<Reverse<([u8; N], usize)>>,
    ahead: usize,
}

struct Run<const N: usize> {
    at: u64,
    end: u64,
    ahead: Vec<u8>,
    next: usize,
}

impl<const N: usize> Merge<N> {
    fn next(&mut self) -> io::Result<Option<[u8; N]>> {
        let Some(Reverse((record, run))) = self.heap.pop() else { return Ok(None) };
        self.advance(run)?;
        Ok(Some(record))
    }

    fn advance(&mut self, number: usize) -> io::Result<()> {
        let run = &mut self.runs[number];
        if run.next == run.ahead.len() {
            let left = usize::try_from(run.end - run.at).unwrap_or(usize::MAX);
            run.ahead.resize(left.min(self.ahead), 0);
            self.file.read_exact_at(&mut run.ahead, run.at)?;
            run.at += run.ahead.len() as u64;
            run.next = 0;
        }
        if let Some(record) = run.ahead[run.next..].first_chunk() {
            run.next += N;
            self.heap.push(Reverse((*record, number)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(numbers: &[u32], buffered_max: usize) -> Vec<u32> {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::<4>::new(folder.path(), buffered_max);
        for number in numbers {
            spill.push(number.to_be_bytes()).unwrap();
        }
        assert_eq!(spill.count(), numbers.len() as u64);
        let sorted = spill.sorted().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file must have no name");
        sorted.map(|record| u32::from_be_bytes(record.unwrap())).collect()
    }

    #[test]
    fn records_come_back_sorted_whether_or_not_they_fit_in_memory() {
        let numbers: Vec<u32> = (0..20_000u32).map(|number| number.wrapping_mul(2_654_435_761) % 9_000).collect();
        let mut expected = numbers.clone();
        expected.sort_unstable();
        for buffered_max in [1_000_000, 20_000, 4096, 77] {
            assert_eq!(sorted(&numbers, buffered_max), expected, "{buffered_max}");
        }
    }

    #[test]
    fn repeats_come_back_once_where_that_is_wanted_whatever_run_they_are_in() {
        for buffered_max in [1_000_000, 9_000, 100, 1] {
            let folder = tempfile::tempdir().unwrap();
            let mut spill = Spill::<4>::distinct(&folder.path().join("made"), buffered_max);
            for number in (0..5_000u32).chain((0..5_000).rev()) {
                spill.push(number.to_be_bytes()).unwrap();
            }
            let sorted: Vec<u32> = spill.sorted().unwrap().map(|record| u32::from_be_bytes(record.unwrap())).collect();
            assert_eq!(sorted, (0..5_000).collect::<Vec<u32>>(), "{buffered_max}");
        }
    }

    #[test]
    fn few_distinct_records_never_touch_the_disk() {
        let mut spill = Spill::<1>::distinct(Path::new("/nonexistent/folder"), 100);
        for _ in 0..1000 {
            spill.push([7]).unwrap();
            spill.push([3]).unwrap();
        }
        assert_eq!(spill.sorted().unwrap().map(Result::unwrap).collect::<Vec<_>>(), [[3], [7]]);
    }

    #[test]
    fn nothing_sorts_to_nothing() {
        assert!(sorted(&[], 10).is_empty());
    }
}
