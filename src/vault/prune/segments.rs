//! Merging index segments: few are quicker to list and load, and names of doomed packs are left behind (I3).

use std::collections::{HashMap, HashSet};

use crate::base::id::{PackId, SegmentId};
use crate::base::object::ObjectKind;
use crate::repo::crypt::Sealer;
use crate::repo::index::segment::{self, SEGMENT_BYTES, Segment};
use crate::repo::index::{Index, ListedPack};
use crate::repo::journal::{Entry, Objects, State};
use crate::repo::{RepoError, Repository};
use crate::storage::StorageError;
use crate::vault::prune::marks;
use crate::vault::{Context, VaultError};

/// A segment of fewer bytes is small.
const SMALL_BYTES: u64 = (SEGMENT_BYTES / 4) as u64;
/// A segment of which one pack in so many is doomed is written anew.
const DOOMED_SHARE: u32 = 4;

/// A stored segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Its name.
    pub id: SegmentId,
    /// Stored bytes; nearly those of its body, for ids do not shrink.
    pub bytes: u64,
    /// Packs it names.
    pub packs: u32,
    /// Doomed ones among them.
    pub doomed: u32,
}

/// The segments of the store that the journal neither marks nor dooms.
pub fn figures(repository: &Repository, index: &Index, journal: &State) -> Result<Vec<Figures>, VaultError> {
    let listing = repository.storage.list(ObjectKind::Index)?;
    let bytes: HashMap<SegmentId, u64> =
        listing.iter().filter_map(|entry| Some((segment::id_of(&entry.name)?, entry.bytes))).collect();
    let is_free = |id: &SegmentId| !journal.segments.marked.contains_key(id) && !journal.is_segment_doomed(id);
    let listed = index.segments()?.into_iter().filter(|listed| is_free(&listed.id));
    Ok(listed
        .filter_map(|listed| {
            let bytes = *bytes.get(&listed.id)?;
            Some(Figures { id: listed.id, bytes, packs: listed.packs, doomed: listed.doomed })
        })
        .collect())
}

/// The segments to merge: those that name many doomed packs, and small ones if there are at least `few`. Pure; the
/// smallest first, so that many fit into one.
pub fn choose(segments: &[Figures], few: usize) -> Vec<Figures> {
    let stale = |figures: &&Figures| figures.doomed > 0 && figures.doomed.saturating_mul(DOOMED_SHARE) >= figures.packs;
    let small = |figures: &&Figures| figures.bytes < SMALL_BYTES;
    let merge_small = segments.iter().filter(small).count() >= few.max(2);
    let chosen = segments.iter().filter(|figures| stale(figures) || merge_small && small(figures));
    let mut chosen: Vec<_> = chosen.copied().collect();
    chosen.sort_unstable_by_key(|figures| (figures.bytes, figures.id));
    chosen
}

/// What merging came to.
#[derive(Default)]
pub struct Merged {
    /// Segments that were replaced.
    pub replaced: u64,
    /// Segments that were written for it.
    pub written: u64,
    /// Object and cause: segments that cannot be read, and are left alone.
    pub problems: Vec<(String, String)>,
}

/// Merges.
pub fn merge(
    repository: &Repository,
    sealer: &Sealer,
    journal: &State,
    chosen: &[Figures],
    context: Context<'_>,
) -> Result<Merged, VaultError> {
    let mut merged = Merged::default();
    let mut rest = chosen;
    while !rest.is_empty() {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        let (group, taken) = Group::read(repository, journal, rest, &mut merged.problems)?;
        rest = rest.get(taken..).unwrap_or_default();
        if let Some(is_written) = group.replace(repository, sealer)? {
            merged.replaced += group.inputs.len() as u64;
            merged.written += u64::from(is_written);
        }
    }
    Ok(merged)
}

/// Whole segments that fit into one together: so each is covered by a single other one.
struct Group {
    inputs: Vec<SegmentId>,
    packs: Vec<ListedPack>,
    /// Doomed packs the inputs name, which are left out.
    left_out: HashSet<PackId>,
}

