//! Taking segments out of a repository, step by step as `docs/protocol.md` has it: look, decide (I3), doom under the
//! next number (D11), delete (S1), sweep (S2).

use std::collections::BTreeSet;

use crate::base::id::SegmentId;
use crate::base::object::ObjectKind;
use crate::repo::Repository;
use crate::repo::index::segment;
use crate::repo::journal::{Entry, Objects, State};
use crate::vault::repair::index::Look;
use crate::vault::{Context, VaultError};

/// Dooms those of these segments that nothing needs, then deletes and sweeps all that are doomed. Gives how many were
/// deleted, and which had to stay and why.
pub fn segments(
    repository: &Repository,
    wanted: &[SegmentId],
    context: Context<'_>,
) -> Result<(u64, Vec<(SegmentId, String)>), VaultError> {
    let mut kept = Vec::new();
    while !wanted.is_empty() {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        let look = Look::take(repository, context)?;
        let (going, staying) = decide(&look, wanted);
        kept = staying;
        if going.is_empty() || doom(repository, &look.journal, &going)? {
            break;
        }
    }
    Ok((sweep(repository)?, kept))
}

/// Which of the wanted segments may go: those whose packs are all listed by segments that stay. What a damaged one
/// lists nobody can tell, so it may have been any pack that is there.
fn decide(look: &Look, wanted: &[SegmentId]) -> (Vec<SegmentId>, Vec<(SegmentId, String)>) {
    let mut going: BTreeSet<SegmentId> =
        wanted.iter().filter(|id| look.damaged.contains(id) || look.readable.contains_key(id)).copied().collect();
    let mut staying = Vec::new();
    // One that stays may be what another one needs, so it is asked again until nothing changes.
    loop {
        let listed = look.listed(&going);
        let needed_for = |id: &SegmentId| match look.readable.get(id) {
            Some(packs) => packs.iter().find(|pack| !listed.contains(pack)).copied(),
            None => look.stored.iter().map(|(pack, _)| *pack).find(|pack| !listed.contains(pack)),
        };
        let Some((id, pack)) = going.iter().find_map(|id| Some((*id, needed_for(id)?))) else { break };
        going.remove(&id);
        let why = match look.readable.contains_key(&id) {
            true => format!("it alone lists packs/{pack}"),
            false => format!("it may be the one that lists packs/{pack}, whose own table cannot be read"),
        };
        staying.push((id, why));
    }
    (going.into_iter().collect(), staying)
}

/// Marks and dooms, if the journal is as it was read; `false` if somebody else was faster.
fn doom(repository: &Repository, journal: &State, segments: &[SegmentId]) -> Result<bool, VaultError> {
    let objects = || Objects { packs: Vec::new(), segments: segments.to_vec() };
    let Some(marked) = append_at(repository, journal, Entry::Mark(objects()))? else { return Ok(false) };
    Ok(append_at(repository, &marked, Entry::Doom(objects()))?.is_some())
}

fn append_at(repository: &Repository, journal: &State, entry: Entry) -> Result<Option<State>, VaultError> {
    let Repository { secrets, seams, .. } = repository;
    Ok(repository.journal().append_at(secrets, &*seams.clock, journal, entry)?)
}

/// Deletes all doomed segments, then takes them off the journal's list.
fn sweep(repository: &Repository) -> Result<u64, VaultError> {
    let mut deleted = 0;
    loop {
        let journal = repository.journal().load()?;
        let doomed: Vec<SegmentId> = journal.segments.doomed.keys().copied().collect();
        if doomed.is_empty() {
            return Ok(deleted);
        }
        let there: BTreeSet<SegmentId> = repository
            .storage
            .list(ObjectKind::Index)?
            .iter()
            .filter_map(|entry| segment::id_of(&entry.name))
            .collect();
        for id in doomed.iter().filter(|id| there.contains(id)) {
            repository.storage.delete(&segment::name(*id))?;
            deleted += 1;
        }
        let swept = Entry::Swept(Objects { packs: Vec::new(), segments: doomed });
        if append_at(repository, &journal, swept)?.is_some() {
            return Ok(deleted);
        }
    }
}
