//! What may happen to a node between the moment somebody decides to bring one back or move it and the moment that matters:
//! it is started, its original is started, a run dies or fails and is gone on with. It is looked at again, and what is
//! told is true.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use dssvault::dss::control::instance::key_of;
use dssvault::dss::control::lock::DataDirLock;

use crate::cli_fixture::{Desk, Done};
use crate::node::{self, Node};
use crate::skip::skip;
use crate::strace;

macro_rules! or_skip {
    ($made:expr, $test:literal) => {
        match $made {
            Some(made) => made,
            None => return skip(concat!("node_meanwhile::", $test), "only root may run a node as its account"),
        }
    };
}

/// A stopped node, and a snapshot of it.
fn saved(prepare: impl FnOnce(&Node)) -> Option<(Node, Desk)> {
    node::is_possible().then(|| {
        let (node, desk) = (Node::new("design"), Desk::with_repository());
        prepare(&node);
        desk.run(&["backup", node.data_dir().to_str().unwrap(), "-q"]).expect_code(0);
        (node, desk)
    })
}

/// A process that belongs to the node of a directory, as far as anybody can tell.
struct Running(Child);

impl Running {
    fn at(data_dir: &Path) -> Self {
        Self(Command::new("sleep").arg("600").env("DIP_HOME", data_dir).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A kit whose installer does nothing but fail, until it is mended.
fn broken_kit(node: &Node, version: &str) -> PathBuf {
    let kit = node.unpack(version);
    fs::rename(kit.join("installer.sh"), kit.join("installer.kept")).unwrap();
    fs::write(kit.join("installer.sh"), "#!/bin/sh\necho not today >&2\nexit 1\n").unwrap();
    fs::set_permissions(kit.join("installer.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    kit
}

fn mend(kit: &Path) {
    fs::rename(kit.join("installer.kept"), kit.join("installer.sh")).unwrap();
}

fn installers_in(data_dir: &Path) -> usize {
    let log = fs::read_to_string(data_dir.join("run/install.log")).unwrap();
    log.lines().filter(|line| line.starts_with("Command line: ") && line.contains("installer.sh")).count()
}

#[test]
fn a_node_that_was_started_meanwhile_is_neither_replaced_nor_attached() {
    let (node, desk) = or_skip!(saved(|_| {}), "a_node_that_was_started_meanwhile_is_neither_replaced_nor_attached");
    let to = node.folder().join("elsewhere");
    fs::create_dir(&to).unwrap();
    let running = Running::at(&to);
    let moved = ["restore", "latest", "--data-dir", to.to_str().unwrap()];
    let done = desk.run(&moved).expect_code(1);
    assert!(done.err.contains("step `restore` was not taken") && done.err.contains("stop it"), "{}", done.err);
    assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
    drop(running);
    desk.run(&moved).expect_code(0);

    let kit = broken_kit(&node, "14.3.0");
    let upgrade = ["restore", "latest", "--install-dir", kit.to_str().unwrap()];
    let done = desk.run(&upgrade).expect_code(1);
    assert!(done.err.contains("step `attach` failed") && done.err.contains("not today"), "{}", done.err);
    mend(&kit);
    let before = installers_in(&node.data_dir());
    let running = Running::at(&node.data_dir());
    let done = desk.run(&upgrade).expect_code(1);
    assert!(done.err.contains("step `attach` was not taken"), "{}", done.err);
    assert_eq!(installers_in(&node.data_dir()), before);
    drop(running);
    let done = desk.run(&upgrade).expect_code(0);
    assert!(done.out.contains("the directory that was there is kept as"), "by an earlier run: {}", done.out);
    assert_eq!(installers_in(&node.data_dir()), before + 1);
}

#[test]
fn an_original_that_was_started_meanwhile_and_ports_taken_meanwhile_hold_the_start_back() {
    let (node, desk) =
        or_skip!(saved(|_| {}), "an_original_that_was_started_meanwhile_and_ports_taken_meanwhile_hold_the_start_back");
    let (to, kit, port) = (node.folder().join("elsewhere"), broken_kit(&node, "14.3.0"), node::free_port());
    let text = port.to_string();
    let arguments = ["restore", "latest", "--data-dir", to.to_str().unwrap(), "--start", "--port", &text];
    let arguments = [&arguments[..], &["--install-dir", kit.to_str().unwrap()]].concat();
    desk.run(&arguments).expect_code(1);
    mend(&kit);
    node.start();
    let done = desk.run(&arguments).expect_code(1);
    assert!(done.err.contains("step `start` failed") && done.err.contains("twice"), "{}", done.err);
    node.dss("stop");
    let stranger = std::net::TcpListener::bind(("127.0.0.1", port + 1)).unwrap();
    let done = desk.run(&arguments).expect_code(1);
    assert!(done.err.contains(&format!("port {} is in use", port + 1)), "{}", done.err);
    drop(stranger);
    let done = desk.run(&arguments).expect_code(0);
    assert!(done.out.contains("was started and answers"), "{}", done.out);
}

#[test]
fn in_its_own_place_a_new_port_that_is_taken_is_refused_before_anything_is_touched() {
    let (node, desk) =
        or_skip!(saved(|_| {}), "in_its_own_place_a_new_port_that_is_taken_is_refused_before_anything_is_touched");
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port().to_string();
    fs::write(node.data_dir().join("config/added"), "").unwrap();
    let done = desk.run(&["restore", "latest", "--port", &port]).expect_code(21);
    assert!(done.err.contains("is in use"), "{}", done.err);
    assert!(node.data_dir().join("config/added").exists());
}

#[test]
fn a_node_that_is_half_rewritten_is_not_started() {
    let (node, desk) = or_skip!(saved(|_| {}), "a_node_that_is_half_rewritten_is_not_started");
    node.start();
    let mut left = vec![desk.path("vault/packs")];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => left.push(entry.path()),
                false => fs::remove_file(entry.path()).unwrap(),
            }
        }
    }
    let done = desk.run(&["restore", "latest", "--in-place", "--stop"]).expect_code(1);
    assert!(done.err.contains("may be rewritten only in part") && done.err.contains("do not start"), "{}", done.err);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(!node.is_running(), "neither by the restore nor by its guard");
    let done = desk.run(&["resume", "--all"]).expect_code(0);
    assert!(done.out.contains("no node is owed"), "{}", done.out);
}

#[test]
fn what_was_brought_back_and_cannot_be_started_is_there_all_the_same() {
    let (node, desk) = or_skip!(saved(|_| {}), "what_was_brought_back_and_cannot_be_started_is_there_all_the_same");
    fs::rename(node.kit("14.2.2").join("scripts"), node.folder().join("away")).unwrap();
    fs::write(node.data_dir().join("config/added"), "").unwrap();
    let done = desk.run(&["restore", "latest", "--start"]).expect_code(20);
    assert!(done.out.contains("is kept as") && done.out.contains("could not be started"), "{}", done.out);
    assert!(!node.data_dir().join("config/added").exists());
}

#[test]
fn a_run_that_goes_on_tells_of_the_start_before_it() {
    let (node, desk) = or_skip!(saved(Node::fill), "a_run_that_goes_on_tells_of_the_start_before_it");
    let (to, port) = (node.folder().join("elsewhere"), node::free_port().to_string());
    let arguments = ["restore", "latest", "--data-dir", to.to_str().unwrap(), "--port", &port, "--start"];
    // The stand-in cannot rebuild environments.
    let done = desk.run(&[&arguments[..], &["--all-steps"]].concat()).expect_code(1);
    assert!(done.err.contains("step `code-env-"), "{}", done.err);
    let done = desk.run(&arguments).expect_code(0);
    assert!(done.out.contains("was started and answers"), "{}", done.out);
    let status = node.as_account(&to.join("bin/dss")).arg("status").output().unwrap();
    assert_eq!(status.status.code(), Some(0));
}

#[test]
fn what_needs_the_node_is_left_to_a_person_if_that_does_not_answer() {
    let made = saved(|node| {
        node.fill();
        node.switch("FAKE_BROKEN=nginx\nFAKE_START_SECS=0");
    });
    let (node, desk) = or_skip!(made, "what_needs_the_node_is_left_to_a_person_if_that_does_not_answer");
    let (to, port) = (node.folder().join("elsewhere"), node::free_port().to_string());
    let arguments = ["restore", "latest", "--data-dir", to.to_str().unwrap(), "--port", &port, "--start"];
    let done = desk.run(&[&arguments[..], &["--all-steps", "--health-timeout", "3s"]].concat()).expect_code(20);
    let (_, left) = done.out.split_once("left for you:").unwrap();
    assert!(left.contains("code-env-update") && left.contains("does not answer"), "{}", done.out);
}

#[test]
fn a_copy_that_somebody_wants_to_keep_running_is_told_to_run() {
    let (node, desk) = or_skip!(saved(|_| {}), "a_copy_that_somebody_wants_to_keep_running_is_told_to_run");
    let copy = node.folder().join("drill");
    let done = desk.run(&["restore", "latest", "--drill", copy.to_str().unwrap(), "--skip-step", "stop"]);
    let done = done.expect_code(0);
    assert!(done.out.contains("goes on running") && !done.out.contains("is stopped again"), "{}", done.out);
    let status = node.as_account(&copy.join("bin/dss")).arg("status").output().unwrap();
    assert_eq!(status.status.code(), Some(0));
}

#[test]
fn a_copy_whose_start_is_given_up_is_stopped_and_told_as_one_that_may_still_come_up() {
    let made = saved(|node| node.switch("FAKE_START_LIMIT=1\nFAKE_PING_DELAY=60"));
    let (node, desk) =
        or_skip!(made, "a_copy_whose_start_is_given_up_is_stopped_and_told_as_one_that_may_still_come_up");
    let copy = node.folder().join("drill");
    let drill = ["restore", "latest", "--drill", copy.to_str().unwrap(), "--health-timeout", "1s"];
    let done = desk.run(&drill).expect_code(20);
    assert!(done.out.contains("may still come up") && done.out.contains("it is stopped"), "{}", done.out);
    let status = node.as_account(&copy.join("bin/dss")).arg("status").output().unwrap();
    assert_eq!(status.status.code(), Some(1));
}

#[test]
fn what_leads_from_a_copy_into_production_ends_a_drill_before_the_copy_is_started() {
    let made = saved(|node| {
        fs::create_dir(node.folder().join("big")).unwrap();
        symlink(node.folder().join("big"), node.data_dir().join("big")).unwrap();
    });
    let (node, desk) = or_skip!(made, "what_leads_from_a_copy_into_production_ends_a_drill_before_the_copy_is_started");
    let copy = node.folder().join("drill");
    let drill = ["restore", "latest", "--drill", copy.to_str().unwrap()];
    let done = desk.run(&drill).expect_code(21);
    assert!(done.err.contains("big is a link to"), "{}", done.err);
    assert!(!copy.exists());
    // Inside of the node, and outside of its copy.
    fs::remove_file(node.data_dir().join("big")).unwrap();
    symlink(node.data_dir().join("uploads"), node.data_dir().join("big")).unwrap();
    desk.run(&["backup", node.data_dir().to_str().unwrap(), "-q"]).expect_code(0);
    let done = desk.run(&drill).expect_code(1);
    assert!(done.err.contains("step `restore` failed: big is a link to"), "{}", done.err);
    assert!(!copy.join("pyenv.backup").exists() && done.err.contains("remove the link from the copy"));
    fs::remove_file(copy.join("big")).unwrap();
    let done = desk.run(&drill).expect_code(0);
    assert!(done.out.contains("is stopped again"), "{}", done.out);
}

/// An upgrade whose installer dies in the middle of its migration.
fn died_in_a_migration(node: &Node, desk: &Desk) -> Vec<String> {
    let kit = node.unpack("14.3.0");
    fs::write(kit.join("fake.env"), "FAKE_FAIL_AT=after-backup\n").unwrap();
    let arguments = ["restore", "latest", "--install-dir", kit.to_str().unwrap()].map(str::to_owned).to_vec();
    run(desk, &arguments).expect_code(1);
    fs::remove_file(kit.join("fake.env")).unwrap();
    arguments
}

fn run(desk: &Desk, arguments: &[String]) -> Done {
    desk.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn what_a_broken_migration_left_is_removed_and_restored_again_however_often_that_is_killed() {
    let test = "what_a_broken_migration_left_is_removed_and_restored_again_however_often_that_is_killed";
    let (node, desk) = or_skip!(
        saved(|_| {}),
        "what_a_broken_migration_left_is_removed_and_restored_again_however_often_that_is_killed"
    );
    if let Err(why) = strace::available() {
        return skip(&format!("node_meanwhile::{test}"), &why);
    }
    fs::write(node.data_dir().join("config/after"), "").unwrap();
    let arguments = died_in_a_migration(&node, &desk);
    let marker = node.data_dir().join("DSS-MIGRATION-IN-PROGRESS.json");
    assert!(marker.exists());
    // Piece by piece, until what told that it was broken is gone, and much else with it.
    let mut is_over = false;
    while marker.exists() && !is_over {
        let plain = desk.command(&[]);
        let mut traced = Command::new("strace");
        traced.args(["-o", "/dev/null", "-e", "trace=unlinkat"]);
        traced.args(["-e", "inject=unlinkat:signal=KILL:when=12", "--"]).arg(plain.get_program());
        traced.args(&arguments).env_clear().current_dir(desk.path(""));
        traced.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        is_over = traced.output().unwrap().status.success();
    }
    if !is_over {
        let done = run(&desk, &arguments).expect_code(0);
        assert!(done.out.contains("is kept as"), "{}", done.out);
    }
    assert!(node.text("dss-version.json").contains("14.3.0") && node.data_dir().join("config/migrated.json").exists());
    assert!(!node.data_dir().join("DSS-MIGRATION-IN-PROGRESS.json").exists());
    desk.run(&["restore", "latest", "--undo"]).expect_code(0);
    assert!(node.data_dir().join("config/after").exists() && node.text("dss-version.json").contains("14.2.2"));
}

#[test]
fn what_was_broken_in_the_snapshot_already_is_not_removed_and_told_for_what_it_is() {
    let made = saved(|node| {
        let marker = r#"{"timestamp": "1", "entries": [{"initial": "config", "backup": "_pre_migration_backup_1/c"}]}"#;
        fs::write(node.data_dir().join("DSS-MIGRATION-IN-PROGRESS.json"), marker).unwrap();
    });
    let (node, desk) = or_skip!(made, "what_was_broken_in_the_snapshot_already_is_not_removed_and_told_for_what_it_is");
    let (to, kit) = (node.folder().join("elsewhere"), broken_kit(&node, "14.3.0"));
    let arguments = ["restore", "latest", "--data-dir", to.to_str().unwrap(), "--install-dir", kit.to_str().unwrap()];
    let plan = desk.run(&[&arguments[..], &["-n"]].concat()).expect_code(0);
    assert!(plan.err.contains("of the snapshot: an upgrade died half way"), "{}", plan.err);
    desk.run(&arguments).expect_code(1);
    fs::write(to.join("mended-by-hand"), "").unwrap();
    let done = desk.run(&arguments).expect_code(1);
    assert!(done.err.contains("hint: the snapshot itself is of an upgrade that died"), "{}", done.err);
    assert!(to.join("mended-by-hand").exists());
}

#[test]
fn a_stop_that_failed_is_told_and_not_the_time_it_took() {
    let (node, desk) = or_skip!(saved(|_| {}), "a_stop_that_failed_is_told_and_not_the_time_it_took");
    node.start();
    // Longer than it is waited for after its program has failed.
    node.switch("FAKE_STOP_STUCK=20\nFAKE_STOP_LIMIT=1");
    let path = node.data_dir();
    let backup = ["backup", path.to_str().unwrap(), "--consistency", "stopped", "--max-downtime", "2s"];
    let done = desk.run(&backup).expect_code(1);
    assert!(done.err.contains("failed to stop") && !done.err.contains("max-downtime"), "{}", done.err);
}

#[test]
fn a_directory_somebody_works_on_is_told_as_busy_before_it_is_looked_at() {
    let (node, desk) = or_skip!(saved(|_| {}), "a_directory_somebody_works_on_is_told_as_busy_before_it_is_looked_at");
    let (state, data_dir) = (desk.path("state/dssvault"), node.data_dir().canonicalize().unwrap());
    let lock = DataDirLock::take(&state, &data_dir).unwrap();
    // What whoever holds it is writing at this moment.
    let journal = state.join("swaps").join(format!("{}.json", key_of(&data_dir)));
    fs::create_dir_all(journal.parent().unwrap()).unwrap();
    fs::write(&journal, "{").unwrap();
    let backup = ["backup", data_dir.to_str().unwrap()];
    desk.run(&backup).expect_code(11);
    drop(lock);
    desk.run(&backup).expect_code(1);
}
