//! What one attribute would undo of another, tried. Parts that need root are left out for others.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::sys::meta::{fstat, lstat_at};

fn plain(mode: u32) -> Attributes {
    let mtime = Timestamp { seconds: -5, nanos: 123_456_789 };
    Attributes { mode, uid: None, gid: None, mtime, xattrs: Vec::new() }
}

/// An access ACL: owner rw, user 1234 r, group r, mask rw, others none.
fn acl(mask: u16) -> Vec<u8> {
    let entry = |tag: u16, permissions: u16, id: u32| {
        [tag.to_le_bytes().as_slice(), &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let none = u32::MAX;
    let entries =
        [entry(1, 6, none), entry(2, 4, 1234), entry(4, 4, none), entry(0x10, mask, none), entry(0x20, 0, none)];
    [2u32.to_le_bytes().as_slice(), &entries.concat()].concat()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_time_before_1970_is_set_to_the_nanosecond() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let now = fstat(file.as_file()).unwrap();
    assert!(apply_open(file.as_file(), &plain(0o640), &now, Origin::Fresh).is_empty());
    let after = fstat(file.as_file()).unwrap();
    assert_eq!((after.mode, after.mtime), (0o640, plain(0).mtime));
}

#[test]
fn an_acl_and_the_permissions_it_masks_agree_with_both() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut want = plain(0o660);
    want.xattrs = vec![(b"system.posix_acl_access".to_vec(), acl(6)), (b"user.note".to_vec(), b"n".to_vec())];
    let now = fstat(file.as_file()).unwrap();

    assert!(apply_open(file.as_file(), &want, &now, Origin::Fresh).is_empty());

    assert_eq!(fstat(file.as_file()).unwrap().mode, 0o660);
    assert_eq!(xattr::xattrs_of_fd(file.as_file()).unwrap(), want.xattrs);
}

#[test]
fn what_a_file_had_before_and_should_not_have_goes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut before = plain(0o660);
    before.xattrs = vec![(b"system.posix_acl_access".to_vec(), acl(6)), (b"user.old".to_vec(), b"o".to_vec())];
    apply_open(file.as_file(), &before, &fstat(file.as_file()).unwrap(), Origin::Fresh);
    let mut want = plain(0o604);
    want.xattrs = vec![(b"user.new".to_vec(), b"n".to_vec())];

    let troubles = apply_open(file.as_file(), &want, &fstat(file.as_file()).unwrap(), Origin::Found);

    assert!(troubles.is_empty(), "{troubles:?}");
    assert_eq!(xattr::xattrs_of_fd(file.as_file()).unwrap(), want.xattrs);
    assert_eq!(fstat(file.as_file()).unwrap().mode, 0o604);
}

#[test]
fn setuid_and_capabilities_survive_a_change_of_owner() {
    if !is_root() {
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec();
    let mut want = plain(0o6755);
    (want.uid, want.gid) = (Some(1234), Some(4321));
    want.xattrs = vec![(b"security.capability".to_vec(), capability)];
    for origin in [Origin::Fresh, Origin::Found] {
        want.uid = want.uid.map(|uid| uid + 1);
        let troubles = apply_open(file.as_file(), &want, &fstat(file.as_file()).unwrap(), origin);
        let after = fstat(file.as_file()).unwrap();
        assert!(troubles.is_empty(), "{troubles:?}");
        assert_eq!((after.mode, Some(after.uid), Some(after.gid)), (0o6755, want.uid, want.gid));
        assert_eq!(xattr::xattrs_of_fd(file.as_file()).unwrap(), want.xattrs);
    }
}

#[test]
fn a_link_gets_its_own_attributes_and_its_target_none() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("target"), b"").unwrap();
    fs::set_permissions(dir.path().join("target"), fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("target", dir.path().join("link")).unwrap();
    let before = fs::metadata(dir.path().join("target")).unwrap();
    let open = File::open(dir.path()).unwrap();
    let name = FileName::new("link").unwrap();
    let mut want = plain(0o777);
    if is_root() {
        (want.uid, want.gid) = (Some(1234), Some(4321));
    }

    let now = lstat_at(open.as_fd(), name.as_c_str()).unwrap();
    let troubles = apply_named(open.as_fd(), &name, &want, &now);

    assert!(troubles.is_empty(), "{troubles:?}");
    let after = fs::metadata(dir.path().join("target")).unwrap();
    assert_eq!((after.mtime_nsec(), after.mode(), after.uid()), (before.mtime_nsec(), before.mode(), before.uid()));
    assert_eq!(lstat_at(open.as_fd(), name.as_c_str()).unwrap().mtime, want.mtime);
}

#[test]
fn an_owner_that_cannot_be_given_takes_setuid_with_it() {
    let refuse = |_: Option<Uid>, _: Option<Gid>| Err(Errno::PERM);
    let mut want = plain(0o6755);
    (want.uid, want.gid) = (Some(1), Some(1));
    let now = fstat(tempfile::tempfile().unwrap()).unwrap();
    let mut troubles = Vec::new();
    let (mode, _) = set_owner(&want, &Stat { uid: 7, gid: 7, ..now }, &refuse, &mut troubles);
    assert_eq!(mode, 0o755);
    assert!(matches!(troubles.as_slice(), [Trouble::Owner(_)]));
}
