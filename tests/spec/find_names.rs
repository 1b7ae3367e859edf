//! Looking for names in all snapshots, with each directory read once.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use dssvault::base::object::ObjectKind;
use dssvault::repo::tree::Entry;
use dssvault::vault::VaultError;
use dssvault::vault::browse::Listed;
use dssvault::vault::find::{self, FindOptions, FindReport, Finder};

use crate::check_fixture::Vault;
use crate::cli_fixture::Desk;

/// Matches by snapshot, as paths below the source.
struct Found {
    prefix: Vec<u8>,
    snapshots: Vec<Vec<String>>,
}

impl Finder for Found {
    fn snapshot(&mut self, _: &Listed) -> Result<(), VaultError> {
        self.snapshots.push(Vec::new());
        Ok(())
    }

    fn found(&mut self, path: &[u8], entry: &Entry) -> Result<(), VaultError> {
        assert!(path.ends_with(&entry.name));
        let below = path.strip_prefix(self.prefix.as_slice()).unwrap_or(path);
        let shown = String::from_utf8_lossy(below).trim_start_matches('/').to_owned();
        self.snapshots.last_mut().unwrap().push(shown);
        Ok(())
    }
}

fn look(vault: &Vault, patterns: &[&str]) -> (Vec<Vec<String>>, FindReport) {
    let prefix = vault.source().as_os_str().as_bytes()[1..].to_vec();
    let mut found = Found { prefix, snapshots: Vec::new() };
    let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    let options = FindOptions { patterns, ..FindOptions::default() };
    let report = find::run(&vault.open(), &options, vault.context(), &mut found).unwrap();
    (found.snapshots, report)
}

/// Three snapshots of forty directories of which little changes.
fn scene() -> Vault {
    let vault = Vault::new(6);
    for folder in 0..40 {
        (0..10).for_each(|number| vault.write(&format!("{folder:02}/file {number}.txt"), b"x"));
    }
    vault.write("07/deep/er/wanted.json", b"{}");
    vault.backup();
    vault.write("08/wanted.json", b"{}");
    vault.backup();
    std::fs::remove_dir_all(vault.source().join("07/deep")).unwrap();
    vault.backup();
    vault
}

#[test]
fn matches_are_told_snapshot_by_snapshot_in_order_of_path() {
    let (found, report) = look(&scene(), &["wanted.json"]);
    let (deep, new) = ("07/deep/er/wanted.json", "08/wanted.json");
    assert_eq!(found, [vec![deep], vec![deep, new], vec![new]]);
    assert_eq!((report.snapshots, report.with_matches, report.matches), (3, 3, 4));
    assert_eq!(report.unreadable, []);
}

#[test]
fn each_directory_is_read_once_however_many_snapshots_have_it() {
    let vault = scene();
    let (_, first) = look(&vault, &["nothing has this name"]);
    // 40 folders and some above them; then, for each change, the directories that lead to it.
    let above = vault.source().components().count() as u64;
    assert!(first.trees_read <= 42 + above + 2 * (above + 3), "{first:?}");
    let (_, fruitful) = look(&vault, &["wanted.json"]);
    assert_eq!(fruitful.trees_read, first.trees_read, "what was found is remembered as well");
    let (everything, all) = look(&vault, &["*"]);
    assert_eq!(all.trees_read, first.trees_read);
    assert_eq!(everything.iter().map(Vec::len).sum::<usize>() as u64, all.matches);
}

#[test]
fn patterns_speak_of_names_paths_and_directories() {
    let vault = scene();
    let paths = |patterns: &[&str]| look(&vault, patterns).0.last().cloned().unwrap_or_default();
    assert_eq!(paths(&["08/wanted.json"]), ["08/wanted.json"]);
    assert_eq!(paths(&["07/wanted.json"]), [""; 0]);
    let anchored = format!("{}/3?/file 1.txt", vault.source().display());
    assert_eq!(paths(&[&anchored]).len(), 10);
    assert_eq!(paths(&["08/"]), ["08"]);
    assert_eq!(paths(&["wanted.json/"]), [""; 0]);
    assert_eq!(paths(&["3?", "!39"]).len(), 9);
}

#[test]
fn the_same_directory_at_two_places_is_told_twice() {
    let vault = Vault::new(6);
    for place in ["a", "b/c"] {
        vault.write(&format!("{place}/twin/file"), b"same");
        let times = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        let file = std::fs::File::options().write(true).open(vault.source().join(place).join("twin/file")).unwrap();
        file.set_times(times).unwrap();
    }
    vault.backup();
    let (found, _) = look(&vault, &["file"]);
    assert_eq!(found, [["a/twin/file", "b/c/twin/file"]]);
    assert_eq!(look(&vault, &["b/c/twin/file"]).0, [["b/c/twin/file"]]);
}

#[test]
fn a_damaged_directory_is_told_and_everything_else_is_found() {
    let vault = Vault::new(6);
    vault.write("first/wanted", b"x");
    vault.backup();
    let before = vault.store.contents();
    vault.write("second/wanted", b"x");
    vault.backup();
    let trees = vault.new_names(ObjectKind::Pack, &before);
    let tree_pack = trees.into_iter().max_by_key(|name| vault.bytes(name).len()).unwrap();
    let middle = vault.bytes(&tree_pack).len() / 3;
    (0..40).for_each(|at| vault.flip(&tree_pack, middle + at * 8));
    let (found, report) = look(&vault, &["wanted"]);
    assert_eq!(found[0], ["first/wanted"]);
    assert!(!report.unreadable.is_empty(), "{report:?}");
}

#[test]
fn the_program_groups_by_snapshot_and_no_name_steers_the_terminal() {
    let desk = Desk::with_snapshot();
    let odd = desk.path("src").join(OsStr::from_bytes(b"wan\x1b[2Jted\xff"));
    std::fs::write(odd, b"x").unwrap();
    desk.run(&["backup", "-q", "--tag", "second", &desk.text("src")]).expect_code(0);
    let src = desk.text("src");
    let done = desk.run(&["find", "a.json", "wan*"]).expect_code(0);
    assert_eq!(done.out.matches(&format!("\n{src}/config/a.json\n")).count(), 2, "{}", done.out);
    assert!(done.out.contains(&format!("{src}/wan\\x1b[2Jted\\xff\n")) && !done.out.contains('\x1b'), "{}", done.out);
    assert!(done.out.ends_with("\n3 matches in 2 of 2 snapshots\n"), "{}", done.out);
    let done = desk.run(&["find", "a.json", "--tag", "second", "-l"]).expect_code(0);
    assert!(done.out.lines().nth(1).unwrap().starts_with("-rw"), "{}", done.out);
    let lines = desk.run(&["find", "a.json", "--snapshot", "latest", "--json"]).expect_code(0).json_lines();
    let kinds: Vec<&str> = lines.iter().map(|line| line["message_type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["snapshot", "node", "summary"]);
    assert_eq!((&lines[1]["size"], &lines[2]["matches"]), (&9.into(), &1.into()));
    assert_eq!(desk.run(&["find", "no such"]).expect_code(0).out, "nothing found in 2 snapshots\n");
    desk.run(&["find", "[a"]).expect_code(2);
}
