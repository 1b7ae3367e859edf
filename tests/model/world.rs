//! What is stored, and what everybody remembers, at one moment.
//!
//! There is one chunk, and every snapshot is made of it: what can be lost of many chunks can be lost of one. A pack
//! that is no copy of it would never be in anybody's way.

/// A set of packs, segments, snapshots or sessions, by bit.
pub type Set = u8;

/// The pack everything begins with.
pub const OLD_PACK: usize = 0;
/// A second copy of the chunk.
pub const TWIN_PACK: usize = 1;
/// What an owner repacks the chunk into.
pub const COPY_PACK: usize = 5;
/// How many packs there may be.
pub const PACKS: usize = 6;
/// The segment that lists the packs everything begins with.
pub const OLD_SEGMENT: usize = 0;
/// What an owner merges segments into.
pub const MERGED_SEGMENT: usize = 4;
/// Lists what an owner repacked.
pub const COPY_SEGMENT: usize = 5;
/// How many segments there may be.
pub const SEGMENTS: usize = 6;
/// The snapshot everything begins with.
pub const OLD_SNAPSHOT: usize = 0;
/// How many snapshots there may be.
pub const SNAPSHOTS: usize = 4;
/// How many sessions there may be.
pub const SESSIONS: usize = 3;

/// The pack a session stores.
pub const fn pack_of(session: usize) -> usize {
    2 + session
}

/// The segment that lists it.
pub const fn segment_of(session: usize) -> usize {
    1 + session
}

/// The snapshot name a session reserved.
pub const fn snapshot_of(session: usize) -> usize {
    1 + session
}

/// The set of one.
pub const fn one(index: usize) -> Set {
    1 << index
}

/// Whether it is in.
pub const fn has(set: Set, index: usize) -> bool {
    set & one(index) != 0
}

/// An object on its way. *Flying* is sent and not yet there: it may land at any later time, its sender dead or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Put {
    /// Nobody has sent it.
    #[default]
    Absent,
    /// Sent.
    Flying,
    /// There.
    Here,
    /// Deleted.
    Gone,
}

/// An index segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Segment {
    /// Whether it is there.
    pub put: Put,
    /// The packs it lists.
    pub packs: Set,
}

/// What stands under the name of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Name {
    /// Nothing.
    #[default]
    Free,
    /// A manifest.
    Committed,
    /// The word that it will never be.
    Aborted,
}

/// The journal, folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Journal {
    /// Number of the last entry, from 1.
    pub head: u8,
    /// The entry that marked each pack; 0 for a pack that is not marked.
    pub marked: [u8; PACKS],
    /// The entry that marked it first, even if that was taken back: read only when rule D7 is left out.
    pub first_marked: [u8; PACKS],
    /// Packs that exist for nobody.
    pub doomed: Set,
    /// The last entry that took a pack off the dead list.
    pub swept: u8,
    /// Segments that exist for nobody.
    pub doomed_segments: Set,
    /// Snapshots that are not shown.
    pub forgotten: Set,
    /// Snapshots that are no roots.
    pub purged: Set,
    /// Sessions closed without a snapshot.
    pub closed: Set,
}

impl Journal {
    /// The marked packs.
    pub fn marks(&self) -> Set {
        (0..PACKS).filter(|pack| self.marked[*pack] > 0).fold(0, |set, pack| set | one(pack))
    }

    /// Whether a snapshot's name was closed without one.
    pub fn is_void(&self, snapshot: usize) -> bool {
        snapshot > 0 && has(self.closed, snapshot - 1)
    }
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum At {
    /// Not begun.
    #[default]
    Nowhere,
    /// Its record stands.
    Announced,
    /// It has loaded the index: only when rule W8 is left out.
    LoadedEarly,
    /// It has read the journal.
    Read,
    /// Its lease says how far.
    Leased,
    /// It has taken the first of the two listings that the index takes.
    Listed,
    /// Its pack was sent.
    PackSent,
    /// Its segment was sent.
    SegmentSent,
    /// Its manifest was sent.
    CommitSent,
    /// It has told of success.
    Reported,
    /// It has told that it was fenced.
    Fenced,
    /// It is no more. What it sent may still land.
    Dead,
}

/// One session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Session {
    /// Where its program stands.
    pub at: At,
    /// Whether `sessions/<id>-0` is there.
    pub record: bool,
    /// Whether a lease is there.
    pub leased: bool,
    /// The entry it has read the journal to, which its lease says.
    pub seen: u8,
    /// The snapshot it may take chunks over from.
    pub parent: Option<u8>,
    /// Whether it may.
    pub trusts: bool,
    /// Packs it does not rely on.
    pub avoids: Set,
    /// Segments that did not exist in the journal it read.
    pub doomed_segments: Set,
    /// Packs it knew before it read the journal: only when rule W8 is left out.
    pub knows: Set,
    /// The packs that listing showed.
    pub listed: Set,
    /// The last *swept* in the journal it read.
    pub swept: u8,
    /// Whether its manifest is under way.
    pub flying: bool,
    /// Given up for lost by an owner, without fencing: only when rule F1 is left out.
    pub lapsed: bool,
}

