//! Giving a file its owner, permissions, attributes and times, in the order in which none undoes another.
//!
//! Owner first: changing it clears setuid and capabilities. Then plain attributes, while the file is still
//! writable; then permissions; then ACLs and capabilities, which permissions would change; times at the very end.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use crate::base::clock::Timestamp;
use crate::sys::beneath::{self, FileName};
use crate::sys::meta::{FileKind, Stat, Xattr};
use crate::sys::xattr::{self, proc_path};

/// What a file shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    /// User; `None` leaves it.
    pub uid: Option<u32>,
    /// Group; `None` leaves it.
    pub gid: Option<u32>,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes.
    pub xattrs: Vec<Xattr>,
}

/// An attribute that could not be set. The others were.
#[derive(Debug)]
pub enum Trouble {
    /// Owner or group. Setuid and setgid were then left out of the permissions.
    Owner(io::Error),
    /// Permissions.
    Mode(io::Error),
    /// An extended attribute.
    Xattr(Vec<u8>, io::Error),
    /// The modification time.
    Time(io::Error),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner(error) => write!(f, "its owner cannot be set: {error}"),
            Self::Mode(error) => write!(f, "its permissions cannot be set: {error}"),
            Self::Xattr(name, error) => {
                write!(f, "its attribute {} cannot be set: {error}", String::from_utf8_lossy(name))
            }
            Self::Time(error) => write!(f, "its time cannot be set: {error}"),
        }
    }
}

/// Whether a file can have attributes that were not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Just made, in a directory that hands down nothing.
    Fresh,
    /// It was there before, or a default ACL may have been handed down to it.
    Found,
}

/// Gives an open file or directory, now described by `now`, its attributes. Empty if all were set.
pub fn apply_open(fd: impl AsFd, want: &Attributes, now: &Stat, origin: Origin) -> Vec<Trouble> {
    let fd = fd.as_fd();
    let mut troubles = Vec::new();
    let chown = |uid, gid| rustix::fs::fchown(fd, uid, gid);
    let (mode, chowned) = set_owner(want, now, &chown, &mut troubles);
    let present = match origin {
        Origin::Fresh => Vec::new(),
        Origin::Found => xattr::xattrs_of_fd(fd).unwrap_or_default(),
    };
    let set = |name: &CStr, value: &[u8]| rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty());
    let remove = |name: &CStr| rustix::fs::fremovexattr(fd, name);
    drop_xattrs(&want.xattrs, &present, &remove, &mut troubles);
    set_xattrs(&want.xattrs, &present, Stage::BeforeMode, &set, &mut troubles);
    // Dropping or setting an ACL changes the permission bits too.
    if chowned || now.mode != mode || !present.is_empty() {
        let done = rustix::fs::fchmod(fd, Mode::from_raw_mode(mode));
        troubles.extend(done.err().map(|error| Trouble::Mode(error.into())));
    }
    // The kernel drops capabilities whenever the owner changes.
    let present = if chowned { Vec::new() } else { present };
    set_xattrs(&want.xattrs, &present, Stage::AfterMode, &set, &mut troubles);
    if origin == Origin::Fresh || now.mtime != want.mtime {
        let done = rustix::fs::futimens(fd, &times(want.mtime));
        troubles.extend(done.err().map(|error| Trouble::Time(error.into())));
    }
    troubles
}

/// Gives something that must not be opened (a link, a pipe, a device) its attributes.
pub fn apply_named(dir: BorrowedFd<'_>, name: &FileName, want: &Attributes, now: &Stat) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let name_c = name.as_c_str();
    let chown = |uid, gid| rustix::fs::chownat(dir, name_c, uid, gid, AtFlags::SYMLINK_NOFOLLOW);
    let (mode, chowned) = set_owner(want, now, &chown, &mut troubles);
    if now.kind != FileKind::Symlink && (chowned || now.mode != mode) {
        let done = set_mode_of(dir, name, now, mode);
        troubles.extend(done.err().map(Trouble::Mode));
    }
    if !want.xattrs.is_empty() {
        let path = proc_path(dir, name_c);
        let present = xattr::xattrs_of(dir, name_c, now.kind).unwrap_or_default();
        let set = |name: &CStr, value: &[u8]| rustix::fs::lsetxattr(path.as_c_str(), name, value, XattrFlags::empty());
        set_xattrs(&want.xattrs, &present, Stage::BeforeMode, &set, &mut troubles);
        set_xattrs(&want.xattrs, &present, Stage::AfterMode, &set, &mut troubles);
    }
    let done = rustix::fs::utimensat(dir, name_c, &times(want.mtime), AtFlags::SYMLINK_NOFOLLOW);
    troubles.extend(done.err().map(|error| Trouble::Time(error.into())));
    troubles
}

