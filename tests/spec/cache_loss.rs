//! The cache may be lost or spoilt at any moment, and the state too: every command goes on and answers the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dssvault::storage::Storage;
use dssvault::storage::testing::MemoryStore;
use serde_json::Value;

use crate::machine::{Machine, found_in, noise};

/// Something that happens to the cache between two commands.
type Harm = fn(&Path);

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

fn each_file(folder: &Path, spoil: impl Fn(u64, &Path, Vec<u8>)) {
    for (number, path) in (0..).zip(files_below(folder)) {
        let content = fs::read(&path).unwrap();
        spoil(number, &path, content);
    }
}

const HARMS: [(&str, Harm); 7] = [
    ("nothing happens", |_| {}),
    ("the cache is deleted", |cache| {
        let _ = fs::remove_dir_all(cache);
    }),
    ("the index cache is deleted", |cache| {
        let _ = fs::remove_dir_all(cache.join("index"));
    }),
    ("every file is noise", |cache| {
        each_file(cache, |number, path, content| fs::write(path, noise(number, content.len())).unwrap());
    }),
    ("every file is cut in half", |cache| {
        each_file(cache, |_, path, content| fs::write(path, &content[..content.len() / 2]).unwrap());
    }),
    ("every file is empty", |cache| each_file(cache, |_, path, _| fs::write(path, b"").unwrap())),
    ("a run of bytes in every file is inverted", |cache| {
        each_file(cache, |number, path, mut content| {
            let from = content.len() * (number as usize % 7 + 1) / 9;
            content.iter_mut().skip(from).take(64).for_each(|byte| *byte = !*byte);
            fs::write(path, content).unwrap();
        });
    }),
];

/// What must not depend on the cache: without times.
fn answer(machine: &Machine, arguments: &[&str]) -> String {
    let done = machine.program("vault", arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {done:?}");
    let text = String::from_utf8(done.stdout).unwrap();
    let lines = text.lines().map(|line| match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(mut report)) => {
            report.remove("seconds");
            // A check that reads data writes down what it verified.
            ["ledger", "stored_bytes", "ratio"].iter().for_each(|field| _ = report.remove(*field));
            if let Some(Value::Array(classes)) = report.get_mut("classes") {
                classes.retain(|class| class["kind"] != "journal");
            }
            Value::Object(report).to_string()
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_command_answers_the_same_whatever_happens_to_the_cache_before_it() {
    let machine = Machine::new();
    machine.found_on_disk("vault");
    for generation in 0..3 {
        machine.write("changing.bin", &noise(generation, 400_000));
        machine.write(&format!("folder/{generation}.json"), b"{}");
        assert!(machine.backup_program("vault").output().unwrap().status.success());
    }
    let cache = machine.path("program-cache");
    let commands: [&[&str]; 4] =
        [&["snapshots", "--json"], &["ls", "latest", "--json"], &["stats", "--json"], &["check", "--read-data", "-q"]];
    let usual = commands.map(|command| answer(&machine, command));
    for (what, harm) in HARMS {
        for (command, usual) in commands.iter().zip(&usual) {
            harm(&cache);
            assert_eq!(&answer(&machine, command), usual, "{what} before {command:?}");
        }
        harm(&cache);
        let target = machine.path(&format!("target-{}", what.replace(' ', "-")));
        answer(&machine, &["restore", "latest", "-q", "--target", target.to_str().unwrap()]);
        let back = crate::tree_diff::restored(&target, &machine.source());
        assert_eq!(crate::tree_diff::differences(&machine.source(), &back), [""; 0], "{what}");
    }
}

#[test]
fn backups_go_on_whatever_happens_to_the_cache_between_them() {
    for (what, harm) in HARMS {
        let machine = Machine::new();
        let store = MemoryStore::new();
        found_in(&store);
        let store: Arc<dyn Storage> = Arc::new(store);
        let mut history = Vec::new();
        for generation in 0..3 {
            machine.write("changing.bin", &noise(generation, 400_000));
            machine.write("settled.bin", &noise(100, 300_000));
            machine.write(&format!("folder/{generation}.json"), b"{}");
            let report = machine.back_up(&store, &machine.folders).unwrap_or_else(|why| panic!("{what}: {why}"));
            let again = generation > 0 && report.manifest.counts.bytes_added > 500_000;
            assert!(!again, "{what}: what the repository has was stored again");
            history.push((report.manifest, machine.copy_source(&format!("copy-{generation}"))));
            harm(&machine.folders.cache);
        }
        for (manifest, copy) in &history {
            assert_eq!(machine.misses(&store, &machine.folders, manifest, copy), [""; 0], "{what}");
        }
        assert_eq!(machine.check(&store, &machine.folders).unwrap().findings, [], "{what}");
    }
}

#[test]
fn a_machine_that_lost_its_state_backs_up_as_a_new_node_and_uses_what_is_stored() {
    let machine = Machine::new();
    let store = MemoryStore::new();
    found_in(&store);
    let store: Arc<dyn Storage> = Arc::new(store);
    machine.write("large.bin", &noise(1, 2_000_000));
    let first = machine.back_up(&store, &machine.folders).unwrap().manifest;
    fs::remove_dir_all(&machine.folders.state).unwrap();

    let second = machine.back_up(&store, &machine.folders).unwrap().manifest;

    assert_ne!(first.node, second.node);
    assert!(second.counts.bytes_added < 10_000, "{:?}", second.counts);
    assert_eq!(machine.misses(&store, &machine.folders, &second, &machine.source()), [""; 0]);
    assert_eq!(machine.check(&store, &machine.folders).unwrap().findings, []);
}
