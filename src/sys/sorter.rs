//! Sorting more records of any length than fit in memory, through one temporary file without a name. For records of
//! fixed width there is `spill`, which says why they are two.
//!
//! Sorted runs of a bounded buffer go to the file one after another; reading merges them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes read ahead from one run while merging.
const READ_AHEAD: usize = 64 << 10;
/// Order and the lengths of key and value, before both.
const FIXED: usize = 16;

/// A record as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Sorts first.
    pub key: Vec<u8>,
    /// Sorts among equal keys.
    pub order: u64,
    /// Carried along.
    pub value: Vec<u8>,
}

/// Gathers records, to give them back sorted by key and then by order.
pub struct Sorter {
    folder: PathBuf,
    buffer: Vec<u8>,
    /// Where each record begins in the buffer.
    starts: Vec<usize>,
    buffered_max: usize,
    file: Option<File>,
    /// Where each run ends in the file.
    ends: Vec<u64>,
}

impl Sorter {
    /// Keeps about `buffered_max` bytes in memory; more go to a temporary file in `folder`, which is made only then
    /// and vanishes with the process.
    pub fn new(folder: &Path, buffered_max: usize) -> Self {
        let (buffer, starts, ends) = (Vec::new(), Vec::new(), Vec::new());
        Self { folder: folder.to_owned(), buffer, starts, buffered_max, file: None, ends }
    }

    /// Adds a record.
    pub fn push(&mut self, key: &[u8], order: u64, value: &[u8]) -> io::Result<()> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let (key_bytes, value_bytes) = (length(key)?, length(value)?);
        if self.buffer.len() + self.starts.len() * size_of::<usize>() > self.buffered_max {
            self.spill()?;
        }
        self.starts.push(self.buffer.len());
        self.buffer.extend_from_slice(&order.to_le_bytes());
        self.buffer.extend_from_slice(&key_bytes.to_le_bytes());
        self.buffer.extend_from_slice(&value_bytes.to_le_bytes());
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(value);
        Ok(())
    }

    /// The records in order.
    pub fn sorted(mut self) -> io::Result<Sorted> {
        self.sort();
        let (buffer, starts) = (std::mem::take(&mut self.buffer), std::mem::take(&mut self.starts));
        let memory = Memory { buffer, starts: starts.into_iter() };
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let runs: Vec<Run> = begins.zip(&self.ends).map(|(at, end)| Run::new(at, *end)).collect();
        let mut sorted = Sorted { file: self.file, memory, runs, heap: BinaryHeap::new() };
        for run in 0..=sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }

    fn sort(&mut self) {
        let mut starts = std::mem::take(&mut self.starts);
        starts.sort_unstable_by_key(|&start| {
            let (order, key, _) = parts(&self.buffer, start);
            (key, order)
        });
        self.starts = starts;
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.folder)?),
        };
        let mut at = self.ends.last().copied().unwrap_or(0);
        let mut out = Vec::with_capacity(1 << 20);
        for &start in &self.starts {
            let (_, key, value) = parts(&self.buffer, start);
            out.extend_from_slice(&self.buffer[start..start + FIXED + key.len() + value.len()]);
            if out.len() >= 1 << 20 {
                file.write_all_at(&out, at)?;
                at += out.len() as u64;
                out.clear();
            }
        }
        file.write_all_at(&out, at)?;
        self.ends.push(at + out.len() as u64);
        self.starts.clear();
        self.buffer.clear();
        Ok(())
    }
}

/// Order, key and value of the record that begins at `start`.
fn parts(buffer: &[u8], start: usize) -> (u64, &[u8], &[u8]) {
    let (order, key_bytes, value_bytes) = fixed(&buffer[start..]);
    let rest = &buffer[start + FIXED..];
    (order, &rest[..key_bytes], &rest[key_bytes..key_bytes + value_bytes])
}

fn fixed(bytes: &[u8]) -> (u64, usize, usize) {
    let number =
        |range: std::ops::Range<usize>| bytes[range].iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
    (number(0..8), number(8..12) as usize, number(12..16) as usize)
}

