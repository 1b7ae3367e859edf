//! The last state of every file: a local file of compressed pages, written and read in the order of the walk.
//!
//! It may be deleted or damaged at any time: what cannot be read is simply not known, and read again. It is one
//! sequential file and not a table because the walk meets directories in the same order every time
//! (`docs/decisions/0005-last-state.md`).

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::id::{ChunkId, RepositoryId, SnapshotId};
use crate::codec::compress::{Deflater, Inflater};
use crate::codec::kdf::plain_hash;
use crate::codec::wire::{Malformed, Reader};
use crate::vault::backup::fingerprint::Fingerprint;

const MAGIC: &[u8; 8] = b"DVSTATE1";
const HEADER_BYTES: usize = 8 + 16 + 16;
const PAGE_BYTES: usize = 256 << 10;
const PAGE_BYTES_MAX: usize = 256 << 20;
const END: u32 = u32::MAX;

/// Orders directories as the walk completes them: everything below a directory comes before it.
pub fn walk_order(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (components(a), components(b));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Greater,
            (Some(_), None) => return Ordering::Less,
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => return x.cmp(y),
        }
    }
}

/// The parts of a path; the root's empty path has none.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    (!path.is_empty()).then(|| path.split(|&byte| byte == b'/')).into_iter().flatten()
}

/// One entry of a remembered directory.
#[derive(Debug, Clone, Copy)]
pub struct OldEntry<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// What it looked like.
    pub fingerprint: Fingerprint,
    /// Its stored form.
    pub encoded: &'a [u8],
}

/// A remembered directory.
#[derive(Debug, Clone)]
pub struct Record {
    page: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Record {
    /// The whole record, for carrying over.
    pub fn bytes(&self) -> &[u8] {
        &self.page[self.start..self.end]
    }

    /// Its path, its tree, and its entries in order.
    pub fn parse(&self) -> Result<(&[u8], ChunkId, Entries<'_>), Malformed> {
        let mut reader = Reader::new(self.bytes());
        let path_bytes = reader.u32()? as usize;
        let path = reader.bytes(path_bytes)?;
        let tree = ChunkId::from_bytes(reader.array()?);
        let count = reader.u32()?;
        Ok((path, tree, Entries { reader, left: count }))
    }
}

/// Iterates the entries of a record; ends early on damage.
pub struct Entries<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl Entries<'_> {
    /// How many entries are left.
    pub fn len(&self) -> usize {
        self.left as usize
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = OldEntry<'a>;

    fn next(&mut self) -> Option<OldEntry<'a>> {
        self.left = self.left.checked_sub(1)?;
        let fingerprint = Fingerprint(self.reader.array().ok()?);
        let name_bytes = usize::from(self.reader.u8().ok()?);
        let encoded_bytes = self.reader.u32().ok()? as usize;
        let name = self.reader.bytes(name_bytes).ok()?;
        let encoded = self.reader.bytes(encoded_bytes).ok()?;
        Some(OldEntry { name, fingerprint, encoded })
    }
}

/// Builds the record of one directory.
#[derive(Default)]
pub struct RecordBuilder {
    entries: Vec<u8>,
    count: u32,
}

impl RecordBuilder {
    /// Adds the next entry.
    pub fn push(&mut self, name: &[u8], fingerprint: Fingerprint, encoded: &[u8]) {
        self.entries.extend_from_slice(&fingerprint.0);
        self.entries.push(name.len() as u8);
        self.entries.extend_from_slice(&(encoded.len() as u32).to_be_bytes());
        self.entries.extend_from_slice(name);
        self.entries.extend_from_slice(encoded);
        self.count += 1;
    }

    /// The record, emptying the builder.
    pub fn finish(&mut self, path: &[u8], tree: ChunkId) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() + path.len() + 40);
        bytes.extend_from_slice(&(path.len() as u32).to_be_bytes());
        bytes.extend_from_slice(path);
        bytes.extend_from_slice(tree.as_bytes());
        bytes.extend_from_slice(&self.count.to_be_bytes());
        bytes.append(&mut self.entries);
        self.count = 0;
        bytes
    }
}

