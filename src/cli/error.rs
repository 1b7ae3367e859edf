//! Errors of the program and how they are shown: `error:` and `hint:` lines, or one JSON object, on stderr.

use std::io::{self, Write};

use crate::app::AppError;
use crate::base::hint::Hint;
use crate::cli::{exit, text};
use crate::dss::backup::NodeError;
use crate::dss::control::ControlError;
use crate::dss::datadir::error::DatadirError;
use crate::dss::jobs::JobsError;
use crate::dss::migrate::MigrateError;
use crate::dss::restore::RestoreError;
use crate::postgres::error::PgError;
use crate::repo::RepoError;
use crate::storage::StorageError;
use crate::vault::VaultError;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line, or a file it names, asks for something that makes no sense.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to write instead.
        hint: String,
    },
    /// Everything below.
    #[error(transparent)]
    App(#[from] AppError),
    /// A DSS data directory.
    #[error(transparent)]
    Datadir(#[from] DatadirError),
    /// A DSS node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Bringing a DSS node back.
    #[error(transparent)]
    Pristine(#[from] RestoreError),
    /// Bringing a DSS node to another place.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// A PostgreSQL database.
    #[error(transparent)]
    Postgres(#[from] PgError),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// A file the command line names cannot be read, or one it asks for not be written.
    #[error("cannot {action} {what}: {source}")]
    File {
        /// The verb.
        action: &'static str,
        /// The file and what it is for.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl CliError {
    /// Wrong usage and the way out.
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: hint.into() }
    }
}

impl From<ControlError> for CliError {
    fn from(error: ControlError) -> Self {
        Self::Node(error.into())
    }
}

impl From<JobsError> for CliError {
    fn from(error: JobsError) -> Self {
        Self::Node(error.into())
    }
}

impl From<VaultError> for CliError {
    fn from(error: VaultError) -> Self {
        Self::App(error.into())
    }
}

impl From<RepoError> for CliError {
    fn from(error: RepoError) -> Self {
        Self::App(error.into())
    }
}

impl From<StorageError> for CliError {
    fn from(error: StorageError) -> Self {
        Self::App(error.into())
    }
}

impl Hint for CliError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => Some(hint.clone()),
            Self::App(cause) => cause.hint(),
            Self::Datadir(cause) => cause.hint(),
            Self::Node(cause) => cause.hint(),
            Self::Pristine(cause) => cause.hint(),
            Self::Migrate(cause) => cause.hint(),
            Self::Postgres(cause) => cause.hint(),
            Self::Output(_) => Some("check the place standard output goes to".to_owned()),
            Self::File { .. } => Some("check the path and its permissions".to_owned()),
        }
    }
}

/// An error, ready to be shown. Its JSON form is documented in `docs/json.md`.
#[derive(Debug, serde::Serialize)]
pub struct Fault {
    message_type: &'static str,
    /// The exit code.
    pub code: u8,
    message: String,
    hint: Option<String>,
    #[serde(skip)]
    json: bool,
}

impl Fault {
    /// Describes an error.
    pub fn new(error: &CliError, json: bool) -> Self {
        Self::with(exit::code_of(error), error.to_string(), error.hint(), json)
    }

    /// An error of known code.
    pub fn with(code: u8, message: String, hint: Option<String>, json: bool) -> Self {
        Self { message_type: "exit_error", code, message, hint, json }
    }

    /// Writes it to stderr. A reader that has gone away is told nothing; if stderr fails there is nobody to tell.
    pub fn print(&self) {
        if self.code != exit::BROKEN_PIPE {
            let _ = self.write_to(&mut io::stderr().lock());
        }
    }

    fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.json {
            let line = serde_json::to_string(self).map_err(io::Error::other)?;
            return writeln!(out, "{line}");
        }
        writeln!(out, "error: {}", text::message(&self.message))?;
        match &self.hint {
            Some(hint) => writeln!(out, "hint: {}", text::message(hint)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: bool) -> String {
        let error = RepoError::NoRepository { location: "/srv/vault".into() };
        let mut out = Vec::new();
        Fault::new(&error.into(), json).write_to(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_error_names_the_object_and_a_next_step() {
        insta::assert_snapshot!(shown(false), @r"
        error: there is no repository at /srv/vault
        hint: check the location, or create a repository with `dssvault init`
        ");
    }

    #[test]
    fn a_name_in_an_error_cannot_steer_the_terminal() {
        let mut out = Vec::new();
        let message = "database \u{1b}[2Jd\u{202e}g is gone\nand C:\\x too";
        Fault::with(1, message.to_owned(), Some("say \u{7}so".to_owned()), false).write_to(&mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown, "error: database \\x1b[2Jd\\u{202e}g is gone\nand C:\\x too\nhint: say \\x07so\n");
    }

    #[test]
    fn an_error_is_one_json_line_when_json_is_spoken() {
        insta::assert_snapshot!(shown(true), @r#"{"message_type":"exit_error","code":10,"message":"there is no repository at /srv/vault","hint":"check the location, or create a repository with `dssvault init`"}"#);
    }
}
