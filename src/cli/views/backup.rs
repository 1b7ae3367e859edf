//! What a backup did.

use serde::Serialize;

use crate::base::id::SnapshotId;
use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::text::{count, counted, duration, printable};
use crate::repo::snapshot::{Consistency, DatabaseRecord, Exclusions, NodeRecord, Problem};
use crate::vault::backup::BackupReport;

/// With less read than this a pace says nothing about the machine.
const PACE_BYTES_MIN: u64 = 1 << 20;

/// The summary of a backup. Names that restic has mean the same here.
#[derive(Debug, Serialize)]
pub struct BackupView {
    message_type: &'static str,
    dry_run: bool,
    snapshot_id: Option<SnapshotId>,
    parent: Option<SnapshotId>,
    files_read: u64,
    files_unmodified: u64,
    dirs: u64,
    others: u64,
    bytes_read: u64,
    data_blobs: u64,
    data_added: u64,
    data_added_packed: u64,
    total_files_processed: u64,
    total_bytes_processed: u64,
    total_duration: f64,
    backup_start: String,
    backup_end: String,
    consistency: Consistency,
    dss: Option<Box<NodeRecord>>,
    databases: Vec<DatabaseRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    would_dump: Vec<Expected>,
    excluded: Excluded,
    problem_count: u64,
    problems: Vec<Problem>,
}

/// A database that would be dumped, and what its tables occupy on the server.
#[derive(Debug, Serialize)]
struct Expected {
    name: String,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Excluded {
    entries: u64,
    bytes: u64,
    rules: Vec<String>,
}

impl From<Exclusions> for Excluded {
    fn from(from: Exclusions) -> Self {
        Self { entries: from.entries, bytes: from.bytes, rules: from.rules }
    }
}

impl BackupView {
    /// The view of a report.
    pub fn new(report: BackupReport) -> Self {
        let BackupReport { snapshot, manifest, seconds } = report;
        let counts = manifest.counts;
        Self {
            message_type: "summary",
            dry_run: snapshot.is_none(),
            snapshot_id: snapshot,
            parent: manifest.parent,
            files_read: counts.files_read,
            files_unmodified: counts.files.saturating_sub(counts.files_read),
            dirs: counts.directories,
            others: counts.others,
            bytes_read: counts.bytes_read,
            data_blobs: counts.chunks_added,
            data_added: counts.bytes_added,
            data_added_packed: counts.bytes_stored,
            total_files_processed: counts.files,
            total_bytes_processed: counts.bytes,
            total_duration: seconds,
            backup_start: manifest.time.to_string(),
            backup_end: manifest.ended.to_string(),
            consistency: manifest.consistency,
            dss: manifest.dss,
            databases: manifest.databases.unwrap_or_default(),
            would_dump: Vec::new(),
            excluded: manifest.exclusions.into(),
            problem_count: manifest.problem_count,
            problems: manifest.problems,
        }
    }

    /// With the databases a dry run would dump.
    pub fn with_expected(self, expected: Vec<(String, u64)>) -> Self {
        let would_dump = expected.into_iter().map(|(name, bytes)| Expected { name, bytes }).collect();
        Self { would_dump, ..self }
    }

    /// Whether the snapshot lacks content that should be in it.
    pub fn lacks_files(&self) -> bool {
        self.problems.iter().any(|problem| problem.lost)
    }

