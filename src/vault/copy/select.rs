//! Which snapshots of the source are meant.

use std::collections::BTreeSet;

use crate::base::id::SnapshotId;
use crate::repo::error::SnapshotLookup;
use crate::repo::{RepoError, Repository};
use crate::vault::copy::CopyOptions;
use crate::vault::copy::inventory::{Held, Inventory};
use crate::vault::{VaultError, browse, forget};

/// Those that are meant, oldest first, so that each finds its predecessor copied.
pub fn wanted(source: &Repository, here: &Inventory, options: &CopyOptions) -> Result<Vec<Held>, VaultError> {
    let named = options
        .snapshots
        .iter()
        .map(|text| named(source, text, options))
        .collect::<Result<BTreeSet<SnapshotId>, VaultError>>()?;
    let all = options.snapshots.is_empty();
    let meant = |held: &&Held| if all { held.matches && !held.forgotten } else { named.contains(&held.id) };
    let mut wanted: Vec<Held> = here.all().filter(meant).cloned().collect();
    wanted.sort_by_key(|held| (held.time, held.id));
    Ok(wanted)
}

/// A snapshot by what the user wrote; a forgotten one only by its id.
fn named(source: &Repository, text: &str, options: &CopyOptions) -> Result<SnapshotId, VaultError> {
    match browse::find(source, text, &options.filter) {
        Ok(listed) => Ok(listed.id),
        Err(VaultError::Repo(RepoError::Snapshot(SnapshotLookup::None(none)))) => {
            let journal = source.journal().load()?;
            let found = forget::among(journal.forgotten.keys(), &[none], SnapshotLookup::None)?;
            found.first().copied().ok_or_else(|| RepoError::Snapshot(SnapshotLookup::None(text.to_owned())).into())
        }
        Err(error) => Err(error),
    }
}
