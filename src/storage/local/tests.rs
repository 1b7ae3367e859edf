//! What only a local store does; what every store does is in `tests/spec/storage_conformance.rs`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::base::hint::Hint;
use crate::storage::Published;

fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    LocalStore::create_layout(directory.path(), Modes::default()).unwrap();
    directory
}

fn pack(text: &str) -> ObjectName {
    ObjectName::new(ObjectKind::Pack, text).unwrap()
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn packs_are_fanned_out_by_two_characters_and_snapshots_lie_flat() {
    let directory = directory();
    let store = LocalStore::open(directory.path(), CreateMethod::HardLink).unwrap();
    store.put(&pack("abcdef"), b"one").unwrap();
    store.put(&ObjectName::new(ObjectKind::Snapshot, "abcdef").unwrap(), b"two").unwrap();
    assert_eq!(fs::read(directory.path().join("packs/ab/abcdef")).unwrap(), b"one");
    assert_eq!(fs::read(directory.path().join("snapshots/abcdef")).unwrap(), b"two");
    assert_eq!(fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_listing_passes_over_whatever_is_no_object() {
    let directory = directory();
    let store = LocalStore::open(directory.path(), CreateMethod::HardLink).unwrap();
    store.put(&pack("abcdef"), b"one").unwrap();
    let packs = directory.path().join("packs");
    fs::write(packs.join("stray"), "x").unwrap();
    fs::write(packs.join("ab/.nfs0001"), "x").unwrap();
    fs::write(packs.join("ab/Thumbs.db"), "x").unwrap();
    fs::write(packs.join("ab/cdefab"), "in the wrong folder").unwrap();
    symlink("abcdef", packs.join("ab/abcde0")).unwrap();
    fs::create_dir(packs.join("ab/abfolder")).unwrap();
    let listed = store.list(ObjectKind::Pack).unwrap();
    assert_eq!(listed.iter().map(|entry| entry.name.text()).collect::<Vec<_>>(), ["abcdef"]);
}

#[test]
fn a_listing_of_a_lost_folder_fails_instead_of_being_empty() {
    let directory = directory();
    let store = LocalStore::open(directory.path(), CreateMethod::HardLink).unwrap();
    fs::remove_dir(directory.path().join("packs")).unwrap();
    let error = store.list(ObjectKind::Pack).unwrap_err();
    assert!(matches!(error, StorageError::NoFolder { folder: "packs", .. }), "{error}");
    assert!(error.hint().unwrap().contains("mounted"));
}

#[test]
fn only_the_owner_may_read_a_repository() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("vault");
    LocalStore::create_layout(&root, Modes::PRIVATE).unwrap();
    LocalStore::open(&root, CreateMethod::HardLink).unwrap().put(&pack("abcdef"), b"one").unwrap();
    assert_eq!([mode_of(&root), mode_of(&root.join("packs/ab"))], [0o700, 0o700]);
    assert_eq!(mode_of(&root.join("packs/ab/abcdef")), 0o600);
}

#[test]
fn a_group_that_a_repository_is_shared_with_may_read_and_write_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("vault");
    // Every account may give its files to its own group, and only root to any other.
    let group = if rustix::process::geteuid().is_root() { 12_345 } else { rustix::process::getegid().as_raw() };
    LocalStore::create_layout(&root, Modes::shared_with(group)).unwrap();
    for create in [CreateMethod::HardLink, CreateMethod::Exclusive] {
        let name = pack(if create == CreateMethod::HardLink { "abcdef" } else { "bcdefa" });
        LocalStore::open(&root, create).unwrap().put(&name, b"one").unwrap();
        let folder = root.join("packs").join(&name.text()[..2]);
        assert_eq!([mode_of(&root), mode_of(&folder), mode_of(&folder.join(name.text()))], [0o2770, 0o2770, 0o660]);
        assert_eq!(fs::metadata(folder.join(name.text())).unwrap().gid(), group);
    }
}

#[test]
fn a_repository_is_only_laid_out_in_an_empty_directory() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("letter.txt"), "dear").unwrap();
    let error = LocalStore::create_layout(directory.path(), Modes::default()).unwrap_err();
    assert!(error.to_string().contains("letter.txt"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn preparing_a_directory_probes_it_and_lays_it_out() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("vault");
    fs::create_dir_all(root.join(".dssvault-probe-of-a-killed-init/x")).unwrap();
    let capabilities = LocalStore::prepare(&root, Modes::default()).unwrap();
    assert_eq!(capabilities.create_method("").unwrap(), CreateMethod::HardLink);
    let mut folders: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    folders.sort();
    assert_eq!(
        folders,
        ["config", "index", "journal", "keys", "mended", "packs", "parity", "sessions", "snapshots", "tmp"]
    );
}

#[test]
fn an_interrupted_layout_is_completed_also_on_a_fresh_disk() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("lost+found")).unwrap();
    fs::create_dir(directory.path().join("packs")).unwrap();
    LocalStore::create_layout(directory.path(), Modes::default()).unwrap();
    assert!(directory.path().join("snapshots").is_dir());
}

