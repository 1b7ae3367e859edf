//! What a killed restore leaves beside a node or in its place, and what the next call makes of it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli_fixture::Desk;
use crate::node::{self, Node};
use crate::skip::skip;

macro_rules! or_skip {
    ($made:expr, $test:literal) => {
        match $made {
            Some(made) => made,
            None => return skip(concat!("node_leftover::", $test), "only root may run a node as its account"),
        }
    };
}

/// A stopped node and a snapshot of it, and then a file more.
fn changed() -> Option<(Node, Desk)> {
    node::is_possible().then(|| {
        let (node, desk) = (Node::new("design"), Desk::with_repository());
        desk.run(&["backup", node.data_dir().to_str().unwrap(), "-q"]).expect_code(0);
        fs::write(node.data_dir().join("config/added"), "").unwrap();
        (node, desk)
    })
}

/// What is kept after a restore, and the same path with another word in it.
fn kept(node: &Node, word: &str) -> (PathBuf, PathBuf) {
    let entries = fs::read_dir(node.folder()).unwrap().flatten().map(|entry| entry.path());
    let found = entries.into_iter().find(|path| path.to_str().unwrap().contains("data.before-")).unwrap();
    let other = found.to_str().unwrap().replace("data.before-", word);
    (found, other.into())
}

fn beside(node: &Node) -> Vec<PathBuf> {
    let entries = fs::read_dir(node.folder()).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_str().unwrap().contains("data.")).collect()
}

#[test]
fn killed_right_after_the_exchange_a_restore_can_be_undone() {
    let (node, desk) = or_skip!(changed(), "killed_right_after_the_exchange_a_restore_can_be_undone");
    desk.run(&["restore", "latest"]).expect_code(0);
    let (before, restore) = kept(&node, "data.restore-");
    // As the exchange leaves it.
    fs::rename(&before, &restore).unwrap();
    desk.run(&["restore", "latest", "--undo"]).expect_code(0);
    assert!(node.data_dir().join("config/added").exists());
    assert_eq!(beside(&node), Vec::<PathBuf>::new());
    desk.run(&["restore", "latest"]).expect_code(0);
    fs::rename(&before, &restore).unwrap();
    desk.run(&["restore", "latest", "--forget-old"]).expect_code(0);
    assert!(!node.data_dir().join("config/added").exists());
    assert_eq!(beside(&node), Vec::<PathBuf>::new());
}

#[test]
fn what_was_being_removed_is_never_put_back() {
    let (node, desk) = or_skip!(changed(), "what_was_being_removed_is_never_put_back");
    desk.run(&["restore", "latest"]).expect_code(0);
    let (before, _) = kept(&node, "");
    let forgotten = PathBuf::from(format!("{}.forgotten", before.display()));
    fs::rename(&before, &forgotten).unwrap();
    fs::remove_dir_all(forgotten.join("config")).unwrap();
    desk.run(&["restore", "latest", "--undo"]).expect_code(2);
    assert!(node.data_dir().join("config").exists());
    desk.run(&["restore", "latest", "--forget-old"]).expect_code(0);
    assert_eq!(beside(&node), Vec::<PathBuf>::new());
    desk.run(&["restore", "latest", "--forget-old"]).expect_code(2);
}

#[test]
fn a_place_that_is_empty_but_for_what_restores_keep_there_is_filled() {
    let (node, desk) = or_skip!(changed(), "a_place_that_is_empty_but_for_what_restores_keep_there_is_filled");
    let bare = |place: &Path| {
        let _ = fs::remove_dir_all(place);
        fs::create_dir_all(place.join(".dssvault-before-0badcafe")).unwrap();
        fs::write(place.join(".dssvault-before-0badcafe/precious"), "").unwrap();
    };
    let is_filled = |place: &Path| {
        assert!(place.join("install.ini").exists() && place.join(".dssvault-before-0badcafe/precious").exists());
    };
    bare(&node.data_dir());
    let done = desk.run(&["restore", "latest", "--start"]).expect_code(0);
    assert!(done.out.contains("was started and answers"), "{}", done.out);
    is_filled(&node.data_dir());
    node.dss("stop");
    let to = node.folder().join("elsewhere");
    bare(&to);
    desk.run(&["restore", "latest", "--data-dir", to.to_str().unwrap()]).expect_code(0);
    is_filled(&to);
}
