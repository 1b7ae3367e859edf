//! The steps of owners: what they append to the journal, how they decide what to doom, what they delete.
//!
//! An entry that is decided from the journal alone is one step, for a lost number makes its owner decide again.
//! Owners may mark and unmark whatever they like: nothing rests on marks being wise.

use super::Protocol;
use super::rules::Rule;
use super::world::{
    COPY_PACK, COPY_SEGMENT, Journal, MERGED_SEGMENT, Name, Owner, PACKS, Put, SEGMENTS, Segment, Set, Stage, World,
    has, one, snapshot_of,
};
use super::writer::lands;

/// What an owner does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnerStep {
    /// Appends *mark*.
    Mark(u8),
    /// Appends *unmark*.
    Unmark(u8),
    /// Appends *forget*.
    Forget(u8),
    /// Appends *undelete*.
    Undelete(u8),
    /// Appends *purge*.
    Purge(u8),
    /// Appends *doom* and *swept* of what it decided.
    Append(u8),
    /// Takes the next look before it decides what to doom.
    Look(u8),
    /// Deletes what it is about to doom: only when rule S1 is left out.
    DeleteTooEarly(u8),
    /// Deletes a doomed pack.
    Delete(u8),
    /// Gets the answer that a pack is deleted.
    SeeDeleted(u8, u8),
    /// Creates an abort record.
    Fence(u8),
    /// Appends *close* of a session that was fenced.
    Close(u8),
    /// Removes the record of a session, and its abort record.
    Remove(u8),
    /// Sends a segment that lists what all others list.
    Merge,
    /// That appears.
    MergedLands,
    /// Appends *mark* and *doom* of a segment.
    DoomSegment(u8),
    /// Deletes it.
    DeleteSegment(u8),
    /// Sends a pack with another copy of the chunk.
    Copy,
    /// That appears.
    CopyLands,
    /// Sends a segment that lists it.
    ListCopy,
    /// That appears.
    ListedCopyLands,
}

/// One look of an owner at one thing.
type Look = fn(&Protocol, &mut World, usize, usize);

impl Protocol {
    pub(super) fn owner(&self, world: &World, step: OwnerStep) -> Option<World> {
        let mut next = *world;
        match step {
            OwnerStep::Look(owner) => self.look(&mut next, usize::from(owner))?,
            OwnerStep::Append(owner) => self.append_decided(&mut next, usize::from(owner))?,
            OwnerStep::DeleteTooEarly(owner) => self.delete_too_early(&mut next, usize::from(owner))?,
            OwnerStep::SeeDeleted(owner, pack) => self.see_deleted(&mut next, usize::from(owner), pack)?,
            OwnerStep::Delete(pack) => delete_pack(&mut next, usize::from(pack))?,
            OwnerStep::Fence(session) => self.fence(&mut next, usize::from(session))?,
            OwnerStep::Remove(session) => self.remove(&mut next, usize::from(session))?,
            OwnerStep::DeleteSegment(segment) => delete_segment(&mut next, usize::from(segment))?,
            OwnerStep::Merge => merge(&mut next)?,
            OwnerStep::MergedLands => lands(&mut next.segments[MERGED_SEGMENT].put)?,
            OwnerStep::Copy => copy(&mut next)?,
            OwnerStep::CopyLands => lands(&mut next.packs[COPY_PACK])?,
            OwnerStep::ListCopy => list_copy(&mut next)?,
            OwnerStep::ListedCopyLands => lands(&mut next.segments[COPY_SEGMENT].put)?,
            OwnerStep::Mark(_)
            | OwnerStep::Unmark(_)
            | OwnerStep::Forget(_)
            | OwnerStep::Undelete(_)
            | OwnerStep::Purge(_)
            | OwnerStep::Close(_)
            | OwnerStep::DoomSegment(_) => {
                let number = self.next_number(world)?;
                let journal = self.entry(world, step, number)?;
                self.follow(&mut next, journal);
            }
        }
        next.owners[..usize::from(self.scenario.owners)].sort_unstable();
        Some(next)
    }

    fn next_number(&self, world: &World) -> Option<u8> {
        (world.journal.head < self.scenario.entries_max).then(|| world.journal.head + 1)
    }

