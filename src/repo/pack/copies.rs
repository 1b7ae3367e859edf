//! The two objects a pack may be: `packs/<id>`, and `mended/<id>` where that one is damaged or gone.
//!
//! Their names are the same hash, so that either is as good as the other if its bytes are right. A reader asks for
//! the second only when the first fails it, and believes neither more than the other.

use std::collections::{HashMap, HashSet};

use crate::base::id::PackId;
use crate::base::object::{ObjectKind, ObjectName};
use crate::repo::error::RepoError;
use crate::repo::pack::reader;
use crate::storage::{ObjectEntry, Storage, StorageError};

/// The name of a pack that was mended.
pub fn mended_name(id: PackId) -> ObjectName {
    ObjectName::of(ObjectKind::Mended, id)
}

/// What `read` makes of the pack, or, if that fails, of its mended copy. If both fail, why the pack itself did.
pub fn either<T>(id: PackId, mut read: impl FnMut(&ObjectName) -> Result<T, RepoError>) -> Result<T, RepoError> {
    match read(&reader::name(id)) {
        Err(RepoError::Interrupted) => Err(RepoError::Interrupted),
        Err(first) => read(&mended_name(id)).map_err(|_| first),
        good => good,
    }
}

/// Every pack of a store, whether as itself or mended: entries are named `packs/<id>`, and a pack that is only there
/// mended has the size of its copy. Whoever asks which packs exist must ask here.
pub fn list(storage: &dyn Storage) -> Result<Vec<ObjectEntry>, StorageError> {
    let mut packs = storage.list(ObjectKind::Pack)?;
    let mended = storage.list(ObjectKind::Mended)?;
    if mended.is_empty() {
        return Ok(packs);
    }
    let there: HashSet<String> = packs.iter().map(|entry| entry.name.text().to_owned()).collect();
    for entry in mended {
        if let Ok(id) = entry.name.text().parse::<PackId>()
            && !there.contains(entry.name.text())
        {
            packs.push(ObjectEntry { name: reader::name(id), ..entry });
        }
    }
    Ok(packs)
}

/// The packs that have a mended copy, and its stored bytes.
pub fn mended(storage: &dyn Storage) -> Result<HashMap<PackId, u64>, StorageError> {
    let listed = storage.list(ObjectKind::Mended)?.into_iter();
    Ok(listed.filter_map(|entry| Some((entry.name.text().parse().ok()?, entry.bytes))).collect())
}

/// Deletes a pack, and its mended copy before it: no listing may find the copy and take it for a pack that was lost.
pub fn delete(storage: &dyn Storage, id: PackId) -> Result<(), StorageError> {
    storage.delete(&mended_name(id))?;
    storage.delete(&reader::name(id))
}
