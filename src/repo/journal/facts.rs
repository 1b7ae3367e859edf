//! What all entries of the journal add up to: a pure fold, total over every sequence of entries.
//!
//! [`Facts::apply`] gives every entry a meaning, so that no order of entries can make the repository unreadable;
//! [`Facts::allows`] says which entry makes sense next, and is asked before one is written.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use minicbor::{Decode, Encode};

use crate::base::clock::Timestamp;
use crate::base::id::{PackId, SegmentId, SessionId, SnapshotId, WriterId};
use crate::repo::journal::entry::{Arrival, Closed, Entry, Pin, Revocation};
use crate::repo::journal::ledger::Ledger;

/// When something was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Since {
    /// In which entry.
    #[n(0)]
    pub number: u64,
    /// When that entry was written.
    #[n(1)]
    pub time: Timestamp,
}

/// The life of one kind of object: marked, then doomed, then gone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Fates<Id: Ord> {
    /// Not to be relied on by new snapshots, since when first marked.
    #[n(0)]
    pub marked: BTreeMap<Id, Since>,
    /// Being deleted; does not exist for any loader.
    #[n(1)]
    pub doomed: BTreeMap<Id, Since>,
}

impl<Id: Ord> Default for Fates<Id> {
    fn default() -> Self {
        Self { marked: BTreeMap::new(), doomed: BTreeMap::new() }
    }
}

impl<Id: Ord + Copy> Fates<Id> {
    fn mark(&mut self, ids: &[Id], since: Since) {
        for id in ids.iter().filter(|id| !self.doomed.contains_key(id)) {
            self.marked.entry(*id).or_insert(since);
        }
    }

    fn unmark(&mut self, ids: &[Id]) {
        for id in ids {
            self.marked.remove(id);
        }
    }

    fn doom(&mut self, ids: &[Id], since: Since) {
        for id in ids {
            self.marked.remove(id);
            self.doomed.entry(*id).or_insert(since);
        }
    }

    fn sweep(&mut self, ids: &[Id]) {
        for id in ids {
            self.doomed.remove(id);
        }
    }
}

/// The state of a repository beyond the mere existence of its objects.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Facts {
    /// Packs on their way out.
    #[n(0)]
    pub packs: Fates<PackId>,
    /// Index segments on their way out.
    #[n(1)]
    pub segments: Fates<SegmentId>,
    /// Snapshots no longer shown but still roots.
    #[n(2)]
    pub forgotten: BTreeMap<SnapshotId, Since>,
    /// Snapshots that are no roots any more.
    #[n(3)]
    pub purged: BTreeSet<SnapshotId>,
    /// Snapshots that must be kept.
    #[n(4)]
    pub pins: BTreeMap<SnapshotId, Pin>,
    /// Unreadable snapshots that deletion does not wait for, with the reason.
    #[n(5)]
    pub quarantined: BTreeMap<SnapshotId, String>,
    /// Sessions that can never commit again.
    #[n(6)]
    pub closed: BTreeMap<SessionId, Closed>,
    /// When packs were last read and hashed by an owner.
    #[n(7)]
    pub verified: Ledger,
    /// Writers whose key no longer counts.
    #[n(8)]
    pub revoked: BTreeMap<WriterId, Revocation>,
    /// The number of the last entry that says packs are gone: whoever has not taken notice of it looks for all packs
    /// it knows again (`docs/protocol.md`, I2).
    #[n(9)]
    pub last_swept: Option<u64>,
    /// The number of the last entry that says packs are lost: snapshots whose sessions had not read it may lack
    /// something (`docs/protocol.md`, W7).
    #[n(10)]
    pub last_lost: Option<u64>,
    /// When snapshots were there first.
    #[n(11)]
    #[cbor(default)]
    pub arrived: BTreeMap<SnapshotId, Timestamp>,
    /// The latest of these times, of purged ones too.
    #[n(12)]
    pub last_arrived: Option<Timestamp>,
}

impl Facts {
    /// Whether a pack does not exist for any loader.
    pub fn is_doomed(&self, pack: &PackId) -> bool {
        self.packs.doomed.contains_key(pack)
    }

