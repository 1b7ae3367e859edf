//! Bringing a node back where its directory cannot be renamed: a mount point, or a directory in one of somebody else.
//! The entries are exchanged one by one, and from any moment it can be completed or undone.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli_fixture::{Desk, Done};
use crate::node::{self, Node};
use crate::skip::skip;
use crate::strace;
use crate::tree_diff::differences;
use crate::volume::Volume;

/// A node in the mount point of a volume, and a desk for it. Dropped in this order.
struct Mounted {
    node: Node,
    desk: Desk,
    _volume: Volume,
}

impl Mounted {
    fn new(node_type: &str) -> Result<Self, String> {
        if !node::is_possible() {
            return Err("only root may run a node as its account".to_owned());
        }
        let volume = Volume::ext4(256)?;
        let node = Node::mounted(node_type, &volume);
        node.switch("FAKE_TICK=0");
        Ok(Self { node, desk: Desk::with_repository(), _volume: volume })
    }

    fn save(&self) {
        self.desk.run(&["backup", self.path().to_str().unwrap(), "--preset", "full"]).expect_code(0);
    }

    fn path(&self) -> PathBuf {
        self.node.data_dir()
    }

    fn restore(&self, options: &[&str]) -> Done {
        self.desk.run(&[&["restore", "latest"], options].concat())
    }

    fn half_exchanged(&self) -> bool {
        fs::read_dir(self.desk.path("state/dssvault/swaps")).is_ok_and(|mut entries| entries.next().is_some())
    }
}

fn copy(data_dir: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(data_dir).arg(to).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Differences but for sockets, what a running node may not bring back, and what is not the node's.
fn misses(copy: &Path, now: &Path) -> Vec<String> {
    let theirs = ["svd.sock", "leftover.sock", "index.lock", ".pid", "lost+found", ".dssvault-"];
    differences(copy, now).into_iter().filter(|line| !theirs.iter().any(|name| line.contains(name))).collect()
}

fn wreck(data_dir: &Path) {
    fs::write(data_dir.join("config/dip.properties"), "wrecked").unwrap();
    fs::write(data_dir.join("added"), "by mistake").unwrap();
    fs::remove_file(data_dir.join("install-support/nginx.conf")).unwrap();
    fs::set_permissions(data_dir, fs::Permissions::from_mode(0o700)).unwrap();
}

/// Permissions, owner and time of the directory itself.
fn itself(data_dir: &Path) -> (u32, u32, i64, i64) {
    let found = fs::metadata(data_dir).unwrap();
    (found.mode() & 0o7777, found.uid(), found.mtime(), found.mtime_nsec())
}

fn hidden(data_dir: &Path) -> Vec<String> {
    let names = fs::read_dir(data_dir).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".dssvault")).collect()
}

#[test]
fn in_a_mount_point_the_entries_change_places_and_back() {
    let test = "node_inside::in_a_mount_point_the_entries_change_places_and_back";
    let mounted = match Mounted::new("design") {
        Ok(mounted) => mounted,
        Err(reason) => return skip(test, &reason),
    };
    mounted.node.fill();
    // It makes its databases at its first start.
    mounted.node.start();
    mounted.node.dss("stop");
    let (data_dir, good, bad) = (mounted.path(), mounted.desk.path("good"), mounted.desk.path("bad"));
    fs::set_permissions(&data_dir, fs::Permissions::from_mode(0o711)).unwrap();
    let itself_good = itself(&data_dir);
    mounted.save();
    let listed = mounted.desk.run(&["ls", "latest:/datadir"]).expect_code(0).out;
    assert!(!listed.contains("lost+found"), "the file system's own is no part of the node");
    copy(&data_dir, &good);
    wreck(&data_dir);
    let itself_bad = itself(&data_dir);
    copy(&data_dir, &bad);

    let plan = mounted.restore(&["--dry-run", "--start"]).expect_code(0);
    for part in [".dssvault-restore-", "needed", "free", "one by one to", ".dssvault-before-", "3. start the node"] {
        assert!(plan.out.contains(part), "{part}: {}", plan.out);
    }
    assert_eq!((hidden(&data_dir), mounted.half_exchanged()), (vec![], false));

    let done = mounted.restore(&["--start"]).expect_code(0);
    assert!(done.out.contains(".dssvault-before-"), "{}", done.out);
    mounted.node.dss("stop");
    assert_eq!(hidden(&data_dir).len(), 1);
    assert_eq!((itself(&data_dir).0, itself(&data_dir).1), (itself_good.0, itself_good.1));
    let theirs = ["\"run", "\"tmp", "mtime \"databases/"];
    let not_of_the_run = |line: &String| !theirs.iter().any(|part| line.contains(part));
    let left: Vec<String> = misses(&good, &data_dir).into_iter().filter(not_of_the_run).collect();
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(fs::metadata(data_dir.join("lost+found")).unwrap().permissions().mode() & 0o777, 0o700);

    // What is kept is in the way of nothing, and is not content of the node.
    let saved = mounted.desk.run(&["backup", data_dir.to_str().unwrap(), "--preset", "full"]).expect_code(0);
    assert!(saved.err.contains(".dssvault-before-") && saved.err.contains("takes"), "{}", saved.err);
    let listed = mounted.desk.run(&["ls", "latest:/datadir"]).expect_code(0).out;
    assert!(!listed.contains(".dssvault"), "a backup never takes it");
    let seen = mounted.desk.run(&["inspect", data_dir.to_str().unwrap(), "--json"]).expect_code(0).json();
    let entries = seen["inventory"]["entries"].as_array().unwrap();
    let kept = entries.iter().find(|entry| entry["path"].as_str().unwrap().starts_with(".dssvault-before-")).unwrap();
    assert!(kept["known"] == true && kept["left_out_bytes"].as_u64().unwrap() > 0, "{kept}");

    let first = mounted.desk.run(&["snapshots", "--json"]).expect_code(0).json()[0]["id"].as_str().unwrap().to_owned();
    mounted.desk.run(&["restore", &first]).expect_code(21);
    mounted.desk.run(&["restore", &first, "--undo"]).expect_code(0);
    assert_eq!(misses(&bad, &data_dir), Vec::<String>::new());
    assert_eq!((itself(&data_dir), hidden(&data_dir)), (itself_bad, vec![]));

    mounted.desk.run(&["restore", &first]).expect_code(0);
    assert_eq!(itself(&data_dir), itself_good);
    mounted.desk.run(&["restore", &first, "--forget-old"]).expect_code(0);
    assert_eq!((itself(&data_dir), hidden(&data_dir)), (itself_good, vec![]));
    assert_eq!(misses(&good, &data_dir), Vec::<String>::new());
    // Rewriting in place leaves alone what is not the node's.
    wreck(&data_dir);
    mounted.desk.run(&["restore", &first, "--in-place"]).expect_code(0);
    assert_eq!(misses(&good, &data_dir), Vec::<String>::new());
    assert!(data_dir.join("lost+found").exists());
}

