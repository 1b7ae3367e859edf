//! Wrong command lines end with status 2 and say what to write instead; help always helps.

use crate::cli_fixture::{Desk, Done};

#[test]
fn without_a_command_the_commands_are_listed() {
    let done = Desk::empty().run(&[]);
    assert_eq!(done.code, Some(2));
    for command in ["init", "backup", "restore", "check", "demo"] {
        assert!(done.err.contains(command), "{}", done.err);
    }
}

#[test]
fn every_command_has_help_with_examples_and_status_0() {
    let desk = Desk::empty();
    let commands = [
        "init",
        "backup",
        "snapshots",
        "restore",
        "ls",
        "dump",
        "forget",
        "undelete",
        "pin",
        "unpin",
        "check",
        "stats",
        "inspect",
        "key",
        "key list",
        "key add",
        "key remove",
        "key change-password",
        "demo",
        "completions",
        "man",
    ];
    for command in commands {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let done = desk.run(&arguments).expect_code(0);
        assert!(done.out.contains("Example"), "{command}: {}", done.out);
        assert!(done.err.is_empty(), "{command}: {}", done.err);
    }
}

#[test]
fn the_help_of_backup_reads_like_this() {
    insta::assert_snapshot!(Desk::empty().run(&["backup", "-h"]).out);
}

#[test]
fn a_missing_repository_option_is_named() {
    let desk = Desk::empty();
    let done = Done::of(&mut desk.bare(&["snapshots"])).expect_code(2);
    assert_eq!(done.err, "error: no repository was named\nhint: give one with `-r LOCATION`, or set $DSSVAULT_REPO\n");
}

#[test]
fn a_place_of_an_unknown_kind_is_refused_by_name() {
    let done = Desk::empty().run(&["-r", "s3://bucket/prefix", "snapshots"]).expect_code(2);
    assert!(done.err.contains("kind `s3:`") && done.err.contains("hint: give a local path"), "{}", done.err);
}

#[test]
fn a_place_without_a_repository_ends_with_status_10_before_any_password_is_asked() {
    let desk = Desk::empty();
    let done = Done::of(&mut desk.bare(&["-r", "nowhere", "snapshots"])).expect_code(10);
    assert_eq!(
        done.err,
        "error: there is no repository at nowhere\nhint: check the location, or create a repository with `dssvault init`\n"
    );
    assert!(!desk.path("nowhere").exists() && !desk.path("cache").exists());
}

#[test]
fn contradictions_are_usage_errors() {
    let desk = Desk::empty();
    let lines: [&[&str]; 10] = [
        &["backup"],
        &["backup", "-", "--command", "true"],
        &["backup", "--stdin", "--stdin-name", "a/b"],
        &["backup", "src", "--time", "yesterday"],
        &["restore", "latest", "--undo", "--start"],
        &["backup", "src", "--consistency", "maybe"],
        &["restore", "latest:/a/../b", "--target", "t"],
        &["check", "--read-data=200%"],
        &["check", "--read-data=2/1"],
        &["check", "--storage-only", "--read-data"],
    ];
    for line in lines {
        let done = desk.run(line);
        assert_eq!(done.code, Some(2), "{line:?}: {}", done.err);
        assert!(done.err.starts_with("error: "), "{line:?}: {}", done.err);
    }
}

#[test]
fn a_restore_is_of_one_kind_and_takes_no_option_of_another() {
    let desk = Desk::empty();
    let elsewhere: [&[&str]; 3] = [&["--data-dir", "d"], &["--drill", "d"], &["--port", "12000", "--skip-step", "r"]];
    let of_others: [&[&str]; 9] = [
        &["--target", "t"],
        &["--in-place"],
        &["--undo"],
        &["--forget-old"],
        &["--stop"],
        &["--delete"],
        &["--overwrite", "never"],
        &["--owner", "current"],
        &["--owner-map", "m"],
    ];
    for (elsewhere, other) in elsewhere.iter().flat_map(|place| of_others.iter().map(move |other| (place, other))) {
        let done = desk.run(&[&["restore", "latest"], *elsewhere, *other].concat());
        assert_eq!(done.code, Some(2), "{elsewhere:?} {other:?}: {}", done.err);
        assert!(done.err.contains("cannot be used with"), "{elsewhere:?} {other:?}: {}", done.err);
    }
}

#[test]
fn how_a_move_is_made_does_not_make_a_restore_one() {
    let desk = Desk::empty();
    for how in [&["--all-steps"][..], &["--skip-step", "r"]] {
        for kind in [&[][..], &["--target", "t"], &["--in-place"], &["--undo"]] {
            let done = desk.run(&[&["restore", "latest"], how, kind].concat()).expect_code(2);
            assert!(done.err.contains("--data-dir"), "{how:?} {kind:?}: {}", done.err);
        }
    }
    for of_target in [&["--delete"][..], &["--overwrite", "never"], &["--owner", "current"]] {
        let done = desk.run(&[&["restore", "latest"], of_target].concat()).expect_code(2);
        assert!(done.err.contains("--target"), "{of_target:?}: {}", done.err);
    }
}

#[test]
fn options_of_a_node_are_refused_where_there_is_none() {
    let desk = Desk::with_repository();
    desk.write("src/a", b"a");
    let options: [&[&str]; 8] = [
        &["--freeze-command", "true", "--thaw-command", "true"],
        &["--rolling"],
        &["--jobs", "ignore"],
        &["--consistency", "auto"],
        &["--max-downtime", "1m"],
        &["--dss-key-file", "key"],
        &["--exclude-class", "logs"],
        &["--preset", "full"],
    ];
    for option in options {
        for more in [&["src"][..], &["src", "--plain"], &["--command", "true"]] {
            let done = desk.run(&[&["backup"], more, option].concat()).expect_code(2);
            assert!(done.err.contains(&format!("error: `{}` is for a DSS node", option[0])), "{more:?}: {}", done.err);
        }
    }
    let database = desk.run(&["backup", "src", "--database", "none"]).expect_code(2);
    assert!(database.err.contains("`--database` is for databases"), "{}", database.err);
    let mut with_key_in_environment = desk.command(&["backup", "-q", "src"]);
    Done::of(with_key_in_environment.env("DSSVAULT_DSS_KEY_FILE", "key")).expect_code(0);
}

#[test]
fn with_json_a_wrong_command_line_is_told_in_json() {
    let done = Desk::empty().run(&["--json", "check", "--read-data=200%"]).expect_code(2);
    let error: serde_json::Value = serde_json::from_str(&done.err).unwrap();
    assert_eq!((&error["message_type"], &error["code"]), (&"exit_error".into(), &2.into()));
    assert!(error["hint"].is_string());
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let desk = Desk::empty();
    for arguments in [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]] {
        let done = desk.run(arguments).expect_code(0);
        for command in ["backup", "restore", "snapshots", "completions"] {
            assert!(done.out.contains(command), "{arguments:?} lacks {command}");
        }
    }
    assert!(desk.run(&["man", "restore"]).expect_code(0).out.contains("\\-\\-target"));
}
