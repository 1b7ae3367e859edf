//! A snapshot as retention sees it.

use crate::base::clock::Timestamp;
use crate::base::id::{NodeId, SnapshotId};
use crate::repo::journal::entry::Pin;

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: SnapshotId,
    /// The node it is of.
    pub node: NodeId,
    /// The host it was made on.
    pub host: String,
    /// What was backed up.
    pub paths: Vec<String>,
    /// The time it claims.
    pub time: Timestamp,
    /// When it was there first, in the repository it was made in.
    pub first_seen: Timestamp,
    /// Whether it has all it should have (no exit code 3).
    pub complete: bool,
    /// Whether the owner made it with a date long past: of an archive, or in place of a damaged snapshot.
    pub old_by_nature: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// Why it must be kept.
    pub pin: Option<Pin>,
}

/// What a snapshot may do to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It takes the place of others.
    Full,
    /// It lacks files: it takes the place of others that do.
    Partial,
    /// The time it claims is so many seconds from when it was first seen; it takes nobody's place.
    Adrift(i64),
    /// The time it claims is yet to come; it takes nobody's place.
    Future,
}

impl Standing {
    /// Whether others may lose their place to it.
    pub fn competes(self) -> bool {
        matches!(self, Self::Full | Self::Partial)
    }
}

impl Candidate {
    /// What it may do to others.
    pub fn standing(&self, max_drift: Option<i64>, now: Timestamp) -> Standing {
        let drift = self.time.seconds.saturating_sub(self.first_seen.seconds);
        if self.time > now {
            return Standing::Future;
        }
        match max_drift {
            Some(max) if !self.old_by_nature && drift.saturating_abs() > max => Standing::Adrift(drift),
            _ if self.complete => Standing::Full,
            _ => Standing::Partial,
        }
    }

    /// Whether it has every one of these tags.
    pub fn has_all(&self, tags: &[String]) -> bool {
        tags.iter().all(|tag| self.tags.contains(tag))
    }

    /// The pin that holds it now.
    pub fn held_pin(&self, now: Timestamp) -> Option<&Pin> {
        self.pin.as_ref().filter(|pin| pin.until.is_none_or(|until| until > now))
    }
}

/// What snapshots must have in common to compete with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupBy {
    /// The node.
    pub node: bool,
    /// The host name.
    pub host: bool,
    /// All paths.
    pub paths: bool,
    /// All tags.
    pub tags: bool,
}

impl Default for GroupBy {
    /// The node alone: a host or path that was renamed begins no new group.
    fn default() -> Self {
        Self { node: true, host: false, paths: false, tags: false }
    }
}

/// What the snapshots of a group have in common.
pub type GroupKey<'a> = (Option<NodeId>, Option<&'a str>, Option<Vec<&'a str>>, Option<Vec<&'a str>>);

impl GroupBy {
    /// Reads `node,host,paths,tags`; `none` or nothing means that all compete with all.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut by = Self { node: false, host: false, paths: false, tags: false };
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "none" => {}
                "node" => by.node = true,
                "host" => by.host = true,
                "path" | "paths" => by.paths = true,
                "tag" | "tags" => by.tags = true,
                other => return Err(format!("`{other}` is none of node, host, paths, tags")),
            }
        }
        Ok(by)
    }

    pub(super) fn key<'a>(&self, snapshot: &'a Candidate) -> GroupKey<'a> {
        let sorted = |texts: &'a [String]| {
            let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            texts.sort_unstable();
            texts
        };
        (
            self.node.then_some(snapshot.node),
            self.host.then_some(snapshot.host.as_str()),
            self.paths.then(|| sorted(&snapshot.paths)),
            self.tags.then(|| sorted(&snapshot.tags)),
        )
    }
}
