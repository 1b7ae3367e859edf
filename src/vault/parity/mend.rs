//! Putting damaged packs together again from what is left of their groups, without a key.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::id::{PackId, ParityId};
use crate::base::object::ObjectName;
use crate::base::progress::{Event, Phase};
use crate::repo::parity::object;
use crate::storage::Storage;
use crate::vault::parity::build::{self, Built, Parts};
use crate::vault::parity::cover::Scene;
use crate::vault::parity::deleted::Deleted;
use crate::vault::parity::groups::Group;
use crate::vault::parity::stripes::{Stripes, Verdict};
use crate::vault::{Context, VaultError};

/// What a look at every stored byte found.
#[derive(Debug, Clone, Default)]
pub struct Hurt {
    /// Packs that are damaged, and why.
    pub packs: BTreeMap<PackId, String>,
    /// Mended copies that are damaged.
    pub mended: BTreeMap<PackId, String>,
    /// Parity objects that are damaged.
    pub parity: BTreeMap<ObjectName, String>,
}

/// A pack that was mended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mended {
    /// Its name.
    pub pack: PackId,
    /// Its bytes.
    pub bytes: u64,
    /// Shards of it that were damaged.
    pub shards: u64,
    /// The group it was mended from.
    pub group: ParityId,
}

/// A pack that could not be mended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unmended {
    /// Its name.
    pub pack: PackId,
    /// Why not.
    pub cause: String,
}

/// What a repair did, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Repair {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Packs that were mended.
    pub mended: Vec<Mended>,
    /// Packs that were not.
    pub unmended: Vec<Unmended>,
    /// Parity objects made again.
    pub rebuilt: Vec<String>,
    /// Parity objects that could not be made again.
    pub lost_parity: Vec<String>,
}

/// The state of packs and parity as a keyless look shows it.
#[derive(Debug, Default)]
pub struct Standing {
    /// Packs of a group that are gone and were not deleted on purpose.
    pub missing: BTreeSet<PackId>,
    /// Packs with a mended copy.
    pub copies: BTreeSet<PackId>,
    /// Packs that are there as mended copies alone.
    pub absent: BTreeSet<PackId>,
    /// Groups that lack objects.
    pub incomplete: Vec<(ParityId, Vec<u16>)>,
    /// Groups of which nothing can be used, and why.
    pub unreadable: Vec<(ParityId, String)>,
    /// Why it cannot be said for sure what was deleted on purpose.
    pub doubt: Option<String>,
}

/// Compares what groups protect with what is stored. Reads the tables of all groups and the journal.
pub fn standing(storage: &dyn Storage, context: Context<'_>) -> Result<Standing, VaultError> {
    let scene = Scene::read(storage, context)?;
    let members = scene.groups.known.iter().flat_map(|group| group.shape.packs()).map(|member| member.pack);
    let missing = members.filter(|pack| !scene.stored.has(pack) && !scene.is_deleted(pack)).collect();
    let incomplete = scene.groups.known.iter().filter(|group| !group.is_complete());
    Ok(Standing {
        missing,
        copies: scene.stored.mended.keys().copied().collect(),
        absent: scene.stored.mended.keys().filter(|pack| !scene.stored.packs.contains_key(pack)).copied().collect(),
        incomplete: incomplete.map(|group| (group.id, group.unfit())).collect(),
        unreadable: scene.groups.unreadable.iter().map(|(id, (_, why))| (*id, why.clone())).collect(),
        doubt: scene.deleted.doubt,
    })
}

/// Mends what is hurt or missing, as far as the groups reach, and then makes damaged parity again. What is written is
/// a pack under its own hash, or nothing.
pub fn mend(storage: &dyn Storage, hurt: &Hurt, dry_run: bool, context: Context<'_>) -> Result<Repair, VaultError> {
    let mut scene = Scene::read(storage, context)?;
    let mut job =
        Job { wanted: wanted(&scene, hurt), causes: BTreeMap::new(), repair: Repair::default(), dry_run, hurt };
    job.repair.dry_run = dry_run;
    scene.stored.spoilt.extend(hurt.packs.keys());
    // A pack may be in two groups, and one that was mended may help to mend another.
    while job.round(&mut scene)? {}
    job.tell_unmended();
    job.rebuild_parity(&scene)?;
    Ok(job.repair)
}

/// Packs without a good copy that somebody may need.
fn wanted(scene: &Scene<'_>, hurt: &Hurt) -> BTreeSet<PackId> {
    let has_copy = |pack: &PackId| scene.stored.mended.contains_key(pack) && !hurt.mended.contains_key(pack);
    let members = scene.groups.known.iter().flat_map(|group| group.shape.packs()).map(|member| member.pack);
    let missing = members.filter(|pack| !scene.stored.packs.contains_key(pack));
    let all = hurt.packs.keys().copied().chain(missing);
    all.filter(|pack| !has_copy(pack) && !scene.is_deleted(pack)).collect()
}

