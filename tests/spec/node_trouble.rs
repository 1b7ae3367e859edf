//! What may be wrong with a node, its place or its surroundings when it is backed up or brought back: said clearly, with
//! a next step, before anything is touched.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cli_fixture::{Desk, Done};
use crate::node::{self, Node};
use crate::skip::skip;
use crate::volume::Volume;

fn made(node_type: &str) -> Option<(Node, Desk)> {
    node::is_possible().then(|| (Node::new(node_type), Desk::with_repository()))
}

macro_rules! or_skip {
    ($made:expr, $test:literal) => {
        match $made {
            Some(made) => made,
            None => return skip(concat!("node_trouble::", $test), "only root may run a node as its account"),
        }
    };
}

fn back_up(desk: &Desk, node: &Node, more: &[&str]) -> Done {
    let data_dir = node.data_dir();
    desk.run(&[&["backup", data_dir.to_str().unwrap()], more].concat())
}

fn snapshot_count(desk: &Desk) -> usize {
    desk.run(&["snapshots", "--json"]).expect_code(0).json().as_array().unwrap().len()
}

/// The message and the next step.
#[track_caller]
fn says(done: &Done, what: &str, next: &str) {
    let (error, hint) = done.err.split_once("\nhint: ").unwrap_or_else(|| panic!("no hint: {}", done.err));
    assert!(error.contains(what) && hint.contains(next), "{}", done.err);
}

#[test]
fn half_an_installation_is_neither_backed_up_as_a_node_nor_replaced() {
    let (node, desk) = or_skip!(made("design"), "half_an_installation_is_neither_backed_up_as_a_node_nor_replaced");
    back_up(&desk, &node, &[]).expect_code(0);
    fs::remove_file(node.data_dir().join("bin/env-default.sh")).unwrap();
    says(&back_up(&desk, &node, &[]).expect_code(1), "bin/env-default.sh missing", "--plain");
    says(&desk.run(&["restore", "latest"]).expect_code(21), "bin/env-default.sh missing", "move it away");
    fs::write(node.data_dir().join("DSS-INITIAL-INSTALL-IN-PROGRESS.txt"), "").unwrap();
    fs::remove_file(node.data_dir().join("dss-version.json")).unwrap();
    says(&back_up(&desk, &node, &[]).expect_code(1), "dss-version.json missing", "moves this directory aside");
    assert_eq!(snapshot_count(&desk), 1);
    back_up(&desk, &node, &["--plain"]).expect_code(0);
}

#[test]
fn a_broken_migration_is_backed_up_whole_and_told_whenever_it_matters() {
    let (node, desk) = or_skip!(made("design"), "a_broken_migration_is_backed_up_whole_and_told_whenever_it_matters");
    let saved = "_pre_migration_backup_20260102-030405";
    fs::create_dir_all(node.data_dir().join(saved).join("config")).unwrap();
    fs::write(node.data_dir().join(saved).join("config/users.json"), "{}").unwrap();
    let marker = format!(
        r#"{{"timestamp": "20260102-030405", "entries": [{{"initial": "config", "backup": "{saved}/config"}}]}}"#
    );
    fs::write(node.data_dir().join("DSS-MIGRATION-IN-PROGRESS.json"), marker).unwrap();
    let done = back_up(&desk, &node, &["--exclude-class", "ignorable"]).expect_code(0);
    assert!(done.err.contains("an upgrade died half way") && done.err.contains("do not delete"), "{}", done.err);
    let listed = desk.run(&["ls", "latest:/datadir"]).expect_code(0).out;
    assert!(listed.contains(&format!("/datadir/{saved}/config/users.json")));
    let plan = desk.run(&["restore", "latest", "--dry-run"]).expect_code(0);
    assert!(plan.out.contains("note: of the snapshot: an upgrade died half way"), "{}", plan.out);
}

