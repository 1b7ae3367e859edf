//! What is mounted where, from `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::fsnap::error::FsnapError;

const TABLE: &str = "/proc/self/mountinfo";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Its number while it exists.
    pub id: u64,
    /// Major and minor number of the device; of no use for btrfs and ZFS.
    pub device: (u32, u32),
    /// What of the file system is mounted: a path from its own top.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// `ext4`, `btrfs`, `fuse.zfs` …
    pub fs_type: String,
    /// Device, dataset or share.
    pub source: OsString,
    /// Options of the file system as a whole, not of this mount.
    pub super_options: String,
}

impl Mount {
    /// Whether nothing can be written to the file system through any mount.
    pub fn is_read_only(&self) -> bool {
        self.super_options.split(',').any(|option| option == "ro")
    }

    /// Where `path`, which lies below this mount, is in the file system, from its top and without leading `/`.
    pub fn path_inside(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.point).ok()?;
        let root = self.root.strip_prefix("/").unwrap_or(&self.root);
        Some(root.components().chain(below.components()).collect())
    }
}

/// All mounts, in the order they were made.
pub(super) fn all() -> Result<Vec<Mount>, FsnapError> {
    let text = fs::read(TABLE).map_err(FsnapError::io("read", Path::new(TABLE)))?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// The mount that holds an existing directory; told by the kernel, so that mounts over mounts do not mislead.
pub(super) fn holding(dir: &Path) -> Result<Mount, FsnapError> {
    let open = File::open(dir).map_err(FsnapError::io("open", dir))?;
    let facts = PathBuf::from(format!("/proc/self/fdinfo/{}", open.as_raw_fd()));
    let text = fs::read_to_string(&facts).map_err(FsnapError::io("read", &facts))?;
    let number = text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse::<u64>().ok());
    all()?.into_iter().find(|mount| Some(mount.id) == number).ok_or_else(|| FsnapError::Io {
        action: "find the mount of",
        path: dir.to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::NotFound, "it is not in /proc/self/mountinfo"),
    })
}

/// The topmost of the mounts made exactly at `point`.
pub(super) fn at(point: &Path) -> Result<Option<Mount>, FsnapError> {
    Ok(all()?.into_iter().rev().find(|mount| mount.point == point))
}

fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = text(fields.next()?).parse().ok()?;
    let device = text(fields.nth(1)?);
    let (major, minor) = device.split_once(':')?;
    let (root, point) = (fields.next()?, fields.next()?);
    // Optional fields have no fixed number; a lone hyphen ends them.
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    Some(Mount {
        id,
        device: (major.parse().ok()?, minor.parse().ok()?),
        root: OsString::from_vec(unescape(root)).into(),
        point: OsString::from_vec(unescape(point)).into(),
        fs_type: text(rest.next()?),
        source: OsString::from_vec(unescape(rest.next()?)),
        super_options: rest.next().map(text).unwrap_or_default(),
    })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// Blanks, tabs, line ends and backslashes stand as three octal digits behind a backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        match octal(behind).filter(|_| *first == b'\\') {
            Some(byte) => {
                plain.push(byte);
                rest = &behind[3..];
            }
            None => {
                plain.push(*first);
                rest = behind;
            }
        }
    }
    plain
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = digits.get(..3).filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_and_without_optional_fields() {
        let line =
            b"36 35 98:0 /sub\\040dir /mnt/a\\134b rw,noatime shared:1 master:2 - ext4 /dev/root rw,errors=continue";
        let mount = parse(line).unwrap();
        assert_eq!((mount.id, mount.device), (36, (98, 0)));
        assert_eq!((mount.root.as_path(), mount.point.as_path()), (Path::new("/sub dir"), Path::new("/mnt/a\\b")));
        assert_eq!((mount.fs_type.as_str(), mount.source.to_str()), ("ext4", Some("/dev/root")));
        assert!(!mount.is_read_only());
        let mount = parse(b"22 27 0:21 / /proc ro - proc proc ro").unwrap();
        assert!(mount.is_read_only());
        assert_eq!(mount.path_inside(Path::new("/proc/sys/x")), Some("sys/x".into()));
    }

    #[test]
    fn a_bind_mount_of_a_folder_leads_back_to_the_path_in_its_file_system() {
        let mount = parse(b"36 35 0:40 /@home/user /srv/dss rw - btrfs /dev/sda rw").unwrap();
        assert_eq!(mount.path_inside(Path::new("/srv/dss/a")), Some("@home/user/a".into()));
        assert_eq!(mount.path_inside(Path::new("/srv/dss")), Some("@home/user".into()));
        assert_eq!(mount.path_inside(Path::new("/elsewhere")), None);
    }

    #[test]
    fn broken_lines_are_no_mounts() {
        for line in [&b""[..], b"1", b"1 2 x / / rw - a b c", b"36 35 98:0 / /mnt rw", b"36 35 98:0 / /m\\9 rw -"] {
            assert_eq!(parse(line), None);
        }
        assert_eq!(unescape(b"\\04"), b"\\04");
        assert_eq!(unescape(b"\\777\\040"), b"\\777 ");
    }

    #[test]
    fn the_mount_of_proc_is_found() {
        let mount = holding(Path::new("/proc")).unwrap();
        assert_eq!((mount.fs_type.as_str(), mount.point.as_path()), ("proc", Path::new("/proc")));
        assert_eq!(at(Path::new("/proc")).unwrap(), Some(mount));
    }
}
