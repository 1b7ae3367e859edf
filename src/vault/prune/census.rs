//! Every pack, and how much of it snapshots need.

use crate::base::id::PackId;
use crate::repo::index::{ChunkPlace, Index};
use crate::repo::journal::{Since, State};
use crate::repo::secrets::IdDomain;
use crate::vault::prune::held::Held;
use crate::vault::prune::live::{self, Live};
use crate::vault::prune::plan::Plan;
use crate::vault::prune::report::Tally;
use crate::vault::{Context, VaultError};

/// One pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pack {
    /// The index's number.
    pub number: u32,
    /// Its name.
    pub id: PackId,
    /// Stored bytes.
    pub stored: u64,
    /// Plaintext bytes of all its chunks.
    pub raw: u64,
    /// Which key made the ids of its chunks.
    pub domain: IdDomain,
    /// Whether a segment lists it. If not, it is known by its own table alone, and no copy in it counts.
    pub listed: bool,
    /// The mark that stands on it.
    pub mark: Option<Since>,
    /// Whether it is damaged, and kept for what nothing else has.
    pub held: bool,
    /// Plaintext bytes of its chunks that snapshots need and that are kept here, not in another pack.
    pub used: u64,
    /// The part of `used` that a repair has marked as lost in every file that had it: not missed if it cannot be read.
    pub excused: u64,
}

impl Pack {
    /// Stored bytes that are used, estimated by plaintext.
    pub fn used_stored(&self) -> u64 {
        let share = u128::from(self.stored) * u128::from(self.used) / u128::from(self.raw.max(1));
        u64::try_from(share).unwrap_or(self.stored).min(self.stored)
    }

    /// Stored bytes that are not.
    pub fn waste(&self) -> u64 {
        self.stored - self.used_stored()
    }

    /// It as a tally.
    pub const fn tally(&self) -> Tally {
        Tally::one(self.stored)
    }

    /// How good a place it is for the copy that is kept: the greater, the better.
    fn worth(&self) -> (bool, bool, bool) {
        (self.stays(), !self.held, self.listed)
    }

    /// Whether a copy in it may be kept: it stays, and a segment lists it.
    pub const fn stays(&self) -> bool {
        self.listed && self.mark.is_none()
    }
}

/// All packs the index knows, by number.
pub struct Census(Vec<Option<Pack>>);

impl Census {
    /// The packs of an index that was opened with this journal.
    pub fn take(index: &Index, journal: &State) -> Result<Self, VaultError> {
        let mut packs = Vec::new();
        for entry in index.packs() {
            let (number, place) = entry?;
            packs.resize(number as usize, None);
            packs.push(Some(Pack {
                number,
                id: place.id,
                stored: place.bytes,
                raw: place.blocks.iter().map(|block| u64::from(block.raw_bytes)).sum(),
                domain: place.domain,
                listed: index.lists(&place.id)?,
                mark: journal.packs.marked.get(&place.id).copied(),
                held: false,
                used: 0,
                excused: 0,
            }));
        }
        Ok(Self(packs))
    }

    /// Notes which are held: their copies are the last to be kept.
    pub fn hold(&mut self, held: &Held) {
        self.0.iter_mut().flatten().for_each(|pack| pack.held = held.has(&pack.id));
    }

    /// Counts what is used of each.
    pub fn weigh(&mut self, live: &Live, index: &Index, context: Context<'_>) -> Result<(), VaultError> {
        self.0.iter_mut().flatten().for_each(|pack| (pack.used, pack.excused) = (0, 0));
        live::each_live(live, index, context, |prefix, places, excused| {
            let best = self.best(places).ok_or_else(|| live::unresolved(&prefix))?;
            if let Some(Some(pack)) = self.0.get_mut(best.pack as usize) {
                pack.used += u64::from(best.length);
                pack.excused += if excused { u64::from(best.length) } else { 0 };
            }
            Ok(())
        })
    }

    /// As it is when a plan was carried out and the journal's next entry marked what it names.
    pub fn after(mut self, plan: &Plan, mark: Since) -> Self {
        for pack in self.0.iter_mut().flatten() {
            if plan.unmark.binary_search(&pack.number).is_ok() {
                pack.mark = None;
            } else if plan.unused.contains(&pack.number) || plan.repack.contains(&pack.number) {
                pack.mark = pack.mark.or(Some(mark));
            }
        }
        self
    }

    /// The copy that is kept of several: in a pack that stays, if there is one, and of these in the newest. A prune
    /// that was cut off after it wrote packs anew so finds the old ones unused.
    pub fn best(&self, places: &[ChunkPlace]) -> Option<ChunkPlace> {
        let known = places.iter().filter(|place| self.pack(place.pack).is_some());
        known.max_by_key(|place| (self.pack(place.pack).map(Pack::worth), place.pack)).copied()
    }

    /// The pack of a number.
    pub fn pack(&self, number: u32) -> Option<&Pack> {
        self.0.get(number as usize)?.as_ref()
    }

    /// All of them.
    pub fn packs(&self) -> impl Iterator<Item = &Pack> {
        self.0.iter().flatten()
    }
}
