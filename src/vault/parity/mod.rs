//! Parity over packs: made at any time, dropped at any time, and no key is needed (`docs/parity.md`).

mod build;
mod columns;
mod cover;
mod deleted;
mod groups;
mod mend;
mod plan;
mod shrink;
mod stored;
mod stripes;

use std::collections::{BTreeSet, HashSet};

use crate::base::id::{PackId, ParityId};
use crate::base::object::{ObjectKind, ObjectName};
pub use crate::repo::parity::Overhead;
use crate::repo::parity::{Shape, object};
use crate::storage::Storage;
use crate::vault::parity::build::Built;
use crate::vault::parity::cover::Scene;
pub use crate::vault::parity::cover::{NewGroup, Skipped};
use crate::vault::parity::groups::{Group, Groups};
pub use crate::vault::parity::mend::{Hurt, Mended, Repair, Standing, Unmended, mend, standing};
use crate::vault::parity::plan::Scope;
use crate::vault::{Context, VaultError};

/// How parity is added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddOptions {
    /// How much of it; what the groups there are have, if it is not said.
    pub overhead: Option<Overhead>,
    /// Only tell what would be done.
    pub dry_run: bool,
}

/// What adding came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct AddReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Hundredths of a percent.
    pub overhead_hundredths: u16,
    /// Groups made.
    pub groups: Vec<NewGroup>,
    /// Groups that these made superfluous and that were removed.
    pub replaced: Vec<ParityId>,
    /// Damaged packs, over which no parity was made.
    pub skipped: Vec<Skipped>,
}

/// Makes groups over all packs that no group protects. It can be run again after a crash at any moment: groups are
/// whole or ignored, and what is left of one that is not is finished or removed.
pub fn add(storage: &dyn Storage, options: &AddOptions, context: Context<'_>) -> Result<AddReport, VaultError> {
    let mut scene = Scene::read(storage, context)?;
    let overhead = match options.overhead {
        Some(overhead) => overhead,
        None => usual_overhead(&scene.groups)?,
    };
    let plan = scene.plan(overhead, Scope::Everything);
    let mut report =
        AddReport { dry_run: options.dry_run, overhead_hundredths: overhead.hundredths(), ..AddReport::default() };
    if options.dry_run {
        let bytes = |shape: &Shape| (0..=shape.recovery).map(|part| object::stored_bytes(shape, part)).sum();
        report.groups = plan.new.iter().map(|shape| cover::describe(None, shape, bytes(shape))).collect();
        report.replaced = plan.replaced.iter().map(|number| scene.groups.known[*number].id).collect();
        return Ok(report);
    }
    let covered = scene.carry_out(&plan)?;
    (report.groups, report.replaced, report.skipped) = (covered.new, covered.replaced, covered.skipped);
    Ok(report)
}

/// What all groups have; if they differ, nobody can tell which was meant.
fn usual_overhead(groups: &Groups) -> Result<Overhead, VaultError> {
    let all: BTreeSet<Overhead> = groups.known.iter().map(|group| group.shape.overhead).collect();
    let mut all = all.into_iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(Overhead::DEFAULT),
        (Some(one), None) => Ok(one),
        (Some(one), Some(other)) => Err(VaultError::Request {
            what: format!("there is parity of several overheads, {one} and {other} among them"),
            hint: Some("say which is meant with `--overhead`".to_owned()),
        }),
    }
}

/// One group, as `list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ListedGroup {
    /// Its name.
    pub id: ParityId,
    /// Hundredths of a percent.
    pub overhead_hundredths: u16,
    /// Its packs.
    pub packs: u64,
    /// Bytes of its packs.
    pub pack_bytes: u64,
    /// How many of its packs may be lost, if every object of it is there.
    pub recovery: u16,
    /// Stored bytes.
    pub bytes: u64,
    /// Objects that are missing or have a wrong size.
    pub unfit_objects: u64,
    /// Packs that are missing and were not deleted on purpose.
    pub missing_packs: u64,
    /// Packs that were deleted on purpose.
    pub deleted_packs: u64,
    /// Why nothing of it can be used.
    pub unreadable: Option<String>,
}

