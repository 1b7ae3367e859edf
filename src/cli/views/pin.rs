//! Snapshots that were pinned, unpinned or brought back.

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::id::SnapshotId;
use crate::cli::output::View;
use crate::cli::text;

/// Snapshots to which something was done.
#[derive(Debug, Serialize)]
pub struct IdsView {
    message_type: &'static str,
    ids: Vec<SnapshotId>,
    #[serde(skip)]
    done: &'static str,
}

impl IdsView {
    /// Brought back.
    pub fn undeleted(ids: Vec<SnapshotId>) -> Self {
        Self { message_type: "undeleted", ids, done: "brought back" }
    }

    /// Unpinned.
    pub fn unpinned(ids: Vec<SnapshotId>) -> Self {
        Self { message_type: "unpinned", ids, done: "unpinned" }
    }
}

impl View for IdsView {
    fn text(&self) -> String {
        self.ids.iter().map(|id| format!("snapshot {} {}\n", id.short(), self.done)).collect()
    }
}

/// A snapshot that was pinned.
#[derive(Debug, Serialize)]
pub struct PinnedView {
    message_type: &'static str,
    id: SnapshotId,
    reason: String,
    until: Option<Timestamp>,
}

impl PinnedView {
    /// The view of a new pin.
    pub fn new(id: SnapshotId, reason: String, until: Option<Timestamp>) -> Self {
        Self { message_type: "pinned", id, reason, until }
    }
}

impl View for PinnedView {
    fn text(&self) -> String {
        let until = self.until.map_or("for ever".to_owned(), |until| format!("until {}", until.local()));
        format!("snapshot {} pinned {until}: {}\n", self.id.short(), text::printable(self.reason.as_bytes()))
    }
}
