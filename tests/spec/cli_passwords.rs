//! Where passwords come from, in which order, and what is refused.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::cli_fixture::{Desk, Done, PASSWORD};

/// `key list` with a repository but no password in the environment.
fn list(desk: &Desk, arguments: &[&str], variables: &[(&str, &str)]) -> Done {
    let mut command = desk.bare(&["key", "list", "--json"]);
    command.args(arguments).env("DSSVAULT_REPO", desk.path("vault")).envs(variables.iter().copied());
    Done::of(&mut command)
}

#[test]
fn every_source_of_a_password_opens_the_repository() {
    let desk = Desk::with_repository();
    let file = desk.write("password", format!("{PASSWORD}\n").as_bytes());
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let command = format!("cat {file}");
    list(&desk, &["--password-file", file], &[]).expect_code(0);
    list(&desk, &["--password-command", &command], &[]).expect_code(0);
    list(&desk, &[], &[("DSSVAULT_PASSWORD_FILE", file)]).expect_code(0);
    list(&desk, &[], &[("DSSVAULT_PASSWORD_COMMAND", &command)]).expect_code(0);
    list(&desk, &[], &[("DSSVAULT_PASSWORD", PASSWORD)]).expect_code(0);
}

#[test]
fn an_option_goes_before_the_environment() {
    let desk = Desk::with_repository();
    let wrong = desk.write("wrong", b"wrong");
    let arguments = ["--password-file", wrong.to_str().unwrap()];
    list(&desk, &arguments, &[("DSSVAULT_PASSWORD", PASSWORD)]).expect_code(12);
}

#[test]
fn a_wrong_password_ends_with_status_12_and_a_way_on() {
    let desk = Desk::with_repository();
    let done = list(&desk, &[], &[("DSSVAULT_PASSWORD", "wrong")]).expect_code(12);
    let error: serde_json::Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!(error["code"], 12);
    assert!(error["hint"].as_str().unwrap().contains("recovery key"));
}

#[test]
fn without_a_password_and_a_terminal_the_options_are_named() {
    let desk = Desk::with_repository();
    let done = list(&desk, &[], &[]).expect_code(2);
    assert!(done.err.contains("--password-file") && done.err.contains("DSSVAULT_PASSWORD"), "{}", done.err);
}

#[test]
fn an_empty_password_is_refused_wherever_it_comes_from() {
    let desk = Desk::with_repository();
    let empty = desk.write("empty", b"\n");
    list(&desk, &["--password-file", empty.to_str().unwrap()], &[]).expect_code(2);
    list(&desk, &[], &[("DSSVAULT_PASSWORD", "")]).expect_code(2);
    list(&desk, &["--password-command", "true"], &[]).expect_code(2);
}

#[test]
fn a_password_command_that_fails_is_named_with_its_status() {
    let desk = Desk::with_repository();
    let done = list(&desk, &["--password-command", "exit 7"], &[]).expect_code(1);
    assert!(done.err.contains("exit 7") && done.err.contains("exit status: 7"), "{}", done.err);
}

#[test]
fn a_password_file_everybody_can_read_works_with_a_warning() {
    let desk = Desk::with_repository();
    let file = desk.write("password", PASSWORD.as_bytes());
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let done = list(&desk, &["--password-file", file.to_str().unwrap()], &[]).expect_code(0);
    assert!(done.err.contains("chmod 600"), "{}", done.err);
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(list(&desk, &["--password-file", file.to_str().unwrap()], &[]).expect_code(0).err, "");
}