    fn pace(&self) -> String {
        if self.total_duration < 0.1 || self.bytes_read < PACE_BYTES_MIN {
            return String::new();
        }
        format!(", {}/s", ByteCount((self.bytes_read as f64 / self.total_duration) as u64))
    }
}

/// `design 14.2.2 in /data/dss`.
fn named(node: &NodeRecord) -> String {
    let version = node.version.as_deref().unwrap_or("of unknown version");
    match node.data_dir.as_str() {
        "" => format!("{} {version}", node.node_type),
        data_dir => format!("{} {version} in {data_dir}", node.node_type),
    }
}

/// `gov on db1:5432 (15.18), 42 tables, views and sequences, 1.2 GiB in 12 s`.
fn dumped(database: &DatabaseRecord) -> String {
    let server = database.server_version.split_whitespace().next().unwrap_or_default();
    let part = match (&database.schema, &database.table_prefix) {
        (None, None) => String::new(),
        (schema, prefix) => format!(
            ", {}{}",
            schema.as_ref().map_or_else(|| "all schemas".to_owned(), |schema| format!("schema {schema}")),
            prefix.as_ref().map_or_else(String::new, |prefix| format!(" {prefix}*"))
        ),
    };
    let took = duration(database.ended.millis_since(database.began) as f64 / 1000.0);
    let apart = database.skew_ms.filter(|skew| skew.abs() >= 1000).map_or_else(String::new, |skew| {
        let word = if skew < 0 { "before" } else { "after" };
        format!(", {} {word} the files", duration(skew.abs() as f64 / 1000.0))
    });
    let text = format!(
        "{} on {} ({server}){part}: {} of {}, in {took}{apart}",
        database.database,
        database.server,
        ByteCount(database.bytes),
        counted(database.relations, "table, view or sequence", "tables, views and sequences")
    );
    printable(text.as_bytes())
}

/// How it was read, in words.
fn how(consistency: Consistency, node: &NodeRecord) -> String {
    match (consistency, node.downtime_ms, &node.frozen) {
        (Consistency::Stopped, Some(milliseconds), _) => {
            format!("stopped for {}", duration(milliseconds as f64 / 1000.0))
        }
        (Consistency::Stopped, None, _) => "it was stopped already".to_owned(),
        (Consistency::Frozen, _, Some(frozen)) => format!("frozen by {frozen}"),
        (Consistency::Frozen, _, None) => "frozen".to_owned(),
        (Consistency::Live, _, _) => "live: H2 databases are not guaranteed".to_owned(),
        (Consistency::Unknown, _, _) => "whether it was stopped is not known".to_owned(),
    }
}

impl View for BackupView {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |label: &str, value: String| {
            text.push_str(&format!("{label:<10} {}\n", printable(value.as_bytes())));
        };
        if let Some(node) = &self.dss {
            line("node", format!("{}, {}", named(node), how(self.consistency, node)));
        }
        for database in &self.databases {
            line("database", dumped(database));
        }
        for database in &self.would_dump {
            let name = printable(database.name.as_bytes());
            line("database", format!("{name} would be dumped: {} on its server", ByteCount(database.bytes)));
        }
        let seen = format!("{} in {}", ByteCount(self.total_bytes_processed), count(self.total_files_processed));
        line("files", format!("{seen} files, {}", counted(self.dirs, "directory", "directories")));
        let read = counted(self.files_read, "new or changed file", "new or changed files");
        line("read", format!("{} in {read}", ByteCount(self.bytes_read)));
        let chunks = counted(self.data_blobs, "chunk", "chunks");
        let verb = if self.dry_run { "would store" } else { "stored" };
        line(
            "added",
            format!("{} in {chunks}, {verb} as {}", ByteCount(self.data_added), ByteCount(self.data_added_packed)),
        );
        if self.excluded.entries > 0 {
            let entries = counted(self.excluded.entries, "entry", "entries");
            line("left out", format!("{entries}, {} seen in them", ByteCount(self.excluded.bytes)));
        }
        if self.problem_count > 0 {
            let files = counted(self.problem_count, "file", "files");
            line("problems", format!("{files} could not be read, or changed meanwhile; see the warnings"));
        }
        line("time", format!("{}{}", duration(self.total_duration), self.pace()));
        match self.snapshot_id {
            Some(id) => text.push_str(&format!("snapshot {} saved\n", id.short())),
            None => text.push_str("dry run: nothing was stored\n"),
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::cli::views::snapshots::tests::manifest;

    fn view() -> BackupView {
        let report = BackupReport {
            snapshot: Some(SnapshotId::from_bytes([0xab; 16])),
            manifest: manifest("design", Timestamp::new(1_763_795_700, 0).unwrap()),
            seconds: 2.5,
        };
        BackupView::new(report)
    }

    #[test]
    fn the_text_tells_what_was_seen_read_and_stored() {
        insta::assert_snapshot!(view().text(), @r"
        files      3.00 GiB in 1,200 files, 34 directories
        read       5.00 MiB in 12 new or changed files
        added      4.00 MiB in 40 chunks, stored as 1.00 MiB
        time       2.50 s, 2.00 MiB/s
        snapshot abababab saved
        ");
    }

    #[test]
    fn the_json_names_what_restic_names_alike() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&view()).unwrap(), @r#"
        {
          "message_type": "summary",
          "dry_run": false,
          "snapshot_id": "abababababababababababababababab",
          "parent": null,
          "files_read": 12,
          "files_unmodified": 1188,
          "dirs": 34,
          "others": 5,
          "bytes_read": 5242880,
          "data_blobs": 40,
          "data_added": 4194304,
          "data_added_packed": 1048576,
          "total_files_processed": 1200,
          "total_bytes_processed": 3221225472,
          "total_duration": 2.5,
          "backup_start": "2025-11-22T07:15:00Z",
          "backup_end": "2025-11-22T07:15:02.5Z",
          "consistency": "live",
          "dss": null,
          "databases": [],
          "excluded": {
            "entries": 0,
            "bytes": 0,
            "rules": []
          },
          "problem_count": 0,
          "problems": []
        }
        "#);
    }

    #[test]
    fn what_a_node_says_of_itself_cannot_steer_the_terminal() {
        let mut view = view();
        let version = Some("14\x1b[2J".to_owned());
        view.dss = Some(Box::new(NodeRecord { node_type: "design".to_owned(), version, ..NodeRecord::default() }));
        assert!(view.text().contains("design 14\\x1b[2J"), "{}", view.text());
    }

    #[test]
    fn only_lost_content_makes_a_snapshot_incomplete() {
        let problem = |lost| Problem { path: "/a".into(), cause: "changed".into(), lost };
        let mut view = view();
        view.problems = vec![problem(false)];
        assert!(!view.lacks_files());
        view.problems.push(problem(true));
        assert!(view.lacks_files());
    }
}
