//! Why a repository could not be opened, or a demonstration not be held.

use std::io;
use std::path::PathBuf;

use crate::base::hint::Hint;
use crate::repo::RepoError;
use crate::storage::StorageError;
use crate::vault::VaultError;

/// What goes wrong around the verbs.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A verb, or the repository below it.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A location of a kind this version cannot open.
    #[error("`{location}` is a location of kind `{scheme}:`, which this version cannot open")]
    UnknownScheme {
        /// As given.
        location: String,
        /// What stands before the colon.
        scheme: String,
    },
    /// Empty text where a location is needed.
    #[error("the location of the repository is empty")]
    EmptyLocation,
    /// A password of no characters.
    #[error("the password from {origin} is empty")]
    EmptyPassword {
        /// Where it came from.
        origin: String,
    },
    /// A password that is not UTF-8, or far too long for one.
    #[error("what {origin} gives is no password: {why}")]
    BadPassword {
        /// Where it came from.
        origin: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A password or recovery key file that cannot be read or made.
    #[error("cannot {action} {what} {}: {source}", path.display())]
    KeyFile {
        /// The verb.
        action: &'static str,
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A password command that failed.
    #[error("the password command `{command}` {why}")]
    PasswordCommand {
        /// The command.
        command: String,
        /// How it failed.
        why: String,
    },
    /// A cache or state folder that cannot be made.
    #[error("cannot make the {what} folder {}: {source}", path.display())]
    Folder {
        /// `cache` or `state`.
        what: &'static str,
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing says where local files may be kept.
    #[error("no place for the {what} folder: neither $HOME nor ${variable} is set")]
    NoHome {
        /// `cache` or `state`.
        what: &'static str,
        /// The variable that would help.
        variable: &'static str,
    },
    /// The demonstration would have to back itself up.
    #[error("the temporary folder {} lies inside {}, so the demo would back itself up", inner.display(), outer.display())]
    DemoInsideItself {
        /// Where the demo would work.
        inner: PathBuf,
        /// What it was asked to back up.
        outer: PathBuf,
    },
}

impl From<RepoError> for AppError {
    fn from(error: RepoError) -> Self {
        Self::Vault(error.into())
    }
}

impl From<StorageError> for AppError {
    fn from(error: StorageError) -> Self {
        Self::Vault(error.into())
    }
}

impl Hint for AppError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Vault(cause) => return cause.hint(),
            Self::UnknownScheme { location, .. } => {
                return Some(format!(
                    "give a local path; if a directory really has that name, write it as `./{location}`"
                ));
            }
            Self::EmptyLocation => "give a path with -r, or set $DSSVAULT_REPO",
            Self::EmptyPassword { .. } => "put the password there; a repository without one is not possible",
            Self::BadPassword { .. } => "a password is UTF-8 text of at most 64 KiB",
            Self::KeyFile { action: "create", .. } => {
                "name a file that does not exist yet, in a folder you may write to"
            }
            Self::KeyFile { .. } => "check the path and that this account may read it",
            Self::PasswordCommand { .. } => "run the command by hand: it must print the password and end with status 0",
            Self::Folder { what: "cache", .. } => "choose another place with `--cache-dir`",
            Self::Folder { .. } => "choose another place with $XDG_STATE_HOME",
            Self::NoHome { what: "cache", .. } => "choose a place with `--cache-dir`",
            Self::NoHome { .. } => "set $XDG_STATE_HOME to a folder that stays",
            Self::DemoInsideItself { .. } => "set $TMPDIR to a folder outside of it and run the demo again",
        };
        Some(text.to_owned())
    }
}
