//! `inspect` of what is no data directory, half of one, or one in trouble: a message, a next step, an exit code.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::Duration;

use crate::cli_fixture::{Desk, Done};
use crate::datadir::{Machine, Shape};

fn machine(desk: &Desk) -> Machine {
    Machine::with(&desk.path("machine"), Shape::Design)
}

fn inspect(desk: &Desk, machine: &Machine, path: &str, options: &[&str]) -> Done {
    let path = machine.root().join(path.trim_start_matches('/'));
    let fixed = ["inspect", path.to_str().unwrap(), "--host-root", machine.root().to_str().unwrap()];
    desk.run(&[&fixed, options].concat())
}

#[test]
fn what_is_no_data_directory_is_refused_with_status_2_and_the_likely_one_is_named() {
    let desk = Desk::empty();
    let machine = machine(&desk);
    let parent = inspect(&desk, &machine, "/data", &[]).expect_code(2);
    assert!(parent.err.contains("no DSS data directory") && parent.err.contains("did you mean"), "{}", parent.err);
    let kit = inspect(&desk, &machine, "/opt/dataiku-dss-14.2.2", &[]).expect_code(2);
    assert!(kit.err.contains("(the kit)") && kit.err.contains("hint: name the data directory"), "{}", kit.err);
    for path in ["/nowhere", "/data/dss/install.ini"] {
        let done = inspect(&desk, &machine, path, &["--json"]).expect_code(2);
        let error: serde_json::Value = serde_json::from_str(&done.err).unwrap();
        assert!(error["message"].as_str().unwrap().ends_with("is no directory"), "{error}");
    }
}

#[test]
fn half_an_installation_is_refused_with_status_1() {
    let desk = Desk::empty();
    let machine = machine(&desk);
    fs::remove_file(machine.path("bin/env-default.sh")).unwrap();
    let done = inspect(&desk, &machine, "/data/dss", &[]).expect_code(1);
    assert!(done.err.contains("bin/env-default.sh missing") && done.err.contains("--plain"), "{}", done.err);
    machine.data("DSS-INITIAL-INSTALL-IN-PROGRESS.txt", "");
    let done = inspect(&desk, &machine, "/data/dss", &[]).expect_code(1);
    assert!(done.err.contains("moves this directory aside"), "{}", done.err);
}

#[test]
fn a_broken_migration_says_stop_and_keeps_what_the_installer_saved() {
    let desk = Desk::empty();
    let machine = machine(&desk);
    machine.data("_pre_migration_backup_20260102-030405/config/users.json", "{}");
    machine.data(
        "DSS-MIGRATION-IN-PROGRESS.json",
        r#"{"timestamp": "20260102-030405", "entries": [{"initial": "databases", "backup": "_pre_migration_backup_20260102-030405/databases"}]}"#,
    );
    let done = inspect(&desk, &machine, "/data/dss", &["--exclude-class", "ignorable"]).expect_code(0);
    assert!(
        done.out.contains("STOP: an upgrade died half way") && done.out.contains("would lose config"),
        "{}",
        done.out
    );
    let line = done.out.lines().find(|line| line.starts_with("_pre_migration_backup_")).unwrap();
    assert!(line.contains("essential") && !line.contains(" all "), "{line}");
}

#[test]
fn a_copy_at_another_place_with_a_dangling_program_is_told_with_next_steps() {
    let desk = Desk::empty();
    let machine = machine(&desk);
    fs::rename(machine.path(""), machine.root().join("data/copy")).unwrap();
    fs::remove_dir_all(machine.root().join("opt")).unwrap();
    let out = inspect(&desk, &machine, "/data/copy", &[]).expect_code(0).out;
    assert!(out.contains("installed at /data/dss, so DSS refuses to start here"), "{out}");
    assert!(
        out.contains("bin/dss leads nowhere") && out.contains("kit             /opt/dataiku-dss-14.2.2, not there"),
        "{out}"
    );
}

#[test]
fn a_link_given_as_data_dir_is_resolved_and_said() {
    let desk = Desk::empty();
    let machine = machine(&desk);
    symlink("dss", machine.root().join("data/link")).unwrap();
    let out = inspect(&desk, &machine, "/data/link", &[]).expect_code(0).out;
    assert!(out.contains("data directory  /data/dss\n") && out.contains("reached through a link: "), "{out}");
}

#[test]
fn what_an_account_may_not_read_is_listed_and_the_rest_is_told() {
    let desk = Desk::shared_with_nobody();
    let machine = machine(&desk);
    fs::set_permissions(machine.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["config/general-settings.json", "install-support", "jobs"] {
        fs::set_permissions(machine.path(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let path = machine.path("");
    let arguments = ["inspect", path.to_str().unwrap(), "--host-root", machine.root().to_str().unwrap()];
    let done = Done::of(&mut desk.unprivileged(&arguments)).expect_code(0);
    assert!(done.out.contains("design, DSS 14.2.2"), "{}", done.out);
    assert!(done.out.contains("config/general-settings.json: Permission denied"), "{}", done.out);
    assert!(
        done.out.contains("2 places could not be looked into and weigh more than shown: install-support, jobs"),
        "{}",
        done.out
    );
    assert!(!done.out.contains("STOP"), "what cannot be read is not missing: {}", done.out);
    for name in ["install-support", "jobs"] {
        fs::set_permissions(machine.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn pipes_are_never_waited_for() {
    let desk = Desk::empty();
    let machine = machine(&desk);
    for name in ["jobs/.stdin.AbCdEfGh", "config/.stdout.AbCdEfGh", "config/dip.properties", "bin/env-spark.sh"] {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, machine.path(name), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    let (path, root) = (machine.path(""), machine.root().to_owned());
    let arguments = ["inspect", path.to_str().unwrap(), "--host-root", root.to_str().unwrap()];
    let mut child = desk.command(&arguments).stdout(Stdio::null()).spawn().unwrap();
    let ended = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        child.try_wait().unwrap()
    });
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "it waits for a pipe");
}

#[test]
fn an_exclusion_that_fits_nothing_is_a_warning() {
    let desk = Desk::empty();
    let machine = machine(&desk);
    machine.data("analysis-data/P/x", "12345");
    let options = ["--exclude", "analysis_data", "--exclude", "/manged_datasets", "--exclude-class", "ignorable"];
    let done = inspect(&desk, &machine, "/data/dss", &options).expect_code(0);
    let warnings: Vec<&str> = done.err.lines().collect();
    assert_eq!(warnings, ["warning: the exclusion `/manged_datasets` fits nothing in /data/dss"], "{}", done.err);
    assert!(done.out.lines().any(|line| line.starts_with("analysis-data") && line.contains(" all ")), "{}", done.out);
}

#[test]
fn words_that_are_no_class_or_pattern_are_wrong_usage() {
    let desk = Desk::empty();
    let machine = machine(&desk);
    for options in [["--exclude-class", "essential"], ["--preset", "small"], ["--exclude", "["]] {
        let done = inspect(&desk, &machine, "/data/dss", &options).expect_code(2);
        assert!(done.err.contains(options[1]), "{}", done.err);
    }
}

#[test]
fn names_and_values_cannot_steer_the_terminal() {
    let desk = Desk::empty();
    let machine = machine(&desk);
    machine.data("evil\u{1b}[2J/x", "");
    machine.data("install.ini", "[general]\ninstallid = \u{1b}]0;owned\u{7}\n[server]\nport = 11000\n");
    let out = inspect(&desk, &machine, "/data/dss", &[]).expect_code(0).out;
    assert!(!out.contains('\u{1b}') && out.contains(r"evil\x1b[2J"), "{out}");
}
