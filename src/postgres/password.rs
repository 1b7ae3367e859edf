//! Passwords on their way to PostgreSQL's clients: in a file of libpq's form that only this account may read, never
//! in an argument, and not in the environment, which every child of a child inherits.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::postgres::error::PgError;

/// A password of a database. It is wiped when dropped and cannot be printed.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// This text.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Password")
    }
}

/// How clients prove who they are.
#[derive(Default)]
pub struct Access {
    file: Option<(TempDir, PathBuf)>,
}

impl Access {
    /// With nothing of ours: `PGPASSFILE`, `~/.pgpass`, certificates, the socket's account, whatever libpq finds.
    pub fn ambient() -> Self {
        Self::default()
    }

    /// With this password, wherever the client is sent; without one as [`ambient`](Self::ambient). The file is removed
    /// when this is dropped.
    pub fn with(password: Option<&Password>) -> Result<Self, PgError> {
        let Some(Password(password)) = password else { return Ok(Self::ambient()) };
        let write = || -> io::Result<(TempDir, PathBuf)> {
            let folder = tempfile::Builder::new().prefix("dssvault-pg-").tempdir()?;
            let path = folder.path().join("pgpass");
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(line(password).as_bytes())?;
            Ok((folder, path))
        };
        let file = write().map_err(|error| PgError::local("write a password file in", std::env::temp_dir(), error))?;
        Ok(Self { file: Some(file) })
    }

    /// Lets a client program use it.
    pub fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        if let Some((_, path)) = &self.file {
            command.env("PGPASSFILE", path);
        }
        command
    }
}

/// The line of a password file that fits every server. Source: PostgreSQL docs, libpq, "The Password File".
fn line(password: &str) -> Zeroizing<String> {
    let escaped = Zeroizing::new(password.replace('\\', "\\\\"));
    Zeroizing::new(format!("*:*:*:*:{}\n", Zeroizing::new(escaped.replace(':', "\\:")).as_str()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn signs_of_the_form_are_escaped_and_only_we_may_read_it() {
        let access = Access::with(Some(&Password::new("a:b\\c d".to_owned().into()))).unwrap();
        let (folder, path) = access.file.as_ref().unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "*:*:*:*:a\\:b\\\\c d\n");
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        let folder = folder.path().to_owned();
        drop(access);
        assert!(!folder.exists());
    }
}
