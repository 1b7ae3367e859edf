//! One run at a time for each data directory, in whichever repository it stores.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::dss::control::error::ControlError;
use crate::dss::control::instance::key_of;

/// Held as long as it lives; the kernel lets go of it however the process ends.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the lock of a data directory, or says who has it. `state` is the state folder of this machine.
    pub fn take(state: &Path, data_dir: &Path) -> Result<Self, ControlError> {
        let folder = state.join("locks");
        let path = folder.join(format!("{}.lock", key_of(data_dir)));
        let local = |error| ControlError::local("lock", &path, error);
        std::fs::create_dir_all(&folder).map_err(local)?;
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(local)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Who it is is only a help; the lock itself is what counts.
                let _ = file.read_to_string(&mut holder);
                return Err(ControlError::Busy { data_dir: data_dir.to_owned(), holder: holder.trim().to_owned() });
            }
            Err(errno) => return Err(local(io::Error::from(errno))),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(local)?;
        write!(file, "process {}", std::process::id()).map_err(local)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_hears_who_the_first_is_and_a_third_gets_it() {
        let state = tempfile::tempdir().unwrap();
        let dir = Path::new("/data/dss");
        let first = DataDirLock::take(state.path(), dir).unwrap();
        let error = DataDirLock::take(state.path(), dir).unwrap_err();
        assert!(
            matches!(&error, ControlError::Busy { holder, .. } if *holder == format!("process {}", std::process::id()))
        );
        DataDirLock::take(state.path(), Path::new("/data/other")).unwrap();
        drop(first);
        DataDirLock::take(state.path(), dir).unwrap();
    }
}
