//! One directory, listed: names in order, each with its attributes. Only descriptors are used, so that depth and
//! length of paths do not matter.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, RawDir};

use crate::sys::meta::{FileKind, Stat, lstat_at};

/// An open directory.
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl Dir {
    /// Opens a directory by path, following links: for the places a user named.
    pub fn open(path: &std::path::Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens a directory inside this one. `follow` is for the upper parts of a path a user named.
    pub fn open_at(&self, name: &CStr, follow: bool) -> io::Result<Self> {
        let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        Ok(Self(rustix::fs::openat(&self.0, name, flags, Mode::empty())?))
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// One line of a listing.
#[derive(Debug, Clone)]
pub struct Listed {
    name_at: u32,
    name_bytes: u16,
    /// Its attributes when it was listed.
    pub stat: Stat,
}

/// The entries of a directory, in order of the bytes of their names.
#[derive(Debug, Default)]
pub struct Listing {
    /// Names, each with a final NUL.
    names: Vec<u8>,
    /// The lines.
    pub entries: Vec<Listed>,
}

impl Listing {
    /// Adds a line; [`sort`](Self::sort) comes last.
    pub fn push(&mut self, name: &CStr, stat: Stat) {
        let bytes = name.to_bytes_with_nul();
        self.entries.push(Listed { name_at: self.names.len() as u32, name_bytes: bytes.len() as u16, stat });
        self.names.extend_from_slice(bytes);
    }

    /// The name of a line.
    pub fn name(&self, line: &Listed) -> &[u8] {
        let bytes = self.bytes_with_nul(line);
        &bytes[..bytes.len().saturating_sub(1)]
    }

    /// The name of a line, as system calls want it.
    pub fn c_name(&self, line: &Listed) -> &CStr {
        CStr::from_bytes_with_nul(self.bytes_with_nul(line)).unwrap_or_default()
    }

    /// Orders the lines by name.
    pub fn sort(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable_by(|a, b| self.name(a).cmp(self.name(b)));
        self.entries = entries;
    }

    /// Whether there is a line of this name; only after sorting.
    pub fn has(&self, name: &[u8]) -> bool {
        self.entries.binary_search_by(|line| self.name(line).cmp(name)).is_ok()
    }

    fn bytes_with_nul(&self, line: &Listed) -> &[u8] {
        let start = line.name_at as usize;
        &self.names[start..start + usize::from(line.name_bytes)]
    }
}

/// What a listing meets.
pub trait Visit {
    /// Whether to look at the attributes of an entry of this name and, as far as the directory itself tells, kind.
    fn wants(&mut self, name: &CStr, directory: bool) -> bool;
    /// An entry that vanished or cannot be asked for its attributes.
    fn failed(&mut self, name: &CStr, error: io::Error);
}

/// Reads a directory and the attributes of its entries.
pub fn list(dir: &Dir, visit: &mut dyn Visit) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let mut buffer = Vec::with_capacity(32 << 10);
    let mut raw = RawDir::new(dir, buffer.spare_capacity_mut());
    while let Some(entry) = raw.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if !visit.wants(name, entry.file_type() == rustix::fs::FileType::Directory) {
            continue;
        }
        match lstat_at(dir.as_fd(), name) {
            Ok(stat) => listing.push(name, stat),
            Err(error) => visit.failed(name, error),
        }
    }
    listing.sort();
    Ok(listing)
}

/// Opens a regular file inside a directory for reading, without following a link or waiting for a pipe.
pub fn open_file(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name, flags, Mode::empty())?)
}

/// Whether an entry is a directory.
pub fn is_directory(stat: &Stat) -> bool {
    stat.kind == FileKind::Directory
}

#[cfg(test)]
mod tests {
    use super::*;

    struct All;

    impl Visit for All {
        fn wants(&mut self, name: &CStr, _: bool) -> bool {
            name != c"skipped"
        }
        fn failed(&mut self, _: &CStr, error: io::Error) {
            panic!("{error}");
        }
    }

    #[test]
    fn a_listing_is_ordered_by_the_bytes_of_names_and_leaves_out_what_is_not_wanted() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b", "a", "é", "Z", "skipped"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        let listing = list(&Dir::open(folder.path()).unwrap(), &mut All).unwrap();
        let names: Vec<&[u8]> = listing.entries.iter().map(|line| listing.name(line)).collect();
        assert_eq!(names, [b"Z".as_slice(), b"a", b"b", b"link", "é".as_bytes()]);
        assert_eq!(listing.entries[3].stat.kind, FileKind::Symlink);
        assert!(listing.has(b"b") && !listing.has(b"c"));
    }
}
