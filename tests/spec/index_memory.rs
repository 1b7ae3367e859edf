//! The index keeps to its memory whatever the repository's size.

use std::process::Command;

use dssvault::base::cancel::Cancel;
use dssvault::base::progress::Silent;
use dssvault::repo::index::Index;
use dssvault::repo::index::testing::{Fixture, chunk_id, pack_id, table_of};

const CHUNKS: &str = "DSSVAULT_TEST_MEMORY_CHUNKS";
const MIB: u64 = 1 << 20;

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// What `work` adds to the resident memory of this process at its peak.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, u64) {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS");
    let done = work();
    (done, status("VmHWM").saturating_sub(before))
}

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn loads_and_looks_up_many_chunks() {
    let Some(chunks) = std::env::var(CHUNKS).ok().and_then(|count| count.parse::<u64>().ok()) else { return };
    let (fixture, cache) = (Fixture::new(2), tempfile::tempdir().unwrap());
    let packs = chunks / 100_000;
    for pack in 0..packs {
        fixture.store(&[(pack_id(pack), 64 << 20, table_of(pack, 100_000))]).unwrap();
    }
    let open = || Index::open(&fixture.repository, cache.path(), &Silent, &Cancel::default()).unwrap();
    let (index, loading) = peak_of(open);
    assert_eq!(index.chunk_count(), chunks);
    drop(index);
    let (index, opening) = peak_of(open);
    let ((), looking) = peak_of(|| {
        for nth in 0..60_000u64 {
            let (pack, nth) = (nth % packs, nth * 31 % 100_000);
            assert!(index.contains(&chunk_id((pack << 32) + nth)).unwrap());
            assert!(!index.contains(&chunk_id((pack << 32) + nth + (1 << 31))).unwrap());
        }
    });
    let (scanned, scanning) = peak_of(|| index.scan().count() as u64);
    assert_eq!(scanned, chunks);
    let mib = [loading, opening, looking, scanning].map(|bytes| bytes / MIB);
    println!("{chunks} chunks: loading {}, opening {}, looking up {}, scanning {} MiB", mib[0], mib[1], mib[2], mib[3]);
    assert!(mib[0] <= 120 && mib[1] <= 32 && mib[2] <= 64 && mib[3] <= 64, "{mib:?} MiB");
}

fn in_a_process_of_its_own(chunks: u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "index_memory::loads_and_looks_up_many_chunks", "--ignored", "--nocapture"])
        .env(CHUNKS, chunks.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    assert!(output.status.success(), "{text}");
}

#[test]
fn a_million_chunks_are_loaded_and_found_in_bounded_memory() {
    in_a_process_of_its_own(1_000_000);
}

#[test]
#[ignore = "takes a minute"]
fn twenty_million_chunks_are_loaded_and_found_in_bounded_memory() {
    in_a_process_of_its_own(20_000_000);
}
