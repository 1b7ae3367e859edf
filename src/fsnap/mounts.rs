//! Mounting on the journal's mount point, and unmounting whatever is there.

use std::path::Path;
use std::time::Duration;

use crate::fsnap::error::FsnapError;
use crate::fsnap::mountinfo;
use crate::fsnap::plan::Acts;
use crate::fsnap::tool::Tool;

/// How often a busy mount is tried again, and the pause before.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(150);

/// Mounts `what` with options that let nothing on it run or act as a device.
pub(super) fn mount(acts: &Acts<'_>, fs_type: &str, options: &str, what: &str) -> Result<(), FsnapError> {
    let options = format!("noatime,nodev,nosuid,noexec,{options}");
    let tool = Tool::new("mount", acts.limit).args(["-t", fs_type, "-o", &options, what]).arg(acts.entry.mount_point());
    acts.tools.run(&tool).map(drop)
}

/// Whether something is mounted on the journal's mount point.
pub(super) fn is_mounted(acts: &Acts<'_>) -> Result<bool, FsnapError> {
    Ok(mountinfo::at(&acts.entry.mount_point())?.is_some())
}

/// Unmounts all that is on the journal's mount point. Whoever still reads there gets a few seconds to end.
pub(super) fn unmount(acts: &Acts<'_>) -> Result<(), FsnapError> {
    let point = acts.entry.mount_point();
    while mountinfo::at(&point)?.is_some() {
        patiently(|| umount(acts, &point))?;
    }
    Ok(())
}

fn umount(acts: &Acts<'_>, point: &Path) -> Result<(), FsnapError> {
    acts.tools.run(&Tool::new("umount", acts.limit).arg(point)).map(drop)
}

/// Tries again for a few seconds what is refused because somebody still uses it.
pub(super) fn patiently(mut act: impl FnMut() -> Result<(), FsnapError>) -> Result<(), FsnapError> {
    for _ in 1..TRIES {
        match act() {
            Err(FsnapError::Busy { .. }) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    act()
}
