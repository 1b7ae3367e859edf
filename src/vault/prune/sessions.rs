//! Sessions as they stand in the store (`docs/protocol.md`, "Words").

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::base::object::{ObjectKind, ObjectName};
use crate::repo::session::{self, Lease, SessionRecord};
use crate::repo::snapshot::{self, SnapshotRecord};
use crate::repo::{RepoError, Repository, plain};
use crate::storage::{ObjectEntry, StorageError};
use crate::vault::VaultError;

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing stands under the name it reserved.
    Live,
    /// Its snapshot was committed.
    Committed,
    /// It gave up, or was ended.
    Aborted,
    /// It is over, for something stands under its name; what, cannot be read.
    Unclear,
}

/// A session whose record is there.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its id.
    pub id: SessionId,
    /// What it said of itself when it began.
    pub record: SessionRecord,
    /// Up to which entry it read the journal, as its first lease has it; nothing while there is none (D6).
    pub seen: Option<u64>,
    /// When it gave the last sign of life: the store's time.
    pub last_sign: Timestamp,
    /// How it stands.
    pub standing: Standing,
    /// Its leases, then its record: the order in which they may be removed.
    pub objects: Vec<ObjectName>,
}

/// All sessions, in order of id. What stands under their names is asked after they were listed.
pub fn list(repository: &Repository) -> Result<Vec<Found>, VaultError> {
    let mut objects = BTreeMap::<SessionId, Vec<(u32, ObjectEntry)>>::new();
    for entry in repository.storage.list(ObjectKind::Session)? {
        if let Some((id, number)) = session::parse_name(&entry.name) {
            objects.entry(id).or_default().push((number, entry));
        }
    }
    let read = |(id, mut entries): (SessionId, Vec<(u32, ObjectEntry)>)| {
        entries.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        match read(repository, id, &entries) {
            // It ended while it was looked at, and another owner removed it; or its record is still under way.
            Err(RepoError::Storage(StorageError::NotFound { .. })) => Ok(None),
            Err(error @ RepoError::Damaged { .. }) => Err(unknown(&error, id, &entries)),
            found => Ok(Some(found?)),
        }
    };
    let found = objects.into_par_iter().map(read).collect::<Result<Vec<_>, VaultError>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// The error of a session whose record cannot be read: which name it reserved is not known, so it cannot be ended.
fn unknown(error: &RepoError, id: SessionId, entries: &[(u32, ObjectEntry)]) -> VaultError {
    let sign = entries.iter().map(|(_, entry)| entry.created).max().unwrap_or_default();
    let name = session::object_name(id, 0);
    VaultError::Undecided {
        what: error.to_string(),
        hint: format!(
            "whether this backup still runs is not known; it gave its last sign of life on {}. If none runs that \
             began before, and no machine that ran one is suspended, delete the object {name} from the store, and prune again",
            sign.local()
        ),
    }
}

fn read(repository: &Repository, id: SessionId, entries: &[(u32, ObjectEntry)]) -> Result<Found, RepoError> {
    let record = session::load(repository, &session::object_name(id, 0))?;
    let seen = match repository.unseal(&session::object_name(id, 1)) {
        Ok(lease) => {
            plain::decode_body::<Lease>(&session::object_name(id, 1), &lease.body).ok().map(|lease| lease.seen)
        }
        // One that cannot be read says nothing, which only makes owners wait (D6).
        Err(RepoError::Storage(StorageError::NotFound { .. }) | RepoError::Damaged { .. }) => None,
        Err(error) => return Err(error),
    };
    let standing = match session::read_record(repository, &snapshot::name(&record.snapshot)) {
        Ok(SnapshotRecord::Committed(_)) => Standing::Committed,
        Ok(SnapshotRecord::Aborted(_)) => Standing::Aborted,
        Err(RepoError::Storage(StorageError::NotFound { .. })) => Standing::Live,
        Err(RepoError::Damaged { .. }) => Standing::Unclear,
        Err(error) => return Err(error),
    };
    let last_sign = entries.iter().map(|(_, entry)| entry.created).max().unwrap_or_default();
    let objects = entries.iter().map(|(_, entry)| entry.name.clone()).collect();
    Ok(Found { id, record, seen, last_sign, standing, objects })
}
