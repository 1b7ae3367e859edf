//! Carrying out a plan: new groups first, then away with those they make superfluous.

use std::collections::{BTreeMap, HashSet};

use crate::base::id::{PackId, ParityId};
use crate::repo::parity::{Member, Overhead, Shape};
use crate::storage::Storage;
use crate::vault::parity::build::{self, Built, Parts};
use crate::vault::parity::deleted::Deleted;
use crate::vault::parity::groups::{self, Group, Groups};
use crate::vault::parity::plan::{self, Known, Plan, Scope};
use crate::vault::parity::stored::StoredPacks;
use crate::vault::{Context, VaultError};

/// A group that was made or would be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NewGroup {
    /// Its name; none in a dry run.
    pub id: Option<ParityId>,
    /// Its packs.
    pub packs: u64,
    /// Bytes of its packs.
    pub pack_bytes: u64,
    /// How many of its packs may be lost.
    pub recovery: u16,
    /// Stored bytes.
    pub bytes: u64,
}

/// A pack no parity could be made over.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// Its name.
    pub pack: PackId,
    /// Why.
    pub cause: String,
}

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Covered {
    /// Groups made.
    pub new: Vec<NewGroup>,
    /// Groups removed.
    pub replaced: Vec<ParityId>,
    /// Damaged packs that were met.
    pub skipped: Vec<Skipped>,
}

/// Everything known of a store before its groups are changed.
pub struct Scene<'a> {
    /// The store.
    pub storage: &'a dyn Storage,
    /// Its packs.
    pub stored: StoredPacks,
    /// Its groups.
    pub groups: Groups,
    /// What the journal says is gone.
    pub deleted: Deleted,
    /// Progress, cancel.
    pub context: Context<'a>,
}

impl<'a> Scene<'a> {
    /// Reads it. Groups come before packs: a pack stored since only lacks its parity. The journal comes last: a pack
    /// that is not listed since somebody deleted it was doomed before that.
    pub fn read(storage: &'a dyn Storage, context: Context<'a>) -> Result<Self, VaultError> {
        let groups = Groups::load(storage)?;
        let stored = StoredPacks::list(storage)?;
        Ok(Self { storage, stored, groups, deleted: Deleted::read(storage)?, context })
    }

    /// Whether a pack is gone on purpose, or about to be.
    pub fn is_deleted(&self, pack: &PackId) -> bool {
        self.deleted.doomed.contains(pack) || (self.deleted.explains(pack) && !self.stored.has(pack))
    }

    /// What is to be done.
    pub fn plan(&self, overhead: Overhead, scope: Scope) -> Plan {
        let known = self.groups.known.iter().map(|group| Known { shape: &group.shape, complete: group.is_complete() });
        let groups: Vec<Known<'_>> = known.collect();
        plan::plan(&self.stored.all(), &groups, &|pack| self.is_deleted(pack), overhead, scope)
    }

    /// Does it.
    pub fn carry_out(&mut self, plan: &Plan) -> Result<Covered, VaultError> {
        let mut covered = Covered::default();
        let mut protected = self.protected_without(&plan.replaced);
        let mut made_ids = HashSet::new();
        for shape in &plan.new {
            if let Some((id, shape, bytes)) = self.make(shape, &mut covered)? {
                protected.extend(shape.packs().map(|member| member.pack));
                made_ids.insert(id);
                covered.new.push(describe(Some(id), &shape, bytes));
            }
        }
        let replaced = plan.replaced.iter().map(|number| (*number, &self.groups.known[*number].shape));
        for number in plan::superfluous(replaced, &protected, &|pack| self.is_deleted(pack)) {
            let group = &self.groups.known[number];
            if !made_ids.contains(&group.id) {
                groups::delete(self.storage, group.id, group.parts.keys().copied())?;
                covered.replaced.push(group.id);
            }
        }
        Ok(covered)
    }

    /// Packs that complete groups protect, those that are replaced aside.
    fn protected_without(&self, replaced: &[usize]) -> HashSet<PackId> {
        let stay = |(number, group): &(usize, &Group)| !replaced.contains(number) && group.is_complete();
        let groups = self.groups.known.iter().enumerate().filter(stay);
        groups.flat_map(|(_, group)| group.shape.packs()).map(|member| member.pack).collect()
    }

    /// Makes one group. A damaged pack is read from its mended copy instead, or left out.
    fn make(&mut self, shape: &Shape, covered: &mut Covered) -> Result<Option<(ParityId, Shape, u64)>, VaultError> {
        let mut shape = shape.clone();
        while shape.packs().next().is_some() {
            let parts = self.parts(&shape);
            let sources = self.stored.sources(&shape);
            match build::build(self.storage, &shape, &sources, &parts, self.context)? {
                Built::Group { id, bytes } => return Ok(Some((id, shape, bytes))),
                Built::BadPacks(bad) => shape = self.without(&shape, bad, covered)?,
            }
        }
        Ok(None)
    }

    /// Every part of a new group; objects of these names that cannot be right are in the way.
    fn parts(&self, shape: &Shape) -> Parts {
        let same = self.groups.known.iter().filter(|group| group.shape == *shape);
        let unfit = same.flat_map(|group| group.unfit().into_iter().map(|part| (group.id, part)));
        let damaged = unfit.map(|(id, part)| crate::repo::parity::object::name(id, part)).collect();
        Parts { damaged, ..Parts::all(shape) }
    }

    fn without(
        &mut self,
        shape: &Shape,
        bad: Vec<(PackId, String)>,
        covered: &mut Covered,
    ) -> Result<Shape, VaultError> {
        let mut left: BTreeMap<PackId, u64> = shape.packs().map(|member| (member.pack, member.bytes)).collect();
        let missing = bad.iter().any(|(pack, _)| !self.stored.spoilt.contains(pack));
        if missing {
            // It may have been deleted meanwhile.
            self.deleted = Deleted::read(self.storage)?;
        }
        for (pack, cause) in bad {
            if let Some(bytes) = self.stored.mended.get(&pack)
                && self.stored.spoilt.insert(pack)
            {
                left.insert(pack, *bytes);
                continue;
            }
            left.remove(&pack);
            if !self.deleted.explains(&pack) {
                covered.skipped.push(Skipped { pack, cause });
            }
        }
        let mut members: Vec<Member> = left.into_iter().map(|(pack, bytes)| Member { pack, bytes }).collect();
        members.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.pack.cmp(&b.pack)));
        Ok(plan::shape(members, shape.overhead))
    }
}

/// A group as reports have it.
pub fn describe(id: Option<ParityId>, shape: &Shape, bytes: u64) -> NewGroup {
    NewGroup {
        id,
        packs: shape.packs().count() as u64,
        pack_bytes: shape.packs().map(|member| member.bytes).sum(),
        recovery: shape.recovery,
        bytes,
    }
}
