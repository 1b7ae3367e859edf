//! An object being written: a locked temporary file that gets its final name when it is whole and durable.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use super::layout::{self, Modes, Place};
use super::publish;
use crate::base::object::ObjectName;
use crate::base::random::{SystemEntropy, array};
use crate::storage::{Published, Staged, StorageError};

/// A temporary file; dropping it removes the file unless it was published.
pub(super) struct LocalStage {
    place: Arc<Place>,
    file: File,
    path: PathBuf,
}

impl LocalStage {
    pub(super) fn begin(place: &Arc<Place>) -> Result<Self, StorageError> {
        let (file, path) = create_temporary(place)?;
        Ok(Self { place: Arc::clone(place), file, path })
    }
}

impl Staged for LocalStage {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.file.write_all(bytes).map_err(|source| self.place.failed("write", &self.path, source))
    }

    fn publish(self: Box<Self>, name: &ObjectName) -> Result<Published, StorageError> {
        // Bytes before name: whoever sees the name finds the object whole, also after a power cut.
        self.file.sync_all().map_err(|source| self.place.failed("make durable", &self.path, source))?;
        let folder = self.place.ready_folder(name)?;
        let published = publish::give_name(&self.place, &self.file, &self.path, name)?;
        // Also for an object that was there: its writer may not have come so far yet.
        self.place.sync_folder(&folder)?;
        Ok(published)
    }
}

impl Drop for LocalStage {
    fn drop(&mut self) {
        // Nobody can be told here; what stays is swept by a later `open`.
        let _ = fs::remove_file(&self.path);
    }
}

/// A new file in the temporary folder, locked against the sweeper of other processes.
fn create_temporary(place: &Place) -> Result<(File, PathBuf), StorageError> {
    let folder = place.temporary();
    let path = folder.join(fresh_name());
    let failed = |source| place.failed("create", &path, source);
    let file = match create_file(&path, place.modes) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            layout::make_folder(&folder, place.modes).map_err(|source| place.failed("create", &folder, source))?;
            create_file(&path, place.modes).map_err(failed)?
        }
        result => result.map_err(failed)?,
    };
    // Without locks on this file system the sweeper waits longer instead (`sweep.rs`).
    let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    Ok((file, path))
}

/// A name no other writer uses: 128 random bits.
pub(super) fn fresh_name() -> String {
    format!("{:032x}", u128::from_le_bytes(array(&SystemEntropy)))
}

/// Creates a file of a name that is random, or must be free.
pub(super) fn create_file(path: &Path, modes: Modes) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = layout::file_mode(modes);
    let file = match rustix::fs::open(path, flags | OFlags::EXCL, mode) {
        // A random name needs no `O_EXCL`; a file system that refuses it can still hold temporary files.
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => rustix::fs::open(path, flags, mode)?,
        result => result?,
    };
    let file = File::from(file);
    layout::give_file(&file, modes)?;
    Ok(file)
}
