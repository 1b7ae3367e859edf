//! Step 1: sessions that are over are closed and removed, those without a sign of life are ended first (F1, F2).

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::id::{SessionId, SnapshotId};
use crate::base::object::ObjectName;
use crate::repo::Repository;
use crate::repo::crypt::Sealer;
use crate::repo::journal::entry::{Closed, Entry};
use crate::repo::session::{self, Abandoned};
use crate::repo::snapshot;
use crate::vault::backup::identity;
use crate::vault::prune::marks;
use crate::vault::prune::sessions::{self, Found, Standing};
use crate::vault::{Context, VaultError};

/// A session renews its lease every ten minutes; after three that did not come, its process is looked for.
const MISSED_LEASES: Duration = Duration::from_secs(30 * 60);

/// Ends, closes and removes sessions. Gives those that were ended.
pub fn sessions(
    repository: &Repository,
    sealer: &Sealer,
    fence_after: Duration,
    context: Context<'_>,
) -> Result<Vec<SessionId>, VaultError> {
    let mut fenced = Vec::new();
    let now = repository.seams.clock.now();
    for mut found in sessions::list(repository)? {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        if found.standing == Standing::Live && is_lapsed(&found, now, fence_after) {
            let reason = "ended by an owner: it gave no sign of life";
            found.standing = match session::fence(repository, sealer, found.id, found.record.snapshot, reason)? {
                Abandoned::Ended => Standing::Aborted,
                Abandoned::Committed(_) => Standing::Committed,
            };
            fenced.extend((found.standing == Standing::Aborted).then_some(found.id));
        }
        match found.standing {
            Standing::Live | Standing::Unclear => {}
            // The name of a snapshot is taken until it is purged, and named in the journal for ever after.
            Standing::Committed => remove(repository, &found.objects)?,
            Standing::Aborted => close(repository, &found)?,
        }
    }
    Ok(fenced)
}

/// Whether an owner may try to end it. Nothing of safety rests on it: a session that lives after all is told so when
/// it commits. The store's time is compared with this machine's.
pub fn is_lapsed(found: &Found, now: Timestamp, fence_after: Duration) -> bool {
    let silent = |limit: Duration| i128::from(now.millis_since(found.last_sign)) >= limit.as_millis() as i128;
    silent(fence_after) || silent(MISSED_LEASES) && died_here(found)
}

fn died_here(found: &Found) -> bool {
    found.record.host == identity::host_name() && !Path::new("/proc").join(found.record.pid.to_string()).exists()
}

/// Closes a session that ended without a snapshot, then removes its record, and last what kept others from its name.
fn close(repository: &Repository, found: &Found) -> Result<(), VaultError> {
    let snapshot = found.record.snapshot;
    let entry = Entry::Close(found.id, Closed { snapshot, committed: false });
    marks::append(repository, |state| (!state.closed.contains_key(&found.id)).then(|| entry.clone()))?;
    remove(repository, &found.objects)?;
    remove(repository, &[snapshot::name(&snapshot)])
}

fn remove(repository: &Repository, objects: &[ObjectName]) -> Result<(), VaultError> {
    objects.iter().try_for_each(|name| Ok(repository.storage.delete(name)?))
}

/// Removes the objects of snapshots that are purged, or whose names are worth nothing, unless a session that is still
/// recorded reserved the name or builds upon the snapshot.
pub fn snapshots(repository: &Repository, context: Context<'_>) -> Result<(), VaultError> {
    let journal = repository.journal().load()?;
    let voids = journal.voids();
    let sessions = sessions::list(repository)?;
    let named = |found: &Found| [Some(found.record.snapshot), found.record.parent];
    let held: HashSet<SnapshotId> = sessions.iter().flat_map(named).flatten().collect();
    for stored in snapshot::list(repository)? {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        if (journal.is_purged(&stored.id) || voids.contains(&stored.id)) && !held.contains(&stored.id) {
            remove(repository, &[snapshot::name(&stored.id)])?;
        }
    }
    Ok(())
}
