//! Steps 8 and 9: deleting what is doomed, and taking it off the dead list once that was answered (S1, S2).

use std::collections::HashSet;

use rayon::prelude::*;

use crate::base::id::{PackId, SegmentId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::repo::Repository;
use crate::repo::index::segment;
use crate::repo::journal::{Entry, Objects, State};
use crate::repo::pack::{copies, reader};
use crate::storage::StorageError;
use crate::vault::parity::Room;
use crate::vault::prune::report::Tally;
use crate::vault::{Context, VaultError, parity};

/// Objects deleted before the journal is read again: an owner that was suspended must not go on for long with what it
/// knew then.
const BATCH: usize = 512;

/// What deleting came to.
#[derive(Default)]
pub struct Deletion {
    /// Packs that were deleted.
    pub packs: Tally,
    /// Objects that could not be deleted (yet), and why.
    failures: Vec<(ObjectName, StorageError)>,
}

/// Deletes everything that is doomed. What cannot be deleted stays doomed and is tried again by the next prune.
pub fn delete(repository: &Repository, room: Room, context: Context<'_>) -> Result<Deletion, VaultError> {
    let mut journal = repository.journal().load()?;
    let mut deletion = Deletion::default();
    if journal.packs.doomed.is_empty() && journal.segments.doomed.is_empty() {
        return Ok(deletion);
    }
    let listed = copies::list(&*repository.storage)?;
    regroup(repository, &journal, room, context)?;
    for names in doomed(&journal).chunks(BATCH) {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        journal = repository.journal().follow_up(journal)?;
        let still = |name: &&ObjectName| is_doomed(&journal, name);
        let delete = |name: &ObjectName| remove(repository, name).err().map(|error| (name.clone(), error));
        deletion.failures.extend(names.par_iter().filter(still).filter_map(delete).collect::<Vec<_>>());
    }
    let kept = deletion.kept();
    let gone = listed.iter().filter(|entry| is_doomed(&journal, &entry.name) && !kept.contains(&entry.name));
    deletion.packs = gone.map(|entry| Tally::one(entry.bytes)).sum();
    Ok(deletion)
}

/// Takes packs out of their groups of parity before they go. What fails there is no reason to keep them: nothing mends
/// a doomed pack back, and the next `parity add` makes the groups right.
fn regroup(repository: &Repository, journal: &State, room: Room, context: Context<'_>) -> Result<(), VaultError> {
    let gone = journal.packs.doomed.keys().copied().collect();
    match parity::regroup(&*repository.storage, &gone, room, context) {
        Err(VaultError::Interrupted) => Err(VaultError::Interrupted),
        _ => Ok(()),
    }
}

impl Deletion {
    /// Objects that are still there.
    fn kept(&self) -> HashSet<ObjectName> {
        self.failures.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Object and cause, for people.
    pub fn problems(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let problem = |(name, error): &(ObjectName, StorageError)| {
            (name.to_string(), format!("it could not be deleted, and is tried again by the next prune: {error}"))
        };
        self.failures.iter().map(problem)
    }

    /// Writes that doomed objects are gone, under the number after the journal by which they were asked for.
    pub fn sweep(&self, repository: &Repository) -> Result<(), VaultError> {
        let Repository { secrets, seams, .. } = repository;
        let mut journal = repository.journal().load()?;
        while !(journal.packs.doomed.is_empty() && journal.segments.doomed.is_empty()) {
            let mut there = self.kept();
            let listed = [copies::list(&*repository.storage)?, repository.storage.list(ObjectKind::Index)?];
            there.extend(listed.into_iter().flatten().map(|entry| entry.name));
            let (packs, segments) = (journal.packs.doomed.keys(), journal.segments.doomed.keys());
            let objects = Objects {
                packs: packs.filter(|id| !there.contains(&reader::name(**id))).copied().collect(),
                segments: segments.filter(|id| !there.contains(&segment::name(**id))).copied().collect(),
            };
            if objects.is_empty() {
                return Ok(());
            }
            let entry = Entry::Swept(objects);
            if repository.journal().append_at(secrets, &*seams.clock, &journal, entry)?.is_some() {
                return Ok(());
            }
            journal = repository.journal().follow_up(journal)?;
        }
        Ok(())
    }
}

fn doomed(journal: &State) -> Vec<ObjectName> {
    let packs = journal.packs.doomed.keys().map(|id| reader::name(*id));
    packs.chain(journal.segments.doomed.keys().map(|id| segment::name(*id))).collect()
}

fn remove(repository: &Repository, name: &ObjectName) -> Result<(), StorageError> {
    match (name.kind(), name.text().parse()) {
        (ObjectKind::Pack, Ok(id)) => copies::delete(&*repository.storage, id),
        _ => repository.storage.delete(name),
    }
}

fn is_doomed(journal: &State, name: &ObjectName) -> bool {
    match name.kind() {
        ObjectKind::Pack => name.text().parse::<PackId>().is_ok_and(|id| journal.is_doomed(&id)),
        _ => name.text().parse::<SegmentId>().is_ok_and(|id| journal.is_segment_doomed(&id)),
    }
}
