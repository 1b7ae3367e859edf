//! Extended attributes: `user.*`, `security.*`, `trusted.*`, and POSIX ACLs, which are attributes too.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::sys::meta::FileKind;

/// Full name, with its namespace, and value.
pub type Xattr = (Vec<u8>, Vec<u8>);

/// What the list of names usually fits in; most files have none.
const LIST_GUESS: usize = 1024;
/// What the kernel allows for a list and for a value.
const BYTES_MAX: usize = 64 << 10;

/// Attributes of an open file, ordered by name. One system call when there are none.
pub fn xattrs_of_fd(fd: impl AsFd) -> io::Result<Vec<Xattr>> {
    let fd = fd.as_fd();
    collect(|list| rustix::fs::flistxattr(fd, list), |name, value| rustix::fs::fgetxattr(fd, name, value))
}

/// Attributes of `name` in `dir`, ordered by name; of a link itself. For what cannot or must not be opened.
pub fn xattrs_of(dir: BorrowedFd<'_>, name: &CStr, kind: FileKind) -> io::Result<Vec<Xattr>> {
    // Links and special files cannot hold `user.*`, but may hold `security.*` and `trusted.*`: all kinds are asked.
    let _ = kind;
    let path = proc_path(dir, name);
    let path = path.as_c_str();
    collect(|list| rustix::fs::llistxattr(path, list), |name, value| rustix::fs::lgetxattr(path, name, value))
}

/// Whether the file system a path lies on keeps POSIX ACLs; one that cannot be asked is taken to.
pub fn holds_acls(path: &std::path::Path) -> bool {
    rustix::fs::getxattr(path, c"system.posix_acl_access", &mut [0u8; LIST_GUESS]) != Err(Errno::OPNOTSUPP)
}

/// A short path to `name` in `dir`, however deep `dir` lies. Only the last component is not resolved through links.
pub fn proc_path(dir: BorrowedFd<'_>, name: &CStr) -> CString {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    // Neither part holds a NUL, so nothing is ever cut off.
    CString::new(path).unwrap_or_default()
}

fn collect(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&CStr, &mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Vec<Xattr>> {
    let mut guess = [0u8; LIST_GUESS];
    let mut long = Vec::new();
    let names = match list(&mut guess) {
        Ok(length) => &guess[..length.min(LIST_GUESS)],
        Err(Errno::RANGE) => {
            long.resize(BYTES_MAX, 0);
            let length = list(&mut long)?;
            &long[..length.min(BYTES_MAX)]
        }
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => &[],
        Err(error) => return Err(error.into()),
    };
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let mut value = vec![0u8; BYTES_MAX];
    for name in names.split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        match get(name, &mut value) {
            Ok(length) => found.push((name.to_bytes().to_vec(), value[..length.min(BYTES_MAX)].to_vec())),
            // It vanished meanwhile, or is listed by a file system that does not hand it out.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use rustix::fs::XattrFlags;

    use super::*;

    #[test]
    fn file_systems_tell_whether_they_keep_acls() {
        assert!(!holds_acls(std::path::Path::new("/proc")));
        assert!(holds_acls(tempfile::tempdir().unwrap().path()));
    }

    #[test]
    fn attributes_come_ordered_by_name_whichever_way_they_are_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, b"").unwrap();
        for (name, value) in [("user.zebra", "z"), ("user.ant", ""), ("user.mule", "\u{fc}")] {
            rustix::fs::setxattr(&path, name, value.as_bytes(), XattrFlags::empty()).unwrap();
        }
        let open = File::open(dir.path()).unwrap();

        let by_fd = xattrs_of_fd(File::open(&path).unwrap()).unwrap();
        let by_name = xattrs_of(open.as_fd(), c"file", FileKind::File).unwrap();

        let user =
            |all: &[Xattr]| all.iter().filter(|(name, _)| name.starts_with(b"user.")).cloned().collect::<Vec<_>>();
        assert_eq!(by_fd, by_name);
        let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        assert_eq!(user(&by_fd), [pair("user.ant", ""), pair("user.mule", "\u{fc}"), pair("user.zebra", "z")]);
    }

    #[test]
    fn many_attributes_are_all_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, b"").unwrap();
        for number in 0..60 {
            let name = format!("user.an-attribute-with-a-rather-long-name-{number}");
            rustix::fs::setxattr(&path, name, b"v", XattrFlags::empty()).unwrap();
        }
        let found = xattrs_of_fd(File::open(&path).unwrap()).unwrap();
        assert_eq!(found.iter().filter(|(name, _)| name.starts_with(b"user.an-")).count(), 60);
    }
}
