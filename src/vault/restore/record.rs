//! What a running restore has to tell: counts, failures, warnings, and the one error that stops it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::progress::Event;
use crate::vault::restore::{Failure, RestoreReport};
use crate::vault::{Context, VaultError};

/// Warnings that are named one by one; more are counted.
const WARNINGS_MAX: usize = 10_000;

/// Counters of a [`RestoreReport`].
#[derive(Default)]
pub(super) struct Tally {
    pub files: AtomicU64,
    pub unchanged: AtomicU64,
    pub directories: AtomicU64,
    pub others: AtomicU64,
    pub bytes: AtomicU64,
    pub deleted: AtomicU64,
    pub verified: AtomicU64,
}

/// Adds one, or more.
pub(super) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Collects from all threads.
pub(super) struct Record<'r> {
    context: Context<'r>,
    target: PathBuf,
    pub tally: Tally,
    notes: Mutex<Notes>,
    stopped: AtomicBool,
    total: AtomicU64,
    total_known: bool,
}

#[derive(Default)]
struct Notes {
    failures: Vec<Failure>,
    warnings: Vec<Failure>,
    more_warnings: u64,
    owners: u64,
    first_owner: Option<Failure>,
    fatal: Option<VaultError>,
}

impl<'r> Record<'r> {
    pub fn new(context: Context<'r>, target: PathBuf, total_known: bool) -> Self {
        Self {
            context,
            target,
            tally: Tally::default(),
            notes: Mutex::default(),
            stopped: AtomicBool::new(false),
            total: AtomicU64::new(0),
            total_known,
        }
    }

    /// Whether everybody should come to an end: asked to, or something happened that makes going on useless.
    pub fn must_stop(&self) -> bool {
        if self.context.cancel.is_requested() {
            self.stop(VaultError::Interrupted);
        }
        self.stopped.load(Ordering::Relaxed)
    }

    /// Ends the restore. The first reason is the one reported.
    pub fn stop(&self, why: VaultError) {
        self.stopped.store(true, Ordering::Relaxed);
        self.notes().fatal.get_or_insert(why);
    }

    /// A full disk ends the restore; other errors are for the caller.
    pub fn note_full_disk(&self, error: &std::io::Error) -> bool {
        let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
        if full {
            self.stop(VaultError::NoSpace { path: self.target.clone() });
        }
        full
    }

    /// Something was not restored.
    pub fn failure(&self, path: Vec<u8>, cause: String) {
        self.announce(&path, &cause);
        self.notes().failures.push(failure(&path, cause));
    }

    /// Something was restored, but not quite.
    pub fn warning(&self, path: Vec<u8>, cause: String) {
        self.announce(&path, &cause);
        let mut notes = self.notes();
        if notes.warnings.len() < WARNINGS_MAX {
            notes.warnings.push(failure(&path, cause));
        } else {
            notes.more_warnings += 1;
        }
    }

    /// An owner this account may not set: told once for all.
    pub fn owner_warning(&self, path: Vec<u8>, cause: String) {
        let mut notes = self.notes();
        notes.owners += 1;
        notes.first_owner.get_or_insert_with(|| failure(&path, cause));
    }

    pub fn advanced(&self, bytes: u64, files: u64) {
        self.context.progress.on(Event::Advanced { bytes, files });
    }

    /// So many more bytes are known to be to do; told if the total was not known from the beginning.
    pub fn planned(&self, bytes: u64) {
        if !self.total_known {
            let total = self.total.fetch_add(bytes, Ordering::Relaxed) + bytes;
            self.context.progress.on(Event::Total(total));
        }
    }

    /// Everything that failed until now.
    pub fn failed_paths(&self) -> HashSet<String> {
        self.notes().failures.iter().map(|failure| failure.path.clone()).collect()
    }

    fn announce(&self, path: &[u8], cause: &str) {
        use std::os::unix::ffi::OsStrExt;
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
        self.context.progress.on(Event::Problem { path, cause });
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The report, or the error that ended it all.
    pub fn finish(self, seconds: f64) -> Result<RestoreReport, VaultError> {
        let notes = self.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(fatal) = notes.fatal {
            return Err(fatal);
        }
        let mut warnings = notes.warnings;
        if let Some(first) = notes.first_owner {
            let others = notes.owners - 1;
            let cause = format!("{} (the same for {others} others; run as root to restore owners)", first.cause);
            warnings.push(Failure { path: first.path, cause });
        }
        if notes.more_warnings > 0 {
            let cause = format!("{} more warnings are not listed", notes.more_warnings);
            warnings.push(Failure { path: String::new(), cause });
        }
        let mut failures = notes.failures;
        failures.sort_by(|a, b| a.path.cmp(&b.path));
        let read = |counter: AtomicU64| counter.into_inner();
        let tally = self.tally;
        Ok(RestoreReport {
            files: read(tally.files),
            unchanged: read(tally.unchanged),
            directories: read(tally.directories),
            others: read(tally.others),
            bytes: read(tally.bytes),
            deleted: read(tally.deleted),
            verified: read(tally.verified),
            warnings,
            failures,
            seconds,
        })
    }
}

fn failure(path: &[u8], cause: String) -> Failure {
    Failure { path: String::from_utf8_lossy(path).into_owned(), cause }
}
