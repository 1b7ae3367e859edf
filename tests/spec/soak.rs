//! Backups, prunes and a policy at work on one repository, killed, stopped and woken at random. Whatever is committed
//! and not forgotten comes back as its source was. A minute here; `tests/soak` goes on for longer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dssvault::base::random::{Entropy, SeededEntropy};

use crate::machine::{Machine, noise};
use crate::tree_diff::{differences, restored};

const BACKUPS: usize = 6;
const PRUNES: usize = 2;

/// Random numbers, the same in every run of one seed and thread.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 += 1;
        let mut bytes = [0; 8];
        SeededEntropy::new(self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)).fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound
    }
}

/// Processes at work now, for whoever kills them.
#[derive(Default)]
struct Running(Mutex<Vec<u32>>);

impl Running {
    /// Runs a command to its end, whatever that is. Gives its exit code; none if it was killed.
    fn run(&self, mut command: Command) -> Option<i32> {
        let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        self.0.lock().unwrap().push(pid);
        // Taken off the list before it is reaped, so that nobody signals a number that is free again.
        while !is_over(pid) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.0.lock().unwrap().retain(|other| *other != pid);
        child.wait().unwrap().code()
    }

    fn signal(&self, choice: u64, signal: &str) -> Option<u32> {
        let running = self.0.lock().unwrap();
        let pid = *running.get(choice as usize % running.len().max(1))?;
        kill(pid, signal).then_some(pid)
    }

    fn wake(&self, pid: u32) {
        if self.0.lock().unwrap().contains(&pid) {
            kill(pid, "-CONT");
        }
    }
}

fn kill(pid: u32, signal: &str) -> bool {
    Command::new("kill").args([signal, &pid.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

fn is_over(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|rest| rest.starts_with('Z') || rest.is_empty())
}

struct Soak {
    machine: Machine,
    running: Running,
    over: AtomicBool,
    counts: BTreeMap<&'static str, AtomicU64>,
}

impl Soak {
    fn new() -> Self {
        let machine = Machine::new();
        machine.found_on_disk("vault");
        let counts = ["backups", "failed", "prunes", "prunes failed", "forgets", "killed", "stopped"];
        let counts = counts.into_iter().map(|name| (name, AtomicU64::new(0))).collect();
        Self { machine, running: Running::default(), over: AtomicBool::new(false), counts }
    }

    fn count(&self, name: &str) {
        self.counts[name].fetch_add(1, Ordering::Relaxed);
    }

    /// The program as one of several machines.
    fn program(&self, who: &str, arguments: &[&str]) -> Command {
        let mut command = self.machine.program("vault", arguments);
        command.env("XDG_CACHE_HOME", self.machine.path(&format!("{who}-cache")));
        command.env("XDG_STATE_HOME", self.machine.path(&format!("{who}-state")));
        command
    }

    fn source(&self, number: usize) -> PathBuf {
        self.machine.path(&format!("source-{number}"))
    }

    /// Changes a few files, keeps a copy, backs up; over and over.
    fn back_up(&self, number: usize, seed: u64) {
        let (source, mut dice) = (self.source(number), Dice(seed));
        for round in 0u64.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            for _ in 0..=dice.below(4) {
                let (folder, name) = (dice.below(5), dice.below(8));
                let file = source.join(format!("{folder}/{name}"));
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                let _ = std::fs::remove_file(&file);
                // Some content is that of others, some was there before.
                std::fs::write(&file, noise(dice.below(60), 1 + dice.below(200_000) as usize)).unwrap();
            }
            let tag = format!("{number}-{round}");
            let copied = Command::new("cp").arg("-al").arg(&source).arg(self.copy(&tag)).status().unwrap();
            assert!(copied.success());
            let (who, label) = (format!("machine-{number}"), format!("node-{number}"));
            let path = source.to_str().unwrap();
            let arguments = ["backup", "-q", "--node", &label, "--tag", &tag, path];
            let code = self.running.run(self.program(&who, &arguments));
            self.count(if code == Some(0) { "backups" } else { "failed" });
        }
    }

    fn copy(&self, tag: &str) -> PathBuf {
        self.machine.path(&format!("copy-{tag}"))
    }

    fn prune(&self, number: usize) {
        let now = ["--grace", "0s", "--undo-window", "0s", "--fence-after", "3s", "--max-unused", "0"];
        while !self.over.load(Ordering::Relaxed) {
            let code =
                self.running.run(self.program(&format!("pruner-{number}"), &[&["prune", "-q"], &now[..]].concat()));
            self.count(if code == Some(0) { "prunes" } else { "prunes failed" });
        }
    }

    fn forget(&self) {
        let policy = ["forget", "-q", "--keep-last", "3", "--min-snapshots", "0", "--max-drop", "100%"];
        while !self.over.load(Ordering::Relaxed) {
            self.running.run(self.program("forgetter", &policy));
            self.count("forgets");
            std::thread::sleep(Duration::from_millis(700));
        }
    }

    /// Kills and stops whoever runs.
    fn disturb(&self, seed: u64) {
        let (mut dice, mut asleep) = (Dice(seed), Vec::<(Instant, u32)>::new());
        while !self.over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50 + dice.below(400)));
            let (woken, still): (Vec<_>, Vec<_>) = asleep.into_iter().partition(|(until, _)| *until <= Instant::now());
            asleep = still;
            woken.into_iter().for_each(|(_, pid)| self.running.wake(pid));
            let (choice, whom) = (dice.below(4), dice.below(64));
            if choice == 0 && self.running.signal(whom, "-KILL").is_some() {
                self.count("killed");
            }
            if choice == 1
                && let Some(pid) = self.running.signal(whom, "-STOP")
            {
                asleep.push((Instant::now() + Duration::from_millis(200 + dice.below(7_000)), pid));
                self.count("stopped");
            }
        }
        asleep.into_iter().for_each(|(_, pid)| self.running.wake(pid));
    }

    /// Everything that is shown comes back as its source was.
    fn require_all_whole(&self) -> usize {
        let check = self.program("reader", &["check", "--read-data"]).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
        let listed = self.program("reader", &["snapshots", "--json"]).output().unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        let snapshots = listed.as_array().unwrap();
        for snapshot in snapshots {
            let (id, tag) = (snapshot["id"].as_str().unwrap(), snapshot["tags"][0].as_str().unwrap());
            let number: usize = tag.split('-').next().unwrap().parse().unwrap();
            self.require_whole(id, &self.copy(tag), &self.source(number));
        }
        snapshots.len()
    }

    fn require_whole(&self, id: &str, copy: &Path, source: &Path) {
        let target = self.machine.path("target");
        let _ = std::fs::remove_dir_all(&target);
        let arguments = ["restore", id, "-q", "--target", target.to_str().unwrap()];
        let restore = self.program("reader", &arguments).output().unwrap();
        assert!(restore.status.success(), "{id}: {}", String::from_utf8_lossy(&restore.stderr));
        // The copies share their files with each other, which are no links of the snapshot.
        let plain = self.machine.path("plain");
        let _ = std::fs::remove_dir_all(&plain);
        let copied = Command::new("cp").args(["-a", "--no-preserve=links"]).arg(copy).arg(&plain).status().unwrap();
        assert!(copied.success());
        assert_eq!(differences(&plain, &restored(&target, source)), Vec::<String>::new(), "{id}");
    }
}

