//! A full disk, wherever it is, is named, harms nothing, and once there is room again the work goes on.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::machine::{Machine, noise};
use crate::skip::skip;

/// A small file system in memory, gone with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, megabytes: u32) -> Result<Self, String> {
        std::fs::create_dir_all(&at).unwrap();
        let size = format!("size={megabytes}m");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        match done {
            Ok(done) if done.status.success() => Ok(Self(at)),
            Ok(done) => Err(format!("no file system can be mounted: {}", String::from_utf8_lossy(&done.stderr).trim())),
            Err(error) => Err(format!("mount cannot be run: {error}")),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[track_caller]
fn require_said(done: &Output, place: &Path) {
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.to_lowercase().contains("no space left"), "{said}");
    assert!(said.contains(place.to_str().unwrap()), "{} is not named: {said}", place.display());
    assert!(said.contains("free some space"), "no next step: {said}");
}

#[test]
fn a_full_repository_is_named_stays_clean_and_the_backup_goes_on_when_there_is_room() {
    let machine = Machine::new();
    let _disk = match SmallDisk::mount(machine.path("disk"), 80) {
        Ok(disk) => disk,
        Err(reason) => {
            let test = "a_full_repository_is_named_stays_clean_and_the_backup_goes_on_when_there_is_room";
            return skip(&format!("full_disk::{test}"), &reason);
        }
    };
    let store = machine.found_on_disk("disk/vault");
    machine.write("small.bin", &noise(1, 300_000));
    assert!(machine.backup_program("disk/vault").output().unwrap().status.success());
    let before = machine.copy_source("before");
    let (first, manifest) = machine.snapshots(&store).remove(0);
    std::fs::write(machine.path("disk/ballast"), vec![1; 30 << 20]).unwrap();
    machine.write("large.bin", &noise(2, 64 << 20));

    let done = machine.backup_program("disk/vault").output().unwrap();

    require_said(&done, &machine.path("disk"));
    let report = machine.check(&store, &machine.folders).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(machine.misses(&store, &machine.folders, &manifest, &before), [""; 0]);
    std::fs::remove_file(machine.path("disk/ballast")).unwrap();
    let done = machine.backup_program("disk/vault").output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let summary: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(summary["data_added_packed"].as_u64().unwrap() < 55 << 20, "it began anew: {summary}");
    let (_, latest) = machine.snapshots(&store).into_iter().find(|(id, _)| *id != first).unwrap();
    assert_eq!(machine.misses(&store, &machine.folders, &latest, &machine.source()), [""; 0]);
    assert!(machine.check(&store, &machine.folders).unwrap().is_clean());
}

#[test]
fn a_full_cache_does_not_stop_a_backup_or_is_named() {
    let machine = Machine::new();
    let store = machine.found_on_disk("vault");
    let _disk = match SmallDisk::mount(machine.path("program-cache"), 1) {
        Ok(disk) => disk,
        Err(reason) => return skip("full_disk::a_full_cache_does_not_stop_a_backup_or_is_named", &reason),
    };
    std::fs::write(machine.path("program-cache/ballast"), vec![1; 900 << 10]).unwrap();
    for number in 0..4_000 {
        machine.write(&format!("{}/{number}", number % 50), &noise(number, 100));
    }
    for round in 0..2 {
        let done = machine.backup_program("vault").output().unwrap();
        if done.status.success() {
            let manifest = machine.snapshots(&store).into_iter().map(|(_, manifest)| manifest);
            let latest = manifest.max_by_key(|manifest| manifest.time).unwrap();
            assert_eq!(machine.misses(&store, &machine.folders, &latest, &machine.source()), [""; 0]);
        } else {
            require_said(&done, &machine.path("program-cache"));
        }
        assert!(machine.check(&store, &machine.folders).unwrap().is_clean(), "round {round}");
        machine.write("later.bin", &noise(round, 200_000));
    }
    std::fs::remove_file(machine.path("program-cache/ballast")).unwrap();
    assert!(machine.backup_program("vault").output().unwrap().status.success());
}

#[test]
fn a_full_target_is_named_and_a_restore_goes_on_when_there_is_room() {
    let machine = Machine::new();
    machine.found_on_disk("vault");
    machine.write("large.bin", &noise(1, 12 << 20));
    machine.write("small.bin", &noise(2, 1 << 20));
    assert!(machine.backup_program("vault").output().unwrap().status.success());
    let _disk = match SmallDisk::mount(machine.path("disk"), 20) {
        Ok(disk) => disk,
        Err(reason) => {
            let test = "full_disk::a_full_target_is_named_and_a_restore_goes_on_when_there_is_room";
            return skip(test, &reason);
        }
    };
    std::fs::write(machine.path("disk/ballast"), vec![1; 12 << 20]).unwrap();
    let target = machine.path("disk/target");
    let restore = || machine.program("vault", &["restore", "latest", "--target", target.to_str().unwrap()]);

    let done = restore().output().unwrap();

    require_said(&done, &target);
    std::fs::remove_file(machine.path("disk/ballast")).unwrap();
    let done = restore().output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let back = crate::tree_diff::restored(&target, &machine.source());
    assert_eq!(crate::tree_diff::differences(&machine.source(), &back), [""; 0]);
}

