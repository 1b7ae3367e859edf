//! Listing directories ahead of the walk, on several threads.
//!
//! The walk consumes listings in one fixed order. Threads list what will be needed next: the queue is a stack, so
//! that the order is roughly the walk's. A listing nobody has begun is made by the walk itself, so that it never
//! waits for a thread that waits for it.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::sys::listing::{Dir, Listing, Visit, is_directory, list};
use crate::sys::meta::lstat_at;
use crate::sys::pattern::PatternSet;

/// What is left out of a backup.
pub struct Rules {
    /// Patterns on paths below the root.
    pub patterns: PatternSet,
    /// Names whose presence empties a directory.
    pub if_present: Vec<Vec<u8>>,
    /// Do not cross into other file systems.
    pub one_file_system: bool,
    /// Directories never entered (our own cache), by device and inode.
    pub never: HashSet<(u64, u64)>,
}

/// A directory to be listed.
pub struct Task {
    /// Where it lies below the root of the snapshot, without a leading slash; the root itself is empty.
    pub path: Vec<u8>,
    parent: Arc<Dir>,
    name: CString,
    /// The only file system to stay on, if the rules say so.
    device: u64,
    state: Mutex<State>,
    ready: Condvar,
}

enum State {
    Waiting,
    Running,
    Ready(io::Result<Contents>),
    Taken,
}

/// A listed directory.
pub struct Contents {
    /// The open directory.
    pub dir: Arc<Dir>,
    /// Its entries, without what the rules leave out.
    pub listing: Listing,
    /// For each directory to descend into: its line in the listing, and its task. In order.
    pub children: Vec<(usize, Arc<Task>)>,
    /// Entries left out, and the bytes of the files among them.
    pub left_out: (u64, u64),
    /// Entries that could not be looked at.
    pub failed: Vec<(Vec<u8>, io::Error)>,
}

/// Lists ahead of the walk.
pub struct Lister {
    rules: Rules,
    queue: Mutex<Vec<Arc<Task>>>,
    work: Condvar,
    /// Entries listed and not yet taken.
    ahead: AtomicUsize,
    closed: AtomicBool,
}

/// Entries listed ahead at most (a directory counts 16 more for its descriptor).
const AHEAD_MAX: usize = 16_384;
const AHEAD_PER_DIRECTORY: usize = 16;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Task {
    /// A directory `name` in `parent`, known as `path`.
    pub fn new(path: Vec<u8>, parent: Arc<Dir>, name: &CStr, device: u64) -> Arc<Self> {
        let (state, ready) = (Mutex::new(State::Waiting), Condvar::new());
        Arc::new(Self { path, parent, name: name.to_owned(), device, state, ready })
    }
}

/// A path below the root: `parent/name`.
pub fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(parent.len() + 1 + name.len());
    path.extend_from_slice(parent);
    if !parent.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

impl Lister {
    /// A lister with these rules. Threads must call [`serve`](Self::serve).
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            queue: Mutex::default(),
            work: Condvar::new(),
            ahead: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Works until [`close`](Self::close).
    pub fn serve(&self) {
        while let Some(task) = self.next() {
            let mut state = lock(&task.state);
            if !matches!(*state, State::Waiting) {
                continue;
            }
            *state = State::Running;
            drop(state);
            let contents = self.run(&task);
            if let Ok(contents) = &contents {
                self.ahead.fetch_add(contents.listing.entries.len() + AHEAD_PER_DIRECTORY, Ordering::Relaxed);
            }
            *lock(&task.state) = State::Ready(contents);
            task.ready.notify_all();
        }
    }

