//! Making and opening files beneath a directory, so that no link, no `..` and no rename leads out of it.
//!
//! Every call takes an open directory and a [`FileName`], which is one component. A single component opened with
//! `O_NOFOLLOW` cannot leave its directory; several at once go through `openat2` with `RESOLVE_BENEATH`.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::sys::meta::{self, FileKind, Stat};

/// One component of a path: not empty, no `/`, no NUL, neither `.` nor `..`, at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(CString);

impl FileName {
    /// The name, if it is one.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        let is_component = !bytes.is_empty() && bytes != b"." && bytes != b".." && !bytes.contains(&b'/');
        (is_component && bytes.len() <= 255).then(|| CString::new(bytes).ok()).flatten().map(Self)
    }

    /// Its bytes, without a terminator.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// For system calls.
    pub fn as_c_str(&self) -> &CStr {
        &self.0
    }
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Opens the directory everything shall happen beneath. Links on the way to it are followed: the caller named it.
pub fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens the directory everything shall happen beneath, by a path whose last name somebody else could exchange: a link in
/// its place is an error.
pub fn open_root_itself(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, DIRECTORY, Mode::empty())?)
}

/// Opens a directory in `dir`; a link in its place is an error.
pub fn open_dir(dir: impl AsFd, name: &FileName) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(dir, name.as_c_str(), DIRECTORY, Mode::empty())?)
}

/// Bytes of a path handed to the kernel at once.
const PATH_BYTES: usize = 3800;

/// Opens a directory several names below `dir`, however long the way; a link anywhere on it is an error.
pub fn open_dirs(dir: BorrowedFd<'_>, names: &[&FileName]) -> io::Result<OwnedFd> {
    let mut reached: Option<OwnedFd> = None;
    let mut left = names;
    while !left.is_empty() {
        let mut path = Vec::new();
        let mut taken = 0;
        for name in left {
            if taken > 0 && path.len() + name.as_bytes().len() > PATH_BYTES {
                break;
            }
            if taken > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(name.as_bytes());
            taken += 1;
        }
        let from = reached.as_ref().map_or(dir, AsFd::as_fd);
        reached = Some(descend(from, path, &left[..taken])?);
        left = &left[taken..];
    }
    reached.map_or_else(|| dir.try_clone_to_owned(), Ok)
}

/// Whether the kernel has no `openat2` (before 5.6, or hidden by a sandbox).
static WITHOUT_OPENAT2: AtomicBool = AtomicBool::new(false);

fn descend(from: BorrowedFd<'_>, path: Vec<u8>, names: &[&FileName]) -> io::Result<OwnedFd> {
    if !WITHOUT_OPENAT2.load(Ordering::Relaxed) {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(from, path, DIRECTORY, Mode::empty(), resolve) {
            Ok(open) => return Ok(open),
            Err(Errno::NOSYS | Errno::PERM) => WITHOUT_OPENAT2.store(true, Ordering::Relaxed),
            // A rename elsewhere made the kernel unsure; step by step it cannot be.
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    descend_by_steps(from, names)
}

fn descend_by_steps(from: BorrowedFd<'_>, names: &[&FileName]) -> io::Result<OwnedFd> {
    let mut reached: Option<OwnedFd> = None;
    for name in names {
        reached = Some(open_dir(reached.as_ref().map_or(from, AsFd::as_fd), name)?);
    }
    reached.map_or_else(|| from.try_clone_to_owned(), Ok)
}

/// Makes a directory only its owner can enter.
pub fn make_dir(dir: impl AsFd, name: &FileName) -> io::Result<()> {
    Ok(rustix::fs::mkdirat(dir, name.as_c_str(), Mode::RWXU)?)
}

/// Makes a new file for reading and writing; whatever is there already, even a dangling link, is an error.
pub fn create_file(dir: impl AsFd, name: &FileName, mode: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name.as_c_str(), flags, Mode::from_raw_mode(mode & 0o777))?)
}

/// Opens an existing regular file, and says what it is. Anything else in its place is an error.
pub fn open_file(dir: impl AsFd, name: &FileName, for_writing: bool) -> io::Result<(OwnedFd, Stat)> {
    let access = if for_writing { OFlags::RDWR } else { OFlags::RDONLY };
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = rustix::fs::openat(dir, name.as_c_str(), flags, Mode::empty())?;
    let stat = meta::fstat(&open)?;
    if stat.kind == FileKind::File {
        Ok((open, stat))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
    }
}

/// Opens anything, a link itself too, only to change its attributes.
pub fn open_path(dir: impl AsFd, name: &FileName) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name.as_c_str(), flags, Mode::empty())?)
}

/// A path to exactly what `fd` has open, for the calls that take no descriptor of this kind.
pub fn path_of(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Gives a file another name.
pub fn link(from: impl AsFd, old: &FileName, to: impl AsFd, new: &FileName) -> io::Result<()> {
    Ok(rustix::fs::linkat(from, old.as_c_str(), to, new.as_c_str(), AtFlags::empty())?)
}

/// Makes a symbolic link.
pub fn symlink(target: &[u8], dir: impl AsFd, name: &FileName) -> io::Result<()> {
    Ok(rustix::fs::symlinkat(target, dir, name.as_c_str())?)
}

/// Makes a pipe or a device node; with no permissions beyond the owner's yet.
pub fn make_node(dir: impl AsFd, name: &FileName, kind: FileKind, device: u64) -> io::Result<()> {
    let kind = match kind {
        FileKind::Fifo => FileType::Fifo,
        FileKind::CharDevice => FileType::CharacterDevice,
        FileKind::BlockDevice => FileType::BlockDevice,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no special file")),
    };
    Ok(rustix::fs::mknodat(dir, name.as_c_str(), kind, Mode::RUSR | Mode::WUSR, device)?)
}

/// Removes a name that is no directory.
pub fn unlink(dir: impl AsFd, name: &FileName) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, name.as_c_str(), AtFlags::empty())?)
}

/// Removes an empty directory.
pub fn remove_dir(dir: impl AsFd, name: &FileName) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, name.as_c_str(), AtFlags::REMOVEDIR)?)
}

/// The names in a directory, in order.
pub fn list(dir: impl AsFd) -> io::Result<Vec<FileName>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        names.extend(FileName::new(entry?.file_name().to_bytes()));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
