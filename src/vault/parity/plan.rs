//! Which packs go into which new groups: a pure function of what is stored.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::base::id::PackId;
use crate::repo::parity::{Member, Overhead, Shape};

/// Bytes of a shard in groups made today: small enough that a group of two hundred packs is worked on in bounded
/// memory, large enough for one read.
pub const SHARD_BYTES: u32 = 256 << 10;

/// A group there is, as planning sees it.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// Its packs.
    pub shape: &'a Shape,
    /// Whether all its objects are there.
    pub complete: bool,
}

/// What is to be made and what is then no longer wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// New groups.
    pub new: Vec<Shape>,
    /// Groups, by their position, that the new ones make superfluous.
    pub replaced: Vec<usize>,
}

/// Which packs new groups are planned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All that no group protects.
    Everything,
    /// Those alone whose group of this very overhead lost packs or objects.
    Stale,
}

/// Plans groups over packs that no group protects. Taken in anew are the packs of groups that lost objects, of groups
/// that lost packs on purpose, and of groups so small that the new packs and they make a better one: a small group
/// is taken in while it has at most twice as many packs as were gathered before, so that a pack that comes with few
/// others every night is coded a few times and not every night.
///
/// A group with a pack that is missing and was not deleted on purpose is left alone: it may be all there is of it.
pub fn plan(
    packs: &BTreeMap<PackId, u64>,
    groups: &[Known<'_>],
    deleted: &dyn Fn(&PackId) -> bool,
    overhead: Overhead,
    scope: Scope,
) -> Plan {
    let is_live = |member: &&Member| !deleted(&member.pack);
    let is_there = |member: &Member| packs.get(&member.pack) == Some(&member.bytes);
    let (mut kept, mut replaced) = (Vec::new(), Vec::new());
    for (number, group) in groups.iter().enumerate() {
        let waits = !group.shape.packs().filter(is_live).all(is_there);
        let lost_packs = group.shape.packs().any(|member| deleted(&member.pack));
        let ours = scope == Scope::Everything || group.shape.overhead == overhead;
        match ours && !waits && (!group.complete || lost_packs) {
            true => replaced.push(number),
            false => kept.push(number),
        }
    }
    if scope == Scope::Everything {
        set_aside_repeats(groups, &is_there, &mut kept, &mut replaced);
    }
    let complete = kept.iter().filter(|number| groups[**number].complete);
    let covered: HashSet<PackId> = complete.flat_map(|n| groups[*n].shape.packs()).map(|m| m.pack).collect();
    let mut gathered: BTreeMap<PackId, u64> = packs.clone();
    gathered.retain(|pack, _| !covered.contains(pack) && !deleted(pack));
    if scope == Scope::Stale {
        let stale: HashSet<PackId> = replaced.iter().flat_map(|n| groups[*n].shape.packs()).map(|m| m.pack).collect();
        gathered.retain(|pack, _| stale.contains(pack));
    }
    // Of a group that lacks a pack, or had one that was deleted, not every pack can be read for a new one.
    kept.retain(|number| groups[*number].shape.packs().all(is_there));
    take_in(groups, &kept, overhead, &mut gathered, &mut replaced);
    replaced.sort_unstable();
    Plan { new: partition(gathered, overhead), replaced }
}

/// Groups whose every pack is in another whole group too: a run was killed before it could remove them.
fn set_aside_repeats(
    groups: &[Known<'_>],
    is_there: &dyn Fn(&Member) -> bool,
    kept: &mut Vec<usize>,
    replaced: &mut Vec<usize>,
) {
    let is_whole = |number: &usize| groups[*number].complete && groups[*number].shape.packs().all(is_there);
    let mut whole: Vec<usize> = kept.iter().copied().filter(is_whole).collect();
    whole.sort_by_key(|number| (groups[*number].shape.packs().count(), *number));
    let mut times: HashMap<PackId, usize> = HashMap::new();
    for member in whole.iter().flat_map(|number| groups[*number].shape.packs()) {
        *times.entry(member.pack).or_default() += 1;
    }
    for number in whole {
        let shape = groups[number].shape;
        if shape.packs().all(|member| times.get(&member.pack).is_some_and(|times| *times > 1)) {
            shape.packs().for_each(|member| _ = times.entry(member.pack).and_modify(|times| *times -= 1));
            kept.retain(|other| *other != number);
            replaced.push(number);
        }
    }
}

/// Adds the packs of small groups, the smallest first.
fn take_in(
    groups: &[Known<'_>],
    kept: &[usize],
    overhead: Overhead,
    gathered: &mut BTreeMap<PackId, u64>,
    replaced: &mut Vec<usize>,
) {
    let count = |number: &usize| groups[*number].shape.packs().count();
    let full = overhead.members_full();
    let mut small: Vec<usize> = kept.iter().copied().filter(|number| groups[*number].complete).collect();
    small.retain(|number| groups[*number].shape.overhead == overhead && count(number) * 2 <= full);
    small.sort_by_key(|number| (count(number), *number));
    for number in small {
        if gathered.is_empty() || count(&number) > gathered.len() * 2 {
            return;
        }
        gathered.extend(groups[number].shape.packs().map(|member| (member.pack, member.bytes)));
        replaced.push(number);
    }
}

/// Groups of about equal numbers of packs of about equal size.
pub fn partition(packs: BTreeMap<PackId, u64>, overhead: Overhead) -> Vec<Shape> {
    let mut members: Vec<Member> =
        packs.into_iter().filter(|(_, bytes)| *bytes > 0).map(|(pack, bytes)| Member { pack, bytes }).collect();
    members.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.pack.cmp(&b.pack)));
    let mut left = members.len().div_ceil(overhead.members_full());
    let mut shapes = Vec::new();
    let mut rest = members.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().div_ceil(left.max(1)));
        shapes.push(shape(now.to_vec(), overhead));
        (rest, left) = (later, left.saturating_sub(1));
    }
    shapes
}

/// A group of these packs.
pub fn shape(members: Vec<Member>, overhead: Overhead) -> Shape {
    let recovery = overhead.recovery_of(members.len()) as u16;
    Shape { shard_bytes: SHARD_BYTES, recovery, overhead, members }
}

/// Groups that the others make superfluous once `made` are there: every pack of theirs that was not deleted on
/// purpose is in one of them.
pub fn superfluous<'a>(
    replaced: impl Iterator<Item = (usize, &'a Shape)>,
    covered: &HashSet<PackId>,
    deleted: &dyn Fn(&PackId) -> bool,
) -> Vec<usize> {
    let is_covered = |member: &Member| covered.contains(&member.pack) || deleted(&member.pack);
    replaced.filter(|(_, shape)| shape.packs().all(is_covered)).map(|(number, _)| number).collect()
}

#[cfg(test)]
mod tests;
