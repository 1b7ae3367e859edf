//! A real PostgreSQL server of its own for each test, run by the account `postgres`, reached by a socket without and
//! by TCP with a password; ended and removed when dropped.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The password of every role here; searched for where it must not be.
pub const PASSWORD: &str = "s3cret pa:ss\\wörd";

pub struct Server {
    folder: TempDir,
    pub port: u16,
    bin: PathBuf,
    account: Option<(u32, u32)>,
}

/// The folder of the newest server programs here.
pub fn programs() -> PathBuf {
    let folders = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed: tests/run does it").flatten();
    let mut found: Vec<PathBuf> =
        folders.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).collect();
    found.sort();
    found.pop().expect("the server programs are installed: tests/run does it")
}

fn number(flag: &str) -> u32 {
    let told = Command::new("id").args([flag, "postgres"]).output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().parse().unwrap()
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("pg-").tempdir_in("/tmp").unwrap();
        let account = rustix::process::geteuid().is_root().then(|| (number("-u"), number("-g")));
        if let Some((uid, gid)) = account {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        // Whoever runs DSS connects by the socket too.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let server = Self { folder, port: free_port(), bin: programs(), account };
        server.run(
            "initdb",
            &["-D", &server.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
        );
        let hba = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(Path::new(&server.data()).join("pg_hba.conf"), hba).unwrap();
        let config = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nfsync = off\nlog_statement = all\n\
             log_connections = on\nmax_wal_size = '1GB'\n",
            server.port,
            server.folder.path().display()
        );
        fs::write(Path::new(&server.data()).join("postgresql.auto.conf"), config).unwrap();
        server.up();
        server
    }

    pub fn up(&self) {
        let log = self.folder.path().join("log");
        self.run("pg_ctl", &["-D", &self.data(), "-l", log.to_str().unwrap(), "-w", "start"]);
    }

    pub fn down(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "fast", "-w", "stop"]);
    }

    fn data(&self) -> String {
        self.folder.path().join("data").to_str().unwrap().to_owned()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.bin.join(program));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        // A server holds the output of whoever started it open.
        let out = fs::File::create("/dev/null").unwrap();
        let done = command.stdout(out.try_clone().unwrap()).stderr(out).status().unwrap();
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        assert!(done.success(), "{program} {arguments:?}: {log}");
    }

    /// The process of the server.
    pub fn pid(&self) -> i32 {
        let text = fs::read_to_string(Path::new(&self.data()).join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    /// By the socket, as the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@/{}?host={}&port={}", encoded(database), self.folder.path().display(), self.port)
    }

    /// By TCP, where a password is asked for.
    pub fn far_url(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{}", self.port, encoded(database))
    }

    pub fn client(&self, program: &str, database: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env("PGHOST", self.folder.path()).env("PGPORT", self.port.to_string());
        command.env("PGUSER", "postgres").env("PGDATABASE", database);
        command
    }

    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut command = self.client("psql", database);
        let done = command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]).output().unwrap();
        assert!(done.status.success(), "{sql}: {}", text(&done));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// A role that may log in.
    pub fn role(&self, name: &str) {
        self.sql("postgres", &format!("CREATE ROLE \"{name}\" LOGIN PASSWORD '{PASSWORD}'"));
    }

    /// Everything in a database, or in the part `arguments` of `pg_dump` name, in an order that does not depend on
    /// where rows lie.
    #[track_caller]
    pub fn content(&self, database: &str, arguments: &[&str]) -> Vec<String> {
        let done = self.client("pg_dump", database).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", text(&done));
        let dump = String::from_utf8(done.stdout).unwrap();
        let told = |line: &&str| {
            !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict") && !line.starts_with("-- ")
        };
        let mut lines: Vec<String> = dump.lines().filter(told).map(str::to_owned).collect();
        lines.sort();
        lines
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn encoded(database: &str) -> String {
    database.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn text(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = Command::new(self.bin.join("pg_ctl"));
        command.args(["-D", &self.data(), "-m", "immediate", "-w", "stop"]).current_dir("/");
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        // One that a test has killed is down already.
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
