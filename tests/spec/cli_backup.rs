//! `backup` as wrappers and people see it.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::cli_fixture::{Desk, Done, names};

#[test]
fn a_backup_ends_with_a_summary_and_a_second_reads_nothing() {
    let desk = Desk::with_snapshot();
    let done = desk.run(&["backup", "--json", &desk.text("src")]).expect_code(0);
    let lines = done.json_lines();
    let summary = lines.last().unwrap();
    assert_eq!((&summary["message_type"], &summary["dry_run"]), (&"summary".into(), &false.into()));
    assert_eq!((&summary["total_files_processed"], &summary["files_read"]), (&3.into(), &0.into()));
    assert!(lines[..lines.len() - 1].iter().all(|line| line["message_type"] == "status"));
    assert_eq!(done.err, "");
}

#[test]
fn a_dry_run_writes_no_snapshot() {
    let desk = Desk::with_repository();
    desk.write("src/a", b"a");
    let done = desk.run(&["backup", "-n", &desk.text("src")]).expect_code(0);
    assert!(done.out.ends_with("dry run: nothing was stored\n"), "{}", done.out);
    assert_eq!(names(&desk.path("vault/snapshots")), [""; 0]);
}

#[test]
fn quiet_is_quiet() {
    let desk = Desk::with_snapshot();
    let done = desk.run(&["backup", "-q", &desk.text("src")]).expect_code(0);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("", ""));
}

#[test]
fn an_unreadable_file_is_named_and_makes_status_3_with_the_snapshot_written() {
    let desk = Desk::shared_with_nobody();
    let secret = desk.write("src/secret.json", b"{}");
    desk.write("src/open.json", b"{}");
    std::fs::set_permissions(&secret, Permissions::from_mode(if Desk::is_root() { 0o600 } else { 0o000 })).unwrap();
    Done::of(&mut desk.unprivileged(&["init", "--no-recovery-key", "-q"])).expect_code(0);
    let done = Done::of(&mut desk.unprivileged(&["backup", &desk.text("src")])).expect_code(3);
    assert!(done.err.contains("secret.json"), "{}", done.err);
    assert!(done.out.contains("1 file could not be read"), "{}", done.out);
    assert_eq!(names(&desk.path("vault/snapshots")).len(), 1);
    let listed = Done::of(&mut desk.unprivileged(&["snapshots"])).expect_code(0);
    assert!(listed.out.contains("(with problems)"), "{}", listed.out);
}

#[test]
fn a_stream_is_stored_under_its_name_and_a_failing_command_stores_nothing() {
    let desk = Desk::with_repository();
    let mut child = desk
        .command(&["backup", "-", "--stdin-name", "shop.sql"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"CREATE TABLE shop;\n").unwrap();
    Done::from(child.wait_with_output().unwrap()).expect_code(0);
    assert_eq!(desk.run(&["dump", "latest:/shop.sql"]).expect_code(0).out, "CREATE TABLE shop;\n");

    let done = desk.run(&["backup", "--command", "echo half; exit 4", "--stdin-name", "x"]).expect_code(1);
    assert!(done.err.contains("exit 4"), "{}", done.err);
    let snapshots = desk.run(&["snapshots", "--json"]).expect_code(0).json();
    assert_eq!(snapshots.as_array().unwrap().len(), 1);
}

#[test]
fn a_source_that_is_not_there_is_an_error_that_names_it() {
    let desk = Desk::with_repository();
    let done = desk.run(&["backup", &desk.text("nothing-here")]);
    assert!(matches!(done.code, Some(1..=3)), "{done:?}");
    assert!(done.err.contains("nothing-here"), "{}", done.err);
}

#[test]
fn patterns_come_from_options_and_files() {
    let desk = Desk::with_repository();
    for name in ["a.json", "b.tmp", "c.log", "cached/CACHEDIR.TAG", "cached/x"] {
        desk.write(&format!("src/{name}"), b"Signature: 8a477f597d28d172789f06886806bc55");
    }
    let list = desk.write("patterns", b"# logs\n*.log\n");
    let source = desk.text("src");
    let list = list.to_str().unwrap();
    desk.run(&["backup", "-q", &source, "--exclude", "*.tmp", "--exclude-from", list, "--exclude-caches"])
        .expect_code(0);
    let listed = desk.run(&["ls", &format!("latest:{source}")]).expect_code(0).out;
    assert!(listed.contains("/a.json"), "{listed}");
    for gone in ["b.tmp", "c.log", "cached/x"] {
        assert!(!listed.contains(gone), "{listed}");
    }
}
