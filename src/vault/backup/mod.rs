//! Backing up: walk, compare, read, cut, store, commit (`docs/architecture.md`, "The way of a backup").

mod advice;
mod assemble;
mod batch;
pub(in crate::vault) mod chunkers;
mod fingerprint;
mod fragments;
mod grafts;
pub(in crate::vault) mod identity;
mod import;
mod input;
pub(in crate::vault) mod item;
mod lister;
mod passes;
pub(in crate::vault) mod pipeline;
mod problems;
mod roots;
pub(in crate::vault) mod run;
mod source;
mod state;
mod steward;
pub(in crate::vault) mod store;
mod stored;
mod stream;
mod walk;

use std::path::PathBuf;

use crate::base::clock::Timestamp;
use crate::base::id::SnapshotId;
use crate::repo::snapshot::{Manifest, Member};

pub use grafts::{StreamKind, StreamSink};
pub use identity::adopt as adopt_node;
pub use import::{Archive, Layout};
pub use roots::{Root, Upper};
pub use run::{run, run_attended};
#[cfg(feature = "testing")]
pub use state::fuzz as fuzz_state;
pub use steward::{Steward, Unattended};
pub(in crate::vault) use store::pack_bytes;

/// What to back up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or directory tree.
    Path(PathBuf),
    /// A tree put together from several places.
    Assembled(Assembled),
    /// What a tar archive holds.
    Archive(Archive),
    /// Standard input under this name.
    Stdin {
        /// File name in the snapshot.
        name: String,
    },
    /// The standard output of a shell command under this name; its failure fails the snapshot.
    Command {
        /// File name in the snapshot.
        name: String,
        /// Given to `sh -c`.
        command: String,
    },
    /// Nothing but what the steward brings: these members.
    Attended(Vec<Member>),
}

/// A tree whose parts stand elsewhere in the snapshot than where they lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// What the user named, for people and to tell this source from others.
    pub name: PathBuf,
    /// Kinds and names of its parts, for the manifest.
    pub members: Vec<Member>,
    /// Top-level entries of the snapshot.
    pub root: Upper,
}

/// How to back it up.
#[derive(Debug, Clone, Default)]
pub struct BackupOptions {
    /// Patterns as restic reads them: without a slash they match a name anywhere; `!` in front re-includes.
    pub exclude: Vec<String>,
    /// Leave out the content of directories that hold a file of this name.
    pub exclude_if_present: Vec<String>,
    /// Stay on the file systems of the sources.
    pub one_file_system: bool,
    /// Store nothing; tell what would be stored.
    pub dry_run: bool,
    /// Read every file again, whatever the last state says.
    pub force: bool,
    /// Tags, any order.
    pub tags: Vec<String>,
    /// Label of the node; the host name if absent.
    pub node: Option<String>,
    /// By what the node is known on this machine; its label if absent.
    pub identity: Option<String>,
    /// Time of the snapshot; now if absent.
    pub time: Option<Timestamp>,
}

/// What a backup did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BackupReport {
    /// The snapshot; `None` after a dry run.
    pub snapshot: Option<SnapshotId>,
    /// Its manifest.
    pub manifest: Manifest,
    /// Wall-clock seconds.
    pub seconds: f64,
}
