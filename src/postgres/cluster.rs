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
use crate::postgres::url::HostPort;
use crate::sys::names::{Account, Names};
use crate::sys::process;

/// The account and the first database of the server.
pub const OWNER: &str = "postgres";
/// How long it may take to be made, to start or to stop.
const LIMIT: Duration = Duration::from_mins(2);
const OUTPUT_BYTES: u64 = 64 << 10;
/// Settings of a server whose data nobody will miss. Its title would show names of databases in the process list.
const SETTINGS: &str = "listen_addresses = ''\nfsync = off\nfull_page_writes = off\nsynchronous_commit = off\n\
    autovacuum = off\nwal_level = minimal\nmax_wal_senders = 0\nmax_wal_size = '2GB'\nupdate_process_title = off\n\
    maintenance_work_mem = '128MB'\n";

/// A running server. Dropping it stops it and removes all of it.
pub struct Cluster {
    folder: TempDir,
    client: Client,
    account: Option<(u32, u32)>,
}

impl Cluster {
    /// Makes and starts one below `place`. As root it runs as the account `postgres`, for servers refuse to be root.
    pub fn start(client: &Client, place: &Path, cancel: &Cancel) -> Result<Self, PgError> {
        let local = |path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| PgError::local("make a throw-away server in", path, error)
        };
        let folder = tempfile::Builder::new().prefix("dssvault-drill-").tempdir_in(place).map_err(local(place))?;
        let account = if rustix::process::geteuid().is_root() {
            let Account { uid, gid, .. } = Names::account(OWNER).ok_or_else(|| {
                local(place)(io::Error::other(
                    "root may not run a server, and there is no account postgres to run it as",
                ))
            })?;
            chown(folder.path(), Some(uid), Some(gid)).map_err(local(folder.path()))?;
            Some((uid, gid))
        } else {
            None
        };
        // The socket's folder is the only door.
        let closed = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(folder.path(), closed).map_err(local(folder.path()))?;
        let cluster = Self { folder, client: client.clone(), account };
        let data = cluster.data();
        let data = data.to_string_lossy();
        cluster.run(
            "initdb",
            &["-D", &data, "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            cancel,
        )?;
        let config = format!("{SETTINGS}unix_socket_directories = '{}'\n", cluster.folder.path().display());
        let path = cluster.data().join("postgresql.auto.conf");
        std::fs::write(&path, config).map_err(local(&path))?;
        let log = cluster.folder.path().join("log").to_string_lossy().into_owned();
        cluster.run("pg_ctl", &["-D", &data, "-l", &log, "-w", "-t", "60", "start"], cancel)?;
        Ok(cluster)
    }

    /// Its maintenance database.
    pub fn address(&self) -> Address {
        let host = self.folder.path().to_string_lossy().into_owned();
        Address {
            hosts: vec![HostPort { host, port: crate::postgres::url::DEFAULT_PORT }],
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
