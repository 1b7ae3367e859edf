//! A PostgreSQL server of our own that lives as long as a trial: in a temporary directory, reached only by a socket in
//! it, without care for crashes.

use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::base::cancel::Cancel;
use crate::postgres::address::Address;
use crate::postgres::client::Client;
use crate::postgres::error::{PgError, one_line};
use crate::postgres::url::{DEFAULT_PORT, HostPort};
use crate::sys::names::{Account, Names};
use crate::sys::process;

/// The account and the first database of the server.
pub const OWNER: &str = "postgres";
/// How long it may take to be made, to start or to stop.
const LIMIT: Duration = Duration::from_mins(2);
const OUTPUT_BYTES: u64 = 64 << 10;
/// Settings of a server whose data nobody will miss. Its title would show names of databases in the process list.
const SETTINGS: &str = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\n\
    autovacuum = off\nwal_level = minimal\nmax_wal_senders = 0\nmax_wal_size = '2GB'\nupdate_process_title = off\n\
    maintenance_work_mem = '128MB'\n";

/// Who else may come in: by TCP from this machine, to one database, as one account, without a password. The name of the
/// database is what nobody else knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loopback {
    /// The port.
    pub port: u16,
    /// The account, which may do everything there.
    pub user: String,
    /// The database.
    pub database: String,
}

/// A running server. Dropping it stops it and removes all of it.
pub struct Cluster {
    folder: TempDir,
    /// Of the socket, whose path must be short.
    door: TempDir,
    port: u16,
    client: Client,
    account: Option<(u32, u32)>,
}

impl Cluster {
    /// Makes and starts one below `place`. As root it runs as the account `postgres`, for servers refuse to be root.
    pub fn start(client: &Client, place: &Path, loopback: Option<&Loopback>, cancel: &Cancel) -> Result<Self, PgError> {
        let local = |path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| PgError::local("make a throw-away server in", path, error)
        };
        let folder = tempfile::Builder::new().prefix("dssvault-drill-").tempdir_in(place).map_err(local(place))?;
        let short = std::env::temp_dir();
        let door = tempfile::Builder::new().prefix("dssvault-door-").tempdir_in(&short).map_err(local(&short))?;
        let account = if rustix::process::geteuid().is_root() {
            let Account { uid, gid, .. } = Names::account(OWNER).ok_or_else(|| {
                local(place)(io::Error::other(
                    "root may not run a server, and there is no account postgres to run it as",
                ))
            })?;
            for folder in [folder.path(), door.path()] {
                chown(folder, Some(uid), Some(gid)).map_err(local(folder))?;
            }
            Some((uid, gid))
        } else {
            None
        };
        // The socket's folder is the only door.
        for folder in [folder.path(), door.path()] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(local(folder))?;
        }
        let port = loopback.map_or(DEFAULT_PORT, |loopback| loopback.port);
        let cluster = Self { folder, door, port, client: client.clone(), account };
        let data = cluster.data();
        let data = data.to_string_lossy();
        cluster.run(
            "initdb",
            &["-D", &data, "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            cancel,
        )?;
        let path = cluster.data().join("postgresql.auto.conf");
        std::fs::write(&path, cluster.settings(loopback)).map_err(local(&path))?;
        if let Some(Loopback { user, database, .. }) = loopback {
            let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
            let rules = format!("local all all trust\nhost {} {} 127.0.0.1/32 trust\n", quoted(database), quoted(user));
            let path = cluster.data().join("pg_hba.conf");
            std::fs::write(&path, rules).map_err(local(&path))?;
        }
        let log = cluster.folder.path().join("log").to_string_lossy().into_owned();
        cluster.run("pg_ctl", &["-D", &data, "-l", &log, "-w", "-t", "60", "start"], cancel)?;
        Ok(cluster)
    }

    fn settings(&self, loopback: Option<&Loopback>) -> String {
        let far = match loopback {
            Some(Loopback { port, .. }) => format!("listen_addresses = '127.0.0.1'\nport = {port}\n"),
            None => "listen_addresses = ''\n".to_owned(),
        };
        format!("{SETTINGS}{far}unix_socket_directories = '{}'\n", self.door.path().display())
    }

    /// Its maintenance database.
    pub fn address(&self) -> Address {
        let host = self.door.path().to_string_lossy().into_owned();
        Address {
            hosts: vec![HostPort { host, port: self.port }],
            database: Some(OWNER.to_owned()),
            user: Some(OWNER.to_owned()),
            parameters: Vec::new(),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, program: &str, arguments: &[&str], cancel: &Cancel) -> Result<(), PgError> {
        let path = self.client.program(program);
        let mut command = Command::new(&path);
        command
            .args(arguments)
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.folder.path());
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        let local = |error| PgError::local("run", &path, error);
        let done = process::capture(&mut command, LIMIT, OUTPUT_BYTES, cancel).map_err(local)?;
        match done.status {
            Some(status) if status.success() => Ok(()),
            None if cancel.is_requested() => Err(PgError::Interrupted),
            None => Err(local(io::ErrorKind::TimedOut.into())),
            Some(_) => {
                let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                let said = one_line(&format!("{}\n{log}", done.stderr));
                Err(local(io::Error::other(said)))
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        // A stop that fails leaves a server without a directory, which ends by itself.
        let _ =
            self.run("pg_ctl", &["-D", &data.to_string_lossy(), "-m", "immediate", "-w", "stop"], &Cancel::default());
    }
}
