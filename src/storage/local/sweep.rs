//! Removing the temporary files of killed processes, never that of a live one.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::layout::Place;
use super::list::modified;
use super::stage;

/// Age from which an unlocked temporary file counts as left behind.
const STALE_SECONDS: i64 = 24 * 3600;
/// The same where locks do not work: no session lives that long.
const STALE_UNLOCKABLE_SECONDS: i64 = 7 * 24 * 3600;

/// Removes what is stale and returns how many files that were. Failing is no error: a read-only store has
/// nothing to sweep, and what cannot be removed today is tried again at the next `open`.
pub(super) fn sweep(place: &Place) -> usize {
    let Ok(entries) = fs::read_dir(place.temporary()) else { return 0 };
    let mut entries = entries.flatten().peekable();
    // Most often there is nothing, and then nothing needs to be written either.
    if entries.peek().is_none() {
        return 0;
    }
    let Some(now) = store_time(place) else { return 0 };
    entries.filter(|entry| remove_if_stale(&entry.path(), now)).count()
}

/// The time by the store's own clock, in seconds: the clocks of a file server and of this machine may differ.
fn store_time(place: &Place) -> Option<i64> {
    let path = place.temporary().join(stage::fresh_name());
    let file = stage::create_file(&path, place.modes).ok()?;
    let now = file.metadata().ok().map(|metadata| modified(&metadata).seconds);
    let _ = fs::remove_file(&path);
    now
}

fn remove_if_stale(path: &Path, now: i64) -> bool {
    let age = |file: &File| Some(now.saturating_sub(modified(&file.metadata().ok()?).seconds));
    // Locking for writing needs a writable file on network file systems.
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from) else { return false };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    let stale_after = match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => STALE_SECONDS,
        Err(Errno::WOULDBLOCK | Errno::INTR) => return false,
        Err(_) => STALE_UNLOCKABLE_SECONDS,
    };
    age(&file).is_some_and(|age| age >= stale_after) && fs::remove_file(path).is_ok()
}
