//! Reading all manifests, in parallel and in bounded memory.

use rayon::prelude::*;

use crate::base::clock::Timestamp;
use crate::base::id::SnapshotId;
use crate::repo::snapshot::{self, Manifest, SnapshotRecord, StoredSnapshot};
use crate::repo::{RepoError, Repository};
use crate::storage::StorageError;
use crate::vault::VaultError;
use crate::vault::browse::{Filter, Listed, Listing};

/// Manifests read before they are looked at: one may have megabytes of problems.
const BATCH: usize = 64;

/// One snapshot that counts, or could not be read.
pub struct Seen {
    /// Its id.
    pub id: SnapshotId,
    /// When the store received it.
    pub received: Timestamp,
    /// Its manifest.
    pub manifest: Result<Manifest, RepoError>,
}

/// Calls `visit` with every listed snapshot that `counts` and is neither aborted nor forgotten, in order of id.
pub fn each(
    repository: &Repository,
    counts: impl Fn(&StoredSnapshot) -> bool,
    mut visit: impl FnMut(Seen),
) -> Result<(), VaultError> {
    let mut stored = snapshot::list(repository)?;
    stored.retain(counts);
    let journal = repository.journal().load()?;
    stored.retain(|stored| !journal.is_forgotten(&stored.id) && !journal.is_void(&stored.id));
    for batch in stored.chunks(BATCH) {
        let read: Vec<Option<Seen>> = batch.par_iter().map(|stored| read(repository, stored)).collect();
        read.into_iter().flatten().for_each(&mut visit);
    }
    Ok(())
}

fn read(repository: &Repository, stored: &StoredSnapshot) -> Option<Seen> {
    let manifest = match snapshot::load(repository, &stored.id) {
        Ok((_, SnapshotRecord::Committed(manifest))) => Ok(*manifest),
        Ok((_, SnapshotRecord::Aborted(_))) => return None,
        // Purged since the listing.
        Err(RepoError::Storage(StorageError::NotFound { .. })) => return None,
        Err(error) => Err(error),
    };
    Some(Seen { id: stored.id, received: stored.created, manifest })
}

/// See [`super::list()`].
pub fn run(repository: &Repository, filter: &Filter) -> Result<Listing, VaultError> {
    let mut listing = Listing { snapshots: Vec::new(), unreadable: Vec::new() };
    each(
        repository,
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
