//! The map of `docs/architecture.md`, held against the sources: imports point down, each heavy crate has one
//! door, only `cli` prints, files stay small, and no behaviour test is forgotten.

#[path = "../support/rust_source.rs"]
mod rust_source;

use std::path::Path;

use rust_source::SourceFile;

/// Folders of `src`, lowest first. Folders of one level may not know each other.
const LEVELS: &[(&str, u8)] = &[
    ("base", 0),
    ("codec", 1),
    ("sys", 1),
    ("storage", 2),
    ("fsnap", 2),
    ("repo", 3),
    ("vault", 4),
    ("postgres", 5),
    ("dss", 6),
    ("app", 7),
    ("cli", 8),
    ("fuzzing", 9),
    ("main", 10),
    ("lib", 10),
];

/// Each heavy crate and the files or folders (with `/`) that may name it: replacing one is a change to one place.
const DOORS: &[(&str, &[&str])] = &[
    ("aes_gcm", &["codec/seal.rs"]),
    ("argon2", &["repo/keys/"]),
    ("bip39", &["repo/keys/"]),
    ("clap", &["cli/", "main.rs"]),
    ("clap_complete", &["cli/"]),
    ("clap_mangen", &["cli/"]),
    ("comfy_table", &["cli/"]),
    ("configparser", &["dss/datadir/ini.rs"]),
    ("ed25519_dalek", &["codec/sign.rs"]),
    ("fastcdc", &["codec/chunk.rs"]),
    ("flate2", &["codec/gzip.rs"]),
    ("form_urlencoded", &["postgres/url.rs"]),
    ("globset", &["sys/pattern.rs"]),
    ("hpke", &["repo/crypt.rs"]),
    ("indicatif", &["cli/progress.rs"]),
    ("java_properties", &["dss/datadir/properties.rs"]),
    ("nix", &["sys/"]),
    ("percent_encoding", &["dss/control/http.rs", "postgres/address.rs", "postgres/url.rs"]),
    ("reed_solomon_simd", &["codec/erasure.rs"]),
    ("rpassword", &["app/", "cli/"]),
    ("shlex", &["dss/datadir/shell.rs"]),
    ("signal_hook", &["cli/"]),
    ("sled", &["repo/index/cache.rs"]),
    ("tar", &["vault/archive/header.rs", "vault/dump/member.rs"]),
    ("ureq", &["dss/control/http.rs"]),
    ("zstd", &["codec/compress.rs"]),
];

/// Macros that write to the terminal.
const PRINTING: [&str; 5] = ["println", "eprintln", "print", "eprint", "dbg"];

/// Past this a file is two nouns.
const FILE_LINES_MAX: usize = 600;

fn level(folder: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| *name == folder).map(|(_, level)| *level)
}

fn reaches_up(file: &SourceFile) -> Vec<String> {
    let Some(own) = level(file.folder()) else {
        return vec![format!("{}: folder `{}` has no level", file.path, file.folder())];
    };
    let sideways = |target: &String| target != file.folder() && level(target).is_none_or(|level| level >= own);
    let paths = file.crate_paths().into_iter().filter(sideways);
    paths.map(|target| format!("{} (level {own}) reaches `{target}`", file.path)).collect()
}

fn wrong_doors(file: &SourceFile) -> Vec<String> {
    let may = |doors: &[&str]| doors.iter().any(|d| file.path == *d || d.ends_with('/') && file.path.starts_with(d));
    let wrong = DOORS.iter().filter(|(name, doors)| !may(doors) && file.uses_crate(name));
    wrong.map(|(name, doors)| format!("{} uses `{name}`, whose door is {}", file.path, doors.join(" or "))).collect()
}

fn prints(file: &SourceFile) -> Vec<String> {
    let calls = PRINTING.iter().filter(|name| file.folder() != "cli" && file.calls_macro(name));
    calls.map(|name| format!("{} calls `{name}!`; only cli speaks to people", file.path)).collect()
}

fn too_long(file: &SourceFile) -> Vec<String> {
    let long = file.lines > FILE_LINES_MAX;
    long.then(|| format!("{} has {} lines; look for the second noun", file.path, file.lines)).into_iter().collect()
}

fn undeclared(main: &str, names: &[&str]) -> Vec<String> {
    let declares = |name: &str| main.lines().any(|line| line.trim() == format!("mod {name};"));
    names.iter().filter(|name| !declares(name)).map(|name| format!("tests/spec/{name} is not declared")).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn assert_none(rule: fn(&SourceFile) -> Vec<String>) {
    let files = SourceFile::below(&root().join("src"));
    assert!(files.len() > 40, "only {} sources were found", files.len());
    let found: Vec<String> = files.iter().flat_map(rule).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn imports_point_down() {
    assert_none(reaches_up);
}

#[test]
fn every_heavy_crate_has_one_door() {
    assert_none(wrong_doors);
}

#[test]
fn only_cli_prints() {
    assert_none(prints);
}

#[test]
fn no_source_file_holds_two_nouns() {
    assert_none(too_long);
}

#[test]
fn every_door_is_a_dependency() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for (name, _) in DOORS {
        let listed = |line: &str| line.split([' ', '=', '.']).next().is_some_and(|key| key.replace('-', "_") == *name);
        assert!(manifest.lines().any(listed), "`{name}` is no dependency any more: remove its door");
    }
}

#[test]
fn every_behaviour_test_is_declared() {
    let folder = root().join("tests/spec");
    let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    let files: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "rs") || path.join("mod.rs").exists())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "main")
        .collect();
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    assert!(names.contains(&"layers"));
    assert_eq!(undeclared(&main, &names), [""; 0]);
}

