//! Backing a node up: never stopped unasked, always started again, and the snapshot says how it was read.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::cli_fixture::{Desk, Done};
use crate::node::{self, Node};
use crate::skip::skip;
use crate::volume::Volume;

/// A node that runs, and a desk with a repository for it.
fn running(node_type: &str) -> Option<(Node, Desk)> {
    let (node, desk) = stopped(node_type)?;
    node.start();
    Some((node, desk))
}

fn stopped(node_type: &str) -> Option<(Node, Desk)> {
    node::is_possible().then(|| {
        let node = Node::new(node_type);
        (node, Desk::with_repository())
    })
}

macro_rules! or_skip {
    ($made:expr, $test:literal) => {
        match $made {
            Some(made) => made,
            None => return skip(concat!("node_backup::", $test), "only root may run a node as its account"),
        }
    };
}

fn back_up(desk: &Desk, node: &Node, more: &[&str]) -> Done {
    let data_dir = node.data_dir();
    let arguments = [&["backup", data_dir.to_str().unwrap()], more].concat();
    desk.run(&arguments)
}

/// What the newest snapshot says.
fn manifest(desk: &Desk) -> serde_json::Value {
    let shown = desk.run(&["snapshots", "--json"]).expect_code(0);
    let list: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    list.as_array().unwrap().last().unwrap().clone()
}

fn snapshot_count(desk: &Desk) -> usize {
    let shown = desk.run(&["snapshots", "--json"]).expect_code(0);
    serde_json::from_str::<serde_json::Value>(&shown.out).unwrap().as_array().unwrap().len()
}

#[test]
fn a_node_that_runs_is_never_stopped_unasked() {
    let (node, desk) = or_skip!(running("design"), "a_node_that_runs_is_never_stopped_unasked");
    let pid = node.text("run/supervisord.pid");
    let done = back_up(&desk, &node, &[]).expect_code(21);
    assert!(done.err.contains("--consistency stopped") && done.err.contains("--consistency live"), "{}", done.err);
    assert!(node.is_running() && node.text("run/supervisord.pid") == pid);
    assert_eq!(snapshot_count(&desk), 0);
}

#[test]
fn stopped_means_seconds_of_downtime_and_a_consistent_h2() {
    let (node, desk) = or_skip!(running("design"), "stopped_means_seconds_of_downtime_and_a_consistent_h2");
    let pid = node.text("run/supervisord.pid");
    let done = back_up(&desk, &node, &["--consistency", "stopped"]).expect_code(0);
    assert!(done.out.contains("design 14.2.2") && done.out.contains("stopped for"), "{}", done.out);
    assert!(node.is_running());
    assert_ne!(node.text("run/supervisord.pid"), pid, "it was stopped and started");
    assert_eq!(manifest(&desk)["consistency"], "stopped");
    desk.run(&["restore", "latest:/datadir", "--target", &desk.text("back")]).expect_code(0);
    assert!(h2_is_sound(&node, &desk.path("back")));
    assert!(stops(&desk).is_empty(), "nothing is owed any more");
}

#[test]
fn every_type_of_node_is_read_stopped_and_live() {
    let test = "every_type_of_node_is_read_stopped_and_live";
    if !node::is_possible() {
        return skip(&format!("node_backup::{test}"), "only root may run a node as its account");
    }
    for node_type in ["design", "automation", "deployer", "api", "govern"] {
        let (node, desk) = running(node_type).unwrap();
        let more: &[&str] = if node_type == "govern" { &["--database", "none"] } else { &[] };
        for mode in ["live", "stopped"] {
            let done = back_up(&desk, &node, &[&["--consistency", mode], more].concat()).expect_code(0);
            assert!(done.out.contains(&format!("{node_type} 14.2.2")), "{}", done.out);
            assert_eq!(manifest(&desk)["consistency"], mode);
            assert!(node.is_running(), "{node_type}, {mode}");
        }
    }
}

