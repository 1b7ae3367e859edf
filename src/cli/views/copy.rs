//! What a copy did.

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::id::{NodeId, SnapshotId};
use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::table::{Column, Table};
use crate::cli::text::{self, counted};
use crate::vault::copy::{Copied, CopyReport, Failed, Likeness, Present, Travel};

/// One snapshot that was copied, or would be.
#[derive(Debug, Serialize)]
pub struct CopiedView {
    message_type: &'static str,
    source: SnapshotId,
    snapshot_id: Option<SnapshotId>,
    time: Timestamp,
    node: NodeView,
    #[serde(flatten)]
    travel: Travel,
}

#[derive(Debug, Serialize)]
struct NodeView {
    id: NodeId,
    label: String,
}

impl CopiedView {
    /// The view of one snapshot.
    pub fn new(copied: &Copied) -> Self {
        Self {
            message_type: "copied",
            source: copied.source,
            snapshot_id: copied.snapshot,
            time: copied.time,
            node: NodeView { id: copied.node, label: copied.label.clone() },
            travel: copied.travel,
        }
    }
}

/// A whole run.
#[derive(Debug, Serialize)]
pub struct CopyView {
    message_type: &'static str,
    dry_run: bool,
    same_ids: bool,
    same_cuts: bool,
    copied: Vec<CopiedView>,
    present: Vec<Present>,
    failed: Vec<Failed>,
    unreadable_in_target: usize,
    #[serde(flatten)]
    travel: Travel,
    total_duration: f64,
}

impl CopyView {
    /// The view of a report.
    pub fn new(report: CopyReport) -> Self {
        let Likeness { names, cuts } = report.likeness;
        Self {
            message_type: "summary",
            dry_run: report.dry_run,
            same_ids: names,
            same_cuts: cuts,
            travel: report.travel(),
            copied: report.copied.iter().map(CopiedView::new).collect(),
            present: report.present,
            failed: report.failed,
            unreadable_in_target: report.unreadable_there,
            total_duration: report.seconds,
        }
    }

    /// Whether all that were meant are there.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }

    /// What could not be copied, a line each.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        self.failed.iter().map(|Failed { object, path, cause, present }| {
            let path = path.as_deref().map(|path| format!(": {}", text::printable(path.as_bytes())));
            let what = match present {
                true => format!("not all that is lost of the copy of {object} could be brought"),
                false => format!("{object} was not copied"),
            };
            format!("{what}{}: {}", path.unwrap_or_default(), text::printable(cause.as_bytes()))
        })
    }

    fn table(&self) -> String {
        let columns = [Column::Left("copied"), Column::Left("as"), Column::Left("time"), Column::Left("node")];
        let mut table = Table::new(&columns);
        for copied in &self.copied {
            let to = copied.snapshot_id.map_or("-".to_owned(), |id| id.short());
            let label = text::printable(copied.node.label.as_bytes());
            table.row([copied.source.short(), to, copied.time.local().to_string(), label]);
        }
        table.text()
    }

    fn travelled(&self) -> String {
        let Travel { bytes, chunks_read, bytes_read, bytes_skipped, chunks_added, bytes_added, bytes_stored, .. } =
            self.travel;
        let size = ByteCount;
        format!(
            "files      {} in all of them; {} were there or are repeated\nread       {} in {}\nadded      {} in {}, stored as {}\ntime       {}\n",
            size(bytes),
            size(bytes_skipped),
            size(bytes_read),
            counted(chunks_read, "chunk", "chunks"),
            size(bytes_added),
            counted(chunks_added, "chunk", "chunks"),
            size(bytes_stored),
            text::duration(self.total_duration),
        )
    }
}

impl View for CopyView {
    fn text(&self) -> String {
        let mut text = String::new();
        if !self.copied.is_empty() {
            text.push_str(&self.table());
        }
        let refilled = self.present.iter().filter(|present| present.refilled).count();
        if !self.dry_run && (!self.copied.is_empty() || refilled > 0) {
            text.push_str(&self.travelled());
        }
        let number = |count: usize| counted(count as u64, "snapshot", "snapshots");
        let (copied, present) = (number(self.copied.len()), text::count(self.present.len() as u64));
        let verb = if self.dry_run { "would copy" } else { "copied" };
        text.push_str(&format!("{verb} {copied}; {present} were there already\n"));
        if refilled > 0 {
            let verb = if self.dry_run { "would go" } else { "went" };
            text.push_str(&format!("{verb} through {} of these for what had been lost there\n", number(refilled)));
        }
        let forgotten = self.present.iter().filter(|present| present.forgotten).count();
        if forgotten > 0 {
            text.push_str(&format!(
                "{} of these forgotten there; `undelete` there shows them again\n",
                number(forgotten)
            ));
        }
        if !self.failed.is_empty() {
            text.push_str(&format!("{} could not be copied wholly; see the warnings\n", number(self.failed.len())));
        }
        if !self.same_ids && !self.copied.is_empty() {
            text.push_str("the repositories name chunks differently: what the other has must be read all the same (see `init --like`)\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> CopyReport {
        let id = |byte| SnapshotId::from_bytes([byte; 16]);
        let travel = Travel {
            bytes: 5 << 30,
            chunks_read: 3,
            bytes_read: 3 << 20,
            chunks_added: 4,
            bytes_added: 4 << 20,
            bytes_stored: 1 << 20,
            bytes_skipped: (5 << 30) - (3 << 20),
            directories_taken_over: 1,
        };
        let copied = Copied {
            source: id(0xaa),
            snapshot: Some(id(0xbb)),
            node: NodeId::from_bytes([1; 16]),
            label: "des\x1big".to_owned(),
            time: Timestamp::new(1_763_795_700, 0).unwrap(),
            travel,
        };
        CopyReport {
            dry_run: false,
            likeness: Likeness { names: true, cuts: true },
            copied: vec![copied],
            present: vec![Present { source: id(1), snapshot: id(2), forgotten: false, refilled: false }],
            failed: vec![Failed {
                object: "snapshots/cc".to_owned(),
                path: Some("/a\x1bb".to_owned()),
                cause: "packs/dd is damaged".to_owned(),
                present: false,
            }],
            unreadable_there: 0,
            refill: Travel::default(),
            seconds: 2.0,
        }
    }

    #[test]
    fn the_text_counts_what_travelled_and_steers_no_terminal() {
        let view = CopyView::new(report());
        let text = view.text();
        assert!(
            text.contains("read       3.00 MiB in 3 chunks\nadded      4.00 MiB in 4 chunks, stored as 1.00 MiB"),
            "{text}"
        );
        assert!(
            text.contains("copied 1 snapshot; 1 were there already\n1 snapshot could not be copied wholly"),
            "{text}"
        );
        let failures: Vec<String> = view.failures().collect();
        assert_eq!(failures, ["snapshots/cc was not copied: /a\\x1bb: packs/dd is damaged"]);
        assert!(!text.contains('\x1b') && !view.is_complete());
    }

    #[test]
    fn the_json_has_the_sums_and_each_snapshot() {
        let json = serde_json::to_value(CopyView::new(report())).unwrap();
        assert_eq!((&json["bytes_read"], &json["copied"][0]["bytes_read"]), (&(3 << 20).into(), &(3 << 20).into()));
        assert_eq!(json["failed"][0]["object"], "snapshots/cc");
        assert_eq!(json["same_ids"], true);
    }
}
