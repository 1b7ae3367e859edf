//! What a copy did.

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::id::{NodeId, SnapshotId};
use crate::repo::Repository;
use crate::vault::copy::inventory::Held;

/// Bytes and chunks of one snapshot, on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Travel {
    /// Bytes of all files of the snapshot, holes left out.
    pub bytes: u64,
    /// Chunks of files that were read from the source.
    pub chunks_read: u64,
    /// Their bytes.
    pub bytes_read: u64,
    /// Bytes of files the target had already, or that are repeated in the snapshot: not read.
    pub bytes_skipped: u64,
    /// Chunks that were new to the target, parts of directories among them.
    pub chunks_added: u64,
    /// Their bytes.
    pub bytes_added: u64,
    /// Bytes of the packs written to the target.
    pub bytes_stored: u64,
    /// Directories taken over whole, with all that is below them.
    pub directories_taken_over: u64,
}

impl Travel {
    /// It, with what was added to the target.
    pub(super) fn with(mut self, added: &Self) -> Self {
        self.add(added);
        self.bytes_skipped = self.bytes.saturating_sub(self.bytes_read);
        self
    }

    /// Adds another snapshot's.
    pub fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.chunks_read += other.chunks_read;
        self.bytes_read += other.bytes_read;
        self.bytes_skipped += other.bytes_skipped;
        self.chunks_added += other.chunks_added;
        self.bytes_added += other.bytes_added;
        self.bytes_stored += other.bytes_stored;
        self.directories_taken_over += other.directories_taken_over;
    }
}

/// A snapshot that was copied, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Its id in the source.
    pub source: SnapshotId,
    /// Its id in the target; `None` in a dry run.
    pub snapshot: Option<SnapshotId>,
    /// The node it is of.
    pub node: NodeId,
    /// The node's label.
    pub label: String,
    /// The time it shows.
    pub time: Timestamp,
    /// What travelled.
    pub travel: Travel,
}

impl Copied {
    /// One that would be copied.
    pub(super) fn planned(held: &Held) -> Self {
        Self {
            source: held.id,
            snapshot: None,
            node: held.node,
            label: held.label.clone(),
            time: held.time,
            travel: Travel::default(),
        }
    }

    /// The copy, as the target holds it.
    pub(super) fn arrived(&self, held: &Held) -> Held {
        Held { id: self.snapshot.unwrap_or(held.id), forgotten: false, ..held.clone() }
    }
}

/// A snapshot of which the target has a copy already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Present {
    /// Its id in the source.
    pub source: SnapshotId,
    /// The copy's id in the target.
    pub snapshot: SnapshotId,
    /// Whether the target has forgotten it.
    pub forgotten: bool,
    /// Whether it was gone through for what the target had lost of it.
    pub refilled: bool,
}

impl Present {
    pub(super) fn of(held: &Held, copy: &Held, refilled: bool) -> Self {
        Self { source: held.id, snapshot: copy.id, forgotten: copy.forgotten, refilled }
    }
}

/// A snapshot that was not copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// Its object in the source.
    pub object: String,
    /// The file that cannot be read, if it is about one; lossy UTF-8.
    pub path: Option<String>,
    /// Why.
    pub cause: String,
    /// Whether a copy is there: only what that had lost was not all brought.
    pub present: bool,
}

impl Failed {
    pub(super) fn of(held: &Held, path: Option<Vec<u8>>, cause: String) -> Self {
        let path = path.map(|path| format!("/{}", String::from_utf8_lossy(&path)));
        Self { object: crate::repo::snapshot::name(&held.id).to_string(), path, cause, present: false }
    }

    pub(super) fn unreadable((object, cause): &(String, String)) -> Self {
        Self { object: object.clone(), path: None, cause: cause.clone(), present: false }
    }
}

/// What two repositories have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Likeness {
    /// Equal chunks have equal ids: what the target has need not be read.
    pub names: bool,
    /// Equal files are cut alike: backups into the target find the copied chunks.
    pub cuts: bool,
}

impl Likeness {
    /// Compares.
    pub fn of(source: &Repository, target: &Repository) -> Self {
        Self {
            names: source.secrets.names_like(&target.secrets),
            cuts: source.secrets.cuts_like(&target.secrets) && source.config.sizes_like(&target.config),
        }
    }
}

/// What a copy did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CopyReport {
    /// Whether nothing was stored.
    pub dry_run: bool,
    /// What the repositories have in common.
    pub likeness: Likeness,
    /// Snapshots that were copied, or would be; oldest first.
    pub copied: Vec<Copied>,
    /// Snapshots the target had.
    pub present: Vec<Present>,
    /// What travelled for those that were gone through.
    pub refill: Travel,
    /// Snapshots that could not be copied.
    pub failed: Vec<Failed>,
    /// Snapshots of the target that cannot be read: one of them may be a copy that was made again.
    pub unreadable_there: usize,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl CopyReport {
    pub(super) fn new(likeness: Likeness, dry_run: bool) -> Self {
        Self {
            dry_run,
            likeness,
            copied: Vec::new(),
            present: Vec::new(),
            refill: Travel::default(),
            failed: Vec::new(),
            unreadable_there: 0,
            seconds: 0.0,
        }
    }

    /// All that travelled.
    pub fn travel(&self) -> Travel {
        self.copied.iter().fold(self.refill, |mut sum, copied| {
            sum.add(&copied.travel);
            sum
        })
    }
}
