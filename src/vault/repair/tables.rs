//! The tables of a few packs: their own where that can be read, else as a segment has them.

use std::collections::{BTreeSet, HashMap};

use crate::base::id::PackId;
use crate::base::object::ObjectKind;
use crate::repo::Repository;
use crate::repo::index::segment::{self, Segment};
use crate::repo::journal::State;
use crate::repo::pack::copies;
use crate::repo::pack::{PackTable, reader};
use crate::vault::{Context, VaultError};

/// Finds them. Segments are read one after the other, and only if some table is damaged.
pub fn of(
    repository: &Repository,
    journal: &State,
    packs: BTreeSet<PackId>,
    context: Context<'_>,
) -> Result<HashMap<PackId, PackTable>, VaultError> {
    let mut found = HashMap::new();
    if packs.is_empty() {
        return Ok(found);
    }
    for entry in copies::list(&*repository.storage)? {
        let Ok(pack) = entry.name.text().parse::<PackId>() else { continue };
        if packs.contains(&pack)
            && let Ok(table) = reader::read_table(repository, pack, entry.bytes)
        {
            found.insert(pack, table);
        }
    }
    for entry in repository.storage.list(ObjectKind::Index)? {
        if found.len() == packs.len() {
            break;
        }
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        let Some(id) = segment::id_of(&entry.name).filter(|id| !journal.is_segment_doomed(id)) else { continue };
        // One that cannot be read is the business of mending the index.
        let Ok(segment) = Segment::load(repository, id) else { continue };
        for (pack, _, table) in segment.packs().flatten() {
            if packs.contains(&pack) {
                found.entry(pack).or_insert(table);
            }
        }
    }
    Ok(found)
}