/// The records of a [`Sorter`] in order. After a failure nothing more comes.
pub struct Sorted {
    file: Option<File>,
    memory: Memory,
    runs: Vec<Run>,
    heap: BinaryHeap<Reverse<(Record, usize)>>,
}

impl Sorted {
    /// Puts the next record of a run into the heap; the last number means the run that never left memory.
    fn advance(&mut self, number: usize) -> io::Result<()> {
        let next = match (self.runs.get_mut(number), &self.file) {
            (Some(run), Some(file)) => run.next(file)?,
            _ => self.memory.next(),
        };
        self.heap.extend(next.map(|record| Reverse((record, number))));
        Ok(())
    }
}

impl Iterator for Sorted {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((record, run)) = self.heap.pop()?;
        match self.advance(run) {
            Ok(()) => Some(Ok(record)),
            Err(error) => {
                self.heap.clear();
                Some(Err(error))
            }
        }
    }
}

struct Memory {
    buffer: Vec<u8>,
    starts: std::vec::IntoIter<usize>,
}

impl Memory {
    fn next(&mut self) -> Option<Record> {
        let (order, key, value) = parts(&self.buffer, self.starts.next()?);
        Some(Record { key: key.to_vec(), order, value: value.to_vec() })
    }
}

struct Run {
    at: u64,
    end: u64,
    ahead: Vec<u8>,
    used: usize,
}

impl Run {
    fn new(at: u64, end: u64) -> Self {
        Self { at, end, ahead: Vec::new(), used: 0 }
    }

    fn next(&mut self, file: &File) -> io::Result<Option<Record>> {
        if self.used == self.ahead.len() && self.at == self.end {
            return Ok(None);
        }
        self.want(file, FIXED)?;
        let (_, key_bytes, value_bytes) = fixed(&self.ahead[self.used..]);
        let length = FIXED + key_bytes + value_bytes;
        self.want(file, length)?;
        let (order, key, value) = parts(&self.ahead, self.used);
        let record = Record { key: key.to_vec(), order, value: value.to_vec() };
        self.used += length;
        Ok(Some(record))
    }

    /// Sees to it that so many bytes are there.
    fn want(&mut self, file: &File, bytes: usize) -> io::Result<()> {
        if self.ahead.len() - self.used >= bytes {
            return Ok(());
        }
        self.ahead.drain(..self.used);
        self.used = 0;
        let have = self.ahead.len();
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let more = left.min((bytes - have).max(READ_AHEAD));
        if have + more < bytes {
            return Err(io::Error::other("a temporary file is shorter than it was written"));
        }
        self.ahead.resize(have + more, 0);
        file.read_exact_at(&mut self.ahead[have..], self.at)?;
        self.at += more as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(records: &[(Vec<u8>, u64)], buffered_max: usize) -> Vec<(Vec<u8>, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(folder.path(), buffered_max);
        for (key, order) in records {
            sorter.push(key, *order, &[key.as_slice(), b"'s value"].concat()).unwrap();
        }
        let sorted = sorter.sorted().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file must have no name");
        sorted
            .map(|record| {
                let Record { key, order, value } = record.unwrap();
                assert_eq!(value, [key.as_slice(), b"'s value"].concat());
                (key, order)
            })
            .collect()
    }

    #[test]
    fn records_come_back_by_key_and_order_whether_or_not_they_fit_in_memory() {
        let number = |number: u64| number.wrapping_mul(2_654_435_761) % 700;
        let records: Vec<_> = (0..3_000).map(|n| (vec![b'k'; number(n) as usize % 90], number(n + 1))).collect();
        let mut expected = records.clone();
        expected.sort();
        for buffered_max in [1 << 20, 70_000, 5_000, 1] {
            assert_eq!(sorted(&records, buffered_max), expected, "{buffered_max}");
        }
    }

    #[test]
    fn a_record_larger_than_any_buffer_is_kept_whole() {
        let records = vec![(vec![b'b'; 300_000], 2), (b"a".to_vec(), 1), (vec![b'b'; 300_000], 1)];
        let mut expected = records.clone();
        expected.sort();
        assert_eq!(sorted(&records, 10), expected);
    }

    #[test]
    fn nothing_sorts_to_nothing() {
        assert!(sorted(&[], 10).is_empty());
    }
}
