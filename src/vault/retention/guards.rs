//! What is never done, whatever a policy wants.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::base::clock::Timestamp;
use crate::base::id::{NodeId, SnapshotId};
use crate::vault::retention::verdict::{Judged, Verdict, Why};
use crate::vault::retention::{Candidate, Standing};

/// The guards; each can be set down to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// A node keeps at least so many.
    pub min_snapshots: u32,
    /// A policy drops at most so many of a hundred in one run.
    pub max_drop: u32,
    /// Seconds that a snapshot's time may be away from when it was first seen; further, and it takes nobody's place.
    pub max_drift: Option<i64>,
}

impl Default for Guards {
    fn default() -> Self {
        Self { min_snapshots: 3, max_drop: 50, max_drift: Some(86_400) }
    }
}

/// A guard that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// More than the share would be dropped: how many, of how many, and the share.
    TooMany {
        /// To be dropped.
        dropped: usize,
        /// Of so many.
        of: usize,
        /// Of a hundred.
        most: u32,
    },
    /// A node would be left with too few good snapshots.
    TooFew {
        /// The node.
        node: NodeId,
        /// So many good ones are left.
        left: usize,
        /// So many must be.
        least: u32,
    },
    /// A pinned snapshot.
    Pinned {
        /// Which.
        id: SnapshotId,
        /// Why it is pinned.
        note: String,
    },
}

impl Breach {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::TooMany { dropped, of, .. } => {
                let share = (dropped * 100).div_ceil((*of).max(1));
                format!("look at the reasons with `--dry-run`; if it is meant, allow it with `--max-drop {share}%`")
            }
            Self::TooFew { left, .. } => format!("if it is meant, allow it with `--min-snapshots {left}`"),
            Self::Pinned { id, .. } => format!("if it may go, `dssvault unpin {}` first", id.short()),
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { dropped, of, most } => {
                write!(f, "{dropped} of {of} snapshots would be forgotten, more than {most} of a hundred")
            }
            Self::TooFew { node, left, least } => {
                write!(f, "node {} would have {left} good snapshots left, fewer than {least}", node.short())
            }
            Self::Pinned { id, note } => write!(f, "snapshot {} is pinned: {note}", id.short()),
        }
    }
}

/// How much a snapshot is worth to its node: good ones first, then those that lack files, then doubtful ones.
fn rank(standing: Standing) -> u8 {
    match standing {
        Standing::Full => 0,
        Standing::Partial => 1,
        Standing::Adrift(_) | Standing::Future => 2,
    }
}

/// Keeps the newest of each node, as many as the minimum asks for: good ones, and only where there are too few of these,
/// others. Something of the best there is stays in any case.
pub fn rescue(judged: &mut [Judged], guards: &Guards) {
    let mut nodes: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
    for (at, one) in judged.iter().enumerate() {
        nodes.entry(one.node).or_default().push(at);
    }
    for mut all in nodes.into_values() {
        all.sort_by_key(|&at| (rank(judged[at].standing), std::cmp::Reverse((judged[at].time, judged[at].id))));
        for &at in all.iter().take(guards.min_snapshots as usize) {
            if !judged[at].is_kept() {
                judged[at].verdict = Verdict::Keep(vec![Why::Minimum(guards.min_snapshots)]);
            }
        }
        let Some(&newest) = all.first() else { continue };
        let best = rank(judged[newest].standing);
        if !all.iter().any(|&at| rank(judged[at].standing) == best && judged[at].is_kept()) {
            judged[newest].verdict = Verdict::Keep(vec![Why::LastGood]);
        }
    }
}

/// Whether more are dropped than one run may.
pub fn too_many(judged: &[Judged], guards: &Guards) -> Option<Breach> {
    // Doubtful ones take nobody's place and pile up: among many of them a large loss would look small.
    let counts = |one: &&Judged| one.standing.competes() || !one.is_kept();
    let (of, most) = (judged.iter().filter(counts).count(), guards.max_drop);
    let dropped = judged.iter().filter(|one| !one.is_kept()).count();
    (dropped * 100 > of * most as usize).then_some(Breach::TooMany { dropped, of, most })
}

/// Whether these, named one by one, may be forgotten. A doubtful or incomplete one may go as long as better ones stay.
pub fn check_named(
    all: &[Candidate],
    named: &BTreeSet<SnapshotId>,
    guards: &Guards,
    now: Timestamp,
) -> Result<(), Breach> {
    let rank_of = |snapshot: &Candidate| rank(snapshot.standing(guards.max_drift, now));
    let mut best: BTreeMap<NodeId, u8> = BTreeMap::new();
    for snapshot in all {
        let best = best.entry(snapshot.node).or_insert(u8::MAX);
        *best = rank_of(snapshot).min(*best);
    }
    let mut nodes: BTreeMap<NodeId, [usize; 3]> = BTreeMap::new();
    for snapshot in all {
        let goes = named.contains(&snapshot.id);
        if let Some(pin) = snapshot.held_pin(now).filter(|_| goes) {
            return Err(Breach::Pinned { id: snapshot.id, note: pin.note.clone() });
        }
        // Where there is none without a blemish, those of the least count as good.
        let good = best.get(&snapshot.node) == Some(&rank_of(snapshot));
        let [left, good_left, good_gone] = nodes.entry(snapshot.node).or_default();
        *left += usize::from(!goes);
        *good_left += usize::from(!goes && good);
        *good_gone += usize::from(goes && good);
    }
    let least = guards.min_snapshots;
    for snapshot in all.iter().filter(|snapshot| named.contains(&snapshot.id)) {
        let [left, good_left, good_gone] = nodes.get(&snapshot.node).copied().unwrap_or_default();
        if least > 0 && (left == 0 || good_gone > 0 && good_left < least as usize) {
            return Err(Breach::TooFew { node: snapshot.node, left: good_left, least });
        }
    }
    Ok(())
}
