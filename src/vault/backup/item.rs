//! One entry that is new or changed, and how its stored form is made: attributes asked, content read and cut.

use std::ffi::CString;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use crate::base::cancel::Cancel;
use crate::base::id::ChunkId;
use crate::base::progress::{Event, Progress};
use crate::codec::chunk::Chunker;
use crate::repo::RepoError;
use crate::repo::tree::writer::file_content;
use crate::repo::tree::{Entry, EntryKind, Extent, FileContent, HardLink, Owner, XattrPair};
use crate::sys::listing::{Dir, open_file};
use crate::sys::meta::{
    FileKind, Names, Stat, Xattr, data_extents, fstat, lstat_at, readlink_at, xattrs_of, xattrs_of_fd,
};
use crate::vault::backup::advice;
use crate::vault::backup::chunkers::Chunkers;
use crate::vault::backup::fragments::{FRAGMENT_BYTES_MAX, Fragments, ends_shared};
use crate::vault::backup::source::{ExtentReader, FdReader, fill, rewind};
use crate::vault::backup::store::{ChunkStore, Filler, Lane, TreeChunks};

/// An entry to be read.
pub struct Item {
    /// The directory it lies in.
    pub dir: Arc<Dir>,
    /// Its name there.
    pub name: CString,
    /// Its name in the snapshot, if that is another.
    pub stored_as: Option<CString>,
    /// What the listing said of it.
    pub stat: Stat,
    /// Ordinal of its file system.
    pub file_system: u32,
}

impl Item {
    /// Whether small files may still be gathered into the same chunk when this one, which comes next, is read.
    pub fn may_share_with(&self, next: &Self) -> bool {
        Arc::ptr_eq(&self.dir, &next.dir) && !ends_shared(self.name.to_bytes())
    }
}

/// What became of an item.
pub enum Outcome {
    /// Its entry (a directory's `tree` is still open), and the attributes it was made from.
    Read(Box<Entry>, Stat),
    /// The same, and something is to be said of its content.
    Advised(Box<Entry>, Stat, &'static str),
    /// The same, but it changed while it was read: what is stored may be a mixture.
    Torn(Box<Entry>, Stat),
    /// It was gone when its turn came.
    Vanished,
    /// It could not be read.
    Failed(io::Error),
}

/// Why reading stopped altogether.
pub enum Stop {
    /// The repository failed.
    Repo(RepoError),
    /// A stop was requested.
    Cancelled,
}

impl From<RepoError> for Stop {
    fn from(error: RepoError) -> Self {
        Self::Repo(error)
    }
}

/// What reading items needs.
pub struct Reading<'a> {
    /// Takes chunks.
    pub store: &'a ChunkStore<'a>,
    /// Cuts files.
    pub chunkers: &'a Chunkers,
    /// Translates owners.
    pub names: &'a Names,
    /// Receives bytes read.
    pub progress: &'a dyn Progress,
    /// Ends it early.
    pub cancel: &'a Cancel,
}

/// How often a file that changes under the reader is read.
const ATTEMPTS: usize = 3;
/// Bytes read at once; four largest chunks, so that little is moved when the window slides.
const WINDOW_BYTES: usize = 4 << 20;

/// One thread's means of reading.
pub struct Reader<'r, 'a> {
    reading: &'r Reading<'a>,
    lane: Lane,
    filler: Filler,
    window: Vec<u8>,
    fragments: Fragments,
    /// What is to be said of the file that is being read.
    advice: Option<&'static str>,
    /// Runs the storing of a full block, here or on another thread.
    spread: &'r dyn Fn(Filler) -> Result<(), RepoError>,
}

impl<'r, 'a> Reader<'r, 'a> {
    /// A reader; give it back with [`finish`](Self::finish).
    ///
    /// `spread` takes full blocks of `lane`.
    pub fn new(
        reading: &'r Reading<'a>,
        lane: Lane,
        window: Vec<u8>,
        spread: &'r dyn Fn(Filler) -> Result<(), RepoError>,
    ) -> Self {
        Self {
            reading,
            lane,
            filler: reading.store.filler(lane),
            window,
            fragments: Fragments::default(),
            advice: None,
            spread,
        }
    }

