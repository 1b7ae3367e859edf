//! What can go wrong in a store, by meaning.

use std::io;

use crate::base::hint::Hint;
use crate::base::object::ObjectName;

/// A failed storage call.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The object is not there.
    #[error("{name} is missing from {location}")]
    NotFound {
        /// The object.
        name: ObjectName,
        /// The store.
        location: String,
    },
    /// The object ends before the bytes that were asked for.
    #[error("{name} is truncated: it ends before byte {wanted}")]
    Truncated {
        /// The object.
        name: ObjectName,
        /// First byte beyond what was wanted.
        wanted: u64,
    },
    /// The object is larger than anything of its kind can be.
    #[error("{name} is {bytes} bytes long, more than the {limit} an object of its kind may have")]
    TooLarge {
        /// The object.
        name: ObjectName,
        /// Its size.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// No space or quota left.
    #[error("no space left in {location} while writing {what}")]
    NoSpace {
        /// The store.
        location: String,
        /// What was being written.
        what: String,
    },
    /// Another writer reserved the name and has not finished: it works very slowly, or died.
    #[error("{name} in {location} is empty: its writer has not finished, or died while creating it")]
    Unfinished {
        /// The object.
        name: ObjectName,
        /// The store.
        location: String,
    },
    /// The store was made where hard links work, and here they do not.
    #[error("{location} cannot make hard links, by which this repository creates its objects: {source}")]
    NoHardLinks {
        /// The store.
        location: String,
        /// What `link` said.
        source: io::Error,
    },
    /// A new repository was to be laid out among other files.
    #[error("{location} is not empty and is not a repository: it holds `{found}`")]
    NotEmpty {
        /// The directory.
        location: String,
        /// One thing in it.
        found: String,
    },
    /// The directory lost a folder of the layout, or never was a repository.
    #[error("folder {folder} is missing from {location}")]
    NoFolder {
        /// The folder.
        folder: &'static str,
        /// The store.
        location: String,
    },
    /// Neither hard links nor exclusive creation work in this place.
    #[error(
        "{location} can create files neither by hard link nor exclusively, so two writers could destroy each other's work"
    )]
    NoExclusiveCreate {
        /// The store.
        location: String,
    },
    /// What was written cannot be made durable in this place.
    #[error("{location} cannot make a {what} durable: {source}")]
    NotDurable {
        /// The store.
        location: String,
        /// File or folder.
        what: &'static str,
        /// What `fsync` said.
        source: io::Error,
    },
    /// The operating system refused.
    #[error("cannot {action} {what}: {source}")]
    Io {
        /// The verb.
        action: &'static str,
        /// The file, folder or object.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl StorageError {
    /// The error for a refused system call on `what` in the store `location`. A full disk or quota is told apart.
    pub fn from_io(action: &'static str, what: impl Into<String>, location: &str, source: io::Error) -> Self {
        let what = what.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { location: location.to_owned(), what }
            }
            _ => Self::Io { action, what, source },
        }
    }
}

impl Hint for StorageError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } | Self::Truncated { .. } | Self::TooLarge { .. } => {
                Some("run `dssvault check` to see what is damaged".to_owned())
            }
            Self::NoSpace { location, .. } => Some(format!(
                "free some space in {location} and run the command again: it continues from what was stored"
            )),
            Self::Unfinished { name, location } => Some(format!(
                "wait for the other command; if none runs on any machine, remove the empty file {name} from {location}"
            )),
            Self::NoHardLinks { .. } => Some(
                "move the repository to a file system with hard links, for example ext4, xfs, btrfs or NFS".to_owned(),
            ),
            Self::NotEmpty { .. } => Some("name a new or an empty directory".to_owned()),
            Self::NoFolder { folder, location } => Some(format!(
                "check that {location} is the repository and its disk is mounted; if a copy dropped empty folders, create {folder} again"
            )),
            Self::NotDurable { .. } => Some("choose a place on a file system that supports fsync".to_owned()),
            Self::NoExclusiveCreate { .. } => {
                Some("choose a local disk, or an NFS or SMB share with hard links or exclusive create".to_owned())
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("run as the account that owns the repository".to_owned())
            }
            Self::Io { .. } => None,
        }
    }
}
