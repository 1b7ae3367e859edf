//! The real program, killed at any moment, leaves a sound repository, and what it had stored is not stored again.

use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dssvault::base::random::{SeededEntropy, array};
use dssvault::storage::Storage;

use crate::machine::{Machine, copy_tree, noise};

const EPISODES: u64 = 5;
const KILLS: u64 = 10;

/// A machine with a repository on disk and one snapshot in it, made by the program.
fn machine_with_snapshot() -> (Machine, Arc<dyn Storage>) {
    let machine = Machine::new();
    let store = machine.found_on_disk("vault");
    machine.write("old/kept.bin", &noise(1, 500_000));
    machine.write("old/kept.json", b"{}");
    let done = machine.backup_program("vault").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    (machine, store)
}

/// Several megabytes that the repository does not have.
fn edit(machine: &Machine, seed: u64) {
    machine.write("new/large.bin", &noise(seed, 6 << 20));
    for number in 0..40 {
        machine.write(&format!("new/{}/{number}.txt", number % 4), &noise(seed + number, 3_000 * number as usize));
    }
}

fn kill_after(mut child: Child, delay: Duration) {
    std::thread::sleep(delay);
    // It fails if the program has ended, which is one of the moments.
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn killed_at_fifty_random_moments_a_backup_leaves_a_sound_repository() {
    let (machine, store) = machine_with_snapshot();
    let before = machine.copy_source("before");
    let (first, manifest) = machine.snapshots(&store).remove(0);
    let entropy = SeededEntropy::new(3);
    for episode in 0..EPISODES {
        edit(&machine, 1_000 * (episode + 1));
        let whole = duration_on_a_copy(&machine);
        for kill in 0..KILLS {
            let share = f64::from(u16::from_le_bytes(array(&entropy))) / f64::from(u16::MAX);
            kill_after(machine.backup_program("vault").spawn().unwrap(), whole.mul_f64(share));
            let report = machine.check(&store, &machine.folders).unwrap();
            assert!(report.is_clean(), "episode {episode}, kill {kill}: {:?}", report.findings);
        }
        assert!(machine.snapshots(&store).iter().any(|(id, _)| *id == first));
        assert_eq!(machine.misses(&store, &machine.folders, &manifest, &before), [""; 0], "episode {episode}");
        let done = machine.backup_program("vault").output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    let after = machine.copy_source("after");
    let snapshots = machine.snapshots(&store);
    let latest = snapshots.iter().map(|(_, manifest)| manifest).max_by_key(|manifest| manifest.time).unwrap();
    assert_eq!(machine.misses(&store, &machine.folders, latest, &after), [""; 0]);
}

/// How long the backup takes that will be killed.
fn duration_on_a_copy(machine: &Machine) -> Duration {
    for name in ["vault", "program-cache", "program-state"] {
        copy_tree(&machine.path(name), &machine.path(&format!("copy-{name}")));
    }
    let mut command = machine.backup_program("copy-vault");
    command.env("XDG_CACHE_HOME", machine.path("copy-program-cache"));
    command.env("XDG_STATE_HOME", machine.path("copy-program-state"));
    let began = Instant::now();
    let done = command.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let duration = began.elapsed();
    for name in ["vault", "program-cache", "program-state"] {
        std::fs::remove_dir_all(machine.path(&format!("copy-{name}"))).unwrap();
    }
    duration
}

#[test]
fn packs_of_a_killed_backup_are_used_by_the_next() {
    let (machine, store) = machine_with_snapshot();
    machine.write("large.bin", &noise(9, 90 << 20));
    let packs = || machine.objects_on_disk("vault", "packs");
    let before = packs().len();
    let mut child = machine.backup_program("vault").spawn().unwrap();
    let patience = Instant::now();
    while packs().len() < before + 2 {
        assert!(patience.elapsed() < Duration::from_secs(60), "no pack appeared");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(machine.snapshots(&store).len(), 1, "it was killed too late to prove anything");
    let left: u64 = packs().iter().map(|(_, bytes)| bytes).sum();

    let done = machine.backup_program("vault").output().unwrap();

    let summary: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let stored = summary["data_added_packed"].as_u64().unwrap();
    assert!(left > 32 << 20 && stored + left < 95 << 20, "{left} bytes were there, and {stored} were stored again");
    let after = machine.copy_source("after");
    let latest = machine.snapshots(&store).into_iter().max_by_key(|(_, manifest)| manifest.time).unwrap();
    assert_eq!(machine.misses(&store, &machine.folders, &latest.1, &after), [""; 0]);
    assert_eq!(machine.check(&store, &machine.folders).unwrap().findings, []);
}
