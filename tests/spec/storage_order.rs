//! The order of a local store's system calls, as the kernel saw them.

use std::path::{Path, PathBuf};

use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::storage::local::{LocalStore, Modes};
use dssvault::storage::{CreateMethod, Storage};

use crate::skip::skip;
use crate::strace::{self, Call, Event, Published, parse, published, require_order, written_in_place};

const ROOT: &str = "DSSVAULT_TEST_TRACED_ROOT";
const CREATE: &str = "DSSVAULT_TEST_TRACED_CREATE";

/// Writes packs from four threads, then a segment, then a snapshot, in a repository that the environment names.
#[test]
#[ignore = "the tests below run it under strace"]
fn traced_writer() {
    let root = PathBuf::from(std::env::var_os(ROOT).unwrap());
    let create = if std::env::var_os(CREATE).is_some() { CreateMethod::Exclusive } else { CreateMethod::HardLink };
    LocalStore::create_layout(&root, Modes::default()).unwrap();
    let store = LocalStore::open(&root, create).unwrap();
    let put = |kind, text: &str| {
        let mut staged = store.stage().unwrap();
        (0..3).for_each(|_| staged.write(&[7; 10_000]).unwrap());
        staged.publish(&ObjectName::new(kind, text).unwrap()).unwrap();
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || (0..5).for_each(|number| put(ObjectKind::Pack, &format!("{number}{thread}pack"))));
        }
    });
    put(ObjectKind::Pack, "00pack"); // there already
    put(ObjectKind::Index, "segment");
    put(ObjectKind::Snapshot, "snapshot");
}

fn trace_writer(test: &str, exclusive: bool) -> Option<(tempfile::TempDir, Vec<Event>)> {
    if let Err(reason) = strace::available() {
        skip(test, &reason);
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let events = strace::trace(&std::env::current_exe().unwrap(), |command| {
        command.args(["--exact", "storage_order::traced_writer", "--ignored"]).env(ROOT, directory.path());
        if exclusive {
            command.env(CREATE, "exclusive");
        }
    });
    Some((directory, events))
}

#[test]
fn every_object_is_durable_before_it_is_named_and_its_name_before_the_next_step() {
    let test = "storage_order::every_object_is_durable_before_it_is_named_and_its_name_before_the_next_step";
    for exclusive in [false, true] {
        let Some((directory, events)) = trace_writer(test, exclusive) else { return };
        let root = directory.path();
        let published = published(&events, root).unwrap();
        assert_eq!(published.len(), 22, "20 packs, a segment and a snapshot: {published:#?}");
        assert_eq!(written_in_place(&events, root), [] as [PathBuf; 0]);
        require_order(&published, root, "packs", "index").unwrap();
        require_order(&published, root, "index", "snapshots").unwrap();
    }
}

const GOOD: &str = r#"
10 mkdir("/v/packs/ab", 0700) = 0
10 fsync(4</v/packs>) = 0
10 openat(AT_FDCWD</w>, "/v/tmp/1", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 3</v/tmp/1>
10 write(3</v/tmp/1>, ""..., 100) = 100
10 fsync(3</v/tmp/1> <unfinished ...>
11 write(5</elsewhere>, ""..., 1) = 1
10 <... fsync resumed>)      = 0
10 linkat(AT_FDCWD</w>, "/v/tmp/1", AT_FDCWD</w>, "/v/packs/ab/abcd", 0) = 0
10 fsync(4</v/packs/ab>)     = 0
10 unlink("/v/tmp/1")        = 0
10 +++ exited with 0 +++
"#;

fn verdict(trace: &str) -> Result<Vec<Published>, String> {
    published(&parse(trace), Path::new("/v"))
}

#[test]
fn the_proof_accepts_the_right_order() {
    let path = PathBuf::from("/v/packs/ab/abcd");
    assert_eq!(verdict(GOOD).unwrap(), [Published { path, visible: 8, durable: 9 }]);
    let synced = Event { call: Call::Sync("/v/tmp/1".into()), began: 5, ended: 7 };
    assert!(parse(GOOD).contains(&synced));
}

#[test]
fn the_proof_rejects_each_missing_step() {
    let without = |wanted: &str, instead: &str| {
        assert!(GOOD.contains(wanted));
        verdict(&GOOD.replace(wanted, instead)).unwrap_err()
    };
    assert!(
        without("10 fsync(3</v/tmp/1> <unfinished", "10 fsync(9</other> <unfinished").contains("bytes were synced")
    );
    assert!(without("10 <... fsync resumed>)      = 0", "").contains("bytes were synced"));
    assert!(
        without("resumed>)      = 0", "resumed>)      = -1 EIO (Input/output error)").contains("bytes were synced")
    );
    assert!(without("10 fsync(4</v/packs/ab>)     = 0", "").contains("folder"));
    assert!(without("10 fsync(4</v/packs>) = 0", "").contains("parent"));
    assert!(without("10 unlink", "10 write(3</v/tmp/1>, \"\"..., 1) = 1\n10 unlink").contains("after it was synced"));
    assert!(without("10 write(3</v/tmp/1>", "10 write(3</v/tmp/2>").contains("never written"));
}

#[test]
fn the_proof_rejects_an_object_that_overtakes_what_it_depends_on() {
    let segment = GOOD.replace("packs", "index").replace("/tmp/1", "/tmp/2");
    let order = |trace: &str| require_order(&verdict(trace).unwrap(), Path::new("/v"), "packs", "index");
    assert_eq!(order(&format!("{GOOD}{segment}")), Ok(()));
    assert!(order(&format!("{segment}{GOOD}")).unwrap_err().contains("/v/index/ab/abcd became visible before"));
}

#[test]
fn the_proof_sees_objects_written_under_their_final_name() {
    let trace = "10 write(3</v/packs/ab/abcd>, \"\"..., 1) = 1\n10 write(3</v/tmp/1>, \"\"..., 1) = 1\n";
    assert_eq!(written_in_place(&parse(trace), Path::new("/v")), [PathBuf::from("/v/packs/ab/abcd")]);
}