/// What there is of parity.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ListReport {
    /// Groups, by name.
    pub groups: Vec<ListedGroup>,
    /// Packs in the store.
    pub packs: u64,
    /// Packs some complete group protects.
    pub protected_packs: u64,
    /// Bytes of all packs.
    pub pack_bytes: u64,
    /// Bytes of all parity.
    pub bytes: u64,
}

/// Lists the groups, from their tables alone.
pub fn list(storage: &dyn Storage, context: Context<'_>) -> Result<ListReport, VaultError> {
    let scene = Scene::read(storage, context)?;
    let mut report = ListReport::default();
    for group in &scene.groups.known {
        let count = |wanted: &dyn Fn(&PackId) -> bool| group.shape.packs().filter(|m| wanted(&m.pack)).count() as u64;
        report.groups.push(ListedGroup {
            id: group.id,
            overhead_hundredths: group.shape.overhead.hundredths(),
            packs: count(&|_| true),
            pack_bytes: group.shape.packs().map(|member| member.bytes).sum(),
            recovery: group.shape.recovery,
            bytes: group.bytes(),
            unfit_objects: group.unfit().len() as u64,
            missing_packs: count(&|pack| !scene.stored.has(pack) && !scene.is_deleted(pack)),
            deleted_packs: count(&|pack| scene.is_deleted(pack)),
            unreadable: None,
        });
    }
    for (id, (names, why)) in &scene.groups.unreadable {
        report.groups.push(unreadable(*id, names.len() as u64, why.clone()));
    }
    report.groups.sort_by_key(|group| group.id);
    let (packs, coverage) = (scene.stored.all(), scene.groups.coverage());
    report.packs = packs.len() as u64;
    report.protected_packs = packs.keys().filter(|pack| coverage.contains_key(*pack)).count() as u64;
    report.pack_bytes = packs.values().sum();
    report.bytes = report.groups.iter().map(|group| group.bytes).sum();
    Ok(report)
}

fn unreadable(id: ParityId, objects: u64, why: String) -> ListedGroup {
    ListedGroup {
        id,
        overhead_hundredths: 0,
        packs: 0,
        pack_bytes: 0,
        recovery: 0,
        bytes: 0,
        unfit_objects: objects,
        missing_packs: 0,
        deleted_packs: 0,
        unreadable: Some(why),
    }
}

/// What dropping came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct DropReport {
    /// Groups removed.
    pub groups: Vec<ParityId>,
    /// Bytes freed.
    pub bytes: u64,
}

/// Which groups are dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those whose names begin like one of these.
    Named(Vec<String>),
}

/// Removes groups. Nothing but what mends is lost with them.
pub fn drop_groups(storage: &dyn Storage, which: &Which, context: Context<'_>) -> Result<DropReport, VaultError> {
    // Objects of a newer program are not deleted: loading says so.
    let groups = Groups::load(storage)?;
    let known = groups.known.iter().map(|group| (group.id, group.bytes()));
    let all: Vec<(ParityId, u64)> = known.chain(groups.unreadable.keys().map(|id| (*id, 0))).collect();
    let chosen = match which {
        Which::All => all,
        Which::Named(names) => names.iter().map(|name| choose(&all, name)).collect::<Result<_, _>>()?,
    };
    let mut report = DropReport::default();
    let listed = storage.list(ObjectKind::Parity)?;
    for (id, bytes) in chosen {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        let mut parts: Vec<u16> = listed.iter().filter_map(|entry| part_of(&entry.name, id)).collect();
        parts.sort_unstable();
        groups::delete(storage, id, parts.into_iter())?;
        report.groups.push(id);
        report.bytes += bytes;
    }
    Ok(report)
}

fn part_of(name: &ObjectName, group: ParityId) -> Option<u16> {
    object::parse_name(name).filter(|(id, _)| *id == group).map(|(_, part)| part)
}