#[test]
fn on_a_volume_that_can_be_frozen_a_running_node_is_read_without_stopping_it() {
    let test = "node_backup::on_a_volume_that_can_be_frozen_a_running_node_is_read_without_stopping_it";
    if !node::is_possible() {
        return skip(test, "only root may run a node as its account");
    }
    let volume = match Volume::btrfs(512, &[]) {
        Ok(volume) => volume,
        Err(reason) => return skip(test, &reason),
    };
    let node = Node::at("design", tempfile::tempdir_in(volume.top()).unwrap());
    let desk = Desk::with_repository();
    node.start();
    let pid = node.text("run/supervisord.pid");
    for _ in 0..3 {
        let done = back_up(&desk, &node, &[]).expect_code(0);
        assert!(done.out.contains("frozen by btrfs"), "{}", done.out);
        assert_eq!(manifest(&desk)["consistency"], "frozen");
        let target = tempfile::tempdir().unwrap();
        let target = target.path().to_str().unwrap();
        desk.run(&["restore", "latest:/datadir", "--target", target]).expect_code(0);
        let sound = h2_is_sound(&node, std::path::Path::new(target));
        assert!(sound, "the databases are of one instant");
    }
    assert!(node.is_running() && node.text("run/supervisord.pid") == pid);
    // Only what the node itself is made of is left on the volume.
    let left = fs::read_dir(volume.top()).unwrap().count();
    assert_eq!(left, 1, "{:?}", fs::read_dir(volume.top()).unwrap().flatten().collect::<Vec<_>>());
    drop(node);
}

#[test]
fn a_node_that_does_not_run_is_read_as_it_is_and_not_started() {
    let (node, desk) = or_skip!(stopped("design"), "a_node_that_does_not_run_is_read_as_it_is_and_not_started");
    for more in [&[][..], &["--consistency", "stopped"]] {
        back_up(&desk, &node, more).expect_code(0);
        assert_eq!(manifest(&desk)["consistency"], "stopped");
        assert!(!node.is_running());
    }
}

#[test]
fn a_node_with_a_database_on_a_server_needs_a_word_about_it() {
    let (node, desk) = or_skip!(stopped("govern"), "a_node_with_a_database_on_a_server_needs_a_word_about_it");
    let properties =
        "psql.jdbc.url=jdbc:postgresql://127.0.0.1:9/govern\npsql.jdbc.user=dss\npsql.jdbc.password=secret\n";
    fs::write(node.data_dir().join("config/dip.properties"), properties).unwrap();
    let done = back_up(&desk, &node, &[]).expect_code(1);
    assert!(done.err.contains("cannot be reached") && done.err.contains("--database none"), "{}", done.err);
    let done = back_up(&desk, &node, &["--database", "none"]).expect_code(0);
    assert!(done.err.contains("is not in the snapshot"), "{}", done.err);
}

#[test]
fn classes_are_left_out_and_their_folders_are_kept() {
    let (node, desk) = or_skip!(stopped("design"), "classes_are_left_out_and_their_folders_are_kept");
    node.fill();
    back_up(&desk, &node, &["--exclude-class", "logs"]).expect_code(0);
    let listed = desk.run(&["ls", "latest:/datadir"]).expect_code(0).out;
    let has = |path: &str| listed.lines().any(|line| line == format!("/datadir/{path}"));
    assert!(has("jobs") && has("tmp") && has("run"), "folders stay");
    assert!(!listed.lines().any(|line| line.starts_with("/datadir/jobs/") || line.starts_with("/datadir/tmp/")));
    assert!(has("run/install.log") && has("run/audit"), "what is worth keeping of logs stays");
    assert!(has("config/dip.properties"));
    let facts = desk.run(&["dump", "latest:/host/inspect.json"]).expect_code(0).out;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&facts).unwrap()["node_type"], "design");
}

#[test]
fn what_is_left_out_is_weighed_and_an_exclusion_that_fits_nothing_is_told() {
    let (node, desk) =
        or_skip!(stopped("design"), "what_is_left_out_is_weighed_and_an_exclusion_that_fits_nothing_is_told");
    for (name, bytes) in [("tmp/a", 1000), ("jobs/P/J/output.log", 300), ("uploads/u/b.csv", 70), ("uploads/c", 5)] {
        let path = node.data_dir().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x".repeat(bytes)).unwrap();
    }
    let left_out = |more: &[&str]| {
        let done = back_up(&desk, &node, &[&["--json"], more].concat()).expect_code(0);
        let summary = done.json_lines().pop().unwrap();
        let classes = summary["dss"]["left_out"].as_array().unwrap().clone();
        let told = |class: &serde_json::Value| {
            format!("{} {} {}", class["class"].as_str().unwrap(), class["files"], class["bytes"])
        };
        (classes.iter().map(told).collect::<Vec<_>>(), done.err)
    };
    let (classes, said) = left_out(&[]);
    assert_eq!((classes.as_slice(), said.contains("fits nothing")), (&["temp 1 1000".to_owned()][..], false), "{said}");
    let (classes, said) = left_out(&["--exclude", "*.csv", "--exclude", "/misspelt", "--exclude-class", "ignorable"]);
    assert_eq!(classes, ["essential 1 70", "temp 1 1000"], "{said}");
    assert!(said.contains("exclusion `/misspelt` fits nothing") && !said.contains("`*.csv`"), "{said}");
    let (classes, _) = left_out(&["--preset", "full"]);
    assert!(classes.is_empty(), "{classes:?}");
}