#[test]
fn without_its_kit_a_node_is_neither_stopped_nor_brought_back_to_be_started() {
    let (node, desk) =
        or_skip!(made("design"), "without_its_kit_a_node_is_neither_stopped_nor_brought_back_to_be_started");
    node.start();
    let away = node.folder().join("away");
    fs::rename(node.kit("14.2.2"), &away).unwrap();
    let done = back_up(&desk, &node, &["--consistency", "stopped"]).expect_code(21);
    says(&done, "bin/dss leads nowhere", "unpack the kit");
    back_up(&desk, &node, &["--consistency", "live"]).expect_code(0);
    says(&desk.run(&["restore", "latest", "--stop"]).expect_code(21), "bin/dss leads nowhere", "unpack the kit");
    fs::rename(&away, node.kit("14.2.2")).unwrap();
    node.dss("stop");
    fs::rename(node.kit("14.2.2"), &away).unwrap();

    fs::write(node.data_dir().join("config/added"), "").unwrap();
    let done = desk.run(&["restore", "latest", "--start"]).expect_code(21);
    says(&done, "the software of the node is not in", "unpack the kit of DSS 14.2.2");
    assert!(node.data_dir().join("config/added").exists(), "nothing was replaced");
    let done = desk.run(&["restore", "latest"]).expect_code(0);
    assert!(done.out.contains("unpack it there before you start"), "{}", done.out);
    assert!(!node.data_dir().join("config/added").exists());
}

#[test]
fn another_account_neither_stops_a_node_nor_becomes_the_owner_of_its_files() {
    let test = "node_trouble::another_account_neither_stops_a_node_nor_becomes_the_owner_of_its_files";
    if !node::is_possible() {
        return skip(test, "only root may run a node as its account");
    }
    let (node, desk) = (Node::new("design"), Desk::shared_with_nobody());
    let as_nobody = |arguments: &[&str]| Done::of(&mut desk.unprivileged(arguments));
    as_nobody(&["init", "--no-recovery-key", "-q"]).expect_code(0);
    let data_dir = node.data_dir();
    let path = data_dir.to_str().unwrap();
    // Files of 0600 are listed, and the rest is stored.
    as_nobody(&["backup", path, "--consistency", "live"]).expect_code(3);
    node.start();
    says(
        &as_nobody(&["backup", path, "--consistency", "stopped"]).expect_code(21),
        "this account may not",
        "run as root",
    );
    let done = as_nobody(&["restore", "latest", "--stop"]).expect_code(21);
    says(&done, &format!("only root or the account `{}`", node::ACCOUNT), "--target DIR");
    assert!(node.is_running());
}

#[test]
fn a_port_somebody_else_has_is_told_before_anything_is_replaced() {
    let (node, desk) = or_skip!(made("design"), "a_port_somebody_else_has_is_told_before_anything_is_replaced");
    back_up(&desk, &node, &[]).expect_code(0);
    fs::write(node.data_dir().join("config/added"), "").unwrap();
    let stranger = TcpListener::bind(("127.0.0.1", node.port + 1)).unwrap();
    let done = desk.run(&["restore", "latest", "--start"]).expect_code(21);
    says(&done, &format!("port {} of the node", node.port + 1), "ss -ltnp");
    assert!(node.data_dir().join("config/added").exists());
    fs::remove_dir_all(node.data_dir()).unwrap();
    desk.run(&["restore", "latest", "--start"]).expect_code(21);
    assert!(!node.data_dir().exists());
    // Where nothing is to be started nobody is in the way.
    desk.run(&["restore", "latest"]).expect_code(0);
    drop(stranger);
    node.start();
}

#[test]
fn a_stop_that_takes_longer_than_the_program_waits_is_waited_for() {
    let (node, desk) = or_skip!(made("design"), "a_stop_that_takes_longer_than_the_program_waits_is_waited_for");
    node.start();
    node.switch("FAKE_STOP_STUCK=4\nFAKE_STOP_LIMIT=1");
    let done = back_up(&desk, &node, &["--consistency", "stopped"]).expect_code(0);
    assert!(done.out.contains("stopped for"), "{}", done.out);
    assert!(node.is_running());
}

