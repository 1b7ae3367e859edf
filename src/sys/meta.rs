//! What a file is, asked of an open directory and a name, so that no path is ever too long and no link followed.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType};

use crate::base::clock::Timestamp;

pub use crate::sys::names::Names;
pub use crate::sys::sparse::{DataExtent, data_extents};
pub use crate::sys::xattr::{Xattr, xattrs_of, xattrs_of_fd};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// The attributes of one file, as `stat(2)` gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, 0 to 0o7777.
    pub mode: u32,
    /// Owning user.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Length in bytes; meaningless for directories and devices.
    pub size: u64,
    /// Last modification of the content.
    pub mtime: Timestamp,
    /// Last change of anything.
    pub ctime: Timestamp,
    /// The file system it lies on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// How many names it has.
    pub nlink: u64,
    /// Device number of a device node.
    pub rdev: u64,
    /// Allocated units of 512 bytes.
    pub blocks: u64,
}

impl Stat {
    /// Whether less is allocated than the length asks for: looking for holes is worth its calls.
    pub fn may_have_holes(&self) -> bool {
        self.kind == FileKind::File && self.blocks.saturating_mul(512) < self.size
    }

    #[expect(clippy::unnecessary_cast, reason = "the widths of these fields differ between platforms")]
    fn from_raw(raw: &rustix::fs::Stat) -> io::Result<Self> {
        let kind = match FileType::from_raw_mode(raw.st_mode) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            FileType::CharacterDevice => FileKind::CharDevice,
            FileType::BlockDevice => FileKind::BlockDevice,
            FileType::Unknown => return Err(io::Error::new(io::ErrorKind::Unsupported, "a file of an unknown kind")),
        };
        let moment = |seconds: i64, nanos: u32| Timestamp { seconds, nanos: nanos.min(999_999_999) };
        Ok(Self {
            kind,
            mode: raw.st_mode as u32 & 0o7777,
            uid: raw.st_uid,
            gid: raw.st_gid,
            size: u64::try_from(raw.st_size).unwrap_or(0),
            mtime: moment(raw.st_mtime as i64, raw.st_mtime_nsec as u32),
            ctime: moment(raw.st_ctime as i64, raw.st_ctime_nsec as u32),
            device: raw.st_dev as u64,
            inode: raw.st_ino as u64,
            nlink: raw.st_nlink as u64,
            rdev: raw.st_rdev as u64,
            blocks: u64::try_from(raw.st_blocks).unwrap_or(0),
        })
    }
}

/// The attributes of `name` in `dir`; of a link itself, not of what it points to. One system call.
pub fn lstat_at(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<Stat> {
    Stat::from_raw(&rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The attributes of an open file. One system call.
pub fn fstat(fd: impl AsFd) -> io::Result<Stat> {
    Stat::from_raw(&rustix::fs::fstat(fd)?)
}

/// Where a symbolic link points: raw bytes, as stored.
pub fn readlink_at(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<Vec<u8>> {
    Ok(rustix::fs::readlinkat(dir, name, Vec::new())?.into_bytes())
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs::{self, File};
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn name(text: &str) -> CString {
        CString::new(text).unwrap()
    }

    #[test]
    fn a_link_is_described_itself_not_its_target() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere/at all", dir.path().join("link")).unwrap();
        let open = File::open(dir.path()).unwrap();

        let stat = lstat_at(open.as_fd(), &name("link")).unwrap();

        assert_eq!(stat.kind, FileKind::Symlink);
        assert_eq!(readlink_at(open.as_fd(), &name("link")).unwrap(), b"nowhere/at all");
    }

    #[test]
    fn a_file_has_the_same_attributes_by_name_and_by_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), b"seven b").unwrap();
        let open = File::open(dir.path()).unwrap();

        let by_name = lstat_at(open.as_fd(), &name("file")).unwrap();
        let by_fd = fstat(File::open(dir.path().join("file")).unwrap()).unwrap();

        assert_eq!(by_name, by_fd);
        assert_eq!((by_fd.kind, by_fd.size, by_fd.nlink), (FileKind::File, 7, 1));
    }

    #[test]
    fn names_that_are_not_text_work() {
        let dir = tempfile::tempdir().unwrap();
        let odd = b"\xff\n\xfe";
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(odd)), b"").unwrap();
        let open = File::open(dir.path()).unwrap();
        assert_eq!(lstat_at(open.as_fd(), &CString::new(odd).unwrap()).unwrap().size, 0);
    }
}