/// Reads a state file from front to back.
pub struct StateReader {
    file: Box<dyn Read + Send>,
    inflater: Inflater,
    page: Arc<Vec<u8>>,
    at: usize,
    next: Option<Record>,
    /// The snapshot it describes.
    pub snapshot: SnapshotId,
}

impl StateReader {
    /// Opens a state file; `None` if there is none of this repository that begins soundly.
    pub fn open(path: &Path, repository: RepositoryId) -> Option<Self> {
        Self::begin(Box::new(BufReader::with_capacity(64 << 10, File::open(path).ok()?)), repository)
    }

    fn begin(mut file: Box<dyn Read + Send>, repository: RepositoryId) -> Option<Self> {
        let mut header = [0u8; HEADER_BYTES];
        file.read_exact(&mut header).ok()?;
        let mut reader = Reader::new(&header);
        if reader.array::<8>().ok()? != *MAGIC || reader.array().ok()? != *repository.as_bytes() {
            return None;
        }
        let snapshot = SnapshotId::from_bytes(reader.array().ok()?);
        let inflater = Inflater::new().ok()?;
        let mut state = Self { file, inflater, page: Arc::default(), at: 0, next: None, snapshot };
        state.next = state.advance();
        Some(state)
    }

    /// The record of a directory, if there is one. Paths must be asked for in the order of the walk.
    pub fn seek(&mut self, path: &[u8]) -> Option<Record> {
        loop {
            let order = {
                let (next_path, _, _) = self.next.as_ref()?.parse().ok()?;
                walk_order(next_path, path)
            };
            match order {
                Ordering::Less => self.next = self.advance(),
                Ordering::Equal => {
                    let found = self.next.take();
                    self.next = self.advance();
                    return found;
                }
                Ordering::Greater => return None,
            }
        }
    }

    fn advance(&mut self) -> Option<Record> {
        while self.at >= self.page.len() {
            self.page = Arc::new(self.read_page()?);
            self.at = 0;
        }
        let length = u32::from_be_bytes(*self.page.get(self.at..)?.first_chunk()?) as usize;
        let start = self.at + 4;
        let end = start.checked_add(length).filter(|&end| end <= self.page.len())?;
        self.at = end;
        Some(Record { page: Arc::clone(&self.page), start, end })
    }

    fn read_page(&mut self) -> Option<Vec<u8>> {
        let mut front = [0u8; 40];
        self.file.read_exact(&mut front).ok()?;
        let mut reader = Reader::new(&front);
        let stored = reader.u32().ok()?;
        let raw = reader.u32().ok()? as usize;
        let hash: [u8; 32] = reader.array().ok()?;
        if stored == END || stored as usize > PAGE_BYTES_MAX || raw > PAGE_BYTES_MAX {
            return None;
        }
        let mut bytes = vec![0u8; stored as usize];
        self.file.read_exact(&mut bytes).ok()?;
        if plain_hash(&bytes) != hash {
            return None;
        }
        if stored as usize == raw {
            return Some(bytes);
        }
        let mut page = Vec::new();
        self.inflater.inflate(&bytes, raw, &mut page).ok()?;
        Some(page)
    }
}

/// Writes a state file beside the old one; only [`finish`](Self::finish) replaces it.
pub struct StateWriter {
    file: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    deflater: Deflater,
    page: Vec<u8>,
    packed: Vec<u8>,
}

impl StateWriter {
    /// Begins a new state file for `snapshot`.
    pub fn create(path: &Path, repository: RepositoryId, snapshot: SnapshotId) -> std::io::Result<Self> {
        sweep(path);
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = BufWriter::with_capacity(256 << 10, File::create(&temporary)?);
        file.write_all(MAGIC)?;
        file.write_all(repository.as_bytes())?;
        file.write_all(snapshot.as_bytes())?;
        let deflater = Deflater::new(1)?;
        Ok(Self { file, temporary, path: path.to_owned(), deflater, page: Vec::new(), packed: Vec::new() })
    }