#[test]
fn read_live_what_changed_during_the_first_pass_is_read_again() {
    let (node, desk) = or_skip!(running("design"), "read_live_what_changed_during_the_first_pass_is_read_again");
    // A database that is written to all the time.
    let (busy, over) = (node.data_dir().join("databases/busy.mv.db"), AtomicBool::new(false));
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut length = 0;
            while !over.load(Ordering::Relaxed) {
                length += 1;
                fs::write(&busy, vec![b'x'; length]).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let done = back_up(&desk, &node, &["--consistency", "live", "--json"]);
        over.store(true, Ordering::Relaxed);
        done.expect_code(0)
    });
    let summary = done.json_lines().pop().unwrap();
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert!(count("files_read") > count("total_files_processed"), "{summary}");
}

#[test]
fn two_nodes_on_one_machine_are_two_nodes() {
    let (first, desk) = or_skip!(stopped("design"), "two_nodes_on_one_machine_are_two_nodes");
    let second = Node::new("design");
    back_up(&desk, &first, &["--node", "one"]).expect_code(0);
    back_up(&desk, &second, &["--node", "two"]).expect_code(0);
    // The label may change; the installation stays the same node.
    back_up(&desk, &first, &["--node", "renamed"]).expect_code(0);
    let shown = desk.run(&["snapshots", "--json"]).expect_code(0).out;
    let list: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let nodes: Vec<&str> = list.as_array().unwrap().iter().map(|one| one["node"]["id"].as_str().unwrap()).collect();
    assert!(nodes[0] == nodes[2] && nodes[0] != nodes[1], "{nodes:?}");
}

#[test]
fn a_second_run_hears_who_holds_the_directory() {
    let (node, desk) = or_skip!(running("design"), "a_second_run_hears_who_holds_the_directory");
    node.switch("FAKE_STOP_DELAY=3");
    let mut first = begin_stopped(&desk, &node);
    wait_for_phase(&desk, "stopping");
    let done = back_up(&desk, &node, &["--consistency", "live"]).expect_code(11);
    assert!(done.err.contains(&format!("process {}", first.id())), "{}", done.err);
    assert!(first.wait().unwrap().success());
}

#[test]
fn a_dry_run_of_a_running_node_touches_nothing() {
    let (node, desk) = or_skip!(running("design"), "a_dry_run_of_a_running_node_touches_nothing");
    let pid = node.text("run/supervisord.pid");
    for mode in ["auto", "stopped", "frozen"] {
        let done = back_up(&desk, &node, &["--dry-run", "--consistency", mode]).expect_code(0);
        assert!(done.out.contains("nothing was stored"), "{}", done.out);
    }
    assert!(node.is_running() && node.text("run/supervisord.pid") == pid);
    assert_eq!((snapshot_count(&desk), stops(&desk).len()), (0, 0));
}

#[test]
fn an_administrator_may_have_the_nodes_home_in_his_environment() {
    let (node, desk) = or_skip!(running("design"), "an_administrator_may_have_the_nodes_home_in_his_environment");
    let data_dir = node.data_dir();
    let line =
        format!("{} backup {} --consistency stopped; exit $?", env!("CARGO_BIN_EXE_dssvault"), data_dir.display());
    let mut shell = desk.command(&[]);
    let mut command = Command::new("sh");
    command.args(["-c", &line]).env_clear();
    command.envs(shell.env("DIP_HOME", &data_dir).get_envs().filter_map(|(name, value)| Some((name, value?))));
    let done = command.output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(node.is_running() && stops(&desk).is_empty());
}