    /// Whether new snapshots must not rely on a pack, because it is marked or doomed.
    pub fn is_marked(&self, pack: &PackId) -> bool {
        self.packs.marked.contains_key(pack) || self.is_doomed(pack)
    }

    /// Whether a pack is marked, and every snapshot that may have relied on it is known to be one that may lack
    /// something.
    pub fn is_lost(&self, pack: &PackId) -> bool {
        let marked = self.packs.marked.get(pack);
        marked.is_some_and(|since| self.last_lost.is_some_and(|lost| since.number <= lost))
    }

    /// Whether a snapshot whose session had read the journal up to this entry has all that is not lost since.
    pub fn is_whole_at(&self, seen: Option<u64>) -> bool {
        seen >= self.last_lost
    }

    /// When a snapshot was there first. One the journal does not know was not there yet when the newest it knows had
    /// been found, whatever age the store gives it. No clock is asked for that: what one that is wrong writes down
    /// would stay.
    pub fn arrival(&self, snapshot: &SnapshotId, created: Timestamp) -> Timestamp {
        let known = self.arrived.get(snapshot).copied();
        known.unwrap_or_else(|| self.last_arrived.map_or(created, |newest| created.max(newest)))
    }

    /// Whether an index segment does not exist for any loader.
    pub fn is_segment_doomed(&self, segment: &SegmentId) -> bool {
        self.segments.doomed.contains_key(segment)
    }

    /// Whether a snapshot is no longer shown, because it was forgotten or purged.
    pub fn is_forgotten(&self, snapshot: &SnapshotId) -> bool {
        self.forgotten.contains_key(snapshot) || self.is_purged(snapshot)
    }

    /// Whether a snapshot is no root any more.
    pub fn is_purged(&self, snapshot: &SnapshotId) -> bool {
        self.purged.contains(snapshot)
    }

    /// Whether a snapshot's name was closed uncommitted: an object of that name never counts.
    pub fn is_void(&self, snapshot: &SnapshotId) -> bool {
        self.closed.values().any(|closed| closed.snapshot == *snapshot && !closed.committed)
    }

    /// All names that were closed uncommitted, to ask about many.
    pub fn voids(&self) -> HashSet<SnapshotId> {
        self.closed.values().filter(|closed| !closed.committed).map(|closed| closed.snapshot).collect()
    }

    /// Folds one entry in. What is final stays: doom is not undone by unmark, nor purge by undelete.
    pub fn apply(&mut self, since: Since, entry: &Entry) {
        match entry {
            // Verified by the loader to be equal to what the entries before it add up to.
            Entry::Checkpoint(_) => {}
            Entry::Mark(objects) => {
                self.packs.mark(&objects.packs, since);
                self.segments.mark(&objects.segments, since);
            }
            Entry::Unmark(objects) => {
                self.packs.unmark(&objects.packs);
                self.segments.unmark(&objects.segments);
            }
            Entry::Doom(objects) => {
                self.packs.doom(&objects.packs, since);
                self.segments.doom(&objects.segments, since);
            }
            Entry::Swept(objects) => {
                self.packs.sweep(&objects.packs);
                self.segments.sweep(&objects.segments);
                if !objects.packs.is_empty() {
                    self.last_swept = Some(since.number);
                }
                for pack in &objects.packs {
                    self.verified.remove(pack);
                }
            }
            Entry::Forget(snapshots) => {
                for snapshot in snapshots.iter().filter(|snapshot| !self.purged.contains(snapshot)) {
                    self.forgotten.entry(*snapshot).or_insert(since);
                }
            }
            Entry::Undelete(snapshots) => {
                for snapshot in snapshots {
                    self.forgotten.remove(snapshot);
                }
            }
            Entry::Purge(snapshots) => snapshots.iter().for_each(|snapshot| self.purge(*snapshot)),
            Entry::Pin(snapshot, pin) if !self.purged.contains(snapshot) => {
                self.pins.insert(*snapshot, pin.clone());
            }
            Entry::Pin(..) => {}
            Entry::Unpin(snapshots) => {
                for snapshot in snapshots {
                    self.pins.remove(snapshot);
                }
            }
            Entry::Quarantine(snapshot, reason) => {
                self.quarantined.insert(*snapshot, reason.clone());
            }
            Entry::Close(session, closed) => {
                self.closed.entry(*session).or_insert(*closed);
            }
            Entry::Lost(packs) => {
                self.packs.mark(packs, since);
                self.last_lost = Some(since.number);
            }
            Entry::Arrived(arrivals) => arrivals.iter().for_each(|arrival| self.arrive(arrival)),
            Entry::Verified(packs, by) => self.verified.note(since, *by, packs),
            Entry::Revoke(writer, revocation) => {
                self.revoked.entry(*writer).or_insert_with(|| revocation.clone());
            }
        }
    }

