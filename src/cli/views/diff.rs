//! What differs between two snapshots.

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::id::SnapshotId;
use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::table::{Column, Table};
use crate::cli::text::{self, counted};
use crate::cli::views::entry::kind_word;
use crate::dss::objects::ObjectCount;
use crate::repo::tree::Entry;
use crate::vault::VaultError;
use crate::vault::diff::{Change, Counted, Difference, Tally};

/// One line.
#[derive(Debug, Serialize)]
pub struct ChangeView {
    message_type: &'static str,
    path: String,
    /// The path's bytes in hexadecimal digits, when they are not UTF-8 and `path` is only for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    modifier: String,
    before: Option<SideView>,
    after: Option<SideView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<Difference>,
    #[serde(skip)]
    raw: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct SideView {
    #[serde(rename = "type")]
    kind: &'static str,
    size: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: Timestamp,
}

impl SideView {
    fn new(entry: &Entry) -> Self {
        Self {
            kind: kind_word(entry.kind),
            size: entry.size,
            mode: entry.mode,
            uid: entry.owner.uid,
            gid: entry.owner.gid,
            mtime: entry.mtime,
        }
    }
}

impl ChangeView {
    /// The view of a change at `path` below `narrowed` (raw bytes, no leading slash).
    pub fn new(narrowed: &[u8], path: &[u8], change: &Change<'_>) -> Self {
        let mut raw = narrowed.to_vec();
        if !raw.is_empty() && !path.is_empty() {
            raw.push(b'/');
        }
        raw.extend_from_slice(path);
        let (modifier, before, after, differs) = match change {
            Change::Added(entry) => ("+".to_owned(), None, Some(SideView::new(entry)), None),
            Change::Removed(entry) => ("-".to_owned(), Some(SideView::new(entry)), None, None),
            Change::Changed { before, after, difference } => {
                (difference.letters(), Some(SideView::new(before)), Some(SideView::new(after)), Some(*difference))
            }
        };
        let hex = || raw.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            message_type: "change",
            path: format!("/{}", String::from_utf8_lossy(&raw)),
            path_hex: std::str::from_utf8(&raw).is_err().then(hex),
            modifier,
            before,
            after,
            differs,
            raw,
        }
    }

    /// One line of text.
    pub fn line(&self) -> String {
        let is_dir = self.after.or(self.before).is_some_and(|side| side.kind == "dir");
        let slash = if is_dir { "/" } else { "" };
        let sizes = match (self.before, self.after) {
            (None, Some(side)) | (Some(side), None) if side.kind == "file" => format!("  ({})", ByteCount(side.size)),
            (Some(before), Some(after)) if self.differs.is_some_and(|differs| differs.kind) => {
                format!("  ({} to {})", before.kind, after.kind)
            }
            (Some(before), Some(after)) if before.size != after.size => {
                format!("  ({} to {})", ByteCount(before.size), ByteCount(after.size))
            }
            _ => String::new(),
        };
        format!("{:<4} /{}{slash}{sizes}", self.modifier, text::printable(&self.raw))
    }

    /// One line of JSON.
    pub fn json(&self) -> Result<String, VaultError> {
        serde_json::to_string(self).map_err(|why| VaultError::local("write to", "standard output", why))
    }
}

/// The sums at the end.
#[derive(Debug, Serialize)]
pub struct StatisticsView {
    message_type: &'static str,
    source_snapshot: SnapshotId,
    target_snapshot: SnapshotId,
    #[serde(flatten)]
    tally: Tally,
    /// Objects of DSS projects; `None` unless both snapshots are of DSS nodes.
    objects: Option<Vec<ObjectCount>>,
}

impl StatisticsView {
    /// The view of the sums.
    pub fn new(before: SnapshotId, after: SnapshotId, tally: Tally, objects: Option<Vec<ObjectCount>>) -> Self {
        Self { message_type: "statistics", source_snapshot: before, target_snapshot: after, tally, objects }
    }
}

