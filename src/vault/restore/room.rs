//! What is already where something shall be made, and getting it out of the way.

use std::io;
use std::os::fd::BorrowedFd;

use crate::sys::beneath::{FileName, remove_dir, unlink};
use crate::sys::meta::{FileKind, Stat, lstat_at};
use crate::sys::remove::remove_all;
use crate::vault::restore::record::count;
use crate::vault::restore::shared::{Pass, Shared};

/// What is there, if anything.
pub(super) fn look(dir: BorrowedFd<'_>, name: &FileName) -> io::Result<Option<Stat>> {
    match lstat_at(dir, name.as_c_str()) {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes it, itself and not what it points to. A directory that is not empty only goes with `delete`.
pub(super) fn clear(shared: &Shared<'_>, dir: BorrowedFd<'_>, name: &FileName, there: &Stat) -> io::Result<()> {
    if shared.pass != Pass::Write {
        return Ok(());
    }
    if there.kind != FileKind::Directory {
        return unlink(dir, name);
    }
    match remove_dir(dir, name) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && shared.options.delete => {
            count(&shared.record.tally.deleted, remove_all(dir, name)?);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            Err(io::Error::new(error.kind(), "a directory that is not empty is in its place (--delete removes it)"))
        }
        other => other,
    }
}
