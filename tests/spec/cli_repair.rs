//! The way out of damage as `docs/check.md` tells it, with the program itself.

use std::fs;
use std::path::PathBuf;

use crate::cli_fixture::Desk;

/// The largest file below a folder of the repository.
pub fn largest(desk: &Desk, folder: &str) -> PathBuf {
    let mut files = Vec::new();
    let mut open = vec![desk.path(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { open.push(path) } else { files.push((entry.metadata().unwrap().len(), path)) }
        }
    }
    files.into_iter().max().unwrap().1
}

#[test]
fn from_damage_to_a_clean_check_step_by_step() {
    let desk = Desk::with_snapshot();
    desk.write("src/late.bin", &crate::check_fixture::noise(1, 300_000));
    desk.run(&["backup", "-q", &desk.text("src")]).expect_code(0);
    fs::remove_file(largest(&desk, "vault/packs")).unwrap();
    fs::remove_file(desk.path("src/late.bin")).unwrap();
    let found = desk.run(&["check", "--json"]).expect_code(1).json_lines().pop().unwrap();
    assert!(found["findings"].as_array().unwrap().iter().any(|finding| finding["kind"] == "file_affected"), "{found}");

    desk.run(&["repair", "index"]).expect_code(0);
    let plan = desk.run(&["repair", "packs", "--dry-run"]).expect_code(1);
    assert!(
        plan.out.contains("MISSING  packs/") && plan.out.ends_with("then `dssvault repair snapshots`\n"),
        "{}",
        plan.out
    );
    desk.run(&["repair", "packs"]).expect_code(1);
    desk.run(&["repair", "packs"]).expect_code(0);
    let done = desk.run(&["repair", "snapshots", "--json"]).expect_code(1).json_lines().pop().unwrap();
    assert_eq!((&done["part"], &done["damaged"][0]["files"]), (&"snapshots".into(), &1.into()), "{done}");

    let clean = desk.run(&["check", "--read-data"]).expect_code(0);
    assert!(clean.out.contains("it is marked as damaged"), "{}", clean.out);
    let listed = desk.run(&["ls", "-l", "latest"]).expect_code(0);
    assert!(listed.out.lines().any(|line| line.contains("late.bin  [damaged: found on ")), "{}", listed.out);
    assert!(desk.run(&["snapshots"]).expect_code(0).out.contains("(repaired "));
    let target = desk.text("target");
    let restored = desk.run(&["restore", "latest", "--target", &target]).expect_code(1);
    assert!(format!("{}{}", restored.out, restored.err).contains("(marked as damaged on "), "{}", restored.out);
    let dumped = desk.command(&["dump", "latest"]).output().unwrap();
    assert_eq!(dumped.status.code(), Some(1));
    assert!(tar::Archive::new(&dumped.stdout[..]).entries().unwrap().count() > 3);
}

#[test]
fn the_ledger_shows_in_the_summary_and_a_second_run_reads_nothing() {
    let desk = Desk::with_snapshot();
    let last = |arguments: &[&str]| desk.run(arguments).expect_code(0).json_lines().pop().unwrap();
    let first = last(&["check", "--max-age", "30d", "--json"]);
    assert_eq!((&first["packs_read"], &first["ledger"]["never_verified"]), (&first["packs"], &0.into()));
    let second = last(&["check", "--max-age", "30d", "--read-data=1G", "--json"]);
    assert_eq!((&second["packs_read"], &second["ledger"]["recorded"]), (&0.into(), &0.into()));
    assert!(second["ledger"]["oldest"].is_string(), "{second}");
    assert!(desk.run(&["check"]).expect_code(0).out.contains("every pack was verified once"));
    desk.run(&["check", "--max-age", "30d", "--read-data=1/2"]).expect_code(2);
    desk.run(&["check", "--max-age", "30d", "--storage-only"]).expect_code(2);
}
