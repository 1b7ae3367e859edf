//! What a search found.

use serde::Serialize;

use crate::cli::output::View;
use crate::cli::text::{self, count, counted};
use crate::vault::browse::Listed;
use crate::vault::find::FindReport;

/// The line above the matches of a snapshot.
pub fn heading(listed: &Listed) -> String {
    let label = text::printable(listed.manifest.label.as_bytes());
    format!("in snapshot {} of {label}, {}:", listed.id.short(), listed.manifest.time.local())
}

/// The end of a search.
#[derive(Debug, Serialize)]
pub struct FindView {
    message_type: &'static str,
    #[serde(flatten)]
    report: FindReport,
}

impl FindView {
    /// The view of a report.
    pub fn new(report: FindReport) -> Self {
        Self { message_type: "summary", report }
    }

    /// Whether everything was looked through.
    pub fn is_complete(&self) -> bool {
        self.report.unreadable.is_empty()
    }

    /// What could not be looked through, a line each.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        let line = |(object, cause): &(String, String)| {
            let (object, cause) = (text::printable(object.as_bytes()), text::printable(cause.as_bytes()));
            format!("{object} was not looked through: {cause}")
        };
        self.report.unreadable.iter().map(line)
    }
}

impl View for FindView {
    fn text(&self) -> String {
        let FindReport { snapshots, with_matches, matches, .. } = self.report;
        if matches == 0 {
            return format!("nothing found in {}\n", counted(snapshots, "snapshot", "snapshots"));
        }
        let matches = counted(matches, "match", "matches");
        format!("\n{matches} in {} of {}\n", count(with_matches), counted(snapshots, "snapshot", "snapshots"))
    }
}
