//! What is installed in the Python environments of a node is kept beside its snapshot.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cli_fixture::{Desk, Done};
use crate::node::{self, Node};
use crate::skip::skip;

/// A stopped node with code environments, each with a `pip` of these lines.
fn with_environments(environments: &[(&str, &str)]) -> Option<(Node, Desk)> {
    node::is_possible().then(|| {
        let node = Node::new("design");
        for (name, script) in environments {
            let bin = node.data_dir().join("code-envs/python").join(name).join("bin");
            fs::create_dir_all(&bin).unwrap();
            fs::write(bin.join("pip"), format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(bin.join("pip"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let owned = Command::new("chown").arg("-R").arg(node::ACCOUNT).arg(node.data_dir().join("code-envs")).status();
        assert!(owned.unwrap().success());
        (node, Desk::with_repository())
    })
}

macro_rules! or_skip {
    ($made:expr, $test:literal) => {
        match $made {
            Some(made) => made,
            None => return skip(concat!("node_packages::", $test), "only root may run a node as its account"),
        }
    };
}

fn back_up(node: &Node, desk: &Desk, more: &[&str]) -> Done {
    let data_dir = node.data_dir();
    desk.run(&[&["backup", data_dir.to_str().unwrap()], more].concat()).expect_code(0)
}

fn kept(desk: &Desk, name: &str) -> String {
    desk.run(&["dump", &format!("latest:/host/pip/{name}")]).expect_code(0).out
}

#[test]
fn every_environment_is_asked_by_the_account_that_owns_it() {
    let script = r#"[ "$*" = "freeze -l" ] && echo "ran==$(id -un)""#;
    let (node, desk) =
        or_skip!(with_environments(&[("my env", script)]), "every_environment_is_asked_by_the_account_that_owns_it");
    back_up(&node, &desk, &[]);
    assert_eq!(kept(&desk, "code-envs/my env.txt"), format!("ran=={}\n", node::ACCOUNT));
    let builtin = kept(&desk, "builtin.txt");
    assert!(builtin.contains("numpy==1.23.5\n") && builtin.contains("setuptools==65.5\n"), "{builtin}");
}

#[test]
fn an_environment_that_fails_is_a_note_and_no_failed_backup() {
    let script = "echo broken beyond repair >&2; exit 4";
    let (node, desk) =
        or_skip!(with_environments(&[("torn", script)]), "an_environment_that_fails_is_a_note_and_no_failed_backup");
    let done = back_up(&node, &desk, &[]);
    assert!(done.err.contains("environment code-envs/torn are not known"), "{}", done.err);
    let note = kept(&desk, "code-envs/torn.txt");
    assert!(note.lines().all(|line| line.starts_with("# ")) && note.contains("broken beyond repair"), "{note}");
    assert!(kept(&desk, "builtin.txt").contains("numpy"), "the others are told all the same");
}

#[test]
fn a_dry_run_runs_nothing_of_the_node() {
    let script = "touch \"$(dirname \"$0\")/../ran\"";
    let (node, desk) = or_skip!(with_environments(&[("env", script)]), "a_dry_run_runs_nothing_of_the_node");
    back_up(&node, &desk, &["--dry-run"]);
    assert!(!node.data_dir().join("code-envs/python/env/ran").exists());
}

#[test]
fn one_that_hangs_is_left_behind_and_a_request_to_stop_does_not_wait_for_it() {
    let test = "one_that_hangs_is_left_behind_and_a_request_to_stop_does_not_wait_for_it";
    let (node, desk) = or_skip!(
        with_environments(&[("hangs", "echo $$ > \"$(dirname \"$0\")/../pid\"; sleep 986")]),
        "one_that_hangs_is_left_behind_and_a_request_to_stop_does_not_wait_for_it"
    );
    let data_dir = node.data_dir();
    let mut child = desk.command(&["backup", "-q", data_dir.to_str().unwrap()]).spawn().unwrap();
    let pid_file = data_dir.join("code-envs/python/hangs/pid");
    let since = Instant::now();
    while fs::read_to_string(&pid_file).map_or(true, |text| !text.ends_with('\n')) {
        assert!(since.elapsed() < Duration::from_secs(30), "{test}: it was not asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    let since = Instant::now();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(since.elapsed() < Duration::from_secs(2));
    let asked = fs::read_to_string(&pid_file).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", asked.trim())).unwrap_or_default();
    while !(state().is_empty() || state().contains(") Z ")) {
        assert!(since.elapsed() < Duration::from_secs(20), "it was left running: {}", state());
        std::thread::sleep(Duration::from_millis(20));
    }
}
