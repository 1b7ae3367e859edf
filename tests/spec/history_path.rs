//! When a file changed over the snapshots.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use dssvault::vault::browse::Filter;
use dssvault::vault::history::{self, History, Turn};

use crate::check_fixture::Vault;
use crate::cli_fixture::Desk;

fn history_of(vault: &Vault, path: &str) -> History {
    let path = vault.source().join(path);
    history::run(&vault.open(), &path.as_os_str().as_bytes()[1..], &Filter::default(), vault.context()).unwrap()
}

/// Words for what happened, each with the number of its snapshot.
fn told(vault: &Vault, path: &str, snapshots: &[dssvault::base::id::SnapshotId]) -> Vec<String> {
    let history = history_of(vault, path);
    let Some(node) = history.nodes.first() else { return Vec::new() };
    let told = node.events.iter().map(|event| {
        let number = snapshots.iter().position(|id| *id == event.snapshot).unwrap();
        match &event.turn {
            Turn::Appeared(now) => format!("{number} appeared {}", now.size),
            Turn::Changed { now, size_before, difference } => {
                format!("{number} {} {size_before} to {}", difference.letters(), now.size)
            }
            Turn::Gone => format!("{number} gone"),
        }
    });
    told.collect()
}

#[test]
fn a_file_appears_changes_and_goes() {
    let vault = Vault::new(7);
    vault.write("dir/other", b"x");
    let mut ids = vec![vault.backup()];
    vault.write("dir/sub/file", b"one");
    ids.push(vault.backup());
    vault.write("dir/other", b"y");
    ids.push(vault.backup());
    vault.write("dir/sub/file", b"three");
    ids.push(vault.backup());
    let file = vault.source().join("dir/sub/file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    ids.push(vault.backup());
    std::fs::remove_file(&file).unwrap();
    ids.push(vault.backup());
    std::fs::create_dir(&file).unwrap();
    ids.push(vault.backup());
    assert_eq!(
        told(&vault, "dir/sub/file", &ids),
        ["1 appeared 3", "3 M 3 to 5", "4 U 5 to 5", "5 gone", "6 appeared 0"]
    );
    let node = &history_of(&vault, "dir/sub/file").nodes[0];
    assert_eq!((node.snapshots, node.present), (7, 5));
    assert_eq!(told(&vault, "dir/other", &ids), ["0 appeared 1", "2 M 1 to 1"]);
    assert_eq!(told(&vault, "dir/other/below", &ids), [""; 0]);
    assert_eq!(told(&vault, "dir/nothing", &ids), [""; 0]);
}

#[test]
fn of_a_directory_it_is_told_when_anything_below_it_changed() {
    let vault = Vault::new(7);
    vault.write("dir/deep/er/file", b"one");
    let mut ids = vec![vault.backup()];
    vault.write("beside", b"x");
    ids.push(vault.backup());
    vault.write("dir/deep/er/file", b"two");
    ids.push(vault.backup());
    assert_eq!(told(&vault, "dir", &ids), ["0 appeared 0", "2 M 0 to 0"]);
}

#[test]
fn the_program_tells_sizes_times_and_how_many_snapshots_have_it() {
    let desk = Desk::with_snapshot();
    let src = desk.text("src");
    desk.write("src/config/a.json", b"{\"a\": 100}\n");
    desk.run(&["backup", "-q", &src]).expect_code(0);
    std::fs::remove_file(desk.path("src/config/a.json")).unwrap();
    desk.run(&["backup", "-q", &src]).expect_code(0);
    let path = format!("{src}/config/a.json");
    let done = desk.run(&["history", &path]).expect_code(0);
    let words: Vec<Vec<&str>> = done.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(done.out.contains("11 B (+2 B)"), "{}", done.out);
    let events: Vec<&str> = words[1..4].iter().map(|line| line[3]).collect();
    assert_eq!(events, ["appeared", "content", "gone"], "{}", done.out);
    assert!(done.out.ends_with(&format!("{path} is in 2 of 3 snapshots\n")), "{}", done.out);
    let json = desk.run(&["history", &path, "--json"]).expect_code(0).json();
    assert_eq!(json["nodes"][0]["events"][1]["now"]["size"], 11);
    assert_eq!(json["nodes"][0]["events"][2]["now"], serde_json::Value::Null);
    assert_eq!(desk.run(&["history", "/no\x1bwhere"]).expect_code(0).out, "no snapshot has /no\\x1bwhere\n");
    desk.run(&["history", "/"]).expect_code(2);
}

#[test]
fn a_snapshot_that_cannot_be_read_is_told_and_the_others_are_followed() {
    let vault = Vault::new(7);
    vault.write("file", b"one");
    let first = vault.backup();
    vault.write("file", b"two!");
    vault.backup();
    vault.flip(&dssvault::repo::snapshot::name(&first), 1300);
    let history = history_of(&vault, "file");
    assert_eq!(history.unreadable.len(), 1);
    assert_eq!(history.nodes[0].present, 1);
}