impl Group {
    /// Reads from the front of `chosen` as many as fit; gives how many were taken.
    fn read(
        repository: &Repository,
        journal: &State,
        chosen: &[Figures],
        problems: &mut Vec<(String, String)>,
    ) -> Result<(Self, usize), VaultError> {
        let mut group = Self { inputs: Vec::new(), packs: Vec::new(), left_out: HashSet::new() };
        let (mut taken, mut bytes, mut seen) = (0, 0, HashSet::<PackId>::new());
        for figures in chosen {
            if taken > 0 && bytes + figures.bytes > SEGMENT_BYTES as u64 {
                break;
            }
            taken += 1;
            let segment = match Segment::load(repository, figures.id) {
                Ok(segment) => segment,
                // Merged by another owner meanwhile.
                Err(RepoError::Storage(StorageError::NotFound { .. })) => continue,
                // What the cache knows of it is right, so nothing that was decided is wrong.
                Err(RepoError::Damaged { name, why }) => {
                    problems.push((name.to_string(), why));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            bytes += figures.bytes;
            group.inputs.push(figures.id);
            for pack in segment.packs() {
                let pack = pack.map_err(|why| RepoError::damaged(&segment::name(figures.id), why))?;
                if journal.is_doomed(&pack.0) {
                    group.left_out.insert(pack.0);
                } else if seen.insert(pack.0) {
                    group.packs.push(pack);
                }
            }
        }
        Ok((group, taken))
    }

    /// Writes the merged segment first, then marks and dooms its inputs. Whether one was written; `None` if nothing
    /// is gained, or others were faster.
    fn replace(&self, repository: &Repository, sealer: &Sealer) -> Result<Option<bool>, VaultError> {
        if self.inputs.is_empty() || self.inputs.len() == 1 && self.left_out.is_empty() {
            return Ok(None);
        }
        let mut merged = None;
        if !self.packs.is_empty() {
            let signing = repository.secrets.signing();
            merged = Some(segment::write_one(repository, sealer, &signing, &self.inputs, &self.packs)?);
        }
        marks::append(repository, |state| self.replaceable(repository, state, merged).map(Entry::Mark))?;
        let mut doomed = false;
        marks::append(repository, |state| {
            let inputs = self.replaceable(repository, state, merged);
            let inputs =
                inputs.filter(|inputs| inputs.segments.iter().all(|id| state.segments.marked.contains_key(id)));
            doomed = inputs.is_some();
            inputs.map(Entry::Doom)
        })?;
        Ok(doomed.then_some(merged.is_some()))
    }

    /// The inputs, if each of their packs that is not doomed is listed by the merged segment, and that one stays. What
    /// was swept since is no longer doomed, and might come back.
    fn replaceable(&self, repository: &Repository, state: &State, merged: Option<SegmentId>) -> Option<Objects> {
        let is_leaving = |id| state.segments.marked.contains_key(&id) || state.is_segment_doomed(&id);
        // Asked after the journal was read: it may have been doomed, deleted and swept since it was written.
        let is_there = |id| repository.storage.get_range(&segment::name(id), 0, 1).is_ok();
        if merged.is_some_and(|id| is_leaving(id) || !is_there(id))
            || !self.left_out.iter().all(|id| state.is_doomed(id))
        {
            return None;
        }
        let segments: Vec<_> = self.inputs.iter().filter(|id| !state.is_segment_doomed(id)).copied().collect();
        (!segments.is_empty()).then_some(Objects { packs: Vec::new(), segments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(byte: u8, bytes: u64, packs: u32, doomed: u32) -> Figures {
        Figures { id: SegmentId::from_bytes([byte; 32]), bytes, packs, doomed }
    }

    #[test]
    fn small_segments_are_merged_when_there_are_a_few_and_stale_ones_always() {
        let large = segment(1, 10 << 20, 100, 24);
        let smalls: Vec<_> = (2..6).map(|byte| segment(byte, u64::from(100 - byte), 3, 0)).collect();
        let all = [vec![large], smalls.clone()].concat();
        assert_eq!(choose(&all, 5), []);
        assert_eq!(choose(&all, 4), smalls.iter().rev().copied().collect::<Vec<_>>(), "the smallest first");
        assert_eq!(choose(&all[..2], 0), [], "one alone is not merged");
        assert_eq!(choose(&[segment(1, 10 << 20, 100, 25)], 9), [segment(1, 10 << 20, 100, 25)]);
        assert_eq!(choose(&[segment(1, 10, 0, 0)], 9), [], "an empty one names nothing that is doomed");
    }
}
