//! Step 5: the journal, then sessions, then snapshots. What is decided rests on exactly this order (D3, D4).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rayon::prelude::*;

use crate::base::clock::Timestamp;
use crate::base::id::{ChunkId, SessionId, SnapshotId};
use crate::repo::journal::State;
use crate::repo::snapshot::{self, SnapshotRecord};
use crate::repo::{RepoError, Repository};
use crate::storage::StorageError;
use crate::vault::prune::sessions::{self, Found, Standing};
use crate::vault::prune::tidy;
use crate::vault::{Context, VaultError};

/// Trees of snapshots read before: snapshots never change. `None` for an abort record.
pub type Known = HashMap<SnapshotId, Option<ChunkId>>;

/// What there is, read in the order that makes it safe to decide upon.
pub struct Look {
    /// The journal, read first.
    pub journal: State,
    /// Sessions, listed then.
    pub sessions: Vec<Found>,
    /// Snapshots that are kept, or that a live session builds upon, listed last.
    pub roots: HashMap<SnapshotId, ChunkId>,
}

impl Look {
    /// Looks. Fails if a snapshot cannot be read and nobody set it aside: what it needs is not known then. Those of
    /// `purged` are taken for purged, whatever the journal says.
    pub fn take(
        repository: &Repository,
        known: &mut Known,
        purged: &[SnapshotId],
        context: Context<'_>,
    ) -> Result<Self, VaultError> {
        let journal = repository.journal().load()?;
        let sessions = sessions::list(repository)?;
        let parents: HashSet<SnapshotId> =
            sessions.iter().filter(|found| is_live(&journal, found)).filter_map(|found| found.record.parent).collect();
        let voids = journal.voids();
        let counts = |id: &SnapshotId| {
            parents.contains(id)
                || !(journal.is_purged(id)
                    || purged.contains(id)
                    || voids.contains(id)
                    || journal.quarantined.contains_key(id))
        };
        let stored: Vec<SnapshotId> = snapshot::list(repository)?.into_iter().map(|stored| stored.id).collect();
        let wanted: Vec<SnapshotId> = stored.into_iter().filter(counts).collect();
        let new: Vec<SnapshotId> = wanted.iter().filter(|id| !known.contains_key(*id)).copied().collect();
        let read = new.par_iter().map(|id| Ok((*id, tree(repository, id, context)?)));
        known.extend(read.collect::<Result<Vec<_>, VaultError>>()?);
        let roots = wanted.into_iter().filter_map(|id| Some((id, known.get(&id).copied().flatten()?))).collect();
        Ok(Self { journal, sessions, roots })
    }

    /// Takes sessions out that a prune would end now; gives them.
    pub fn without_lapsed(&mut self, fence_after: Duration, now: Timestamp) -> Vec<SessionId> {
        let is_lapsed = |found: &Found| found.standing == Standing::Live && tidy::is_lapsed(found, now, fence_after);
        self.sessions.extract_if(.., |found| is_lapsed(found)).map(|found| found.id).collect()
    }

    /// Takes snapshots out, as if they had been purged, if no session that is left builds upon them.
    pub fn without(&mut self, purged: &[SnapshotId]) {
        let parents: HashSet<SnapshotId> = self.live().filter_map(|found| found.record.parent).collect();
        self.roots.retain(|id, _| !purged.contains(id) || parents.contains(id));
    }

    /// Sessions that may still commit.
    pub fn live(&self) -> impl Iterator<Item = &Found> {
        self.sessions.iter().filter(|found| is_live(&self.journal, found))
    }
}

fn is_live(journal: &State, found: &Found) -> bool {
    found.standing == Standing::Live && !journal.closed.contains_key(&found.id)
}

fn tree(repository: &Repository, id: &SnapshotId, context: Context<'_>) -> Result<Option<ChunkId>, VaultError> {
    if context.cancel.is_requested() {
        return Err(VaultError::Interrupted);
    }
    match snapshot::load(repository, id) {
        Ok((_, SnapshotRecord::Committed(manifest))) => Ok(Some(manifest.root)),
        Ok((_, SnapshotRecord::Aborted(_))) => Ok(None),
        // An abort record that was removed since the listing. Committed snapshots that are not purged stay.
        Err(RepoError::Storage(StorageError::NotFound { .. })) => Ok(None),
        Err(error @ RepoError::Damaged { .. }) => Err(VaultError::Undecided {
            what: error.to_string(),
            hint: format!(
                "what this snapshot needs is not known. `dssvault check` says more; if it is lost for good, \
                 `dssvault prune --quarantine {id}` goes on without it"
            ),
        }),
        Err(error) => Err(error.into()),
    }
}
