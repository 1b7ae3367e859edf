//! The references snapshots make, sorted and without repeats, in bounded memory: sorted runs in files without
//! a name in the cache folder, merged at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::repo::index::Prefix;
use crate::vault::VaultError;

/// References sorted in memory at once: 32 MiB.
const RUN_ITEMS: usize = 2 << 20;
/// Buffer of each run when all are merged.
const MERGE_BYTES: usize = 64 << 10;

/// References so far.
pub struct References {
    folder: PathBuf,
    limit: usize,
    memory: Vec<u128>,
    runs: Vec<File>,
}

impl References {
    /// None yet; runs go to `folder`, which is made if need be.
    pub fn new(folder: &Path) -> Self {
        Self::with_limit(folder, RUN_ITEMS)
    }

    fn with_limit(folder: &Path, limit: usize) -> Self {
        Self { folder: folder.to_owned(), limit, memory: Vec::new(), runs: Vec::new() }
    }

    /// Adds references; repeats are welcome.
    pub fn add(&mut self, prefixes: impl IntoIterator<Item = Prefix>) -> Result<(), VaultError> {
        for prefix in prefixes {
            self.memory.push(u128::from_be_bytes(prefix));
            if self.memory.len() >= self.limit {
                self.make_room()?;
            }
        }
        Ok(())
    }

    /// All references, ascending, each once.
    pub fn into_sorted(mut self) -> Result<Sorted, VaultError> {
        self.sort();
        let local = |error| VaultError::local("read back a sorted run in", &self.folder, error);
        let mut sources = vec![Source::Memory(self.memory.into_iter())];
        for mut run in self.runs {
            run.rewind().map_err(local)?;
            sources.push(Source::Run(BufReader::with_capacity(MERGE_BYTES, run)));
        }
        let mut sorted = Sorted { sources, heads: BinaryHeap::new(), last: None, folder: self.folder };
        for index in 0..sorted.sources.len() {
            sorted.refill(index)?;
        }
        Ok(sorted)
    }

    fn sort(&mut self) {
        self.memory.sort_unstable();
        self.memory.dedup();
    }

    /// Sorting may find so many repeats that nothing has to be written.
    fn make_room(&mut self) -> Result<(), VaultError> {
        self.sort();
        if self.memory.len() <= self.limit / 2 {
            return Ok(());
        }
        let run = self.write_run().map_err(|error| VaultError::local("write a sorted run to", &self.folder, error))?;
        self.runs.push(run);
        self.memory.clear();
        Ok(())
    }

    fn write_run(&self) -> io::Result<File> {
        std::fs::create_dir_all(&self.folder)?;
        let mut writer = BufWriter::with_capacity(1 << 20, tempfile::tempfile_in(&self.folder)?);
        for prefix in &self.memory {
            writer.write_all(&prefix.to_be_bytes())?;
        }
        writer.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

enum Source {
    Memory(std::vec::IntoIter<u128>),
    Run(BufReader<File>),
}

impl Source {
    fn next(&mut self) -> io::Result<Option<u128>> {
        let reader = match self {
            Self::Memory(items) => return Ok(items.next()),
            Self::Run(reader) => reader,
        };
        let mut bytes = [0u8; 16];
        match reader.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(u128::from_be_bytes(bytes))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// References in order.
pub struct Sorted {
    sources: Vec<Source>,
    heads: BinaryHeap<Reverse<(u128, usize)>>,
    last: Option<u128>,
    folder: PathBuf,
}

impl Sorted {
    fn refill(&mut self, index: usize) -> Result<(), VaultError> {
        let next = self.sources[index].next();
        match next.map_err(|error| VaultError::local("read back a sorted run in", &self.folder, error))? {
            Some(prefix) => self.heads.push(Reverse((prefix, index))),
            None => self.sources[index] = Source::Memory(Vec::new().into_iter()),
        }
        Ok(())
    }
}

impl Iterator for Sorted {
    type Item = Result<Prefix, VaultError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((prefix, index)) = self.heads.pop()?;
            if let Err(error) = self.refill(index) {
                self.heads.clear();
                return Some(Err(error));
            }
            if self.last.replace(prefix) != Some(prefix) {
                return Some(Ok(prefix.to_be_bytes()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::{Entropy, SeededEntropy};

    #[test]
    fn many_runs_merge_into_one_order_without_repeats() {
        let folder = tempfile::tempdir().unwrap();
        let mut references = References::with_limit(folder.path(), 100);
        let mut bytes = vec![0u8; 16 * 5000];
        SeededEntropy::new(1).fill(&mut bytes);
        let (prefixes, _) = bytes.as_chunks::<16>();
        references.add(prefixes.iter().copied()).unwrap();
        references.add(prefixes.iter().rev().copied()).unwrap();
        assert!(references.runs.len() > 50);
        let mut expected = prefixes.to_vec();
        expected.sort();
        assert_eq!(references.into_sorted().unwrap().collect::<Result<Vec<_>, _>>().unwrap(), expected);
    }

    #[test]
    fn few_references_never_touch_the_disk() {
        let mut references = References::with_limit(Path::new("/nonexistent/folder"), 100);
        for _ in 0..1000 {
            references.add([[7; 16], [3; 16]]).unwrap();
        }
        assert_eq!(references.into_sorted().unwrap().map(Result::unwrap).collect::<Vec<_>>(), [[3; 16], [7; 16]]);
    }
}
