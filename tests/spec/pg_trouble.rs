//! Bad days of databases: whatever is wrong is told before anything is stored, or leaves no snapshot behind.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::cli_fixture::{Desk, Done};
use crate::pg_dumps::snapshots;
use crate::postgres::{PASSWORD, Server};
use crate::volume::Volume;

fn back_up(desk: &Desk, url: &str) -> Done {
    desk.run(&["backup", "--database", url])
}

/// A server with one database `d` of some size.
fn server(rows: u32) -> Server {
    let server = Server::start();
    server.sql("postgres", "CREATE DATABASE d");
    server.sql(
        "d",
        &format!(
            "CREATE SCHEMA s; CREATE TABLE s.t AS SELECT i, (SELECT string_agg(md5((i * j)::text), '') FROM generate_series(1, 8) j) FROM generate_series(1, {rows}) i"
        ),
    );
    server
}

#[test]
fn a_server_that_is_down_and_a_database_that_is_not_there_are_told() {
    let (server, desk) = (server(10), Desk::with_repository());
    let missing = back_up(&desk, &server.url("nowhere")).expect_code(1);
    assert!(missing.err.contains("nowhere on") && missing.err.contains("does not exist"), "{}", missing.err);
    let schema = back_up(&desk, &format!("{}&currentSchema=nope", server.url("d"))).expect_code(1);
    assert!(schema.err.contains("there is no schema nope"), "{}", schema.err);
    let prefix = back_up(&desk, &format!("{}&currentSchema=s&tableNamePrefix=T", server.url("d"))).expect_code(1);
    assert!(prefix.err.contains("there are no tables T* of schema s"), "{}", prefix.err);
    server.down();
    let down = back_up(&desk, &server.url("d")).expect_code(1);
    assert!(
        down.err.contains("cannot be reached") && down.err.contains("hint: see that the server runs"),
        "{}",
        down.err
    );
    assert!(snapshots(&desk).is_empty());
}

#[test]
fn passwords_come_from_a_file_a_command_the_environment_or_libpq_and_never_from_the_address() {
    let (server, desk) = (server(10), Desk::with_repository());
    server.role("u");
    server.sql("d", "GRANT USAGE ON SCHEMA s TO u; GRANT SELECT ON s.t TO u");
    let url = server.far_url("u", "d");
    let none = back_up(&desk, &url).expect_code(1);
    assert!(none.err.contains("lets nobody in") && none.err.contains("--database-password-file"), "{}", none.err);
    desk.write("right", PASSWORD.as_bytes());
    desk.write("wrong", b"wrong");
    let (right, wrong) = (desk.text("right"), desk.text("wrong"));
    let file = |path: &str| desk.run(&["backup", "--database", &url, "--database-password-file", path]);
    assert!(file(&wrong).expect_code(1).err.contains("password authentication failed"));
    file(&right).expect_code(0);
    desk.run(&["backup", "--database", &url, "--database-password-command", &format!("cat {right}")]).expect_code(0);
    for variable in ["DSSVAULT_DATABASE_PASSWORD", "PGPASSWORD"] {
        Done::of(desk.command(&["backup", "--database", &url]).env(variable, PASSWORD)).expect_code(0);
    }
    let escaped = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
    let passfile = desk.write("pgpass", format!("127.0.0.1:*:*:u:{escaped}\n").as_bytes());
    std::fs::set_permissions(&passfile, std::fs::Permissions::from_mode(0o600)).unwrap();
    Done::of(desk.command(&["backup", "--database", &url]).env("PGPASSFILE", &passfile)).expect_code(0);
    let with_password = url.replace("u@", "u:hunter2@");
    let refused = back_up(&desk, &with_password).expect_code(2);
    assert!(!refused.err.contains("hunter2"), "{}", refused.err);
}

#[test]
fn a_table_that_may_not_be_read_is_named_before_anything_is_stored() {
    let (server, desk) = (server(10), Desk::with_repository());
    server.role("u");
    server.sql("d", "GRANT USAGE ON SCHEMA s TO u; GRANT SELECT ON s.t TO u; CREATE TABLE s.closed(x int)");
    let done = Done::of(desk.command(&["backup", "--database", &server.far_url("u", "d")]).env("PGPASSWORD", PASSWORD));
    let done = done.expect_code(1);
    assert!(done.err.contains("may not read s.closed") && done.err.contains("pg_read_all_data"), "{}", done.err);
    assert!(snapshots(&desk).is_empty());
}

