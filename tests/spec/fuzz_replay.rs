//! What the fuzzer found once must not come back: every seed and every stored input goes through its parser.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dssvault::fuzzing::{TARGETS, Target};

/// Set to write the generated seeds into the corpora, for libFuzzer to begin from (`tests/fuzz` does).
const WRITE_SEEDS: &str = "DSSVAULT_WRITE_SEEDS";

fn fuzz(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder)
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeSet::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn target_names() -> BTreeSet<String> {
    TARGETS.iter().map(|target| target.name.to_owned()).collect()
}

fn seed_files(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = fuzz("corpus").join(target.name);
    let seeds = (target.seeds)().into_iter().enumerate();
    seeds.map(|(number, bytes)| (folder.join(format!("seed-{number}")), bytes)).collect()
}

#[test]
fn every_parser_survives_its_seeds_and_every_cut_of_them() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seed", target.name);
        for seed in &seeds {
            (target.run)(seed);
            // Long seeds are mostly one key; their cuts are sampled, short ones are cut everywhere.
            let step = seed.len() / 256 + 1;
            (0..seed.len()).step_by(step).for_each(|length| (target.run)(&seed[..length]));
        }
    }
}

#[test]
fn every_parser_survives_each_flipped_byte_of_its_seeds() {
    for target in TARGETS {
        for seed in (target.seeds)() {
            let step = seed.len() / 256 + 1;
            for at in (0..seed.len()).step_by(step) {
                for flip in [0x01, 0x80, 0xff] {
                    let mut bytes = seed.clone();
                    bytes[at] ^= flip;
                    (target.run)(&bytes);
                }
            }
        }
    }
}

#[test]
fn every_parser_survives_what_the_fuzzer_found() {
    for target in TARGETS {
        let folder = fuzz("corpus").join(target.name);
        for name in names_in(&folder) {
            (target.run)(&std::fs::read(folder.join(&name)).unwrap());
        }
    }
}

#[test]
fn seeds_are_the_same_in_every_run() {
    for target in TARGETS {
        assert_eq!((target.seeds)(), (target.seeds)(), "{}", target.name);
    }
}

#[test]
fn seeds_can_be_written_for_the_fuzzer() {
    for (path, bytes) in TARGETS.iter().flat_map(seed_files) {
        if std::env::var_os(WRITE_SEEDS).is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
}

#[test]
fn table_fuzz_targets_and_corpora_name_the_same_parsers() {
    let manifest = std::fs::read_to_string(fuzz("Cargo.toml")).unwrap();
    let bins: BTreeSet<String> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .map(str::to_owned)
        .collect();
    let sources: BTreeSet<String> =
        names_in(&fuzz("fuzz_targets")).iter().map(|name| name.trim_end_matches(".rs").to_owned()).collect();
    assert_eq!(bins, target_names());
    assert_eq!(sources, target_names());
    for name in &sources {
        let text = std::fs::read_to_string(fuzz("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(text.contains(&format!("dssvault::fuzzing::run(\"{name}\", data)")), "{name}");
    }
    assert!(names_in(&fuzz("corpus")).is_subset(&target_names()), "a corpus belongs to no target");
}
