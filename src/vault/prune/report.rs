//! What a prune did, or would do.

use std::ops::AddAssign;

use crate::base::clock::Timestamp;
use crate::base::id::{SessionId, SnapshotId};

/// Objects and their stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their stored bytes.
    pub bytes: u64,
}

impl Tally {
    /// One object.
    pub const fn one(bytes: u64) -> Self {
        Self { count: 1, bytes }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

/// A running session that has not seen a mark: what it marks is deleted once the session has ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WaitingFor {
    /// Which.
    pub session: SessionId,
    /// Where it runs, as it says itself.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// Since when it runs.
    pub started: Timestamp,
}

/// What was done. In a dry run: what would be.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct PruneReport {
    /// Snapshots whose data is kept.
    pub snapshots: u64,
    /// Forgotten snapshots that can no longer be brought back.
    pub purged: Vec<SnapshotId>,
    /// Sessions that were ended because they gave no sign of life.
    pub fenced: Vec<SessionId>,
    /// Packs there were.
    pub packs: Tally,
    /// The part of them that snapshots need, estimated.
    pub used_bytes: u64,
    /// Packs that were marked: nothing new relies on them, and they are deleted after the grace time.
    pub marked: Tally,
    /// Marked packs that turned out to be needed, and are kept.
    pub unmarked: Tally,
    /// Marked packs that are damaged and hold what snapshots need: they stay, and stay marked.
    pub held: Tally,
    /// Packs of the marked ones whose used part was written anew.
    pub repacked: Tally,
    /// Packs that were written for it.
    pub written: Tally,
    /// Packs that were deleted.
    pub deleted: Tally,
    /// Packs that stay marked.
    pub waiting: Tally,
    /// When the first of them may be deleted, if the grace time is what holds them up.
    pub waiting_until: Option<Timestamp>,
    /// Sessions that hold some of them up.
    pub waiting_for: Vec<WaitingFor>,
    /// Index segments that were merged.
    pub segments_merged: u64,
    /// Index segments that were written for it.
    pub segments_written: u64,
    /// Object and cause: what was left alone because it could not be read.
    pub problems: Vec<(String, String)>,
    /// Wall-clock seconds.
    pub seconds: f64,
}
