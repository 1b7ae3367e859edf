//! What is made to freeze one volume, as a value that survives its maker: it stands in the journal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fsnap::error::FsnapError;
use crate::fsnap::journal::{Entry, Record, Stage};
use crate::fsnap::tool::Tools;
use crate::fsnap::{Provider, btrfs, lvm, site, zfs};

/// One provider's way, with all that removing needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "snake_case")]
pub(super) enum Plan {
    /// A read-only snapshot of a subvolume.
    Btrfs(btrfs::Plan),
    /// A snapshot volume, classic or thin.
    Lvm(lvm::Plan),
    /// A snapshot of a dataset.
    Zfs(zfs::Plan),
    /// A pair of commands of the site.
    Command(site::Plan),
}

/// What the acts of a provider need besides its plan.
pub(super) struct Acts<'a> {
    /// The folder of the journal.
    pub entry: &'a Entry,
    /// The tools of the volume manager.
    pub tools: &'a dyn Tools,
    /// How long one of them may take.
    pub limit: Duration,
}

impl Plan {
    /// Whose plan it is.
    pub fn provider(&self) -> Provider {
        match self {
            Self::Btrfs(_) => Provider::Btrfs,
            Self::Lvm(_) => Provider::Lvm,
            Self::Zfs(_) => Provider::Zfs,
            Self::Command(_) => Provider::Command,
        }
    }

    /// Whether a plan read from a file can be acted on; why not otherwise.
    pub fn validate(&self) -> Result<(), String> {
        match self {
            Self::Btrfs(plan) => plan.validate(),
            Self::Lvm(plan) => plan.validate(),
            Self::Zfs(plan) => plan.validate(),
            Self::Command(_) => Ok(()),
        }
    }

    /// Freezes; returns where `dir` can be read. The stage of the record is advanced before what it announces.
    pub fn make(dir: &Path, record: &mut Record, acts: &Acts<'_>) -> Result<PathBuf, FsnapError> {
        let read_path = match record.plan.clone() {
            Self::Btrfs(plan) => plan.make(dir, record, acts),
            Self::Lvm(plan) => plan.make(dir, record, acts),
            Self::Zfs(plan) => plan.make(dir, record, acts),
            Self::Command(plan) => plan.make(dir, record, acts),
        }?;
        record.stage = Stage::Complete;
        acts.entry.write(record)?;
        Ok(read_path)
    }

    /// Whether the snapshot still holds the frozen moment.
    pub fn verify(&self, acts: &Acts<'_>) -> Result<(), FsnapError> {
        match self {
            Self::Btrfs(plan) => plan.verify(acts),
            Self::Lvm(plan) => plan.verify(acts),
            Self::Zfs(plan) => plan.verify(acts),
            Self::Command(_) => Ok(()),
        }
    }

    /// Removes whatever of it is there; that nothing is there is no error.
    pub fn remove(&self, stage: Stage, acts: &Acts<'_>) -> Result<(), FsnapError> {
        match self {
            Self::Btrfs(plan) => plan.remove(stage, acts),
            Self::Lvm(plan) => plan.remove(stage, acts),
            Self::Zfs(plan) => plan.remove(stage, acts),
            Self::Command(plan) => plan.remove(stage, acts),
        }
    }

    #[cfg(test)]
    pub fn example() -> Self {
        Self::Btrfs(btrfs::Plan {
            device: "/dev/sda1".to_owned(),
            uuid: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".to_owned(),
        })
    }
}

impl Record {
    /// Notes durably that the snapshot may exist from here on.
    pub fn begin(&mut self, acts: &Acts<'_>) -> Result<(), FsnapError> {
        self.stage = Stage::Begun;
        acts.entry.write(self)
    }
}
