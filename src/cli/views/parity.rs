//! What was done with parity, and what there is of it.

use serde::Serialize;

use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::table::{Column, Table};
use crate::cli::text::{count, counted, printable};
use crate::vault::parity::{AddReport, DropReport, ListReport};

/// What adding came to.
#[derive(Debug, Serialize)]
pub struct AddView {
    message_type: &'static str,
    #[serde(flatten)]
    report: AddReport,
}

impl AddView {
    /// The view of a report.
    pub fn new(report: AddReport) -> Self {
        Self { message_type: "summary", report }
    }
}

impl View for AddView {
    fn text(&self) -> String {
        let report = &self.report;
        let mut text = String::new();
        for skipped in &report.skipped {
            let cause = printable(skipped.cause.as_bytes());
            text.push_str(&format!("DAMAGED  packs/{}: {cause}; there is no parity over it\n", skipped.pack));
        }
        let packs: u64 = report.groups.iter().map(|group| group.packs).sum();
        let pack_bytes: u64 = report.groups.iter().map(|group| group.pack_bytes).sum();
        let bytes: u64 = report.groups.iter().map(|group| group.bytes).sum();
        if report.groups.is_empty() && report.replaced.is_empty() {
            text.push_str("every pack that can have parity has it\n");
            return text;
        }
        text.push_str(&format!(
            "{} {} of parity ({}) over {} ({}){}\n",
            if report.dry_run { "would make" } else { "made" },
            ByteCount(bytes),
            share(bytes, pack_bytes),
            counted(packs, "pack", "packs"),
            ByteCount(pack_bytes),
            match report.groups.len() as u64 {
                0 => String::new(),
                groups => format!(" in {}", counted(groups, "group", "groups")),
            },
        ));
        if !report.replaced.is_empty() {
            let (groups, would) =
                (report.replaced.len() as u64, if report.dry_run { "would replace" } else { "replaced" });
            text.push_str(&format!("{would} {}\n", counted(groups, "older group", "older groups")));
        }
        text
    }
}

/// One figure of another, in percent.
fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "0 %".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

/// What there is.
#[derive(Debug, Serialize)]
pub struct ListView {
    message_type: &'static str,
    #[serde(flatten)]
    report: ListReport,
}

impl ListView {
    /// The view of a report.
    pub fn new(report: ListReport) -> Self {
        Self { message_type: "parity", report }
    }
}

impl View for ListView {
    fn text(&self) -> String {
        let report = &self.report;
        if report.groups.is_empty() {
            return "there is no parity; `dssvault parity add` makes it\n".to_owned();
        }
        let mut table = Table::new(&[
            Column::Left("group"),
            Column::Right("packs"),
            Column::Right("size"),
            Column::Right("parity"),
            Column::Right("may lose"),
            Column::Left("state"),
        ]);
        for group in &report.groups {
            let mut state = Vec::new();
            let mut note = |number: u64, what: &str| {
                if number > 0 {
                    state.push(format!("{} {what}", count(number)));
                }
            };
            note(group.missing_packs, "missing");
            note(group.deleted_packs, "deleted");
            note(group.unfit_objects, "of its objects missing");
            if group.unreadable.is_some() {
                state.push("nothing of it can be used".to_owned());
            }
            table.row([
                group.id.short(),
                count(group.packs),
                ByteCount(group.pack_bytes).to_string(),
                ByteCount(group.bytes).to_string(),
                count(u64::from(group.recovery)),
                if state.is_empty() { "whole".to_owned() } else { state.join(", ") },
            ]);
        }
        let mut text = table.text();
        text.push_str(&format!(
            "{} of {} protected, {} of parity over {} ({})\n",
            count(report.protected_packs),
            counted(report.packs, "pack", "packs"),
            ByteCount(report.bytes),
            ByteCount(report.pack_bytes),
            share(report.bytes, report.pack_bytes),
        ));
        text
    }
}

/// What dropping came to.
#[derive(Debug, Serialize)]
pub struct DropView {
    message_type: &'static str,
    #[serde(flatten)]
    report: DropReport,
}

impl DropView {
    /// The view of a report.
    pub fn new(report: DropReport) -> Self {
        Self { message_type: "summary", report }
    }
}

impl View for DropView {
    fn text(&self) -> String {
        let groups = counted(self.report.groups.len() as u64, "group", "groups");
        format!("dropped {groups}, {} freed\n", ByteCount(self.report.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{PackId, ParityId};
    use crate::vault::parity::{ListedGroup, NewGroup, Skipped};

    #[test]
    fn adding_says_what_it_cost_and_what_it_left_out() {
        let group = NewGroup { id: None, packs: 40, pack_bytes: 1000 << 20, recovery: 2, bytes: 51 << 20 };
        let skipped = Skipped { pack: PackId::from_bytes([7; 32]), cause: "it is gone".to_owned() };
        let mut report = AddReport { groups: vec![group], skipped: vec![skipped], ..AddReport::default() };
        report.replaced = vec![ParityId::from_bytes([1; 16])];
        insta::assert_snapshot!(AddView::new(report).text(), @r"
        DAMAGED  packs/0707070707070707070707070707070707070707070707070707070707070707: it is gone; there is no parity over it
        made 51.0 MiB of parity (5.1 %) over 40 packs (0.98 GiB) in 1 group
        replaced 1 older group
        ");
        assert_eq!(AddView::new(AddReport::default()).text(), "every pack that can have parity has it\n");
    }

    #[test]
    fn a_list_shows_what_each_group_can_lose() {
        let group = |byte, missing_packs, unreadable: Option<&str>| ListedGroup {
            id: ParityId::from_bytes([byte; 16]),
            overhead_hundredths: 500,
            packs: 40,
            pack_bytes: 1 << 30,
            recovery: 2,
            bytes: 54 << 20,
            unfit_objects: 0,
            missing_packs,
            deleted_packs: 0,
            unreadable: unreadable.map(str::to_owned),
        };
        let groups = vec![group(1, 0, None), group(2, 1, None), group(3, 0, Some("it is torn"))];
        let report = ListReport { groups, packs: 130, protected_packs: 120, pack_bytes: 3 << 30, bytes: 162 << 20 };
        insta::assert_snapshot!(ListView::new(report).text(), @r"
        group     packs      size    parity  may lose  state
        01010101     40  1.00 GiB  54.0 MiB         2  whole
        02020202     40  1.00 GiB  54.0 MiB         2  1 missing
        03030303     40  1.00 GiB  54.0 MiB         2  nothing of it can be used
        120 of 130 packs protected, 162 MiB of parity over 3.00 GiB (5.3 %)
        ");
    }
}