    /// Ends all threads.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        drop(lock(&self.queue));
        self.work.notify_all();
    }

    /// The contents of a directory: ready, waited for, or made here and now.
    pub fn take(&self, task: &Arc<Task>) -> io::Result<Contents> {
        let mut state = lock(&task.state);
        if matches!(*state, State::Waiting) {
            *state = State::Taken;
            drop(state);
            return self.run(task);
        }
        while matches!(*state, State::Running) {
            state = task.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match std::mem::replace(&mut *state, State::Taken) {
            State::Ready(contents) => {
                if let Ok(contents) = &contents {
                    let taken = contents.listing.entries.len() + AHEAD_PER_DIRECTORY;
                    if self.ahead.fetch_sub(taken, Ordering::Relaxed) >= AHEAD_MAX {
                        drop(lock(&self.queue));
                        self.work.notify_all();
                    }
                }
                contents
            }
            State::Waiting | State::Running | State::Taken => Err(io::Error::other("a directory was walked twice")),
        }
    }

    fn next(&self) -> Option<Arc<Task>> {
        let mut queue = lock(&self.queue);
        loop {
            if self.closed.load(Ordering::Relaxed) {
                return None;
            }
            if self.ahead.load(Ordering::Relaxed) < AHEAD_MAX
                && let Some(task) = queue.pop()
            {
                return Some(task);
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, task: &Task) -> io::Result<Contents> {
        let dir = Arc::new(task.parent.open_at(&task.name, false)?);
        let mut visit =
            Filter { rules: &self.rules, dir: &dir, path: join(&task.path, b""), left_out: (0, 0), failed: Vec::new() };
        let mut listing = list(&dir, &mut visit)?;
        let (mut left_out, failed) = (visit.left_out, visit.failed);
        if self.rules.if_present.iter().any(|name| listing.has(name)) {
            left_out.0 += listing.entries.len() as u64;
            left_out.1 +=
                listing.entries.iter().filter(|line| !is_directory(&line.stat)).map(|line| line.stat.size).sum::<u64>();
            listing = Listing::default();
        }
        let children = self.children(task, &dir, &listing);
        if !children.is_empty() {
            let mut queue = lock(&self.queue);
            queue.extend(children.iter().rev().map(|(_, child)| Arc::clone(child)));
            drop(queue);
            self.work.notify_all();
        }
        Ok(Contents { dir, listing, children, left_out, failed })
    }

    fn children(&self, task: &Task, dir: &Arc<Dir>, listing: &Listing) -> Vec<(usize, Arc<Task>)> {
        let enter = |stat: &crate::sys::meta::Stat| {
            is_directory(stat)
                && !(self.rules.one_file_system && stat.device != task.device)
                && !self.rules.never.contains(&(stat.device, stat.inode))
        };
        let lines = listing.entries.iter().enumerate().filter(|(_, line)| enter(&line.stat));
        lines
            .map(|(index, line)| {
                let path = join(&task.path, listing.name(line));
                (index, Task::new(path, Arc::clone(dir), listing.c_name(line), task.device))
            })
            .collect()
    }
}

struct Filter<'a> {
    rules: &'a Rules,
    dir: &'a Dir,
    /// Path of the directory with a final slash (empty for the root); names are appended and cut off again.
    path: Vec<u8>,
    left_out: (u64, u64),
    failed: Vec<(Vec<u8>, io::Error)>,
}

impl Visit for Filter<'_> {
    fn wants(&mut self, name: &CStr, directory: bool) -> bool {
        if self.rules.patterns.is_empty() {
            return true;
        }
        let length = self.path.len();
        self.path.extend_from_slice(name.to_bytes());
        let excluded = self.rules.patterns.matches(&self.path, directory);
        self.path.truncate(length);
        if excluded {
            self.left_out.0 += 1;
            if !directory && let Ok(stat) = lstat_at(self.dir.as_fd(), name) {
                self.left_out.1 += stat.size;
            }
        }
        !excluded
    }

    fn failed(&mut self, name: &CStr, error: io::Error) {
        self.failed.push((std::ffi::OsStr::from_bytes(name.to_bytes()).as_bytes().to_vec(), error));
    }
}
