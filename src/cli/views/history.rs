//! When a file changed.

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::id::{NodeId, SnapshotId};
use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::table::{Column, Table};
use crate::cli::text::{self, counted};
use crate::cli::views::entry::kind_word;
use crate::repo::tree::{Entry, EntryKind};
use crate::vault::diff::Difference;
use crate::vault::history::{Event, History, NodeHistory, Turn};

/// A path over all snapshots.
#[derive(Debug, Serialize)]
pub struct HistoryView {
    message_type: &'static str,
    path: String,
    /// The path's bytes in hexadecimal digits, when they are not UTF-8 and `path` is only for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    nodes: Vec<NodeHistoryView>,
    unreadable: Vec<(String, String)>,
    #[serde(skip)]
    raw: Vec<u8>,
}

#[derive(Debug, Serialize)]
struct NodeHistoryView {
    node: NodeView,
    snapshots: u64,
    present: u64,
    events: Vec<EventView>,
}

#[derive(Debug, Serialize)]
struct NodeView {
    id: NodeId,
    label: String,
}

#[derive(Debug, Serialize)]
struct EventView {
    snapshot_id: SnapshotId,
    time: Timestamp,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<Difference>,
    /// As it is from then on; absent if it is gone.
    now: Option<StateView>,
    #[serde(skip)]
    size_before: Option<u64>,
}

#[derive(Debug, Serialize)]
struct StateView {
    #[serde(rename = "type")]
    kind: &'static str,
    size: u64,
    mode: u32,
    permissions: String,
    uid: u32,
    gid: u32,
    mtime: Timestamp,
}

impl EventView {
    fn new(event: &Event) -> Self {
        let (word, differs, entry, size_before) = match &event.turn {
            Turn::Appeared(now) => ("appeared", None, Some(now), None),
            Turn::Changed { now, size_before, difference } => {
                let word = match difference {
                    Difference { kind: true, .. } => "type",
                    Difference { content: true, .. } => "content",
                    _ => "attributes",
                };
                (word, Some(*difference), Some(now), Some(*size_before))
            }
            Turn::Gone => ("gone", None, None, None),
        };
        let now = entry.map(|entry| StateView::new(entry));
        Self { snapshot_id: event.snapshot, time: event.time, event: word, differs, now, size_before }
    }

    fn size(&self) -> String {
        match &self.now {
            Some(now) if now.kind == kind_word(EntryKind::File) => match self.size_before {
                Some(before) if before != now.size => {
                    let (sign, by) =
                        if now.size > before { ('+', now.size - before) } else { ('-', before - now.size) };
                    format!("{} ({sign}{})", ByteCount(now.size), ByteCount(by))
                }
                _ => ByteCount(now.size).to_string(),
            },
            Some(_) | None => "-".to_owned(),
        }
    }
}

impl StateView {
    fn new(entry: &Entry) -> Self {
        Self {
            kind: kind_word(entry.kind),
            size: entry.size,
            mode: entry.mode,
            permissions: text::mode(entry),
            uid: entry.owner.uid,
            gid: entry.owner.gid,
            mtime: entry.mtime,
        }
    }
}

impl HistoryView {
    /// The view of what was found.
    pub fn new(path: &[u8], history: &History) -> Self {
        let node = |history: &NodeHistory| NodeHistoryView {
            node: NodeView { id: history.node, label: history.label.clone() },
            snapshots: history.snapshots,
            present: history.present,
            events: history.events.iter().map(EventView::new).collect(),
        };
        let hex = || path.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            message_type: "history",
            path: format!("/{}", String::from_utf8_lossy(path)),
            path_hex: std::str::from_utf8(path).is_err().then(hex),
            nodes: history.nodes.iter().map(node).collect(),
            unreadable: history.unreadable.clone(),
            raw: path.to_vec(),
        }
    }

    /// Whether every snapshot was looked at.
    pub fn is_complete(&self) -> bool {
        self.unreadable.is_empty()
    }

    /// What could not be looked at, a line each.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        let line = |(object, cause): &(String, String)| {
            format!("{object} was not looked at: {}", text::printable(cause.as_bytes()))
        };
        self.unreadable.iter().map(line)
    }
}

impl View for HistoryView {
    fn text(&self) -> String {
        let path = text::printable(&self.raw);
        if self.nodes.is_empty() {
            return format!("no snapshot has /{path}\n");
        }
        let mut text = String::new();
        for history in &self.nodes {
            if self.nodes.len() > 1 {
                text.push_str(&format!("{}:\n", text::printable(history.node.label.as_bytes())));
            }
            let columns = ["time", "snapshot", "event"].map(Column::Left).into_iter().chain([Column::Right("size")]);
            let columns: Vec<Column> = columns.chain(["permissions", "modified"].map(Column::Left)).collect();
            let mut table = Table::new(&columns);
            for event in &history.events {
                let of = |show: fn(&StateView) -> String| event.now.as_ref().map_or("-".to_owned(), show);
                table.row([
                    event.time.local().to_string(),
                    event.snapshot_id.short(),
                    event.event.to_owned(),
                    event.size(),
                    of(|now| now.permissions.clone()),
                    of(|now| now.mtime.local().to_string()),
                ]);
            }
            text.push_str(&table.text());
            let snapshots = counted(history.snapshots, "snapshot", "snapshots");
            text.push_str(&format!("/{path} is in {} of {snapshots}\n", text::count(history.present)));
        }
        text
    }
}
