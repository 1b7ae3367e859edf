//! A node of the stand-in kit on another path, port, account, or newer version; and copies that are tried.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cli_fixture::{Desk, Done};
use crate::node::{self, Node};
use crate::skip::skip;
use crate::strace;

/// What is installed on top, in the order DSS wants it.
const INTEGRATIONS: [&str; 4] = [
    "install-R-integration -noDeps",
    "install-hadoop-integration -keytab /etc/dss.keytab -principal dss@CORP",
    "install-spark-integration -sparkHome /opt/spark",
    "install-event-server",
];

macro_rules! or_skip {
    ($made:expr, $test:literal) => {
        match $made {
            Some(made) => made,
            None => return skip(concat!("node_migrate::", $test), "only root may run a node as its account"),
        }
    };
}

/// A stopped node with content, and a snapshot of it.
fn saved(node_type: &str) -> Option<(Node, Desk)> {
    node::is_possible().then(|| {
        let (node, desk) = (Node::new(node_type), Desk::with_repository());
        node.fill();
        save(&node, &desk);
        (node, desk)
    })
}

fn save(node: &Node, desk: &Desk) {
    let arguments = ["backup", node.data_dir().to_str().unwrap(), "--database", "none", "-q"].map(str::to_owned);
    desk.run(&arguments.each_ref().map(String::as_str)).expect_code(0);
}

fn dssadmin(node: &Node, line: &str) {
    let done = node.as_account(&node.data_dir().join("bin/dssadmin")).args(line.split(' ')).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A restore to another place, without a start unless asked for.
fn migrate(desk: &Desk, to: &Path, more: &[&str]) -> Done {
    let mut arguments = vec!["restore", "latest", "--data-dir", to.to_str().unwrap()];
    arguments.extend(more);
    desk.run(&arguments)
}

fn journals(desk: &Desk) -> Vec<PathBuf> {
    let folder = desk.path("state/dssvault/migrations");
    let listed = fs::read_dir(folder).map(|listed| listed.flatten().map(|entry| entry.path()).collect());
    let paths: Vec<PathBuf> = listed.unwrap_or_default();
    paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.as_ref().display()))
}

/// Verbs and scripts of the command lines in the install log, oldest first.
fn called(data_dir: &Path) -> Vec<String> {
    let log = text(data_dir.join("run/install.log"));
    let lines = log.lines().filter_map(|line| line.strip_prefix("Command line: "));
    let name = |line: &str| {
        let mut words = line.split(' ').map(|word| word.rsplit('/').next().unwrap_or(word).to_owned());
        let first = words.next().unwrap();
        if first == "dssadmin" { words.next().unwrap() } else { first }
    };
    lines.map(name).collect()
}

/// Files that name a path, but for logs and what was put aside on purpose.
fn naming(path: &Path, below: &Path) -> Vec<String> {
    let done = Command::new("grep").args(["-rIl", "--exclude-dir=.git"]).arg(path).arg(below).output().unwrap();
    let told = String::from_utf8(done.stdout).unwrap();
    let expected = |line: &&str| {
        ["/run/", "/pyenv.backup/", "/_pre_migration_backup_", "/code-envs/"].iter().any(|part| line.contains(part))
    };
    told.lines().filter(|line| !expected(line)).map(str::to_owned).collect()
}

