//! The list of snapshots.

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::id::{ChunkId, NodeId, SnapshotId};
use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::repo::journal::Facts;
use crate::repo::journal::entry::Pin;
use crate::repo::snapshot::{Consistency, DatabaseRecord, Imported, NodeRecord, Origin, Repaired};
use crate::vault::browse::Listed;

/// One snapshot. Names that restic has mean the same here.
#[derive(Debug, Serialize)]
pub struct SnapshotView {
    id: SnapshotId,
    short_id: String,
    time: Timestamp,
    tree: ChunkId,
    parent: Option<SnapshotId>,
    paths: Vec<String>,
    hostname: String,
    username: String,
    node: NodeView,
    tags: Vec<String>,
    consistency: Consistency,
    dss: Option<Box<NodeRecord>>,
    imported: Option<Imported>,
    /// What it is a copy of.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// Dumps in it.
    databases: Vec<DatabaseRecord>,
    program_version: String,
    /// Why it must be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<PinView>,
    /// When it was forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    forgotten: Option<Timestamp>,
    /// The snapshot it was made in place of, if something of that was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<Repaired>,
    summary: SummaryView,
}

#[derive(Debug, Serialize)]
struct NodeView {
    id: NodeId,
    label: String,
}

#[derive(Debug, Serialize)]
struct PinView {
    reason: String,
    until: Option<Timestamp>,
}

impl PinView {
    fn new(pin: &Pin) -> Self {
        Self { reason: pin.note.clone(), until: pin.until }
    }

    fn text(&self) -> String {
        let until = self.until.map_or(String::new(), |until| format!(" until {}", until.local()));
        format!("(pinned{until}: {})", text::printable(self.reason.as_bytes()))
    }
}

#[derive(Debug, Serialize)]
struct SummaryView {
    backup_start: Timestamp,
    backup_end: Timestamp,
    total_files_processed: u64,
    total_bytes_processed: u64,
    dirs: u64,
    others: u64,
    files_read: u64,
    bytes_read: u64,
    data_blobs: u64,
    data_added: u64,
    data_added_packed: u64,
    problem_count: u64,
}

impl SnapshotView {
    /// The view of one snapshot.
    pub fn new(listed: &Listed) -> Self {
        let (manifest, counts) = (&listed.manifest, &listed.manifest.counts);
        Self {
            id: listed.id,
            short_id: listed.id.short(),
            time: manifest.time,
            tree: manifest.root,
            parent: manifest.parent,
            paths: manifest.members.iter().map(|member| member.name.clone()).collect(),
            hostname: manifest.host.clone(),
            username: manifest.user.clone(),
            node: NodeView { id: manifest.node, label: manifest.label.clone() },
            tags: manifest.tags.clone(),
            consistency: manifest.consistency,
            dss: manifest.dss.clone(),
            imported: manifest.imported.clone(),
            origin: manifest.origin,
            databases: manifest.databases.clone().unwrap_or_default(),
            program_version: manifest.program.clone(),
            pin: None,
            repaired: manifest.repaired.clone(),
            forgotten: None,
            summary: SummaryView {
                backup_start: manifest.time,
                backup_end: manifest.ended,
                total_files_processed: counts.files,
                total_bytes_processed: counts.bytes,
                dirs: counts.directories,
                others: counts.others,
                files_read: counts.files_read,
                bytes_read: counts.bytes_read,
                data_blobs: counts.chunks_added,
                data_added: counts.bytes_added,
                data_added_packed: counts.bytes_stored,
                problem_count: manifest.problem_count,
            },
        }
    }
}

impl SnapshotView {
    /// How it was read, in a word. A dump shows one moment, whatever goes on around it.
    fn how_read(&self) -> &'static str {
        let only_dumps = self.dss.is_none() && !self.databases.is_empty();
        if only_dumps { "dump" } else { how_read(self.consistency) }
    }
}

/// All snapshots that were asked for, oldest first.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct SnapshotsView(Vec<SnapshotView>);

impl SnapshotsView {
    /// The view of a listing and what the journal says of it.
    pub fn new(listed: &[Listed], facts: &Facts) -> Self {
        let view = |listed: &Listed| SnapshotView {
            pin: facts.pins.get(&listed.id).map(PinView::new),
            forgotten: facts.forgotten.get(&listed.id).map(|since| since.time),
            ..SnapshotView::new(listed)
        };
        Self(listed.iter().map(view).collect())
    }
}

/// How the files were read, in a word.
const fn how_read(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Stopped => "stopped",
        Consistency::Frozen => "frozen",
        Consistency::Live => "live",
        Consistency::Unknown => "unknown",
    }
}

