//! Why a verb failed.

use std::path::PathBuf;

use crate::base::hint::Hint;
use crate::repo::RepoError;
use crate::storage::StorageError;
use crate::sys::process::shown_word;

/// A verb that did not reach its end. What was lost on the way without stopping it stands in its report.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A local file or folder.
    #[error("cannot {action} {}: {source}", path.display())]
    Local {
        /// The verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No space for a local file.
    #[error("no space left on the file system of {}", path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
    },
    /// The request contradicts itself or the snapshot.
    #[error("{what}")]
    Request {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A guard stands in the way; nothing was touched.
    #[error("{what}; nothing was forgotten")]
    Guarded {
        /// Which, and how.
        what: String,
        /// What to do.
        hint: String,
    },
    /// What may be deleted cannot be told, so nothing is.
    #[error("{what}; nothing was deleted")]
    Undecided {
        /// Why.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A command whose output was to be stored failed.
    #[error("`{command}` ended with {status}; nothing was committed")]
    Command {
        /// The command.
        command: String,
        /// Its exit status.
        status: String,
    },
    /// An archive that cannot be read to its end.
    #[error("{} is damaged {place}: {why}; nothing of it was imported", archive.display())]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// In or behind which member.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Stopped on request.
    #[error("interrupted")]
    Interrupted,
}

impl From<StorageError> for VaultError {
    fn from(error: StorageError) -> Self {
        Self::Repo(error.into())
    }
}

impl VaultError {
    /// A failed local call; a full disk is told apart.
    pub fn local(action: &'static str, path: impl Into<PathBuf>, source: impl Into<std::io::Error>) -> Self {
        let (path, source) = (path.into(), source.into());
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Local { action, path, source },
        }
    }
}

impl Hint for VaultError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Repo(cause) => cause.hint(),
            Self::NoSpace { .. } => Some("free some space there and run the command again".to_owned()),
            Self::Request { hint, .. } => hint.clone(),
            Self::Guarded { hint, .. } | Self::Undecided { hint, .. } => Some(hint.clone()),
            Self::Command { .. } => Some("run the command by hand and mend what it says".to_owned()),
            Self::Archive { archive, .. } => Some(archive_hint(archive)),
            Self::Interrupted => Some("run the command again: it continues from what was stored".to_owned()),
            Self::Local { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Some("run as root, or as the account that owns the files".to_owned())
            }
            Self::Local { .. } => None,
        }
    }
}

/// A damaged archive cannot be mended here; whether it is the archive or the disk, other programs tell too. Reading it
/// to its end tries the packing and what is packed.
fn archive_hint(archive: &std::path::Path) -> String {
    let shown = shown_word(&archive.to_string_lossy());
    format!("see whether `tar -tf {shown}` reads it to its end; if that fails too, import another copy of it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_look_at_an_archive_can_be_typed_as_it_stands() {
        let hint = archive_hint(std::path::Path::new("/backups/my old dss.tar.gz"));
        assert!(hint.contains("`tar -tf '/backups/my old dss.tar.gz'`"), "{hint}");
    }
}
