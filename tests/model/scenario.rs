//! Bounds: who takes part, how long the journal may get, what may happen.

use super::Protocol;
use super::Step;
use super::owner;
use super::world::{
    At, Name, OLD_PACK, OLD_SEGMENT, OLD_SNAPSHOT, PACKS, Put, SEGMENTS, Segment, TWIN_PACK, World, one, pack_of,
    segment_of,
};
use super::writer::WriterStep;

/// A world small enough to be searched to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// What it is about.
    pub name: &'static str,
    /// For each session, the machine it runs on; those of one machine run one after the other.
    pub machines: &'static [u8],
    /// How many owners.
    pub owners: u8,
    /// The journal ends here.
    pub entries_max: u8,
    /// A snapshot is there from the beginning.
    pub old_snapshot: bool,
    /// Its chunk has two copies.
    pub twin: bool,
    /// Session 0 was killed before the beginning: its pack is there, its segment under way.
    pub ghost: bool,
    /// Sessions may have parents.
    pub parents: bool,
    /// Snapshots are forgotten, undeleted, purged.
    pub retention: bool,
    /// Fenced sessions are closed, and their records removed.
    pub closes: bool,
    /// Machines keep their caches.
    pub caches: bool,
    /// Segments are merged.
    pub merges: bool,
    /// Packs leave the dead list.
    pub sweeps: bool,
    /// The chunk is repacked.
    pub copies: bool,
    /// Sessions and snapshots are listed one by one, with anything in between.
    pub pages: bool,
    /// What was deleted comes back, for its put was repeated.
    pub echoes: bool,
}

impl Scenario {
    /// Two writers on two machines, two owners, and nothing else.
    pub const PLAIN: Self = Self {
        name: "two writers, two owners",
        machines: &[0, 1],
        owners: 2,
        entries_max: 5,
        old_snapshot: false,
        twin: false,
        ghost: false,
        parents: false,
        retention: false,
        closes: false,
        caches: false,
        merges: false,
        sweeps: false,
        copies: false,
        pages: false,
        echoes: false,
    };

    /// Copies of a chunk, and repacking.
    pub const TWINS: Self = Self {
        name: "two copies and a third by repacking",
        machines: &[0],
        old_snapshot: true,
        twin: true,
        copies: true,
        ..Self::PLAIN
    };

    /// Parents that are forgotten, undeleted and purged; everything is listed one by one.
    pub const HEIRS: Self = Self {
        name: "parents beside forget, undelete and purge",
        owners: 1,
        parents: true,
        retention: true,
        pages: true,
        ..Self::PLAIN
    };

    /// Writers that are fenced, closed and cleaned up while their commit is under way.
    pub const FENCED: Self = Self { name: "fenced writers", owners: 1, closes: true, ..Self::PLAIN };

    /// One machine's cache beside merged segments and packs that leave the dead list.
    pub const CACHES: Self = Self {
        name: "a cache beside merging and sweeping",
        machines: &[0, 0],
        owners: 1,
        entries_max: 4,
        caches: true,
        merges: true,
        sweeps: true,
        echoes: true,
        ..Self::PLAIN
    };

    /// The segment of a session long gone, which lands at any time.
    pub const LATE: Self = Self {
        name: "a segment that lands late",
        machines: &[1, 0],
        owners: 1,
        ghost: true,
        caches: true,
        sweeps: true,
        echoes: true,
        ..Self::PLAIN
    };

    /// The same, listing what looks like a second copy.
    pub const LATE_TWIN: Self = Self {
        name: "a late segment that names a copy",
        machines: &[1],
        old_snapshot: true,
        ghost: true,
        sweeps: true,
        entries_max: 6,
        ..Self::PLAIN
    };

    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::PLAIN, Self::TWINS, Self::HEIRS, Self::FENCED, Self::CACHES, Self::LATE, Self::LATE_TWIN];

    /// Everything at once: too large to be searched to its end, good for walking around in.
    pub const EVERYTHING: Self = Self {
        name: "everything at once",
        machines: &[0, 1, 0],
        owners: 2,
        entries_max: 12,
        old_snapshot: true,
        twin: true,
        ghost: false,
        parents: true,
        retention: true,
        closes: true,
        caches: true,
        merges: true,
        sweeps: true,
        copies: true,
        pages: true,
        echoes: true,
    };

    /// How many sessions there may be.
    pub fn sessions(&self) -> usize {
        self.machines.len()
    }

    /// Where it begins: entry 1 is the empty checkpoint.
    pub fn beginning(&self) -> World {
        let mut world = World::default();
        world.journal.head = 1;
        world.packs[OLD_PACK] = Put::Here;
        let mut packs = one(OLD_PACK);
        if self.twin {
            world.packs[TWIN_PACK] = Put::Here;
            packs |= one(TWIN_PACK);
        }
        world.segments[OLD_SEGMENT] = Segment { put: Put::Here, packs };
        if self.old_snapshot {
            world.names[OLD_SNAPSHOT] = Name::Committed;
        }
        if self.ghost {
            world.packs[pack_of(0)] = Put::Here;
            world.segments[segment_of(0)] = Segment { put: Put::Flying, packs: one(pack_of(0)) };
            world.sessions[0].at = At::Dead;
        }
        world
    }

    /// Every step anybody may ever take.
    pub fn steps(&self, protocol: &Protocol) -> Vec<Step> {
        let mut steps = Vec::new();
        for session in 0..self.sessions() as u8 {
            use WriterStep::{Begin, CommitLands, Die, GoOn, PackLands, Renew, SegmentLands};
            let mut add = |step| steps.push(Step::Writer(session, step));
            [Begin(None), GoOn, Renew, Die, PackLands, SegmentLands, CommitLands].into_iter().for_each(&mut add);
            if self.parents {
                (0..=session).for_each(|parent| add(Begin(Some(parent))));
            }
        }
        if self.echoes {
            steps.extend((0..PACKS as u8).map(Step::PackReturns));
            steps.extend((0..SEGMENTS as u8).map(Step::SegmentReturns));
        }
        steps.extend(owner::all_steps(protocol).into_iter().map(Step::Owner));
        steps
    }
}
