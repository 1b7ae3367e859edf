//! btrfs: a read-only snapshot of the subvolume that holds the directory.
//!
//! The top of the file system (subvolume 5) is mounted on the journal's own mount point, and the snapshot is put
//! there. So it works whatever of the file system is mounted where (a subvolume, a folder of one, read-only), and the
//! snapshot lies outside every mounted subvolume. Only if the directory lies in subvolume 5 itself can the snapshot be
//! seen from the live side, as `.dssvault-frozen-<id>` at the top; never in what is read, for a snapshot is taken
//! before its own name is entered.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fsnap::error::FsnapError;
use crate::fsnap::journal::{Record, Stage};
use crate::fsnap::mountinfo::{self, Mount};
use crate::fsnap::mounts;
use crate::fsnap::plan::Acts;
use crate::fsnap::tool::{Tool, Tools};

/// Every subvolume's own directory has this inode number (`BTRFS_FIRST_FREE_OBJECTID`).
pub(super) const SUBVOLUME_INODE: u64 = 256;

/// What is needed to reach the file system again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Device it was mounted from.
    pub device: String,
    /// Its UUID, which survives a change of devices.
    pub uuid: String,
}

/// Whether the volume of `mount` can be frozen so; why not otherwise.
pub(super) fn suits(mount: &Mount, tools: &dyn Tools, limit: Duration) -> Result<Plan, String> {
    if mount.fs_type != "btrfs" {
        return Err(format!("{} is {}", mount.point.display(), mount.fs_type));
    }
    if mount.is_read_only() {
        return Err(format!("the file system of {} is read-only, and a snapshot is a change", mount.point.display()));
    }
    let device = mount.source.to_str().ok_or("the name of its device is not UTF-8")?.to_owned();
    let tool = Tool::new("btrfs", limit).args(["filesystem", "show"]).arg(&mount.point);
    let shown = tools.run(&tool).map_err(|why| why.to_string())?;
    let uuid = uuid_of(&shown).ok_or_else(|| format!("{tool} names no UUID"))?;
    let plan = Plan { device, uuid };
    plan.validate().map(|()| plan)
}

fn uuid_of(shown: &str) -> Option<String> {
    // The label stands before it and may hold any words.
    let (_, behind) = shown.lines().next()?.rsplit_once("uuid:")?;
    Some(behind.trim().to_owned()).filter(|uuid| !uuid.is_empty())
}

impl Plan {
    pub fn validate(&self) -> Result<(), String> {
        let digit = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        let uuid = self.uuid.len() == 36 && self.uuid.bytes().all(digit);
        if !uuid {
            return Err(format!("`{}` is no UUID of a file system", self.uuid));
        }
        if !self.device.starts_with('/') {
            return Err(format!("`{}` is no device", self.device));
        }
        Ok(())
    }

    pub fn make(&self, dir: &Path, record: &mut Record, acts: &Acts<'_>) -> Result<PathBuf, FsnapError> {
        self.mount_top(acts, &self.device)?;
        let (subvolume, below) = self.find(dir, acts)?;
        let snapshot = snapshot_path(acts);
        record.begin(acts)?;
        settle(&subvolume)?;
        let tool = Tool::new("btrfs", acts.limit).args(["subvolume", "snapshot", "-r"]).arg(subvolume).arg(&snapshot);
        acts.tools.run(&tool)?;
        Ok(if below.as_os_str().is_empty() { snapshot } else { snapshot.join(below) })
    }

    fn mount_top(&self, acts: &Acts<'_>, what: &str) -> Result<(), FsnapError> {
        mounts::mount(acts, "btrfs", "subvolid=5", what)
    }