    /// The journal with one entry more. Whoever decided on the old one has lost the number.
    fn follow(&self, world: &mut World, journal: Journal) {
        world.journal = journal;
        if self.rules.hold(Rule::D11) {
            for owner in world.owners.iter_mut().filter(|owner| owner.facts.head > 0) {
                *owner = Owner::default();
            }
        }
    }

    fn entry(&self, world: &World, step: OwnerStep, number: u8) -> Option<Journal> {
        let mut journal = Journal { head: number, ..world.journal };
        let makes_sense = match step {
            OwnerStep::Mark(pack) => {
                let pack = usize::from(pack);
                journal.marked[pack] = number;
                if !self.rules.hold(Rule::D7) && journal.first_marked[pack] == 0 {
                    journal.first_marked[pack] = number;
                }
                world.packs[pack] == Put::Here && world.journal.marked[pack] == 0 && !has(journal.doomed, pack)
            }
            OwnerStep::Unmark(pack) => {
                let revived = if self.rules.hold(Rule::D10) { 0 } else { journal.doomed & one(usize::from(pack)) };
                journal.doomed &= !revived;
                let marked = std::mem::take(&mut journal.marked[usize::from(pack)]) > 0;
                marked || revived != 0
            }
            OwnerStep::Forget(snapshot) => {
                journal.forgotten |= one(usize::from(snapshot));
                let hidden = has(world.journal.forgotten | journal.purged, usize::from(snapshot));
                world.counts(usize::from(snapshot)) && !hidden
            }
            OwnerStep::Undelete(snapshot) => {
                journal.forgotten &= !one(usize::from(snapshot));
                has(world.journal.forgotten, usize::from(snapshot))
            }
            OwnerStep::Purge(snapshot) => {
                journal.forgotten &= !one(usize::from(snapshot));
                journal.purged |= one(usize::from(snapshot));
                has(world.journal.forgotten, usize::from(snapshot))
            }
            OwnerStep::Close(session) => {
                journal.closed |= one(usize::from(session));
                let fenced = world.names[snapshot_of(usize::from(session))] == Name::Aborted;
                fenced && !has(world.journal.closed, usize::from(session))
            }
            OwnerStep::DoomSegment(segment) => {
                let segment = usize::from(segment);
                journal.doomed_segments |= one(segment);
                let others = world.segments_here() & !journal.doomed_segments;
                let unlisted = world.segments[segment].packs & !journal.doomed & !world.listed_by(others);
                let dispensable = unlisted == 0 || !self.rules.hold(Rule::I3);
                world.segments[segment].put == Put::Here && !has(world.journal.doomed_segments, segment) && dispensable
            }
            _ => false,
        };
        makes_sense.then_some(journal)
    }

    /// The order of looks: journal, sessions, snapshots; or a wrong one.
    fn look(&self, world: &mut World, number: usize) -> Option<()> {
        let (sessions, snapshots) = (self.scenario.sessions(), self.scenario.sessions() + 1);
        let taken = match world.owners[number].stage {
            // Without a mark there is nothing to decide.
            Stage::Idle if world.journal.marks() != 0 || !self.rules.hold(Rule::D3) => 0,
            Stage::Looking(taken) => usize::from(taken),
            _ => return None,
        };
        let page = |count: usize| if self.scenario.pages { count } else { 1 };
        let parts: [(Look, usize); 3] =
            [(Self::look_at_journal, 1), (Self::look_at_session, sessions), (Self::look_at_snapshot, snapshots)];
        let order = match (self.rules.hold(Rule::D3), self.rules.hold(Rule::D4)) {
            (true, true) => [0, 1, 2],
            (false, _) => [1, 0, 2],
            (_, false) => [0, 2, 1],
        };
        let mut first = taken;
        for (place, part) in order.into_iter().enumerate() {
            let (look, count) = parts[part];
            if first >= page(count) {
                first -= page(count);
                continue;
            }
            let items = if self.scenario.pages && part > 0 { first..first + 1 } else { 0..count };
            items.for_each(|item| look(self, world, number, item));
            let last = place == 2 && first + 1 == page(count);
            let stage = if last { self.decide(world, number) } else { Stage::Looking(taken as u8 + 1) };
            world.owners[number].stage = stage;
            if last {
                let facts = if stage == Stage::Idle { Journal::default() } else { world.owners[number].facts };
                world.owners[number] = Owner { stage, facts, ..Owner::default() };
            }
            return Some(());
        }
        None
    }

