//! Restoring into a tree that is there: only what differs is changed, only what may go goes.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

use dssvault::repo::snapshot::Manifest;
use dssvault::vault::restore::{Overwrite, RestoreOptions, RestoreReport};

use crate::lab::Lab;
use crate::tree_diff::differences;

/// A source with small and large files, backed up and restored once.
fn restored_once() -> (Lab, Manifest) {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    let mut noise = vec![0; 6 << 20];
    blake3::Hasher::new().update(b"existing").finalize_xof().fill(&mut noise);
    fs::write(source.join("large"), &noise).unwrap();
    for number in 0..20 {
        fs::write(source.join(format!("sub/{number}")), format!("file {number}")).unwrap();
    }
    let manifest = lab.back_up(&source);
    assert_eq!(lab.restore_part(&manifest, &source, "target").failures, []);
    (lab, manifest)
}

fn again(lab: &Lab, manifest: &Manifest, change: impl FnOnce(&mut RestoreOptions)) -> RestoreReport {
    let mut options = lab.part(&lab.path("source"), "target");
    change(&mut options);
    lab.restore(manifest, &options).unwrap()
}

fn touch_up(path: &Path, at: u64, bytes: &[u8]) {
    let before = fs::metadata(path).unwrap().modified().unwrap();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
    file.set_modified(before).unwrap();
}

#[test]
fn only_the_chunks_that_differ_are_written_and_the_file_stays_the_same_inode() {
    let (lab, manifest) = restored_once();
    let large = lab.path("target/large");
    let inode = fs::metadata(&large).unwrap().ino();
    touch_up(&large, 3 << 20, b"a change nobody can see in size or time");

    let report = again(&lab, &manifest, |_| {});

    assert_eq!((report.files, report.unchanged, report.failures.len()), (1, 20, 0));
    assert!(report.bytes > 0 && report.bytes < 2 << 20, "{}", report.bytes);
    assert_eq!(fs::metadata(&large).unwrap().ino(), inode);
    assert_eq!(differences(&lab.path("source"), &lab.path("target")), Vec::<String>::new());
}

#[test]
fn files_too_long_or_too_short_get_their_length_back() {
    let (lab, manifest) = restored_once();
    fs::OpenOptions::new().write(true).open(lab.path("target/large")).unwrap().set_len(7 << 20).unwrap();
    fs::write(lab.path("target/sub/1"), b"file 1 and more").unwrap();
    fs::write(lab.path("target/sub/2"), b"f").unwrap();
    let report = again(&lab, &manifest, |_| {});
    assert_eq!((report.files, report.failures.len()), (3, 0));
    assert_eq!(differences(&lab.path("source"), &lab.path("target")), Vec::<String>::new());
}