    /// What cuts the repository's files.
    pub fn chunkers(&self) -> &'a Chunkers {
        self.reading.chunkers
    }

    /// Returns the begun block to the store, and the window for reuse.
    pub fn finish(self) -> Vec<u8> {
        self.reading.store.put_back(self.lane, self.filler);
        self.window
    }

    /// Makes the entries of items that follow each other in the walk.
    pub fn read_all(&mut self, items: &[Item]) -> Result<Vec<Outcome>, Stop> {
        let mut outcomes = Vec::with_capacity(items.len());
        for (position, item) in items.iter().enumerate() {
            let outcome = self.read(item)?;
            self.fragments.wait(position, &outcome);
            outcomes.push(outcome);
            self.reading.progress.on(Event::Advanced { bytes: 0, files: 1 });
            let ends = items.get(position + 1).is_none_or(|next| !item.may_share_with(next));
            if ends || !self.fragments.fits(FRAGMENT_BYTES_MAX as usize) {
                self.end_shared(&mut outcomes)?;
            }
        }
        Ok(outcomes)
    }

    fn end_shared(&mut self, outcomes: &mut [Outcome]) -> Result<(), Stop> {
        let mut fragments = std::mem::take(&mut self.fragments);
        let ended = fragments.end(outcomes, &mut |chunk| self.add(chunk));
        self.fragments = fragments;
        match ended {
            Ok(()) => Ok(()),
            Err(Trouble::Stop(stop)) => Err(stop),
            Err(Trouble::Io(error)) => Err(Stop::Repo(RepoError::Local {
                action: "store",
                what: "a chunk of small files".to_owned(),
                why: error.to_string(),
            })),
        }
    }

    /// Makes the entry of an item.
    fn read(&mut self, item: &Item) -> Result<Outcome, Stop> {
        if self.reading.cancel.is_requested() {
            return Err(Stop::Cancelled);
        }
        let outcome = match item.stat.kind {
            FileKind::File => self.read_file(item),
            _ => Ok(self.read_other(item, item.stat)),
        };
        match outcome {
            Ok(outcome) => Ok(outcome),
            Err(Trouble::Stop(stop)) => Err(stop),
            Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(Outcome::Vanished),
            Err(Trouble::Io(error)) => Ok(Outcome::Failed(error)),
        }
    }

    fn read_other(&self, item: &Item, stat: Stat) -> Outcome {
        let made = || -> io::Result<Entry> {
            let mut entry = self.entry(item, &stat);
            let xattrs = xattrs_of(item.dir.as_fd(), &item.name, stat.kind)?;
            entry.xattrs = stored_xattrs(xattrs);
            if stat.kind == FileKind::Symlink {
                entry.target = Some(readlink_at(item.dir.as_fd(), &item.name)?);
            }
            Ok(entry)
        };
        match made() {
            Ok(entry) => Outcome::Read(Box::new(entry), stat),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Outcome::Vanished,
            Err(error) => Outcome::Failed(error),
        }
    }

    fn read_file(&mut self, item: &Item) -> Result<Outcome, Trouble> {
        let file = match open_file(item.dir.as_fd(), &item.name) {
            // It became a link since it was listed.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Ok(self.read_other(item, lstat_at(item.dir.as_fd(), &item.name)?));
            }
            opened => opened?,
        };
        self.advice = None;
        let mut before = fstat(&file)?;
        if before.kind != FileKind::File {
            return Ok(self.read_other(item, before));
        }
        let xattrs = stored_xattrs(xattrs_of_fd(&file)?);
        let mut attempt = 1;
        loop {
            let (content, size) = self.read_content(&file, &before)?;
            let after = fstat(&file)?;
            let quiet = (after.mtime, after.ctime, after.size) == (before.mtime, before.ctime, before.size);
            if quiet || attempt == ATTEMPTS {
                let mut entry = self.entry(item, &before);
                (entry.content, entry.size, entry.xattrs) = (content, size, xattrs);
                let read = Box::new(entry);
                return Ok(match self.advice.take() {
                    _ if !quiet => Outcome::Torn(read, before),
                    Some(advice) => Outcome::Advised(read, before, advice),
                    None => Outcome::Read(read, before),
                });
            }
            self.fragments.take_back(content.as_ref());
            rewind(&file)?;
            before = after;
            attempt += 1;
        }
    }

    /// Content and length in bytes, holes included.
    fn read_content(&mut self, file: &OwnedFd, stat: &Stat) -> Result<(Option<FileContent>, u64), Trouble> {
        if is_small(stat)
            && let Some(small) = self.read_small(file, stat)?
        {
            return Ok(small);
        }
        let extents = if stat.may_have_holes() { data_extents(file, stat.size)? } else { None };
        let mut ids = Vec::new();
        let chunker = self.reading.chunkers.for_length(Some(stat.size));
        let size = match &extents {
            None => self.cut(chunker, &mut FdReader::new(file, stat.size), &mut ids)?,
            Some(extents) => {
                let mut holes_skipped = ExtentReader::new(file, extents);
                let data = self.cut(chunker, &mut holes_skipped, &mut ids)?;
                if data != extents.iter().map(|extent| extent.length).sum::<u64>() {
                    return Err(io::Error::other("the file shrank while its holes were read around").into());
                }
                stat.size
            }
        };
        if ids.is_empty() && extents.is_none() {
            return Ok((None, size));
        }
        let mut sink = TreeChunks::new(self.reading.store);
        let content = file_content(ids, &mut sink);
        sink.finish();
        let mut content = content.map_err(Stop::from)?;
        let stored = |extent: crate::sys::meta::DataExtent| Extent { offset: extent.offset, length: extent.length };
        content.extents = extents.map(|extents| extents.into_iter().map(stored).collect());
        Ok((Some(content), size))
    }

    /// A small file as a fragment; `None` if it is no longer small.
    fn read_small(&mut self, file: &OwnedFd, stat: &Stat) -> Result<Option<(Option<FileContent>, u64)>, Trouble> {
        self.window.resize(WINDOW_BYTES, 0);
        let (mut filled, limit) = (0, FRAGMENT_BYTES_MAX as usize + 1);
        let mut source = FdReader::new(file, stat.size);
        fill(&mut source, &mut self.window[..limit], &mut filled)?;
        if filled == limit {
            rewind(file)?;
            return Ok(None);
        }
        self.reading.progress.on(Event::Advanced { bytes: filled as u64, files: 0 });
        let content = (filled > 0).then(|| self.fragments.add(&self.window[..filled]));
        Ok(Some((content, filled as u64)))
    }

    /// Cuts everything `source` gives into chunks; returns how many bytes that were.
    fn cut(&mut self, chunker: &Chunker, source: &mut dyn Read, ids: &mut Vec<ChunkId>) -> Result<u64, Trouble> {
        let mut window = std::mem::take(&mut self.window);
        let result = self.cut_in(&mut window, chunker, source, ids);
        self.window = window;
        result
    }

    fn cut_in(
        &mut self,
        window: &mut Vec<u8>,
        chunker: &Chunker,
        source: &mut dyn Read,
        ids: &mut Vec<ChunkId>,
    ) -> Result<u64, Trouble> {
        window.resize(WINDOW_BYTES, 0);
        let (mut filled, mut total, mut ended) = (0, 0, false);
        while !ended {
            ended = fill(source, window, &mut filled)?;
            if total == 0 {
                self.advice = advice::on_content(&window[..filled]);
            }
            let mut at = 0;
            while at < filled
                && let Some(length) = chunker.cut(&window[at..filled], ended)
            {
                ids.push(self.add(&window[at..at + length])?);
                at += length;
            }
            window.copy_within(at..filled, 0);
            filled -= at;
            total += at as u64;
            self.reading.progress.on(Event::Advanced { bytes: at as u64, files: 0 });
            if self.reading.cancel.is_requested() {
                return Err(Stop::Cancelled.into());
            }
        }
        Ok(total)
    }

    fn add(&mut self, chunk: &[u8]) -> Result<ChunkId, Trouble> {
        let (id, full) = self.reading.store.add(self.lane, &mut self.filler, chunk).map_err(Stop::from)?;
        if let Some(full) = full {
            (self.spread)(full).map_err(Stop::from)?;
        }
        Ok(id)
    }

    /// Stores one chunk that others have put together.
    pub fn add_chunk(&mut self, bytes: &[u8]) -> Result<ChunkId, Stop> {
        self.add(bytes).map_err(|trouble| match trouble {
            Trouble::Stop(stop) => stop,
            Trouble::Io(error) => {
                Stop::Repo(RepoError::Local { action: "store", what: "a chunk".to_owned(), why: error.to_string() })
            }
        })
    }

    /// Content of a stream that is no file on a disk, cut by `chunker`.
    pub fn read_stream(
        &mut self,
        source: &mut dyn Read,
        chunker: &Chunker,
    ) -> Result<io::Result<(Option<FileContent>, u64)>, Stop> {
        let mut ids = Vec::new();
        let size = match self.cut(chunker, source, &mut ids) {
            Ok(size) => size,
            Err(Trouble::Io(error)) => return Ok(Err(error)),
            Err(Trouble::Stop(stop)) => return Err(stop),
        };
        if ids.is_empty() {
            return Ok(Ok((None, 0)));
        }
        let mut sink = TreeChunks::new(self.reading.store);
        let content = file_content(ids, &mut sink);
        sink.finish();
        let node_domain = (self.lane == Lane::Private).then_some(true);
        Ok(Ok((Some(FileContent { node_domain, ..content? }), size)))
    }

    /// Everything but content, target, attributes and tree.
    fn entry(&self, item: &Item, stat: &Stat) -> Entry {
        let names = self.reading.names;
        let linked = stat.nlink > 1 && stat.kind != FileKind::Directory;
        let device = matches!(stat.kind, FileKind::CharDevice | FileKind::BlockDevice);
        Entry {
            name: item.stored_as.as_ref().unwrap_or(&item.name).to_bytes().to_vec(),
            kind: entry_kind(stat.kind),
            mode: stat.mode,
            owner: Owner { uid: stat.uid, gid: stat.gid, user: names.user(stat.uid), group: names.group(stat.gid) },
            mtime: stat.mtime,
            ctime: stat.ctime,
            size: if stat.kind == FileKind::File { stat.size } else { 0 },
            hard_link: linked.then_some(HardLink { device: u64::from(item.file_system), inode: stat.inode }),
            target: None,
            xattrs: None,
            device: device.then_some(stat.rdev),
            content: None,
            tree: None,
            damaged: None,
        }
    }
}

/// The stored word for a kind of file.
pub fn entry_kind(kind: FileKind) -> EntryKind {
    match kind {
        FileKind::File => EntryKind::File,
        FileKind::Directory => EntryKind::Directory,
        FileKind::Symlink => EntryKind::Symlink,
        FileKind::Fifo => EntryKind::Fifo,
        FileKind::Socket => EntryKind::Socket,
        FileKind::CharDevice => EntryKind::CharDevice,
        FileKind::BlockDevice => EntryKind::BlockDevice,
    }
}

fn stored_xattrs(xattrs: Vec<Xattr>) -> Option<Vec<XattrPair>> {
    let pairs: Vec<XattrPair> = xattrs.into_iter().map(|(name, value)| XattrPair { name, value }).collect();
    (!pairs.is_empty()).then_some(pairs)
}

/// Whether a file goes into a chunk together with others. One with several names does not: it is met again.
fn is_small(stat: &Stat) -> bool {
    stat.size > 0 && stat.size <= FRAGMENT_BYTES_MAX && stat.nlink == 1 && !stat.may_have_holes()
}

enum Trouble {
    Io(io::Error),
    Stop(Stop),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}