impl View for SnapshotsView {
    fn text(&self) -> String {
        if self.0.is_empty() {
            return "no snapshots\n".to_owned();
        }
        let mut table = Table::new(&[
            Column::Left("id"),
            Column::Left("time"),
            Column::Left("node"),
            Column::Left("read"),
            Column::Right("files"),
            Column::Right("size"),
            Column::Right("added"),
            Column::Left("tags"),
            Column::Left("paths"),
        ]);
        for snapshot in &self.0 {
            let summary = &snapshot.summary;
            // Several paths make several lines of one row.
            let mut paths: Vec<String> = snapshot.paths.iter().map(|path| text::printable(path.as_bytes())).collect();
            paths.extend((summary.problem_count > 0).then(|| "(with problems)".to_owned()));
            paths.extend(snapshot.pin.as_ref().map(PinView::text));
            paths.extend(snapshot.repaired.as_ref().map(|repaired| format!("(repaired {})", repaired.of.short())));
            paths.extend(snapshot.forgotten.map(|time| format!("(forgotten {})", time.local())));
            table.row([
                snapshot.short_id.clone(),
                snapshot.time.local(),
                text::printable(snapshot.node.label.as_bytes()),
                snapshot.how_read().to_owned(),
                text::count(summary.total_files_processed),
                ByteCount(summary.total_bytes_processed).to_string(),
                ByteCount(summary.data_added_packed).to_string(),
                text::printable(snapshot.tags.join(",").as_bytes()),
                paths.join("\n"),
            ]);
        }
        format!("{}{}\n", table.text(), text::counted(self.0.len() as u64, "snapshot", "snapshots"))
    }
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;
    use crate::base::id::SessionId;
    use crate::repo::snapshot::{Counts, Exclusions, Manifest, Member};

    /// A manifest with distinct figures everywhere.
    pub fn manifest(label: &str, time: Timestamp) -> Manifest {
        Manifest {
            time,
            ended: Timestamp { seconds: time.seconds + 2, nanos: 500_000_000 },
            node: NodeId::from_bytes([2; 16]),
            label: label.into(),
            host: "dss-1".into(),
            user: "dataiku".into(),
            members: vec![Member { kind: "path".into(), name: "/data/dss".into() }],
            root: ChunkId::from_bytes([3; 32]),
            consistency: Consistency::Live,
            counts: Counts {
                files: 1200,
                directories: 34,
                others: 5,
                bytes: 3 << 30,
                files_read: 12,
                bytes_read: 5 << 20,
                chunks_added: 40,
                bytes_added: 4 << 20,
                bytes_stored: 1 << 20,
            },
            problems: vec![],
            problem_count: 0,
            exclusions: Exclusions::default(),
            tags: vec!["nightly".into()],
            program: "dssvault 0.1.0".into(),
            parent: None,
            session: SessionId::from_bytes([4; 16]),
            dss: None,
            imported: None,
            databases: None,
            repaired: None,
            origin: None,
            seen: None,
        }
    }

    fn listing() -> SnapshotsView {
        let listed = |byte, label, seconds| Listed {
            id: SnapshotId::from_bytes([byte; 16]),
            manifest: manifest(label, Timestamp::new(seconds, 0).unwrap()),
        };
        let listed = [listed(0xaa, "design", 1_763_795_700), listed(0xbb, "automation", 1_763_882_100)];
        SnapshotsView::new(&listed, &Facts::default())
    }

    #[test]
    fn a_snapshot_is_one_row_of_a_table() {
        let text = listing().text();
        let first: Vec<&str> = text.lines().nth(1).unwrap().split("  ").filter(|cell| !cell.is_empty()).collect();
        assert_eq!(first[0], "aaaaaaaa");
        assert_eq!(first[2].trim(), "design");
        assert_eq!(first.last().unwrap().trim(), "/data/dss");
        assert!(text.ends_with("2 snapshots\n"));
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    }

    #[test]
    fn nothing_is_said_in_words() {
        let none = SnapshotsView::new(&[], &Facts::default());
        assert_eq!(none.text(), "no snapshots\n");
        assert_eq!(serde_json::to_string(&none).unwrap(), "[]");
    }

    #[test]
    fn the_json_is_an_array_as_restic_prints_it() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&listing().0[0]).unwrap(), @r#"
        {
          "id": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          "short_id": "aaaaaaaa",
          "time": "2025-11-22T07:15:00Z",
          "tree": "0303030303030303030303030303030303030303030303030303030303030303",
          "parent": null,
          "paths": [
            "/data/dss"
          ],
          "hostname": "dss-1",
          "username": "dataiku",
          "node": {
            "id": "02020202020202020202020202020202",
            "label": "design"
          },
          "tags": [
            "nightly"
          ],
          "consistency": "live",
          "dss": null,
          "imported": null,
          "databases": [],
          "program_version": "dssvault 0.1.0",
          "summary": {
            "backup_start": "2025-11-22T07:15:00Z",
            "backup_end": "2025-11-22T07:15:02.5Z",
            "total_files_processed": 1200,
            "total_bytes_processed": 3221225472,
            "dirs": 34,
            "others": 5,
            "files_read": 12,
            "bytes_read": 5242880,
            "data_blobs": 40,
            "data_added": 4194304,
            "data_added_packed": 1048576,
            "problem_count": 0
          }
        }
        "#);
    }
}