struct Job<'a> {
    /// Not mended yet.
    wanted: BTreeSet<PackId>,
    /// Why not.
    causes: BTreeMap<PackId, String>,
    repair: Repair,
    dry_run: bool,
    hurt: &'a Hurt,
}

impl Job<'_> {
    /// Tries every group with a pack that is wanted. Whether any was mended.
    fn round(&mut self, scene: &mut Scene<'_>) -> Result<bool, VaultError> {
        let mut progress = false;
        for number in 0..scene.groups.known.len() {
            let group = scene.groups.known[number].clone();
            if group.shape.packs().any(|member| self.wanted.contains(&member.pack)) {
                progress |= self.group(scene, &group)?;
            }
        }
        Ok(progress && !self.wanted.is_empty())
    }

    fn group(&mut self, scene: &mut Scene<'_>, group: &Group) -> Result<bool, VaultError> {
        let table = match group.table(scene.storage) {
            Ok(table) => table,
            Err(fault) => {
                let names = group.shape.packs().filter(|member| self.wanted.contains(&member.pack));
                names.for_each(|member| _ = self.causes.insert(member.pack, fault.to_string()));
                return Ok(false);
            }
        };
        let bytes = group.shape.packs().filter(|m| self.wanted.contains(&m.pack)).map(|m| m.bytes).sum();
        scene.context.progress.on(Event::Phase { phase: Phase::Mend, total: Some(bytes) });
        let verdicts = Stripes::new(scene, group.id, &table, &self.wanted).run(self.dry_run)?;
        // Putting a pack together takes time, in which it may have been deleted.
        scene.deleted = Deleted::read(scene.storage)?;
        let mut progress = false;
        for (pack, verdict) in verdicts {
            if scene.is_deleted(&pack) {
                self.wanted.remove(&pack);
                continue;
            }
            match verdict {
                Verdict::Whole { shards, bytes, staged } => {
                    if let Some(staged) = staged {
                        staged.publish(scene.storage, self.hurt.mended.contains_key(&pack))?;
                    }
                    scene.stored.mended.insert(pack, bytes);
                    self.wanted.remove(&pack);
                    self.repair.mended.push(Mended { pack, bytes, shards, group: group.id });
                    progress = true;
                }
                Verdict::Short(cause) => _ = self.causes.insert(pack, cause),
            }
        }
        Ok(progress && !self.dry_run)
    }

    fn tell_unmended(&mut self) {
        for pack in &self.wanted {
            let none = || "no parity was made over it".to_owned();
            let cause = self.causes.get(pack).cloned().unwrap_or_else(none);
            self.repair.unmended.push(Unmended { pack: *pack, cause });
        }
    }

    /// Makes damaged and missing parity objects again where all packs of the group can be read.
    fn rebuild_parity(&mut self, scene: &Scene<'_>) -> Result<(), VaultError> {
        for group in &scene.groups.known {
            let damaged: BTreeSet<ObjectName> =
                self.hurt.parity.keys().filter(|name| is_of(name, group.id)).cloned().collect();
            let mut wanted: BTreeSet<u16> = group.unfit().into_iter().collect();
            wanted.extend(damaged.iter().filter_map(object::parse_name).map(|(_, part)| part));
            if wanted.is_empty() {
                continue;
            }
            let names: Vec<String> = wanted.iter().map(|part| object::name(group.id, *part).to_string()).collect();
            let unfit = wanted.iter().map(|part| object::name(group.id, *part)).collect();
            let parts = Parts { wanted, damaged: unfit };
            if self.rebuild(scene, group, &parts)? {
                self.repair.rebuilt.extend(names);
            } else {
                self.repair.lost_parity.extend(names);
            }
        }
        Ok(())
    }

    fn rebuild(&self, scene: &Scene<'_>, group: &Group, parts: &Parts) -> Result<bool, VaultError> {
        let sound = |pack: &PackId| !self.wanted.contains(pack) && scene.stored.has(pack);
        if !group.shape.packs().all(|member| sound(&member.pack)) {
            return Ok(false);
        }
        if self.dry_run {
            return Ok(true);
        }
        let sources = scene.stored.sources(&group.shape);
        match build::build(scene.storage, &group.shape, &sources, parts, scene.context)? {
            Built::Group { id, .. } => Ok(id == group.id),
            Built::BadPacks(_) => Ok(false),
        }
    }
}

fn is_of(name: &ObjectName, group: ParityId) -> bool {
    object::parse_name(name).is_some_and(|(id, _)| id == group)
}
