//! What can be wrong with a repository, by meaning. Every variant names the object.

use crate::base::hint::Hint;
use crate::base::id::ChunkId;
use crate::base::object::ObjectName;
use crate::repo::keys::BadWords;
use crate::storage::StorageError;

/// A failed operation on a repository.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is no repository in this place.
    #[error("there is no repository at {location}")]
    NoRepository {
        /// The place.
        location: String,
    },
    /// `init` found one.
    #[error("there is already a repository at {location}")]
    AlreadyInitialised {
        /// The place.
        location: String,
    },
    /// No slot opens with this password or these words.
    #[error("wrong password or recovery key for the repository at {location}")]
    WrongPassword {
        /// The place.
        location: String,
    },
    /// No readable slot opens with this password or these words, and some slots cannot be read.
    #[error(
        "no readable key slot of the repository at {location} opens with this password or recovery key, and {damaged} \
         could not be read: {first}"
    )]
    WrongPasswordOrDamaged {
        /// The place.
        location: String,
        /// How many slots could not be read.
        damaged: usize,
        /// What is wrong with the first of them.
        first: Box<Self>,
    },
    /// What was offered as recovery words cannot be.
    #[error(transparent)]
    RecoveryWords(#[from] BadWords),
    /// Stored bytes are not what they must be.
    #[error("{name} is damaged: {why}")]
    Damaged {
        /// The object.
        name: ObjectName,
        /// What does not fit.
        why: String,
    },
    /// The object needs a newer program.
    #[error("{name} was written by a newer version of dssvault ({what})")]
    TooNew {
        /// The object.
        name: ObjectName,
        /// Format version or feature bits.
        what: String,
    },
    /// No readable copy of a chunk is known.
    #[error("chunk {id} is missing: no readable copy of it is in the repository")]
    ChunkMissing {
        /// The chunk.
        id: ChunkId,
    },
    /// A tree chunk whose bytes are what was stored, but what was stored cannot be a tree.
    #[error("tree {id} is malformed: {why}")]
    BadTree {
        /// The chunk.
        id: ChunkId,
        /// What does not fit.
        why: String,
    },
    /// Text that names no snapshot, or several.
    #[error("{0}")]
    Snapshot(SnapshotLookup),
    /// The local cache or state directory cannot be used.
    #[error("cannot {action} {what}: {why}")]
    Local {
        /// The verb.
        action: &'static str,
        /// The file.
        what: String,
        /// Why.
        why: String,
    },
    /// What was to be stored is longer than any reader takes.
    #[error("{what} would have {bytes} bytes, more than can be read back")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// Key material was asked for costs beyond the bounds, or cannot be derived.
    #[error("{name} asks for key derivation costs out of bounds: {why}")]
    KeyCost {
        /// The slot.
        name: ObjectName,
        /// Which one.
        why: String,
    },
    /// The journal says otherwise.
    #[error("{name} cannot be written as `{what}`: {why}")]
    Refused {
        /// The journal entry.
        name: ObjectName,
        /// The kind of entry.
        what: &'static str,
        /// What it would contradict.
        why: String,
    },
    /// The snapshot's name was taken by an abort record: the session was fenced.
    #[error("session {session} was ended by the owner; its snapshot was not committed")]
    Fenced {
        /// The session.
        session: crate::base::id::SessionId,
    },
    /// Stopped on request.
    #[error("interrupted")]
    Interrupted,
}

/// Why a snapshot could not be chosen.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SnapshotLookup {
    /// Nothing matches.
    #[error("no snapshot matches `{0}`")]
    None(String),
    /// None of those that were forgotten and not purged matches.
    #[error("no forgotten snapshot matches `{0}`")]
    NoneForgotten(String),
    /// None of those that are pinned matches.
    #[error("no pinned snapshot matches `{0}`")]
    NonePinned(String),
    /// More than one matches.
    #[error("`{wanted}` matches several snapshots: {found}")]
    Several {
        /// What was asked.
        wanted: String,
        /// The short ids.
        found: String,
    },
    /// `latest` in a repository of several nodes.
    #[error("`latest` is ambiguous: the repository holds snapshots of several nodes: {0}")]
    SeveralNodes(String),
    /// `latest`, where one that cannot be read may be it.
    #[error("`{wanted}` cannot be told, for a snapshot that may be newer cannot be read: {cause}")]
    Doubtful {
        /// What was asked.
        wanted: String,
        /// Which cannot be read, and why.
        cause: String,
    },
}

impl RepoError {
    /// Whether it tells of the store or of this machine, and nothing of an object: asked again it may be another answer.
    /// A disk that cannot read a place (`EIO`) has lost it.
    pub fn is_of_store(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::ChunkMissing { .. } | Self::BadTree { .. } => false,
            Self::Storage(
                StorageError::NotFound { .. } | StorageError::Truncated { .. } | StorageError::TooLarge { .. },
            ) => false,
            Self::Storage(StorageError::Io { source, .. }) => {
                source.raw_os_error() != Some(rustix::io::Errno::IO.raw_os_error())
            }
            _ => true,
        }
    }

    /// A damaged object.
    pub fn damaged(name: &ObjectName, why: impl std::fmt::Display) -> Self {
        Self::Damaged { name: name.clone(), why: why.to_string() }
    }
}

impl Hint for RepoError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Storage(cause) => return cause.hint(),
            Self::NoRepository { .. } => "check the location, or create a repository with `dssvault init`",
            Self::AlreadyInitialised { .. } => "choose another place, or use the repository that is there",
            Self::WrongPassword { .. } => {
                "check the password file; the recovery key opens it too (`--recovery-key-file F`), and sets a new password: \
                 `dssvault key change-password --recovery-key-file F`"
            }
            Self::WrongPasswordOrDamaged { .. } => {
                "check the password; if it is right its slot is damaged: use the recovery key or another password"
            }
            Self::RecoveryWords(_) => "compare the words with the printed recovery key",
            Self::Damaged { .. } | Self::ChunkMissing { .. } | Self::BadTree { .. } => {
                "run `dssvault check --read-data` to learn which snapshots and files need it; docs/check.md says what to do then"
            }
            Self::TooNew { .. } => "install the current version of dssvault",
            Self::Snapshot(SnapshotLookup::SeveralNodes(_)) => "name the node with `--node LABEL` or `--host NAME`",
            Self::Snapshot(SnapshotLookup::NoneForgotten(_)) => "`dssvault snapshots --forgotten` lists them",
            Self::Snapshot(SnapshotLookup::Doubtful { .. }) => {
                "name a snapshot by its id: `dssvault snapshots` lists them"
            }
            Self::Snapshot(_) => "`dssvault snapshots` lists what there is",
            Self::Local { .. } => "choose another place with `--cache-dir`, or mend its permissions",
            Self::TooLarge { .. } => {
                "nothing was committed; leave out what is so large with `--exclude`, and report this"
            }
            Self::KeyCost { .. } => "the slot is damaged or hostile; open the repository with another key",
            Self::Refused { .. } => "somebody else was faster: look again at what there is, then decide anew",
            Self::Fenced { .. } => "run the backup again",
            Self::Interrupted => "run the command again: it continues from what was stored",
        };
        Some(text.to_owned())
    }
}
