//! Cases of retention as text, read by `retention_goldens`.
//!
//! A snapshot is a line: a letter, its time, and what else is to be said of it (`seen TIME`, `partial`, `imported`,
//! `node N`, `host H`, `tag T`, `pinned`, `pinned-until TIME`). Nothing said: complete, of node 1, seen when it
//! claims. Of two letters the later one is the greater id.

use dssvault::base::clock::Timestamp;
use dssvault::base::id::{NodeId, SnapshotId};
use dssvault::repo::journal::entry::Pin;
use dssvault::vault::retention::{Candidate, Decision, GroupBy, Guards, Period, Policy, Rule, Terms, decide};

/// What is given and what must come out.
pub struct Case {
    /// The sentence that is claimed.
    pub says: &'static str,
    /// Time zone.
    pub zone: &'static str,
    /// Rules with commas between them: `last 2`, `daily 7`, `within 7d`, `hourly-within 24h`, `every 12h:7d`, `tag a+b`;
    /// also `group-by X`, `min 3`, `max-drop 50`, `drift none`.
    pub policy: &'static str,
    /// One snapshot to a line.
    pub snapshots: &'static str,
    /// The letters of those that stay.
    pub keep: &'static str,
}

/// Every case is judged at this moment.
pub const NOW: &str = "2026-11-22T12:00:00Z";

pub fn moment(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|why| panic!("{why}"))
}

pub fn snapshot(letter: char, time: &str) -> Candidate {
    Candidate {
        id: SnapshotId::from_bytes([letter as u8; 16]),
        node: NodeId::from_bytes([1; 16]),
        host: "host".to_owned(),
        paths: vec!["/data".to_owned()],
        time: moment(time),
        first_seen: moment(time),
        complete: true,
        old_by_nature: false,
        tags: Vec::new(),
        pin: None,
    }
}

fn parse_snapshot(line: &str) -> Candidate {
    let mut words = line.split_whitespace();
    let letter = words.next().unwrap().chars().next().unwrap();
    let mut snapshot = snapshot(letter, words.next().unwrap());
    while let Some(word) = words.next() {
        match word {
            "partial" => snapshot.complete = false,
            "imported" => snapshot.old_by_nature = true,
            "seen" => snapshot.first_seen = moment(words.next().unwrap()),
            "node" => snapshot.node = NodeId::from_bytes([words.next().unwrap().parse().unwrap(); 16]),
            "host" => snapshot.host = words.next().unwrap().to_owned(),
            "tag" => snapshot.tags.push(words.next().unwrap().to_owned()),
            "pinned" => snapshot.pin = Some(Pin { note: "audit".to_owned(), until: None }),
            "pinned-until" => {
                snapshot.pin = Some(Pin { note: "audit".to_owned(), until: Some(moment(words.next().unwrap())) });
            }
            other => panic!("`{other}` says nothing of a snapshot"),
        }
    }
    snapshot
}

fn period(word: &str) -> Period {
    match word {
        "last" | "within" => Period::Each,
        "hourly" => Period::Hour,
        "daily" => Period::Day,
        "weekly" => Period::Week,
        "monthly" => Period::Month,
        "quarterly" => Period::Quarter,
        "yearly" => Period::Year,
        other => panic!("`{other}` is no period"),
    }
}

pub fn terms(zone: &str, text: &str) -> Terms {
    // Cases speak of one thing at a time: the guards are down unless they are what is spoken of.
    let mut guards = Guards { min_snapshots: 0, max_drop: 100, ..Guards::default() };
    let (mut policy, mut group_by) = (Policy::default(), GroupBy::default());
    for clause in text.split(',').map(str::trim) {
        let (word, value) = clause.split_once(' ').unwrap_or((clause, ""));
        match word {
            "tag" => policy.tags.push(value.split('+').map(str::to_owned).collect()),
            "every" => policy.rules.push(Rule::every(value).unwrap()),
            "min" => guards.min_snapshots = value.parse().unwrap(),
            "max-drop" => guards.max_drop = value.parse().unwrap(),
            "drift" => guards.max_drift = None,
            "group-by" => group_by = GroupBy::parse(&value.replace('+', ",")).unwrap(),
            "within" => policy.rules.push(Rule::within(Period::Each, value).unwrap()),
            word => policy.rules.push(match word.strip_suffix("-within") {
                Some(word) => Rule::within(period(word), value).unwrap(),
                None => Rule::counted(period(word), value).unwrap().unwrap(),
            }),
        }
    }
    Terms { policy, guards, group_by, zone: zone.parse().unwrap() }
}

impl Case {
    pub fn decide(&self) -> Decision {
        let snapshots: Vec<Candidate> =
            self.snapshots.lines().map(str::trim).filter(|line| !line.is_empty()).map(parse_snapshot).collect();
        let decision = decide(&snapshots, &terms(self.zone, self.policy), moment(NOW));
        let mut turned = snapshots;
        turned.reverse();
        let again = decide(&turned, &terms(self.zone, self.policy), moment(NOW));
        assert_eq!(decision, again, "{}: the order they come in does not matter", self.says);
        decision
    }
}

/// The letters of those that stay, in order.
pub fn kept(decision: &Decision) -> String {
    let mut letters: Vec<char> = decision
        .judged
        .iter()
        .filter(|judged| judged.is_kept())
        .map(|judged| judged.id.as_bytes()[0] as char)
        .collect();
    letters.sort_unstable();
    letters.into_iter().collect()
}
