//! What every part of a running restore can see.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::repo::chunks::ChunkReader;
use crate::repo::tree::Entry;
use crate::sys::apply::{Attributes, Trouble};
use crate::vault::restore::descriptors::Descriptors;
use crate::vault::restore::owner::Owners;
use crate::vault::restore::record::Record;
use crate::vault::restore::{Overwrite, RestoreOptions};

/// What a pass over the snapshot does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Makes and changes files.
    Write,
    /// Only says what would be made or changed.
    DryRun,
    /// Reads files back.
    Verify,
}

/// One pass.
pub(super) struct Shared<'r> {
    pub pass: Pass,
    pub reader: &'r ChunkReader<'r>,
    pub options: &'r RestoreOptions,
    pub owners: &'r Owners,
    pub record: &'r Record<'r>,
    /// The target; `None` in a dry run if it is not there.
    pub root: Option<&'r OwnedFd>,
    /// The part of the snapshot that is restored.
    pub prefix: Vec<u8>,
    /// Paths that an earlier pass reported already.
    pub failed: HashSet<String>,
    pub open_folders: Descriptors,
    pub open_files: Descriptors,
    pub account: Account,
    pub numbers: AtomicU64,
}

/// Who runs the restore.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub uid: u32,
    pub gid: u32,
}

impl Account {
    pub fn current() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    pub fn is_root(self) -> bool {
        self.uid == 0
    }
}

impl Shared<'_> {
    pub fn root(&self) -> io::Result<BorrowedFd<'_>> {
        self.root.map(AsFd::as_fd).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A number no other file or directory of this pass has.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// What an entry shall have here.
    pub fn attributes(&self, entry: Entry) -> Attributes {
        let chosen = self.owners.choose(&entry.owner);
        let mode = self.owners.mode_of(&entry, chosen, self.account.uid);
        let pairs = entry.xattrs.unwrap_or_default();
        let xattrs = pairs.into_iter().map(|pair| (pair.name, pair.value)).collect();
        Attributes { mode, uid: chosen.0, gid: chosen.1, mtime: entry.mtime, xattrs }
    }

    /// Whether an earlier pass reported this path already.
    pub fn failed_before(&self, path: impl FnOnce() -> Vec<u8>) -> bool {
        !self.failed.is_empty() && self.failed.contains(&*String::from_utf8_lossy(&path()))
    }

    pub fn keeps_existing(&self) -> bool {
        self.options.overwrite == Overwrite::Never
    }

    /// Files an attribute that could not be set under what it means.
    pub fn note_trouble(&self, path: impl Fn() -> Vec<u8>, trouble: &Trouble) {
        match trouble {
            Trouble::Owner(_) if self.owners.are_strict() => self.record.failure(path(), trouble.to_string()),
            Trouble::Owner(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.record.owner_warning(path(), trouble.to_string());
            }
            Trouble::Mode(_) | Trouble::Time(_) => self.record.failure(path(), trouble.to_string()),
            Trouble::Owner(_) | Trouble::Xattr(..) => self.record.warning(path(), trouble.to_string()),
        }
    }
}
