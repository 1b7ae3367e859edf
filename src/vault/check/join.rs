//! References against the index: two sorted streams, side by side.

use std::collections::HashSet;

use crate::repo::RepoError;
use crate::repo::index::{ChunkPlace, Index, IndexEntry, Prefix};
use crate::vault::check::damage::{Damage, Lost, Why};
use crate::vault::check::references::Sorted;
use crate::vault::{Context, VaultError};

/// References, or entries of the index, between two looks at the request to stop.
pub const STRIDE: u64 = 1 << 16;

/// What the references need.
#[derive(Default)]
pub struct Joined {
    /// Packs with a chunk some snapshot needs.
    pub needed: HashSet<u32>,
    /// Packs that held a chunk which is now lost.
    pub guilty: HashSet<u32>,
}

/// Looks every reference up in one pass over the index. References without a readable copy are noted as lost.
pub fn run(
    references: Sorted,
    index: &Index,
    damage: &Damage,
    lost: &Lost,
    context: Context<'_>,
) -> Result<Joined, VaultError> {
    let mut joined = Joined::default();
    let mut entries = index.scan();
    let mut next = entries.next().transpose()?;
    let mut places = Vec::new();
    for (count, reference) in (0u64..).zip(references) {
        if count.is_multiple_of(STRIDE) && context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        let reference = reference?;
        take_places(reference, &mut next, &mut entries, &mut places)?;
        joined.needed.extend(places.iter().map(|place| place.pack));
        if places.iter().any(|place| !damage.holds(place)) {
            continue;
        }
        joined.guilty.extend(places.iter().map(|place| place.pack));
        lost.note(reference, places.first().map_or(Why::NotIndexed, |place| Why::InPack(place.pack)));
    }
    Ok(joined)
}

/// Moves on to the places of `wanted`.
pub fn take_places(
    wanted: Prefix,
    next: &mut Option<IndexEntry>,
    entries: &mut impl Iterator<Item = Result<IndexEntry, RepoError>>,
    places: &mut Vec<ChunkPlace>,
) -> Result<(), RepoError> {
    places.clear();
    while let Some(entry) = *next {
        if entry.prefix > wanted {
            break;
        }
        if entry.prefix == wanted {
            places.push(entry.place);
        }
        *next = entries.next().transpose()?;
    }
    Ok(())
}