    /// Appends a record. Records must come in the order of the walk.
    pub fn push(&mut self, record: &[u8]) -> std::io::Result<()> {
        self.page.extend_from_slice(&(record.len() as u32).to_be_bytes());
        self.page.extend_from_slice(record);
        if self.page.len() >= PAGE_BYTES { self.end_page() } else { Ok(()) }
    }

    /// Puts the new state in place of the old one.
    pub fn finish(mut self) -> std::io::Result<()> {
        self.end_page()?;
        self.file.write_all(&END.to_be_bytes())?;
        self.file.flush()?;
        // No fsync: pages carry hashes, and a lost state only costs reading files again.
        std::fs::rename(&self.temporary, &self.path)
    }

    fn end_page(&mut self) -> std::io::Result<()> {
        if self.page.is_empty() {
            return Ok(());
        }
        let shrunk = self.deflater.deflate(&self.page, &mut self.packed);
        let stored = if shrunk { &self.packed } else { &self.page };
        self.file.write_all(&(stored.len() as u32).to_be_bytes())?;
        self.file.write_all(&(self.page.len() as u32).to_be_bytes())?;
        self.file.write_all(&plain_hash(stored))?;
        self.file.write_all(stored)?;
        self.page.clear();
        Ok(())
    }
}

impl Drop for StateWriter {
    fn drop(&mut self) {
        // After `finish` the name is gone already.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

/// Removes what writers of this state file left that were killed: their process is no more.
fn sweep(path: &Path) {
    let Some((folder, name)) = path.parent().zip(path.file_name().and_then(|name| name.to_str())) else { return };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let pid = file.to_str().and_then(|file| file.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".tmp"));
        if pid.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()) {
            // Whoever else removes it first is welcome.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Reading whatever stands in a state file, for the fuzzer.
#[cfg(feature = "testing")]
pub mod fuzz {
    use std::io::Cursor;

    use super::{ChunkId, END, Fingerprint, MAGIC, RecordBuilder, RepositoryId, SnapshotId, StateReader, plain_hash};

    const REPOSITORY: RepositoryId = RepositoryId::from_bytes([1; 16]);

    /// Reads the bytes as a file, and as what one page of a sound file holds; returns how many entries there were.
    pub fn read(data: &[u8]) -> usize {
        [data.to_vec(), file(data)].into_iter().map(entries_of).sum()
    }

    fn entries_of(file: Vec<u8>) -> usize {
        let begin = || StateReader::begin(Box::new(Cursor::new(file.clone())), REPOSITORY);
        let Some(mut state) = begin() else { return 0 };
        let mut entries = 0;
        while let Some(record) = state.next.take() {
            if let Ok((_, _, found)) = record.parse() {
                entries += found.count();
            }
            state.next = state.advance();
        }
        for path in [b"a/b".as_slice(), b"a", b""] {
            let found = begin().and_then(|mut state| state.seek(path));
            assert!(found.is_none_or(|record| record.parse().is_ok_and(|(found, _, _)| found == path)));
        }
        entries
    }

    /// Records of two directories, as a page holds them.
    pub fn page() -> Vec<u8> {
        let mut page = Vec::new();
        for path in [b"a/b".as_slice(), b"a"] {
            let mut record = RecordBuilder::default();
            record.push(b"entry", Fingerprint([7; Fingerprint::BYTES]), b"encoded");
            let record = record.finish(path, ChunkId::from_bytes([3; 32]));
            page.extend_from_slice(&(record.len() as u32).to_be_bytes());
            page.extend_from_slice(&record);
        }
        page
    }

    /// A sound file with one page that is not compressed.
    pub fn file(page: &[u8]) -> Vec<u8> {
        let length = (page.len() as u32).to_be_bytes();
        let header = [MAGIC.as_slice(), REPOSITORY.as_bytes(), SnapshotId::from_bytes([2; 16]).as_bytes()].concat();
        [header.as_slice(), &length, &length, &plain_hash(page), page, &END.to_be_bytes()].concat()
    }
}

#[cfg(test)]
mod tests;
