//! Of what a copied snapshot is a copy.

use minicbor::{Decode, Encode};

use crate::base::clock::Timestamp;
use crate::base::id::{RepositoryId, SnapshotId};

/// The first snapshot in a row of copies: a copy of a copy names what both are copies of.
///
/// It promises that the tree holds exactly what the tree of that snapshot holds. Whoever makes a snapshot of another
/// tree out of a copy leaves it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Origin {
    /// The repository it was made in.
    #[n(0)]
    pub repository: RepositoryId,
    /// Its id there.
    #[n(1)]
    pub snapshot: SnapshotId,
    /// When the store of that repository received it.
    #[n(2)]
    pub received: Timestamp,
}

impl Origin {
    /// Which snapshot it is, wherever it lies.
    pub fn key(&self) -> (RepositoryId, SnapshotId) {
        (self.repository, self.snapshot)
    }
}
