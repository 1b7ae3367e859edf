//! A frozen volume, from its making to its removal.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::base::random::SystemEntropy;
use crate::fsnap::error::FsnapError;
use crate::fsnap::journal::{Entry, Record};
use crate::fsnap::plan::{Acts, Plan};
use crate::fsnap::tool::Tools;
use crate::fsnap::{Candidate, Provider};

/// One moment of a directory. It is removed by [`finish`](Self::finish), which can fail; or when dropped, where a
/// failure is logged and left to [`recover`](crate::fsnap::recover). A killed process leaves it to `recover` too.
pub struct Frozen {
    record: Record,
    /// `None` only once removal was tried.
    entry: Option<Entry>,
    read_path: PathBuf,
    /// Device and inode of `read_path`: what was frozen, not what a later mount shows there.
    identity: (u64, u64),
    tools: Arc<dyn Tools>,
    limit: Duration,
}

impl Frozen {
    pub(super) fn create(candidate: &Candidate, label: &str, journal: &Path) -> Result<Self, FsnapError> {
        let record = Record::new(label, candidate.plan.clone(), &SystemEntropy);
        let entry = Entry::begin(journal, &record)?;
        let mut frozen = Self {
            record,
            entry: Some(entry),
            read_path: PathBuf::new(),
            identity: (0, 0),
            tools: candidate.tools.clone(),
            limit: candidate.limit,
        };
        // From here on an error drops the value, which removes what was made so far.
        frozen.make(&candidate.dir)?;
        Ok(frozen)
    }

    fn make(&mut self, dir: &Path) -> Result<(), FsnapError> {
        let Some(entry) = &self.entry else { return Ok(()) };
        let acts = Acts { entry, tools: &*self.tools, limit: self.limit };
        self.read_path = Plan::make(dir, &mut self.record, &acts)?;
        self.identity = identity(&self.read_path)?;
        Ok(())
    }

    /// Where the frozen content of the directory is readable. Files have another device number than the live ones
    /// and, but for site commands, the same inode numbers.
    pub fn read_path(&self) -> &Path {
        &self.read_path
    }

    /// Who froze.
    pub fn provider(&self) -> Provider {
        self.record.plan.provider()
    }

    /// Name of the snapshot, unique for ever.
    pub fn name(&self) -> String {
        format!("{}{}", crate::fsnap::journal::NAME_PREFIX, self.record.id)
    }

    /// What the site calls its snapshot, if its command said so: it may keep it beyond this value.
    pub fn snapshot_id(&self) -> Option<&str> {
        match &self.record.plan {
            Plan::Command(plan) => plan.snapshot_id.as_deref(),
            Plan::Btrfs(_) | Plan::Lvm(_) | Plan::Zfs(_) => None,
        }
    }

    /// Whether all that was read was of the frozen moment. To be asked after the last read and before anything read
    /// is declared a backup; the error is [`FsnapError::Invalid`] if not.
    pub fn verify(&self) -> Result<(), FsnapError> {
        let Some(entry) = &self.entry else { return Ok(()) };
        let invalid = |why| FsnapError::Invalid { name: self.name(), why };
        match identity(&self.read_path) {
            Ok(found) if found == self.identity => {}
            Ok(_) => return Err(invalid(format!("{} is another directory now", self.read_path.display()))),
            Err(why) => return Err(invalid(why.to_string())),
        }
        self.record.plan.verify(&Acts { entry, tools: &*self.tools, limit: self.limit })
    }

    /// Removes the snapshot and its mount. What cannot be removed stays in the journal.
    pub fn finish(mut self) -> Result<(), FsnapError> {
        self.remove()
    }

    fn remove(&mut self) -> Result<(), FsnapError> {
        let Some(entry) = self.entry.take() else { return Ok(()) };
        remove(&self.record, entry, &*self.tools, self.limit)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Err(why) = self.remove() {
            tracing::warn!("the frozen volume {} stays until the next run: {why}", self.name());
        }
    }
}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frozen").field("name", &self.name()).field("read_path", &self.read_path).finish_non_exhaustive()
    }
}

/// Removes what a record stands for, then the record.
pub(super) fn remove(record: &Record, entry: Entry, tools: &dyn Tools, limit: Duration) -> Result<(), FsnapError> {
    record.plan.remove(record.stage, &Acts { entry: &entry, tools, limit })?;
    entry.end()
}

fn identity(path: &Path) -> Result<(u64, u64), FsnapError> {
    let found = fs::metadata(path).map_err(FsnapError::io("look at", path))?;
    Ok((found.dev(), found.ino()))
}