    fn look_at_journal(&self, world: &mut World, number: usize, _: usize) {
        world.owners[number].facts = world.journal;
    }

    fn look_at_session(&self, world: &mut World, number: usize, session: usize) {
        let (live, state) = (world.is_live(session), world.sessions[session]);
        if !live || !state.leased && !self.rules.hold(Rule::D6) {
            return;
        }
        let owner = &mut world.owners[number];
        owner.lowest_seen = owner.lowest_seen.min(if state.leased { state.seen } else { 0 });
        owner.parents |= state.parent.map_or(0, |parent| one(usize::from(parent)));
    }

    fn look_at_snapshot(&self, world: &mut World, number: usize, snapshot: usize) {
        if world.names[snapshot] == Name::Committed {
            world.owners[number].committed |= one(snapshot);
        }
    }

    /// What may be doomed: a pure function of what was seen, but for reading the copies that are kept.
    fn decide(&self, world: &World, number: usize) -> Stage {
        let Owner { facts, lowest_seen, parents, committed, .. } = world.owners[number];
        let since = if self.rules.hold(Rule::D7) { &facts.marked } else { &facts.first_marked };
        let waits = |pack: usize| self.rules.hold(Rule::D5) && lowest_seen < since[pack];
        let due = (0..PACKS).filter(|pack| facts.marked[*pack] > 0 && !waits(*pack)).fold(0, |set, p| set | one(p));
        let hidden = facts.purged | if self.rules.hold(Rule::D1) { 0 } else { facts.forgotten };
        let own = (0..8).filter(|snapshot| has(committed & !hidden, *snapshot) && !facts.is_void(*snapshot)).count();
        let inherited = self.rules.hold(Rule::D2) && parents != 0;
        let kept = self.copies_to_keep(world, &facts);
        let dispensable = |pack: &usize| own == 0 && !inherited || kept & !one(*pack) != 0;
        let doom: Set = (0..PACKS).filter(|p| has(due, *p) && dispensable(p)).fold(0, |set, p| set | one(p));
        if doom == 0 { Stage::Idle } else { Stage::Dooms(doom) }
    }

    fn copies_to_keep(&self, world: &World, facts: &Journal) -> Set {
        let listed = world.listed_by(world.segments_here() & !facts.doomed_segments);
        let read = if self.rules.hold(Rule::D9) { world.packs_here() } else { Set::MAX };
        let marked = if self.rules.hold(Rule::D8) { facts.marks() } else { 0 };
        listed & read & !marked & !facts.doomed
    }

    fn append_decided(&self, world: &mut World, number: usize) -> Option<()> {
        let head = self.next_number(world)?;
        let mut journal = Journal { head, ..world.journal };
        match world.owners[number].stage {
            Stage::Dooms(packs) => {
                journal.doomed |= packs;
                let orderly = self.rules.hold(Rule::D10) && self.rules.hold(Rule::S2);
                world.condemned |= if orderly { 0 } else { packs };
                (0..PACKS).filter(|pack| has(packs, *pack)).for_each(|pack| journal.marked[pack] = 0);
            }
            Stage::Sweeps(pack) => {
                journal.doomed &= !one(usize::from(pack));
                journal.swept = head;
            }
            _ => return None,
        }
        world.owners[number] = Owner::default();
        self.follow(world, journal);
        Some(())
    }

    fn delete_too_early(&self, world: &mut World, number: usize) -> Option<()> {
        let Stage::Dooms(packs) = world.owners[number].stage else { return None };
        if self.rules.hold(Rule::S1) || world.packs_here() & packs == 0 {
            return None;
        }
        (0..PACKS).filter(|pack| has(packs, *pack)).for_each(|pack| world.packs[pack] = Put::Gone);
        Some(())
    }

