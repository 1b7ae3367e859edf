//! Making parity and mending keep to their memory, whatever packs and groups measure.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use dssvault::base::cancel::Cancel;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::progress::Silent;
use dssvault::storage::local::{LocalStore, Modes};
use dssvault::storage::{CreateMethod, Storage};
use dssvault::vault::Context;
use dssvault::vault::check::{self, Mending};
use dssvault::vault::context::Folders;
use dssvault::vault::parity::{self, AddOptions};

use crate::machine::noise;

const STORE: &str = "DSSVAULT_TEST_PARITY_STORE";
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
fn adds_and_mends() {
    let Some(root) = std::env::var_os(STORE).map(PathBuf::from) else { return };
    let store: Arc<dyn Storage> = Arc::new(LocalStore::open(&root, CreateMethod::HardLink).unwrap());
    let (cancel, folders) = (Cancel::default(), Folders { cache: PathBuf::new(), state: PathBuf::new() });
    let context = Context { progress: &Silent, cancel: &cancel, folders: &folders };
    let (report, adding) = peak_of(|| parity::add(&*store, &AddOptions::default(), context).unwrap());
    assert_eq!((report.groups.len(), report.groups[0].packs), (1, 40));
    let packs = store.list(ObjectKind::Pack).unwrap();
    store.delete(&packs[0].name).unwrap();
    let spoilt = root.join("packs").join(&packs[1].name.text()[..2]).join(packs[1].name.text());
    std::fs::OpenOptions::new().write(true).open(spoilt).unwrap().write_all_at(b"spoilt", 3_000_000).unwrap();
    let (report, mending) = peak_of(|| check::storage_only_mending(&store, Mending::Do, context).unwrap());
    assert_eq!(report.repair.unwrap().mended.len(), 2);
    println!("adding {}, mending {} MiB", adding / MIB, mending / MIB);
    assert!(adding <= 64 * MIB && mending <= 96 * MIB, "adding {}, mending {} MiB", adding / MIB, mending / MIB);
}

#[test]
fn a_full_group_of_large_packs_is_made_and_mended_in_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    LocalStore::create_layout(&root, Modes::default()).unwrap();
    let store = LocalStore::open(&root, CreateMethod::HardLink).unwrap();
    let mut bytes = noise(1, 6 << 20);
    for number in 0u64..40 {
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let name = ObjectName::new(ObjectKind::Pack, blake3::hash(&bytes).to_hex().as_str()).unwrap();
        store.put(&name, &bytes).unwrap();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "parity_memory::adds_and_mends", "--ignored", "--nocapture"])
        .env(STORE, &root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
