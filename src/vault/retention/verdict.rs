//! Keep or drop, and why, in words.

use std::fmt;

use crate::base::clock::Timestamp;
use crate::base::id::{NodeId, SnapshotId};
use crate::repo::journal::entry::Pin;
use crate::vault::retention::Standing;
use crate::vault::retention::policy::{Extent, Rule};

/// What became of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Which.
    pub id: SnapshotId,
    /// Of which node.
    pub node: NodeId,
    /// The time it claims.
    pub time: Timestamp,
    /// What it may do to others.
    pub standing: Standing,
    /// Keep or drop.
    pub verdict: Verdict,
}

impl Judged {
    /// Whether it stays.
    pub fn is_kept(&self) -> bool {
        matches!(self.verdict, Verdict::Keep(_))
    }
}

/// Keep or drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// For each of these reasons.
    Keep(Vec<Why>),
    /// Because no rule keeps it: what it lost by, rule for rule; never empty.
    Drop(Vec<Loss>),
}

/// A place a rule gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The rule.
    pub rule: Rule,
    /// Not as the newest of its period, but because it is the oldest there is and the rule still lacks some.
    pub oldest: bool,
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A rule wants it.
    Rule(Keep),
    /// It has all these tags.
    Tagged(Vec<String>),
    /// It is pinned.
    Pinned(Pin),
    /// The node would have fewer than so many.
    Minimum(u32),
    /// The node would have nothing good left.
    LastGood,
}

/// Why a snapshot is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// This one is newer in the same period.
    Newer(Rule, SnapshotId),
    /// There are enough newer ones.
    Enough(Rule),
    /// It is too old.
    TooOld(Rule),
    /// Only tags keep, and it has none of them.
    Untagged,
    /// It was named to be forgotten.
    Named,
}

impl Why {
    /// The kind of reason, for programs.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Rule(Keep { oldest: false, .. }) => "rule",
            Self::Rule(Keep { oldest: true, .. }) => "oldest",
            Self::Tagged(_) => "tag",
            Self::Pinned(_) => "pin",
            Self::Minimum(_) => "min_snapshots",
            Self::LastGood => "last_good",
        }
    }
}

impl Loss {
    /// The kind of reason, for programs.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Newer(..) => "newer",
            Self::Enough(_) => "enough",
            Self::TooOld(_) => "too_old",
            Self::Untagged => "untagged",
            Self::Named => "named",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(Keep { rule, oldest: false }) => rule.fmt(f),
            Self::Rule(Keep { rule, oldest: true }) => write!(f, "oldest for {rule}"),
            Self::Tagged(tags) => write!(f, "tag {}", tags.join("+")),
            Self::Pinned(Pin { note, until: None }) => write!(f, "pinned: {note}"),
            Self::Pinned(Pin { note, until: Some(until) }) => write!(f, "pinned until {until}: {note}"),
            Self::Minimum(count) => write!(f, "guard: at least {count} of a node"),
            Self::LastGood => f.write_str("guard: the last good one of the node"),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer(rule, by) => write!(f, "{}: {} is newer", rule.period, by.short()),
            Self::Enough(Rule { period, extent: Extent::Count(count) }) => write!(f, "{period}: beyond {count}"),
            Self::Enough(rule) => write!(f, "{rule}: enough"),
            Self::TooOld(rule) => write!(f, "{rule}: older"),
            Self::Untagged => f.write_str("none of the tags"),
            Self::Named => f.write_str("named"),
        }
    }
}

/// Nothing for what takes part like any other.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => Ok(()),
            Self::Partial => f.write_str("incomplete"),
            Self::Adrift(seconds) => {
                let (days, side) = (seconds.saturating_abs() / 86_400, if *seconds < 0 { "before" } else { "after" });
                write!(f, "claims {days}d {side} it was first seen")
            }
            Self::Future => f.write_str("claims a time to come"),
        }
    }
}
