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
    /// Neither hard links nor exclusive creation work in this place.
    #[error(
        "{location} can create files neither by hard link nor exclusively, so two writers could destroy each other's work"
    )]
    NoExclusiveCreate {
        /// The store.
        location: String,
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

impl Hint for StorageError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } | Self::Truncated { .. } | Self::TooLarge { .. } => {
                Some("run `dssvault check` to see what is damaged".to_owned())
            }
            Self::NoSpace { location, .. } => Some(format!(
                "free some space in {location} and run the command again: it continues from what was stored"
            )),
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
