//! A local store on disks that cannot do everything, or stop doing it: network shares without hard links, full and
//! dying disks.

use std::path::Path;
use std::sync::Arc;

use dssvault::base::hint::Hint;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::storage::local::{LocalStore, Modes};
use dssvault::storage::{CreateMethod, Published, Storage, StorageError};
use fuser::Errno;

use crate::faulty_disk::{Call, FaultyDisk, Times};
use crate::storage_conformance::{Subject, storage_conformance};

/// A disk that fails these calls, or nothing if `test` cannot run here.
fn disk_without(test: &str, calls: &[(Call, Errno)]) -> Option<FaultyDisk> {
    let disk = FaultyDisk::mount(test)?;
    calls.iter().for_each(|(call, errno)| disk.fail(*call, *errno));
    Some(disk)
}

/// A repository's store on a disk, created as the probe says.
fn probed_store(disk: &FaultyDisk) -> Result<LocalStore, StorageError> {
    let root = disk.path().join("vault");
    let create = LocalStore::prepare(&root, Modes::default())?.create_method(&root.display().to_string())?;
    LocalStore::open(&root, create)
}

fn subject(test: &str, calls: &[(Call, Errno)]) -> Option<Subject> {
    let disk = disk_without(test, calls)?;
    Some(Subject { store: Arc::new(probed_store(&disk).unwrap()), _keep: Box::new(disk) })
}

storage_conformance!(everything_works, |test| super::subject(test, &[]));

storage_conformance!(without_hard_links, |test| {
    super::subject(test, &[(crate::faulty_disk::Call::Link, fuser::Errno::EPERM)])
});

storage_conformance!(without_hard_links_and_careful_rename, |test| {
    use crate::faulty_disk::Call;
    super::subject(test, &[(Call::Link, fuser::Errno::EOPNOTSUPP), (Call::RenameNoReplace, fuser::Errno::EINVAL)])
});

/// The name of the test that calls it, for the list of skipped tests.
macro_rules! this_test {
    ($name:ident) => {
        concat!(module_path!(), "::", stringify!($name))
    };
}

fn snapshot(text: &str) -> ObjectName {
    ObjectName::new(ObjectKind::Snapshot, text).unwrap()
}

fn pack(text: &str) -> ObjectName {
    ObjectName::new(ObjectKind::Pack, text).unwrap()
}

#[test]
fn without_hard_links_the_probe_picks_exclusive_creation() {
    let test = this_test!(without_hard_links_the_probe_picks_exclusive_creation);
    for errno in [Errno::EPERM, Errno::EOPNOTSUPP, Errno::ENOSYS, Errno::EIO] {
        let Some(disk) = disk_without(test, &[(Call::Link, errno)]) else { return };
        let capabilities = LocalStore::prepare(disk.path().join("vault"), Modes::default()).unwrap();
        assert_eq!(capabilities.create_method("").unwrap(), CreateMethod::Exclusive);
        assert!(capabilities.hard_links.is_err());
    }
}

#[test]
fn without_exclusive_creation_hard_links_still_serve() {
    let test = this_test!(without_exclusive_creation_hard_links_still_serve);
    let Some(disk) = disk_without(test, &[(Call::CreateExclusive, Errno::EOPNOTSUPP)]) else { return };
    let store = probed_store(&disk).unwrap();
    assert_eq!(store.put(&snapshot("abcdef"), b"one").unwrap(), Published::Created);
    assert_eq!(store.put(&snapshot("abcdef"), b"two").unwrap(), Published::AlreadyThere);
}

#[test]
fn a_disk_on_which_writers_could_destroy_each_others_work_is_refused_and_left_as_it_was() {
    let test = this_test!(a_disk_on_which_writers_could_destroy_each_others_work_is_refused_and_left_as_it_was);
    for other in [Call::CreateExclusive, Call::Rename] {
        let calls = [(Call::Link, Errno::EPERM), (other, Errno::EOPNOTSUPP)];
        let Some(disk) = disk_without(test, &calls) else { return };
        let error = probed_store(&disk).err().unwrap();
        assert!(matches!(error, StorageError::NoExclusiveCreate { .. }), "{error}");
        assert!(error.hint().is_some());
        assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 0, "something was left behind");
    }
}

#[test]
fn a_folder_that_needs_no_fsync_is_used_and_one_that_cannot_is_refused() {
    let test = this_test!(a_folder_that_needs_no_fsync_is_used_and_one_that_cannot_is_refused);
    let Some(disk) = disk_without(test, &[(Call::SyncFolder, Errno::EINVAL)]) else { return };
    assert_eq!(probed_store(&disk).unwrap().put(&pack("abcdef"), b"one").unwrap(), Published::Created);
    let refused = [(Call::SyncFolder, Errno::EIO), (Call::SyncFile, Errno::EIO), (Call::SyncFile, Errno::EINVAL)];
    for (call, errno) in refused {
        let Some(disk) = disk_without(test, &[(call, errno)]) else { return };
        let error = probed_store(&disk).err().unwrap();
        assert!(error.to_string().contains("durable"), "{error}");
    }
}

#[test]
fn times_that_lie_are_found_out_and_do_not_stop_anything() {
    let test = this_test!(times_that_lie_are_found_out_and_do_not_stop_anything);
    for times in [Times::Absent, Times::Backwards] {
        let Some(disk) = FaultyDisk::mount(test) else { return };
        disk.tell_times(times);
        let root = disk.path().join("vault");
        let capabilities = LocalStore::prepare(&root, Modes::default()).unwrap();
        assert!(capabilities.object_times.is_err(), "{times:?}");
        let store = LocalStore::open(&root, CreateMethod::HardLink).unwrap();
        let mut staged = store.stage().unwrap();
        staged.write(b"one").unwrap();
        // Whatever the age seems to be, the file of a live writer stays.
        assert_eq!(LocalStore::open(&root, CreateMethod::HardLink).unwrap().sweep(), 0);
        assert_eq!(staged.publish(&pack("abcdef")).unwrap(), Published::Created);
    }
}

