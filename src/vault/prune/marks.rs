//! Entries that follow from the journal alone: whoever loses a number decides again on the newer state.

use crate::base::clock::Timestamp;
use crate::base::id::{PackId, SnapshotId};
use crate::repo::journal::{Entry, Facts, Objects, State};
use crate::repo::{RepoError, Repository};

/// Packs one entry names at most: 34 bytes each, far below what an entry may have.
pub const PACKS_PER_ENTRY: usize = 500_000;

/// Marks those packs that are neither marked nor doomed.
pub fn mark(repository: &Repository, packs: &[PackId]) -> Result<(), RepoError> {
    each(repository, packs, Entry::Mark, |state, id| !state.is_marked(id))
}

/// Takes the marks of those packs back that have one.
pub fn unmark(repository: &Repository, packs: &[PackId]) -> Result<(), RepoError> {
    each(repository, packs, Entry::Unmark, |state, id| state.packs.marked.contains_key(id))
}

/// Takes the marks of all segments back: those a merge left that was cut off. One that is under way gives up.
pub fn unmark_segments(repository: &Repository) -> Result<(), RepoError> {
    append(repository, |state| {
        let segments: Vec<_> = state.segments.marked.keys().copied().collect();
        (!segments.is_empty()).then_some(Entry::Unmark(Objects { packs: Vec::new(), segments }))
    })?;
    Ok(())
}

fn each(
    repository: &Repository,
    packs: &[PackId],
    entry: impl Fn(Objects) -> Entry,
    applies: impl Fn(&State, &PackId) -> bool,
) -> Result<(), RepoError> {
    for packs in packs.chunks(PACKS_PER_ENTRY) {
        append(repository, |state| {
            let packs = Objects::packs(packs.iter().filter(|id| applies(state, id)).copied());
            (!packs.is_empty()).then(|| entry(packs))
        })?;
    }
    Ok(())
}

/// Purges what was forgotten at or before `until` and is not pinned. Gives what was purged.
pub fn purge(repository: &Repository, until: Timestamp) -> Result<Vec<SnapshotId>, RepoError> {
    let mut purged = Vec::new();
    append(repository, |state| {
        purged = due(state, until);
        (!purged.is_empty()).then(|| Entry::Purge(purged.clone()))
    })?;
    Ok(purged)
}

/// Snapshots that were forgotten at or before a moment and are not pinned.
pub fn due(state: &Facts, until: Timestamp) -> Vec<SnapshotId> {
    let due = state.forgotten.iter().filter(|(id, since)| since.time <= until && !state.pins.contains_key(id));
    due.map(|(id, _)| *id).collect()
}

/// Writes what `decide` gives, asked again on each newer state.
pub fn append(repository: &Repository, mut decide: impl FnMut(&State) -> Option<Entry>) -> Result<State, RepoError> {
    let Repository { secrets, seams, .. } = repository;
    repository.journal().append(secrets, &*seams.clock, |state| Ok(decide(state)))
}
