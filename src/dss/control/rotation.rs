//! Taking an API node out of the rotation of its load balancers: while `apinode-not-alive.txt` lies in its data
//! directory, `/isAlive` says no (DSS docs, apinode/operations/health-monitoring). An administrator may have put the
//! file there; then it is left alone.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::dss::control::error::ControlError;
use crate::dss::control::health;
use crate::dss::control::instance::Instance;
use crate::sys::small_file;

/// The file.
pub const FILE: &str = "apinode-not-alive.txt";
/// What stands in ours: how it is told from that of an administrator.
const NOTE: &[u8] = b"written by dssvault for the time of a backup, and removed by it\n";
/// How long the node may take to see the file.
const SEEN_LIMIT: Duration = Duration::from_secs(30);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(100);

/// Whether the node is out of rotation, by whomever.
pub fn is_out(data_dir: &Path) -> bool {
    data_dir.join(FILE).symlink_metadata().is_ok()
}

/// Puts the file there, owned as the data directory is. `false`: it was there already.
pub fn leave(data_dir: &Path) -> Result<bool, ControlError> {
    let path = data_dir.join(FILE);
    let failed = |error| ControlError::local("write", &path, error);
    let owner = data_dir.metadata().map_err(failed)?;
    // Created anew or not at all: a link somebody put there is never followed.
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    if rustix::process::geteuid().is_root() {
        fchown(&file, Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
    }
    file.write_all(NOTE).map_err(failed)?;
    Ok(true)
}

/// Takes our file away, if it is there. One that was cut short is ours too.
pub fn rejoin(data_dir: &Path) -> Result<(), ControlError> {
    let path = data_dir.join(FILE);
    let failed = |error| ControlError::local("remove", &path, error);
    match small_file::read(&path, NOTE.len() as u64) {
        Ok(content) if NOTE.starts_with(&content) => std::fs::remove_file(&path).map_err(failed),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Longer than ours, or no file: somebody else's.
        Err(error) if matches!(error.kind(), io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidInput) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// Waits until the node says that it does not serve, and then for its load balancers to have heard.
pub fn drain(instance: &Instance, pause: Duration, cancel: &Cancel) -> Result<(), ControlError> {
    let since = Instant::now();
    while instance.base_port.is_some_and(health::serves) {
        if since.elapsed() >= SEEN_LIMIT {
            let data_dir = instance.data_dir.clone();
            return Err(ControlError::StillServing { data_dir, seconds: SEEN_LIMIT.as_secs() });
        }
        rest(POLL, cancel)?;
    }
    rest(pause, cancel)
}

fn rest(pause: Duration, cancel: &Cancel) -> Result<(), ControlError> {
    if cancel.rest(pause) { Ok(()) } else { Err(ControlError::Interrupted) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_file_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        assert!(leave(dir.path()).unwrap() && is_out(dir.path()));
        let file = dir.path().join(FILE).metadata().unwrap();
        assert_eq!((file.uid(), file.mode() & 0o777), (dir.path().metadata().unwrap().uid(), 0o644));
        rejoin(dir.path()).unwrap();
        assert!(!is_out(dir.path()));
        rejoin(dir.path()).unwrap();
    }

    #[test]
    fn the_file_of_an_administrator_stays_and_ours_goes_even_cut_short() {
        let dir = tempfile::tempdir().unwrap();
        for theirs in ["out until Monday\n", &"x".repeat(1000)] {
            std::fs::write(dir.path().join(FILE), theirs).unwrap();
            assert!(!leave(dir.path()).unwrap());
            rejoin(dir.path()).unwrap();
            assert!(is_out(dir.path()), "{theirs}");
        }
        std::fs::write(dir.path().join(FILE), &NOTE[..7]).unwrap();
        rejoin(dir.path()).unwrap();
        assert!(!is_out(dir.path()));
    }

    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("elsewhere", dir.path().join(FILE)).unwrap();
        assert!(!leave(dir.path()).unwrap() && !dir.path().join("elsewhere").exists());
    }
}
