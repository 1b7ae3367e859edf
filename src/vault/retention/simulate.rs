//! What a policy would keep over time, if backups go on as they do.

use std::collections::BTreeMap;

use crate::base::clock::{CalendarSpan, Timestamp};
use crate::base::id::{NodeId, SnapshotId};
use crate::vault::retention::{Candidate, Guards, Terms, decide};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Backups made up for one node at most: hourly for more than a year.
const MADE_MAX: i64 = 10_000;

/// Runs of the policy at most: daily for more than a year.
const RUNS_MAX: i64 = 500;

/// Gaps between snapshots that say how often backups are made.
const GAPS: usize = 30;

/// Days after which is looked what there is.
const LOOKS: [i64; 11] = [0, 1, 7, 14, 30, 60, 90, 180, 365, 1_825, 3_650];

/// One node's years to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    /// The node.
    pub node: NodeId,
    /// Seconds between its backups: the middle of the gaps there are, a day if there are none.
    pub rhythm: i64,
    /// How many backups were made up.
    pub made: u64,
    /// When it begins.
    pub begin: Timestamp,
    /// What there is from time to time, and at the end.
    pub looks: Vec<Look>,
}

/// What there is at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// Times of the snapshots that are kept, oldest first.
    pub kept: Vec<Timestamp>,
}

/// Lets backups go on in the rhythm of each node, applies the policy once a day (or after each backup, if those are
/// rarer), and looks what is kept. `None` if the span leaves the calendar.
pub fn simulate(snapshots: &[Candidate], terms: &Terms, now: Timestamp, span: CalendarSpan) -> Option<Vec<Simulation>> {
    let end = terms.zone.after(now, span)?;
    // The share of a run says nothing here: the first run may drop as much as it likes.
    let terms = Terms { guards: Guards { max_drop: 100, ..terms.guards }, ..terms.clone() };
    let mut nodes: BTreeMap<NodeId, Vec<Candidate>> = BTreeMap::new();
    for snapshot in snapshots {
        nodes.entry(snapshot.node).or_default().push(snapshot.clone());
    }
    Some(nodes.into_values().filter_map(|node| simulate_node(node, &terms, now, end)).collect())
}

fn simulate_node(mut there: Vec<Candidate>, terms: &Terms, now: Timestamp, end: Timestamp) -> Option<Simulation> {
    let length = end.seconds - now.seconds;
    let rhythm = rhythm(&there, terms, now).max(length / MADE_MAX + 1);
    let stride = (length / RUNS_MAX + 1).max(DAY).max(rhythm);
    there.sort_by_key(|snapshot| (snapshot.time, snapshot.id));
    let pattern = there.last()?.clone();
    let mut marks: Vec<i64> = LOOKS.iter().map(|days| days * DAY).filter(|mark| *mark < length).collect();
    marks.push(length);
    let (mut made, mut ran, mut looks) = (0_u64, 0, Vec::new());
    for mark in marks {
        loop {
            let next = (made as i64 + 1) * rhythm;
            if next > mark {
                break;
            }
            if next - ran >= stride {
                ran = next;
                keep(&mut there, terms, now.later(ran));
            }
            made += 1;
            there.push(made_up(&pattern, made, now.later(next)));
        }
        keep(&mut there, terms, now.later(mark));
        let mut kept: Vec<Timestamp> = there.iter().map(|snapshot| snapshot.time).collect();
        kept.sort_unstable();
        looks.push(Look { at: now.later(mark), kept });
    }
    Some(Simulation { node: pattern.node, rhythm, made, begin: now, looks })
}

fn keep(there: &mut Vec<Candidate>, terms: &Terms, now: Timestamp) {
    let decision = decide(there, terms, now);
    let dropped: std::collections::HashSet<SnapshotId> = decision.dropped().map(|judged| judged.id).collect();
    there.retain(|snapshot| !dropped.contains(&snapshot.id));
}

fn made_up(pattern: &Candidate, number: u64, time: Timestamp) -> Candidate {
    let mut id = [0xff; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let id = SnapshotId::from_bytes(id);
    Candidate { id, time, first_seen: time, complete: true, old_by_nature: false, pin: None, ..pattern.clone() }
}

/// The middle one of the newest gaps between snapshots that compete, an hour at least.
fn rhythm(snapshots: &[Candidate], terms: &Terms, now: Timestamp) -> i64 {
    let competes = |snapshot: &&Candidate| snapshot.standing(terms.guards.max_drift, now).competes();
    let mut times: Vec<i64> = snapshots.iter().filter(competes).map(|snapshot| snapshot.time.seconds).collect();
    times.sort_unstable();
    let mut gaps: Vec<i64> = times.windows(2).rev().take(GAPS).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied().unwrap_or(DAY).max(HOUR)
}
