//! An API node is taken out of rotation before it is stopped, and put back in every case.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli_fixture::Desk;
use crate::node::{self, Node};
use crate::skip::skip;

const FILE: &str = "apinode-not-alive.txt";

fn running(node_type: &str) -> Option<(Node, Desk)> {
    node::is_possible().then(|| {
        let node = Node::new(node_type);
        node.start();
        (node, Desk::with_repository())
    })
}

macro_rules! or_skip {
    ($made:expr, $test:literal) => {
        match $made {
            Some(made) => made,
            None => return skip(concat!("node_rolling::", $test), "only root may run a node as its account"),
        }
    };
}

fn command(node: &Node, desk: &Desk, rolling: &str) -> Command {
    let data_dir = node.data_dir();
    desk.command(&["backup", data_dir.to_str().unwrap(), "--consistency", "stopped", rolling])
}

fn begin(node: &Node, desk: &Desk, rolling: &str) -> Child {
    let mut command = command(node, desk, rolling);
    command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn within(limit: Duration, what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < limit, "not after {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn file(node: &Node) -> PathBuf {
    node.data_dir().join(FILE)
}

fn send(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn serves(node: &Node) -> bool {
    let url = format!("http://127.0.0.1:{}/isAlive", node.port + 1);
    Command::new("curl").args(["-sf", &url]).output().unwrap().status.success()
}

fn nothing_is_owed(desk: &Desk) -> bool {
    let listed = fs::read_dir(desk.path("state/dssvault/stops")).into_iter().flatten().flatten();
    !listed.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|ext| ext == "json"))
}

#[test]
fn the_node_serves_nobody_for_a_while_and_then_everybody() {
    let (node, desk) = or_skip!(running("api"), "the_node_serves_nobody_for_a_while_and_then_everybody");
    let pid = node.text("run/supervisord.pid");
    let mut child = begin(&node, &desk, "--rolling=2s");
    within(Duration::from_secs(60), "the file is there", || file(&node).exists());
    let owner = |path: &PathBuf| path.metadata().map(|file| (file.uid(), file.gid())).unwrap();
    assert_eq!(owner(&file(&node)), owner(&node.data_dir()));
    within(Duration::from_secs(5), "it does not serve", || !serves(&node));
    assert_eq!(node.text("run/supervisord.pid"), pid, "not stopped yet");
    assert!(child.wait().unwrap().success());
    assert!(!file(&node).exists() && serves(&node) && nothing_is_owed(&desk));
    assert_ne!(node.text("run/supervisord.pid"), pid, "it was stopped and started");
    let listed = desk.run(&["ls", "latest:/datadir"]).expect_code(0).out;
    assert!(listed.contains("/datadir/config") && !listed.contains(FILE), "{listed}");
}

#[test]
fn a_file_of_the_administrator_stays_and_is_kept() {
    let (node, desk) = or_skip!(running("api"), "a_file_of_the_administrator_stays_and_is_kept");
    fs::write(file(&node), "out until Monday\n").unwrap();
    let since = Instant::now();
    let done = command(&node, &desk, "--rolling=1h").output().unwrap();
    // It does not serve, by somebody's wish: that is well, and nothing is waited for.
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(since.elapsed() < Duration::from_mins(1));
    assert_eq!(node.text(FILE), "out until Monday\n");
    let listed = desk.run(&["ls", "latest:/datadir"]).expect_code(0).out;
    assert!(listed.contains(FILE), "{listed}");
}

#[test]
fn ctrl_c_while_it_drains_puts_it_back() {
    let (node, desk) = or_skip!(running("api"), "ctrl_c_while_it_drains_puts_it_back");
    let pid = node.text("run/supervisord.pid");
    let mut child = begin(&node, &desk, "--rolling=1h");
    within(Duration::from_secs(60), "it does not serve", || file(&node).exists() && !serves(&node));
    let since = Instant::now();
    send(&child, rustix::process::Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(since.elapsed() < Duration::from_secs(2));
    assert!(!file(&node).exists() && serves(&node) && nothing_is_owed(&desk));
    assert_eq!(node.text("run/supervisord.pid"), pid);
}

#[test]
fn killed_while_it_drains_the_guard_puts_it_back() {
    let (node, desk) = or_skip!(running("api"), "killed_while_it_drains_the_guard_puts_it_back");
    let mut child = begin(&node, &desk, "--rolling=1h");
    within(Duration::from_secs(60), "it does not serve", || file(&node).exists() && !serves(&node));
    send(&child, rustix::process::Signal::KILL);
    child.wait().unwrap();
    within(Duration::from_secs(30), "it serves again", || !file(&node).exists() && serves(&node));
    within(Duration::from_secs(30), "nothing is owed", || nothing_is_owed(&desk));
}

#[test]
fn killed_while_it_is_stopped_it_is_started_and_put_back() {
    let (node, desk) = or_skip!(running("api"), "killed_while_it_is_stopped_it_is_started_and_put_back");
    node.switch("FAKE_STOP_DELAY=2");
    let mut child = begin(&node, &desk, "--rolling=0s");
    let journal = || {
        let listed = fs::read_dir(desk.path("state/dssvault/stops")).into_iter().flatten().flatten();
        listed.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect::<String>()
    };
    within(Duration::from_secs(60), "it is being stopped", || journal().contains("\"stopping\""));
    assert!(file(&node).exists());
    send(&child, rustix::process::Signal::KILL);
    child.wait().unwrap();
    within(Duration::from_secs(60), "it serves again", || !file(&node).exists() && node.is_running() && serves(&node));
    within(Duration::from_secs(30), "nothing is owed", || nothing_is_owed(&desk));
}

#[test]
fn only_api_nodes_roll_and_only_when_they_are_stopped() {
    let (node, desk) = or_skip!(running("design"), "only_api_nodes_roll_and_only_when_they_are_stopped");
    let pid = node.text("run/supervisord.pid");
    let done = command(&node, &desk, "--rolling").output().unwrap();
    assert_eq!(done.status.code(), Some(21), "{}", String::from_utf8_lossy(&done.stderr));
    let data_dir = node.data_dir();
    let done = desk.run(&["backup", data_dir.to_str().unwrap(), "--rolling"]).expect_code(2);
    assert!(done.err.contains("--consistency stopped"), "{}", done.err);
    assert_eq!(node.text("run/supervisord.pid"), pid);
}
