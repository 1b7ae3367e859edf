//! Where a node comes back to, and whether it may: the right machine, the right installation, the right software, room.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::base::id::SnapshotId;
use crate::base::size::ByteCount;
use crate::dss::datadir::DataDir;
use crate::dss::datadir::error::DatadirError;
use crate::dss::datadir::host::Host;
use crate::dss::datadir::version::DssVersion;
use crate::dss::restore::PristineOptions;
use crate::dss::restore::error::RestoreError;
use crate::repo::snapshot::{Manifest, NodeRecord};

/// Paths of one restore. All three lie in the same directory, so that renaming is all it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where the snapshot is restored to first.
    pub beside: PathBuf,
    /// What the replaced directory is called afterwards.
    pub before: PathBuf,
}

impl Place {
    /// The place a snapshot's node had.
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
            let why = "the snapshot does not tell a path for it".to_owned();
            return Err(RestoreError::NotBeside { data_dir, why });
        }
        Ok(Self { beside: with("restore"), before: with("before"), data_dir })
    }
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

fn is_empty(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
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
pub fn suits(place: &Place, manifest: &Manifest, options: &PristineOptions) -> Result<(), RestoreError> {
    let data_dir = &place.data_dir;
    let parent = data_dir.parent().unwrap_or(Path::new("/"));
    let not_beside = |why: String| RestoreError::NotBeside { data_dir: data_dir.clone(), why };
    let volume = rustix::fs::statvfs(if data_dir.exists() { data_dir.as_path() } else { parent })
        .map_err(|error| not_beside(format!("{}: {error}", parent.display())))?;
    if volume.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC) {
        return Err(RestoreError::NoExec { data_dir: data_dir.clone() });
    }
    if options.in_place {
        return Ok(());
    }
    if place.before.symlink_metadata().is_ok() {
        return Err(RestoreError::KeptBefore { before: place.before.clone() });
    }
    if is_mount_point(data_dir, parent) {
        return Err(not_beside("it is a mount point, which cannot be renamed".to_owned()));
    }
    if rustix::fs::access(parent, rustix::fs::Access::WRITE_OK).is_err() {
        return Err(not_beside(format!("this account may not write to {}", parent.display())));
    }
    let (needed, free) = (manifest.counts.bytes, volume.f_bavail.saturating_mul(volume.f_frsize));
    // File systems need something for themselves, and other programs write meanwhile.
    if needed.saturating_add(needed / 50) > free {
        return Err(not_beside(format!("it needs {}, and {} are free", ByteCount(needed), ByteCount(free))));
    }
    Ok(())
}

fn is_mount_point(data_dir: &Path, parent: &Path) -> bool {
    match (data_dir.symlink_metadata(), parent.metadata()) {
        (Ok(there), Ok(above)) => there.dev() != above.dev(),
        _ => false,
    }
}
