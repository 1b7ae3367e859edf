//! Whatever is done to a tree between backups, every snapshot comes back as a plain copy taken at its time.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use dssvault::storage::Storage;
use dssvault::storage::testing::MemoryStore;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::machine::{Machine, found_in, noise};

/// What somebody does to the tree. What cannot be done at that moment is not done.
#[derive(Debug, Clone)]
enum Edit {
    Create {
        at: usize,
        seed: u64,
        bytes: usize,
    },
    Overwrite {
        at: usize,
        offset: u64,
        seed: u64,
    },
    /// Other content of the same size, and the old modification time put back.
    Disguise {
        at: usize,
        seed: u64,
    },
    Append {
        at: usize,
        bytes: usize,
    },
    Truncate {
        at: usize,
        bytes: u64,
    },
    Rename {
        from: usize,
        to: usize,
    },
    /// Written beside and moved over, as editors do.
    Replace {
        at: usize,
        seed: u64,
        bytes: usize,
    },
    Remove {
        at: usize,
    },
    Mode {
        at: usize,
        mode: u32,
    },
    Touch {
        at: usize,
        nanos: u32,
    },
    Symlink {
        at: usize,
        target: usize,
    },
    HardLink {
        from: usize,
        to: usize,
    },
    Folder {
        at: usize,
    },
    Attribute {
        at: usize,
        value: u8,
    },
}

const FOLDERS: [&str; 4] = ["", "a/", "a/b/", "z\u{e9}/"];
const NAMES: [&[u8]; 4] = [b"one", b"two.json", b"not\xffutf8", b"line\nbreak"];

fn places() -> impl Strategy<Value = usize> {
    0..FOLDERS.len() * NAMES.len()
}

/// The place of a number, with its folder made if nothing else stands there.
fn place(root: &Path, at: usize) -> PathBuf {
    let folder = root.join(FOLDERS[at / NAMES.len()]);
    let _ = fs::create_dir_all(&folder);
    folder.join(std::ffi::OsStr::from_bytes(NAMES[at % NAMES.len()]))
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let bytes = || prop_oneof![3 => 0..5_000usize, 1 => Just(0usize), 1 => 200_000..1_500_000usize];
    let edit = prop_oneof![
        6 => (places(), any::<u64>(), bytes()).prop_map(|(at, seed, bytes)| Edit::Create { at, seed, bytes }),
        3 => (places(), 0..600_000u64, any::<u64>()).prop_map(|(at, offset, seed)| Edit::Overwrite { at, offset, seed }),
        3 => (places(), any::<u64>()).prop_map(|(at, seed)| Edit::Disguise { at, seed }),
        2 => (places(), 1..300_000usize).prop_map(|(at, bytes)| Edit::Append { at, bytes }),
        2 => (places(), 0..1_000_000u64).prop_map(|(at, bytes)| Edit::Truncate { at, bytes }),
        3 => (places(), places()).prop_map(|(from, to)| Edit::Rename { from, to }),
        2 => (places(), any::<u64>(), bytes()).prop_map(|(at, seed, bytes)| Edit::Replace { at, seed, bytes }),
        3 => places().prop_map(|at| Edit::Remove { at }),
        2 => (places(), 0..0o1000u32).prop_map(|(at, mode)| Edit::Mode { at, mode }),
        2 => (places(), 0..1_000_000_000u32).prop_map(|(at, nanos)| Edit::Touch { at, nanos }),
        2 => (places(), places()).prop_map(|(at, target)| Edit::Symlink { at, target }),
        2 => (places(), places()).prop_map(|(from, to)| Edit::HardLink { from, to }),
        1 => places().prop_map(|at| Edit::Folder { at }),
        1 => (places(), any::<u8>()).prop_map(|(at, value)| Edit::Attribute { at, value }),
    ];
    prop::collection::vec(edit, 0..12)
}