/// What lies under final names, and under none other than these.
fn objects(files: std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>) -> Vec<Vec<u8>> {
    let is_object = |path: &Path| !path.starts_with("vault/tmp");
    files.into_iter().filter(|(path, _)| is_object(path)).map(|(_, bytes)| bytes).collect()
}

#[test]
fn a_failing_call_is_an_error_and_never_leaves_a_half_object() {
    let test = this_test!(a_failing_call_is_an_error_and_never_leaves_a_half_object);
    let calls = [
        Call::Link,
        Call::CreateExclusive,
        Call::Rename,
        Call::RenameNoReplace,
        Call::SyncFile,
        Call::SyncFolder,
        Call::Write,
        Call::MakeFolder,
        Call::Remove,
    ];
    let content = vec![7; 300_000];
    for create in [CreateMethod::HardLink, CreateMethod::Exclusive] {
        for call in calls {
            for errno in [Errno::EIO, Errno::ENOSPC, Errno::EACCES] {
                let Some(disk) = FaultyDisk::mount(test) else { return };
                LocalStore::create_layout(disk.path().join("vault"), Modes::default()).unwrap();
                let store = LocalStore::open(disk.path().join("vault"), create).unwrap();
                let case = format!("{create:?}, {call:?} fails with {errno:?}");
                disk.fail(call, errno);
                let result = store.put(&pack("abcdef"), &content);
                disk.heal();
                let here = objects(disk.files());
                assert!(here.iter().all(|bytes| *bytes == content), "{case}: half an object");
                match result {
                    Ok(published) => assert_eq!((published, here.len()), (Published::Created, 1), "{case}"),
                    Err(error) => assert_clear(&error, errno, &case),
                }
                let again = store.put(&pack("abcdef"), &content);
                assert!(again.is_ok(), "{case}: not healed: {again:?}");
                assert_eq!(store.get(&pack("abcdef"), u64::MAX).unwrap(), content, "{case}");
            }
        }
    }
}

fn assert_clear(error: &StorageError, errno: Errno, case: &str) {
    let text = error.to_string();
    assert!(text.contains("vault"), "{case}: nothing is named in `{text}`");
    if errno == Errno::ENOSPC {
        assert!(matches!(error, StorageError::NoSpace { .. }), "{case}: {text}");
    }
    if errno != Errno::EIO {
        assert!(error.hint().is_some(), "{case}: no advice with `{text}`");
    }
}

#[test]
fn a_read_error_is_an_error_and_never_a_shorter_object_or_listing() {
    let test = this_test!(a_read_error_is_an_error_and_never_a_shorter_object_or_listing);
    let Some(disk) = FaultyDisk::mount(test) else { return };
    let store = probed_store(&disk).unwrap();
    store.put(&pack("abcdef"), b"one").unwrap();
    disk.fail(Call::Read, Errno::EIO);
    disk.fail(Call::ListFolder, Errno::EIO);
    for error in [store.get(&pack("abcdef"), 9).unwrap_err(), store.get_range(&pack("abcdef"), 0, 3).unwrap_err()] {
        assert!(matches!(error, StorageError::Io { .. }), "{error}");
        assert!(error.to_string().contains("packs/abcdef"), "{error}");
    }
    assert!(matches!(store.list(ObjectKind::Pack), Err(StorageError::Io { .. })));
}

#[test]
fn a_repository_moved_to_a_disk_without_hard_links_says_what_is_wrong() {
    let test = this_test!(a_repository_moved_to_a_disk_without_hard_links_says_what_is_wrong);
    let Some(disk) = disk_without(test, &[(Call::Link, Errno::EPERM)]) else { return };
    LocalStore::create_layout(disk.path().join("vault"), Modes::default()).unwrap();
    let store = LocalStore::open(disk.path().join("vault"), CreateMethod::HardLink).unwrap();
    let error = store.put(&pack("abcdef"), b"one").unwrap_err();
    assert!(matches!(error, StorageError::NoHardLinks { .. }), "{error}");
    assert!(error.hint().unwrap().contains("move the repository"));
}

#[test]
fn what_was_created_survives_a_power_cut_and_nothing_else_appears_in_part() {
    let test = this_test!(what_was_created_survives_a_power_cut_and_nothing_else_appears_in_part);
    let missing: [&[(Call, Errno)]; 3] =
        [&[], &[(Call::Link, Errno::EPERM)], &[(Call::Link, Errno::EPERM), (Call::RenameNoReplace, Errno::EINVAL)]];
    for calls in missing {
        let Some(disk) = disk_without(test, calls) else { return };
        let store = probed_store(&disk).unwrap();
        let mut unfinished = store.stage().unwrap();
        unfinished.write(b"unfinished").unwrap();
        for number in 0..20 {
            let content = vec![number; 10_000];
            store.put(&pack(&format!("{number:02}cdef")), &content).unwrap();
            store.put(&snapshot(&format!("{number:02}cdef")), &content).unwrap();
            let left = objects(disk.files_after_power_cut());
            assert_eq!(left.len(), 2 * (usize::from(number) + 1), "an object is lost without {calls:?}");
            assert!(left.iter().all(|bytes| bytes.len() == 10_000), "an object is torn without {calls:?}");
        }
    }
}
