//! A node made with the stand-in kit, running or not; ended with everything it started when dropped.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The account nodes run as.
pub const ACCOUNT: &str = "dsskit";

pub struct Node {
    folder: TempDir,
    pub port: u16,
}

/// Whether nodes can be made here: only root may run programs as another account.
pub fn is_possible() -> bool {
    static MADE: OnceLock<bool> = OnceLock::new();
    *MADE.get_or_init(|| {
        if !rustix::process::geteuid().is_root() {
            return false;
        }
        let known = Command::new("id").arg(ACCOUNT).output().unwrap().status.success();
        // Another test may be making it at the same moment.
        known || {
            let _ = Command::new("useradd").args(["--create-home", ACCOUNT]).output().unwrap();
            Command::new("id").arg(ACCOUNT).output().unwrap().status.success()
        }
    })
}

fn kit(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/kit").join(script)
}

fn ok(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{command:?}: {}{}", text(&done.stdout), text(&done.stderr));
    text(&done.stdout)
}

/// A first port with nine free ones behind it.
pub fn free_port() -> u16 {
    ok(&mut Command::new(kit("freeport"))).trim().parse().unwrap()
}

impl Node {
    /// An installed node of a type that does not run.
    pub fn new(node_type: &str) -> Self {
        Self::at(node_type, tempfile::tempdir().unwrap())
    }

    /// The same in a folder, which may be on another volume.
    pub fn at(node_type: &str, folder: TempDir) -> Self {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let node = Self { folder, port: free_port() };
        ok(Command::new(kit("make")).arg(node.kit("14.2.2")).arg("14.2.2"));
        fs::create_dir(node.data_dir()).unwrap();
        ok(Command::new("chown").arg(format!("{ACCOUNT}:")).arg(node.data_dir()));
        let installer = node.kit("14.2.2").join("installer.sh");
        let arguments = ["-t", node_type, "-n", "-y", "-p", &node.port.to_string()];
        ok(node.as_account(&installer).arg("-d").arg(node.data_dir()).args(arguments));
        node
    }

    /// Believable content and awkward files.
    pub fn fill(&self) {
        // It names what it had to skip, which is no failure.
        let _ = Command::new(kit("fill")).args([self.data_dir().to_str().unwrap(), "0.3"]).output().unwrap();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn kit(&self, version: &str) -> PathBuf {
        self.folder.path().join(format!("kit-{version}"))
    }

    /// Another version of the kit beside its own.
    pub fn unpack(&self, version: &str) -> PathBuf {
        ok(Command::new(kit("make")).arg(self.kit(version)).arg(version));
        self.kit(version)
    }

    pub fn as_account(&self, program: &Path) -> Command {
        let mut command = Command::new("runuser");
        command.args(["-u", ACCOUNT, "--"]).arg(program).current_dir("/");
        command
    }

    pub fn dss(&self, verb: &str) -> Output {
        self.as_account(&self.data_dir().join("bin/dss")).arg(verb).output().unwrap()
    }

    pub fn start(&self) {
        let done = self.dss("start");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    pub fn is_running(&self) -> bool {
        self.dss("status").status.code() == Some(0)
    }

    /// Waits until it runs.
    pub fn expect_running_within(&self, limit: Duration) {
        let since = Instant::now();
        while !self.is_running() {
            assert!(since.elapsed() < limit, "the node does not run after {limit:?}: {}", self.state());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What there is to see of it, for a failed test.
    fn state(&self) -> String {
        let said = |done: Output| {
            format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
        };
        let status = said(self.dss("status"));
        let inspected =
            Command::new(env!("CARGO_BIN_EXE_dssvault")).arg("inspect").arg(self.data_dir()).arg("--no-sizes").output();
        format!("status: {status}\n{}", said(inspected.unwrap()))
    }

    /// A switch of the kit.
    pub fn switch(&self, line: &str) {
        fs::write(self.data_dir().join("fake.env"), format!("{line}\n")).unwrap();
    }

    pub fn text(&self, below: &str) -> String {
        fs::read_to_string(self.data_dir().join(below)).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = Command::new(kit("reap")).arg(self.folder.path()).output();
    }
}
