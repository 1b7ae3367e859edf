//! What became of an archive.

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::text::printable;
use crate::cli::views::backup::BackupView;
use crate::dss::import::{Import, ToldBy};
use crate::repo::snapshot::NodeRecord;

/// One archive that was imported.
#[derive(Debug, Serialize)]
pub struct ImportView {
    message_type: &'static str,
    archive: String,
    archive_bytes: Option<u64>,
    packing: Option<String>,
    time: Timestamp,
    time_from: ToldBy,
    label: String,
    node: Option<Box<NodeRecord>>,
    summary: BackupView,
}

impl ImportView {
    /// The view of an import.
    pub fn new(import: Import) -> Self {
        let Import { planned, node, backup } = import;
        let imported = backup.manifest.imported.as_ref();
        Self {
            message_type: "imported",
            archive: planned.path.display().to_string(),
            archive_bytes: imported.map(|imported| imported.bytes),
            packing: imported.map(|imported| imported.packing.clone()),
            time: planned.time,
            time_from: planned.told_by,
            label: backup.manifest.label.clone(),
            node,
            summary: BackupView::new(backup),
        }
    }

    /// Whether the snapshot lacks members of the archive.
    pub fn lacks_files(&self) -> bool {
        self.summary.lacks_files()
    }
}

/// `design 14.2.2, install id AbCd`.
fn named(node: &NodeRecord) -> String {
    let version = node.version.as_deref().unwrap_or("of unknown version");
    let id = node.install_id.as_deref().map_or("without install id".to_owned(), |id| format!("install id {id}"));
    format!("{} {version}, {id}", node.node_type)
}

impl View for ImportView {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line =
            |label: &str, value: String| text.push_str(&format!("{label:<10} {}\n", printable(value.as_bytes())));
        let size = self.archive_bytes.map(|bytes| format!(", {}", ByteCount(bytes))).unwrap_or_default();
        line("archive", format!("{}{size}", self.archive));
        let by = match self.time_from {
            ToldBy::Name => "by its name",
            ToldBy::Mtime => "by its file",
            ToldBy::Option => "as told",
        };
        line("made", format!("{}, {by}", self.time.local()));
        match &self.node {
            Some(node) => line("of", format!("{}, as {}", named(node), self.label)),
            None => line("of", format!("plain files, as {}", self.label)),
        }
        text.push_str(&self.summary.text());
        text
    }
}
