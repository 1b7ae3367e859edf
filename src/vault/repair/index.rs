//! Mending the index: packs no readable segment lists are listed again from their own tables, and segments that
//! cannot be read, or that say something else than the packs, go the way of the journal: marked, doomed, deleted, swept.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::base::id::{PackId, SegmentId};
use crate::base::object::ObjectKind;
use crate::repo::index::ListedPack;
use crate::repo::index::segment::{self, SEGMENT_BYTES, Segment};
use crate::repo::journal::State;
use crate::repo::pack::{copies, reader};
use crate::repo::{RepoError, Repository};
use crate::storage::StorageError;
use crate::vault::repair::retire;
use crate::vault::sealer;
use crate::vault::{Context, VaultError};

/// How much of the index is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What is missing or damaged.
    Damaged,
    /// All of it.
    All,
}

/// What mending the index takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct IndexPlan {
    /// Packs that are to be listed from their own tables.
    pub list: Vec<PackId>,
    /// Packs no readable segment lists and whose own tables cannot be read, and why: nothing of them can be found.
    pub unreadable: Vec<(PackId, String)>,
    /// Segments to be replaced.
    pub retire: Vec<SegmentId>,
    /// Segments doomed before, by a run that did not come to delete them.
    pub doomed: Vec<SegmentId>,
}

impl IndexPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.retire.is_empty() && self.doomed.is_empty()
    }
}

/// What became of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct IndexRepair {
    /// The plan.
    pub plan: IndexPlan,
    /// Segments written.
    pub written: u64,
    /// Segments deleted.
    pub deleted: u64,
    /// Segments that had to stay, and why.
    pub kept: Vec<(SegmentId, String)>,
}

/// The segments and packs of a store, as one look at it found them.
pub struct Look {
    /// The journal, read before anything was listed.
    pub journal: State,
    /// Readable segments that are not doomed, and the packs they list that are not doomed either.
    pub readable: HashMap<SegmentId, Vec<PackId>>,
    /// Segments that are there, not doomed, and damaged.
    pub damaged: BTreeSet<SegmentId>,
    /// Packs that are there and not doomed, with their sizes.
    pub stored: Vec<(PackId, u64)>,
}

impl Look {
    /// Looks. A segment that cannot be reached, or is of a newer program, is an error: nothing may be concluded.
    pub fn take(repository: &Repository, context: Context<'_>) -> Result<Self, VaultError> {
        let journal = repository.journal().load()?;
        let (mut readable, mut damaged) = (HashMap::new(), BTreeSet::new());
        for entry in repository.storage.list(ObjectKind::Index)? {
            if context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            let Some(id) = segment::id_of(&entry.name).filter(|id| !journal.is_segment_doomed(id)) else { continue };
            match Segment::load(repository, id) {
                Ok(segment) => {
                    let packs = segment.packs().flatten().map(|(pack, ..)| pack);
                    readable.insert(id, packs.filter(|pack| !journal.is_doomed(pack)).collect());
                }
                Err(RepoError::Damaged { .. } | RepoError::Storage(StorageError::TooLarge { .. })) => {
                    damaged.insert(id);
                }
                // Gone since the listing, or not filled yet.
                Err(RepoError::Storage(StorageError::NotFound { .. } | StorageError::Unfinished { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let listed = copies::list(&*repository.storage)?;
        let packs = listed.iter().filter_map(|entry| Some((entry.name.text().parse::<PackId>().ok()?, entry.bytes)));
        let mut stored: Vec<_> = packs.filter(|(pack, _)| !journal.is_doomed(pack)).collect();
        stored.sort_unstable();
        Ok(Self { journal, readable, damaged, stored })
    }

    /// Packs that readable segments list which are neither marked nor among `without` (rule I3).
    pub fn listed(&self, without: &BTreeSet<SegmentId>) -> HashSet<PackId> {
        let counts = |id: &&SegmentId| !without.contains(id) && !self.journal.segments.marked.contains_key(id);
        self.readable.keys().filter(counts).filter_map(|id| self.readable.get(id)).flatten().copied().collect()
    }
}

/// Finds out what is to be done.
pub fn plan(repository: &Repository, extent: Extent, context: Context<'_>) -> Result<IndexPlan, VaultError> {
    let look = Look::take(repository, context)?;
    let listed = match extent {
        Extent::Damaged => look.listed(&BTreeSet::new()),
        Extent::All => HashSet::new(),
    };
    let mut plan = IndexPlan { doomed: look.journal.segments.doomed.keys().copied().collect(), ..IndexPlan::default() };
    for (pack, bytes) in look.stored.iter().filter(|(pack, _)| !listed.contains(pack)) {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        match reader::read_table(repository, *pack, *bytes) {
            Ok(_) => plan.list.push(*pack),
            Err(RepoError::Storage(StorageError::NotFound { .. })) => {}
            Err(RepoError::Damaged { why, .. }) => plan.unreadable.push((*pack, why)),
            Err(RepoError::Storage(error @ StorageError::Truncated { .. })) => {
                plan.unreadable.push((*pack, error.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut retire = look.damaged;
    if extent == Extent::All {
        retire.extend(look.readable.keys());
    }
    plan.retire = retire.into_iter().collect();
    Ok(plan)
}

/// Does it. New segments come first; nothing goes before they are stored.
pub fn apply(repository: &Repository, plan: IndexPlan, context: Context<'_>) -> Result<IndexRepair, VaultError> {
    let written = list(repository, &plan.list, context)?;
    let (deleted, kept) = retire::segments(repository, &plan.retire, context)?;
    Ok(IndexRepair { plan, written, deleted, kept })
}

/// Lists packs from their own tables, as many at once as a segment holds.
fn list(repository: &Repository, packs: &[PackId], context: Context<'_>) -> Result<u64, VaultError> {
    if packs.is_empty() {
        return Ok(0);
    }
    let sealer = sealer::begin(repository)?;
    let signing = repository.secrets.signing();
    let listed = copies::list(&*repository.storage)?;
    let sizes: HashMap<_, u64> = listed.into_iter().map(|entry| (entry.name, entry.bytes)).collect();
    let (mut written, mut gathered, mut bytes) = (0, Vec::<ListedPack>::new(), 0);
    for pack in packs {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        // One that vanished since, or broke, is the business of the next run.
        let Some(size) = sizes.get(&reader::name(*pack)) else { continue };
        let Ok(table) = reader::read_table(repository, *pack, *size) else { continue };
        bytes += table.encoded_bytes();
        gathered.push((*pack, *size, table));
        if bytes >= SEGMENT_BYTES {
            written += segment::write(repository, &sealer, &signing, &gathered)?.len() as u64;
            gathered.clear();
            bytes = 0;
        }
    }
    written += segment::write(repository, &sealer, &signing, &gathered)?.len() as u64;
    Ok(written)
}