fn apply(root: &Path, edit: &Edit) -> std::io::Result<()> {
    let at = |number: &usize| place(root, *number);
    match edit {
        Edit::Create { at: to, seed, bytes } => fs::write(at(to), noise(*seed, *bytes)),
        Edit::Overwrite { at: to, offset, seed } => {
            OpenOptions::new().write(true).open(at(to))?.write_all_at(&noise(*seed, 1_000), *offset)
        }
        Edit::Disguise { at: to, seed } => disguise(&at(to), *seed),
        Edit::Append { at: to, bytes } => {
            OpenOptions::new().append(true).open(at(to))?.write_all(&noise(*bytes as u64, *bytes))
        }
        Edit::Truncate { at: to, bytes } => OpenOptions::new().write(true).open(at(to))?.set_len(*bytes),
        Edit::Rename { from, to } => fs::rename(at(from), at(to)),
        Edit::Replace { at: to, seed, bytes } => {
            fs::write(root.join("editing"), noise(*seed, *bytes))?;
            fs::rename(root.join("editing"), at(to)).or_else(|_| fs::remove_file(root.join("editing")))
        }
        Edit::Remove { at: gone } => fs::remove_file(at(gone)).or_else(|_| fs::remove_dir_all(at(gone))),
        Edit::Mode { at: to, mode } => set_mode(&at(to), *mode),
        Edit::Touch { at: to, nanos } => touch(&at(to), *nanos),
        Edit::Symlink { at: to, target } => symlink(at(target), at(to)),
        Edit::HardLink { from, to } => fs::hard_link(at(from), at(to)),
        Edit::Folder { at: to } => fs::create_dir(at(to)),
        Edit::Attribute { at: to, value } => {
            Ok(rustix::fs::lsetxattr(at(to), "user.note", &[*value], rustix::fs::XattrFlags::empty())?)
        }
    }
}

fn disguise(path: &Path, seed: u64) -> std::io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_file() {
        let file = OpenOptions::new().write(true).open(path)?;
        file.write_all_at(&noise(seed, meta.len() as usize), 0)?;
        file.set_modified(meta.modified()?)?;
    }
    Ok(())
}

/// Folders keep enough rights for whoever is not root.
fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return Ok(());
    }
    let mode = if meta.is_dir() { mode | 0o700 } else { mode | 0o600 };
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn touch(path: &Path, nanos: u32) -> std::io::Result<()> {
    let time = SystemTime::UNIX_EPOCH + std::time::Duration::new(1_500_000_000 + u64::from(nanos % 7), nanos);
    if fs::symlink_metadata(path)?.is_file() {
        return OpenOptions::new().write(true).open(path)?.set_modified(time);
    }
    Ok(())
}

/// Edits, backs up and copies once for each generation; then every snapshot must equal its copy, with the cache that
/// saw them all and without one.
fn every_generation_comes_back(generations: &[Vec<Edit>]) -> Result<(), TestCaseError> {
    let machine = Machine::new();
    let store = MemoryStore::new();
    found_in(&store);
    let store: Arc<dyn Storage> = Arc::new(store);
    let mut history = Vec::new();
    for (number, edits) in generations.iter().enumerate() {
        for edit in edits {
            let _ = apply(&machine.source(), edit);
        }
        let report = machine.back_up(&store, &machine.folders).unwrap();
        prop_assert_eq!(&report.manifest.problems, &[]);
        history.push((report.manifest, machine.copy_source(&format!("copy-{number}"))));
    }
    let without_cache = machine.folders_like(&machine.folders, "fresh");
    fs::remove_dir_all(&without_cache.cache).unwrap();
    for (number, (manifest, copy)) in history.iter().enumerate() {
        let folders = if number % 2 == 0 { &machine.folders } else { &without_cache };
        let misses = machine.misses(&store, folders, manifest, copy);
        prop_assert_eq!(misses, Vec::<String>::new(), "generation {}", number);
    }
    let report = machine.check(&store, &machine.folders).unwrap();
    prop_assert_eq!(report.findings, vec![]);
    Ok(())
}

#[test]
fn every_snapshot_of_a_tree_that_is_edited_at_random_equals_a_copy_of_its_time() {
    let config = Config { cases: 20, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let generations = prop::collection::vec(edits(), 4..=6);
    let mut runner = TestRunner::new_with_rng(config, random);
    runner.run(&generations, |generations| every_generation_comes_back(&generations)).unwrap();
}
