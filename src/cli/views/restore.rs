//! What a restore did.

use std::path::PathBuf;

use serde::Serialize;

use crate::base::id::SnapshotId;
use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::text::{self, count, counted, duration};
use crate::dss::restore::{Part, Project};
use crate::vault::restore::{Failure, RestoreOptions, RestoreReport};

/// More warnings than this are only counted in the text; the JSON has all.
const WARNINGS_SHOWN: usize = 20;

/// The summary of a restore. Names that restic has mean the same here.
#[derive(Debug, Serialize)]
pub struct RestoreView {
    message_type: &'static str,
    dry_run: bool,
    snapshot_id: SnapshotId,
    target: PathBuf,
    files_restored: u64,
    files_skipped: u64,
    files_deleted: u64,
    files_verified: u64,
    dirs: u64,
    others: u64,
    bytes_restored: u64,
    total_duration: f64,
    warnings: Vec<Failure>,
    failures: Vec<Failure>,
    /// What was found of the project that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<Project>,
    #[serde(skip)]
    verify: bool,
}

impl RestoreView {
    /// The view of a report.
    pub fn new(snapshot_id: SnapshotId, options: &RestoreOptions, report: RestoreReport) -> Self {
        Self {
            message_type: "summary",
            dry_run: options.dry_run,
            snapshot_id,
            target: options.target.clone(),
            files_restored: report.files,
            files_skipped: report.unchanged,
            files_deleted: report.deleted,
            files_verified: report.verified,
            dirs: report.directories,
            others: report.others,
            bytes_restored: report.bytes,
            total_duration: report.seconds,
            warnings: report.warnings,
            failures: report.failures,
            project: None,
            verify: options.verify,
        }
    }

    /// The same of one project.
    #[must_use]
    pub fn of_project(self, project: Option<Project>) -> Self {
        Self { project, ..self }
    }

    /// Whether everything that was asked for came back.
    pub fn is_whole(&self) -> bool {
        self.failures.is_empty()
    }
}

impl View for RestoreView {
    fn text(&self) -> String {
        let mut text = String::new();
        let listed = |word: &str, failure: &Failure| {
            let (path, cause) = (text::printable(failure.path.as_bytes()), text::printable(failure.cause.as_bytes()));
            format!("{word}  {path}: {cause}\n")
        };
        self.warnings.iter().take(WARNINGS_SHOWN).for_each(|warning| text.push_str(&listed("warning", warning)));
        if self.warnings.len() > WARNINGS_SHOWN {
            text.push_str(&format!("and {} more warnings\n", count((self.warnings.len() - WARNINGS_SHOWN) as u64)));
        }
        self.failures.iter().for_each(|failure| text.push_str(&listed("FAILED ", failure)));
        let verb = if self.dry_run { "would restore" } else { "restored" };
        text.push_str(&format!(
            "{verb} {} in {}, {}, to {} in {}\n",
            ByteCount(self.bytes_restored),
            counted(self.files_restored, "file", "files"),
            counted(self.dirs, "directory", "directories"),
            text::path(&self.target),
            duration(self.total_duration),
        ));
        if self.files_skipped > 0 {
            text.push_str(&format!(
                "{} already right or kept\n",
                counted(self.files_skipped, "file was", "files were")
            ));
        }
        if self.files_deleted > 0 {
            let verb = if self.dry_run { "would be removed" } else { "removed" };
            text.push_str(&format!("{} {verb}\n", counted(self.files_deleted, "entry", "entries")));
        }
        if self.verify && !self.dry_run {
            text.push_str(&format!("{} read back and right\n", counted(self.files_verified, "file", "files")));
        }
        if let Some(project) = &self.project {
            text.push_str(&told(project));
        }
        if !self.is_whole() {
            let failed = counted(self.failures.len() as u64, "entry", "entries");
            text.push_str(&format!("{failed} could not be brought back; see above\n"));
        }
        text
    }
}

/// What of a project came back, and what must be known of it.
fn told(project: &Project) -> String {
    let line = |part: &Part| format!("  {:<40} {}\n", text::printable(part.path.as_bytes()), part.what);
    let mut told = format!("of project {}:\n", text::printable(project.key.as_bytes()));
    told.extend(project.found.iter().map(line));
    if !project.absent.is_empty() {
        told.push_str("not in the snapshot:\n");
        told.extend(project.absent.iter().map(line));
    }
    told.extend(project.notes.iter().map(|note| format!("note: {note}\n")));
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(failures: Vec<Failure>) -> RestoreView {
        let options = RestoreOptions { target: "/tmp/back".into(), verify: true, ..RestoreOptions::default() };
        let report = RestoreReport {
            files: 12,
            unchanged: 1,
            directories: 3,
            bytes: 5 << 20,
            verified: 12,
            failures,
            seconds: 1.5,
            ..RestoreReport::default()
        };
        RestoreView::new(SnapshotId::from_bytes([0xab; 16]), &options, report)
    }

    #[test]
    fn a_whole_restore_is_told_in_short() {
        insta::assert_snapshot!(view(vec![]).text(), @r"
        restored 5.00 MiB in 12 files, 3 directories, to /tmp/back in 1.50 s
        1 file was already right or kept
        12 files read back and right
        ");
    }

    #[test]
    fn what_failed_is_named_first_and_counted_last() {
        let view = view(vec![Failure { path: "data/x\n".into(), cause: "chunk 0a is missing".into() }]);
        assert!(!view.is_whole());
        assert!(view.text().starts_with("FAILED   data/x\\n: chunk 0a is missing\n"));
        assert!(view.text().ends_with("1 entry could not be brought back; see above\n"));
    }
}
