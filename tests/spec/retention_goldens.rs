//! What is kept, case by case. Every expectation was derived by hand from `docs/retention.md`.

use dssvault::base::id::SnapshotId;
use dssvault::vault::retention::{
    Breach, Candidate, Extent, Judged, Keep, Loss, Period, Policy, Rule, Standing, Verdict, Why, decide, simulate,
};

use crate::retention_cases::{Case, NOW, kept, moment, snapshot, terms};

const CASES: &[Case] = &[
    // Counts.
    Case {
        says: "the minimum of a node is its newest ones, whatever else is kept",
        zone: "UTC",
        policy: "tag release, min 2",
        snapshots: "a 2026-01-01T12:00:00Z tag release\n b 2026-02-01T12:00:00Z tag release\n c 2026-03-01T12:00:00Z tag release\n d 2026-11-20T12:00:00Z\n e 2026-11-21T12:00:00Z\n f 2026-11-22T11:00:00Z",
        keep: "abcef",
    },
    Case {
        says: "the newest of a node stays although nodes compete and others of it are pinned",
        zone: "UTC",
        policy: "last 1, group-by none, min 1",
        snapshots: "a 2026-01-01T12:00:00Z node 1 pinned\n b 2026-11-20T12:00:00Z node 1\n c 2026-11-21T12:00:00Z node 2",
        keep: "abc",
    },
    Case {
        says: "the last so many are kept",
        zone: "UTC",
        policy: "last 2",
        snapshots: "a 2026-11-20T12:00:00Z\n b 2026-11-21T12:00:00Z\n c 2026-11-22T12:00:00Z",
        keep: "bc",
    },
    Case {
        says: "of each day the newest is kept",
        zone: "UTC",
        policy: "daily 2",
        snapshots: "a 2026-11-21T08:00:00Z\n b 2026-11-21T20:00:00Z\n c 2026-11-22T08:00:00Z",
        keep: "bc",
    },
    Case {
        says: "while a count is not met the oldest there is fills it",
        zone: "UTC",
        policy: "daily 7",
        snapshots: "a 2026-11-21T08:00:00Z\n b 2026-11-21T12:00:00Z\n c 2026-11-21T20:00:00Z\n d 2026-11-22T08:00:00Z",
        keep: "acd",
    },
    Case {
        says: "days without a snapshot do not count",
        zone: "UTC",
        policy: "daily 3",
        snapshots: "a 2026-11-01T08:00:00Z\n b 2026-11-10T08:00:00Z\n c 2026-11-20T08:00:00Z\n d 2026-11-22T08:00:00Z",
        keep: "bcd",
    },
    Case {
        says: "what one rule wants is kept, whatever others say",
        zone: "UTC",
        policy: "last 1, monthly 2",
        snapshots: "a 2026-10-30T08:00:00Z\n b 2026-10-31T08:00:00Z\n c 2026-11-21T08:00:00Z\n d 2026-11-22T08:00:00Z",
        keep: "bd",
    },
    Case {
        says: "unlimited keeps one of every period there is",
        zone: "UTC",
        policy: "monthly unlimited",
        snapshots: "a 1999-01-01T00:00:00Z\n b 2012-05-01T00:00:00Z\n c 2012-05-31T00:00:00Z\n d 2026-11-22T00:00:00Z",
        keep: "acd",
    },
    // Weeks, quarters, ends of years, leap days.
    Case {
        says: "a week is Monday to Sunday",
        zone: "UTC",
        policy: "weekly 2",
        snapshots: "a 2026-11-09T00:00:00Z\n b 2026-11-15T23:59:59Z\n c 2026-11-16T00:00:00Z\n d 2026-11-22T11:00:00Z",
        keep: "bd",
    },
    Case {
        says: "the last days of December may be in the first week of the new year",
        zone: "UTC",
        policy: "weekly 2",
        snapshots: "a 2024-12-29T12:00:00Z\n b 2024-12-31T12:00:00Z\n c 2025-01-05T12:00:00Z",
        keep: "ac",
    },
    Case {
        says: "the first days of January may be in week 53 of the old year",
        zone: "UTC",
        policy: "weekly 3",
        snapshots: "a 2020-12-27T12:00:00Z\n b 2020-12-28T12:00:00Z\n c 2021-01-03T12:00:00Z\n d 2021-01-04T12:00:00Z",
        keep: "acd",
    },
    Case {
        says: "weeks of the same number in other years are other weeks",
        zone: "UTC",
        policy: "weekly 2",
        snapshots: "a 2024-11-20T12:00:00Z\n b 2025-11-19T12:00:00Z\n c 2026-11-18T12:00:00Z",
        keep: "bc",
    },
    Case {
        says: "the leap day is the end of its month",
        zone: "UTC",
        policy: "monthly 3",
        snapshots: "a 2024-01-31T12:00:00Z\n b 2024-02-28T12:00:00Z\n c 2024-02-29T23:59:59Z\n d 2024-03-01T00:00:00Z",
        keep: "acd",
    },
    Case {
        says: "two days before the first of March of a leap year is the 28th; exactly so old is too old",
        zone: "UTC",
        policy: "within 2d",
        snapshots: "a 2024-02-28T12:00:00Z\n b 2024-02-28T12:00:01Z\n c 2024-02-29T12:00:00Z\n d 2024-03-01T12:00:00Z",
        keep: "bcd",
    },
    Case {
        says: "two days before the first of March of another year is the 27th",
        zone: "UTC",
        policy: "within 2d",
        snapshots: "a 2023-02-27T12:00:00Z\n b 2023-02-27T13:00:00Z\n c 2023-03-01T12:00:00Z",
        keep: "bc",
    },
    Case {
        says: "a year before a leap day is the 28th",
        zone: "UTC",
        policy: "within 1y",
        snapshots: "a 2023-02-28T11:00:00Z\n b 2023-02-28T13:00:00Z\n c 2024-02-29T12:00:00Z",
        keep: "bc",
    },
    Case {
        says: "a year ends with its last second",
        zone: "UTC",
        policy: "yearly 3",
        snapshots: "a 2023-12-31T23:59:59Z\n b 2024-01-01T00:00:00Z\n c 2024-12-31T23:59:59Z\n d 2025-01-01T00:00:00Z",
        keep: "acd",
    },
    Case {
        says: "a year ends when it ends in the time zone",
        zone: "Asia/Tokyo",
        policy: "yearly 2",
        snapshots: "a 2023-12-31T23:59:59Z\n b 2024-01-01T00:00:00Z\n c 2024-12-31T23:59:59Z\n d 2025-01-01T00:00:00Z",
        keep: "bd",
    },
    Case {
        says: "quarters begin in January, April, July and October",
        zone: "UTC",
        policy: "quarterly 3",
        snapshots: "a 2025-12-31T12:00:00Z\n b 2026-03-31T12:00:00Z\n c 2026-04-01T12:00:00Z\n d 2026-06-30T12:00:00Z\n e 2026-07-01T12:00:00Z",
        keep: "bde",
    },
    // Time zones and daylight saving.
    Case {
        says: "days are those of the time zone",
        zone: "America/New_York",
        policy: "daily 2",
        snapshots: "a 2026-11-19T12:00:00Z\n b 2026-11-21T03:00:00Z\n c 2026-11-21T06:00:00Z\n d 2026-11-21T20:00:00Z",
        keep: "bd",
    },
    Case {
        says: "the same snapshots have other days in another zone",
        zone: "UTC",
        policy: "daily 2",
        snapshots: "a 2026-11-19T12:00:00Z\n b 2026-11-21T03:00:00Z\n c 2026-11-21T06:00:00Z\n d 2026-11-21T20:00:00Z",
        keep: "ad",
    },
    Case {
        says: "the hour that is left out when clocks are put forward is no hour",
        zone: "Europe/Paris",
        policy: "hourly 3",
        snapshots: "a 2026-03-29T01:30:00+01:00\n b 2026-03-29T01:59:00+01:00\n c 2026-03-29T03:00:00+02:00\n d 2026-03-29T03:59:00+02:00\n e 2026-03-29T04:10:00+02:00",
        keep: "bde",
    },
    Case {
        says: "a day before is the same time on the wall when clocks were put forward",
        zone: "Europe/Paris",
        policy: "within 1d",
        snapshots: "a 2026-03-28T20:00:00+01:00\n b 2026-03-28T20:01:00+01:00\n c 2026-03-29T20:00:00+02:00",
        keep: "bc",
    },
    Case {
        says: "24 hours before is 24 hours before when clocks were put forward",
        zone: "Europe/Paris",
        policy: "within 24h",
        snapshots: "a 2026-03-28T20:00:00+01:00\n b 2026-03-28T20:01:00+01:00\n c 2026-03-29T20:00:00+02:00",
        keep: "abc",
    },
    Case {
        says: "the hour that comes twice when clocks are put back is two hours",
        zone: "Europe/Paris",
        policy: "hourly 3",
        snapshots: "a 2026-10-25T02:30:00+02:00\n b 2026-10-25T02:50:00+02:00\n c 2026-10-25T02:30:00+01:00\n d 2026-10-25T03:30:00+01:00",
        keep: "bcd",
    },
    Case {
        says: "the day of 25 hours is one day",
        zone: "Europe/Paris",
        policy: "daily 3",
        snapshots: "a 2026-10-24T23:59:00+02:00\n b 2026-10-25T00:00:00+02:00\n c 2026-10-25T23:59:00+01:00\n d 2026-10-26T12:00:00+01:00",
        keep: "acd",
    },
    Case {
        says: "a day before is the same time on the wall when clocks were put back",
        zone: "Europe/Paris",
        policy: "within 1d",
        snapshots: "a 2026-10-24T20:00:00+02:00\n b 2026-10-24T20:01:00+02:00\n c 2026-10-25T20:00:00+01:00",
        keep: "bc",
    },
    Case {
        says: "half a day ends at noon on the wall, also when it has 13 hours",
        zone: "Europe/Paris",
        policy: "every 12h:7d",
        snapshots: "a 2026-10-01T00:00:00+02:00\n b 2026-10-25T00:00:00+02:00\n c 2026-10-25T11:59:00+01:00\n d 2026-10-25T12:00:00+01:00\n e 2026-10-25T23:59:00+01:00",
        keep: "ce",
    },
    Case {
        says: "a day whose midnight does not exist begins at one",
        zone: "America/Sao_Paulo",
        policy: "daily 2",
        snapshots: "a 2018-11-02T12:00:00Z\n b 2018-11-04T02:59:00Z\n c 2018-11-04T03:00:00Z\n d 2018-11-04T12:00:00Z",
        keep: "bd",
    },
    Case {
        says: "a day that a zone left out does not count",
        zone: "Pacific/Apia",
        policy: "daily 2",
        snapshots: "a 2011-12-28T12:00:00-10:00\n b 2011-12-29T12:00:00-10:00\n c 2011-12-31T12:00:00+14:00",
        keep: "bc",
    },
    // Identical stamps.
    Case {
        says: "of identical stamps the one `latest` names is kept",
        zone: "UTC",
        policy: "last 1",
        snapshots: "a 2026-11-22T10:00:00Z\n b 2026-11-22T10:00:00Z\n c 2026-11-22T10:00:00Z",
        keep: "c",
    },
    Case {
        says: "identical stamps are of one day",
        zone: "UTC",
        policy: "daily 2",
        snapshots: "a 2026-11-20T10:00:00Z\n b 2026-11-21T10:00:00Z\n c 2026-11-22T10:00:00Z\n d 2026-11-22T10:00:00Z",
        keep: "bd",
    },
    Case {
        says: "identical stamps each count for `last`",
        zone: "UTC",
        policy: "last 2",
        snapshots: "a 2026-11-22T10:00:00Z\n b 2026-11-22T10:00:00Z\n c 2026-11-22T10:00:00Z",
        keep: "bc",
    },
    // Garbage: a node that makes dates up.
    Case {
        says: "back-dated snapshots win no period from good ones",
        zone: "UTC",
        policy: "monthly 3",
        snapshots: "a 2026-09-15T12:00:00Z\n b 2026-10-15T12:00:00Z\n c 2026-11-21T12:00:00Z\n\
            x 2026-09-30T12:00:00Z seen 2026-11-22T00:00:00Z\n y 2026-10-31T12:00:00Z seen 2026-11-22T00:00:00Z",
        keep: "abcxy",
    },
    Case {
        says: "back-dated snapshots lose their place to good ones",
        zone: "UTC",
        policy: "monthly 2",
        snapshots: "a 2026-10-31T12:00:00Z\n b 2026-11-21T12:00:00Z\n\
            x 2026-10-30T12:00:00Z seen 2026-11-22T00:00:00Z\n y 2026-09-30T12:00:00Z seen 2026-11-22T00:00:00Z",
        keep: "ab",
    },
    Case {
        says: "back-dated snapshots win no period from incomplete ones either",
        zone: "UTC",
        policy: "monthly 2",
        snapshots: "a 2026-10-14T12:00:00Z partial\n b 2026-10-15T12:00:00Z partial\n c 2026-11-20T12:00:00Z partial\n\
            x 2026-10-31T12:00:00Z seen 2026-11-22T00:00:00Z partial",
        keep: "bcx",
    },
    Case {
        says: "with the guard down back-dated snapshots do push good ones out",
        zone: "UTC",
        policy: "monthly 3, drift none",
        snapshots: "a 2026-09-15T12:00:00Z\n b 2026-10-15T12:00:00Z\n c 2026-11-21T12:00:00Z\n\
            x 2026-09-30T12:00:00Z seen 2026-11-22T00:00:00Z\n y 2026-10-31T12:00:00Z seen 2026-11-22T00:00:00Z",
        keep: "cxy",
    },
    Case {
        says: "snapshots of the future use up no count",
        zone: "UTC",
        policy: "last 2",
        snapshots: "a 2026-11-19T12:00:00Z\n b 2026-11-20T12:00:00Z\n c 2026-11-21T12:00:00Z\n\
            x 2030-01-01T00:00:00Z seen 2026-11-22T00:00:00Z\n y 2031-01-01T00:00:00Z seen 2026-11-22T00:00:00Z",
        keep: "bcxy",
    },
    Case {
        says: "snapshots of the future move no window",
        zone: "UTC",
        policy: "within 7d",
        snapshots: "a 2026-11-10T12:00:00Z\n b 2026-11-16T12:00:00Z\n c 2026-11-22T11:00:00Z\n\
            x 2030-01-01T00:00:00Z seen 2026-11-22T00:00:00Z",
        keep: "bcx",
    },
    Case {
        says: "a clock that goes an hour fast costs no good one its place either",
        zone: "UTC",
        policy: "last 1, drift none",
        snapshots: "a 2026-11-21T12:00:00Z\n b 2026-11-22T10:00:00Z\n c 2026-11-22T13:00:00Z seen 2026-11-22T12:00:00Z",
        keep: "bc",
    },
    Case {
        says: "a day between claim and first sight is no reason for doubt",
        zone: "UTC",
        policy: "daily 1",
        snapshots: "a 2026-11-20T10:00:00Z\n b 2026-11-20T12:00:00Z seen 2026-11-21T12:00:00Z",
        keep: "b",
    },
    Case {
        says: "a second more is",
        zone: "UTC",
        policy: "daily 1",
        snapshots: "a 2026-11-20T10:00:00Z\n b 2026-11-20T12:00:00Z seen 2026-11-21T12:00:01Z",
        keep: "ab",
    },
    Case {
        says: "archives the owner imported compete with the dates they have",
        zone: "UTC",
        policy: "monthly 2",
        snapshots: "a 2026-08-15T12:00:00Z imported seen 2026-11-22T00:00:00Z\n\
            b 2026-08-20T12:00:00Z imported seen 2026-11-22T00:00:00Z\n c 2026-11-22T10:00:00Z",
        keep: "bc",
    },
    // Snapshots that lack files.
    Case {
        says: "an incomplete snapshot takes no complete one's day",
        zone: "UTC",
        policy: "daily 2",
        snapshots: "a 2026-11-21T08:00:00Z\n b 2026-11-21T20:00:00Z partial\n c 2026-11-22T08:00:00Z\n d 2026-11-22T09:00:00Z partial",
        keep: "abcd",
    },
    Case {
        says: "an incomplete snapshot uses up no complete one's count",
        zone: "UTC",
        policy: "last 1",
        snapshots: "a 2026-11-20T08:00:00Z\n b 2026-11-21T20:00:00Z partial\n c 2026-11-22T08:00:00Z partial",
        keep: "ac",
    },
    Case {
        says: "an incomplete snapshot moves no complete one's window",
        zone: "UTC",
        policy: "within 2d",
        snapshots: "a 2026-11-08T08:00:00Z\n b 2026-11-10T08:00:00Z\n c 2026-11-11T08:00:00Z\n d 2026-11-22T08:00:00Z partial",
        keep: "bcd",
    },
    Case {
        says: "among incomplete ones the newest of the day is kept",
        zone: "UTC",
        policy: "daily 2",
        snapshots: "a 2026-11-21T08:00:00Z partial\n b 2026-11-21T20:00:00Z partial\n c 2026-11-22T08:00:00Z",
        keep: "bc",
    },
    Case {
        says: "a complete snapshot takes an incomplete one's day",
        zone: "UTC",
        policy: "daily 2",
        snapshots: "a 2026-11-21T08:00:00Z\n b 2026-11-22T08:00:00Z partial\n c 2026-11-22T09:00:00Z",
        keep: "ac",
    },
    // Nodes and groups.
    Case {
        says: "each node is judged for itself",
        zone: "UTC",
        policy: "last 1",
        snapshots: "a 2026-11-20T08:00:00Z node 1\n b 2026-11-21T08:00:00Z node 2\n c 2026-11-22T08:00:00Z node 1",
        keep: "bc",
    },
    Case {
        says: "a host that was renamed begins no new group",
        zone: "UTC",
        policy: "last 1",
        snapshots: "a 2026-11-21T08:00:00Z host old\n b 2026-11-22T08:00:00Z host new",
        keep: "b",
    },
    Case {
        says: "unless it is asked for",
        zone: "UTC",
        policy: "last 1, group-by node+host",
        snapshots: "a 2026-11-21T08:00:00Z host old\n b 2026-11-22T08:00:00Z host new",
        keep: "ab",
    },
    Case {
        says: "in one group of all nodes the last good one of each still stays",
        zone: "UTC",
        policy: "last 1, group-by none",
        snapshots: "a 2026-11-19T08:00:00Z node 1\n b 2026-11-20T08:00:00Z node 2\n c 2026-11-21T08:00:00Z node 2\n d 2026-11-22T08:00:00Z node 1",
        keep: "cd",
    },
    // Tags and pins.
    Case {
        says: "a tag keeps for ever",
        zone: "UTC",
        policy: "last 1, tag release",
        snapshots: "a 2011-11-20T08:00:00Z tag release\n b 2026-11-21T08:00:00Z\n c 2026-11-22T08:00:00Z",
        keep: "ac",
    },
    Case {
        says: "of a list of tags all are needed",
        zone: "UTC",
        policy: "last 1, tag x+y",
        snapshots: "a 2026-11-19T08:00:00Z tag x\n b 2026-11-20T08:00:00Z tag y tag x\n c 2026-11-22T08:00:00Z",
        keep: "bc",
    },
    Case {
        says: "a pin keeps until its end and not beyond",
        zone: "UTC",
        policy: "last 1",
        snapshots: "a 2026-11-18T08:00:00Z pinned\n b 2026-11-19T08:00:00Z pinned-until 2026-11-23T00:00:00Z\n\
            c 2026-11-20T08:00:00Z pinned-until 2026-11-22T12:00:00Z\n d 2026-11-22T08:00:00Z",
        keep: "abd",
    },
    // Guards.
    Case {
        says: "the newest are kept until a node has its minimum",
        zone: "UTC",
        policy: "last 1, min 3",
        snapshots: "a 2026-11-18T08:00:00Z\n b 2026-11-19T08:00:00Z\n c 2026-11-20T08:00:00Z\n d 2026-11-21T08:00:00Z",
        keep: "bcd",
    },
    Case {
        says: "incomplete ones do not count towards the minimum as long as there are complete ones",
        zone: "UTC",
        policy: "last 1, min 3",
        snapshots: "a 2026-11-18T08:00:00Z\n b 2026-11-19T08:00:00Z\n c 2026-11-20T08:00:00Z\n\
            d 2026-11-21T08:00:00Z partial\n e 2026-11-22T08:00:00Z partial",
        keep: "abce",
    },
    Case {
        says: "garbage does not count towards the minimum",
        zone: "UTC",
        policy: "tag never, min 2",
        snapshots: "a 2026-11-18T08:00:00Z\n b 2026-11-19T08:00:00Z\n c 2026-11-20T08:00:00Z\n\
            x 2026-01-01T00:00:00Z seen 2026-11-22T00:00:00Z\n y 2030-01-01T00:00:00Z seen 2026-11-22T00:00:00Z",
        keep: "bc",
    },
    Case {
        says: "with all guards down the last good one of a node stays nevertheless",
        zone: "UTC",
        policy: "tag never",
        snapshots: "a 2026-11-19T08:00:00Z\n b 2026-11-20T08:00:00Z\n c 2026-11-21T08:00:00Z partial",
        keep: "b",
    },
];

