//! What was frozen and is not dropped yet, written down before it is made, so that the run after a killed one finds
//! it. One folder for each frozen volume: `frozen-<id>/` with `record.json` and the mount point `volume/`.
//!
//! The folder is locked (`flock`) by the process that made it, as long as that lives: the kernel takes the lock away
//! from a killed process, and nobody can take a living backup for a leftover.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::random::{Entropy, array};
use crate::fsnap::error::FsnapError;
use crate::fsnap::plan::Plan;

/// Every snapshot this program makes has a name that begins so and ends with the random id of its record.
pub(super) const NAME_PREFIX: &str = "dssvault-frozen-";
const ENTRY_PREFIX: &str = "frozen-";
const RECORD: &str = "record.json";
const RECORD_NEW: &str = "record.json.new";
const MOUNT_POINT: &str = "volume";
const RECORD_BYTES_MAX: u64 = 1 << 20;
const ID_DIGITS: usize = 32;

/// How far the making of a snapshot came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// No snapshot was begun; there may be a mount.
    Prepared,
    /// There may be a snapshot.
    Begun,
    /// There is a snapshot.
    Complete,
}

/// What stands in `record.json`: all that removing needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Layout of this record.
    pub version: u32,
    /// Random, also in the name of the folder and of the snapshot.
    pub id: String,
    /// What it was made for, in the caller's words.
    pub label: String,
    /// Process that made it; for people, nothing rests on it.
    pub pid: u32,
    /// How far it came.
    pub stage: Stage,
    /// What is made, and how it is removed.
    pub plan: Plan,
}

impl Record {
    const VERSION: u32 = 1;

    /// A record of something that is about to be made.
    pub fn new(label: &str, plan: Plan, entropy: &dyn Entropy) -> Self {
        let id = array::<{ ID_DIGITS / 2 }>(entropy).iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            version: Self::VERSION,
            id,
            label: label.to_owned(),
            pid: std::process::id(),
            stage: Stage::Prepared,
            plan,
        }
    }
}

/// One folder of the journal, locked.
#[derive(Debug)]
pub(super) struct Entry {
    id: String,
    folder: PathBuf,
    path: PathBuf,
    lock: File,
}

impl Entry {
    /// Makes the folder and its record, durably. `folder` is created for this account alone if it is missing.
    pub fn begin(folder: &Path, record: &Record) -> Result<Self, FsnapError> {
        let folder = private_folder(folder)?;
        let path = folder.join(format!("{ENTRY_PREFIX}{}", record.id));
        let guard = lock_folder(&folder)?;
        DirBuilder::new().mode(0o700).create(&path).map_err(FsnapError::io("create", &path))?;
        let lock = File::open(&path).map_err(FsnapError::io("open", &path))?;
        lock.lock().map_err(FsnapError::io("lock", &path))?;
        drop(guard);
        let entry = Self { id: record.id.clone(), folder, path, lock };
        let prepared = entry.write(record).and_then(|()| entry.make_mount_point());
        if prepared.is_err() {
            let _ = entry.clear();
        }
        prepared.map(|()| entry)
    }

    fn make_mount_point(&self) -> Result<(), FsnapError> {
        let point = self.mount_point();
        DirBuilder::new().mode(0o700).create(&point).map_err(FsnapError::io("create", &point))?;
        sync(&self.path)?;
        sync(&self.folder)
    }

    /// Replaces the record, durably.
    pub fn write(&self, record: &Record) -> Result<(), FsnapError> {
        let (new, place) = (self.path.join(RECORD_NEW), self.path.join(RECORD));
        let bytes = serde_json::to_vec_pretty(record)
            .map_err(|why| FsnapError::BadRecord { path: place.clone(), why: why.to_string() })?;
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()));
        written.map_err(FsnapError::io("write", &new))?;
        fs::rename(&new, &place).map_err(FsnapError::io("write", &place))?;
        sync(&self.path)
    }

    /// The record, or `None` if the process died before it had written one: then nothing was made.
    pub fn read(&self) -> Result<Option<Record>, FsnapError> {
        let path = self.path.join(RECORD);
        let file = match File::open(&path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(FsnapError::io("open", &path))?,
        };
        let mut bytes = Vec::new();
        file.take(RECORD_BYTES_MAX).read_to_end(&mut bytes).map_err(FsnapError::io("read", &path))?;
        let bad = |why: String| FsnapError::BadRecord { path: path.clone(), why };
        let record: Record = serde_json::from_slice(&bytes).map_err(|why| bad(why.to_string()))?;
        if record.version != Record::VERSION {
            return Err(bad(format!("it has version {}, this program knows {}", record.version, Record::VERSION)));
        }
        if record.id != self.id {
            return Err(bad(format!("it is about {}, its folder about {}", record.id, self.id)));
        }
        record.plan.validate().map_err(bad)?;
        Ok(Some(record))
    }

    /// The random id in its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Empty folder to mount the frozen volume on.
    pub fn mount_point(&self) -> PathBuf {
        self.path.join(MOUNT_POINT)
    }

    /// Name of the snapshot.
    pub fn snapshot_name(&self) -> String {
        format!("{NAME_PREFIX}{}", self.id)
    }

    /// Forgets what has been removed.
    pub fn end(self) -> Result<(), FsnapError> {
        self.clear()
    }

    /// The mount point goes first and must be empty: a record outlives whatever it stands for.
    fn clear(&self) -> Result<(), FsnapError> {
        let point = self.mount_point();
        missing_is_fine(fs::remove_dir(&point)).map_err(FsnapError::io("remove", &point))?;
        for name in [RECORD_NEW, RECORD] {
            let path = self.path.join(name);
            missing_is_fine(fs::remove_file(&path)).map_err(FsnapError::io("remove", &path))?;
        }
        missing_is_fine(fs::remove_dir(&self.path)).map_err(FsnapError::io("remove", &self.path))?;
        sync(&self.folder)
    }
}