#[test]
fn if_changed_trusts_size_and_time_but_still_sets_attributes() {
    let (lab, manifest) = restored_once();
    touch_up(&lab.path("target/sub/3"), 0, b"FILE 3");
    fs::set_permissions(lab.path("target/sub/4"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(lab.path("target/sub/5"), b"changed").unwrap();

    let report = again(&lab, &manifest, |options| options.overwrite = Overwrite::IfChanged);

    assert_eq!((report.files, report.failures.len()), (1, 0), "{report:?}");
    assert_eq!(fs::read(lab.path("target/sub/3")).unwrap(), b"FILE 3");
    assert_eq!(differences(&lab.path("source"), &lab.path("target")), ["content \"sub/3\""]);
}

#[test]
fn never_leaves_existing_files_alone_and_makes_the_missing_ones() {
    let (lab, manifest) = restored_once();
    fs::write(lab.path("target/sub/6"), b"mine").unwrap();
    fs::remove_file(lab.path("target/sub/7")).unwrap();
    let report = again(&lab, &manifest, |options| {
        options.overwrite = Overwrite::Never;
        options.verify = true;
    });
    assert_eq!((report.files, report.unchanged, report.failures.len()), (1, 20, 0), "{report:?}");
    assert!(report.warnings.iter().any(|warning| warning.path.ends_with("sub/6")));
    assert_eq!(fs::read(lab.path("target/sub/6")).unwrap(), b"mine");
    assert_eq!(fs::read(lab.path("target/sub/7")).unwrap(), b"file 7");
}

#[test]
fn delete_removes_what_the_snapshot_has_not_and_the_filters_allow() {
    let (lab, manifest) = restored_once();
    fs::create_dir_all(lab.path("target/extra/deep")).unwrap();
    fs::write(lab.path("target/extra/deep/file"), b"x").unwrap();
    fs::write(lab.path("target/sub/extra"), b"x").unwrap();
    fs::write(lab.path("target/sub/extra.keep"), b"x").unwrap();
    fs::write(lab.path("target/sub/8"), b"excluded, so not restored and not removed").unwrap();

    let exclude = |options: &mut RestoreOptions| options.exclude = vec!["*.keep".to_owned(), "8".to_owned()];
    let without = again(&lab, &manifest, exclude);
    assert!(lab.path("target/extra").exists() && without.deleted == 0);
    let report = again(&lab, &manifest, |options| {
        exclude(options);
        options.delete = true;
    });

    assert_eq!((report.deleted, report.failures.len()), (4, 0), "{report:?}");
    assert!(!lab.path("target/extra").exists() && !lab.path("target/sub/extra").exists());
    assert!(lab.path("target/sub/extra.keep").exists() && lab.path("target/sub/8").exists());
}

#[test]
fn what_is_of_another_kind_is_replaced_but_a_full_directory_only_with_delete() {
    let (lab, manifest) = restored_once();
    for name in ["9", "10"] {
        fs::remove_file(lab.path(&format!("target/sub/{name}"))).unwrap();
        fs::create_dir(lab.path(&format!("target/sub/{name}"))).unwrap();
    }
    fs::write(lab.path("target/sub/10/full"), b"x").unwrap();

    let report = again(&lab, &manifest, |_| {});
    assert!(matches!(report.failures.as_slice(), [one] if one.cause.contains("--delete")), "{report:?}");
    assert_eq!(fs::read(lab.path("target/sub/9")).unwrap(), b"file 9");
    assert!(lab.path("target/sub/10/full").exists());

    let report = again(&lab, &manifest, |options| options.delete = true);
    assert_eq!(report.failures, []);
    assert_eq!(differences(&lab.path("source"), &lab.path("target")), Vec::<String>::new());
}

#[test]
fn a_file_in_the_place_of_a_directory_is_replaced() {
    let (lab, manifest) = restored_once();
    fs::remove_dir_all(lab.path("target/sub")).unwrap();
    fs::write(lab.path("target/sub"), b"a file").unwrap();
    assert_eq!(again(&lab, &manifest, |_| {}).failures, []);
    assert_eq!(differences(&lab.path("source"), &lab.path("target")), Vec::<String>::new());
}

#[test]
fn data_where_a_hole_should_be_is_emptied_again() {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir(&source).unwrap();
    let sparse = fs::File::create(source.join("sparse")).unwrap();
    sparse.set_len(16 << 20).unwrap();
    sparse.write_all_at(&[7; 4096], 8 << 20).unwrap();
    let manifest = lab.back_up(&source);
    lab.restore_part(&manifest, &source, "target");
    touch_up(&lab.path("target/sparse"), 2 << 20, &[9; 1 << 20]);

    let report = again(&lab, &manifest, |_| {});

    assert_eq!(report.failures, []);
    assert_eq!(differences(&source, &lab.path("target")), Vec::<String>::new());
}

#[test]
fn a_default_acl_of_the_target_is_not_handed_down() {
    let (lab, manifest) = restored_once();
    let other = lab.path("other");
    fs::create_dir(&other).unwrap();
    let acl = crate::awkward_tree::acl(7);
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(&other, "system.posix_acl_default", &acl, flags).is_err() {
        return crate::skip::skip("a_default_acl_of_the_target_is_not_handed_down", "no ACLs here");
    }
    let report = lab.restore_part(&manifest, &lab.path("source"), "other");
    assert_eq!(report.failures, []);
    assert_eq!(differences(&lab.path("source"), &other), Vec::<String>::new());
}
