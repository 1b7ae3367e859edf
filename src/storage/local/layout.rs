//! Where things lie in a local repository, and making its folders durable. Holds no object data.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};

use crate::base::object::{ObjectKind, ObjectName};
use crate::storage::{CreateMethod, StorageError};

/// Folder of files being written.
pub(super) const TEMPORARY: &str = "tmp";

/// Who may use what the store creates: the owner alone, or a group as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modes {
    folder: u32,
    file: u32,
    group: Option<u32>,
}

impl Modes {
    /// Only the account that makes the repository.
    pub const PRIVATE: Self = Self { folder: 0o700, file: 0o600, group: None };

    /// The members of a group too. Folders pass the group on to what is created in them, so that it does not
    /// matter which member writes.
    pub const fn shared_with(group: u32) -> Self {
        Self { group: Some(group), ..Self::SHARED }
    }

    /// A repository that is shared already.
    const SHARED: Self = Self { folder: 0o2770, file: 0o660, group: None };

    /// What the repository in `root` was made with: its own folders show it. The directory itself does not, for
    /// it may be older than the repository.
    pub(super) fn found_in(root: &Path) -> Self {
        let folder = fs::metadata(root.join(ObjectKind::Pack.folder()));
        match folder {
            Ok(folder) if folder.permissions().mode() & 0o070 == 0o070 => Self::SHARED,
            _ => Self::PRIVATE,
        }
    }

    fn is_shared(self) -> bool {
        self.folder != Self::PRIVATE.folder
    }
}

impl Default for Modes {
    fn default() -> Self {
        Self::PRIVATE
    }
}

/// A directory with the rules of its layout: shared by the store and the objects being written.
pub(super) struct Place {
    pub(super) root: PathBuf,
    pub(super) create: CreateMethod,
    pub(super) modes: Modes,
    /// Fan-out folders whose entry in the parent this process has made durable.
    settled: Mutex<HashSet<PathBuf>>,
}

impl Place {
    pub(super) fn new(root: PathBuf, create: CreateMethod, modes: Modes) -> Self {
        Self { root, create, modes, settled: Mutex::default() }
    }

    pub(super) fn location(&self) -> String {
        self.root.display().to_string()
    }

    pub(super) fn folder(&self, kind: ObjectKind) -> PathBuf {
        self.root.join(kind.folder())
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.root.join(TEMPORARY)
    }

    /// The folder an object lies in.
    pub(super) fn folder_of(&self, name: &ObjectName) -> PathBuf {
        let folder = self.folder(name.kind());
        if is_fanned_out(name.kind()) { folder.join(fan(name.text())) } else { folder }
    }

    /// The file of an object.
    pub(super) fn path(&self, name: &ObjectName) -> PathBuf {
        self.folder_of(name).join(name.text())
    }

    /// The folder of an object, created if need be, itself durably in its parent.
    pub(super) fn ready_folder(&self, name: &ObjectName) -> Result<PathBuf, StorageError> {
        let folder = self.folder_of(name);
        if !(is_fanned_out(name.kind()) || name.kind().may_be_absent()) || self.is_settled(&folder) {
            return Ok(folder);
        }
        if name.kind().may_be_absent() {
            let of_kind = self.folder(name.kind());
            make_folder(&of_kind, self.modes).map_err(|source| self.failed("create", &of_kind, source))?;
            self.sync_folder(&self.root)?;
        }
        make_folder(&folder, self.modes).map_err(|source| self.failed("create", &folder, source))?;
        // Another process may have made the folder and not yet its entry durable, so this is done in either case.
        self.sync_folder(&self.folder(name.kind()))?;
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.clone());
        Ok(folder)
    }

    fn is_settled(&self, folder: &Path) -> bool {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).contains(folder)
    }

    /// Makes the entries of a folder durable.
    pub(super) fn sync_folder(&self, folder: &Path) -> Result<(), StorageError> {
        sync_folder(folder).map_err(|source| self.failed("make durable", folder, source))
    }

    /// The error of a system call on a path inside the store.
    pub(super) fn failed(&self, action: &'static str, path: &Path, source: io::Error) -> StorageError {
        StorageError::from_io(action, path.display().to_string(), &self.location(), source)
    }
}

/// Whether a folder may grow so large that it is split by the first two characters of the names.
pub(super) fn is_fanned_out(kind: ObjectKind) -> bool {
    matches!(kind, ObjectKind::Pack | ObjectKind::Index | ObjectKind::Mended)
}

/// The fan-out folder of a name. Names are ASCII, so that a cut after two bytes is one after two characters.
pub(super) fn fan(text: &str) -> &str {
    text.get(..2).unwrap_or(text)
}

/// Creates a folder unless it is there.
pub(super) fn make_folder(path: &Path, modes: Modes) -> io::Result<()> {
    match fs::DirBuilder::new().mode(modes.folder).create(path) {
        Ok(()) => give_folder(path, modes),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives the group of a shared repository its rights in a folder, whatever the caller's umask.
pub(super) fn give_folder(path: &Path, modes: Modes) -> io::Result<()> {
    if modes.group.is_some() {
        std::os::unix::fs::chown(path, None, modes.group)?;
    }
    if modes.is_shared() {
        fs::set_permissions(path, fs::Permissions::from_mode(modes.folder))?;
    }
    Ok(())
}

/// The same for a new file.
pub(super) fn give_file(file: &File, modes: Modes) -> io::Result<()> {
    if modes.is_shared() {
        file.set_permissions(fs::Permissions::from_mode(modes.file))?;
    }
    Ok(())
}

/// The mode that a file is created with.
pub(super) fn file_mode(modes: Modes) -> Mode {
    Mode::from_raw_mode(modes.file)
}

/// `fsync` of a folder. Some network file systems answer `EINVAL`, meaning that their folders need none.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    match open_folder(path)?.sync_all() {
        Err(error) if is_needless_sync(&error) => Ok(()),
        result => result,
    }
}

/// Whether a failed `fsync` of a folder only says that there is nothing to do.
pub(super) fn is_needless_sync(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error())
}

pub(super) fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}
