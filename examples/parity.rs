//! What parity costs: `cargo run --release --all-features --example parity [GIB [DIR]]`.
//!
//! Makes a store of packs of 64 MiB (2 GiB of them unless told otherwise; any bytes under their hash will do, for no
//! key is needed), adds 5 % of parity, looks at every byte, then loses a pack and mends it, and spoils one place of two
//! packs and mends those. Prints speed, processor seconds and what each step adds to the memory at its peak.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for developers speaks and fails as tests do"
)]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use dssvault::base::cancel::Cancel;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::progress::Silent;
use dssvault::base::random::{Entropy, SeededEntropy};
use dssvault::storage::local::{LocalStore, Modes};
use dssvault::storage::{CreateMethod, Storage};
use dssvault::vault::Context;
use dssvault::vault::check::{self, CheckReport, Mending};
use dssvault::vault::context::Folders;
use dssvault::vault::parity::{self, AddOptions};

const PACK_BYTES: usize = 64 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let gib: usize = arguments.next().map_or(2, |text| text.parse().expect("a number of GiB"));
    let kept = tempfile::tempdir_in(arguments.next().map_or_else(std::env::temp_dir, PathBuf::from)).unwrap();
    let root = kept.path().join("store");
    LocalStore::create_layout(&root, Modes::default()).unwrap();
    let store: Arc<dyn Storage> = Arc::new(LocalStore::open(&root, CreateMethod::HardLink).unwrap());
    let packs = make_packs(&*store, gib * (1 << 30) / PACK_BYTES);
    let bytes = (packs.len() * PACK_BYTES) as u64;
    let (cancel, folders) = (Cancel::default(), Folders { cache: PathBuf::new(), state: PathBuf::new() });
    let context = Context { progress: &Silent, cancel: &cancel, folders: &folders };

    let added =
        measured("parity add --overhead 5%", bytes, || parity::add(&*store, &AddOptions::default(), context).unwrap());
    let parity: u64 = added.groups.iter().map(|group| group.bytes).sum();
    println!("  {} groups, {} MiB of parity, {:.2} %", added.groups.len(), parity >> 20, share(parity, bytes));
    let look = |mending| check::storage_only_mending(&store, mending, context).unwrap();
    measured("check --storage-only", bytes + parity, || look(Mending::No));
    std::fs::remove_file(file(&root, &packs[0])).unwrap();
    let report = measured("check --storage-only --repair, a pack gone", bytes + parity, || look(Mending::Do));
    require_mended(&report, 1);
    for pack in &packs[1..3] {
        std::fs::OpenOptions::new().write(true).open(file(&root, pack)).unwrap().write_all_at(b"spoilt", 5000).unwrap();
    }
    let report = measured("check --storage-only --repair, two places", bytes + parity, || look(Mending::Do));
    require_mended(&report, 2);
}

fn make_packs(store: &dyn Storage, count: usize) -> Vec<ObjectName> {
    let mut bytes = vec![0; PACK_BYTES];
    let make = |seed: usize| {
        SeededEntropy::new(seed as u64).fill(&mut bytes);
        let name = ObjectName::new(ObjectKind::Pack, blake3::hash(&bytes).to_hex().as_str()).unwrap();
        store.put(&name, &bytes).unwrap();
        name
    };
    (0..count).map(make).collect()
}

fn file(root: &Path, pack: &ObjectName) -> PathBuf {
    root.join("packs").join(&pack.text()[..2]).join(pack.text())
}

fn require_mended(report: &CheckReport, packs: usize) {
    let repair = report.repair.as_ref().unwrap();
    assert_eq!((repair.mended.len(), repair.unmended.len()), (packs, 0), "{:?}", report.findings);
}

fn measured<T>(what: &str, bytes: u64, work: impl FnOnce() -> T) -> T {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, cpu, begun) = (status("VmRSS"), cpu_seconds(), Instant::now());
    let done = work();
    let seconds = begun.elapsed().as_secs_f64();
    let peak = status("VmHWM").saturating_sub(before) >> 20;
    let speed = bytes as f64 / (1 << 20) as f64 / seconds;
    println!("{what}: {seconds:.2} s ({:.2} CPU), {speed:.0} MiB/s, {peak} MiB", cpu_seconds() - cpu);
    done
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// User and system seconds of this process, in ticks of a hundredth.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