/// Takes all room but so many bytes.
fn fill(place: &Path, left: u64) {
    let ballast = std::fs::File::create(place.join("ballast")).unwrap();
    let mut bytes = 0;
    for step in [64 << 10, 4 << 10] {
        while std::os::unix::fs::FileExt::write_all_at(&ballast, &vec![1; step], bytes).is_ok() {
            bytes += step as u64;
        }
    }
    ballast.set_len(bytes.saturating_sub(left)).unwrap();
}

#[test]
fn a_full_repository_gives_back_what_was_forgotten() {
    let machine = Machine::new();
    let _disk = match SmallDisk::mount(machine.path("disk"), 80) {
        Ok(disk) => disk,
        Err(reason) => return skip("full_disk::a_full_repository_gives_back_what_was_forgotten", &reason),
    };
    let store = machine.found_on_disk("disk/vault");
    machine.write("goes.bin", &noise(1, 40 << 20));
    assert!(machine.backup_program("disk/vault").output().unwrap().status.success());
    let gone = machine.snapshots(&store)[0].0;
    std::fs::remove_file(machine.source().join("goes.bin")).unwrap();
    // In packs of its own: how two files share packs depends on which thread is faster.
    machine.write("stays.bin", &noise(2, 10 << 20));
    assert!(machine.backup_program("disk/vault").output().unwrap().status.success());
    machine.forget(&store, gone);
    let prune = ["prune", "--no-repack", "--undo-window", "0s", "--grace", "0s"];

    fill(&machine.path("disk"), 0);
    let done = machine.program("disk/vault", &prune).output().unwrap();
    require_said(&done, &machine.path("disk"));
    assert!(machine.check(&store, &machine.folders).unwrap().is_clean());

    fill(&machine.path("disk"), 256 << 10);
    let done = machine.program("disk/vault", &prune).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let left: u64 = machine.objects_on_disk("disk/vault", "packs").iter().map(|(_, bytes)| bytes).sum();
    assert!(left < 12 << 20, "whole packs went, and {left} bytes are left");
    let (_, kept) = machine.snapshots(&store).remove(0);
    assert_eq!(machine.misses(&store, &machine.folders, &kept, &machine.source()), [""; 0]);
    assert!(machine.check(&store, &machine.folders).unwrap().is_clean());
}

#[test]
fn parity_and_mending_name_a_full_repository_and_go_on_when_there_is_room() {
    let machine = Machine::new();
    let _disk = match SmallDisk::mount(machine.path("disk"), 40) {
        Ok(disk) => disk,
        Err(reason) => {
            let test = "parity_and_mending_name_a_full_repository_and_go_on_when_there_is_room";
            return skip(&format!("full_disk::{test}"), &reason);
        }
    };
    machine.found_on_disk("disk/vault");
    machine.write("large.bin", &noise(1, 12 << 20));
    assert!(machine.backup_program("disk/vault").output().unwrap().status.success());
    let ballast = |megabytes: usize| std::fs::write(machine.path("disk/ballast"), vec![1; megabytes << 20]).unwrap();
    let run = |arguments: &[&str]| machine.program("disk/vault", arguments).output().unwrap();
    let nothing_is_left = || assert_eq!(machine.objects_on_disk("disk/vault", "tmp"), []);

    ballast(22);
    require_said(&run(&["parity", "add"]), &machine.path("disk"));

    nothing_is_left();
    assert_eq!(machine.objects_on_disk("disk/vault", "parity"), []);
    assert!(run(&["check", "--read-data"]).status.success());
    ballast(1);
    assert!(run(&["parity", "add"]).status.success());
    let (pack, _) = machine.objects_on_disk("disk/vault", "packs").into_iter().max_by_key(|(_, bytes)| *bytes).unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    ballast(12);

    require_said(&run(&["check", "--storage-only", "--repair"]), &machine.path("disk"));

    nothing_is_left();
    assert_eq!(machine.objects_on_disk("disk/vault", "mended"), []);
    ballast(1);
    assert!(run(&["check", "--storage-only", "--repair"]).status.success());
    assert!(run(&["check", "--read-data"]).status.success());
}
