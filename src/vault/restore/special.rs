//! Links, pipes and devices: everything that is made in one go and has no content.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::repo::tree::EntryKind;
use crate::sys::apply::{Attributes, apply_named};
use crate::sys::beneath::{FileName, make_node, symlink};
use crate::sys::meta::{FileKind, Stat, lstat_at, readlink_at};
use crate::vault::restore::folder::Hold;
use crate::vault::restore::record::count;
use crate::vault::restore::room;
use crate::vault::restore::shared::{Pass, Shared};

/// One of them.
pub(super) struct SpecialJob<'r> {
    pub folder: Hold<'r>,
    pub name: FileName,
    pub kind: EntryKind,
    /// Of a link.
    pub target: Vec<u8>,
    /// Of a device.
    pub device: u64,
    pub attributes: Attributes,
}

impl SpecialJob<'_> {
    pub fn run(&self, shared: &Shared<'_>) {
        let record = shared.record;
        let path = || self.folder.path_of(&self.name);
        if self.kind == EntryKind::Socket {
            record.warning(path(), "a socket; its server makes it anew when it starts".to_owned());
            return;
        }
        match self.make(shared) {
            Ok(()) => count(&record.tally.others, 1),
            Err(error) if self.is_device() && error.kind() == io::ErrorKind::PermissionDenied => {
                record.warning(path(), format!("this account may not make devices: {error}"));
            }
            Err(error) => {
                record.note_full_disk(&error);
                record.failure(path(), format!("it cannot be made: {error}"));
            }
        }
    }

    fn is_device(&self) -> bool {
        matches!(self.kind, EntryKind::CharDevice | EntryKind::BlockDevice)
    }

    fn make(&self, shared: &Shared<'_>) -> io::Result<()> {
        if self.folder.state.absent || shared.pass == Pass::Verify {
            return Ok(());
        }
        let folder = self.folder.open()?;
        let dir = folder.as_fd();
        let there = if self.folder.state.existed { room::look(dir, &self.name)? } else { None };
        if there.is_some() && shared.keeps_existing() {
            return Ok(());
        }
        let same = there.as_ref().is_some_and(|there| self.is_same(dir, there));
        if let Some(there) = there.filter(|_| !same) {
            room::clear(shared, dir, &self.name, &there)?;
        }
        if shared.pass == Pass::DryRun {
            return Ok(());
        }
        match self.file_kind() {
            _ if same => {}
            FileKind::Symlink => symlink(&self.target, dir, &self.name)?,
            kind => make_node(dir, &self.name, kind, self.device)?,
        }
        let now = lstat_at(dir, self.name.as_c_str())?;
        for trouble in apply_named(dir, &self.name, &self.attributes, &now) {
            shared.note_trouble(|| self.folder.path_of(&self.name), &trouble);
        }
        Ok(())
    }

    fn file_kind(&self) -> FileKind {
        match self.kind {
            EntryKind::Symlink => FileKind::Symlink,
            EntryKind::CharDevice => FileKind::CharDevice,
            EntryKind::BlockDevice => FileKind::BlockDevice,
            _ => FileKind::Fifo,
        }
    }

    fn is_same(&self, dir: BorrowedFd<'_>, there: &Stat) -> bool {
        there.kind == self.file_kind()
            && there.nlink == 1
            && match there.kind {
                FileKind::Symlink => readlink_at(dir, self.name.as_c_str()).is_ok_and(|target| target == self.target),
                FileKind::Fifo => true,
                _ => there.rdev == self.device,
            }
    }
}
