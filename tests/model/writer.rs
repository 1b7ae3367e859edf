//! The steps of a writer, and what lands of it.
//!
//! A pause, and a crash, is a writer that takes no step any more: what it sent can land all the same. It dies
//! explicitly only to let another session begin on its machine. What was sent and has not landed nobody can tell from
//! what was never sent; so a writer sends the next object as soon as the one before it has landed.

use super::rules::Rule;
use super::world::{At, Name, Put, Segment, Session, World, has, one, pack_of, segment_of, snapshot_of};
use super::{Protocol, index};

/// What a writer does next; most steps follow from where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriterStep {
    /// It begins, perhaps on top of a snapshot.
    Begin(Option<u8>),
    /// It does what comes next.
    GoOn,
    /// It writes another lease.
    Renew,
    /// It is killed.
    Die,
    /// Its pack appears.
    PackLands,
    /// Its segment appears.
    SegmentLands,
    /// Its manifest reaches the store.
    CommitLands,
}

impl Protocol {
    pub(super) fn writer(&self, world: &World, number: usize, step: WriterStep) -> Option<World> {
        let mut next = *world;
        match step {
            WriterStep::Begin(parent) => self.begin(&mut next, number, parent)?,
            WriterStep::GoOn => self.go_on(&mut next, number)?,
            WriterStep::Renew => self.renew(&mut next, number)?,
            WriterStep::Die => self.die(&mut next, number)?,
            WriterStep::PackLands => pack_lands(&mut next, number)?,
            WriterStep::SegmentLands => self.segment_lands(&mut next, number)?,
            WriterStep::CommitLands => self.commit_lands(&mut next, number)?,
        }
        Some(next)
    }

    fn begin(&self, world: &mut World, number: usize, parent: Option<u8>) -> Option<()> {
        let machine = self.scenario.machines[number];
        let ended = |at| matches!(at, At::Dead | At::Fenced | At::Reported);
        let free = (0..number).all(|other| self.scenario.machines[other] != machine || ended(world.sessions[other].at));
        let known = parent.is_none_or(|parent| world.names[usize::from(parent)] == Name::Committed);
        if world.sessions[number].at != At::Nowhere || !free || !known {
            return None;
        }
        world.sessions[number].parent = parent;
        if self.rules.hold(Rule::W1) {
            world.sessions[number].at = At::Announced;
            world.sessions[number].record = true;
        } else {
            self.read(world, number);
        }
        Some(())
    }

    fn go_on(&self, world: &mut World, number: usize) -> Option<()> {
        match world.sessions[number].at {
            At::Announced if !self.rules.hold(Rule::W8) => {
                world.sessions[number].swept = world.journal.swept;
                world.sessions[number].listed = world.packs_here();
                world.sessions[number].knows = index::load(self, world, number);
                world.sessions[number].at = At::LoadedEarly;
            }
            At::Announced | At::LoadedEarly => self.read(world, number),
            At::Read => {
                let session = &mut world.sessions[number];
                (session.leased, session.at) = (true, At::Leased);
                session.record |= !self.rules.hold(Rule::W1);
            }
            At::Leased if self.scenario.sweeps && !world.sessions[number].trusts => {
                world.sessions[number].listed = world.packs_here();
                world.sessions[number].at = At::Listed;
            }
            At::Leased | At::Listed => self.look_up(world, number),
            _ => return None,
        }
        Some(())
    }

    fn read(&self, world: &mut World, number: usize) {
        let journal = &world.journal;
        let stands = |parent: u8| {
            let hidden = has(journal.forgotten | journal.purged, usize::from(parent));
            !self.rules.hold(Rule::W7) || world.counts(usize::from(parent)) && !hidden
        };
        let trusts = world.sessions[number].parent.is_some_and(stands);
        let marked = if self.rules.hold(Rule::W3) { journal.marks() } else { 0 };
        let doomed = if self.rules.hold(Rule::W4) { journal.doomed } else { 0 };
        let (seen, swept, doomed_segments) = (journal.head, journal.swept, journal.doomed_segments);
        let session = &mut world.sessions[number];
        (session.trusts, session.avoids) = (trusts, marked | doomed);
        (session.seen, session.swept, session.at) = (seen, swept, At::Read);
        session.doomed_segments = doomed_segments;
    }

    fn look_up(&self, world: &mut World, number: usize) {
        if world.sessions[number].at == At::Leased {
            world.sessions[number].listed = world.packs_here();
        }
        let Session { trusts, avoids, knows, .. } = world.sessions[number];
        let early = !self.rules.hold(Rule::W8);
        let finds = |world: &mut World| if early { knows } else { index::load(self, world, number) } & !avoids != 0;
        let found = trusts || finds(world);
        world.sessions[number].forget();
        if found { send_commit(world, number) } else { self.send_pack(world, number) }
    }

    fn send_pack(&self, world: &mut World, number: usize) {
        world.packs[pack_of(number)] = Put::Flying;
        world.sessions[number].at = At::PackSent;
        if !self.rules.hold(Rule::W5) {
            send_segment(world, number);
            send_commit(world, number);
        }
    }

    /// A lease that follows rule W2 says nothing new.
    fn renew(&self, world: &mut World, number: usize) -> Option<()> {
        let (head, live) = (world.journal.head, world.is_live(number));
        let session = &mut world.sessions[number];
        let running = session.at >= At::Leased && session.at <= At::CommitSent;
        let changes = live && running && session.seen != head && !self.rules.hold(Rule::W2);
        changes.then(|| session.seen = head)
    }

    fn die(&self, world: &mut World, number: usize) -> Option<()> {
        let machine = self.scenario.machines[number];
        let awaited = (number + 1..self.scenario.sessions()).any(|other| self.scenario.machines[other] == machine);
        let session = &mut world.sessions[number];
        let running = session.at >= At::Announced && session.at <= At::CommitSent;
        (awaited && running).then(|| {
            session.at = At::Dead;
            session.forget();
        })
    }

    fn segment_lands(&self, world: &mut World, number: usize) -> Option<()> {
        lands(&mut world.segments[segment_of(number)].put)?;
        if world.sessions[number].at == At::SegmentSent {
            index::fold_own(self, world, number);
            send_commit(world, number);
        }
        Some(())
    }

    /// Create-only: what stands there wins, and the writer is told which.
    fn commit_lands(&self, world: &mut World, number: usize) -> Option<()> {
        let name = &mut world.names[snapshot_of(number)];
        let session = &mut world.sessions[number];
        if !session.flying {
            return None;
        }
        let wins = *name == Name::Free;
        if wins {
            *name = Name::Committed;
        }
        session.flying = false;
        (session.parent, session.seen) = (None, 0);
        if session.at == At::CommitSent {
            let closed = has(world.journal.closed, number) && self.rules.hold(Rule::W6);
            session.at = if wins && !closed { At::Reported } else { At::Fenced };
        }
        Some(())
    }
}

fn pack_lands(world: &mut World, number: usize) -> Option<()> {
    lands(&mut world.packs[pack_of(number)])?;
    if world.sessions[number].at == At::PackSent {
        send_segment(world, number);
    }
    Some(())
}

fn send_segment(world: &mut World, number: usize) {
    world.segments[segment_of(number)] = Segment { put: Put::Flying, packs: one(pack_of(number)) };
    world.sessions[number].at = At::SegmentSent;
}

fn send_commit(world: &mut World, number: usize) {
    world.sessions[number].flying = true;
    world.sessions[number].at = At::CommitSent;
}

/// Something sent appears.
pub fn lands(put: &mut Put) -> Option<()> {
    (*put == Put::Flying).then(|| *put = Put::Here)
}