fn choose(groups: &[(ParityId, u64)], name: &str) -> Result<(ParityId, u64), VaultError> {
    let mut matching = groups.iter().filter(|(id, _)| !name.is_empty() && id.to_string().starts_with(name));
    let what = match (matching.next(), matching.next()) {
        (Some(only), None) => return Ok(*only),
        (None, _) => format!("no parity group begins with `{name}`"),
        (Some(_), Some(_)) => format!("several parity groups begin with `{name}`"),
    };
    Err(VaultError::Request { what, hint: Some("`dssvault parity list` shows them".to_owned()) })
}

/// Whether there is room for new groups beside the old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is.
    Enough,
    /// There is not: groups that can mend nothing any more are removed, the others wait for the next `parity add`.
    None,
}

/// What became of groups that packs left.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct RegroupReport {
    /// Groups that were made without those packs.
    pub made: Vec<ParityId>,
    /// Groups removed.
    pub removed: Vec<ParityId>,
    /// Packs that could be put into no new group, since they are damaged.
    pub skipped: Vec<Skipped>,
}

/// Keeps groups right when packs are deleted. To be called by whoever deletes packs, with the packs that go:
///
/// - best *after* the journal dooms them and *before* they are deleted: then a group is made anew from the packs that
///   go and the old recovery shards, without reading those that stay, and there is no moment at which those that stay
///   are less protected than they were;
/// - after they are deleted it works too, and reads all packs that stay;
/// - not at all is no danger to data: packs that the journal dooms, or ever doomed, are never mended back, and the
///   next `parity add` does the same. Until then each pack that went is one less the group can mend.
///
/// A failure, a full store for one, is no reason not to delete: call it again with [`Room::None`], or not. Packs are
/// deleted with [`copies::delete`](crate::repo::pack::copies::delete), which takes the mended copy along.
pub fn regroup(
    storage: &dyn Storage,
    gone: &HashSet<PackId>,
    room: Room,
    context: Context<'_>,
) -> Result<RegroupReport, VaultError> {
    let mut scene = Scene::read(storage, context)?;
    scene.deleted.doomed.extend(gone);
    scene.deleted.ever.extend(gone);
    let mut report = RegroupReport::default();
    let affected: Vec<Group> = scene
        .groups
        .known
        .iter()
        .filter(|group| group.shape.packs().any(|m| gone.contains(&m.pack)))
        .cloned()
        .collect();
    for group in &affected {
        let left = group.shape.packs().filter(|member| gone.contains(&member.pack)).count();
        let stays = group.shape.packs().count() - left;
        if stays == 0 || (room == Room::None && left >= usize::from(group.shape.recovery)) {
            remove(storage, group, &mut report)?;
            continue;
        }
        if room == Room::None || !group.is_complete() {
            continue;
        }
        let source = |pack: &PackId| scene.stored.source(pack);
        if let Some(Built::Group { id, .. }) = shrink::shrink(storage, group, gone, &source, context)? {
            report.made.push(id);
            remove(storage, group, &mut report)?;
        }
    }
    if room == Room::Enough {
        scene.groups.known.retain(|group| !report.removed.contains(&group.id));
        rebuild(&mut scene, &affected, &mut report)?;
    }
    Ok(report)
}

fn remove(storage: &dyn Storage, group: &Group, report: &mut RegroupReport) -> Result<(), VaultError> {
    groups::delete(storage, group.id, group.parts.keys().copied())?;
    report.removed.push(group.id);
    Ok(())
}

/// Groups that could not be made smaller are made anew over what stays.
fn rebuild(scene: &mut Scene<'_>, affected: &[Group], report: &mut RegroupReport) -> Result<(), VaultError> {
    let left = affected.iter().filter(|group| !report.removed.contains(&group.id));
    let overheads: BTreeSet<Overhead> = left.map(|group| group.shape.overhead).collect();
    for overhead in overheads {
        let plan = scene.plan(overhead, Scope::Stale);
        let covered = scene.carry_out(&plan)?;
        report.made.extend(covered.new.iter().filter_map(|group| group.id));
        report.removed.extend(covered.replaced);
        report.skipped.extend(covered.skipped);
    }
    Ok(())
}
