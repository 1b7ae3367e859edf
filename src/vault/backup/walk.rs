//! The walk: takes listings in one fixed order, everything below a directory before the directory itself,
//! compares each with the last state, sends what is new to the readers and the directory to the assembler.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Sender, TrySendError};

use crate::base::cancel::Cancel;
use crate::repo::snapshot::Counts;
use crate::sys::listing::{Dir, Listing, is_directory};
use crate::sys::meta::{FileKind, Stat, lstat_at};
use crate::vault::backup::batch::Batcher;
use crate::vault::backup::fingerprint::Fingerprint;
use crate::vault::backup::item::{Item, Stop};
use crate::vault::backup::lister::{Lister, Task, join};
use crate::vault::backup::problems::ProblemLog;
use crate::vault::backup::roots::{Root, Upper};
use crate::vault::backup::state::{Record, StateReader};
use crate::vault::backup::stored::Stored;

/// A directory whose entries are known and on their way; the assembler makes its tree.
pub struct DirectoryJob {
    /// Path below the root.
    pub path: Vec<u8>,
    /// Its entries.
    pub listing: Listing,
    /// What it was last time.
    pub old: Option<Record>,
    /// For each entry, whether its old stored form still holds; `None` if all do and no entry is gone.
    pub same: Option<Vec<bool>>,
    /// Lines of the listing that are directories which were walked: as many jobs came before this one.
    pub walked: Vec<usize>,
    /// Whether everything in it could be seen; otherwise its state is not remembered.
    pub complete: bool,
    /// Ordinals of the file systems of the entries, in line with the listing.
    pub file_systems: Vec<u32>,
}

/// Everything the walk works with.
pub struct Walk<'a> {
    /// Lists ahead.
    pub lister: &'a Lister,
    /// The last state, if there is any.
    pub state: Option<StateReader>,
    /// Asked whether what the state says is stored; `None` if it may be believed without looking.
    pub doubt: Option<Stored<'a>>,
    /// Takes items; `None` in a dry run.
    pub batcher: Option<Batcher<'a>>,
    /// Takes directories, each before its items.
    pub jobs: Sender<Arc<DirectoryJob>>,
    /// Takes problems.
    pub problems: &'a ProblemLog<'a>,
    /// Ends it early.
    pub cancel: &'a Cancel,
    /// What was seen.
    pub counts: Counts,
    /// Entries and bytes left out by rules.
    pub left_out: (u64, u64),
    /// Device numbers in the order they were met: their positions are the ordinals.
    pub devices: Vec<u64>,
}

enum Child {
    Task(Arc<Task>),
    Upper(Upper),
}

struct Frame {
    path: Vec<u8>,
    dir: Option<Arc<Dir>>,
    listing: Listing,
    /// Directories that lie elsewhere than in `dir`, by their lines.
    elsewhere: BTreeMap<usize, Arc<Dir>>,
    children: std::vec::IntoIter<(usize, Child)>,
    walked: Vec<usize>,
    complete: bool,
}

impl Frame {
    fn empty(path: Vec<u8>) -> Self {
        Self {
            path,
            dir: None,
            listing: Listing::default(),
            elsewhere: BTreeMap::new(),
            children: Vec::new().into_iter(),
            walked: Vec::new(),
            complete: true,
        }
    }
}

