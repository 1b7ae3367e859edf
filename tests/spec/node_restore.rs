//! Bringing a node back to its own place: never over a running one, never half, and with a way back.

use std::fs;
use std::path::PathBuf;

use crate::cli_fixture::Desk;
use crate::node::{self, Node};
use crate::skip::skip;
use crate::tree_diff::differences;

/// A node with content and a snapshot of it, taken while it was stopped.
fn saved() -> Option<(Node, Desk)> {
    node::is_possible().then(|| {
        let (node, desk) = (Node::new("design"), Desk::with_repository());
        node.fill();
        desk.run(&["backup", node.data_dir().to_str().unwrap(), "--preset", "full"]).expect_code(0);
        (node, desk)
    })
}

macro_rules! or_skip {
    ($made:expr, $test:literal) => {
        match $made {
            Some(made) => made,
            None => return skip(concat!("node_restore::", $test), "only root may run a node as its account"),
        }
    };
}

/// A copy of the directory as it was saved, to compare with.
fn copy(node: &Node) -> PathBuf {
    let copy = node.folder().join("copy");
    let done = std::process::Command::new("cp").arg("-a").arg(node.data_dir()).arg(&copy).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    copy
}

/// Differences but for sockets, and for what a running node may not bring back.
fn misses(saved: &std::path::Path, now: &std::path::Path) -> Vec<String> {
    let expected = |line: &String| !line.contains("svd.sock") && !line.contains("index.lock") && !line.contains(".pid");
    differences(saved, now).into_iter().filter(expected).collect()
}

fn wreck(node: &Node) {
    fs::remove_dir_all(node.data_dir().join("config/projects")).unwrap();
    fs::write(node.data_dir().join("config/dip.properties"), "wrecked").unwrap();
    fs::write(node.data_dir().join("config/added"), "by mistake").unwrap();
}

#[test]
fn a_wrecked_node_comes_back_whole_starts_and_the_old_one_is_kept() {
    let (node, desk) = or_skip!(saved(), "a_wrecked_node_comes_back_whole_starts_and_the_old_one_is_kept");
    let saved = copy(&node);
    wreck(&node);
    let done = desk.run(&["restore", "latest", "--verify"]).expect_code(0);
    assert!(done.out.contains("is kept as"), "{}", done.out);
    assert_eq!(misses(&saved, &node.data_dir()), Vec::<String>::new());
    node.start();
    assert!(node.is_running());
    node.dss("stop");

    let undone = desk.run(&["restore", "latest", "--undo"]).expect_code(0);
    assert!(undone.out.contains("is what it was"), "{}", undone.out);
    assert_eq!(node.text("config/dip.properties"), "wrecked");
    desk.run(&["restore", "latest", "--undo"]).expect_code(2);

    desk.run(&["restore", "latest", "--start"]).expect_code(0);
    assert!(node.is_running());
    desk.run(&["restore", "latest", "--forget-old"]).expect_code(0);
    let left = fs::read_dir(node.folder()).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.starts_with("data.")).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn a_node_that_is_gone_comes_back() {
    let (node, desk) = or_skip!(saved(), "a_node_that_is_gone_comes_back");
    let saved = copy(&node);
    fs::remove_dir_all(node.data_dir()).unwrap();
    desk.run(&["restore", "latest", "--start"]).expect_code(0);
    node.dss("stop");
    assert!(node.data_dir().join("config/dip.properties").exists());
    assert_eq!(fs::read(saved.join("install.ini")).unwrap(), fs::read(node.data_dir().join("install.ini")).unwrap());
}

#[test]
fn a_running_node_is_not_replaced_unless_it_may_be_stopped() {
    let (node, desk) = or_skip!(saved(), "a_running_node_is_not_replaced_unless_it_may_be_stopped");
    node.start();
    let done = desk.run(&["restore", "latest"]).expect_code(21);
    assert!(done.err.contains("--stop"), "{}", done.err);
    assert!(node.is_running());
    let pid = node.text("run/supervisord.pid");
    desk.run(&["restore", "latest", "--stop", "--start"]).expect_code(0);
    assert!(node.is_running());
    assert_ne!(node.text("run/supervisord.pid"), pid);
}

#[test]
fn in_place_only_differences_are_rewritten() {
    let (node, desk) = or_skip!(saved(), "in_place_only_differences_are_rewritten");
    let saved = copy(&node);
    wreck(&node);
    let done = desk.run(&["restore", "latest", "--in-place", "--json"]).expect_code(0);
    let report = done.json_lines().pop().unwrap();
    assert!(report["files_restored"].as_u64() < report["files_skipped"].as_u64(), "{report}");
    assert!(!node.data_dir().join("config/added").exists());
    assert_eq!(misses(&saved, &node.data_dir()), Vec::<String>::new());
}

#[test]
fn killed_at_any_moment_a_restore_leaves_a_whole_node_that_runs() {
    let (node, desk) = or_skip!(saved(), "killed_at_any_moment_a_restore_leaves_a_whole_node_that_runs");
    node.start();
    let old = node.text("install.ini");
    for milliseconds in [50, 150, 300, 450, 600, 800, 1000, 1300] {
        node.expect_running_within(std::time::Duration::from_secs(60));
        let mut child = desk.command(&["restore", "latest", "--stop", "--start", "-q"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        let _ = child.kill();
        child.wait().unwrap();
        // Stopped only if the kill fell between the end of the window and the start that was asked for.
        assert_eq!(node.text("install.ini"), old, "{milliseconds} ms: there is a whole directory in its place");
        std::thread::sleep(std::time::Duration::from_secs(4));
        if !node.is_running() {
            node.start();
        }
        desk.run(&["restore", "latest", "--forget-old"]);
    }
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let (node, desk) = or_skip!(saved(), "a_dry_run_says_what_would_be_done_and_does_nothing");
    wreck(&node);
    let done = desk.run(&["restore", "latest", "--dry-run", "--start"]).expect_code(0);
    for step in ["1. restore to", "2. exchange it with", "3. start the node", "nothing was done"] {
        assert!(done.out.contains(step), "{}", done.out);
    }
    assert_eq!(node.text("config/dip.properties"), "wrecked");
}

#[test]
fn another_installation_or_version_in_its_place_is_refused() {
    let (node, desk) = or_skip!(saved(), "another_installation_or_version_in_its_place_is_refused");
    let ini = node.text("install.ini");
    let (at, _) = ini.match_indices("installid").next().unwrap();
    let id_line = ini[at..].lines().next().unwrap();
    fs::write(node.data_dir().join("install.ini"), ini.replace(id_line, "installid = AnotherOne")).unwrap();
    let done = desk.run(&["restore", "latest"]).expect_code(21);
    assert!(done.err.contains("another installation"), "{}", done.err);
    fs::write(node.data_dir().join("install.ini"), ini).unwrap();

    for (version, why) in [("13.5.0", "downgraded"), ("14.3.0", "migrated")] {
        let kit = node.kit("14.2.2").join("dss-version.json");
        let kept = fs::read_to_string(&kit).unwrap();
        fs::write(&kit, kept.replace("14.2.2", version)).unwrap();
        let done = desk.run(&["restore", "latest"]).expect_code(21);
        assert!(done.err.contains(why) && done.err.contains(version), "{}", done.err);
        fs::write(&kit, kept).unwrap();
    }
}

#[test]
fn a_snapshot_of_plain_files_has_no_place_of_its_own() {
    let desk = Desk::with_snapshot();
    let done = desk.run(&["restore", "latest"]).expect_code(2);
    assert!(done.err.contains("--target"), "{}", done.err);
}
