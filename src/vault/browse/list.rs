//! Reading all manifests, in parallel and in bounded memory.

use rayon::prelude::*;

use crate::base::clock::Timestamp;
use crate::base::id::SnapshotId;
use crate::repo::journal::State;
use crate::repo::snapshot::{self, Manifest, SnapshotRecord, StoredSnapshot};
use crate::repo::{RepoError, Repository};
use crate::storage::StorageError;
use crate::vault::VaultError;
use crate::vault::browse::{Filter, Listed, Listing, Which};

/// Manifests read before they are looked at: one may have megabytes of problems.
const BATCH: usize = 64;

/// One snapshot that counts, or could not be read.
pub struct Seen {
    /// Its id.
    pub id: SnapshotId,
    /// When the store received it, as the store says.
    pub created: Timestamp,
    /// When it was there first, by the journal, or by the store until the journal says so.
    pub received: Timestamp,
    /// Its manifest.
    pub manifest: Result<Manifest, RepoError>,
}

/// Calls `visit` with every listed snapshot of that kind that `counts` and is not aborted, in order of id. Gives the
/// journal as it was read on the way.
pub fn each(
    repository: &Repository,
    which: Which,
    counts: impl Fn(&StoredSnapshot) -> bool,
    mut visit: impl FnMut(Seen),
) -> Result<State, VaultError> {
    let mut stored = snapshot::list(repository)?;
    stored.retain(counts);
    let journal = repository.journal().load()?;
    let voids = journal.voids();
    stored.retain(|stored| which.has(&journal, &stored.id) && !voids.contains(&stored.id));
    for batch in stored.chunks(BATCH) {
        let read: Vec<Option<Seen>> = batch.par_iter().map(|stored| read(repository, &journal, stored)).collect();
        read.into_iter().flatten().for_each(&mut visit);
    }
    Ok(journal)
}

fn read(repository: &Repository, journal: &State, stored: &StoredSnapshot) -> Option<Seen> {
    let manifest = match snapshot::load(repository, &stored.id) {
        Ok((_, SnapshotRecord::Committed(manifest))) => Ok(*manifest),
        Ok((_, SnapshotRecord::Aborted(_))) => return None,
        // Purged since the listing.
        Err(RepoError::Storage(StorageError::NotFound { .. })) => return None,
        Err(error) => Err(error),
    };
    let StoredSnapshot { id, created } = *stored;
    Some(Seen { id, created, received: journal.arrival(&id, created), manifest })
}

/// See [`super::list()`].
pub fn run(repository: &Repository, which: Which, filter: &Filter) -> Result<Listing, VaultError> {
    let mut listing = Listing { snapshots: Vec::new(), unreadable: Vec::new(), journal: State::default() };
    listing.journal = each(
        repository,
        which,
        |_| true,
        |seen| match seen.manifest {
            Ok(mut manifest) if filter.matches(&manifest) => {
                manifest.problems = Vec::new();
                listing.snapshots.push(Listed { id: seen.id, manifest });
            }
            Ok(_) => {}
            Err(error) => listing.unreadable.push((snapshot::name(&seen.id).to_string(), error.to_string())),
        },
    )?;
    listing.snapshots.sort_by_key(|listed| (listed.manifest.time, listed.id));
    Ok(listing)
}
