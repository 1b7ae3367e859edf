//! What a prune did.

use serde::Serialize;

use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::text;
use crate::vault::prune::{PruneReport, Tally};

/// The report.
#[derive(Debug, Serialize)]
pub struct PruneView<'a> {
    message_type: &'static str,
    dry_run: bool,
    #[serde(flatten)]
    report: &'a PruneReport,
}

impl<'a> PruneView<'a> {
    /// The view of a report.
    pub fn new(report: &'a PruneReport, dry_run: bool) -> Self {
        Self { message_type: "prune", dry_run, report }
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let report = self.report;
        let mut lines = Vec::new();
        if report.packs.count > 0 {
            let used = format!("{} used by {}", ByteCount(report.used_bytes), snapshots(report.snapshots));
            lines.push(("packs", format!("{}, {used}", packs(report.packs))));
        }
        if !report.purged.is_empty() {
            let purged = snapshots(report.purged.len() as u64);
            lines.push(("purged", format!("{purged}, forgotten long enough ago: they cannot be brought back")));
        }
        for session in &report.fenced {
            lines.push(("ended", format!("session {session}, which gave no sign of life")));
        }
        if report.repacked.count > 0 {
            let written = match report.written.count {
                0 => String::new(),
                _ => format!(" as {}", packs(report.written)),
            };
            lines.push(("rewritten", format!("what is used of {}{written}", packs(report.repacked))));
        }
        if report.marked.count > 0 {
            lines.push(("marked", format!("{}: no snapshot needs them any more", packs(report.marked))));
        }
        if report.unmarked.count > 0 {
            lines.push(("kept", format!("{}: marked before, and needed after all", packs(report.unmarked))));
        }
        if report.held.count > 0 {
            let line = format!("{}: damaged, and nothing else has what snapshots need of them", packs(report.held));
            lines.push(("held", line));
        }
        lines.push(("deleted", packs(report.deleted)));
        if report.segments_merged > 0 {
            let merged = text::counted(report.segments_merged, "index segment", "index segments");
            lines.push(("merged", format!("{merged} into {}", text::count(report.segments_written))));
        }
        self.waiting(&mut lines);
        lines
    }

    fn waiting(&self, lines: &mut Vec<(&'static str, String)>) {
        let report = self.report;
        if report.waiting.count == 0 {
            return;
        }
        let until = match report.waiting_until {
            Some(until) => format!("; the first may be deleted from {} on, by the next prune", until.local()),
            None => String::new(),
        };
        lines.push(("waiting", format!("{} marked{until}", packs(report.waiting))));
        for session in &report.waiting_for {
            let host = text::printable(session.host.as_bytes());
            let since = session.started.local();
            lines.push(("", format!("a backup on {host}, process {}, since {since} holds some up", session.pid)));
        }
    }
}

fn packs(tally: Tally) -> String {
    format!("{} ({})", text::counted(tally.count, "pack", "packs"), ByteCount(tally.bytes))
}

fn snapshots(count: u64) -> String {
    text::counted(count, "snapshot", "snapshots")
}

impl View for PruneView<'_> {
    fn text(&self) -> String {
        let mut shown = String::new();
        if self.dry_run {
            shown.push_str("nothing was written; this is what would happen\n");
        }
        for (word, line) in self.lines() {
            shown.push_str(&format!("{word:<10} {line}\n"));
        }
        shown
    }
}
