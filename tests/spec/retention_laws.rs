//! What holds for every set of snapshots and every policy.

use std::collections::BTreeSet;

use dssvault::base::clock::Timestamp;
use dssvault::base::id::{NodeId, SnapshotId};
use dssvault::vault::retention::{Candidate, Decision, Standing, Terms, decide};
use proptest::prelude::*;

use crate::retention_cases::{NOW, moment, snapshot, terms};

const POLICIES: [&str; 8] = [
    "last 2",
    "hourly 3, daily 2",
    "daily 7, weekly 5, monthly 12, yearly 10",
    "within 3d",
    "hourly-within 24h, every 12h:7d, daily-within 15d",
    "weekly unlimited, tag never",
    "quarterly 2, last 1, min 3",
    "every 5h:2d, every 2d:1m, every 2w:1y, min 2",
];

/// Sorts of snapshots: complete, incomplete, made up, of the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Good,
    Lacking,
    MadeUp,
    ToCome,
}

/// Hours before now, on a grid on which many coincide, each of a node and a sort.
fn snapshots() -> impl Strategy<Value = Vec<(u16, u8, Sort)>> {
    let hours = prop_oneof![0u16..40, 0u16..400, 0u16..20_000];
    let sort = prop_oneof![
        6 => Just(Sort::Good), 2 => Just(Sort::Lacking), 1 => Just(Sort::MadeUp), 1 => Just(Sort::ToCome)
    ];
    proptest::collection::vec((hours, 1u8..3, sort), 0..60)
}

fn candidates(drawn: &[(u16, u8, Sort)]) -> Vec<Candidate> {
    let make = |(at, (hours, node, sort)): (usize, &(u16, u8, Sort))| {
        let mut one = snapshot('a', NOW);
        let mut id = [0; 16];
        // Ids are random: their order has nothing to do with that of the times.
        id[..8].copy_from_slice(&(at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        one.id = SnapshotId::from_bytes(id);
        one.node = NodeId::from_bytes([*node; 16]);
        let past = i64::from(*hours) * 3600;
        one.time = one.time.later(if *sort == Sort::ToCome { past + 1 } else { -past });
        one.first_seen = if *sort == Sort::MadeUp { one.time.later(86_401) } else { one.time };
        one.complete = *sort != Sort::Lacking;
        one
    };
    drawn.iter().enumerate().map(make).collect()
}

fn now() -> Timestamp {
    moment(NOW)
}

fn kept_with(decision: &Decision, standing: impl Fn(Standing) -> bool) -> BTreeSet<SnapshotId> {
    let kept = decision.judged.iter().filter(|one| one.is_kept() && standing(one.standing));
    kept.map(|one| one.id).collect()
}

fn zone() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("UTC"), Just("Europe/Paris"), Just("America/St_Johns"), Just("Australia/Lord_Howe")]
}

fn law() -> impl Strategy<Value = (Vec<(u16, u8, Sort)>, Terms)> {
    let policy = proptest::sample::select(&POLICIES[..]);
    (snapshots(), zone(), policy).prop_map(|(drawn, zone, policy)| (drawn, terms(zone, policy)))
}

proptest! {
    #[test]
    fn whatever_lacks_files_or_makes_dates_up_changes_nothing_for_good_ones((drawn, terms) in law()) {
        let all = candidates(&drawn);
        let good: Vec<Candidate> =
            all.iter().filter(|one| one.standing(terms.guards.max_drift, now()) == Standing::Full).cloned().collect();
        let is_full = |standing| standing == Standing::Full;
        let beside = kept_with(&decide(&all, &terms, now()), is_full);
        prop_assert_eq!(beside, kept_with(&decide(&good, &terms, now()), is_full));
    }

    #[test]
    fn what_is_kept_is_kept_again((drawn, terms) in law()) {
        let all = candidates(&drawn);
        let kept = kept_with(&decide(&all, &terms, now()), |_| true);
        let left: Vec<Candidate> = all.into_iter().filter(|one| kept.contains(&one.id)).collect();
        prop_assert_eq!(decide(&left, &terms, now()).dropped().count(), 0);
    }

    #[test]
    fn the_newest_good_snapshot_of_a_node_is_never_dropped((drawn, terms) in law()) {
        let all = candidates(&drawn);
        let kept = kept_with(&decide(&all, &terms, now()), |_| true);
        for node in [1u8, 2] {
            let node = NodeId::from_bytes([node; 16]);
            let good = all.iter().filter(|one| {
                one.node == node && one.standing(terms.guards.max_drift, now()) == Standing::Full
            });
            if let Some(newest) = good.max_by_key(|one| (one.time, one.id)) {
                prop_assert!(kept.contains(&newest.id));
            }
        }
    }

    #[test]
    fn every_snapshot_is_judged_once_and_never_without_a_reason((drawn, terms) in law()) {
        use dssvault::vault::retention::Verdict;
        let all = candidates(&drawn);
        let decision = decide(&all, &terms, now());
        let ids: BTreeSet<SnapshotId> = decision.judged.iter().map(|one| one.id).collect();
        prop_assert_eq!((ids.len(), decision.judged.len()), (all.len(), all.len()));
        for one in &decision.judged {
            let reasons = match &one.verdict {
                Verdict::Keep(whys) => whys.iter().map(ToString::to_string).collect::<Vec<_>>(),
                Verdict::Drop(losses) => losses.iter().map(ToString::to_string).collect(),
            };
            prop_assert!(!reasons.is_empty() && reasons.iter().all(|reason| !reason.is_empty()), "{one:?}");
        }
    }
}