mod the_checker_itself {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile::new(path, text)
    }

    #[test]
    fn sees_upward_and_sideways_imports_in_every_spelling() {
        for text in [
            "use crate::vault::Context;",
            "use crate::{base::id, vault::{Context, backup}, codec};",
            "pub(crate) use crate :: cli;",
            "fn f() { let x = crate::app::open(); }",
            "fn f(x: &crate::vault::Context<'_>) {}",
            "use super::super::vault;",
            "macro_rules! m { () => { $crate::vault::run() } }",
            "fn f() { '\"'; crate::vault::run(); '\"'; }",
            "use crate::{\n    // a comment, with { braces\n    base::id,\n    vault,\n};",
            "use crate::nowhere::x;",
        ] {
            assert_eq!(reaches_up(&file("repo/pack.rs", text)).len(), 1, "{text}");
        }
        assert_eq!(reaches_up(&file("codec/seal.rs", "use crate::sys::walk;")).len(), 1);
        assert_eq!(reaches_up(&file("repo/pack/mod.rs", "use super::super::vault;")).len(), 1);
        assert_eq!(reaches_up(&file("gadgets/mod.rs", "")).len(), 1, "a folder without a level");
    }

    #[test]
    fn leaves_downward_imports_text_and_tests_alone() {
        for text in [
            "use crate::{base::id::{self, ChunkId}, codec::seal, storage::Storage};",
            "use crate::repo::tree; use super::header; use super::super::repo::tree;",
            "// crate::vault\n/* crate::vault /* nested */ crate::cli */ /// crate::app",
            "const T: &str = \"crate::vault \\\" crate::cli\"; const R: &str = r#\"crate::\"app\"#; const B: &[u8] = br\"crate::cli\";",
            "fn f<'a>(x: &'a str) -> char { '\\'' } #[cfg(test)] mod tests { use crate::vault::x; fn g() { {} } }",
            "#[cfg(test)]\nmod tests;\nuse crate::base::id;",
            "pub(crate) fn crate_like() {}",
        ] {
            assert_eq!(reaches_up(&file("repo/pack.rs", text)), [""; 0], "{text}");
        }
        assert_eq!(reaches_up(&file("cli/mod.rs", "use crate::{app, vault};")), [""; 0]);
        assert_eq!(
            reaches_up(&file("repo/tree/node.rs", "use super::super::vault::x;")),
            [""; 0],
            "that is repo::vault"
        );
    }

    #[test]
    fn sees_code_behind_a_test_module() {
        let text = "#[cfg(test)] mod tests { fn f() { \"}\"; } }\nuse crate::vault;";
        assert_eq!(reaches_up(&file("repo/pack.rs", text)).len(), 1);
    }

    #[test]
    fn sees_a_crate_used_beside_its_door() {
        for text in [
            "use zstd::bulk::Compressor;",
            "use zstd;",
            "use zstd as z;",
            "fn f() { ::zstd::encode_all(); }",
            "fn f() -> zstd::Result<()> {}",
            "extern crate zstd;",
        ] {
            assert_eq!(wrong_doors(&file("repo/pack.rs", text)).len(), 1, "{text}");
            assert_eq!(wrong_doors(&file("codec/compress.rs", text)), [""; 0], "{text}");
        }
        for text in
            ["let zstd = 3;", "BlockCodec::Zstd", "crate::codec::zstd::x()", "self.zstd.len()", "// use zstd::x"]
        {
            assert_eq!(wrong_doors(&file("repo/pack.rs", text)), [""; 0], "{text}");
        }
        assert_eq!(wrong_doors(&file("cli/args/init.rs", "use clap::Args;")), [""; 0]);
        assert_eq!(wrong_doors(&file("clitoo/x.rs", "use clap::Args;")).len(), 1);
    }

    #[test]
    fn sees_printing_outside_cli() {
        assert_eq!(prints(&file("vault/check/mod.rs", "fn f() { println!(\"x\"); eprint!(\"y\") }")).len(), 2);
        assert_eq!(
            prints(&file("vault/check/mod.rs", "fn print() { self.print(); writeln!(out, \"println!\"); }")),
            [""; 0]
        );
        assert_eq!(prints(&file("cli/table.rs", "println!()")), [""; 0]);
    }

    #[test]
    fn sees_files_that_are_too_long_and_tests_that_are_forgotten() {
        assert!(too_long(&file("repo/x.rs", &"\n".repeat(600))).is_empty());
        assert_eq!(too_long(&file("repo/x.rs", &"\n".repeat(601))).len(), 1);
        assert_eq!(
            undeclared("mod layers;\n// mod crash;\n", &["layers", "crash"]),
            ["tests/spec/crash is not declared"]
        );
    }
}
