//! Rules of `init`, and keys from their first to their last.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::cli_fixture::{Desk, Done, PASSWORD};

#[test]
fn without_a_terminal_init_wants_to_know_where_the_recovery_key_goes() {
    let desk = Desk::empty();
    let done = desk.run(&["init"]).expect_code(2);
    assert!(done.err.contains("--recovery-key-file") && done.err.contains("--no-recovery-key"), "{}", done.err);
    assert!(!desk.path("vault").exists());
}

#[test]
fn init_writes_the_recovery_words_to_a_private_file_and_nowhere_else() {
    let desk = Desk::empty();
    let done = desk.run(&["init", "--json", "--recovery-key-file", &desk.text("words")]).expect_code(0);
    let words = fs::read_to_string(desk.path("words")).unwrap();
    assert_eq!(words.split_whitespace().count(), 24);
    assert_eq!(fs::metadata(desk.path("words")).unwrap().permissions().mode() & 0o777, 0o600);
    let first = words.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    assert!(!done.out.contains(&first) && !done.err.contains(&first));
    let json = done.json();
    assert_eq!((&json["message_type"], &json["repository"]), (&"initialized".into(), &desk.text("vault").into()));
    assert_eq!(json["id"].as_str().unwrap().len(), 32);
}

#[test]
fn a_recovery_key_file_that_exists_is_never_overwritten() {
    let desk = Desk::empty();
    desk.write("words", b"of another repository\n");
    let done = desk.run(&["init", "--recovery-key-file", &desk.text("words")]).expect_code(1);
    assert!(done.err.contains("words") && done.err.contains("hint: "), "{}", done.err);
    assert_eq!(fs::read(desk.path("words")).unwrap(), b"of another repository\n");
    desk.run(&["snapshots"]).expect_code(10);
}

#[test]
fn a_second_init_in_the_same_place_changes_nothing_and_leaves_no_file() {
    let desk = Desk::with_repository();
    let done = desk.run(&["init", "--recovery-key-file", &desk.text("words")]).expect_code(1);
    assert!(done.err.contains("already a repository"), "{}", done.err);
    assert!(!desk.path("words").exists());
    desk.run(&["key", "list"]).expect_code(0);
}

#[test]
fn a_folder_that_holds_something_else_is_refused() {
    let desk = Desk::empty();
    desk.write("vault/holiday.jpg", b"...");
    let done = desk.run(&["init", "--no-recovery-key"]).expect_code(1);
    assert!(done.err.contains("holiday.jpg"), "{}", done.err);
}

#[test]
fn the_words_alone_open_the_repository_and_set_a_new_password() {
    let desk = Desk::empty();
    desk.run(&["init", "-q", "--recovery-key-file", &desk.text("words")]).expect_code(0);
    let mut change = desk.bare(&["key", "change-password", "--json", "--recovery-key-file", &desk.text("words")]);
    change.env("DSSVAULT_REPO", desk.path("vault")).env("DSSVAULT_NEW_PASSWORD", "new");
    let changed = Done::of(&mut change).expect_code(0).json();
    assert_eq!(changed["message_type"], "password_changed");
    desk.run(&["key", "list"]).expect_code(12);
    Done::of(desk.command(&["key", "list"]).env("DSSVAULT_PASSWORD", "new")).expect_code(0);
}

#[test]
fn keys_are_added_listed_and_removed_but_never_the_last() {
    let desk = Desk::with_repository();
    let second = desk.write("second", b"second password");
    let added = desk
        .run(&["key", "add", "--json", "--label", "night shift", "--new-password-file", second.to_str().unwrap()])
        .expect_code(0)
        .json();
    let keys = desk.run(&["key", "list", "--json"]).expect_code(0).json();
    assert_eq!(keys.as_array().unwrap().len(), 2);
    assert_eq!((&keys[0]["current"], &keys[1]["label"]), (&true.into(), &"night shift".into()));
    let (own, other) = (keys[0]["id"].as_str().unwrap(), added["short_id"].as_str().unwrap());

    desk.run(&["key", "remove", own]).expect_code(2);
    desk.run(&["key", "remove", "zz"]).expect_code(2);
    desk.run(&["key", "remove", other]).expect_code(0);
    let last = desk.run(&["key", "remove", own, "--force"]).expect_code(2);
    assert!(last.err.contains("last"), "{}", last.err);
    desk.run(&["key", "list"]).expect_code(0);
    Done::of(desk.command(&["key", "list"]).env("DSSVAULT_PASSWORD", "second password")).expect_code(12);
    assert_ne!(PASSWORD, "second password");
}

#[test]
fn a_new_recovery_key_needs_a_terminal_or_a_file() {
    let desk = Desk::with_repository();
    desk.run(&["key", "add", "--recovery"]).expect_code(2);
    desk.run(&["key", "add", "--recovery", "--write-to", &desk.text("words")]).expect_code(0);
    let mut list = desk.bare(&["key", "list", "--recovery-key-file", &desk.text("words")]);
    Done::of(list.env("DSSVAULT_REPO", desk.path("vault"))).expect_code(0);
}