#[test]
fn mounts_are_seen_for_what_they_are() {
    let test = "node_inside::mounts_are_seen_for_what_they_are";
    if !node::is_possible() {
        return skip(test, "only root may run a node as its account");
    }
    let (node, desk) = (Node::new("design"), Desk::with_repository());
    let data_dir = node.data_dir();
    desk.run(&["backup", data_dir.to_str().unwrap()]).expect_code(0);
    let mount = |words: &[&str]| Command::new("mount").args(words).status().unwrap().success();
    let unmount = |path: &Path| assert!(Command::new("umount").arg(path).status().unwrap().success());
    // The same volume, shown at its own place: no other device number gives it away.
    let path = data_dir.to_str().unwrap();
    if !mount(&["--bind", path, path]) {
        return skip(test, "nothing can be mounted");
    }
    let plan = desk.run(&["restore", "latest", "--dry-run"]);
    unmount(&data_dir);
    assert!(plan.expect_code(0).out.contains("one by one"));
    // What is mounted on an entry would be left behind.
    let datasets = data_dir.join("managed_datasets");
    assert!(mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs", datasets.to_str().unwrap()]));
    let refused = desk.run(&["restore", "latest"]);
    unmount(&datasets);
    let refused = refused.expect_code(21);
    assert!(refused.err.contains("managed_datasets in it is a mount point"), "{}", refused.err);
    assert!(refused.err.contains("--in-place"), "{}", refused.err);
}

#[test]
fn an_empty_mount_point_is_filled() {
    let mounted = match Mounted::new("api") {
        Ok(mounted) => mounted,
        Err(reason) => return skip("node_inside::an_empty_mount_point_is_filled", &reason),
    };
    mounted.save();
    let (data_dir, good) = (mounted.path(), mounted.desk.path("good"));
    copy(&data_dir, &good);
    for entry in fs::read_dir(&data_dir).unwrap().flatten().filter(|entry| entry.file_name() != "lost+found") {
        let path = entry.path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    mounted.restore(&["--start"]).expect_code(0);
    assert!(mounted.node.is_running());
    assert_eq!(hidden(&data_dir), Vec::<String>::new());
}

#[test]
fn killed_between_any_two_moves_it_is_completed_or_undone_by_the_next_call() {
    let test = "node_inside::killed_between_any_two_moves_it_is_completed_or_undone_by_the_next_call";
    if let Err(reason) = strace::available() {
        return skip(test, &reason);
    }
    let mounted = match Mounted::new("api") {
        Ok(mounted) => mounted,
        Err(reason) => return skip(test, &reason),
    };
    let (data_dir, good, bad) = (mounted.path(), mounted.desk.path("good"), mounted.desk.path("bad"));
    mounted.save();
    let itself_good = itself(&data_dir);
    copy(&data_dir, &good);
    wreck(&data_dir);
    let itself_bad = itself(&data_dir);
    copy(&data_dir, &bad);

    let mut kills = 0;
    while is_killed_at(&mounted, kills + 1) {
        kills += 1;
        assert!(mounted.half_exchanged(), "killed at move {kills}");
        let path = data_dir.to_str().unwrap();
        let refused = mounted.desk.run(&["backup", path]).expect_code(21);
        assert!(refused.err.contains("half exchanged") && refused.err.contains("--undo"), "{}", refused.err);
        mounted.restore(&["--forget-old"]).expect_code(21);
        if kills % 2 == 0 {
            let plan = mounted.restore(&["--dry-run"]).expect_code(0);
            assert!(plan.out.contains("1. complete the exchange"), "{}", plan.out);
            let done = mounted.restore(&[]).expect_code(0);
            assert!(done.out.contains("is completed"), "{}", done.out);
            assert_eq!(misses(&good, &data_dir), Vec::<String>::new(), "completed after move {kills}");
            assert_eq!(itself(&data_dir), itself_good);
        }
        mounted.restore(&["--undo"]).expect_code(0);
        assert_eq!(misses(&bad, &data_dir), Vec::<String>::new(), "undone after move {kills}");
        assert_eq!((itself(&data_dir), hidden(&data_dir)), (itself_bad, vec![]));
        assert!(!mounted.half_exchanged());
    }
    assert!(kills > 20, "{kills} moves are too few to have seen both halves");
    assert_eq!(misses(&good, &data_dir), Vec::<String>::new());
}

#[test]
fn a_node_that_was_stopped_for_it_is_never_started_by_halves_and_comes_back_either_way() {
    let test = "node_inside::a_node_that_was_stopped_for_it_is_never_started_by_halves_and_comes_back_either_way";
    if let Err(reason) = strace::available() {
        return skip(test, &reason);
    }
    let mounted = match Mounted::new("api") {
        Ok(mounted) => mounted,
        Err(reason) => return skip(test, &reason),
    };
    mounted.node.start();
    mounted.desk.run(&["backup", mounted.path().to_str().unwrap(), "--consistency", "stopped"]).expect_code(0);
    for end in [&["--undo"][..], &["--start"]] {
        assert!(mounted.node.is_running());
        assert!(is_killed_at_with(&mounted, 5, &["--stop", "--start"]));
        assert!(mounted.half_exchanged() && !mounted.path().join("bin").exists());
        // The guard has looked by now, and found nothing that it could start.
        let done = mounted.desk.run(&["resume", mounted.path().to_str().unwrap()]).expect_code(21);
        assert!(done.err.contains("half exchanged"), "{}", done.err);
        let all = mounted.desk.run(&["resume", "--all"]).expect_code(21);
        assert!(all.out.contains("not started") && all.err.contains("half exchanged"), "{}{}", all.out, all.err);
        mounted.restore(end).expect_code(0);
        assert!(mounted.node.is_running(), "{end:?}");
        assert!(!mounted.half_exchanged());
        mounted.desk.run(&["resume", "--all"]).expect_code(0);
    }
}

/// Whether a restore dies when it is about to move its nth entry.
fn is_killed_at(mounted: &Mounted, nth: usize) -> bool {
    is_killed_at_with(mounted, nth, &[])
}

fn is_killed_at_with(mounted: &Mounted, nth: usize, options: &[&str]) -> bool {
    let like = mounted.desk.command(&[&["restore", "latest", "-q"], options].concat());
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2"]);
    command.arg("-e").arg(format!("inject=renameat2:signal=SIGKILL:when={nth}")).arg("--");
    command.arg(like.get_program()).args(like.get_args()).env_clear();
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let done = command.output().unwrap();
    assert!(done.status.code().is_none_or(|code| code == 0 || code == 137), "{done:?}");
    !done.status.success()
}

#[test]
fn in_a_directory_of_root_the_account_of_the_node_brings_it_back() {
    if !node::is_possible() {
        let test = "node_inside::in_a_directory_of_root_the_account_of_the_node_brings_it_back";
        return skip(test, "only root may run a node as its account");
    }
    let (node, desk) = (Node::new("design"), Desk::shared_with_nobody());
    let as_account = |arguments: &[&str]| {
        let like = desk.command(arguments);
        let mut command = node.as_account(Path::new("env"));
        command.arg("-i");
        for (name, value) in like.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            command.arg(format!("{}={}", name.to_str().unwrap(), value.to_str().unwrap()));
        }
        Done::of(command.arg(desk.path("program")).args(arguments))
    };
    as_account(&["init", "--no-recovery-key", "-q"]).expect_code(0);
    node.switch("FAKE_TICK=0");
    as_account(&["backup", node.data_dir().to_str().unwrap()]).expect_code(0);
    let (data_dir, good) = (node.data_dir(), desk.path("good"));
    copy(&data_dir, &good);
    fs::write(data_dir.join("config/dip.properties"), "wrecked").unwrap();

    let done = as_account(&["restore", "latest", "--start"]).expect_code(0);
    assert!(done.out.contains(".dssvault-before-"), "{}", done.out);
    assert!(node.is_running());
    node.dss("stop");
    assert_eq!(
        fs::read(good.join("config/dip.properties")).unwrap(),
        fs::read(data_dir.join("config/dip.properties")).unwrap()
    );
    as_account(&["restore", "latest", "--undo"]).expect_code(0);
    assert_eq!(node.text("config/dip.properties"), "wrecked");
    assert_eq!(hidden(&data_dir), Vec::<String>::new());
    node.start();
}
