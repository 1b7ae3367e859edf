//! Every way out of a directory, tried.

use std::fs::{self, File};
use std::os::unix::fs::symlink as plain_symlink;

use super::*;

fn name(text: &str) -> FileName {
    FileName::new(text).unwrap()
}

#[test]
fn only_single_components_are_names() {
    for bad in ["", ".", "..", "a/b", "/", "nul\0", &"x".repeat(256)] {
        assert_eq!(FileName::new(bad), None, "{bad:?}");
    }
    assert!(FileName::new(b"\xff\n".to_vec()).is_some() && FileName::new("...").is_some());
}

#[test]
fn a_link_is_followed_neither_as_last_name_nor_on_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("sub")).unwrap();
    fs::write(outside.path().join("file"), b"").unwrap();
    plain_symlink(outside.path(), dir.path().join("link")).unwrap();
    plain_symlink(outside.path().join("file"), dir.path().join("file")).unwrap();
    plain_symlink(outside.path().join("new"), dir.path().join("new")).unwrap();
    let root = open_root(dir.path()).unwrap();

    assert!(open_dir(&root, &name("link")).is_err());
    assert!(open_dirs(root.as_fd(), &[&name("link"), &name("sub")]).is_err());
    assert!(descend_by_steps(root.as_fd(), &[&name("link"), &name("sub")]).is_err());
    assert!(open_file(&root, &name("file"), true).is_err());
    assert!(create_file(&root, &name("new"), 0o600).is_err());
    assert!(make_dir(&root, &name("link")).is_err());
    assert!(!outside.path().join("new").exists());
}

#[test]
fn a_way_longer_than_any_path_is_walked() {
    let dir = tempfile::tempdir().unwrap();
    let root = open_root(dir.path()).unwrap();
    let long = name(&"d".repeat(200));
    let mut at = root.try_clone().unwrap();
    for _ in 0..100 {
        make_dir(&at, &long).unwrap();
        at = open_dir(&at, &long).unwrap();
    }
    drop(create_file(&at, &name("deep"), 0o600).unwrap());

    let way = vec![&long; 100];
    let reached = open_dirs(root.as_fd(), &way).unwrap();
    let by_steps = descend_by_steps(root.as_fd(), &way).unwrap();

    assert_eq!(list(&reached).unwrap(), [name("deep")]);
    assert_eq!(meta::fstat(&by_steps).unwrap(), meta::fstat(&reached).unwrap());
    crate::sys::remove::remove_all(root.as_fd(), &long).unwrap();
}

#[test]
fn what_is_there_is_never_opened_as_new_and_a_pipe_never_as_a_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("there"), b"mine").unwrap();
    let root = File::open(dir.path()).unwrap();
    make_node(&root, &name("pipe"), FileKind::Fifo, 0).unwrap();

    assert_eq!(create_file(&root, &name("there"), 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert!(open_file(&root, &name("pipe"), false).is_err(), "and it did not wait for a writer");
    assert_eq!(fs::read(dir.path().join("there")).unwrap(), b"mine");
}

#[test]
fn a_listing_is_in_order_and_leaves_out_the_dots() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["b", "a", "..."] {
        fs::write(dir.path().join(file), b"").unwrap();
    }
    assert_eq!(list(open_root(dir.path()).unwrap()).unwrap(), ["...", "a", "b"].map(name));
}