    fn see_deleted(&self, world: &mut World, number: usize, pack: u8) -> Option<()> {
        let index = usize::from(pack);
        let deleted = world.packs[index] == Put::Gone || !self.rules.hold(Rule::S2);
        let due = self.scenario.sweeps && has(world.journal.doomed, index);
        if world.owners[number].stage != Stage::Idle || !due || !deleted {
            return None;
        }
        world.owners[number].stage = Stage::Sweeps(pack);
        world.owners[number].facts = world.journal;
        Some(())
    }

    fn fence(&self, world: &mut World, session: usize) -> Option<()> {
        if !world.is_live(session) {
            return None;
        }
        if self.rules.hold(Rule::F1) {
            world.names[snapshot_of(session)] = Name::Aborted;
            world.sessions[session].seen = 0;
        } else {
            world.sessions[session].lapsed = true;
        }
        Some(())
    }

    fn remove(&self, world: &mut World, session: usize) -> Option<()> {
        let fenced = world.names[snapshot_of(session)] == Name::Aborted;
        let closed = has(world.journal.closed, session) || !self.rules.hold(Rule::F2);
        (fenced && closed).then(|| {
            world.names[snapshot_of(session)] = Name::Free;
            world.sessions[session].record = false;
        })
    }
}

fn delete_pack(world: &mut World, pack: usize) -> Option<()> {
    let due = has(world.journal.doomed | world.condemned, pack) && world.packs[pack] == Put::Here;
    due.then(|| world.packs[pack] = Put::Gone)
}

fn delete_segment(world: &mut World, segment: usize) -> Option<()> {
    let due = has(world.journal.doomed_segments, segment) && world.segments[segment].put == Put::Here;
    due.then(|| world.segments[segment].put = Put::Gone)
}

fn merge(world: &mut World) -> Option<()> {
    let inputs = world.segments_here() & !world.journal.doomed_segments;
    let packs = world.listed_by(inputs) & !world.journal.doomed;
    let new = world.segments[MERGED_SEGMENT].put == Put::Absent && inputs != 0;
    new.then(|| world.segments[MERGED_SEGMENT] = Segment { put: Put::Flying, packs })
}

fn copy(world: &mut World) -> Option<()> {
    let readable = world.packs_here() & !world.journal.doomed != 0;
    (readable && world.packs[COPY_PACK] == Put::Absent).then(|| world.packs[COPY_PACK] = Put::Flying)
}

fn list_copy(world: &mut World) -> Option<()> {
    let due = matches!(world.packs[COPY_PACK], Put::Here | Put::Gone);
    let new = world.segments[COPY_SEGMENT].put == Put::Absent;
    (due && new).then(|| world.segments[COPY_SEGMENT] = Segment { put: Put::Flying, packs: one(COPY_PACK) })
}

/// Every step an owner may ever take under these bounds.
pub fn all_steps(protocol: &Protocol) -> Vec<OwnerStep> {
    let scenario = &protocol.scenario;
    let mut steps = Vec::new();
    for pack in 0..PACKS as u8 {
        steps.extend([OwnerStep::Mark(pack), OwnerStep::Unmark(pack), OwnerStep::Delete(pack)]);
    }
    for owner in 0..scenario.owners {
        steps.extend([OwnerStep::Look(owner), OwnerStep::Append(owner), OwnerStep::DeleteTooEarly(owner)]);
        steps.extend((0..PACKS as u8).map(|pack| OwnerStep::SeeDeleted(owner, pack)));
    }
    if scenario.retention {
        for snapshot in 0..=scenario.sessions() as u8 {
            steps.extend([OwnerStep::Forget(snapshot), OwnerStep::Undelete(snapshot), OwnerStep::Purge(snapshot)]);
        }
    }
    for session in 0..scenario.sessions() as u8 {
        steps.push(OwnerStep::Fence(session));
        if scenario.closes {
            steps.extend([OwnerStep::Close(session), OwnerStep::Remove(session)]);
        }
    }
    if scenario.merges {
        steps.extend([OwnerStep::Merge, OwnerStep::MergedLands]);
        for segment in 0..SEGMENTS as u8 {
            steps.extend([OwnerStep::DoomSegment(segment), OwnerStep::DeleteSegment(segment)]);
        }
    }
    if scenario.copies {
        steps.extend([OwnerStep::Copy, OwnerStep::CopyLands, OwnerStep::ListCopy, OwnerStep::ListedCopyLands]);
    }
    steps
}
