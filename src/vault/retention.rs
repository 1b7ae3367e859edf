//! Retention: which snapshots a policy keeps and which it drops, each with its reasons.
//!
//! A pure function of values; reading snapshots and writing the journal is `vault::forget`. What the rules mean is
//! told in `docs/retention.md`.

mod bucket;
mod candidate;
mod contest;
mod guards;
mod policy;
mod simulate;
mod verdict;

use std::collections::BTreeMap;

use crate::base::clock::{Timestamp, Zone};

pub use candidate::{Candidate, GroupBy, Standing};
pub use guards::{Breach, Guards, check_named};
pub use policy::{BadRule, Extent, Period, Policy, Rule, Step};
pub use simulate::{Look, Simulation, simulate};
pub use verdict::{Judged, Keep, Loss, Verdict, Why};

use contest::Contest;

/// What a policy makes of snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Every snapshot: group by group, newest first.
    pub judged: Vec<Judged>,
    /// Why nothing may be dropped although some would be.
    pub breach: Option<Breach>,
}

impl Decision {
    /// Those that would be dropped.
    pub fn dropped(&self) -> impl Iterator<Item = &Judged> {
        self.judged.iter().filter(|judged| !judged.is_kept())
    }
}

/// Everything that decides besides the snapshots.
#[derive(Debug, Clone)]
pub struct Terms {
    /// What is wanted.
    pub policy: Policy,
    /// What is never done, whatever is wanted.
    pub guards: Guards,
    /// Which snapshots compete with each other.
    pub group_by: GroupBy,
    /// Where days begin and end.
    pub zone: Zone,
}

/// Judges every snapshot. The order they come in does not matter.
pub fn decide(snapshots: &[Candidate], terms: &Terms, now: Timestamp) -> Decision {
    let mut groups: BTreeMap<_, Vec<&Candidate>> = BTreeMap::new();
    for snapshot in snapshots {
        groups.entry(terms.group_by.key(snapshot)).or_default().push(snapshot);
    }
    let mut judged = Vec::with_capacity(snapshots.len());
    for (_, mut group) in groups {
        // As `latest` orders them.
        group.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.time, snapshot.id)));
        judged.extend(judge_group(&group, terms, now));
    }
    guards::rescue(&mut judged, &terms.guards);
    let breach = guards::too_many(&judged, &terms.guards);
    Decision { judged, breach }
}

/// Judges one group, newest first.
fn judge_group(group: &[&Candidate], terms: &Terms, now: Timestamp) -> Vec<Judged> {
    let standings: Vec<Standing> =
        group.iter().map(|snapshot| snapshot.standing(terms.guards.max_drift, now)).collect();
    let mut contest = Contest::new(group, &standings, terms);
    let judge = |(at, snapshot): (usize, &&Candidate)| {
        let (mut kept, mut lost) = contest.place(at, snapshot, standings[at]);
        kept.extend(terms.policy.tags.iter().filter(|tags| snapshot.has_all(tags)).cloned().map(Why::Tagged));
        kept.extend(snapshot.held_pin(now).cloned().map(Why::Pinned));
        if lost.is_empty() {
            lost.push(Loss::Untagged);
        }
        let verdict = if kept.is_empty() { Verdict::Drop(lost) } else { Verdict::Keep(kept) };
        Judged { id: snapshot.id, node: snapshot.node, time: snapshot.time, standing: standings[at], verdict }
    };
    group.iter().enumerate().map(judge).collect()
}
