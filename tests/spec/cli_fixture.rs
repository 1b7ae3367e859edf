//! The program as a user starts it, in an environment of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The password of repositories made here.
pub const PASSWORD: &str = "correct horse";

/// A folder with everything the program may touch: repository, cache, state, sources, targets.
pub struct Desk {
    dir: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Desk {
    pub fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A desk whose repository was made without a recovery key.
    pub fn with_repository() -> Self {
        let desk = Self::empty();
        desk.run(&["init", "--no-recovery-key", "-q"]).expect_code(0);
        desk
    }

    /// The same with a small tree in `src` and a snapshot of it.
    pub fn with_snapshot() -> Self {
        let desk = Self::with_repository();
        desk.write("src/config/a.json", b"{\"a\": 1}\n");
        desk.write("src/config/b.json", b"{\"b\": 2}\n");
        desk.write("src/data.bin", &[0, 1, 2, 255].repeat(5_000));
        desk.run(&["backup", "-q", "--tag", "first", &desk.text("src")]).expect_code(0);
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The program with nothing of this machine's environment but the path of programs.
    pub fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dssvault"));
        command.args(arguments).env_clear().current_dir(self.dir.path()).stdin(Stdio::null());
        for name in ["PATH", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", self.path("home")).env("TMPDIR", self.dir.path());
        command.env("XDG_CACHE_HOME", self.path("cache")).env("XDG_STATE_HOME", self.path("state"));
        command
    }

    /// The program with repository and password in the environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.env("DSSVAULT_REPO", self.path("vault")).env("DSSVAULT_PASSWORD", PASSWORD);
        command
    }

    /// A desk that an account without rights can use; the program is copied to where that account can reach it.
    pub fn shared_with_nobody() -> Self {
        let desk = Self::empty();
        fs::set_permissions(desk.dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_dssvault"), desk.path("program")).unwrap();
        desk
    }

    pub fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    /// The program as an account that cannot read everything: this one, or nobody if this one is root.
    pub fn unprivileged(&self, arguments: &[&str]) -> Command {
        let like = self.command(arguments);
        let mut command = Command::new(self.path("program"));
        command.args(arguments).env_clear().current_dir(self.dir.path()).stdin(Stdio::null());
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if Self::is_root() {
            command.uid(65_534).gid(65_534);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        Done::of(&mut self.command(arguments))
    }
}

impl Done {
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {}", self.out))
    }

    /// Standard output as JSON lines.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