#[test]
fn a_repository_is_there_once_it_has_a_configuration() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("a/b/vault");
    assert!(!LocalStore::exists(&root).unwrap());
    LocalStore::create_layout(&root, Modes::default()).unwrap();
    assert!(!LocalStore::exists(&root).unwrap());
    let store = LocalStore::open(&root, CreateMethod::HardLink).unwrap();
    store.put(&ObjectName::numbered(ObjectKind::Config, 1), b"config").unwrap();
    assert!(LocalStore::exists(&root).unwrap());
    store.put(&ObjectName::numbered(ObjectKind::Journal, 1), b"entry").unwrap();
    store
        .put(
            &"ab"
                .repeat(16)
                .parse()
                .map(|id: crate::base::id::SnapshotId| ObjectName::of(ObjectKind::Snapshot, id))
                .unwrap(),
            b"s",
        )
        .unwrap();
    store.delete(&ObjectName::numbered(ObjectKind::Config, 1)).unwrap();
    assert!(LocalStore::exists(&root).unwrap(), "one that lost its configuration is told as such");
}

#[test]
fn opening_a_directory_that_is_not_there_names_it() {
    let error = LocalStore::open("/nowhere/vault", CreateMethod::HardLink).err().unwrap();
    assert!(error.to_string().contains("/nowhere/vault"), "{error}");
}

fn leave_temporary(directory: &TempDir, name: &str, age: Duration) -> File {
    let file = File::create(directory.path().join("tmp").join(name)).unwrap();
    let modified = fs::metadata(directory.path().join("tmp").join(name)).unwrap().modified().unwrap();
    file.set_modified(modified.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)).unwrap();
    file
}

#[test]
fn temporary_files_of_killed_processes_are_swept_after_a_day() {
    let directory = directory();
    drop(leave_temporary(&directory, "old", Duration::from_secs(25 * 3600)));
    drop(leave_temporary(&directory, "young", Duration::from_secs(23 * 3600)));
    LocalStore::open(directory.path(), CreateMethod::HardLink).unwrap();
    assert!(!directory.path().join("tmp/old").exists());
    assert!(directory.path().join("tmp/young").exists());
    assert_eq!(fs::read_dir(directory.path().join("tmp")).unwrap().count(), 1);
}

#[test]
fn the_file_of_a_live_writer_is_never_swept() {
    let directory = directory();
    let store = LocalStore::open(directory.path(), CreateMethod::HardLink).unwrap();
    let mut staged = store.stage().unwrap();
    staged.write(b"a slow writer").unwrap();
    let temporary = fs::read_dir(directory.path().join("tmp")).unwrap().next().unwrap().unwrap();
    File::open(temporary.path()).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(LocalStore::open(directory.path(), CreateMethod::HardLink).unwrap().sweep(), 0);
    assert_eq!(staged.publish(&pack("abcdef")).unwrap(), Published::Created);
}

#[test]
fn a_lost_temporary_folder_is_made_again() {
    let directory = directory();
    let store = LocalStore::open(directory.path(), CreateMethod::HardLink).unwrap();
    fs::remove_dir(directory.path().join("tmp")).unwrap();
    assert_eq!(store.put(&pack("abcdef"), b"one").unwrap(), Published::Created);
}

#[test]
fn a_range_of_a_deleted_object_is_not_served_from_an_open_handle() {
    let directory = directory();
    let store = LocalStore::open(directory.path(), CreateMethod::HardLink).unwrap();
    store.put(&pack("abcdef"), b"one").unwrap();
    assert_eq!(store.get_range(&pack("abcdef"), 0, 3).unwrap(), b"one");
    store.delete(&pack("abcdef")).unwrap();
    assert!(matches!(store.get_range(&pack("abcdef"), 0, 3), Err(StorageError::NotFound { .. })));
}

#[test]
fn ranges_of_more_objects_than_stay_open_are_all_served() {
    let directory = directory();
    let store = LocalStore::open(directory.path(), CreateMethod::HardLink).unwrap();
    let names: Vec<_> = (0..150).map(|number| pack(&format!("{number:04}"))).collect();
    for name in &names {
        store.put(name, name.text().as_bytes()).unwrap();
    }
    for name in names.iter().chain(names.iter().rev()) {
        assert_eq!(store.get_range(name, 1, 3).unwrap(), name.text().as_bytes()[1..]);
    }
}

#[test]
fn something_other_than_a_file_under_an_objects_name_is_an_error_not_a_hang() {
    let directory = directory();
    let store = LocalStore::open(directory.path(), CreateMethod::HardLink).unwrap();
    let path = directory.path().join("snapshots/abcdef");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    let name = ObjectName::new(ObjectKind::Snapshot, "abcdef").unwrap();
    let error = store.get(&name, 100).unwrap_err();
    assert!(error.to_string().contains("snapshots/abcdef"), "{error}");
}
