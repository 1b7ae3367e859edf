//! Passwords of databases stand nowhere but in the file that is made for libpq: not in the process list, the
//! environment of children, logs, errors, manifests, or anything that is left behind.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli_fixture::{Desk, Done};
use crate::pg_dumps::furnish;
use crate::postgres::{PASSWORD, Server};

/// Words of the password that survive every way of escaping it.
const WORDS: [&str; 2] = ["s3cret", "pa:ss"];

fn tells(bytes: &[u8]) -> bool {
    WORDS.iter().any(|word| bytes.windows(word.len()).any(|window| window == word.as_bytes()))
}

/// Processes that tell the password while `work` runs.
fn watched(work: impl FnOnce()) -> Vec<String> {
    let (over, own) = (AtomicBool::new(false), std::process::id());
    std::thread::scope(|threads| {
        let watch = threads.spawn(|| {
            let mut found = Vec::new();
            let mut looked = 0;
            while !over.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    if name.parse::<u32>().is_ok_and(|pid| pid != own) {
                        for file in ["cmdline", "environ"] {
                            let bytes = fs::read(entry.path().join(file)).unwrap_or_default();
                            if tells(&bytes) {
                                found.push(format!("{name}/{file}: {}", String::from_utf8_lossy(&bytes)));
                            }
                        }
                    }
                }
                looked += 1;
            }
            assert!(looked > 3, "nobody looked");
            found
        });
        work();
        over.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    })
}

fn told_below(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => told_below(&entry.path(), found),
            kind if kind.is_file() && entry.file_name() != "password" && tells(&fs::read(entry.path()).unwrap()) => {
                found.push(entry.path().display().to_string());
            }
            _ => {}
        }
    }
}

#[test]
fn a_password_is_seen_nowhere() {
    let (server, desk) = (Server::start(), Desk::with_repository());
    furnish(&server, 8);
    desk.write("password", PASSWORD.as_bytes());
    let url = format!("{}?currentSchema=dss&tableNamePrefix=gov_", server.far_url("gov_owner", "gov"));
    let file = desk.text("password");
    let run = |arguments: &[&str]| {
        let done = desk.run(&[arguments, &["-vv", "--database-password-file", &file]].concat());
        assert!(!tells(done.out.as_bytes()) && !tells(done.err.as_bytes()), "{}{}", done.out, done.err);
        done
    };
    let found = watched(|| {
        run(&["backup", "--database", &url]).expect_code(0);
        run(&["restore", "latest", "--clean-database"]).expect_code(0);
        run(&["backup", "--database", &format!("{url}x")]).expect_code(1);
    });
    assert_eq!(found, Vec::<String>::new());
    let shown = desk.run(&["snapshots", "--json"]).expect_code(0);
    assert!(!tells(shown.out.as_bytes()));
    let facts = desk.run(&["dump", "latest:/postgresql/gov.dss.gov_/database.json"]).expect_code(0);
    assert!(!tells(facts.out.as_bytes()));
    assert!(!tells(server.log().replace(&format!("PASSWORD '{PASSWORD}'"), "").as_bytes()));
    let mut left = Vec::new();
    told_below(&desk.path(""), &mut left);
    assert_eq!(left, Vec::<String>::new(), "repository, cache, state and temporary files");
    // Its own variable does not reach the programs it starts.
    let found = watched(|| {
        let mut command = desk.command(&["backup", "--command", "sleep 0.5; env", "--stdin-name", "x"]);
        Done::of(command.env("DSSVAULT_DATABASE_PASSWORD", PASSWORD)).expect_code(0);
    });
    assert!(
        found.iter().all(|line| line.contains("dssvault\0backup")
            || line.contains("--command")
            || line.contains("DSSVAULT_REPO")),
        "{found:?}"
    );
    let printed = desk.run(&["dump", "latest:/x"]).expect_code(0);
    assert!(!tells(printed.out.as_bytes()), "{}", printed.out);
}
