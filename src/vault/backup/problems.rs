//! Files that could not be read, gathered from all threads.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::base::progress::{Event, Progress};
use crate::repo::snapshot::Problem;

/// How many are named in the manifest; all are counted.
const NAMED_MAX: usize = 10_000;

/// Problems of one backup. Each is also an event.
pub struct ProblemLog<'a> {
    progress: &'a dyn Progress,
    log: Mutex<(Vec<Problem>, u64)>,
}

impl<'a> ProblemLog<'a> {
    /// An empty log.
    pub fn new(progress: &'a dyn Progress) -> Self {
        Self { progress, log: Mutex::default() }
    }

    /// Notes a problem with a path below the root; `lost` if the snapshot lacks something because of it.
    pub fn note(&self, path: &[u8], cause: &str, lost: bool) {
        let shown = format!("/{}", String::from_utf8_lossy(path));
        let event_path = Path::new("/").join(std::ffi::OsStr::from_bytes(path));
        self.progress.on(Event::Problem { path: &event_path, cause });
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.1 += 1;
        if log.0.len() < NAMED_MAX {
            log.0.push(Problem { path: shown, cause: cause.to_owned(), lost });
        }
    }

    /// All that were named, and how many there were.
    pub fn take(&self) -> (Vec<Problem>, u64) {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
