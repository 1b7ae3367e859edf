//! Everything but packs and index: configuration, key slots, journal, sessions, snapshots.

use std::sync::{Mutex, PoisonError};

use crate::base::id::{ChunkId, SnapshotId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::progress::Event;
use crate::repo::config::RepositoryConfig;
use crate::repo::format::object_bytes_max;
use crate::repo::keys::slot::Slot;
use crate::repo::plain::{self, Unverified};
use crate::repo::snapshot::{self, SnapshotRecord};
use crate::repo::{RepoError, Repository};
use crate::storage::StorageError;
use crate::vault::check::findings::{Findings, cause_for};
use crate::vault::check::{names, workers};
use crate::vault::{Context, VaultError};

/// A committed snapshot to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// Its id.
    pub snapshot: SnapshotId,
    /// Its root directory.
    pub tree: ChunkId,
}

/// Checks every configuration, key slot, journal entry and session. Returns the bytes read.
pub fn small(repository: &Repository, findings: &Findings<'_>, context: Context<'_>) -> Result<u64, VaultError> {
    let mut bytes = 0;
    for kind in [ObjectKind::Config, ObjectKind::Key, ObjectKind::Journal, ObjectKind::Session] {
        for entry in names::list(&*repository.storage, kind, findings) {
            if context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            match one(repository, &entry.name) {
                Ok(None) => {}
                Ok(Some(oddity)) => findings.warning(&entry.name, oddity),
                // A session that ended since the listing.
                Err(RepoError::Storage(StorageError::NotFound { .. })) if kind == ObjectKind::Session => {}
                Err(error) => findings.damage(&entry.name, cause_for(&entry.name, &error)),
            }
            bytes += entry.bytes;
            context.progress.on(Event::Advanced { bytes: entry.bytes, files: 1 });
        }
    }
    Ok(bytes)
}

/// Checks one object; something odd that is no damage is told.
fn one(repository: &Repository, name: &ObjectName) -> Result<Option<&'static str>, RepoError> {
    if name.kind() == ObjectKind::Session {
        repository.unseal(name)?;
        return Ok(None);
    }
    let stored = repository.storage.get(name, object_bytes_max(name.kind()))?;
    let owner = repository.secrets.owner_public();
    if name.kind() == ObjectKind::Key {
        let slot = Slot::parse(name, &stored, &[(repository.id(), owner)])?;
        return Ok(slot.is_none().then_some("it is not signed by the owner of this repository and opens nothing"));
    }
    let body = Unverified::parse(name, &stored)?.verify(&owner, repository.id())?;
    if name.kind() == ObjectKind::Config {
        plain::decode_body::<RepositoryConfig>(name, body)?;
    }
    Ok(None)
}

/// Reads every snapshot; the committed ones, forgotten or not, are returned in order of id, with the bytes read.
pub fn snapshots(
    repository: &Repository,
    findings: &Findings<'_>,
    context: Context<'_>,
) -> Result<(Vec<Root>, u64), VaultError> {
    let entries = names::list(&*repository.storage, ObjectKind::Snapshot, findings);
    let roots = Mutex::new(Vec::new());
    workers::each(
        &entries,
        workers::PACK_WORKERS,
        context.cancel,
        || (),
        |(), entry| {
            let Ok(id) = entry.name.text().parse::<SnapshotId>() else { return };
            match snapshot::load(repository, &id) {
                Ok((_, SnapshotRecord::Committed(manifest))) => {
                    let root = Root { snapshot: id, tree: manifest.root };
                    roots.lock().unwrap_or_else(PoisonError::into_inner).push(root);
                }
                Ok((_, SnapshotRecord::Aborted(_))) => {}
                // Purged since the listing.
                Err(RepoError::Storage(StorageError::NotFound { .. })) => {}
                Err(error) => findings.damage(&entry.name, cause_for(&entry.name, &error)),
            }
            context.progress.on(Event::Advanced { bytes: entry.bytes, files: 1 });
        },
    )?;
    let mut roots = roots.into_inner().unwrap_or_else(PoisonError::into_inner);
    roots.sort_unstable();
    Ok((roots, entries.iter().map(|entry| entry.bytes).sum()))
}
