//! What is backed up comes back as it was, in everything a file system can hold.

use std::fs;
use std::os::fd::AsFd;

use dssvault::sys::beneath::{FileName, open_root};
use dssvault::sys::remove::remove_all;
use dssvault::vault::restore::RestoreOptions;

use crate::awkward_tree;
use crate::lab::Lab;
use crate::tree_diff::{differences, restored};

#[test]
fn the_awkward_tree_comes_back_as_it_was() {
    let lab = Lab::new();
    let source = lab.path("source");
    let tree = awkward_tree::make(&source);
    let manifest = lab.back_up(&source);

    let report = lab.restore_part(&manifest, &source, "target");

    assert_eq!(report.failures, []);
    assert_eq!(differences(&source, &lab.path("target")), Vec::<String>::new(), "left out: {:?}", tree.left_out);
    let sockets: Vec<&str> = report.warnings.iter().map(|warning| warning.cause.as_str()).collect();
    assert!(matches!(sockets.as_slice(), [one] if one.contains("socket")), "{:?}", report.warnings);
    clear(&lab, "target");
}

#[test]
fn a_second_restore_over_the_first_changes_nothing_and_verifies() {
    let lab = Lab::new();
    let source = lab.path("source");
    let _tree = awkward_tree::make(&source);
    let manifest = lab.back_up(&source);
    let first = lab.restore_part(&manifest, &source, "target");

    let options = RestoreOptions { verify: true, ..lab.part(&source, "target") };
    let second = lab.restore(&manifest, &options).unwrap();

    assert_eq!((&second.failures, second.files, second.bytes), (&Vec::new(), 0, 0), "{second:?}");
    assert_eq!((second.unchanged, second.others), (first.files, first.others));
    assert!(second.verified > 1500);
    assert_eq!(differences(&source, &lab.path("target")), Vec::<String>::new());
    clear(&lab, "target");
}

#[test]
fn a_whole_snapshot_comes_back_under_the_absolute_path_of_its_source() {
    let lab = Lab::new();
    let source = lab.path("source");
    fs::create_dir_all(source.join("a/b")).unwrap();
    fs::write(source.join("a/b/file"), b"content").unwrap();
    let manifest = lab.back_up(&source);
    let options = RestoreOptions { target: lab.path("target"), ..RestoreOptions::default() };

    let report = lab.restore(&manifest, &options).unwrap();

    assert_eq!(report.failures, []);
    assert_eq!(differences(&source, &restored(&lab.path("target"), &source)), Vec::<String>::new());
}

/// Removes a target that is too deep for the usual ways.
fn clear(lab: &Lab, name: &str) {
    let folder = open_root(lab.path(name).parent().unwrap()).unwrap();
    remove_all(folder.as_fd(), &FileName::new(name).unwrap()).unwrap();
}
