//! Where a node comes back to, and whether it may: the right machine, the right installation, the right software, room.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};

use crate::base::id::SnapshotId;
use crate::base::size::ByteCount;
use crate::dss::datadir::DataDir;
use crate::dss::datadir::error::DatadirError;
use crate::dss::datadir::host::Host;
use crate::dss::datadir::ours;
use crate::dss::datadir::version::DssVersion;
use crate::dss::restore::PristineOptions;
use crate::dss::restore::error::RestoreError;
use crate::repo::snapshot::{Manifest, NodeRecord};

/// How the old content makes room for the new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Restored beside the directory, exchanged with it in one step.
    Beside,
    /// Restored into a folder in it, exchanged entry by entry.
    Inside,
    /// Rewritten where it lies.
    InPlace,
}

/// Paths of one restore. Renaming from one to the other is all it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The data directory.
    pub data_dir: PathBuf,
    /// How it is replaced.
    pub way: Way,
    /// Where the snapshot is restored to first.
    pub beside: PathBuf,
    /// Where what is replaced is kept.
    pub before: PathBuf,
}

impl Place {
    /// The place a snapshot's node had, to be replaced beside.
    pub fn of(record: &NodeRecord, snapshot: &SnapshotId) -> Result<Self, RestoreError> {
        Self::at(Path::new(&record.data_dir), snapshot)
    }

    /// A place of its own choosing.
    pub fn at(data_dir: &Path, snapshot: &SnapshotId) -> Result<Self, RestoreError> {
        let data_dir = data_dir.to_owned();
        let with = |suffix: &str| {
            let name = data_dir.file_name().unwrap_or_default().to_string_lossy();
            data_dir.with_file_name(format!("{name}.{suffix}-{}", snapshot.short()))
        };
        if !data_dir.is_absolute() || data_dir.file_name().is_none() {
            return Err(RestoreError::NoPlace);
        }
        Ok(Self { way: Way::Beside, beside: with("restore"), before: with("before"), data_dir })
    }

    /// The same, to be replaced from inside.
    #[must_use]
    pub fn inside(&self, snapshot: &SnapshotId) -> Self {
        Self {
            data_dir: self.data_dir.clone(),
            way: Way::Inside,
            beside: self.data_dir.join(ours::restore_name(snapshot)),
            before: self.data_dir.join(ours::before_name(snapshot)),
        }
    }

    /// The same, replaced in the way that is possible there.
    pub fn suited(self, snapshot: &SnapshotId, options: &PristineOptions) -> Self {
        if options.in_place {
            return Self { way: Way::InPlace, ..self };
        }
        let is_there = self.data_dir.symlink_metadata().is_ok();
        if is_there && !can_rename(&self.data_dir) { self.inside(snapshot) } else { self }
    }

    /// Where a restore of the snapshot has kept what it replaced, whichever way it took.
    pub fn kept(&self, snapshot: &SnapshotId) -> Option<PathBuf> {
        [&self.before, &self.inside(snapshot).before]
            .into_iter()
            .find(|before| before.symlink_metadata().is_ok())
            .cloned()
    }

    fn parent(&self) -> &Path {
        self.data_dir.parent().unwrap_or(Path::new("/"))
    }
}

/// What a second copy needs and what the volume has, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Room {
    /// Bytes of the content.
    pub needed: u64,
    /// Bytes this account may still write.
    pub free: u64,
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} needed, {} free", ByteCount(self.needed), ByteCount(self.free))
    }
}

/// A link in the place of the directory would be replaced instead of what it leads to.
pub fn is_no_link(place: &Place) -> Result<(), RestoreError> {
    match place.data_dir.read_link() {
        Ok(target) => Err(RestoreError::Link { data_dir: place.data_dir.clone(), target }),
        Err(_) => Ok(()),
    }
}

/// Another account would become the owner of all that it brings back.
pub fn is_own(place: &Place, record: &NodeRecord) -> Result<(), RestoreError> {
    let account = rustix::process::geteuid();
    let there = place.data_dir.metadata().map(|found| found.uid()).ok();
    if account.is_root() || there.is_none_or(|uid| uid == account.as_raw()) {
        return Ok(());
    }
    let owner = record.owner.clone().or_else(|| there.map(|uid| uid.to_string())).unwrap_or_default();
    Err(RestoreError::NotOwner { data_dir: place.data_dir.clone(), owner })
}

/// A node belongs to its machine: its addresses, accounts and software are there.
pub fn same_machine(manifest: &Manifest) -> Result<(), RestoreError> {
    let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if manifest.host == here {
        return Ok(());
    }
    Err(RestoreError::OtherMachine { from: manifest.host.clone(), here })
}

