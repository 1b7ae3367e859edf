//! One regular file to be restored, through its life: planned, compared, written piece by piece, finished.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::fs::FallocateFlags;

use crate::base::clock::Timestamp;
use crate::sys::apply::{Attributes, Origin, apply_open};
use crate::sys::beneath::{FileName, create_file, open_file, unlink};
use crate::sys::meta::{self, Stat};
use crate::vault::restore::folder::Hold;
use crate::vault::restore::layout::{Layout, Visit};
use crate::vault::restore::link::LinkGroup;
use crate::vault::restore::record::count;
use crate::vault::restore::shared::{Pass, Shared};

/// A file on its way.
pub(super) struct FileJob<'r> {
    pub shared: &'r Shared<'r>,
    pub number: u64,
    pub folder: Hold<'r>,
    pub name: FileName,
    pub attributes: Attributes,
    /// Length, holes included.
    pub size: u64,
    /// Where data lies, if the file has holes.
    pub layout: Option<Layout>,
    /// Whether the content that is there is taken as right, so that there are no pieces.
    pub kept: bool,
    /// The regular file that is there already and may be changed in place.
    pub found: Option<Stat>,
    /// Its other names, if it has some.
    pub group: Option<Arc<LinkGroup<'r>>>,
    /// Since when it is marked as damaged.
    pub marked: Option<Timestamp>,
    pub progress: Progress,
}

/// What has happened to a file so far.
pub(super) struct Progress {
    /// Bytes of data that were given a place in the file; only the executor of windows moves it.
    pub planned: AtomicU64,
    /// Pieces still to come, and one while the plan may add more.
    pub pending: AtomicU64,
    /// Whether something was made or changed on disk (or, in a dry run, would be).
    pub touched: AtomicBool,
    /// Whether the file that was found is out of the way.
    pub replaced: AtomicBool,
    made: Mutex<bool>,
    finished: AtomicBool,
    failure: OnceLock<String>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            planned: AtomicU64::new(0),
            pending: AtomicU64::new(1),
            touched: AtomicBool::new(false),
            replaced: AtomicBool::new(false),
            made: Mutex::default(),
            finished: AtomicBool::new(false),
            failure: OnceLock::new(),
        }
    }
}

impl<'r> FileJob<'r> {
    /// Marks it as failed; the first reason counts.
    pub fn fail(&self, cause: impl std::fmt::Display) {
        let _ = self.progress.failure.set(cause.to_string());
    }

    pub fn has_failed(&self) -> bool {
        self.progress.failure.get().is_some()
    }

    /// The file that may be changed in place.
    pub fn in_place(&self) -> Option<&Stat> {
        self.found.as_ref().filter(|_| !self.progress.replaced.load(Ordering::Relaxed))
    }

    fn touch(&self) {
        self.progress.touched.store(true, Ordering::Relaxed);
    }

    pub fn path(&self) -> Vec<u8> {
        self.folder.path_of(&self.name)
    }

    /// How many bytes of data its chunks must add up to.
    pub fn data_bytes(&self) -> u64 {
        if self.kept { 0 } else { self.layout.as_ref().map_or(self.size, Layout::data_bytes) }
    }

    /// A descriptor to write through; a new file is made at the first call.
    pub fn open(&self) -> io::Result<Arc<File>> {
        if let Some(open) = self.shared.open_files.get(self.number) {
            return Ok(open);
        }
        let mut made = self.progress.made.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been quicker.
        if let Some(open) = self.shared.open_files.get(self.number) {
            return Ok(open);
        }
        let open = if *made || self.in_place().is_some() {
            open_file(&*self.folder.open()?, &self.name, true)?.0.into()
        } else {
            self.create(0o600)?
        };
        *made = true;
        let open = Arc::new(open);
        self.shared.open_files.keep(self.number, &open);
        Ok(open)
    }

    fn create(&self, mode: u32) -> io::Result<File> {
        let created = create_file(&*self.folder.open()?, &self.name, mode)?;
        self.touch();
        Ok(created.into())
    }