#[test]
fn a_full_repository_in_the_window_starts_the_node() {
    let test = "node_backup::a_full_repository_in_the_window_starts_the_node";
    let (node, desk) = or_skip!(running("design"), "a_full_repository_in_the_window_starts_the_node");
    let disk = desk.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(&disk).output().unwrap();
    if !mounted.status.success() {
        return skip(test, "no file system can be mounted");
    }
    let with_disk = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        command.env("DSSVAULT_REPO", disk.join("vault")).output().unwrap()
    };
    assert!(with_disk(&["init", "--no-recovery-key", "-q"]).status.success());
    // What comes while it stops does not fit: the first pass goes well, the second meets the full disk.
    node.switch("FAKE_STOP_DELAY=3");
    let data_dir = node.data_dir();
    let done = std::thread::scope(|scope| {
        let run = scope.spawn(|| with_disk(&["backup", data_dir.to_str().unwrap(), "--consistency", "stopped"]));
        wait_for_phase(&desk, "stopping");
        let mut noise = vec![0; 40 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        fs::write(data_dir.join("uploads/large"), noise).unwrap();
        run.join().unwrap()
    });
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let left = with_disk(&["snapshots", "--json"]);
    Command::new("umount").arg("-l").arg(&disk).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.to_lowercase().contains("no space left"), "{said}");
    assert!(node.is_running() && stops(&desk).is_empty());
    assert_eq!(String::from_utf8_lossy(&left.stdout).trim(), "[]");
}

#[test]
fn a_repository_that_is_lost_in_the_window_starts_the_node() {
    let (node, desk) = or_skip!(running("design"), "a_repository_that_is_lost_in_the_window_starts_the_node");
    node.switch("FAKE_STOP_DELAY=2");
    let mut child = begin_stopped(&desk, &node);
    wait_for_phase(&desk, "stopping");
    fs::rename(desk.path("vault"), desk.path("gone")).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(node.is_running() && stops(&desk).is_empty());
}

#[test]
fn patterns_may_begin_with_the_path_of_the_data_directory() {
    let (node, desk) = or_skip!(stopped("design"), "patterns_may_begin_with_the_path_of_the_data_directory");
    let below = format!("{}/config/dip.properties", node.data_dir().display());
    back_up(&desk, &node, &["--exclude", &below]).expect_code(0);
    let listed = desk.run(&["ls", "latest:/datadir"]).expect_code(0).out;
    assert!(listed.contains("/datadir/config") && !listed.contains("dip.properties"), "{listed}");
}