#[test]
fn a_node_moves_to_another_path_port_and_newer_kit_in_the_documented_order() {
    let (node, desk) = or_skip!(
        node::is_possible().then(|| (Node::new("design"), Desk::with_repository())),
        "a_node_moves_to_another_path_port_and_newer_kit_in_the_documented_order"
    );
    node.fill();
    INTEGRATIONS.iter().for_each(|line| dssadmin(&node, line));
    save(&node, &desk);
    let (kit, port) = (node.unpack("14.3.0"), node::free_port());
    let to = node.folder().join("elsewhere/data");
    let before = called(&node.data_dir()).len();
    let arguments = ["--install-dir", kit.to_str().unwrap(), "--port", &port.to_string(), "--start"];
    let done = migrate(&desk, &to, &arguments).expect_code(0);
    assert!(done.out.contains("was started and answers"), "{}", done.out);
    let verbs = [
        "installer.sh",
        "install-R-integration",
        "install-hadoop-integration",
        "install-spark-integration",
        "install-event-server",
    ];
    assert_eq!(called(&to)[before..], verbs);
    let log = text(to.join("run/install.log"));
    for line in INTEGRATIONS {
        assert!(log.contains(&format!("{}/bin/dssadmin {line}\n", to.display())), "{line}: {log}");
    }
    assert!(text(to.join("dss-version.json")).contains("14.3.0"));
    assert_eq!(text(to.join("install-support/expected-dip-home.txt")).trim(), to.to_str().unwrap());
    assert!(text(to.join("install.ini")).contains(&format!("port = {port}")));
    assert_eq!(naming(&node.data_dir(), &to), Vec::<String>::new());
    assert!(!node.is_running() && journals(&desk).is_empty());
}

#[test]
fn a_downgrade_is_refused_before_anything_is_touched() {
    let (node, desk) = or_skip!(saved("design"), "a_downgrade_is_refused_before_anything_is_touched");
    let (kit, to) = (node.unpack("13.5.10"), node.folder().join("elsewhere"));
    let done = migrate(&desk, &to, &["--install-dir", kit.to_str().unwrap()]).expect_code(21);
    assert!(done.err.contains("13.5.10") && done.err.contains("14.2.2"), "{}", done.err);
    assert!(!to.exists() && journals(&desk).is_empty());
    // Numbers are compared, not text: 14.10 is newer than 14.2.
    let kit = node.unpack("14.10.0");
    migrate(&desk, &to, &["--install-dir", kit.to_str().unwrap(), "-n"]).expect_code(0);
}

#[test]
fn what_cannot_be_is_refused_with_a_next_step() {
    let (node, desk) = or_skip!(saved("design"), "what_cannot_be_is_refused_with_a_next_step");
    let (free, occupied) = (node.folder().join("free"), node.folder().join("occupied"));
    fs::create_dir(&occupied).unwrap();
    fs::write(occupied.join("precious"), "x").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let inside = node.kit("14.2.2").join("data");
    let cases: [(&Path, &[&str], &str); 7] = [
        (&free, &["--install-dir", "/surely/not/there"], "no DSS kit"),
        (&free, &["--user", "surely-nobody-here"], "no account"),
        (&free, &["--user", "root"], "does not run as root"),
        (&free, &["--python", "/surely/no/python"], "no /surely/no/python"),
        (&free, &["--port", &port], "is in use"),
        (&occupied, &[], "is not empty"),
        (&inside, &[], "lie in each other"),
    ];
    for (to, more, expected) in cases {
        let done = migrate(&desk, to, more).expect_code(21);
        assert!(done.err.contains(expected) && done.err.contains("hint:"), "{more:?}: {}", done.err);
    }
    assert!(!free.exists() && journals(&desk).is_empty());
    assert_eq!(fs::read_dir(&occupied).unwrap().count(), 1);
    let done = migrate(&desk, &free, &["--skip-step", "nonsense"]).expect_code(2);
    assert!(done.err.contains("nonsense"), "{}", done.err);
}

