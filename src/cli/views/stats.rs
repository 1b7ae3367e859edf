//! Sizes.

use serde::Serialize;

use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::table::{Column, Table};
use crate::cli::text::count;
use crate::vault::stats::{ClassStats, StatsReport};

/// Sizes of a repository.
#[derive(Debug, Serialize)]
pub struct StatsView {
    snapshots_count: u64,
    unreadable: u64,
    logical_bytes: u64,
    unique_bytes: u64,
    stored_bytes: u64,
    ratio: f64,
    chunks: u64,
    classes: Vec<ClassStats>,
}

impl StatsView {
    /// The view of a report.
    pub fn new(report: StatsReport) -> Self {
        Self {
            snapshots_count: report.snapshots,
            unreadable: report.unreadable,
            logical_bytes: report.logical_bytes,
            unique_bytes: report.unique_bytes,
            stored_bytes: report.stored_bytes,
            ratio: report.ratio(),
            chunks: report.chunks,
            classes: report.classes,
        }
    }
}

impl View for StatsView {
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |label: &str, value: String| text.push_str(&format!("{label:<11}{value}\n"));
        line("snapshots", count(self.snapshots_count));
        if self.unreadable > 0 {
            line("unreadable", format!("{} snapshots, not counted", count(self.unreadable)));
        }
        line("logical", format!("{} in all snapshots together", ByteCount(self.logical_bytes)));
        line("unique", format!("{} in {} chunks", ByteCount(self.unique_bytes), count(self.chunks)));
        line("stored", format!("{}, compressed and encrypted", ByteCount(self.stored_bytes)));
        line("ratio", format!("{:.1} logical bytes for each stored one", self.ratio));
        let mut table = Table::new(&[Column::Left("class"), Column::Right("objects"), Column::Right("stored")]);
        for class in &self.classes {
            table.row([class.kind.to_owned(), count(class.objects), ByteCount(class.bytes).to_string()]);
        }
        format!("{text}\n{}", table.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_from_the_whole_to_the_classes() {
        let class = |kind, objects, bytes| ClassStats { kind, objects, bytes };
        let view = StatsView::new(StatsReport {
            unreadable: 0,
            snapshots: 3,
            logical_bytes: 9 << 30,
            unique_bytes: 3 << 30,
            stored_bytes: 1 << 30,
            chunks: 12_345,
            classes: vec![class("keys", 2, 700), class("packs", 60, 1 << 30)],
        });
        insta::assert_snapshot!(view.text(), @r"
        snapshots  3
        logical    9.00 GiB in all snapshots together
        unique     3.00 GiB in 12,345 chunks
        stored     1.00 GiB, compressed and encrypted
        ratio      9.0 logical bytes for each stored one

        class  objects    stored
        keys         2     700 B
        packs       60  1.00 GiB
        ");
    }
}
