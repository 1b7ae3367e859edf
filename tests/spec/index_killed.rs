//! A process that is killed while it folds leaves a cache that answers rightly.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dssvault::base::cancel::Cancel;
use dssvault::base::progress::Silent;
use dssvault::base::random::{SeededEntropy, array};
use dssvault::repo::index::Index;
use dssvault::repo::index::testing::{Fixture, chunk_id, pack_id, table_of};

const CACHE: &str = "DSSVAULT_TEST_KILLED_CACHE";
const PACKS: u64 = 60;

/// The same repository in every process: everything about it follows from the seed.
fn fixture() -> (Fixture, Vec<dssvault::base::id::SegmentId>) {
    let fixture = Fixture::new(11);
    let segments = (0..PACKS).map(|pack| fixture.store(&[listed(pack)]).unwrap()).collect();
    (fixture, segments)
}

fn listed(pack: u64) -> dssvault::repo::index::ListedPack {
    (pack_id(pack), 1 << 20, table_of(pack, 700))
}

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn folds_until_killed() {
    let Some(cache) = std::env::var_os(CACHE) else { return };
    let empty = Fixture::new(11);
    let (_, segments) = fixture();
    let index = Index::open(&empty.repository, Path::new(&cache), &Silent, &Cancel::default()).unwrap();
    println!("folding");
    for (pack, segment) in segments.iter().enumerate() {
        index.fold(*segment, &[listed(pack as u64)]).unwrap();
    }
    println!("done");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_kill_at_any_moment_of_folding_costs_nothing_but_time() {
    let (fixture, _) = fixture();
    let entropy = SeededEntropy::new(12);
    for round in 0..10 {
        let cache = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "index_killed::folds_until_killed", "--ignored", "--nocapture"])
            .env(CACHE, cache.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("folding")), "the child never began");
        let [low, high] = array::<2>(&entropy);
        std::thread::sleep(Duration::from_micros(u64::from(u16::from_le_bytes([low, high])) * 6));
        child.kill().unwrap();
        child.wait().unwrap();
        let index = Index::open(&fixture.repository, cache.path(), &Silent, &Cancel::default()).unwrap();
        for pack in 0..PACKS {
            for nth in (0..700).step_by(41) {
                let places = index.places(&chunk_id((pack << 32) + nth)).unwrap();
                assert_eq!(places.len(), 1, "round {round}");
                assert_eq!(index.pack(places[0].pack).unwrap().id, pack_id(pack), "round {round}");
            }
        }
        assert_eq!(index.scan().map(Result::unwrap).count() as u64, PACKS * 700);
    }
}
