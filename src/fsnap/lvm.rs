//! LVM: a snapshot volume beside the origin, classic (copy on write into reserved space) or thin, mounted read-only.
//!
//! `lvcreate -s` suspends the origin with its file system frozen, so all that was written is in the snapshot. A
//! classic one that overflows loses the frozen moment while cached reads go on succeeding: only [`Plan::verify`]
//! after reading tells.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fsnap::error::FsnapError;
use crate::fsnap::journal::{Record, Stage};
use crate::fsnap::lvs::{self, Volume};
use crate::fsnap::mountinfo::{self, Mount};
use crate::fsnap::mounts;
use crate::fsnap::plan::Acts;
use crate::fsnap::tool::{Tool, Tools};

/// Marks every volume this program makes.
const TAG: &str = "dssvault.frozen";
/// A classic snapshot gets a fifth of its origin if that is free,
const SHARE: u64 = 5;
/// and is not tried with less than a fiftieth.
const SHARE_MIN: u64 = 50;

/// What is needed to make and to remove the snapshot volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Volume group.
    pub group: String,
    /// The volume that is frozen.
    pub origin: String,
    /// Extents a classic snapshot gets; a thin one shares its pool and gets none.
    pub extents: Option<u64>,
    /// File system on it.
    pub fs_type: String,
}

/// Whether the volume of `mount` can be frozen so; why not otherwise. `reserve` is the room for changes in bytes.
pub(super) fn suits(mount: &Mount, tools: &dyn Tools, limit: Duration, reserve: Option<u64>) -> Result<Plan, String> {
    if matches!(mount.fs_type.as_str(), "btrfs" | "zfs") {
        return Err(format!("{} freezes itself", mount.fs_type));
    }
    let (major, minor) = mount.device;
    if major == 0 {
        return Err(format!("{} is {}, on no block device", mount.point.display(), mount.fs_type));
    }
    let chosen = format!("lv_kernel_major={major} && lv_kernel_minor={minor}");
    let found = lvs::list(tools, limit, None, &chosen).map_err(|why| why.to_string())?;
    let [volume] = found.as_slice() else {
        return Err(format!("{} is no logical volume", mount.source.display()));
    };
    plan(volume, &mount.fs_type, reserve)
}

/// What to make for a volume; pure.
fn plan(volume: &Volume, fs_type: &str, reserve: Option<u64>) -> Result<Plan, String> {
    if volume.is_snapshot() {
        return Err(format!("{} is itself a snapshot", volume.name));
    }
    let extents = if volume.is_thin() { None } else { Some(classic_extents(volume, reserve)?) };
    let plan = Plan { group: volume.group.clone(), origin: volume.name.clone(), extents, fs_type: fs_type.to_owned() };
    plan.validate().map(|()| plan)
}

fn classic_extents(volume: &Volume, reserve: Option<u64>) -> Result<u64, String> {
    let Volume { group, name, bytes, group_free_bytes: free, extent_bytes, .. } = volume;
    let extent = (*extent_bytes).max(1);
    let least = reserve.unwrap_or(bytes / SHARE_MIN).max(extent);
    if *free < least {
        return Err(format!("volume group {group} has {free} bytes free, and a snapshot of {name} needs {least}"));
    }
    let wanted = reserve.unwrap_or(bytes / SHARE).max(extent);
    Ok(wanted.div_ceil(extent).min(free / extent))
}

impl Plan {
    pub fn validate(&self) -> Result<(), String> {
        let fits = |name: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+_.-".contains(&byte);
            !name.is_empty() && !name.starts_with('-') && name.bytes().all(known)
        };
        let odd = [&self.group, &self.origin, &self.fs_type].into_iter().find(|name| !fits(name));
        odd.map_or(Ok(()), |name| Err(format!("`{name}` is no name of a volume or file system")))
    }

    pub fn make(&self, dir: &Path, record: &mut Record, acts: &Acts<'_>) -> Result<PathBuf, FsnapError> {
        let inside = mountinfo::holding(dir)?.path_inside(dir).unwrap_or_default();
        let name = acts.entry.snapshot_name();
        record.begin(acts)?;
        acts.tools.run(&self.create(&name, acts.limit))?;
        mounts::mount(acts, &self.fs_type, mount_options(&self.fs_type), &device(&self.group, &name))?;
        Ok(acts.entry.mount_point().join(inside))
    }

    fn create(&self, name: &str, limit: Duration) -> Tool {
        let tool = Tool::new("lvcreate", limit).args(["--yes", "--snapshot", "--name", name, "--addtag", TAG]);
        let origin = format!("{}/{}", self.group, self.origin);
        match self.extents {
            Some(extents) => tool.arg("--extents").arg(extents.to_string()).arg(origin),
            // Thin snapshots are made inactive and keep a flag that skips their activation, unless told otherwise.
            None => tool.args(["--setactivationskip", "n", "--activate", "y"]).arg(origin),
        }
    }

    pub fn verify(&self, acts: &Acts<'_>) -> Result<(), FsnapError> {
        let name = acts.entry.snapshot_name();
        let invalid = |why| FsnapError::Invalid { name: name.clone(), why };
        match self.find(&name, acts)? {
            None => Err(invalid("it is gone".to_owned())),
            Some(volume) => volume.lost().map_or(Ok(()), |why| Err(invalid(why))),
        }
    }

    pub fn remove(&self, stage: Stage, acts: &Acts<'_>) -> Result<(), FsnapError> {
        mounts::unmount(acts)?;
        if stage == Stage::Prepared {
            return Ok(());
        }
        let name = acts.entry.snapshot_name();
        let Some(volume) = self.find(&name, acts)? else { return Ok(()) };
        if !volume.tags.split(',').any(|tag| tag == TAG) || volume.origin != self.origin {
            let why = format!("it has tags `{}` and origin `{}`", volume.tags, volume.origin);
            return Err(FsnapError::NotOurs { what: format!("the volume {}/{name}", self.group), why });
        }
        let tool = Tool::new("lvremove", acts.limit).arg("--yes").arg(format!("{}/{name}", self.group));
        mounts::patiently(|| acts.tools.run(&tool).map(drop))
    }

    fn find(&self, name: &str, acts: &Acts<'_>) -> Result<Option<Volume>, FsnapError> {
        // The group is named, so that one that is not there now is an error and not an empty list.
        let found = lvs::list(acts.tools, acts.limit, Some(&self.group), &format!("lv_name={name}"))?;
        Ok(found.into_iter().next())
    }
}