#[test]
fn every_case_comes_out_as_derived_by_hand() {
    assert!(CASES.len() >= 40);
    let wrong: Vec<String> = CASES
        .iter()
        .filter_map(|case| {
            let decision = case.decide();
            (kept(&decision) != case.keep).then(|| {
                let reasons: Vec<String> = decision.judged.iter().map(|one| format!("    {one:?}")).collect();
                format!("{}:\n  keeps {} instead of {}\n{}", case.says, kept(&decision), case.keep, reasons.join("\n"))
            })
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// One snapshot each so many hours, back from NOW.
fn history(every_hours: i64, count: i64) -> Vec<Candidate> {
    (0..count)
        .map(|back| {
            let mut one = snapshot('a', NOW);
            one.time = one.time.later(-back * every_hours * 3600);
            one.first_seen = one.time;
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(i64::MAX - back).to_be_bytes());
            one.id = SnapshotId::from_bytes(id);
            one
        })
        .collect()
}

fn kept_times(snapshots: &[Candidate], policy: Policy) -> Vec<String> {
    let terms = dssvault::vault::retention::Terms { policy, ..terms("UTC", "last 1") };
    let decision = decide(snapshots, &terms, moment(NOW));
    decision.judged.iter().filter(|one| one.is_kept()).map(|one| one.time.to_string()).collect()
}

#[test]
fn the_vendors_policy_keeps_hours_then_half_days_then_days() {
    let mut wanted: Vec<String> = Vec::new();
    // 24 hours, half days within 7 days, days within 15 days; the snapshot is always the last hour of its period.
    wanted.extend((0..=12).rev().map(|hour| format!("2026-11-22T{hour:02}:00:00Z")));
    wanted.extend((13..=23).rev().map(|hour| format!("2026-11-21T{hour:02}:00:00Z")));
    wanted.push("2026-11-21T11:00:00Z".to_owned());
    wanted.extend((16..=20).rev().flat_map(|day| [23, 11].map(|hour| format!("2026-11-{day}T{hour}:00:00Z"))));
    wanted.push("2026-11-15T23:00:00Z".to_owned());
    wanted.extend((7..=14).rev().map(|day| format!("2026-11-{day:02}T23:00:00Z")));
    assert_eq!(kept_times(&history(1, 24 * 40), Policy::dataiku()), wanted);
}

#[test]
fn the_long_policy_keeps_days_weeks_months_and_years() {
    let days: Vec<String> = [
        "2026-11-22",
        "2026-11-21",
        "2026-11-20",
        "2026-11-19",
        "2026-11-18",
        "2026-11-17",
        "2026-11-16",
        // Sundays.
        "2026-11-15",
        "2026-11-08",
        "2026-11-01",
        // Ends of months, and one more Sunday among them.
        "2026-10-31",
        "2026-10-25",
        "2026-09-30",
        "2026-08-31",
        "2026-07-31",
        "2026-06-30",
        "2026-05-31",
        "2026-04-30",
        "2026-03-31",
        "2026-02-28",
        "2026-01-31",
        "2025-12-31",
        // Ends of years.
        "2024-12-31",
        "2023-12-31",
        "2022-12-31",
        "2021-12-31",
        "2020-12-31",
        "2019-12-31",
        "2018-12-31",
        "2017-12-31",
    ]
    .map(|day| format!("{day}T12:00:00Z"))
    .to_vec();
    assert_eq!(kept_times(&history(24, 366 * 14), Policy::long()), days);
}

fn reasons(policy: &str, snapshots: &'static str) -> Vec<Judged> {
    let case = Case { says: "", zone: "UTC", policy: Box::leak(policy.to_owned().into()), snapshots, keep: "" };
    case.decide().judged
}

#[test]
fn every_verdict_says_why() {
    let judged = reasons(
        "daily 2, within 1d",
        "a 2026-11-20T08:00:00Z\n b 2026-11-21T20:00:00Z\n c 2026-11-22T07:00:00Z partial\n d 2026-11-22T08:00:00Z",
    );
    let daily = Rule { period: Period::Day, extent: Extent::Count(2) };
    let texts: Vec<Vec<String>> = judged
        .iter()
        .map(|one| match &one.verdict {
            Verdict::Keep(whys) => whys.iter().map(ToString::to_string).collect(),
            Verdict::Drop(losses) => losses.iter().map(ToString::to_string).collect(),
        })
        .collect();
    assert_eq!(
        judged[0].verdict,
        Verdict::Keep(vec![
            Why::Rule(Keep { rule: daily, oldest: false }),
            Why::Rule(Keep { rule: terms("UTC", "within 1d").policy.rules[0], oldest: false }),
        ])
    );
    assert_eq!(texts[0], ["daily 2", "all within 1d"]);
    assert_eq!(texts[1], ["all within 1d"]);
    assert_eq!(judged[1].standing, Standing::Partial);
    assert_eq!(texts[3], ["daily: beyond 2", "all within 1d: older"]);
    let lost = reasons("daily 1", "a 2026-11-22T07:00:00Z\n b 2026-11-22T08:00:00Z");
    assert!(matches!(&lost[1].verdict, Verdict::Drop(losses) if matches!(losses[0], Loss::Enough(_))));
    let lost = reasons("daily-within 7d", "z 2026-11-20T07:00:00Z\n a 2026-11-22T07:00:00Z\n b 2026-11-22T08:00:00Z");
    assert!(matches!(&lost[1].verdict, Verdict::Drop(losses) if losses[0].to_string() == "daily: 62626262 is newer"));
}

#[test]
fn a_run_that_would_drop_more_than_its_share_is_refused_whole() {
    let four = "a 2026-11-19T08:00:00Z\n b 2026-11-20T08:00:00Z\n c 2026-11-21T08:00:00Z\n d 2026-11-22T08:00:00Z";
    let decide = |policy| Case { says: "", zone: "UTC", policy, snapshots: four, keep: "" }.decide();
    assert_eq!(decide("last 2, max-drop 50").breach, None);
    let breach = decide("last 1, max-drop 50").breach;
    assert_eq!(breach, Some(Breach::TooMany { dropped: 3, of: 4, most: 50 }));
    assert!(breach.unwrap().hint().contains("--max-drop 75%"));
    assert_eq!(decide("last 1, max-drop 100").breach, None);
}

#[test]
fn a_simulation_goes_on_in_the_rhythm_of_the_node() {
    let terms = terms("UTC", "daily 7, weekly 5");
    let drawn = simulate(&history(6, 40), &terms, moment(NOW), "400d".parse().unwrap()).unwrap();
    assert_eq!((drawn.len(), drawn[0].rhythm, drawn[0].made), (1, 6 * 3600, 1_600));
    let days: Vec<i64> = drawn[0].looks.iter().map(|look| look.at.millis_since(moment(NOW)) / 86_400_000).collect();
    assert_eq!(days, [0, 1, 7, 14, 30, 60, 90, 180, 365, 400]);
    // 400 days later it is Monday noon: 7 days, of which Sunday ends a week, and 3 weeks before that.
    let last = drawn[0].looks.last().unwrap();
    assert_eq!(last.kept.last(), Some(&last.at));
    assert_eq!(last.kept.len(), 7 + 3);
}