impl View for StatisticsView {
    fn text(&self) -> String {
        let tally = &self.tally;
        let mut text = String::new();
        if let Some(objects) = self.objects.as_deref().filter(|objects| !objects.is_empty()) {
            let columns = ["project", "kind"].map(Column::Left).into_iter();
            let columns: Vec<Column> = columns.chain(["added", "removed", "changed"].map(Column::Right)).collect();
            let mut table = Table::new(&columns);
            for ObjectCount { project, kind, fates } in objects {
                let figures = [fates.added, fates.removed, fates.changed].map(text::count);
                let words = [project, kind].map(|word| text::printable(word.as_bytes()));
                table.row(words.into_iter().chain(figures));
            }
            text.push_str(&format!("\n{}", table.text()));
        }
        if tally.is_empty() {
            return format!("{text}no differences{}\n", times(tally.changed_times));
        }
        text.push_str(&format!(
            "\nadded      {}\nremoved    {}\nchanged    {}, {} to {}\n",
            sum(&tally.added),
            sum(&tally.removed),
            counted(tally.changed_files, "content", "contents"),
            ByteCount(tally.changed_bytes_before),
            ByteCount(tally.changed_bytes_after),
        ));
        if tally.changed_types + tally.changed_metadata > 0 {
            let attributes = counted(tally.changed_metadata, "entry", "entries");
            let types = text::count(tally.changed_types);
            text.push_str(&format!("           mode, owner or attributes of {attributes}; type of {types}\n"));
        }
        text
    }
}

fn sum(counts: &Counted) -> String {
    let files = counted(counts.files, "file", "files");
    let directories = counted(counts.dirs, "directory", "directories");
    format!("{files} ({}), {directories}, {} others", ByteCount(counts.bytes), text::count(counts.others))
}

fn times(entries: u64) -> String {
    if entries == 0 { String::new() } else { format!("; of {} only times", counted(entries, "entry", "entries")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::tree::{EntryKind, Owner};

    fn file(size: u64) -> Entry {
        Entry {
            mode: 0o644,
            owner: Owner { uid: 1, gid: 1, user: None, group: None },
            size,
            ..Entry::bare(b"f".to_vec(), EntryKind::File)
        }
    }

    #[test]
    fn a_line_has_the_letter_the_path_and_what_the_sizes_say() {
        let (old, new) = (file(2048), file(1024));
        let difference = Difference { content: true, mode: true, ..Difference::default() };
        let changed = Change::Changed { before: &old, after: &new, difference };
        assert_eq!(
            ChangeView::new(b"data", b"a\x1b\n", &changed).line(),
            "MU   /data/a\\x1b\\n  (2.00 KiB to 1.00 KiB)"
        );
        assert_eq!(ChangeView::new(b"", b"x", &Change::Added(&new)).line(), "+    /x  (1.00 KiB)");
        let folder = Entry { kind: EntryKind::Directory, size: 0, ..file(0) };
        assert_eq!(ChangeView::new(b"", b"x", &Change::Removed(&folder)).line(), "-    /x/");
        let difference = Difference { kind: true, ..Difference::default() };
        let retyped = Change::Changed { before: &new, after: &folder, difference };
        assert_eq!(ChangeView::new(b"", b"x", &retyped).line(), "T    /x/  (file to dir)");
    }

    #[test]
    fn the_json_of_a_line_has_both_sides_and_exact_paths() {
        let json: serde_json::Value =
            serde_json::from_str(&ChangeView::new(b"", b"r\xe9", &Change::Added(&file(5))).json().unwrap()).unwrap();
        assert_eq!((&json["modifier"], &json["path_hex"]), (&"+".into(), &"72e9".into()));
        assert_eq!((&json["after"]["size"], &json["before"]), (&5.into(), &serde_json::Value::Null));
    }
}