    /// Writes a piece that begins at `at` of its data.
    pub fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let open = self.open()?;
        self.touch();
        self.write_through(&open, at, bytes)
    }

    fn write_through(&self, open: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.each_run(at, bytes.len(), &mut |offset, range| open.write_all_at(&bytes[range], offset))?;
        count(&self.shared.record.tally.bytes, bytes.len() as u64);
        self.shared.record.advanced(bytes.len() as u64, 0);
        Ok(())
    }

    /// Whether the file, open for reading, holds these bytes at `at` of its data. `buffer` is scratch space.
    pub fn read_back(&self, open: &File, at: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        buffer.resize(length, 0);
        self.each_run(at, length, &mut |offset, range| open.read_exact_at(&mut buffer[range], offset))
    }

    fn each_run(&self, at: u64, length: usize, visit: Visit<'_>) -> io::Result<()> {
        match &self.layout {
            None => visit(at, 0..length),
            Some(layout) => layout.each_run(at, length, visit),
        }
    }

    /// Makes, writes and finishes a file of one piece without ever looking it up again.
    pub fn write_whole(&self, bytes: &[u8]) {
        let changes_owner = |want: Option<u32>, have: u32| want.is_some_and(|want| want != have);
        let account = self.shared.account;
        let private = changes_owner(self.attributes.uid, account.uid)
            || changes_owner(self.attributes.gid, account.gid)
            || !self.attributes.xattrs.is_empty();
        let mode = if private { 0o600 } else { self.attributes.mode };
        let done = self.create(mode).and_then(|open| {
            self.write_through(&open, 0, bytes)?;
            Ok(open)
        });
        match done {
            Ok(open) => self.finish(Some(&open)),
            Err(error) => {
                self.write_failed(&error);
                self.finish(None);
            }
        }
    }

    /// Counts bytes that a pass which may write would have written.
    pub fn count_unwritten(&self, bytes: u64) {
        count(&self.shared.record.tally.bytes, bytes);
        self.shared.record.advanced(bytes, 0);
    }

    /// A full disk stops the restore, another error only this file.
    pub fn write_failed(&self, error: &io::Error) {
        self.shared.record.note_full_disk(error);
        self.fail(format_args!("it cannot be written: {error}"));
    }

    /// One piece less to wait for; the last one finishes the file.
    pub fn release(&self) {
        if self.progress.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish(None);
        }
    }

    /// All data is there, or never will be.
    fn finish(&self, open: Option<&File>) {
        if !self.has_failed() && self.shared.pass == Pass::Write {
            let done = match open {
                Some(open) => self.complete(open),
                None => self.open_to_finish().and_then(|open| self.complete(&open)),
            };
            if let Err(error) = done {
                self.write_failed(&error);
            }
        }
        self.shared.open_files.drop(self.number);
        self.progress.finished.store(true, Ordering::Relaxed);
        let failure = self.progress.failure.get();
        match failure {
            // The user wanted the files that were there to stay as they are.
            Some(_) if self.shared.pass == Pass::Verify && self.shared.keeps_existing() => {
                self.shared.record.warning(self.path(), "it was left alone and differs from the snapshot".to_owned());
            }
            Some(cause) => {
                self.discard();
                self.shared.record.failure(self.path(), with_mark(cause, self.marked));
            }
            None => self.count_done(),
        }
        if let Some(group) = &self.group {
            group.settle(failure.is_none());
        }
    }

    /// A file that is right already is not opened for writing: this account might not be allowed to.
    fn open_to_finish(&self) -> io::Result<Arc<File>> {
        let untouched = !self.progress.touched.load(Ordering::Relaxed);
        match self.in_place() {
            Some(found) if untouched && found.size == self.size && (self.kept || self.layout.is_none()) => {
                Ok(Arc::new(open_file(&*self.folder.open()?, &self.name, false)?.0.into()))
            }
            _ => self.open(),
        }
    }

    fn complete(&self, open: &File) -> io::Result<()> {
        let mut now = meta::fstat(open)?;
        if now.size != self.size {
            open.set_len(self.size)?;
            self.touch();
        }
        let mut origin = self.folder.origin();
        if self.in_place().is_some() {
            origin = Origin::Found;
            self.restore_holes(open)?;
            if self.progress.touched.load(Ordering::Relaxed) {
                now = meta::fstat(open)?;
            }
        }
        for trouble in apply_open(open.as_fd(), &self.attributes, &now, origin) {
            self.shared.note_trouble(|| self.path(), &trouble);
        }
        Ok(())
    }

    /// Empties what must be a hole in a file that was there before.
    fn restore_holes(&self, open: &File) -> io::Result<()> {
        let Some(layout) = self.layout.as_ref().filter(|_| !self.kept) else { return Ok(()) };
        let whole = || vec![meta::DataExtent { offset: 0, length: self.size }];
        let data = meta::data_extents(open, self.size)?.unwrap_or_else(whole);
        for (start, end) in layout.holes(self.size) {
            if data.iter().any(|extent| extent.offset < end && extent.offset + extent.length > start) {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                rustix::fs::fallocate(open, flags, start, end - start)?;
                self.touch();
            }
        }
        Ok(())
    }

    /// The restore ends before this file is whole.
    pub fn abandon(&self) {
        if !self.progress.finished.load(Ordering::Relaxed) {
            self.discard();
        }
    }

    /// Removes what was written of a file that will not be whole.
    fn discard(&self) {
        if self.shared.pass == Pass::Write
            && self.progress.touched.swap(false, Ordering::Relaxed)
            && let Ok(folder) = self.folder.open()
        {
            // If even that fails its failure is listed anyway.
            let _ = unlink(&*folder, &self.name);
        }
    }

    fn count_done(&self) {
        let tally = &self.shared.record.tally;
        let changed = self.in_place().is_none_or(|found| found.size != self.size)
            || self.progress.touched.load(Ordering::Relaxed);
        let counter = match self.shared.pass {
            Pass::Verify => &tally.verified,
            _ if changed => &tally.files,
            _ => &tally.unchanged,
        };
        count(counter, 1);
        self.shared.record.advanced(0, 1);
    }
}

/// A failure, and that a repair has told of it before.
pub(super) fn with_mark(cause: &str, marked: Option<Timestamp>) -> String {
    match marked {
        Some(found) => format!("{cause} (marked as damaged on {found})"),
        None => cause.to_owned(),
    }
}
