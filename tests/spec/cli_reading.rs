//! Commands that read: `snapshots`, `ls`, `dump`, `stats`, `check`, `restore`.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use crate::cli_fixture::{Desk, Done, names};

#[test]
fn snapshots_are_an_array_with_the_fields_wrappers_use() {
    let desk = Desk::with_snapshot();
    let list = desk.run(&["snapshots", "--json"]).expect_code(0).json();
    let snapshot = &list[0];
    assert_eq!(snapshot["paths"][0], desk.text("src"));
    assert_eq!(snapshot["tags"][0], "first");
    let id = snapshot["id"].as_str().unwrap();
    assert!(id.starts_with(snapshot["short_id"].as_str().unwrap()));
    let text = desk.run(&["snapshots"]).expect_code(0).out;
    assert!(text.contains(&id[..8]) && text.ends_with("1 snapshot\n"), "{text}");
    assert_eq!(desk.run(&["snapshots", "--tag", "other", "--json"]).expect_code(0).out, "[]\n");
}

#[test]
fn a_snapshot_that_is_not_there_ends_with_status_1_and_a_hint() {
    let desk = Desk::with_snapshot();
    let done = desk.run(&["ls", "ffffffffffff"]).expect_code(1);
    assert!(done.err.contains("ffffffffffff") && done.err.contains("dssvault snapshots"), "{}", done.err);
}

#[test]
fn ls_prints_paths_that_can_be_given_back() {
    let desk = Desk::with_snapshot();
    let path = format!("latest:{}", desk.text("src/config"));
    let listed = desk.run(&["ls", &path]).expect_code(0).out;
    let wanted = desk.text("src/config/a.json");
    assert!(listed.lines().any(|line| line == wanted), "{listed}");
    assert_eq!(desk.run(&["dump", &format!("latest:{wanted}")]).expect_code(0).out, "{\"a\": 1}\n");
    let lines = desk.run(&["ls", "--json", &path]).expect_code(0).json_lines();
    assert_eq!(lines[0]["message_type"], "snapshot");
    let file = lines.iter().find(|line| line["path"] == wanted.as_str()).unwrap();
    assert_eq!((&file["type"], &file["size"]), (&"file".into(), &9.into()));
    let long = desk.run(&["ls", "-l", &path]).expect_code(0).out;
    assert!(long.lines().any(|line| line.starts_with("-rw") && line.ends_with(&wanted)), "{long}");
}

#[test]
fn a_directory_is_dumped_as_a_tar_archive() {
    let desk = Desk::with_snapshot();
    let mut command = desk.command(&["dump", &format!("latest:{}", desk.text("src/config"))]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut archive = tar::Archive::new(output.stdout.as_slice());
    let mut found: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name.ends_with(".json"))
        .collect();
    found.sort();
    assert_eq!(found, ["a.json", "b.json"]);
}

#[test]
fn a_reader_that_stops_early_is_no_panic_and_no_message() {
    let desk = Desk::with_repository();
    desk.write("src/long", &b"0123456789abcdef".repeat(200_000));
    desk.run(&["backup", "-q", &desk.text("src")]).expect_code(0);
    let mut child = desk
        .command(&["dump", &format!("latest:{}", desk.text("src/long"))])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut head = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut head).unwrap();
    let done = Done::from(child.wait_with_output().unwrap());
    assert_eq!((&head, done.code, done.err.as_str()), (b"0123456789abcdef", Some(141), ""));
}

#[test]
fn stats_add_up() {
    let desk = Desk::with_snapshot();
    let stats = desk.run(&["stats", "--json"]).expect_code(0).json();
    let of_classes: u64 =
        stats["classes"].as_array().unwrap().iter().map(|class| class["bytes"].as_u64().unwrap()).sum();
    assert_eq!(stats["stored_bytes"].as_u64(), Some(of_classes));
    assert_eq!((&stats["snapshots_count"], &stats["logical_bytes"]), (&1.into(), &20_018.into()));
    assert!(desk.run(&["stats"]).expect_code(0).out.contains("packs"));
}

#[test]
fn check_is_clean_and_a_flipped_byte_makes_status_1_with_the_object_named() {
    let desk = Desk::with_snapshot();
    let clean = desk.run(&["check", "--read-data", "--json"]).expect_code(0).json_lines().pop().unwrap();
    assert_eq!((&clean["clean"], &clean["num_errors"]), (&true.into(), &0.into()));

    let packs = desk.path("vault/packs");
    let folder = packs.join(&names(&packs)[0]);
    let pack = names(&folder).remove(0);
    let mut bytes = fs::read(folder.join(&pack)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder.join(&pack), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(folder.join(&pack), bytes).unwrap();
    for arguments in [&["check", "--read-data"][..], &["check", "--storage-only"]] {
        let done = desk.run(arguments).expect_code(1);
        assert!(done.out.contains(&pack), "{arguments:?}: {}", done.out);
    }
}

#[test]
fn check_storage_only_needs_no_password() {
    let desk = Desk::with_snapshot();
    let mut command = desk.bare(&["check", "--storage-only"]);
    let done = Done::of(command.env("DSSVAULT_REPO", desk.path("vault"))).expect_code(0);
    assert!(done.out.contains("no damage found"), "{}", done.out);
}

#[test]
fn restore_brings_a_part_back_and_tells_what_it_did() {
    let desk = Desk::with_snapshot();
    let part = format!("latest:{}", desk.text("src/config"));
    let done = desk.run(&["restore", "--json", &part, "--target", &desk.text("back"), "--verify"]).expect_code(0);
    let summary = done.json_lines().pop().unwrap();
    assert_eq!((&summary["message_type"], &summary["files_restored"]), (&"summary".into(), &2.into()));
    assert_eq!(summary["files_verified"], 2);
    assert_eq!(names(&desk.path("back")), ["a.json", "b.json"]);
    assert_eq!(fs::read(desk.path("back/a.json")).unwrap(), b"{\"a\": 1}\n");
    let again = desk.run(&["restore", &part, "-t", &desk.text("back")]).expect_code(0);
    assert!(again.out.contains("2 files were already right"), "{}", again.out);
}

#[test]
fn a_dry_restore_writes_nothing() {
    let desk = Desk::with_snapshot();
    let done = desk.run(&["restore", "latest", "-n", "--target", &desk.text("back")]).expect_code(0);
    assert!(done.out.starts_with("would restore"), "{}", done.out);
    assert!(!desk.path("back").exists());
}