impl Session {
    /// What it needed to know to look the chunk up is of no use any more.
    pub fn forget(&mut self) {
        (self.trusts, self.avoids, self.knows) = (false, 0, 0);
        (self.listed, self.swept, self.doomed_segments) = (0, 0, 0);
    }
}

/// The cache of the index on one machine, which outlives sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Cache {
    /// Segments it holds.
    pub folded: Set,
    /// The packs it knows.
    pub packs: Set,
    /// The last *swept* it has taken notice of.
    pub swept: u8,
}

/// What an owner is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Stage {
    /// Nothing.
    #[default]
    Idle,
    /// Looking at the journal, sessions and snapshots; so many looks were taken.
    Looking(u8),
    /// About to doom packs.
    Dooms(Set),
    /// Has seen that a pack is gone, and is about to say so.
    Sweeps(u8),
}

/// One owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// What it is about.
    pub stage: Stage,
    /// The journal as it was read; number 0 if it was not.
    pub facts: Journal,
    /// The lowest entry a live session has seen.
    pub lowest_seen: u8,
    /// Parents of live sessions.
    pub parents: Set,
    /// Snapshots found committed.
    pub committed: Set,
}

impl Default for Owner {
    fn default() -> Self {
        Self { stage: Stage::Idle, facts: Journal::default(), lowest_seen: u8::MAX, parents: 0, committed: 0 }
    }
}

/// Everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct World {
    /// `journal/`.
    pub journal: Journal,
    /// `packs/`.
    pub packs: [Put; PACKS],
    /// `index/`.
    pub segments: [Segment; SEGMENTS],
    /// `snapshots/`.
    pub names: [Name; SNAPSHOTS],
    /// `sessions/`, and the programs behind them.
    pub sessions: [Session; SESSIONS],
    /// Packs some owner is about to delete although the journal says otherwise: only when rule D10 or S2 is left out.
    pub condemned: Set,
    /// The caches of the machines.
    pub caches: [Cache; 2],
    /// The owners, who are alike and therefore kept in order.
    pub owners: [Owner; 2],
}

impl World {
    /// The packs that are there.
    pub fn packs_here(&self) -> Set {
        (0..PACKS).filter(|pack| self.packs[*pack] == Put::Here).fold(0, |set, pack| set | one(pack))
    }

    /// The segments that are there.
    pub fn segments_here(&self) -> Set {
        let is_here = |segment: &usize| self.segments[*segment].put == Put::Here;
        (0..SEGMENTS).filter(is_here).fold(0, |set, segment| set | one(segment))
    }

    /// The packs that these segments list.
    pub fn listed_by(&self, segments: Set) -> Set {
        let within = (0..SEGMENTS).filter(|segment| has(segments, *segment));
        within.fold(0, |set, segment| set | self.segments[segment].packs)
    }

    /// Whether a snapshot is committed and its name not closed without one.
    pub fn counts(&self, snapshot: usize) -> bool {
        self.names[snapshot] == Name::Committed && !self.journal.is_void(snapshot)
    }

    /// Whether the chunk is to be found: in a pack that is there and not doomed, listed by such a segment.
    pub fn resolves(&self) -> bool {
        let listed = self.listed_by(self.segments_here() & !self.journal.doomed_segments);
        self.packs_here() & !self.journal.doomed & listed != 0
    }

    /// Whether an owner must still reckon with this session.
    pub fn is_live(&self, session: usize) -> bool {
        let state = &self.sessions[session];
        state.record
            && !state.lapsed
            && self.names[snapshot_of(session)] == Name::Free
            && !has(self.journal.closed, session)
    }
}