#[test]
fn a_client_older_than_the_server_is_refused_with_both_versions() {
    let (server, desk) = (server(10), Desk::with_repository());
    for name in ["pg_dump", "pg_dumpall", "pg_restore", "psql"] {
        let real = server.client(name, "d").get_program().to_owned();
        let script = format!(
            "#!/bin/sh\ncase \"$1\" in --version) echo '{name} (PostgreSQL) 12.9';; *) exec {} \"$@\";; esac\n",
            real.display()
        );
        let path = desk.write(&format!("old/{name}"), script.as_bytes());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let done = desk.run(&["backup", "--database", &server.url("d"), "--pg-bin", &desk.text("old")]).expect_code(21);
    assert!(done.err.contains("12.9") && done.err.contains("has version 15"), "{}", done.err);
    let none = desk.run(&["backup", "--database", &server.url("d"), "--pg-bin", &desk.text("home")]).expect_code(1);
    assert!(none.err.contains("name the folder that holds them with `--pg-bin`"), "{}", none.err);
}

#[test]
fn a_target_of_an_older_version_is_refused_and_tried_on_request() {
    let (server, desk) = (server(10), Desk::with_repository());
    back_up(&desk, &server.url("d")).expect_code(0);
    server.sql("postgres", "CREATE DATABASE target");
    // No older server can be had here: the client tells of one.
    for name in ["pg_dump", "pg_dumpall", "pg_restore", "psql"] {
        let real = server.client(name, "d").get_program().to_owned();
        let real = real.display();
        let script = match name {
            "psql" => format!(
                "set -o pipefail\n{real} \"$@\" | sed -u 's/\"version_number\": [0-9]*/\"version_number\": 120018/'"
            ),
            _ => format!("exec {real} \"$@\""),
        };
        let path = desk.write(&format!("tells/{name}"), format!("#!/bin/bash\n{script}\n").as_bytes());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let (bin, map) = (desk.text("tells"), format!("d={}", server.url("target")));
    let arguments = ["restore", "latest", "--database-map", &map, "--pg-bin", &bin];
    let refused = desk.run(&arguments).expect_code(21);
    assert!(refused.err.contains("--older-server"), "{}", refused.err);
    assert_eq!(server.sql("target", "SELECT count(*) FROM pg_class WHERE relname = 't'"), "0");
    let tried = desk.run(&[&arguments[..], &["--older-server"]].concat()).expect_code(0);
    assert!(tried.out.contains("is older than the server of the dump"), "{}", tried.out);
    assert_eq!(server.sql("target", "SELECT count(*) FROM s.t"), "10");
}

#[test]
fn a_lock_that_stays_ends_the_backup_after_its_time_and_not_before_the_night_is_over() {
    let (server, desk) = (server(10), Desk::with_repository());
    let mut holder = server.client("psql", "d");
    let mut holder =
        holder.args(["-qc", "BEGIN; LOCK s.t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(120)"]).spawn().unwrap();
    while server.sql("d", "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted") == "0" {
        std::thread::sleep(Duration::from_millis(50));
    }
    let begun = Instant::now();
    let done = desk.run(&["backup", "--database", &server.url("d"), "--lock-wait", "1s"]).expect_code(1);
    assert!(done.err.contains("pg_dump of d on") && done.err.contains("LOCK TABLE s.t"), "{}", done.err);
    assert!(begun.elapsed() < Duration::from_secs(60));
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(snapshots(&desk).is_empty());
}

/// A dump that is under way, with the program that makes it.
fn under_way(server: &Server, desk: &Desk) -> std::process::Child {
    let mut command = desk.command(&["backup", "--database", &server.url("d")]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !server.log().contains("COPY s.t") {
        assert!(begun.elapsed() < Duration::from_secs(60), "no dump begins");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// A process of this name whose parent is `parent`.
fn child_of(parent: u32, name: &str) -> i32 {
    let mut found = None;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let of_parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&parent.to_string());
        if of_parent && stat.contains(&format!("({name})")) {
            found = Some(pid);
        }
    }
    found.unwrap_or_else(|| panic!("no {name} below {parent}"))
}

fn kill(pid: i32) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
}

#[test]
fn whoever_is_killed_in_the_middle_no_snapshot_appears_and_the_next_run_is_fine() {
    let (server, desk) = (server(400_000), Desk::with_repository());
    for victim in ["pg_dump", "server", "dssvault"] {
        std::thread::sleep(Duration::from_millis(1100));
        // The log is searched for the dump of this round.
        server.sql("d", &format!("COMMENT ON TABLE s.t IS '{victim}'"));
        let seen = server.log().matches("COPY s.t").count();
        let mut command = desk.command(&["backup", "--database", &server.url("d")]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while server.log().matches("COPY s.t").count() == seen {
            assert!(begun.elapsed() < Duration::from_secs(60), "no dump begins");
            std::thread::sleep(Duration::from_millis(5));
        }
        match victim {
            "pg_dump" => kill(child_of(child.id(), "pg_dump")),
            "server" => kill(server.pid()),
            _ => kill(child.id().try_into().unwrap()),
        }
        let done = Done::from(child.wait_with_output().unwrap());
        assert_ne!(done.code, Some(0), "{victim}: {}", done.out);
        if victim == "server" {
            // Its children hold the socket for a moment.
            std::thread::sleep(Duration::from_secs(2));
            server.up();
        }
        if victim != "dssvault" {
            assert!(done.err.contains("error: ") && done.err.contains("d on"), "{victim}: {}", done.err);
        }
        assert!(snapshots(&desk).is_empty(), "{victim}");
    }
    back_up(&desk, &server.url("d")).expect_code(0);
    assert_eq!(snapshots(&desk).len(), 1);
    desk.run(&["check", "--read-data"]).expect_code(0);
}

#[test]
fn an_interrupted_dump_ends_at_once_with_all_it_started() {
    let (server, desk) = (server(400_000), Desk::with_repository());
    let child = under_way(&server, &desk);
    let dump = child_of(child.id(), "pg_dump");
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let done = Done::from(child.wait_with_output().unwrap()).expect_code(130);
    assert!(done.err.contains("interrupted"), "{}", done.err);
    assert!(!std::path::Path::new(&format!("/proc/{dump}")).exists());
    assert!(snapshots(&desk).is_empty());
}

#[test]
fn an_interrupted_restore_ends_at_once_and_nothing_is_changed() {
    let (server, desk) = (server(400_000), Desk::with_repository());
    back_up(&desk, &server.url("d")).expect_code(0);
    server.sql("postgres", "CREATE DATABASE target");
    // What is made takes longer than anybody waits.
    server.sql(
        "target",
        "CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); END'; \
         CREATE EVENT TRIGGER slow ON ddl_command_end EXECUTE FUNCTION slow()",
    );
    let mut command = desk.command(&["restore", "latest", "--database-map", "d=target"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let is_at_work = || server.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    let since = Instant::now();
    while is_at_work() == "0" {
        assert!(since.elapsed() < Duration::from_secs(60), "the restore never came to work");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (psql, begun) = (child_of(child.id(), "psql"), Instant::now());
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let done = Done::from(child.wait_with_output().unwrap()).expect_code(130);
    assert!(done.err.contains("interrupted") && begun.elapsed() < Duration::from_secs(20), "{}", done.err);
    assert!(!std::path::Path::new(&format!("/proc/{psql}")).exists());
    assert_eq!(server.sql("target", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"), "0");
}

#[test]
fn a_full_disk_leaves_no_snapshot() {
    let Ok(volume) = Volume::ext4(24) else {
        return crate::skip::skip("pg_trouble::a_full_disk_leaves_no_snapshot", "no loop device can be mounted here");
    };
    let (server, desk) = (server(400_000), Desk::empty());
    let repository = volume.top().join("vault");
    let run = |arguments: &[&str]| Done::of(desk.command(arguments).env("DSSVAULT_REPO", &repository));
    run(&["init", "--no-recovery-key", "-q"]).expect_code(0);
    let done = run(&["backup", "--database", &server.url("d")]).expect_code(1);
    assert!(done.err.contains("no space left"), "{}", done.err);
    let shown = run(&["snapshots", "--json"]).expect_code(0);
    assert_eq!(shown.out.trim(), "[]");
}