#[test]
fn a_dry_run_prints_the_run_book_and_does_nothing() {
    let (node, desk) = or_skip!(saved("design"), "a_dry_run_prints_the_run_book_and_does_nothing");
    let to = node.folder().join("elsewhere");
    let done = migrate(&desk, &to, &["-n"]).expect_code(0);
    let installer = format!("installer.sh -d {} -u -y", to.display());
    for expected in [installer.as_str(), "pyenv.backup", "code-env-update python", "nothing was done"] {
        assert!(done.out.contains(expected), "{expected}: {}", done.out);
    }
    assert!(!to.exists() && journals(&desk).is_empty());
    let json = migrate(&desk, &to, &["-n", "--json"]).expect_code(0).json();
    let names: Vec<&str> =
        json["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names[..3], ["restore", "python-aside", "attach"]);
    assert!(json["steps"][0]["outcome"].is_null());
}

#[test]
fn a_step_that_failed_is_gone_on_with_or_left_out() {
    let (node, desk) = or_skip!(
        node::is_possible().then(|| (Node::new("design"), Desk::with_repository())),
        "a_step_that_failed_is_gone_on_with_or_left_out"
    );
    dssadmin(&node, "install-spark-integration -sparkHome /opt/spark");
    dssadmin(&node, "install-event-server");
    save(&node, &desk);
    let (kit, to) = (node.unpack("14.3.0"), node.folder().join("elsewhere"));
    let more = ["--install-dir", kit.to_str().unwrap()];
    fs::write(kit.join("fake.env"), "FAKE_FAIL_VERB=install-spark-integration\n").unwrap();
    let before = called(&node.data_dir()).len();
    let done = migrate(&desk, &to, &more).expect_code(1);
    assert!(done.err.contains("step `spark` failed") && done.err.contains("--skip-step spark"), "{}", done.err);
    assert_eq!(journals(&desk).len(), 1);
    let other = migrate(&desk, &to, &[]).expect_code(21);
    assert!(other.err.contains("other options"), "{}", other.err);

    fs::write(kit.join("fake.env"), "FAKE_FAIL_VERB=install-event-server\n").unwrap();
    migrate(&desk, &to, &more).expect_code(1);
    let left_out = [&more[..], &["--skip-step", "event-server"]].concat();
    let done = migrate(&desk, &to, &left_out).expect_code(0);
    assert!(done.out.contains("the event server again (left out)"), "{}", done.out);
    // The installer ran once, spark twice, for once it failed.
    let spark = "install-spark-integration";
    assert_eq!(called(&to)[before..], ["installer.sh", spark, spark, "install-event-server"]);
    assert!(journals(&desk).is_empty());
}

#[test]
fn killed_before_every_rename_the_same_command_goes_on_to_the_end() {
    let test = "killed_before_every_rename_the_same_command_goes_on_to_the_end";
    let (node, desk) = or_skip!(
        node::is_possible().then(|| (Node::new("design"), Desk::with_repository())),
        "killed_before_every_rename_the_same_command_goes_on_to_the_end"
    );
    if let Err(why) = strace::available() {
        return skip(&format!("node_migrate::{test}"), &why);
    }
    save(&node, &desk);
    let (kit, port) = (node.unpack("14.3.0"), node::free_port().to_string());
    let arguments = |to: &Path| {
        let arguments = ["restore", "latest", "--data-dir", to.to_str().unwrap(), "--port", &port, "--install-dir"];
        let mut arguments = arguments.map(str::to_owned).to_vec();
        arguments.push(kit.to_str().unwrap().to_owned());
        arguments
    };
    let expect_the_end = |to: &Path, when: &str| {
        let again = arguments(to);
        let done = desk.run(&again.iter().map(String::as_str).collect::<Vec<_>>()).expect_code(0);
        assert!(done.out.contains("is not started"), "{when}: {}", done.out);
        assert_eq!(text(to.join("install-support/expected-dip-home.txt")).trim(), to.to_str().unwrap());
        assert!(text(to.join("dss-version.json")).contains("14.3.0"), "{when}");
        assert!(text(to.join("install.ini")).contains(&format!("port = {port}")), "{when}");
        assert!(to.join("pyenv").exists() && to.join("pyenv.backup").exists(), "{when}");
        assert!(journals(&desk).is_empty(), "{when}");
    };
    // Each call is counted for itself: the journal is written with one, restore and steps rename with the other.
    for (call, least) in [("rename", 3), ("renameat", 8)] {
        let mut kills = 0;
        loop {
            let to = node.folder().join(format!("place-{call}-{kills}"));
            if was_not_killed(&desk, &arguments(&to), call, kills + 1) {
                break;
            }
            kills += 1;
            expect_the_end(&to, &format!("{call} {kills}"));
        }
        assert!(kills >= least, "{kills} kills at {call}");
    }
}

/// Runs the program, killed before the nth system call of a kind; whether it came to its end. Only its main thread is
/// watched: there the steps are taken.
fn was_not_killed(desk: &Desk, arguments: &[String], call: &str, nth: usize) -> bool {
    let plain = desk.command(&[]);
    let mut traced = Command::new("strace");
    traced.args(["-o", "/dev/null", "-e", &format!("trace={call}")]);
    traced.args(["-e", &format!("inject={call}:signal=KILL:when={nth}"), "--"]).arg(plain.get_program());
    traced.args(arguments).env_clear().current_dir(desk.path(""));
    traced.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced.output().unwrap().status.success()
}

#[test]
fn killed_while_the_installer_or_the_node_starts_the_same_command_goes_on() {
    let (node, desk) =
        or_skip!(saved("design"), "killed_while_the_installer_or_the_node_starts_the_same_command_goes_on");
    let (kit, to) = (node.unpack("14.3.0"), node.folder().join("elsewhere"));
    let port = node::free_port().to_string();
    let more = ["--install-dir", kit.to_str().unwrap(), "--port", &port, "--start"];
    let arguments = [&["restore", "latest", "--data-dir", to.to_str().unwrap()][..], &more].concat();
    for step in ["attach", "start"] {
        let mut child = desk.command(&arguments).stdout(std::process::Stdio::null()).spawn().unwrap();
        wait_for_step(&desk, step);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let done = desk.run(&arguments).expect_code(0);
    assert!(done.out.contains("was started and answers"), "{}", done.out);
    assert!(text(to.join("dss-version.json")).contains("14.3.0"));
}

fn wait_for_step(desk: &Desk, step: &str) {
    let since = Instant::now();
    let begun = |path: &PathBuf| {
        let journal: serde_json::Value =
            fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        journal["states"].as_array().is_some_and(|states| states.iter().any(|state| state[0] == step))
    };
    while !journals(desk).iter().any(begun) {
        assert!(since.elapsed() < Duration::from_secs(60), "step {step} was never begun");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_upgrade_in_its_own_place_keeps_the_old_directory() {
    let (node, desk) = or_skip!(saved("design"), "an_upgrade_in_its_own_place_keeps_the_old_directory");
    let kit = node.unpack("14.3.0");
    fs::write(node.data_dir().join("config/after"), "x").unwrap();
    node.start();
    let arguments = ["restore", "latest", "--install-dir", kit.to_str().unwrap(), "--start"];
    let done = desk.run(&arguments).expect_code(21);
    assert!(done.err.contains("runs") && node.is_running(), "{}", done.err);
    node.dss("stop");
    let done = desk.run(&arguments).expect_code(0);
    assert!(done.out.contains("is kept as") && node.is_running(), "{}", done.out);
    assert!(node.text("dss-version.json").contains("14.3.0"));
    assert!(!node.data_dir().join("config/after").exists());
    node.dss("stop");
    desk.run(&["restore", "latest", "--undo"]).expect_code(0);
    assert!(node.text("dss-version.json").contains("14.2.2") && node.data_dir().join("config/after").exists());
}

#[test]
fn another_account_gets_what_was_the_accounts_and_nothing_else() {
    use std::os::unix::fs::MetadataExt;
    let (node, desk) = or_skip!(saved("design"), "another_account_gets_what_was_the_accounts_and_nothing_else");
    let to = node.folder().join("elsewhere");
    let owner = |path: PathBuf| path.symlink_metadata().unwrap().uid();
    let work = node.data_dir().join("jobs/of-an-end-user");
    fs::write(&work, "x").unwrap();
    std::os::unix::fs::chown(&work, Some(54_321), Some(54_321)).unwrap();
    save(&node, &desk);
    migrate(&desk, &to, &["--user", "games"]).expect_code(0);
    let games = owner(to.join("config"));
    assert_eq!((owner(to.clone()), owner(to.join("install.ini"))), (games, games));
    assert_ne!(games, owner(node.data_dir()));
    assert_eq!(owner(to.join("jobs/of-an-end-user")), 54_321);
}

#[test]
fn a_drill_tries_a_copy_beside_production_and_leaves_it_stopped() {
    let (node, desk) = or_skip!(saved("design"), "a_drill_tries_a_copy_beside_production_and_leaves_it_stopped");
    node.start();
    let pid = node.text("run/supervisord.pid");
    let copy = node.folder().join("drill");
    let done = desk.run(&["restore", "latest", "--drill", copy.to_str().unwrap()]).expect_code(0);
    assert!(done.out.contains("started, answered, and is stopped again"), "{}", done.out);
    assert!(node.is_running() && node.text("run/supervisord.pid") == pid);
    let value = |dir: &Path, key: &str| {
        let ini = text(dir.join("install.ini"));
        ini.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")).map(str::to_owned)).unwrap()
    };
    for key in ["port", "installid"] {
        assert_ne!(value(&copy, key), value(&node.data_dir(), key));
    }
    let status = node.as_account(&copy.join("bin/dss")).arg("status").output().unwrap();
    assert_eq!(status.status.code(), Some(1), "it is stopped");
    let off = text(copy.join("install-support/dssvault-scenarios-off.txt"));
    assert!(off.lines().count() > 0);
    for below in off.lines() {
        let active = |dir: &Path| {
            let scenario: serde_json::Value = serde_json::from_str(&text(dir.join(below))).unwrap();
            scenario["active"].as_bool().unwrap()
        };
        assert!(active(&node.data_dir()) && !active(&copy), "{below}");
    }
    // The directory is not empty any more.
    desk.run(&["restore", "latest", "--drill", copy.to_str().unwrap()]).expect_code(21);
}

#[test]
fn a_copy_that_does_not_come_up_is_stopped_and_told() {
    let (node, desk) = or_skip!(
        node::is_possible().then(|| (Node::new("design"), Desk::with_repository())),
        "a_copy_that_does_not_come_up_is_stopped_and_told"
    );
    node.switch("FAKE_BROKEN=nginx\nFAKE_START_SECS=0");
    save(&node, &desk);
    let copy = node.folder().join("drill");
    let mut command =
        desk.command(&["restore", "latest", "--drill", copy.to_str().unwrap(), "--health-timeout", "10s"]);
    let done = Done::of(&mut command).expect_code(20);
    assert!(done.out.contains("does not answer") && done.out.contains("it is stopped"), "{}", done.out);
    let status = node.as_account(&copy.join("bin/dss")).arg("status").output().unwrap();
    assert_eq!(status.status.code(), Some(1));
}

#[test]
fn a_node_with_a_database_on_a_server_is_not_drilled() {
    let (node, desk) = or_skip!(saved("govern"), "a_node_with_a_database_on_a_server_is_not_drilled");
    let copy = node.folder().join("drill");
    let done = desk.run(&["restore", "latest", "--drill", copy.to_str().unwrap()]).expect_code(21);
    assert!(done.err.contains("database on a server"), "{}", done.err);
    let done = migrate(&desk, &copy, &["--start"]).expect_code(21);
    assert!(done.err.contains("--start"), "{}", done.err);
    assert!(!copy.exists());
    let done = migrate(&desk, &copy, &[]).expect_code(0);
    assert!(done.err.contains("is not restored"), "{}", done.err);
}

#[test]
fn two_nodes_of_one_installation_are_not_run_at_once() {
    let (node, desk) = or_skip!(saved("automation"), "two_nodes_of_one_installation_are_not_run_at_once");
    node.start();
    let to = node.folder().join("elsewhere");
    let port = node::free_port().to_string();
    let done = migrate(&desk, &to, &["--port", &port, "--start"]).expect_code(21);
    assert!(done.err.contains("twice") && done.err.contains("--drill"), "{}", done.err);
    assert!(!to.exists());
}
