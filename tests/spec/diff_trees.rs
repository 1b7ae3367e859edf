//! What `diff` says of two snapshots, and how little it reads for it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use dssvault::base::id::SnapshotId;
use dssvault::vault::VaultError;
use dssvault::vault::backup::BackupOptions;
use dssvault::vault::browse::{self, Filter};
use dssvault::vault::diff::{self, Change, Side, Tally};

use crate::check_fixture::{Vault, noise};
use crate::cli_fixture::Desk;

/// Changes below the source: path to letters, and the sums.
fn differences(vault: &Vault, before: SnapshotId, after: SnapshotId) -> (BTreeMap<String, String>, Tally) {
    compared(vault, (before, b""), (after, b"")).unwrap()
}

fn compared(
    vault: &Vault,
    before: (SnapshotId, &[u8]),
    after: (SnapshotId, &[u8]),
) -> Result<(BTreeMap<String, String>, Tally), VaultError> {
    let repository = vault.open();
    let find = |id: SnapshotId| browse::find(&repository, &id.to_string(), &Filter::default()).unwrap();
    let (one, other) = (find(before.0), find(after.0));
    let path = |path: &[u8]| {
        let source = vault.source();
        let whole = if path.is_empty() { source } else { source.join(OsStr::from_bytes(path)) };
        whole.as_os_str().as_bytes()[1..].to_vec()
    };
    let (one_path, other_path) = (path(before.1), path(after.1));
    let sides =
        (Side { manifest: &one.manifest, path: &one_path }, Side { manifest: &other.manifest, path: &other_path });
    let mut found = BTreeMap::new();
    let mut last: Vec<u8> = Vec::new();
    let tally = diff::run(&repository, sides.0, sides.1, vault.context(), &mut |path, change| {
        let components = |path: &[u8]| path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert!(path.is_empty() || components(&last) < components(path), "paths come in order, each once");
        last = path.to_vec();
        let letters = match change {
            Change::Added(_) => "+".to_owned(),
            Change::Removed(_) => "-".to_owned(),
            Change::Changed { difference, .. } if difference.is_only_times() => return Ok(()),
            Change::Changed { difference, .. } => difference.letters(),
        };
        found.insert(String::from_utf8_lossy(path).into_owned(), letters);
        Ok(())
    })?;
    Ok((found, tally.0))
}

fn expect(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(path, letters)| ((*path).to_owned(), (*letters).to_owned())).collect()
}