impl Walk<'_> {
    /// Walks the tree of sources.
    pub fn run(&mut self, root: Root) -> Result<(), Stop> {
        let first = match root {
            Root::Upper(upper) => self.upper(Vec::new(), upper),
            Root::Source => self.whole(Path::new("/")),
            Root::Moved(place) => self.whole(&place),
        };
        let mut frames = vec![first];
        while let Some(frame) = frames.last_mut() {
            if self.cancel.is_requested() {
                return Err(Stop::Cancelled);
            }
            if let Some((line, child)) = frame.children.next() {
                frame.walked.push(line);
                let name = frame.listing.entries.get(line).map(|entry| frame.listing.name(entry)).unwrap_or_default();
                let path = join(&frame.path, name);
                let next = match child {
                    Child::Task(task) => self.enter(&task),
                    Child::Upper(upper) => self.upper(path, upper),
                };
                frames.push(next);
            } else if let Some(frame) = frames.pop() {
                self.complete(frame)?;
            }
        }
        if let Some(batcher) = &mut self.batcher {
            batcher.flush();
        }
        Ok(())
    }

    /// A directory that is the root of the snapshot itself.
    fn whole(&mut self, place: &Path) -> Frame {
        let root = Dir::open(place);
        let entered = root.and_then(|dir| {
            let stat = crate::sys::meta::fstat(&dir)?;
            Ok(Task::new(Vec::new(), Arc::new(dir), c".", stat.device))
        });
        match entered {
            Ok(task) => self.enter(&task),
            Err(error) => self.unreadable(Vec::new(), &error),
        }
    }

    fn enter(&mut self, task: &Arc<Task>) -> Frame {
        match self.lister.take(task) {
            Ok(contents) => {
                self.left_out.0 += contents.left_out.0;
                self.left_out.1 += contents.left_out.1;
                let mut complete = true;
                for (name, error) in contents.failed {
                    complete = false;
                    self.note(&join(&task.path, &name), &error);
                }
                let children: Vec<_> =
                    contents.children.into_iter().map(|(line, task)| (line, Child::Task(task))).collect();
                Frame {
                    dir: Some(contents.dir),
                    listing: contents.listing,
                    children: children.into_iter(),
                    complete,
                    ..Frame::empty(task.path.clone())
                }
            }
            Err(error) => self.unreadable(task.path.clone(), &error),
        }
    }

    fn unreadable(&mut self, path: Vec<u8>, error: &io::Error) -> Frame {
        self.note(&path, error);
        Frame { complete: false, ..Frame::empty(path) }
    }

    /// A directory above the sources: only the named entries are seen.
    fn upper(&mut self, path: Vec<u8>, upper: Upper) -> Frame {
        let dir = match Dir::open(&upper.place) {
            Ok(dir) => Arc::new(dir),
            Err(error) => return self.unreadable(path, &error),
        };
        let mut frame = Frame::empty(path);
        let mut children = Vec::new();
        for (name, root) in upper.names {
            let Ok(c_name) = CString::new(name.clone()) else { continue };
            let path = join(&frame.path, &name);
            match look(&root, &upper.place, &dir, &c_name) {
                Ok((stat, elsewhere)) => {
                    let line = frame.listing.entries.len();
                    frame.listing.push(&c_name, stat);
                    match (root, &elsewhere) {
                        (Root::Upper(upper), _) => children.push((line, Child::Upper(upper))),
                        (Root::Moved(_), Some(place)) => {
                            children.push((line, Child::Task(Task::new(path, Arc::clone(place), c".", stat.device))));
                        }
                        (_, _) if is_directory(&stat) => {
                            children.push((line, Child::Task(Task::new(path, Arc::clone(&dir), &c_name, stat.device))));
                        }
                        _ => {}
                    }
                    frame.elsewhere.extend(elsewhere.map(|dir| (line, dir)));
                }
                Err(error) => {
                    frame.complete = false;
                    // A source the user named is missed even if it has merely vanished.
                    self.problems.note(&path, &error.to_string(), true);
                }
            }
        }
        Frame { dir: Some(dir), children: children.into_iter(), ..frame }
    }

    fn complete(&mut self, frame: Frame) -> Result<(), Stop> {
        self.count(&frame.listing);
        let old = self.state.as_mut().and_then(|state| state.seek(&frame.path));
        let file_systems: Vec<u32> =
            frame.listing.entries.iter().map(|line| ordinal(&mut self.devices, line.stat.device)).collect();
        let same = self.compare(&frame.listing, old.as_ref(), &file_systems)?;
        let job = Arc::new(DirectoryJob {
            path: frame.path,
            listing: frame.listing,
            old,
            same,
            walked: frame.walked,
            complete: frame.complete,
            file_systems,
        });
        // Before its items: the assembler gives the permits back that the items of a huge directory wait for.
        self.send_job(&job)?;
        if let (Some(same), Some(dir)) = (&job.same, &frame.dir) {
            for (index, same) in same.iter().enumerate() {
                if !same {
                    self.send_item(&job, index, dir, frame.elsewhere.get(&index));
                }
            }
        }
        Ok(())
    }

    fn send_item(&mut self, job: &DirectoryJob, index: usize, dir: &Arc<Dir>, elsewhere: Option<&Arc<Dir>>) {
        let Some(line) = job.listing.entries.get(index) else { return };
        let bytes = if line.stat.kind == FileKind::File { data_bytes(&line.stat) } else { 0 };
        if line.stat.kind == FileKind::File {
            self.counts.files_read += 1;
            self.counts.bytes_read += bytes;
        }
        if let Some(batcher) = &mut self.batcher {
            let name = job.listing.c_name(line).to_owned();
            let file_system = job.file_systems.get(index).copied().unwrap_or(0);
            let (dir, stored_as) = match elsewhere {
                Some(elsewhere) => (elsewhere, Some(name.clone())),
                None => (dir, None),
            };
            let name = if stored_as.is_some() { c".".to_owned() } else { name };
            batcher.push(Item { dir: Arc::clone(dir), name, stored_as, stat: line.stat, file_system }, bytes);
        }
    }

    fn send_job(&mut self, job: &Arc<DirectoryJob>) -> Result<(), Stop> {
        let Some(batcher) = &mut self.batcher else { return Ok(()) };
        let job = match self.jobs.try_send(Arc::clone(job)) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job,
        };
        // The assembler may be waiting for an item that is still being gathered here.
        batcher.flush();
        self.jobs.send(job).map_err(|_| Stop::Cancelled)
    }

    /// Which entries are as they were; `None` if all are, and none is gone.
    fn compare(
        &self,
        listing: &Listing,
        old: Option<&Record>,
        file_systems: &[u32],
    ) -> Result<Option<Vec<bool>>, Stop> {
        let mut same = vec![false; listing.entries.len()];
        let Some(Ok((_, _, entries))) = old.map(Record::parse) else { return Ok(Some(same)) };
        let mut identical = entries.len() == listing.entries.len() && self.doubt.is_none();
        let mut entries = entries.peekable();
        for ((line, same), file_system) in listing.entries.iter().zip(&mut same).zip(file_systems) {
            let name = listing.name(line);
            while entries.peek().is_some_and(|entry| entry.name < name) {
                entries.next();
            }
            if let Some(entry) = entries.next_if(|entry| entry.name == name) {
                *same = entry.fingerprint == Fingerprint::of(&line.stat, *file_system)
                    && self.doubt.as_ref().map_or(Ok(true), |stored| stored.has(entry.encoded))?;
            }
            identical &= *same;
        }
        Ok((!identical).then_some(same))
    }

    fn count(&mut self, listing: &Listing) {
        for line in &listing.entries {
            match line.stat.kind {
                FileKind::File => {
                    self.counts.files += 1;
                    self.counts.bytes += data_bytes(&line.stat);
                }
                FileKind::Directory => self.counts.directories += 1,
                _ => self.counts.others += 1,
            }
        }
    }

    fn note(&self, path: &[u8], error: &io::Error) {
        // What vanishes while a tree is read is no loss: it is no longer there to be had.
        self.problems.note(path, &error.to_string(), error.kind() != io::ErrorKind::NotFound);
    }
}

/// The attributes of a source or upper directory `name` of `place`, and the directory itself if it lies elsewhere.
fn look(root: &Root, place: &Path, dir: &Dir, name: &CStr) -> io::Result<(Stat, Option<Arc<Dir>>)> {
    let elsewhere = match root {
        Root::Source => return Ok((lstat_at(dir.as_fd(), name)?, None)),
        Root::Moved(elsewhere) => elsewhere,
        Root::Upper(upper) => &upper.place,
    };
    let opened = Dir::open(elsewhere)?;
    let stat = crate::sys::meta::fstat(&opened)?;
    let here = *elsewhere == place.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
    Ok((stat, (!here).then(|| Arc::new(opened))))
}

/// Bytes of a file without its holes, as far as the listing tells.
fn data_bytes(stat: &Stat) -> u64 {
    if stat.may_have_holes() { stat.blocks.saturating_mul(512) } else { stat.size }
}

fn ordinal(devices: &mut Vec<u64>, device: u64) -> u32 {
    let known = devices.iter().position(|&known| known == device);
    known.unwrap_or_else(|| {
        devices.push(device);
        devices.len() - 1
    }) as u32
}