/// The snapshot has the UUID of its origin, which xfs refuses to mount twice. Journals are replayed, if there is
/// anything in them: the snapshot is writable, and `norecovery` would show the files as before the replay.
fn mount_options(fs_type: &str) -> &'static str {
    if fs_type == "xfs" { "ro,nouuid" } else { "ro" }
}

/// Path of a volume's device, as the device mapper escapes it.
fn device(group: &str, name: &str) -> String {
    format!("/dev/mapper/{}-{}", group.replace('-', "--"), name.replace('-', "--"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(attributes: &str, bytes: u64, free: u64) -> Volume {
        Volume {
            group: "vg0".to_owned(),
            name: "data".to_owned(),
            attributes: attributes.to_owned(),
            bytes,
            group_free_bytes: free,
            extent_bytes: 4 << 20,
            ..Volume::default()
        }
    }

    #[test]
    fn a_classic_snapshot_gets_a_fifth_or_what_is_free_or_what_was_asked() {
        let extents =
            |free: u64, reserve| plan(&volume("-wi-ao----", 10 << 30, free), "ext4", reserve).map(|plan| plan.extents);
        assert_eq!(extents(100 << 30, None), Ok(Some(512)));
        assert_eq!(extents(1 << 30, None), Ok(Some(256)));
        assert_eq!(extents(1 << 30, Some(64 << 20)), Ok(Some(16)));
        assert!(extents(100 << 20, None).unwrap_err().contains("104857600"), "less than a fiftieth is free");
        assert!(extents(32 << 20, Some(64 << 20)).is_err());
        assert!(extents(0, None).is_err());
    }

    #[test]
    fn a_thin_volume_needs_no_free_extents_and_a_snapshot_is_no_origin() {
        assert_eq!(plan(&volume("Vwi-aotz--", 10 << 30, 0), "xfs", None).unwrap().extents, None);
        assert!(plan(&volume("swi-aos---", 10 << 30, 50 << 30), "xfs", None).is_err());
    }

    #[test]
    fn commands_are_built_as_the_volume_needs() {
        let classic = plan(&volume("owi-aos---", 10 << 30, 50 << 30), "ext4", None).unwrap();
        let limit = Duration::from_secs(1);
        assert_eq!(
            classic.create("dssvault-frozen-1", limit).to_string(),
            "`lvcreate --yes --snapshot --name dssvault-frozen-1 --addtag dssvault.frozen --extents 512 vg0/data`"
        );
        let thin = plan(&volume("Vwi-aotz--", 10 << 30, 0), "xfs", None).unwrap();
        assert_eq!(
            thin.create("dssvault-frozen-1", limit).to_string(),
            "`lvcreate --yes --snapshot --name dssvault-frozen-1 --addtag dssvault.frozen --setactivationskip n --activate y vg0/data`"
        );
        assert_eq!(device("vg-a", "dssvault-frozen-1"), "/dev/mapper/vg--a-dssvault--frozen--1");
        assert_eq!((mount_options("xfs"), mount_options("ext4")), ("ro,nouuid", "ro"));
    }

    #[test]
    fn names_that_would_be_options_or_expressions_are_refused() {
        for odd in ["", "-f", "a b", "a/b", "a&&b"] {
            let plan = Plan { group: odd.to_owned(), origin: "x".to_owned(), extents: None, fs_type: "xfs".to_owned() };
            assert!(plan.validate().is_err(), "{odd:?}");
        }
    }
}
