//! A ZFS dataset is frozen. Where the kernel has no ZFS it is zfs-fuse, which shows no `.zfs`: the way by a clone.

use std::fs;
use std::path::Path;

use dssvault::fsnap::{Frozen, FsnapError, GapKind, Options, Provider, coverage, detect, recover};

use crate::fsnap_killed::Holder;
use crate::in_step::{self, Writes};
use crate::skip::skip;
use crate::volume::run;
use crate::zpool::Pool;

macro_rules! pool {
    ($test:literal) => {
        match Pool::make() {
            Ok(pool) => pool,
            Err(reason) => return skip(concat!("fsnap_zfs::", $test), &reason),
        }
    };
}

fn freeze(pool: &Pool, dir: &Path) -> Frozen {
    let candidate = detect(dir, &Options::default()).unwrap().best().unwrap();
    assert_eq!(candidate.provider(), Provider::Zfs);
    candidate.create("a node", &pool.journal()).unwrap()
}

#[test]
fn what_is_read_is_one_moment_even_of_writes_nobody_made_durable() {
    let pool = pool!("what_is_read_is_one_moment_even_of_writes_nobody_made_durable");
    let dir = pool.dataset("data").join("deeper");
    fs::create_dir(&dir).unwrap();
    in_step::require_one_moment(&dir, Writes::Cached, 6, || freeze(&pool, &dir));
    pool.require_clean(&["", "/data"]);
}

#[test]
fn a_frozen_dataset_cannot_be_written_and_a_nested_one_is_a_gap() {
    let pool = pool!("a_frozen_dataset_cannot_be_written_and_a_nested_one_is_a_gap");
    let dir = pool.dataset("data");
    pool.dataset("data/nested");
    fs::write(dir.join("file"), b"then").unwrap();

    let frozen = freeze(&pool, &dir);

    fs::write(dir.join("file"), b"now").unwrap();
    assert_eq!(fs::read(frozen.read_path().join("file")).unwrap(), b"then");
    assert!(fs::write(frozen.read_path().join("file"), b"x").is_err(), "it can be written");
    frozen.verify().unwrap();
    drop(frozen);
    let found = coverage(&dir).unwrap();
    assert_eq!(found.gaps.len(), 1, "{found:?}");
    assert_eq!(found.gaps[0].path, Path::new("nested"));
    assert!(matches!(found.gaps[0].kind, GapKind::Mount { .. }), "{found:?}");
    pool.require_clean(&["", "/data", "/data/nested"]);
}

#[test]
fn the_next_run_removes_what_a_killed_one_held() {
    let pool = pool!("the_next_run_removes_what_a_killed_one_held");
    let dir = pool.dataset("data");
    let mut holder = Holder::start(&dir, &pool.journal());
    holder.until("frozen ");
    assert!(recover(&pool.journal()).unwrap().removed.is_empty(), "its holder lives");
    holder.kill();
    assert!(pool.names().len() > 2, "nothing was left: this test proves nothing");
    let found = recover(&pool.journal()).unwrap();
    assert_eq!((found.removed.len(), found.stuck.len()), (1, 0), "{found:?}");
    pool.require_clean(&["", "/data"]);
}

#[test]
fn a_snapshot_that_somebody_destroys_is_invalid() {
    let pool = pool!("a_snapshot_that_somebody_destroys_is_invalid");
    let dir = pool.dataset("data");
    let frozen = freeze(&pool, &dir);
    let snapshot = pool.names().into_iter().find(|name| name.contains('@')).unwrap();
    let whole = format!("dssvault-test-{}{snapshot}", std::process::id());
    // Right after a mount the daemon may call it busy.
    let since = std::time::Instant::now();
    while let Err(why) = run("zfs", ["destroy", "-R", &whole]) {
        if !pool.names().iter().any(|name| name.contains('@')) {
            break;
        }
        assert!(since.elapsed() < std::time::Duration::from_secs(20), "{why}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let error = frozen.verify().unwrap_err();
    assert!(matches!(error, FsnapError::Invalid { .. }), "{error}");
    frozen.finish().unwrap();
    pool.require_clean(&["", "/data"]);
}