    fn purge(&mut self, snapshot: SnapshotId) {
        self.forgotten.remove(&snapshot);
        self.pins.remove(&snapshot);
        self.arrived.remove(&snapshot);
        self.purged.insert(snapshot);
    }

    fn arrive(&mut self, arrival: &Arrival) {
        if !self.purged.contains(&arrival.snapshot) {
            let time = *self.arrived.entry(arrival.snapshot).or_insert(arrival.time);
            self.last_arrived = self.last_arrived.max(Some(time));
        }
    }

    /// Whether an entry makes sense next; if not, why.
    pub fn allows(&self, entry: &Entry) -> Result<(), String> {
        let all = |holds: bool, why: &str| if holds { Ok(()) } else { Err(why.to_owned()) };
        match entry {
            Entry::Mark(objects) | Entry::Unmark(objects) | Entry::Doom(objects) | Entry::Swept(objects)
                if objects.is_empty() =>
            {
                Err("it names no object".to_owned())
            }
            Entry::Mark(objects) => all(
                objects.packs.iter().all(|id| !self.packs.doomed.contains_key(id))
                    && objects.segments.iter().all(|id| !self.segments.doomed.contains_key(id)),
                "an object is doomed already",
            ),
            Entry::Lost(packs) => {
                all(packs.iter().all(|id| !self.packs.doomed.contains_key(id)), "a pack is doomed already")
            }
            Entry::Unmark(objects) | Entry::Doom(objects) => all(
                objects.packs.iter().all(|id| self.packs.marked.contains_key(id))
                    && objects.segments.iter().all(|id| self.segments.marked.contains_key(id)),
                "an object is not marked",
            ),
            Entry::Swept(objects) => all(
                objects.packs.iter().all(|id| self.packs.doomed.contains_key(id))
                    && objects.segments.iter().all(|id| self.segments.doomed.contains_key(id)),
                "an object is not doomed",
            ),
            Entry::Forget(ids) => {
                let free = |id| !self.purged.contains(id) && !self.pins.contains_key(id);
                all(!ids.is_empty() && ids.iter().all(free), "a snapshot is pinned, or purged already")
            }
            Entry::Undelete(ids) => all(
                ids.iter().all(|id| self.forgotten.contains_key(id)),
                "a snapshot is not forgotten, or purged already",
            ),
            Entry::Purge(ids) => {
                let due = |id| self.forgotten.contains_key(id) && !self.pins.contains_key(id);
                all(!ids.is_empty() && ids.iter().all(due), "a snapshot is pinned, or was not forgotten first")
            }
            Entry::Pin(id, _) => all(!self.purged.contains(id), "the snapshot is purged already"),
            Entry::Unpin(ids) => all(ids.iter().all(|id| self.pins.contains_key(id)), "a snapshot is not pinned"),
            Entry::Close(id, _) => all(!self.closed.contains_key(id), "the session is closed already"),
            Entry::Revoke(id, _) => all(!self.revoked.contains_key(id), "the writer is revoked already"),
            Entry::Checkpoint(facts) => all(**facts == *self, "it is not the state reached"),
            Entry::Verified(packs, _) => all(!packs.is_empty(), "it names no pack"),
            Entry::Arrived(arrivals) => all(!arrivals.is_empty(), "it names no snapshot"),
            Entry::Quarantine(..) => Ok(()),
        }
    }
}
