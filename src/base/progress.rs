//! How operations tell what they do. The library never prints; terminal bar, JSON lines and test recorders
//! are implementations of [`Progress`].

use std::path::Path;

/// The parts of an operation a person waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Reading the index of the repository.
    Index,
    /// Walking and reading sources.
    Backup,
    /// Copying snapshots into another repository.
    Copy,
    /// Writing the last packs, the index segment and the manifest.
    Commit,
    /// Reading trees to learn what is to be written.
    Plan,
    /// Writing files.
    Restore,
    /// Reading back what was written.
    Verify,
    /// Following references from snapshots.
    Structure,
    /// Reading packs.
    Data,
    /// Hashing objects without a key.
    Storage,
    /// Writing what is left of packs into new ones.
    Repack,
    /// Reading back the copies that are kept.
    Copies,
    /// Reading packs to make parity over them.
    Parity,
    /// Putting damaged packs together again.
    Mend,
}

/// One thing that happened.
pub enum Event<'a> {
    /// A new phase began; the total is in bytes and may be unknown.
    Phase {
        /// Which one.
        phase: Phase,
        /// Bytes to do, if known.
        total: Option<u64>,
    },
    /// So many more bytes and files are done in this phase.
    Advanced {
        /// Bytes.
        bytes: u64,
        /// Files (or objects, when checking).
        files: u64,
    },
    /// A step without a measure of its own began.
    Step {
        /// What it does, as a sentence without a stop.
        does: &'a str,
    },
    /// The total grew or shrank: known bytes to do in this phase.
    Total(u64),
    /// Something went wrong that does not stop the run. It also stands in the operation's report.
    Problem {
        /// The file or object.
        path: &'a Path,
        /// Why.
        cause: &'a str,
    },
}

/// Receives events, from several threads at once.
pub trait Progress: Send + Sync {
    /// Called for every event; must return quickly.
    fn on(&self, event: Event<'_>);
}

/// Ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn on(&self, _: Event<'_>) {}
}
