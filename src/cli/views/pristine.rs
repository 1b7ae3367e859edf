//! What bringing a node back did, or would do.

use std::path::PathBuf;

use serde::Serialize;

use crate::base::id::SnapshotId;
use crate::base::size::ByteCount;
use crate::cli::exit::Outcome;
use crate::cli::output::View;
use crate::cli::text::{self, counted, duration, printable};
use crate::cli::views::databases;
use crate::dss::restore::{PristineReport, Way};
use crate::postgres::restore::Restored;
use crate::vault::restore::Failure;

/// Failures named in the text; the JSON has all.
const FAILURES_SHOWN: usize = 20;

/// The summary.
#[derive(Debug, Serialize)]
pub struct PristineView {
    message_type: &'static str,
    dry_run: bool,
    snapshot_id: SnapshotId,
    data_dir: PathBuf,
    in_place: bool,
    way: Way,
    bytes_needed: u64,
    bytes_free: u64,
    completed: bool,
    kept: Option<PathBuf>,
    databases: Vec<Restored>,
    steps: Vec<String>,
    cautions: Vec<String>,
    files_restored: u64,
    files_skipped: u64,
    bytes_restored: u64,
    total_duration: f64,
    stale_removed: Vec<PathBuf>,
    healthy: Option<bool>,
    unhealthy_because: Option<String>,
    warnings: Vec<Failure>,
    failures: Vec<Failure>,
}

impl PristineView {
    /// The view of a report.
    pub fn new(snapshot_id: SnapshotId, dry_run: bool, report: PristineReport) -> Self {
        let files = report.files;
        Self {
            message_type: "summary",
            dry_run,
            snapshot_id,
            data_dir: report.data_dir,
            in_place: report.way == Way::InPlace,
            way: report.way,
            bytes_needed: report.room.needed,
            bytes_free: report.room.free,
            completed: report.completed,
            kept: report.kept,
            databases: report.databases,
            steps: report.steps,
            cautions: report.cautions,
            files_restored: files.files,
            files_skipped: files.unchanged,
            bytes_restored: files.bytes,
            total_duration: files.seconds,
            stale_removed: report.stale,
            healthy: report.healthy.as_ref().map(Result::is_ok),
            unhealthy_because: report.healthy.and_then(Result::err),
            warnings: files.warnings,
            failures: files.failures,
        }
    }

    /// How the command ends.
    pub fn outcome(&self) -> Outcome {
        match (self.failures.is_empty(), self.healthy) {
            (false, _) => Outcome::Damaged,
            (true, Some(false)) => Outcome::Unhealthy,
            (true, _) => Outcome::Clean,
        }
    }
}

impl View for PristineView {
    fn text(&self) -> String {
        let mut text: String =
            self.cautions.iter().map(|caution| format!("note: {}\n", printable(caution.as_bytes()))).collect();
        if self.dry_run {
            for (number, step) in self.steps.iter().enumerate() {
                text.push_str(&format!("{}. {}\n", number + 1, printable(step.as_bytes())));
            }
            text.push_str("dry run: nothing was done\n");
            return text;
        }
        if !self.failures.is_empty() {
            for failure in self.failures.iter().take(FAILURES_SHOWN) {
                let (path, cause) = (printable(failure.path.as_bytes()), printable(failure.cause.as_bytes()));
                text.push_str(&format!("not restored: {path}: {cause}\n"));
            }
            let failures = counted(self.failures.len() as u64, "entry", "entries");
            let state = if self.in_place { "is rewritten only in part: do not start it" } else { "was not replaced" };
            text.push_str(&format!("{failures} could not be restored; {} {state}\n", text::path(&self.data_dir)));
            return text;
        }
        let files = counted(self.files_restored, "file", "files");
        let took = duration(self.total_duration);
        let bytes = ByteCount(self.bytes_restored);
        let data_dir = text::path(&self.data_dir);
        text.push_str(&match self.completed {
            true => format!("the interrupted exchange of {data_dir} is completed\n"),
            false => format!("restored {bytes} in {files} to {data_dir} in {took}\n"),
        });
        text.extend(self.databases.iter().map(databases::line));
        if let Some(kept) = &self.kept {
            text.push_str(&format!(
                "what it replaced is kept as {}: `--undo` puts it back, `--forget-old` removes it\n",
                text::path(kept)
            ));
        }
        match (&self.healthy, &self.unhealthy_because) {
            (Some(true), _) => text.push_str("the node was started and answers\n"),
            (_, Some(why)) => {
                let why = printable(why.as_bytes());
                text.push_str(&format!("the node was to be started, and does not answer: {why}\n"));
            }
            _ => text.push_str("the node is not started; start it with its own `bin/dss start` or service\n"),
        }
        text
    }
}
