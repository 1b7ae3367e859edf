//! A process that is killed while it holds a frozen volume leaves it to the next run, which removes it and nothing
//! else.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dssvault::fsnap::{FsnapError, Options, Provider, detect, recover};

use crate::skip::skip;
use crate::volume::{Volume, run};

const DIR: &str = "DSSVAULT_TEST_FROZEN_DIR";
const JOURNAL: &str = "DSSVAULT_TEST_FROZEN_JOURNAL";

macro_rules! volume {
    ($test:literal) => {
        match Volume::btrfs(256, &[]) {
            Ok(volume) => volume,
            Err(reason) => return skip(concat!("fsnap_killed::", $test), &reason),
        }
    };
}

#[test]
#[ignore = "run by the tests below, in a process of its own"]
fn freezes_until_killed() {
    let (Some(dir), Some(journal)) = (std::env::var_os(DIR), std::env::var_os(JOURNAL)) else { return };
    let candidate = detect(Path::new(&dir), &Options::default()).unwrap().best().unwrap();
    println!("freezing");
    let frozen = candidate.create("killed", Path::new(&journal)).unwrap();
    println!("frozen {}", frozen.read_path().display());
    std::thread::sleep(Duration::from_secs(120));
}

/// A process that freezes `dir`.
pub struct Holder(Child, Box<dyn Iterator<Item = String>>);

impl Holder {
    pub fn start(dir: &Path, journal: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fsnap_killed::freezes_until_killed", "--ignored", "--nocapture"])
            .env(DIR, dir)
            .env(JOURNAL, journal)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        Self(child, Box::new(lines))
    }

    /// Waits for a line with `word`; what stands behind it.
    pub fn until(&mut self, word: &str) -> String {
        let line = self.1.find(|line| line.contains(word)).expect("the child ended early");
        line.split_once(word).unwrap().1.trim().to_owned()
    }

    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn the_next_run_removes_what_a_killed_one_held() {
    let volume = volume!("the_next_run_removes_what_a_killed_one_held");
    let dir = volume.subvolume("data");
    fs::create_dir(dir.join("deeper")).unwrap();
    let mut holder = Holder::start(&dir.join("deeper"), &volume.journal());
    let read_path = PathBuf::from(holder.until("frozen "));
    assert!(read_path.is_dir());
    assert!(recover(&volume.journal()).unwrap().removed.is_empty(), "its holder lives");

    holder.kill();

    assert!(read_path.is_dir(), "nothing was left: this test proves nothing");
    assert_eq!((volume.subvolumes().len(), volume.mounts().len()), (2, 1));
    let found = recover(&volume.journal()).unwrap();
    assert_eq!((found.removed.len(), found.stuck.len()), (1, 0), "{found:?}");
    assert_eq!((found.removed[0].label.as_str(), found.removed[0].provider), ("killed", Provider::Btrfs));
    volume.require_clean(&["data"]);
    assert!(recover(&volume.journal()).unwrap().removed.is_empty());
}

#[test]
fn a_kill_at_any_moment_of_freezing_leaves_nothing_that_is_not_found() {
    let volume = volume!("a_kill_at_any_moment_of_freezing_leaves_nothing_that_is_not_found");
    let dir = volume.subvolume("data");
    let mut left = 0;
    for round in 0..24u64 {
        let mut holder = Holder::start(&dir, &volume.journal());
        holder.until("freezing");
        std::thread::sleep(Duration::from_millis(round * 3));
        holder.kill();
        // A tool that was just running is not ours to wait for; it ends by itself.
        std::thread::sleep(Duration::from_millis(300));
        left += volume.mounts().len();
        let found = recover(&volume.journal()).unwrap();
        assert!(found.stuck.is_empty(), "round {round}: {found:?}");
        volume.require_clean(&["data"]);
    }
    assert!(left > 0, "no kill ever left anything: this test proves nothing");
}

#[test]
fn what_was_left_before_a_reboot_is_found_by_the_id_of_the_file_system() {
    let mut volume = volume!("what_was_left_before_a_reboot_is_found_by_the_id_of_the_file_system");
    let dir = volume.subvolume("data");
    let mut holder = Holder::start(&dir, &volume.journal());
    holder.until("frozen ");
    holder.kill();
    volume.reboot();
    assert_eq!((volume.subvolumes().len(), volume.mounts().len()), (2, 0));

    let found = recover(&volume.journal()).unwrap();

    assert_eq!((found.removed.len(), found.stuck.len()), (1, 0), "{found:?}");
    volume.require_clean(&["data"]);
}

#[test]
fn what_is_not_ours_any_more_is_left_alone_and_named() {
    let volume = volume!("what_is_not_ours_any_more_is_left_alone_and_named");
    let dir = volume.subvolume("data");
    volume.subvolume(".dssvault-frozen-00000000000000000000000000000000");
    let mut holder = Holder::start(&dir, &volume.journal());
    let read_path = holder.until("frozen ");
    holder.kill();
    run("btrfs", ["property", "set", "-ts", &read_path, "ro", "false"]).unwrap();
    fs::write(Path::new(&read_path).join("work of somebody"), b"").unwrap();

    let found = recover(&volume.journal()).unwrap();

    assert!(found.removed.is_empty());
    assert!(matches!(found.stuck[0].cause, FsnapError::NotOurs { .. }), "{found:?}");
    assert!(Path::new(&read_path).join("work of somebody").exists());
    run("btrfs", ["subvolume", "delete", &read_path]).unwrap();
    assert_eq!(recover(&volume.journal()).unwrap().removed.len(), 1);
    volume.require_clean(&["data", ".dssvault-frozen-00000000000000000000000000000000"]);
}
