//! ZFS: a snapshot of the dataset, read below `.zfs/snapshot`, or where that is not shown, through a read-only clone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fsnap::error::FsnapError;
use crate::fsnap::journal::{Record, Stage};
use crate::fsnap::mountinfo::{self, Mount};
use crate::fsnap::mounts;
use crate::fsnap::plan::Acts;
use crate::fsnap::tool::{Tool, Tools};

/// What is needed to remove the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The dataset that is frozen.
    pub dataset: String,
}

/// Whether the volume of `mount` can be frozen so; why not otherwise.
pub(super) fn suits(mount: &Mount, tools: &dyn Tools, limit: Duration) -> Result<Plan, String> {
    if !matches!(mount.fs_type.as_str(), "zfs" | "fuse.zfs") {
        return Err(format!("{} is {}", mount.point.display(), mount.fs_type));
    }
    let source = mount.source.to_str().ok_or("the name of its dataset is not UTF-8")?;
    let plan = Plan { dataset: source.to_owned() };
    plan.validate()?;
    if exists(tools, limit, "filesystem", source).map_err(|why| why.to_string())? {
        return Ok(plan);
    }
    Err(format!("`{source}` is no dataset"))
}

impl Plan {
    pub fn validate(&self) -> Result<(), String> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.: -".contains(&byte);
        let fits = !self.dataset.is_empty() && !self.dataset.starts_with('-') && self.dataset.bytes().all(known);
        if fits { Ok(()) } else { Err(format!("`{}` is no dataset", self.dataset)) }
    }

    pub fn make(&self, dir: &Path, record: &mut Record, acts: &Acts<'_>) -> Result<PathBuf, FsnapError> {
        let mount = mountinfo::holding(dir)?;
        let inside = mount.path_inside(dir).unwrap_or_default();
        record.begin(acts)?;
        acts.tools.run(&Tool::new("zfs", acts.limit).arg("snapshot").arg(self.snapshot(acts)))?;
        let shown = mount.point.join(".zfs/snapshot").join(acts.entry.snapshot_name());
        if mount.root == Path::new("/") && shown.is_dir() {
            return Ok(shown.join(inside));
        }
        let point = format!("mountpoint={}", acts.entry.mount_point().display());
        let clone = Tool::new("zfs", acts.limit).args(["clone", "-o", "readonly=on", "-o", &point]);
        acts.tools.run(&clone.arg(self.snapshot(acts)).arg(self.clone_name(acts)))?;
        Ok(acts.entry.mount_point().join(inside))
    }

    fn snapshot(&self, acts: &Acts<'_>) -> String {
        format!("{}@{}", self.dataset, acts.entry.snapshot_name())
    }

    /// In the same pool, beside all else.
    fn clone_name(&self, acts: &Acts<'_>) -> String {
        let pool = self.dataset.split('/').next().unwrap_or_default();
        format!("{pool}/{}", acts.entry.snapshot_name())
    }

    pub fn verify(&self, acts: &Acts<'_>) -> Result<(), FsnapError> {
        let there = exists(acts.tools, acts.limit, "snapshot", &self.snapshot(acts))?;
        let gone = || FsnapError::Invalid { name: self.snapshot(acts), why: "it is gone".to_owned() };
        if there { Ok(()) } else { Err(gone()) }
    }

    pub fn remove(&self, stage: Stage, acts: &Acts<'_>) -> Result<(), FsnapError> {
        if stage != Stage::Prepared {
            self.destroy(acts, "filesystem", &self.clone_name(acts))?;
            self.destroy(acts, "snapshot", &self.snapshot(acts))?;
        }
        mounts::unmount(acts)
    }

    /// Both names end with the random id of the record, so neither can be anything else.
    fn destroy(&self, acts: &Acts<'_>, kind: &str, name: &str) -> Result<(), FsnapError> {
        if !exists(acts.tools, acts.limit, kind, name)? {
            return Ok(());
        }
        let tool = Tool::new("zfs", acts.limit).args(["destroy", name]);
        mounts::patiently(|| acts.tools.run(&tool).map(drop))
    }
}

/// A pool that is not imported is an error, a dataset its pool does not have is not there.
fn exists(tools: &dyn Tools, limit: Duration, kind: &str, name: &str) -> Result<bool, FsnapError> {
    let pool = name.split(['/', '@']).next().unwrap_or_default();
    let all = Tool::new("zfs", limit).args(["list", "-H", "-r", "-t", kind, "-o", "name", pool]);
    Ok(tools.run(&all)?.lines().any(|line| line == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_be_options_or_snapshots_are_refused() {
        for odd in ["", "-r", "pool@x", "pool,x", "pool\n"] {
            assert!(Plan { dataset: odd.to_owned() }.validate().is_err(), "{odd:?}");
        }
        assert!(Plan { dataset: "pool/data set".to_owned() }.validate().is_ok());
    }
}