#[test]
fn a_node_that_stops_long_after_it_was_given_up_is_started_all_the_same() {
    let (node, desk) = or_skip!(made("design"), "a_node_that_stops_long_after_it_was_given_up_is_started_all_the_same");
    node.start();
    let pid = node.text("run/supervisord.pid");
    node.switch("FAKE_STOP_STUCK=22\nFAKE_STOP_LIMIT=1");
    let done = back_up(&desk, &node, &["--consistency", "stopped"]).expect_code(1);
    says(&done, "failed to stop", "run it by hand");
    assert_eq!(snapshot_count(&desk), 0);
    let since = std::time::Instant::now();
    while fs::read_to_string(node.data_dir().join("run/supervisord.pid")).is_ok_and(|now| now == pid)
        || !node.is_running()
    {
        assert!(since.elapsed() < Duration::from_secs(60), "it was left stopped");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_start_that_exceeds_its_limit_is_told_as_one_that_may_still_succeed() {
    let (node, desk) = or_skip!(made("design"), "a_start_that_exceeds_its_limit_is_told_as_one_that_may_still_succeed");
    node.start();
    node.switch("FAKE_START_LIMIT=1\nFAKE_PING_DELAY=6");
    let done = back_up(&desk, &node, &["--consistency", "stopped", "--health-timeout", "1s"]).expect_code(20);
    assert!(done.err.contains("may still come up"), "{}", done.err);
    assert_eq!(snapshot_count(&desk), 1);
    let answers = || TcpListener::bind(("127.0.0.1", node.port + 1)).is_err();
    let since = std::time::Instant::now();
    while !answers() {
        assert!(since.elapsed() < Duration::from_secs(30), "it never came up");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_link_to_the_directory_is_followed_by_a_backup_and_never_replaced_by_a_restore() {
    let (node, desk) =
        or_skip!(made("design"), "a_link_to_the_directory_is_followed_by_a_backup_and_never_replaced_by_a_restore");
    let link = node.folder().join("link");
    symlink(node.data_dir(), &link).unwrap();
    desk.run(&["backup", link.to_str().unwrap()]).expect_code(0);
    let shown = desk.run(&["snapshots", "--json"]).expect_code(0).json();
    assert_eq!(shown[0]["dss"]["data_dir"], node.data_dir().to_str().unwrap());
    let away = node.folder().join("away");
    fs::rename(node.data_dir(), &away).unwrap();
    symlink(&away, node.data_dir()).unwrap();
    says(&desk.run(&["restore", "latest"]).expect_code(21), "is a symbolic link to", "back in its place");
    assert!(node.data_dir().is_symlink() && away.join("config").exists());
}

/// A node on a small volume of its own.
fn on_a_small_volume(megabytes: u64) -> Result<(Node, Desk, Volume), String> {
    if !node::is_possible() {
        return Err("only root may run a node as its account".to_owned());
    }
    let volume = Volume::ext4(megabytes)?;
    let node = Node::at("api", tempfile::tempdir_in(volume.top()).unwrap());
    Ok((node, Desk::with_repository(), volume))
}

#[test]
fn two_copies_that_do_not_fit_are_refused_and_rewriting_in_place_is_offered() {
    let test = "node_trouble::two_copies_that_do_not_fit_are_refused_and_rewriting_in_place_is_offered";
    let (node, desk, _volume) = match on_a_small_volume(48) {
        Ok(made) => made,
        Err(reason) => return skip(test, &reason),
    };
    let large = node.data_dir().join("lib/large.jar");
    fs::write(&large, vec![7; 22 << 20]).unwrap();
    back_up(&desk, &node, &[]).expect_code(0);
    fs::write(&large, vec![8; 22 << 20]).unwrap();
    says(&desk.run(&["restore", "latest"]).expect_code(21), "a second copy of", "--in-place");
    assert_eq!(fs::read(&large).unwrap()[0], 8);
    desk.run(&["restore", "latest", "--in-place"]).expect_code(0);
    assert_eq!(fs::read(&large).unwrap()[0], 7);
}

#[test]
fn a_volume_that_runs_full_on_the_way_leaves_the_node_as_it_was() {
    let test = "node_trouble::a_volume_that_runs_full_on_the_way_leaves_the_node_as_it_was";
    let (node, desk, volume) = match on_a_small_volume(48) {
        Ok(made) => made,
        Err(reason) => return skip(test, &reason),
    };
    // Small files take more room than they are long.
    let folder = node.data_dir().join("lib/many");
    fs::create_dir(&folder).unwrap();
    for number in 0..4_000 {
        fs::write(folder.join(number.to_string()), number.to_string()).unwrap();
    }
    back_up(&desk, &node, &[]).expect_code(0);
    fs::write(node.data_dir().join("config/added"), "").unwrap();
    let space = rustix::fs::statvfs(volume.top()).unwrap();
    let free = space.f_bavail * space.f_frsize;
    fs::write(volume.top().join("ballast"), vec![1; usize::try_from(free).unwrap() - (6 << 20)]).unwrap();
    let done = desk.run(&["restore", "latest"]).expect_code(1);
    assert!(format!("{}{}", done.out, done.err).to_lowercase().contains("no space left"), "{}{}", done.out, done.err);
    assert!(node.data_dir().join("config/added").exists());
}

#[test]
fn a_pipe_in_a_work_directory_is_never_opened() {
    let (node, desk) = or_skip!(made("design"), "a_pipe_in_a_work_directory_is_never_opened");
    let folder = node.data_dir().join("jobs/CHURN/work");
    fs::create_dir_all(&folder).unwrap();
    let pipe = folder.join(".stdin.aB3xYz12");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let opened = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Whoever opens a pipe for writing waits until somebody reads.
        scope.spawn(|| {
            let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
            opened.store(true, Ordering::SeqCst);
            writer.write_all(b"for the job").unwrap();
        });
        std::thread::sleep(Duration::from_millis(200));
        back_up(&desk, &node, &["--preset", "full"]).expect_code(0);
        desk.run(&["inspect", node.data_dir().to_str().unwrap()]).expect_code(0);
        assert!(!opened.load(Ordering::SeqCst), "the pipe was opened");
        assert_eq!(fs::read_to_string(&pipe).unwrap(), "for the job");
    });
    desk.run(&["restore", "latest"]).expect_code(0);
    assert!(is_pipe(&pipe));
}

fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    path.symlink_metadata().is_ok_and(|found| found.file_type().is_fifo())
}

#[test]
fn latest_of_two_nodes_never_puts_one_onto_the_other() {
    let (first, desk) = or_skip!(made("design"), "latest_of_two_nodes_never_puts_one_onto_the_other");
    let second = Node::new("design");
    back_up(&desk, &first, &["--node", "one"]).expect_code(0);
    back_up(&desk, &second, &["--node", "two"]).expect_code(0);
    let ids = [&first, &second].map(|node| node.text("install.ini"));
    let done = desk.run(&["restore", "latest"]).expect_code(2);
    assert!(done.err.contains("one") && done.err.contains("two"), "{}", done.err);
    for (label, node) in [("one", &first), ("two", &second)] {
        fs::write(node.data_dir().join("config/added"), "").unwrap();
        let done = desk.run(&["restore", "latest", "--node", label, "--json"]).expect_code(0);
        let summary = done.json_lines().pop().unwrap();
        assert_eq!(summary["data_dir"], node.data_dir().to_str().unwrap());
    }
    assert_eq!([&first, &second].map(|node| node.text("install.ini")), ids);
    // And in the place of the other it is refused.
    fs::remove_dir_all(first.data_dir()).unwrap();
    fs::rename(second.data_dir(), first.data_dir()).unwrap();
    says(&desk.run(&["restore", "latest", "--node", "one"]).expect_code(21), "another installation", "--target");
}
