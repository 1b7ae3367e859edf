//! The cache on disk. The only door to `sled`, whose traps stand in `docs/decisions/0006-index-cache.md`.
//!
//! `<folder>/lock` is held by the one process that uses the cache; `<folder>/db-<random>/` is sled's. A database
//! that is given up is never mended or reused: the next one begins in a folder of another name, since a sled that
//! failed may still write to files of the old one.

use std::cell::Cell;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::repo::index::shelf::{Fault, Shelf};

/// Memory sled may use for pages, as far as it keeps to it.
const SLED_MEMORY: u64 = 8 << 20;
/// How often a value is asked for again, see [`SledShelf::settle`].
const SETTLING_GETS: usize = 16;
/// A process that dies holds the lock for a moment longer.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The right to use the cache folder, until dropped.
pub struct CacheFolder {
    folder: PathBuf,
    _lock: File,
}

impl CacheFolder {
    /// Takes the folder, making it if need be; `None` if another process has it, after about a second.
    pub fn take(folder: &Path) -> io::Result<Option<Self>> {
        if fs::symlink_metadata(folder).is_ok_and(|found| !found.is_dir()) {
            fs::remove_file(folder)?;
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let lock = File::options().write(true).create(true).truncate(false).open(folder.join("lock"))?;
        for attempt in 0..LOCK_TRIES {
            match lock.try_lock() {
                Ok(()) => return Ok(Some(Self { folder: folder.to_owned(), _lock: lock })),
                Err(TryLockError::WouldBlock) if attempt + 1 < LOCK_TRIES => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The database that is there, if there is exactly one and sled opens it.
    pub fn open(&self) -> Result<Option<SledShelf>, Fault> {
        match self.databases()?.as_slice() {
            [] => Ok(None),
            [database] => SledShelf::open(database).map(Some),
            _ => Err(Fault("there are several databases".to_owned())),
        }
    }

    /// Deletes whatever is there and begins an empty database.
    pub fn create(&self) -> Result<SledShelf, Fault> {
        for database in self.databases()? {
            let removed = if database.is_dir() { fs::remove_dir_all(&database) } else { fs::remove_file(&database) };
            // A leftover that cannot be deleted would be opened instead of the new one next time.
            removed?;
        }
        let database = tempfile::Builder::new().prefix("db-").tempdir_in(&self.folder)?.keep();
        SledShelf::open(&database)
    }

    fn databases(&self) -> io::Result<Vec<PathBuf>> {
        let mut databases = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b"db-") {
                databases.push(entry.path());
            }
        }
        Ok(databases)
    }
}

/// A sled database.
pub struct SledShelf {
    database: Option<sled::Db>,
    failed: AtomicBool,
}

impl SledShelf {
    fn open(folder: &Path) -> Result<Self, Fault> {
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(SLED_MEMORY)
            .mode(sled::Mode::HighThroughput)
            .flush_every_ms(None);
        let database = guarded(|| config.open())?;
        Ok(Self { database: Some(database), failed: AtomicBool::new(false) })
    }

    fn with<T>(&self, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Fault> {
        let database = self.database.as_ref().ok_or_else(|| Fault("the database is closed".to_owned()))?;
        guarded(|| call(database)).inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
    }

    /// sled looks at its memory bound for one 256th of its pages at a time, and only at every 64th access to that
    /// part: random reads of fresh pages would fill hundreds of megabytes before the first is let go. Asking for
    /// the same key again counts as accesses, costs next to nothing, and keeps the bound.
    fn settle(database: &sled::Db, key: &[u8]) -> sled::Result<()> {
        (0..SETTLING_GETS).try_for_each(|_| database.get(key).map(drop))
    }
}

impl Shelf for SledShelf {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.with(|database| {
            // Copied, since sled's value would keep the whole page it lies in.
            let value = database.get(key)?.map(|value| value.to_vec());
            Self::settle(database, key)?;
            Ok(value)
        })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.with(|database| {
            database.insert(key, value)?;
            Self::settle(database, key)
        })
    }

    fn remove(&self, key: &[u8]) -> Result<(), Fault> {
        self.with(|database| {
            database.remove(key)?;
            Self::settle(database, key)
        })
    }

    fn first_from(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let first = self.with(|database| database.range(key..).next().transpose())?;
        Ok(first.map(|(found, _)| found.to_vec()))
    }

    fn flush(&self) -> Result<(), Fault> {
        self.with(|database| database.flush()).map(drop)
    }
}

impl Drop for SledShelf {
    fn drop(&mut self) {
        // Closing writes, and may panic where opening did not; after a failure it may even wait for ever.
        let database = self.database.take();
        if *self.failed.get_mut() {
            let close = move || {
                let _ = quietly(|| drop(database));
            };
            let _ = std::thread::Builder::new().name("closing-cache".to_owned()).spawn(close);
        } else {
            let _ = quietly(|| drop(database));
        }
    }
}

/// Calls into sled; its errors and its panics are faults.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Fault> {
    match quietly(call) {
        Ok(result) => result.map_err(|error| Fault(error.to_string())),
        Err(()) => Err(Fault("sled failed on its own files".to_owned())),
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Catches a panic without the message a panic usually prints.
fn quietly<T>(call: impl FnOnce() -> T) -> Result<T, ()> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let of_sled = std::thread::current().name().is_some_and(|name| name.starts_with("sled-"));
            if !of_sled && !QUIET.get() {
                usual(panic);
            }
        }));
    });
    let before = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call)).map_err(drop);
    QUIET.set(before);
    result
}
