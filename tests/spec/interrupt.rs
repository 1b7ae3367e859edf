//! Ctrl-C and its relatives: the program ends soon, says so by its status, and the next run goes on from there.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::machine::{Machine, noise};

const INTERRUPTED: Option<i32> = Some(130);
const SOON: Duration = Duration::from_secs(2);
const WHOLE: usize = 150 << 20;

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends the signal and gives what the program said; it must end soon.
fn stop(child: Child, signal: Signal) -> String {
    kill_process(Pid::from_child(&child), signal).unwrap();
    let began = Instant::now();
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), INTERRUPTED, "{done:?}");
    assert!(began.elapsed() < SOON, "it took {:?} to end", began.elapsed());
    String::from_utf8(done.stderr).unwrap()
}

fn a_stopped_backup_goes_on(signal: Signal) {
    let machine = Machine::new();
    let store = machine.found_on_disk("vault");
    machine.write("large.bin", &noise(1, WHOLE));
    let child = machine.backup_program("vault").spawn().unwrap();
    wait_until("a pack", || !machine.objects_on_disk("vault", "packs").is_empty());

    let said = stop(child, signal);

    assert!(said.contains("interrupted"), "{said}");
    assert_eq!(machine.snapshots(&store).len(), 0);
    assert!(machine.check(&store, &machine.folders).unwrap().is_clean());
    let done = machine.backup_program("vault").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let summary: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let stored = summary["data_added_packed"].as_u64().unwrap();
    assert!(stored < WHOLE as u64 - (16 << 20), "{stored} bytes were stored again");
    let (_, manifest) = machine.snapshots(&store).remove(0);
    assert_eq!(machine.misses(&store, &machine.folders, &manifest, &machine.source()), [""; 0]);
}

#[test]
fn a_backup_stopped_by_ctrl_c_goes_on_where_it_was() {
    a_stopped_backup_goes_on(Signal::INT);
}

#[test]
fn a_backup_stopped_by_the_init_system_goes_on_where_it_was() {
    a_stopped_backup_goes_on(Signal::TERM);
}

#[test]
fn a_backup_of_many_small_files_ends_soon_too() {
    let machine = Machine::new();
    let store = machine.found_on_disk("vault");
    for number in 0..20_000 {
        machine.write(&format!("{}/{number}", number % 100), &[number as u8; 40]);
    }
    let child = machine.backup_program("vault").spawn().unwrap();
    wait_until("a session", || machine.objects_on_disk("vault", "sessions").len() >= 2);
    stop(child, Signal::INT);
    assert_eq!(machine.snapshots(&store).len(), 0);
    assert!(machine.check(&store, &machine.folders).unwrap().is_clean());
}

#[test]
fn a_stream_that_says_nothing_does_not_hold_the_program() {
    let machine = Machine::new();
    let store = machine.found_on_disk("vault");
    for arguments in [["backup", "-"].as_slice(), ["backup", "--command", "exec sleep 30"].as_slice()] {
        let before = machine.objects_on_disk("vault", "sessions").len();
        let mut program = machine.program("vault", arguments);
        let mut child = program.stdin(Stdio::piped()).spawn().unwrap();
        let silent = child.stdin.take();
        wait_until("a session", || machine.objects_on_disk("vault", "sessions").len() >= before + 2);
        std::thread::sleep(Duration::from_millis(100));
        stop(child, Signal::INT);
        drop(silent);
    }
    assert_eq!(machine.snapshots(&store).len(), 0);
}

#[test]
fn a_restore_and_a_check_end_soon_too() {
    let machine = Machine::new();
    machine.found_on_disk("vault");
    machine.write("large.bin", &noise(1, WHOLE));
    assert!(machine.backup_program("vault").output().unwrap().status.success());
    let target = machine.path("target");
    let restore = machine.program("vault", &["restore", "latest", "--target", target.to_str().unwrap()]).spawn();
    wait_until("the target", || target.exists());
    stop(restore.unwrap(), Signal::INT);
    let check = machine.program("vault", &["check", "--read-data", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(30));
    stop_or_done(check);
}

/// A check of this size may be quicker than the signal.
fn stop_or_done(child: Child) {
    let _ = kill_process(Pid::from_child(&child), Signal::INT);
    let began = Instant::now();
    let done = child.wait_with_output().unwrap();
    assert!(matches!(done.status.code(), Some(0 | 130)) || done.status.code().is_none(), "{done:?}");
    assert!(began.elapsed() < SOON);
}