/// The node that is there now, if any; it must be the same installation. One that is broken beyond recognition is no
/// hindrance as long as it says whose it is.
pub fn node_there(place: &Place, record: &NodeRecord) -> Result<Option<DataDir>, RestoreError> {
    let data_dir = &place.data_dir;
    if data_dir.symlink_metadata().is_err() {
        return Ok(None);
    }
    match DataDir::open(data_dir, &Host::new(None)) {
        Ok(there) => {
            let text = |id: &Option<String>| id.clone().unwrap_or_else(|| "without an id".to_owned());
            if there.facts.install_id == record.install_id {
                return Ok(Some(there));
            }
            let (there, wanted) = (text(&there.facts.install_id), text(&record.install_id));
            Err(RestoreError::OtherNode { data_dir: data_dir.clone(), there, wanted })
        }
        Err(DatadirError::NotDataDir { .. }) if is_empty(data_dir) => Ok(None),
        Err(cause) => Err(RestoreError::Occupied { data_dir: data_dir.clone(), cause }),
    }
}

/// Whether it holds nothing of a node.
fn is_empty(path: &Path) -> bool {
    let is_ours = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| ours::is_ours(entry.file_name().as_bytes()))
    };
    std::fs::read_dir(path).is_ok_and(|entries| entries.into_iter().all(is_ours))
}

/// Whether another directory can take the place of this one by a rename. A mount point cannot be renamed, nor what lies
/// in a directory this account may not write to; one that is empty but for what restores keep in it could be neither
/// replaced nor left behind.
pub fn can_rename(data_dir: &Path) -> bool {
    let Some(parent) = data_dir.parent() else { return false };
    let is_bare = || std::fs::read_dir(data_dir).is_ok_and(|mut entries| entries.next().is_none());
    !is_mount_point(data_dir) && may_write(parent) && (!is_empty(data_dir) || is_bare())
}

/// Files of one version under the software of another do not work: an older one refuses or, worse, accepts them without
/// a word (measured); a newer one has to migrate them.
pub fn kit_fits(record: &NodeRecord) -> Result<(), RestoreError> {
    let (Some(kit), Some(wanted)) = (&record.install_dir, &record.version) else { return Ok(()) };
    let Some(there) = kit_version(Path::new(kit)) else { return Ok(()) };
    let Ok(version) = wanted.parse::<DssVersion>() else { return Ok(()) };
    let why = match there.cmp(&version) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => "DSS must not be downgraded",
        std::cmp::Ordering::Greater => "it would have to be migrated",
    };
    Err(RestoreError::Version { kit: kit.clone(), there: there.to_string(), wanted: wanted.clone(), why })
}

/// The version of a kit, or that a data directory is marked with.
pub fn kit_version(kit: &Path) -> Option<DssVersion> {
    let text = std::fs::read(kit.join("dss-version.json")).ok()?;
    let parsed: serde_json::Value = serde_json::from_slice(&text).ok()?;
    parsed.get("product_version")?.as_str()?.parse().ok()
}

/// Whether the content can be restored there.
pub fn suits(place: &Place, snapshot: &SnapshotId, manifest: &Manifest) -> Result<Room, RestoreError> {
    let data_dir = &place.data_dir;
    let parent = place.parent();
    let not_replaceable = |why: String| RestoreError::NotReplaceable { data_dir: data_dir.clone(), why };
    let is_there = data_dir.exists();
    let volume = rustix::fs::statvfs(if is_there { data_dir.as_path() } else { parent })
        .map_err(|error| not_replaceable(format!("{}: {error}", parent.display())))?;
    if volume.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC) {
        return Err(RestoreError::NoExec { data_dir: data_dir.clone() });
    }
    let room = Room { needed: manifest.counts.bytes, free: volume.f_bavail.saturating_mul(volume.f_frsize) };
    if place.way == Way::InPlace {
        return Ok(room);
    }
    if let Some(before) = place.kept(snapshot) {
        return Err(RestoreError::KeptBefore { before });
    }
    if !is_there && !may_write(parent) {
        return Err(not_replaceable(format!(
            "it is not there, and this account may not write to {}",
            parent.display()
        )));
    }
    if let Some(mounted) = mounted_in(data_dir) {
        return Err(not_replaceable(format!("{} in it is a mount point of its own", mounted.display())));
    }
    // File systems need something for themselves, and other programs write meanwhile.
    if room.needed.saturating_add(room.needed / 50) > room.free {
        let (needed, free) = (ByteCount(room.needed), ByteCount(room.free));
        return Err(RestoreError::NoRoom { data_dir: data_dir.clone(), needed, free });
    }
    Ok(room)
}

fn may_write(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Whether something is mounted there. The kernel says so of every mount since Linux 5.8, also of one that shows another
/// part of the same volume; before, another device number does.
fn is_mount_point(path: &Path) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    if let Ok(found) = rustix::fs::statx(CWD, path, flags, StatxFlags::BASIC_STATS)
        && found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
    {
        return found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
    }
    let above = path.parent().unwrap_or(Path::new("/"));
    match (path.symlink_metadata(), above.metadata()) {
        (Ok(there), Ok(above)) => there.is_dir() && there.dev() != above.dev(),
        _ => false,
    }
}

/// The first entry of the directory that is a mount point: it could not be moved, and its content would be left behind.
fn mounted_in(data_dir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(data_dir).ok()?.flatten().map(|entry| entry.path());
    entries.into_iter().find(|path| is_mount_point(path))
}
