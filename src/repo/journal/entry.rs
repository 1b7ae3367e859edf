//! What a journal entry can say (`docs/format.md`, "Journal").

use minicbor::{Decode, Encode};

use crate::base::clock::Timestamp;
use crate::base::id::{PackId, SegmentId, SessionId, SlotId, SnapshotId, StoredHash, WriterId};
use crate::repo::journal::facts::Facts;
use crate::repo::journal::ledger::PackFronts;

/// The body of `journal/<n>`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Record {
    /// BLAKE3 of the stored bytes of entry n-1; absent for entry 1.
    #[n(0)]
    pub previous: Option<StoredHash>,
    /// When it was written, by the writer's clock.
    #[n(1)]
    pub time: Timestamp,
    /// What it says.
    #[n(2)]
    pub entry: Entry,
}

/// Packs and index segments an entry speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Objects {
    /// Packs.
    #[n(0)]
    pub packs: Vec<PackId>,
    /// Index segments.
    #[n(1)]
    pub segments: Vec<SegmentId>,
}

impl Objects {
    /// Some packs.
    pub fn packs(packs: impl IntoIterator<Item = PackId>) -> Self {
        Self { packs: packs.into_iter().collect(), segments: Vec::new() }
    }

    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty() && self.segments.is_empty()
    }
}

/// A snapshot that must be kept.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pin {
    /// Why, for people.
    #[n(0)]
    pub note: String,
    /// Until when; for ever if absent.
    #[n(1)]
    pub until: Option<Timestamp>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Closed {
    /// The snapshot name it had reserved.
    #[n(0)]
    pub snapshot: SnapshotId,
    /// Whether that snapshot was committed. If not, no object of that name ever counts.
    #[n(1)]
    pub committed: bool,
}

/// What still counts of a writer whose key was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Revocation {
    /// The last epoch in which its signature counts.
    #[n(0)]
    pub epoch: u32,
    /// Its packs and segments that are accepted.
    #[n(1)]
    pub objects: Objects,
    /// Its snapshots that are accepted.
    #[n(2)]
    pub snapshots: Vec<SnapshotId>,
}

/// A snapshot, and when it was there first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Arrival {
    /// The snapshot.
    #[n(0)]
    pub snapshot: SnapshotId,
    /// When the store had received it, as far as that could be believed then.
    #[n(1)]
    pub time: Timestamp,
}

/// One change of what stored objects mean. Numbers are part of the format; a kind a program does not know is of
/// a newer one, and the whole journal is refused.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Entry {
    /// The state that all entries before it add up to: these may be deleted.
    #[n(0)]
    Checkpoint(#[n(0)] Box<Facts>),
    /// These may be deleted later; nobody who read this relies on them.
    #[n(1)]
    Mark(#[n(0)] Objects),
    /// These are needed after all.
    #[n(2)]
    Unmark(#[n(0)] Objects),
    /// These will be deleted. Final.
    #[n(3)]
    Doom(#[n(0)] Objects),
    /// These were doomed, and are gone.
    #[n(4)]
    Swept(#[n(0)] Objects),
    /// These snapshots are no longer shown; their data is kept until they are purged.
    #[n(5)]
    Forget(#[n(0)] Vec<SnapshotId>),
    /// These are shown again.
    #[n(6)]
    Undelete(#[n(0)] Vec<SnapshotId>),
    /// The data of these is no longer kept for their sake. Final.
    #[n(7)]
    Purge(#[n(0)] Vec<SnapshotId>),
    /// This snapshot must be kept.
    #[n(8)]
    Pin(#[n(0)] SnapshotId, #[n(1)] Pin),
    /// These need not be kept specially any more.
    #[n(9)]
    Unpin(#[n(0)] Vec<SnapshotId>),
    /// This snapshot cannot be read, and deletion shall not wait for it; with the reason.
    #[n(10)]
    Quarantine(#[n(0)] SnapshotId, #[n(1)] String),
    /// This session has ended for ever.
    #[n(11)]
    Close(#[n(0)] SessionId, #[n(1)] Closed),
    /// Every block of these packs was decrypted and every chunk hashed, by whoever had opened the repository with
    /// this key.
    #[n(12)]
    Verified(#[n(0)] PackFronts, #[n(1)] SlotId),
    /// This writer's key no longer counts.
    #[n(13)]
    Revoke(#[n(0)] WriterId, #[n(1)] Revocation),
    /// Chunks are lost, those of these packs (which are marked) or others whose packs nobody knows: no snapshot whose
    /// session had not read this is taken for whole by those that build upon it.
    #[n(14)]
    Lost(#[n(0)] Vec<PackId>),
    /// These snapshots were found for the first time: whatever the store says of their age later does not count.
    #[n(15)]
    Arrived(#[n(0)] Vec<Arrival>),
}

impl Entry {
    /// The word for it in messages.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Checkpoint(_) => "checkpoint",
            Self::Mark(_) => "mark",
            Self::Unmark(_) => "unmark",
            Self::Doom(_) => "doom",
            Self::Swept(_) => "swept",
            Self::Forget(_) => "forget",
            Self::Undelete(_) => "undelete",
            Self::Purge(_) => "purge",
            Self::Pin(..) => "pin",
            Self::Unpin(_) => "unpin",
            Self::Quarantine(..) => "quarantine",
            Self::Close(..) => "close",
            Self::Verified(..) => "verified",
            Self::Revoke(..) => "revoke",
            Self::Lost(_) => "lost",
            Self::Arrived(_) => "arrived",
        }
    }
}
