//! A ZFS pool on a file, gone with the value: by the kernel's ZFS, or by zfs-fuse, whose daemon is started if none
//! runs.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::volume::run;

/// There is one daemon for the machine, so one pool at a time; tests may run in processes of their own.
fn one_at_a_time() -> File {
    let path = std::env::temp_dir().join("dssvault-test-zfs.lock");
    let lock = File::options().create(true).append(true).open(path).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    lock
}

pub struct Pool {
    dir: TempDir,
    name: String,
    daemon: Option<Child>,
    _one: File,
}

impl Pool {
    /// Makes one; the error says what this machine lacks for it.
    pub fn make() -> Result<Self, String> {
        let one = one_at_a_time();
        let daemon = if run("zpool", ["list"]).is_ok() { None } else { Some(start_daemon()?) };
        let dir = tempfile::tempdir().unwrap();
        let pool = Self { dir, name: format!("dssvault-test-{}", std::process::id()), daemon, _one: one };
        let image = pool.beside("image");
        File::create(&image).and_then(|file| file.set_len(128 << 20)).unwrap();
        let (top, image) = (pool.top(), image.to_str().unwrap().to_owned());
        run("zpool", ["create", "-m", top.to_str().unwrap(), &pool.name, &image])?;
        Ok(pool)
    }

    /// Where the pool's own dataset is mounted.
    pub fn top(&self) -> PathBuf {
        self.beside("top")
    }

    /// A place outside of the pool.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The journal of frozen volumes.
    pub fn journal(&self) -> PathBuf {
        self.beside("state/frozen")
    }

    /// A new dataset; where it is mounted.
    pub fn dataset(&self, name: &str) -> PathBuf {
        run("zfs", ["create", &format!("{}/{name}", self.name)]).unwrap();
        self.top().join(name)
    }

    /// Datasets and snapshots, without the name of the pool.
    pub fn names(&self) -> Vec<String> {
        let said = run("zfs", ["list", "-H", "-r", "-t", "filesystem,snapshot", "-o", "name", &self.name]).unwrap();
        said.lines().map(|line| line.replacen(&self.name, "", 1)).collect()
    }

    /// Nothing of a frozen volume is left: neither snapshot nor clone nor mount nor record.
    #[track_caller]
    pub fn require_clean(&self, names: &[&str]) {
        assert_eq!(self.names(), names);
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!table.contains(self.journal().to_str().unwrap()), "{table}");
        let records = std::fs::read_dir(self.journal()).map_or(0, Iterator::count);
        assert_eq!(records, 0, "records are left in the journal");
    }
}

fn start_daemon() -> Result<Child, String> {
    let mut daemon = Command::new("zfs-fuse")
        .args(["--no-daemon", "--no-kstat-mount"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|why| format!("there is no ZFS in the kernel, and zfs-fuse cannot be run: {why}"))?;
    for _ in 0..100 {
        if run("zpool", ["list"]).is_ok() {
            return Ok(daemon);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = daemon.kill();
    let _ = daemon.wait();
    Err(format!("zfs-fuse does not answer: {}", run("zpool", ["list"]).unwrap_err()))
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = Command::new("zpool").args(["destroy", "-f", &self.name]).output();
        if let Some(daemon) = &mut self.daemon {
            // Asked to end it writes its state; killed it would leave mounts without a server.
            let _ = Command::new("kill").arg(daemon.id().to_string()).output();
            let _ = daemon.wait();
        }
    }
}
