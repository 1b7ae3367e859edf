//! Two backups at once: both succeed, whatever they share.

use std::path::PathBuf;
use std::process::Command;

use crate::machine::{Machine, noise};

/// A machine with a repository on disk, one snapshot, and two sources that are partly equal.
fn machine() -> Machine {
    let machine = Machine::new();
    machine.found_on_disk("vault");
    machine.write("old.bin", &noise(1, 300_000));
    let done = machine.backup_program("vault").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    for side in ["left", "right"] {
        machine.write(&format!("{side}/common.bin"), &noise(2, 12 << 20));
        machine.write(&format!("{side}/own.bin"), side.repeat(500_000).as_bytes());
    }
    machine
}

fn side_program(machine: &Machine, side: &str) -> Command {
    machine.program("vault", &["backup", "--json", "-q", machine.source().join(side).to_str().unwrap()])
}

fn both_succeed(machine: &Machine, programs: [Command; 2]) {
    let running = programs.map(|mut program| program.spawn().unwrap());
    for child in running {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    let store = machine.store_on_disk("vault");
    let report = machine.check(&store, &machine.folders).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.snapshots, 3);
    for (_, manifest) in machine.snapshots(&store) {
        let source = PathBuf::from(&manifest.members[0].name);
        if source == machine.source() {
            continue;
        }
        let misses = machine.misses_of(&store, &machine.folders, &manifest, &source, &source);
        assert_eq!(misses, [""; 0], "{}", source.display());
    }
}

#[test]
fn two_backups_at_once_with_one_cache_both_succeed() {
    let machine = machine();
    both_succeed(&machine, ["left", "right"].map(|side| side_program(&machine, side)));
}

#[test]
fn two_backups_at_once_from_two_machines_both_succeed() {
    let machine = machine();
    let programs = ["left", "right"].map(|side| {
        let mut program = side_program(&machine, side);
        program.env("XDG_CACHE_HOME", machine.path(&format!("cache-{side}")));
        program.env("XDG_STATE_HOME", machine.path(&format!("state-{side}")));
        program
    });
    both_succeed(&machine, programs);
}

#[test]
fn two_backups_of_one_source_at_once_both_succeed() {
    let machine = machine();
    both_succeed(&machine, ["left", "left"].map(|side| side_program(&machine, side)));
    let done = side_program(&machine, "left").output().unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
<<<<<<< HEAD
    assert_eq!(summary["files_read"], 0, "{summary}");
    // Directories above the source are in the snapshot too, and other tests work in them meanwhile.
    assert!(summary["data_added"].as_u64().unwrap() < 4096, "{summary}");
=======
    assert_eq!((&summary["files_read"], &summary["bytes_read"]), (&0.into(), &0.into()), "{summary}");
>>>>>>> crash
}

#[test]
fn a_check_beside_a_backup_finds_no_fault() {
    let machine = machine();
    let mut backup = side_program(&machine, "left").spawn().unwrap();
    let mut looks = 0;
    while backup.try_wait().unwrap().is_none() {
        let done = machine.program("vault", &["check", "--read-data"]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        looks += 1;
    }
    assert!(looks > 0 && backup.wait().unwrap().success());
}