/// Closing the folder would not do: a child that another thread is just starting shares it until it runs its program,
/// and with it the lock.
impl Drop for Entry {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// What processes that live no more left in `folder`; each is locked by this process now. What living ones hold is
/// left out. A missing folder holds nothing.
pub(super) fn leftovers(folder: &Path) -> Result<Vec<Entry>, FsnapError> {
    let folder = match folder.canonicalize() {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(FsnapError::io("find", folder))?,
    };
    let _guard = lock_folder(&folder)?;
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(FsnapError::io("list", &folder))? {
        let entry = entry.map_err(FsnapError::io("list", &folder))?;
        let (name, path) = (entry.file_name(), entry.path());
        let Some(id) = name.to_str().and_then(|name| name.strip_prefix(ENTRY_PREFIX)).filter(|id| is_id(id)) else {
            continue;
        };
        let lock = match File::open(&path) {
            // Its maker ended, or another run removed it, since it was listed.
            Err(why) if why.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(FsnapError::io("open", &path))?,
        };
        match lock.try_lock() {
            Ok(()) => found.push(Entry { id: id.to_owned(), folder: folder.clone(), path, lock }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(why)) => return Err(FsnapError::io("lock", &path)(why)),
        }
    }
    found.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(found)
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

fn private_folder(folder: &Path) -> Result<PathBuf, FsnapError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(FsnapError::io("create", folder))?;
    folder.canonicalize().map_err(FsnapError::io("find", folder))
}

/// Held for moments only, so that a folder that was just made is not taken for a leftover before it is locked.
fn lock_folder(folder: &Path) -> Result<File, FsnapError> {
    let lock = File::open(folder).map_err(FsnapError::io("open", folder))?;
    lock.lock().map_err(FsnapError::io("lock", folder))?;
    Ok(lock)
}

fn sync(folder: &Path) -> Result<(), FsnapError> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(FsnapError::io("make durable", folder))
}

fn missing_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SeededEntropy;
    use crate::fsnap::plan::Plan;

    fn record(seed: u64) -> Record {
        Record::new("a node", Plan::example(), &SeededEntropy::new(seed))
    }

    #[test]
    fn a_record_reads_back_once_its_maker_is_gone_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state/frozen");
        assert!(leftovers(&folder).unwrap().is_empty());
        let entry = Entry::begin(&folder, &record(1)).unwrap();
        assert!(leftovers(&folder).unwrap().is_empty(), "its maker lives");
        let other = Entry::begin(&folder, &record(2)).unwrap();
        drop(entry);

        let found = leftovers(&folder).unwrap();

        assert_eq!(found.len(), 1);
        assert_eq!(found[0].read().unwrap(), Some(record(1)));
        assert_eq!(found[0].snapshot_name(), format!("dssvault-frozen-{}", record(1).id));
        found.into_iter().for_each(|entry| entry.end().unwrap());
        other.end().unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_without_a_record_stands_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(format!("frozen-{}", record(1).id))).unwrap();
        fs::create_dir(dir.path().join("frozen-not-an-id")).unwrap();
        let mut found = leftovers(dir.path()).unwrap();
        assert_eq!(found.len(), 1);
        let entry = found.remove(0);
        assert_eq!(entry.read().unwrap(), None);
        entry.end().unwrap();
        assert!(dir.path().join("frozen-not-an-id").exists(), "what is not ours stays");
    }

    #[test]
    fn records_that_do_not_fit_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let entry = Entry::begin(dir.path(), &record(1)).unwrap();
        let place = entry.path.join(RECORD);
        let good = fs::read_to_string(&place).unwrap();
        let swapped = good.replace(&record(1).id, &record(2).id);
        let newer = good.replace("\"version\": 1", "\"version\": 2");
        for bad in [&good[..40], "{}", "", &swapped, &newer] {
            fs::write(&place, bad).unwrap();
            assert!(matches!(entry.read(), Err(FsnapError::BadRecord { .. })), "{bad}");
        }
    }

    #[test]
    fn a_mount_point_in_use_keeps_its_record() {
        let dir = tempfile::tempdir().unwrap();
        let entry = Entry::begin(dir.path(), &record(1)).unwrap();
        fs::write(entry.mount_point().join("still here"), b"").unwrap();
        assert!(entry.clear().is_err());
        assert_eq!(entry.read().unwrap(), Some(record(1)));
    }
}
