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
/// failure is logged and left to [`recover`](crate::fsnap::recover()). A killed process leaves it to `recover` too.
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::fsnap::tool::Tool;
    use crate::fsnap::{lvm, recover};

    /// Tools that answer as told, by name, and remember what was asked.
    #[derive(Debug, Default)]
    struct Scripted {
        answers: Vec<(&'static str, &'static str)>,
        asked: Mutex<Vec<String>>,
    }

    impl Tools for Scripted {
        fn run(&self, tool: &Tool) -> Result<String, FsnapError> {
            let shown = tool.to_string();
            let name = shown.trim_matches('`').split(' ').next().unwrap_or_default().to_owned();
            self.asked.lock().unwrap().push(name.clone());
            match self.answers.iter().find(|(known, _)| *known == name) {
                Some((_, answer)) => Ok((*answer).to_owned()),
                None => Err(FsnapError::Failed { command: shown, status: "exit code 1".into(), said: "no".into() }),
            }
        }
    }

    fn candidate(dir: &Path, answers: &[(&'static str, &'static str)]) -> (Candidate, Arc<Scripted>) {
        let tools = Arc::new(Scripted { answers: answers.to_vec(), asked: Mutex::default() });
        let plan = lvm::Plan { group: "vg".into(), origin: "data".into(), extents: Some(8), fs_type: "ext4".into() };
        let limit = Duration::from_secs(1);
        (Candidate { dir: dir.to_owned(), plan: Plan::Lvm(plan), tools: tools.clone(), limit }, tools)
    }

    const OURS: &str = r#"{"report":[{"lv":[{"vg_name":"vg","lv_name":"x","lv_attr":"swi-a-s---","origin":"data",
        "lv_size":"1","vg_free":"1","vg_extent_size":"1","data_percent":"0.00","lv_health_status":"",
        "lv_tags":"dssvault.frozen"}]}]}"#;

    #[test]
    fn a_snapshot_that_cannot_be_mounted_is_removed_again() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        let (candidate, tools) = candidate(dir.path(), &[("lvcreate", ""), ("lvs", OURS), ("lvremove", "")]);

        let error = candidate.create("a node", &journal).unwrap_err();

        assert!(error.to_string().starts_with("`mount"), "{error}");
        assert_eq!(*tools.asked.lock().unwrap(), ["lvcreate", "mount", "lvs", "lvremove"]);
        assert_eq!(fs::read_dir(&journal).unwrap().count(), 0);
    }

    #[test]
    fn a_volume_that_is_not_ours_is_not_removed_and_its_record_stays() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        for foreign in [OURS.replace("dssvault.frozen", "theirs"), OURS.replace("\"data\"", "\"other\"")] {
            let foreign: &'static str = Box::leak(foreign.into_boxed_str());
            let (candidate, tools) = candidate(dir.path(), &[("lvcreate", ""), ("lvs", foreign), ("lvremove", "")]);
            candidate.create("a node", &journal).unwrap_err();
            assert_eq!(*tools.asked.lock().unwrap(), ["lvcreate", "mount", "lvs"]);
        }
        assert_eq!(fs::read_dir(&journal).unwrap().count(), 2);
        let found = recover(&journal).unwrap();
        assert_eq!(found.stuck.len(), 2, "there is no LVM group `vg` here: {found:?}");
    }
}
