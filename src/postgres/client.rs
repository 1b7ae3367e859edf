//! The client programs of PostgreSQL on this machine. `pg_dump` refuses a server newer than itself, and what a newer
//! one writes may not load into an older server, so several versions may stand beside each other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::base::cancel::Cancel;
use crate::postgres::error::PgError;
use crate::sys::process;

/// Where packages of Debian and of the PostgreSQL project put them; `*` is a version.
const FOLDERS: [(&str, &str); 3] = [("/usr/lib/postgresql", "bin"), ("/usr", "bin"), ("/opt/postgresql", "bin")];
/// How folders of versions begin below the second of them.
const PGSQL: &str = "pgsql-";
/// How long a program may take to tell its version.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// The client programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The folder they lie in.
    pub folder: PathBuf,
    /// As they tell it: `15.18`.
    pub version: String,
    /// Its first number.
    pub major: u32,
}

impl Client {
    /// A program of it.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A command that runs it, speaking English so that its errors can be told apart.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.program(name));
        command.env("LC_MESSAGES", "C").env_remove("LC_ALL").env_remove("PGPASSWORD").current_dir("/");
        command
    }
}

/// The client programs there are, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients(Vec<Client>);

impl Clients {
    /// Looks for them: in `folder` alone if it is given, else where packages put them and on the search path.
    pub fn find(folder: Option<&Path>, cancel: &Cancel) -> Result<Self, PgError> {
        let folders = folder.map_or_else(usual, |folder| vec![folder.to_owned()]);
        let mut found: Vec<Client> = Vec::new();
        for folder in &folders {
            let Some(client) = at(folder, cancel) else { continue };
            if found.iter().all(|known| known.major != client.major) {
                found.push(client);
            }
        }
        if found.is_empty() {
            return Err(PgError::NoClient { looked_in: folders, asked: folder.is_some() });
        }
        found.sort_by_key(|client| client.major);
        Ok(Self(found))
    }

    /// The newest: to ask a server of any version.
    pub fn newest(&self) -> Option<&Client> {
        self.0.last()
    }

    /// The oldest that is not older than a server, so that what it writes loads there again.
    pub fn fitting(&self, server_major: u32) -> Option<&Client> {
        self.0.iter().find(|client| client.major >= server_major)
    }

    /// The oldest that can read what this version of `pg_dump` wrote.
    pub fn reading(&self, dump_version: &str) -> Option<&Client> {
        let digits =
            dump_version.find(|sign: char| !sign.is_ascii_digit()).map_or(dump_version, |end| &dump_version[..end]);
        self.fitting(digits.parse().ok()?)
    }

    /// The same, with the programs of a server beside it.
    pub fn with_server(&self, dump_version: &str) -> Option<&Client> {
        let oldest = self.reading(dump_version)?.major;
        let has_server = |client: &&Client| client.program("initdb").is_file() && client.program("pg_ctl").is_file();
        self.0.iter().filter(|client| client.major >= oldest).find(has_server)
    }

    /// Their versions, for people.
    pub fn versions(&self) -> String {
        self.0.iter().map(|client| client.version.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// The folders that may hold them; concrete ones first, for what lies on the search path may be a wrapper that chooses
/// a version by itself.
fn usual() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for (above, below) in FOLDERS {
        let entries = std::fs::read_dir(above).into_iter().flatten().flatten();
        let versioned =
            entries.filter(|entry| above != "/usr" || entry.file_name().to_string_lossy().starts_with(PGSQL));
        folders.extend(versioned.map(|entry| entry.path().join(below)));
    }
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path).filter(|folder| folder.is_absolute()));
    folders
}

/// The client whose programs lie in a folder, if all that are needed do.
fn at(folder: &Path, cancel: &Cancel) -> Option<Client> {
    if !["pg_dump", "pg_dumpall", "pg_restore", "psql"].iter().all(|name| folder.join(name).is_file()) {
        return None;
    }
    let mut command = Command::new(folder.join("pg_dump"));
    let told = process::capture(command.arg("--version"), VERSION_LIMIT, 1 << 12, cancel).ok()?;
    let text = String::from_utf8(told.stdout?).ok()?;
    let (version, major) = parse_version(&text)?;
    Some(Client { folder: folder.to_owned(), version, major })
}

/// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` and its kin.
fn parse_version(text: &str) -> Option<(String, u32)> {
    let version = text.split_once("(PostgreSQL)")?.1.split_whitespace().next()?;
    let digits = version.find(|sign: char| !sign.is_ascii_digit()).map_or(version, |end| &version[..end]);
    Some((version.to_owned(), digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn tools(folder: &Path, version: &str) {
        std::fs::create_dir_all(folder).unwrap();
        for name in ["pg_dump", "pg_dumpall", "pg_restore", "psql"] {
            let path = folder.join(name);
            std::fs::write(&path, format!("#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn versions_are_told_with_words_around_them_or_without_a_point() {
        assert_eq!(parse_version("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(("15.18".into(), 15)));
        assert_eq!(parse_version("pg_dump (PostgreSQL) 18beta1"), Some(("18beta1".into(), 18)));
        assert_eq!(parse_version("pg_dump (EDB) 15"), None);
        assert_eq!(parse_version("pg_dump (PostgreSQL) "), None);
    }

    #[test]
    fn the_oldest_that_is_not_older_than_the_server_is_taken() {
        let clients = Clients(
            [13, 15, 17].map(|major| Client { folder: "/".into(), version: format!("{major}.1"), major }).into(),
        );
        let fitting = |server| clients.fitting(server).map(|client| client.major);
        assert_eq!((fitting(12), fitting(14), fitting(17), fitting(18)), (Some(13), Some(15), Some(17), None));
        assert_eq!(clients.versions(), "13.1, 15.1, 17.1");
    }

    #[test]
    fn a_folder_that_was_named_is_the_only_one_looked_in() {
        let dir = tempfile::tempdir().unwrap();
        tools(dir.path(), "12.3");
        let found = Clients::find(Some(dir.path()), &Cancel::default()).unwrap();
        assert_eq!(found.versions(), "12.3");
        let error = Clients::find(Some(&dir.path().join("none")), &Cancel::default()).unwrap_err();
        assert!(matches!(error, PgError::NoClient { asked: true, .. }));
    }
}
