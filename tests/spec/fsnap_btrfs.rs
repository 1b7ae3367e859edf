//! A btrfs volume is frozen: what is read is one moment, wherever in the file system the directory lies, and
//! nothing is left.

use std::fs::{self, File};
use std::path::Path;

use dssvault::base::hint::Hint;
use dssvault::fsnap::{Frozen, FsnapError, Options, Provider, detect, recover};

use crate::in_step::{self, Writes};
use crate::skip::skip;
use crate::volume::{Volume, run};

/// A volume, or the skip of the test.
macro_rules! volume {
    ($test:literal) => {
        match Volume::btrfs(256, &[]) {
            Ok(volume) => volume,
            Err(reason) => return skip(concat!("fsnap_btrfs::", $test), &reason),
        }
    };
}

fn freeze(volume: &Volume, dir: &Path) -> Frozen {
    try_freeze(volume, dir).unwrap()
}

fn try_freeze(volume: &Volume, dir: &Path) -> Result<Frozen, FsnapError> {
    let candidate = detect(dir, &Options::default())?.best()?;
    assert_eq!(candidate.provider(), Provider::Btrfs);
    candidate.create("a node", &volume.journal())
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_read_is_one_moment_and_a_copy_of_the_live_files_is_not() {
    let volume = volume!("what_is_read_is_one_moment_and_a_copy_of_the_live_files_is_not");
    let dir = volume.subvolume("data");
    in_step::require_one_moment(&dir, Writes::Durable, 20, || freeze(&volume, &dir));
    volume.require_clean(&["data"]);
}

#[test]
fn a_frozen_directory_is_found_wherever_it_lies() {
    let volume = volume!("a_frozen_directory_is_found_wherever_it_lies");
    let deep = volume.subvolume("data").join("a/b c");
    fs::create_dir_all(&deep).unwrap();
    fs::create_dir(volume.top().join("plain")).unwrap();
    let mounted = volume.mount_also("mounted", "subvol=data");
    let bound = volume.beside("bound");
    fs::create_dir(&bound).unwrap();
    run("mount", ["--bind".as_ref(), deep.as_os_str(), bound.as_os_str()]).unwrap();
    let link = volume.beside("link");
    std::os::unix::fs::symlink(&deep, &link).unwrap();
    let before = volume.mounts();
    let places = [
        volume.top(),
        volume.top().join("plain"),
        volume.top().join("data"),
        deep,
        mounted.clone(),
        mounted.join("a"),
        bound,
        link,
    ];
    for dir in places {
        let mark = dir.join("mark");
        fs::write(&mark, b"then").unwrap();
        let expected = names(&dir);

        let frozen = freeze(&volume, &dir);

        fs::write(&mark, b"now").unwrap();
        fs::write(dir.join("later"), b"").unwrap();
        assert_eq!(fs::read(frozen.read_path().join("mark")).unwrap(), b"then", "{}", dir.display());
        assert_eq!(names(frozen.read_path()), expected, "{}", dir.display());
        assert!(fs::write(frozen.read_path().join("mark"), b"x").is_err(), "it can be written");
        frozen.finish().unwrap();
        fs::remove_file(&mark).unwrap();
        fs::remove_file(dir.join("later")).unwrap();
        assert_eq!(volume.subvolumes(), ["data"], "{}", dir.display());
        assert_eq!(volume.mounts(), before);
    }
}

#[test]
fn a_dropped_one_is_removed_and_several_do_not_meet() {
    let volume = volume!("a_dropped_one_is_removed_and_several_do_not_meet");
    let dir = volume.subvolume("data");
    let one = freeze(&volume, &dir);
    let other = freeze(&volume, &dir);
    assert_ne!(one.name(), other.name());
    let found = recover(&volume.journal()).unwrap();
    assert!(found.removed.is_empty() && found.stuck.is_empty(), "recovery took what is in use: {found:?}");
    drop(one);
    other.verify().unwrap();
    assert_eq!(names(other.read_path()), [""; 0]);
    drop(other);
    volume.require_clean(&["data"]);
}

#[test]
fn a_read_only_subvolume_is_frozen_and_a_read_only_mount_too() {
    let volume = volume!("a_read_only_subvolume_is_frozen_and_a_read_only_mount_too");
    let dir = volume.subvolume("data");
    fs::write(dir.join("file"), b"x").unwrap();
    run("btrfs", ["property", "set", "-ts", dir.to_str().unwrap(), "ro", "true"]).unwrap();
    let mounted = volume.mount_also("mounted", "ro,subvol=data");
    for dir in [&dir, &mounted] {
        let frozen = freeze(&volume, dir);
        assert_eq!(names(frozen.read_path()), ["file"]);
        frozen.finish().unwrap();
    }
    assert_eq!(volume.subvolumes(), ["data"]);
}

#[test]
fn a_read_only_file_system_is_refused_with_the_reason() {
    let volume = volume!("a_read_only_file_system_is_refused_with_the_reason");
    let dir = volume.subvolume("data");
    run("mount", ["-o", "remount,ro", volume.top().to_str().unwrap()]).unwrap();

    let error = detect(&dir, &Options::default()).unwrap().best().unwrap_err();

    assert!(matches!(error, FsnapError::NoProvider { .. }), "{error}");
    assert!(error.to_string().contains("read-only") && error.to_string().contains(dir.to_str().unwrap()), "{error}");
    assert!(error.hint().unwrap().contains("--consistency"), "{error}");
}

#[test]
fn a_volume_without_room_for_a_snapshot_is_named_and_nothing_is_left() {
    let test = "fsnap_btrfs::a_volume_without_room_for_a_snapshot_is_named_and_nothing_is_left";
    // Data and metadata share the room, so that small files can use up all of it.
    let volume = match Volume::btrfs(32, &["--mixed"]) {
        Ok(volume) => volume,
        Err(reason) => return skip(test, &reason),
    };
    let dir = volume.subvolume("data");
    for (size, suffix) in [(1 << 20, "large"), (4096, "small"), (500, "tiny"), (0, "empty")] {
        let full = (0..200_000).any(|number| fs::write(dir.join(format!("{number}.{suffix}")), vec![7; size]).is_err());
        assert!(full, "the volume never filled up with {suffix} files");
        let _ = run("sync", ["--file-system", dir.to_str().unwrap()]);
    }

    let error = try_freeze(&volume, &dir).map(drop).unwrap_err();

    assert!(matches!(error, FsnapError::NoSpace { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("free some space"), "{error}");
    volume.require_clean(&["data"]);
    fs::remove_file(dir.join("0.large")).unwrap();
    run("sync", ["--file-system", dir.to_str().unwrap()]).unwrap();
    freeze(&volume, &dir).finish().unwrap();
    volume.require_clean(&["data"]);
}

#[test]
fn a_snapshot_that_somebody_changes_or_deletes_is_invalid() {
    let volume = volume!("a_snapshot_that_somebody_changes_or_deletes_is_invalid");
    let dir = volume.subvolume("data");

    let deleted = freeze(&volume, &dir);
    run("btrfs", ["subvolume", "delete", deleted.read_path().to_str().unwrap()]).unwrap();
    let error = deleted.verify().unwrap_err();
    assert!(matches!(error, FsnapError::Invalid { .. }), "{error}");
    deleted.finish().unwrap();
    volume.require_clean(&["data"]);

    let changed = freeze(&volume, &dir);
    let writable = |yes: &str| {
        run("btrfs", ["property", "set", "-ts", changed.read_path().to_str().unwrap(), "ro", yes]).unwrap();
    };
    writable("false");
    let error = changed.verify().unwrap_err();
    assert!(matches!(error, FsnapError::Invalid { .. }), "{error}");
    writable("true");
    changed.finish().unwrap();
    volume.require_clean(&["data"]);
}

#[test]
fn a_reader_that_is_still_there_does_not_lose_the_snapshot_from_sight() {
    let volume = volume!("a_reader_that_is_still_there_does_not_lose_the_snapshot_from_sight");
    let dir = volume.subvolume("data");
    fs::write(dir.join("file"), b"x").unwrap();
    let frozen = freeze(&volume, &dir);
    let reader = File::open(frozen.read_path().join("file")).unwrap();

    let error = frozen.finish().unwrap_err();

    assert!(matches!(error, FsnapError::Busy { .. }), "{error}");
    drop(reader);
    let found = recover(&volume.journal()).unwrap();
    assert_eq!((found.removed.len(), found.stuck.len()), (1, 0));
    volume.require_clean(&["data"]);
}

#[test]
fn a_volume_nobody_can_freeze_is_refused_with_each_reason() {
    let dir = Path::new("/proc");
    let detection = detect(dir, &Options::default()).unwrap();
    assert!(detection.able.is_empty());
    let providers: Vec<Provider> = detection.unable.iter().map(|unable| unable.provider).collect();
    assert_eq!(providers, [Provider::Btrfs, Provider::Zfs, Provider::Lvm]);
    let error = detection.best().unwrap_err().to_string();
    assert!(error.contains("/proc") && error.contains("btrfs:") && error.contains("lvm:"), "{error}");
    assert!(detect(Path::new("/proc/version"), &Options::default()).is_err(), "a file is no directory");
    assert!(detect(Path::new("/no/such/directory"), &Options::default()).is_err());
}