    /// Under the mounted top: the subvolume that holds `dir`, and where in it `dir` is.
    fn find(&self, dir: &Path, acts: &Acts<'_>) -> Result<(PathBuf, PathBuf), FsnapError> {
        let top = acts.entry.mount_point();
        let lost = || FsnapError::Io {
            action: "find in the file system itself",
            path: dir.to_owned(),
            source: io::Error::new(io::ErrorKind::NotFound, "it was moved, or its mount was replaced"),
        };
        let inside = mountinfo::holding(dir)?.path_inside(dir).ok_or_else(lost)?;
        let same = top.join(&inside);
        let (live, found) = (stat(dir)?, stat(&same).map_err(|_| lost())?);
        if (live.dev(), live.ino()) != (found.dev(), found.ino()) {
            return Err(lost());
        }
        let mut at = same.as_path();
        while stat(at)?.ino() != SUBVOLUME_INODE {
            at = at.parent().filter(|parent| parent.starts_with(&top)).ok_or_else(lost)?;
        }
        let below = same.strip_prefix(at).map_err(|_| lost())?;
        Ok((at.to_owned(), below.to_owned()))
    }

    /// A snapshot of btrfs stays what it is until it is deleted or made writable.
    pub fn verify(&self, acts: &Acts<'_>) -> Result<(), FsnapError> {
        if is_read_only(acts)? {
            return Ok(());
        }
        Err(FsnapError::Invalid { name: acts.entry.snapshot_name(), why: "it was made writable".to_owned() })
    }

    pub fn remove(&self, stage: Stage, acts: &Acts<'_>) -> Result<(), FsnapError> {
        if stage != Stage::Prepared {
            self.delete(acts)?;
        }
        mounts::unmount(acts)
    }

    fn delete(&self, acts: &Acts<'_>) -> Result<(), FsnapError> {
        if !mounts::is_mounted(acts)? {
            // After a reboot devices may have other names; the UUID is looked for among all of them.
            self.mount_top(acts, &format!("UUID={}", self.uuid))?;
        }
        let snapshot = snapshot_path(acts);
        match fs::symlink_metadata(&snapshot) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(FsnapError::io("look at", &snapshot))?,
        };
        let ours = stat(&snapshot)?.ino() == SUBVOLUME_INODE && is_read_only(acts)?;
        if !ours {
            let why = "it is not a read-only subvolume (any more)".to_owned();
            return Err(FsnapError::NotOurs { what: snapshot.display().to_string(), why });
        }
        // Committed before the record goes, or a power cut would bring back a snapshot nobody remembers.
        let tool = Tool::new("btrfs", acts.limit).args(["subvolume", "delete", "--commit-after"]).arg(&snapshot);
        acts.tools.run(&tool).map(drop)
    }
}

/// Writes out what is dirty. The snapshot does so itself, file by file, while writers go on; the less there is left to
/// write by then, the shorter is the time in which writes that nobody made durable can overtake each other.
fn settle(subvolume: &Path) -> Result<(), FsnapError> {
    let settled = fs::File::open(subvolume).and_then(|open| Ok(rustix::fs::syncfs(&open)?));
    settled.map_err(FsnapError::io("write out", subvolume))
}

fn is_read_only(acts: &Acts<'_>) -> Result<bool, FsnapError> {
    let tool = Tool::new("btrfs", acts.limit).args(["property", "get", "-ts"]).arg(snapshot_path(acts)).arg("ro");
    Ok(acts.tools.run(&tool)?.trim() == "ro=true")
}

fn snapshot_path(acts: &Acts<'_>) -> PathBuf {
    acts.entry.mount_point().join(format!(".{}", acts.entry.snapshot_name()))
}

fn stat(path: &Path) -> Result<fs::Metadata, FsnapError> {
    fs::symlink_metadata(path).map_err(FsnapError::io("look at", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uuid_is_read_from_what_the_tool_shows() {
        let shown = "Label: 'my uuid: x'  uuid: 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n\tTotal devices 1 FS bytes used 144.00KiB\n";
        assert_eq!(uuid_of(shown).as_deref(), Some("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"));
        assert_eq!(uuid_of("Label: none  uuid:"), None);
        assert_eq!(uuid_of(""), None);
    }

    #[test]
    fn a_plan_that_would_mount_something_else_is_refused() {
        let plan = |device: &str, uuid: &str| Plan { device: device.to_owned(), uuid: uuid.to_owned() };
        let uuid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
        assert!(plan("/dev/sda", uuid).validate().is_ok());
        assert!(plan("-o", uuid).validate().is_err());
        assert!(plan("/dev/sda", "-x").validate().is_err());
    }
}