/// `fchmodat` follows links, so the very file is held open while its permissions change.
fn set_mode_of(dir: BorrowedFd<'_>, name: &FileName, now: &Stat, mode: u32) -> io::Result<()> {
    let held = beneath::open_path(dir, name)?;
    if crate::sys::meta::fstat(&held)?.kind != now.kind {
        return Err(io::Error::other("it was replaced meanwhile"));
    }
    Ok(rustix::fs::chmod(beneath::path_of(&held), Mode::from_raw_mode(mode))?)
}

/// Lets the owner enter and change a directory that was there before. Only an owner other than root needs it.
pub fn make_accessible(dir: BorrowedFd<'_>, name: &FileName, now: &Stat) -> io::Result<()> {
    set_mode_of(dir, name, now, now.mode | 0o700)
}

type Chown<'a> = &'a dyn Fn(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>;

/// Returns the permissions that may be given now, and whether the owner was changed.
fn set_owner(want: &Attributes, now: &Stat, chown: Chown<'_>, troubles: &mut Vec<Trouble>) -> (u32, bool) {
    let uid = want.uid.filter(|&uid| uid != now.uid);
    let gid = want.gid.filter(|&gid| gid != now.gid);
    if uid.is_none() && gid.is_none() {
        return (want.mode, false);
    }
    // The number that means "leave it" to the kernel is no owner.
    let usable = |id: Option<u32>| id.filter(|&id| id != u32::MAX);
    let (user, group) = (usable(uid).map(Uid::from_raw), usable(gid).map(Gid::from_raw));
    let Err(error) = chown(user, group) else { return (want.mode, true) };
    // An account that may not give files away may still choose among its own groups.
    let group_set = uid.is_some() && group.is_some() && chown(None, group).is_ok();
    troubles.push(Trouble::Owner(error.into()));
    (want.mode & !0o6000, group_set)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    BeforeMode,
    AfterMode,
}

impl Stage {
    fn of(name: &[u8]) -> Self {
        let late = name.starts_with(b"system.posix_acl_") || name == b"security.capability";
        if late { Self::AfterMode } else { Self::BeforeMode }
    }
}

fn set_xattrs(
    want: &[Xattr],
    present: &[Xattr],
    stage: Stage,
    set: &dyn Fn(&CStr, &[u8]) -> rustix::io::Result<()>,
    troubles: &mut Vec<Trouble>,
) {
    for pair in want.iter().filter(|(name, _)| Stage::of(name) == stage) {
        if stage == Stage::BeforeMode && present.contains(pair) {
            continue;
        }
        let done = CString::new(pair.0.clone()).map_err(|_| Errno::INVAL).and_then(|name| set(&name, &pair.1));
        troubles.extend(done.err().map(|error| Trouble::Xattr(pair.0.clone(), error.into())));
    }
}

fn drop_xattrs(
    want: &[Xattr],
    present: &[Xattr],
    remove: &dyn Fn(&CStr) -> rustix::io::Result<()>,
    troubles: &mut Vec<Trouble>,
) {
    for (name, _) in present {
        // A security label is the system's own; it is replaced, never removed.
        let keep = want.iter().any(|(wanted, _)| wanted == name) || name == b"security.selinux";
        let Some(c_name) = CString::new(name.clone()).ok().filter(|_| !keep) else { continue };
        let done = remove(&c_name);
        troubles.extend(done.err().map(|error| Trouble::Xattr(name.clone(), error.into())));
    }
}

fn times(mtime: Timestamp) -> Timestamps {
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    Timestamps { last_access: omit, last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() } }
}

#[cfg(test)]
mod tests;
