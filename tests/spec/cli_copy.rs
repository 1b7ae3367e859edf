//! `copy` and `init --like` as a user types them: two repositories, two passwords.

use crate::cli_fixture::{Desk, Done};

const OTHER: &str = "battery staple";

/// The program with the second repository and its password in the environment.
fn both(desk: &Desk, arguments: &[&str]) -> Done {
    let mut command = desk.command(arguments);
    command.env("DSSVAULT_TO_REPO", desk.path("away")).env("DSSVAULT_TO_PASSWORD", OTHER);
    Done::of(&mut command)
}

/// The program in the second repository.
fn away(desk: &Desk, arguments: &[&str]) -> Done {
    let mut command = desk.command(arguments);
    command.env("DSSVAULT_REPO", desk.path("away")).env("DSSVAULT_PASSWORD", OTHER);
    Done::of(&mut command)
}

fn two_repositories() -> Desk {
    let desk = Desk::with_snapshot();
    let mut init = desk.command(&["init", "--no-recovery-key", "--like", &desk.text("vault"), "-q"]);
    init.env("DSSVAULT_REPO", desk.path("away")).env("DSSVAULT_PASSWORD", OTHER);
    init.env("DSSVAULT_LIKE_PASSWORD", crate::cli_fixture::PASSWORD);
    Done::of(&mut init).expect_code(0);
    desk
}

#[test]
fn a_snapshot_travels_once_and_comes_back_from_the_other_side() {
    let desk = two_repositories();
    let done = both(&desk, &["copy", "--json"]).expect_code(0);
    let lines = done.json_lines();
    let copied = lines.iter().find(|line| line["message_type"] == "copied").unwrap();
    let summary = lines.last().unwrap();
    assert_eq!(
        (&summary["message_type"], &summary["same_ids"], &summary["same_cuts"]),
        (&"summary".into(), &true.into(), &true.into())
    );
    assert_eq!(
        (&summary["copied"][0]["snapshot_id"], &summary["bytes_read"]),
        (&copied["snapshot_id"], &copied["bytes_read"])
    );
    assert!(summary["bytes_stored"].as_u64().unwrap() > 0);
    let again = both(&desk, &["copy"]).expect_code(0);
    assert_eq!(again.out, "copied 0 snapshots; 1 were there already\n");
    let listed = away(&desk, &["snapshots", "--json"]).expect_code(0).json();
    assert_eq!(listed[0]["origin"]["snapshot"], copied["source"]);
    assert_eq!(listed[0]["tags"][0], "first");
    away(&desk, &["restore", "latest", "--target", &desk.text("back")]).expect_code(0);
    let back = desk.path("back").join(desk.text("src").trim_start_matches('/')).join("data.bin");
    assert_eq!(std::fs::read(back).unwrap(), std::fs::read(desk.path("src/data.bin")).unwrap());
}

#[test]
fn each_repository_has_a_password_of_its_own() {
    let desk = two_repositories();
    let mut wrong = desk.command(&["copy", "--to", &desk.text("away")]);
    let done = Done::of(wrong.env("DSSVAULT_TO_PASSWORD", crate::cli_fixture::PASSWORD)).expect_code(12);
    assert!(done.err.contains(&desk.text("away")), "{}", done.err);
    let none = desk.run(&["copy", "--to", &desk.text("away")]).expect_code(2);
    assert!(none.err.contains("--to-password-file"), "{}", none.err);
    let file = desk.write("away.pw", OTHER.as_bytes());
    let file = file.to_str().unwrap();
    desk.run(&["copy", "--to", &desk.text("away"), "--to-password-file", file, "-n"]).expect_code(0);
    let command = format!("echo '{OTHER}'");
    desk.run(&["copy", "--to", &desk.text("away"), "--to-password-command", &command]).expect_code(0);
    desk.run(&["copy", "--to", &desk.text("nowhere")]).expect_code(10);
}

#[test]
fn a_repository_is_not_copied_into_itself() {
    let desk = two_repositories();
    let mut itself = desk.command(&["copy", "--to", &desk.text("vault")]);
    let done = Done::of(itself.env("DSSVAULT_TO_PASSWORD", crate::cli_fixture::PASSWORD)).expect_code(2);
    assert!(done.err.contains("the same repository"), "{}", done.err);
}

#[test]
fn snapshots_are_chosen_by_name_or_filter() {
    let desk = two_repositories();
    desk.write("src/more.json", b"{}");
    desk.run(&["backup", "-q", "--tag", "second", &desk.text("src")]).expect_code(0);
    let chosen = |arguments: &[&str]| {
        let arguments = [&["copy", "-n", "--json", "-q"], arguments].concat();
        let done = both(&desk, &arguments).expect_code(0);
        done.json_lines().last().unwrap()["copied"].as_array().unwrap().len()
    };
    assert_eq!((chosen(&[]), chosen(&["--tag", "second"]), chosen(&["latest"])), (2, 1, 1));
    assert_eq!((chosen(&["--snapshots", "latest,latest~1"]), chosen(&["--host", "elsewhere"])), (2, 0));
    both(&desk, &["copy", "ffffffff"]).expect_code(1);
}

#[test]
fn a_snapshot_that_cannot_be_copied_is_named_and_the_exit_code_is_1() {
    let desk = two_repositories();
    for entry in walk(&desk.path("vault/packs")) {
        let mut bytes = std::fs::read(&entry).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&entry, bytes).unwrap();
    }
    let done = both(&desk, &["copy"]).expect_code(1);
    assert!(done.err.contains("was not copied: "), "{}", done.err);
    assert!(done.out.contains("1 snapshot could not be copied"), "{}", done.out);
    assert_eq!(away(&desk, &["snapshots", "--json"]).expect_code(0).json(), serde_json::json!([]));
}

#[test]
fn what_the_other_side_has_lost_comes_back_with_force() {
    let desk = two_repositories();
    both(&desk, &["copy", "-q"]).expect_code(0);
    for pack in walk(&desk.path("away/packs")) {
        std::fs::remove_file(pack).unwrap();
    }
    away(&desk, &["check"]).expect_code(1);
    let told = away(&desk, &["repair", "packs"]).expect_code(1);
    assert!(told.out.contains("next: back up every node") && !told.out.contains("GONE"), "{}", told.out);
    let planned = both(&desk, &["copy", "--force", "-n"]).expect_code(0);
    assert!(planned.out.contains("would go through 1 snapshot of these"), "{}", planned.out);
    let done = both(&desk, &["copy", "--force"]).expect_code(0);
    assert!(done.out.contains("went through 1 snapshot of these for what had been lost there"), "{}", done.out);
    away(&desk, &["check", "--read-data"]).expect_code(0);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect()
}