fn soak(time: Duration, seed: u64) {
    let soak = Arc::new(Soak::new());
    for number in 0..BACKUPS {
        std::fs::create_dir(soak.source(number)).unwrap();
    }
    std::thread::scope(|scope| {
        let soak = &soak;
        for number in 0..BACKUPS {
            scope.spawn(move || soak.back_up(number, seed + 1_000_000 * (number as u64 + 1)));
        }
        for number in 0..PRUNES {
            scope.spawn(move || soak.prune(number));
        }
        scope.spawn(move || soak.forget());
        scope.spawn(move || soak.disturb(seed));
        std::thread::sleep(time);
        soak.over.store(true, Ordering::Relaxed);
    });
    let counts: Vec<_> =
        soak.counts.iter().map(|(name, count)| format!("{name} {}", count.load(Ordering::Relaxed))).collect();
    let whole = soak.require_all_whole();
    println!("soak, seed {seed}: {}; {whole} snapshots came back", counts.join(", "));
    let of = |name: &str| soak.counts[name].load(Ordering::Relaxed);
    assert!(of("backups") > 10 && of("prunes") > 2 && of("killed") > 5 && of("stopped") > 5, "{counts:?}");
    // Nothing is left in the way: everything goes that no snapshot needs.
    let now = ["prune", "-q", "--grace", "0s", "--undo-window", "0s", "--fence-after", "0s", "--max-unused", "0"];
    for _ in 0..2 {
        let last = soak.program("pruner-0", &now).output().unwrap();
        assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stderr));
    }
    assert_eq!(soak.require_all_whole(), whole);
    let check = soak.program("reader", &["check", "--json"]).output().unwrap();
    let check: serde_json::Value =
        serde_json::from_slice(check.stdout.rsplit(|byte| *byte == b'\n').find(|line| !line.is_empty()).unwrap())
            .unwrap();
    assert_eq!(check["unused_packs"], 0, "{check}");
}

#[test]
fn committed_snapshots_survive_whatever_happens_beside_them() {
    let seconds = std::env::var("DSSVAULT_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let seed = std::env::var("DSSVAULT_SOAK_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    soak(Duration::from_secs(seconds), seed);
}