#[test]
fn every_kind_of_difference_has_its_letter() {
    let vault = Vault::new(5);
    for name in ["same", "content", "mode", "both", "gone", "type", "dir/a", "dir/b", "old/x/y"] {
        vault.write(name, format!("first {name}").as_bytes());
    }
    vault.write("large", &noise(1, 500_000));
    symlink("one", vault.source().join("link")).unwrap();
    let before = vault.backup();
    vault.write("content", b"second");
    vault.write("both", b"second");
    vault.write("dir/c", b"new");
    vault.write("large", &[noise(1, 400_000), noise(2, 100_000)].concat());
    let source = vault.source();
    for name in ["mode", "both"] {
        fs::set_permissions(source.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::remove_file(source.join("gone")).unwrap();
    fs::remove_file(source.join("type")).unwrap();
    fs::create_dir(source.join("type")).unwrap();
    vault.write("type/inside", b"x");
    fs::remove_file(source.join("link")).unwrap();
    symlink("two", source.join("link")).unwrap();
    fs::remove_dir_all(source.join("old")).unwrap();
    let after = vault.backup();
    let (found, tally) = differences(&vault, before, after);
    assert_eq!(
        found,
        expect(&[
            ("both", "MU"),
            ("content", "M"),
            ("dir/c", "+"),
            ("gone", "-"),
            ("large", "M"),
            ("link", "M"),
            ("mode", "U"),
            ("old", "-"),
            ("old/x", "-"),
            ("old/x/y", "-"),
            ("type", "T"),
            ("type/inside", "+"),
        ])
    );
    assert_eq!((tally.added.files, tally.removed.files, tally.removed.dirs), (2, 2, 2));
    assert_eq!((tally.changed_types, tally.changed_metadata), (1, 2));
    assert!(tally.changed_files == 4 && tally.changed_bytes_after > 500_000, "{tally:?}");
}

#[test]
fn small_files_that_were_packed_anew_with_other_neighbours_are_the_same() {
    let vault = Vault::new(5);
    (0..50).for_each(|number| vault.write(&format!("dir/{number:02}"), format!("file {number}").as_bytes()));
    let before = vault.backup();
    vault.write("dir/00", b"changed, and of another length");
    let after = vault.backup_with(&BackupOptions { force: true, ..BackupOptions::default() });
    let (found, _) = differences(&vault, before, after);
    assert_eq!(found, expect(&[("dir/00", "M")]));
}

#[test]
fn a_path_narrows_what_is_compared_and_may_differ_on_both_sides() {
    let vault = Vault::new(5);
    vault.write("a/one", b"1");
    vault.write("a/two", b"2");
    vault.write("b/one", b"1");
    vault.write("b/three", b"3");
    vault.write("file", b"1");
    let id = vault.backup();
    let (found, _) = compared(&vault, (id, b"a"), (id, b"b")).unwrap();
    assert_eq!(found, expect(&[("three", "+"), ("two", "-")]));
    let (found, _) = compared(&vault, (id, b"a/one"), (id, b"a/two")).unwrap();
    assert_eq!(found, expect(&[("", "M")]));
    let error = compared(&vault, (id, b"a"), (id, b"none")).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
}

#[test]
fn a_directory_too_large_for_one_node_is_walked_in_order() {
    let vault = Vault::new(5);
    (0..9000).for_each(|number| vault.write(&format!("many/{number:05}"), b""));
    let before = vault.backup();
    vault.write("many/00000", b"x");
    vault.write("many/04000-new", b"");
    fs::remove_file(vault.source().join("many/08999")).unwrap();
    let after = vault.backup();
    let (found, _) = differences(&vault, before, after);
    assert_eq!(found, expect(&[("many/00000", "M"), ("many/04000-new", "+"), ("many/08999", "-")]));
}

#[test]
fn the_program_prints_letters_sizes_and_sums_and_no_name_steers_the_terminal() {
    let desk = Desk::with_snapshot();
    desk.write("src/config/a.json", b"{\"a\": 100}\n");
    desk.write("src/new\x1b[2J\n.txt", b"hostile");
    desk.run(&["backup", "-q", &desk.text("src")]).expect_code(0);
    let done = desk.run(&["diff", "latest~1", "latest"]).expect_code(0);
    let src = desk.text("src");
    assert!(done.out.contains(&format!("M    {src}/config/a.json  (9 B to 11 B)\n")), "{}", done.out);
    assert!(done.out.contains(&format!("+    {src}/new\\x1b[2J\\n.txt  (7 B)\n")), "{}", done.out);
    assert!(done.out.contains("added      1 file (7 B), 0 directories, 0 others"), "{}", done.out);
    let narrowed = format!("latest:{src}/config");
    let done = desk.run(&["diff", &format!("latest~1:{src}/config"), &narrowed, "--json"]).expect_code(0);
    let lines = done.json_lines();
    assert_eq!((&lines[0]["path"], &lines[0]["modifier"]), (&format!("{src}/config/a.json").into(), &"M".into()));
    assert_eq!((&lines[0]["before"]["size"], &lines[0]["after"]["size"]), (&9.into(), &11.into()));
    let statistics = lines.last().unwrap();
    assert_eq!((&statistics["message_type"], &statistics["changed_files"]), (&"statistics".into(), &1.into()));
    assert_eq!(statistics["objects"], serde_json::Value::Null);
    let same = desk.run(&["diff", "latest", "latest"]).expect_code(0);
    assert_eq!(same.out, "no differences\n");
}