#[test]
fn a_repository_inside_of_what_it_backs_up_is_refused() {
    let (node, desk) = or_skip!(stopped("design"), "a_repository_inside_of_what_it_backs_up_is_refused");
    let inside = node.data_dir().join("vault");
    desk.command(&["init", "--no-recovery-key", "-q"]).env("DSSVAULT_REPO", &inside).output().unwrap();
    let mut command = desk.command(&["backup", node.data_dir().to_str().unwrap()]);
    let done = command.env("DSSVAULT_REPO", &inside).output().unwrap();
    assert_eq!(done.status.code(), Some(21), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn too_long_a_downtime_starts_the_node_and_makes_no_snapshot() {
    let (node, desk) = or_skip!(running("design"), "too_long_a_downtime_starts_the_node_and_makes_no_snapshot");
    // What changed at rest is more than can be read in no time.
    node.switch("FAKE_STOP_DELAY=1");
    let done = back_up(&desk, &node, &["--consistency", "stopped", "--max-downtime", "200ms"]);
    assert_eq!(done.code, Some(1), "{}{}", done.out, done.err);
    node.expect_running_within(Duration::from_secs(30));
    assert_eq!(snapshot_count(&desk), 0);
}

#[test]
fn a_node_that_does_not_answer_after_its_start_is_told_by_the_exit_code() {
    let (node, desk) =
        or_skip!(running("design"), "a_node_that_does_not_answer_after_its_start_is_told_by_the_exit_code");
    node.switch("FAKE_BROKEN=nginx");
    let done = back_up(&desk, &node, &["--consistency", "stopped", "--health-timeout", "2s"]).expect_code(20);
    assert!(done.err.contains("does not answer"), "{}", done.err);
    assert_eq!(snapshot_count(&desk), 1);
}

#[test]
fn ctrl_c_in_the_window_starts_the_node_and_then_ends() {
    let (node, desk) = or_skip!(running("design"), "ctrl_c_in_the_window_starts_the_node_and_then_ends");
    node.switch("FAKE_STOP_DELAY=2");
    let mut child = begin_stopped(&desk, &node);
    wait_for_phase(&desk, "stopping");
    signal(&child, rustix::process::Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(node.is_running());
    assert_eq!((snapshot_count(&desk), stops(&desk).len()), (0, 0));
}

#[test]
fn killed_in_any_phase_of_the_window_the_guard_starts_the_node() {
    let (node, desk) = or_skip!(running("design"), "killed_in_any_phase_of_the_window_the_guard_starts_the_node");
    for phase in ["stopping", "stopped", "starting"] {
        node.expect_running_within(Duration::from_secs(30));
        let mut child = begin_stopped(&desk, &node);
        wait_for_phase(&desk, phase);
        signal(&child, rustix::process::Signal::KILL);
        child.wait().unwrap();
        node.expect_running_within(Duration::from_secs(30));
        let since = Instant::now();
        while !stops(&desk).is_empty() {
            assert!(since.elapsed() < Duration::from_secs(60), "{phase}: the journal is not cleared");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    assert_eq!(desk.run(&["check"]).expect_code(0).code, Some(0));
}

#[test]
fn after_a_power_failure_the_next_call_pays_what_is_owed() {
    let (node, desk) = or_skip!(running("design"), "after_a_power_failure_the_next_call_pays_what_is_owed");
    for next in ["resume", "backup"] {
        let mut child = begin_stopped(&desk, &node);
        wait_for_phase(&desk, "stopped");
        // The guard dies with the machine, and so does the node.
        end_guard(&desk);
        signal(&child, rustix::process::Signal::KILL);
        child.wait().unwrap();
        node.dss("stop");
        assert!(!node.is_running() && stops(&desk).len() == 1);
        let data_dir = node.data_dir();
        let path = data_dir.to_str().unwrap();
        match next {
            "resume" => {
                // One that cannot be told from another comes before it and after it, and is in nobody's way.
                let broken = ["0.json", "z.json"].map(|name| desk.write(&format!("state/dssvault/stops/{name}"), b"{"));
                let done = desk.run(&["resume", "--all", "--json"]).expect_code(1);
                let outcomes: Vec<_> =
                    done.json()["nodes"].as_array().unwrap().iter().map(|node| node["outcome"].clone()).collect();
                assert_eq!(outcomes, ["failed", "started", "failed"], "{}", done.out);
                broken.iter().for_each(|path| fs::remove_file(path).unwrap());
                done
            }
            _ => desk.run(&["backup", path, "--consistency", "live"]).expect_code(0),
        };
        assert!(node.is_running(), "{next}");
        assert!(stops(&desk).is_empty(), "{next}");
    }
}

/// Whether the databases in a copy are whole and of one instant.
fn h2_is_sound(node: &Node, data_dir: &std::path::Path) -> bool {
    let program = node.kit("14.2.2").join("scripts/kit/h2.py");
    Command::new("python3").arg(program).arg(data_dir).output().unwrap().status.success()
}

fn begin_stopped(desk: &Desk, node: &Node) -> Child {
    let mut command = desk.command(&["backup", node.data_dir().to_str().unwrap(), "--consistency", "stopped", "-q"]);
    command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Stop journals of the desk.
fn stops(desk: &Desk) -> Vec<PathBuf> {
    let listed = fs::read_dir(desk.path("state/dssvault/stops")).into_iter().flatten().flatten();
    listed.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "json")).collect()
}

fn wait_for_phase(desk: &Desk, phase: &str) {
    let since = Instant::now();
    let wanted = format!("\"phase\": \"{phase}\"");
    loop {
        let journals = stops(desk);
        if journals.iter().any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(&wanted))) {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{phase} was never reached");
        std::thread::yield_now();
    }
}

/// Kills the guard that watches the desk's journal.
fn end_guard(desk: &Desk) {
    let journal = stops(desk).pop().unwrap();
    let ours = |path: &PathBuf| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(" guard ") && line.contains(journal.to_str().unwrap())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let pids = processes.filter(ours).filter_map(|path| path.file_name()?.to_str()?.parse().ok());
    for pid in pids.collect::<Vec<i32>>() {
        let _ =
            rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL);
    }
}
