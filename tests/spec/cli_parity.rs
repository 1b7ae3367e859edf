//! `parity` and `check --storage-only --repair` as a user meets them: without a password.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::cli_fixture::{Desk, Done};

/// The program without password or key.
fn keyless(desk: &Desk, arguments: &[&str]) -> Done {
    Done::of(desk.bare(arguments).env("DSSVAULT_REPO", desk.path("vault")))
}

fn json(done: &Done) -> Value {
    serde_json::from_str(done.out.lines().last().unwrap()).unwrap()
}

/// Files of one folder of the repository, the largest first.
fn files(desk: &Desk, folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![desk.path("vault").join(folder)];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { left.push(path) } else { found.push(path) }
        }
    }
    found.sort_by_key(|path| std::cmp::Reverse(path.metadata().unwrap().len()));
    found
}

fn protected() -> Desk {
    let desk = Desk::with_snapshot();
    desk.write("src/more.bin", &crate::machine::noise(1, 600_000));
    desk.run(&["backup", "-q", &desk.text("src")]).expect_code(0);
    let done = keyless(&desk, &["parity", "add", "--overhead", "10%"]).expect_code(0);
    assert!(done.out.starts_with("made ") && done.out.contains(" over 4 packs "), "{}", done.out);
    desk
}

#[test]
fn parity_is_added_listed_and_dropped_without_a_password() {
    let desk = protected();
    let listed = keyless(&desk, &["parity", "list"]).expect_code(0);
    assert!(listed.out.contains("whole") && listed.out.contains("4 of 4 packs protected"), "{}", listed.out);
    let listed = json(&keyless(&desk, &["parity", "list", "--json"]).expect_code(0));
    assert_eq!((&listed["message_type"], &listed["protected_packs"]), (&"parity".into(), &4.into()));
    assert_eq!(listed["groups"][0]["overhead_hundredths"], 1000);
    let again = keyless(&desk, &["parity", "add"]).expect_code(0);
    assert_eq!(again.out, "every pack that can have parity has it\n");
    let id = listed["groups"][0]["id"].as_str().unwrap();
    keyless(&desk, &["parity", "drop", "ffffffffffff"]).expect_code(2);
    let dropped = keyless(&desk, &["parity", "drop", &id[..6]]).expect_code(0);
    assert!(dropped.out.starts_with("dropped 1 group, "), "{}", dropped.out);
    assert_eq!(files(&desk, "parity"), Vec::<PathBuf>::new());
    assert!(keyless(&desk, &["parity", "list"]).expect_code(0).out.starts_with("there is no parity"));
    keyless(&desk, &["parity", "drop"]).expect_code(2);
    keyless(&desk, &["parity", "add", "--overhead", "5"]).expect_code(2);
}

#[test]
fn a_lost_pack_is_missed_then_mended_then_restored_from() {
    let desk = protected();
    let lost = files(&desk, "packs").remove(0);
    let name = format!("packs/{}", lost.file_name().unwrap().to_str().unwrap());
    fs::remove_file(&lost).unwrap();
    let check = |more: &[&str]| keyless(&desk, &[&["check", "--storage-only"], more].concat());

    let found = check(&[]).expect_code(1);
    assert!(found.out.contains(&format!("DAMAGED  {name}: it is missing, although parity")), "{}", found.out);
    let foreseen = check(&["--repair", "--dry-run"]).expect_code(1);
    assert!(foreseen.out.contains("it would be mended"), "{}", foreseen.out);
    assert_eq!(files(&desk, "mended"), Vec::<PathBuf>::new());

    let repaired = check(&["--repair"]).expect_code(0);

    assert!(repaired.out.contains("mended  packs/"), "{}", repaired.out);
    check(&[]).expect_code(0);
    desk.run(&["check", "--read-data"]).expect_code(0);
    desk.run(&["restore", "latest", "--target", &desk.text("back"), "-q"]).expect_code(0);
    let back = desk.path("back").join(&desk.text("src")[1..]);
    let back = if back.exists() { back } else { desk.path("back/src") };
    assert_eq!(fs::read(back.join("more.bin")).unwrap(), crate::machine::noise(1, 600_000));
    let report = json(&check(&["--repair", "--json"]).expect_code(0));
    assert_eq!((&report["clean"], &report["mended_packs"]), (&true.into(), &1.into()));
    assert_eq!(report["repair"]["mended"], Value::Array(Vec::new()), "nothing is left to mend");
}

#[test]
fn what_cannot_be_mended_is_told_with_the_reason_and_the_code() {
    let desk = protected();
    for path in files(&desk, "packs").into_iter().take(2) {
        fs::remove_file(path).unwrap();
    }
    let report = json(&keyless(&desk, &["check", "--storage-only", "--repair", "--json"]).expect_code(1));
    let unmended = report["repair"]["unmended"].as_array().unwrap();
    assert_eq!(unmended.len(), 2);
    let cause = unmended[0]["cause"].as_str().unwrap();
    assert!(cause.starts_with("2 of the 4 shards of stripe 0 of group "), "{cause}");
    assert!(cause.ends_with("are damaged or gone, and 1 can be mended"), "{cause}");
    assert_eq!(files(&desk, "mended"), Vec::<PathBuf>::new());
    assert_eq!(files(&desk, "tmp"), Vec::<PathBuf>::new());
}

#[test]
fn a_repair_without_the_keyless_check_is_refused_and_names_it() {
    let desk = Desk::with_repository();
    let done = desk.run(&["check", "--repair"]).expect_code(2);
    assert!(done.err.contains("--storage-only"), "{}", done.err);
    desk.run(&["check", "--storage-only", "--dry-run"]).expect_code(2);
}

#[test]
fn a_repository_from_before_there_was_parity_gets_its_folders_when_they_are_needed() {
    let desk = protected();
    for folder in ["parity", "mended"] {
        fs::remove_dir_all(desk.path("vault").join(folder)).unwrap();
    }
    desk.run(&["check", "--read-data"]).expect_code(0);
    keyless(&desk, &["parity", "list"]).expect_code(0);
    keyless(&desk, &["parity", "add", "-q"]).expect_code(0);
    fs::remove_file(files(&desk, "packs").remove(1)).unwrap();
    keyless(&desk, &["check", "--storage-only", "--repair", "-q"]).expect_code(0);
    desk.run(&["check", "--read-data"]).expect_code(0);
}
