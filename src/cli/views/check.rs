//! What a check saw.

use serde::Serialize;

use crate::base::size::ByteCount;
use crate::cli::output::View;
use crate::cli::text::{self, count, counted, duration};
use crate::vault::check::{CheckReport, Finding, LedgerReport};
use crate::vault::parity::Repair;

/// The summary of a check. Names that restic has mean the same here.
#[derive(Debug, Serialize)]
pub struct CheckView {
    message_type: &'static str,
    clean: bool,
    num_errors: usize,
    num_warnings: usize,
    snapshots: u64,
    trees: u64,
    packs: u64,
    packs_read: u64,
    chunks: u64,
    bytes_read: u64,
    unused_packs: u64,
    mended_packs: u64,
    parity_objects: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<Repair>,
    total_duration: f64,
    ledger: Option<LedgerReport>,
    findings: Vec<Finding>,
}

impl CheckView {
    /// The view of a report.
    pub fn new(report: CheckReport) -> Self {
        let errors = report.findings.iter().filter(|finding| finding.damage).count();
        Self {
            message_type: "summary",
            clean: report.is_clean(),
            num_errors: errors,
            num_warnings: report.findings.len() - errors,
            snapshots: report.snapshots,
            trees: report.trees,
            packs: report.packs,
            packs_read: report.packs_read,
            chunks: report.chunks,
            bytes_read: report.bytes_read,
            unused_packs: report.unused_packs,
            mended_packs: report.mended_packs,
            parity_objects: report.parity_objects,
            repair: report.repair,
            total_duration: report.seconds,
            ledger: report.ledger,
            findings: report.findings,
        }
    }

    /// Whether nothing is damaged.
    pub fn is_clean(&self) -> bool {
        self.clean
    }
}

impl View for CheckView {
    fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let word = if finding.damage { "DAMAGED" } else { "warning" };
            let (object, cause) =
                (text::printable(finding.object.as_bytes()), text::printable(finding.cause.as_bytes()));
            text.push_str(&format!("{word}  {object}: {cause}\n"));
        }
        text.push_str(&format!(
            "checked {}, {}, {} ({} read), {} read in {}\n",
            counted(self.snapshots, "snapshot", "snapshots"),
            counted(self.trees, "tree node", "tree nodes"),
            counted(self.packs, "pack", "packs"),
            count(self.packs_read),
            ByteCount(self.bytes_read),
            duration(self.total_duration),
        ));
        if let Some(ledger) = &self.ledger {
            text.push_str(&ledger_line(ledger, self.packs));
        }
        if self.unused_packs > 0 {
            text.push_str(&format!(
                "{} no snapshot needs, left by interrupted backups; the next backups use what fits\n",
                counted(self.unused_packs, "object", "objects"),
            ));
        }
        if let Some(repair) = &self.repair {
            text.push_str(&repaired(repair));
        }
        text.push_str(&if self.clean {
            "no damage found\n".to_owned()
        } else {
            let found = counted(self.num_errors as u64, "damaged object", "damaged objects");
            format!("{found}; restore still gives back every file that does not need them\n")
        });
        text
    }
}

/// What a repair did.
fn repaired(repair: &Repair) -> String {
    let would = if repair.dry_run { "would be " } else { "" };
    let mut text = String::new();
    for mended in &repair.mended {
        let shards = counted(mended.shards, "shard", "shards");
        let size = ByteCount(mended.bytes);
        text.push_str(&format!("{would}mended  packs/{}: {shards} of its {size}\n", mended.pack.short()));
    }
    for name in &repair.rebuilt {
        text.push_str(&format!("{would}made again  {name}\n"));
    }
    if repair.mended.is_empty() && repair.unmended.is_empty() && repair.rebuilt.is_empty() {
        text.push_str("there was nothing to mend\n");
    }
    text
}

/// How much of the data was ever verified; nothing where nobody ever verified anything.
fn ledger_line(ledger: &LedgerReport, packs: u64) -> String {
    if let Some(note) = &ledger.note {
        return format!("note: {}\n", text::printable(note.as_bytes()));
    }
    if ledger.never_verified >= packs {
        return String::new();
    }
    let never = match ledger.never_verified {
        0 => "every pack was verified once".to_owned(),
        number => format!("{} never verified", counted(number, "pack was", "packs were")),
    };
    match ledger.oldest {
        Some(oldest) => format!("{never}; the oldest verification is of {}\n", oldest.local()),
        None => format!("{never}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::check::Kind;

    fn view(damage: bool) -> CheckView {
        let finding = Finding {
            object: "packs/0a1b".into(),
            kind: Kind::PackDamaged,
            cause: "its bytes have changed".into(),
            damage,
        };
        CheckView::new(CheckReport {
            snapshots: 2,
            trees: 30,
            packs: 4,
            packs_read: 1,
            bytes_read: 1 << 20,
            unused_packs: 1,
            seconds: 0.25,
            findings: vec![finding],
            ..CheckReport::default()
        })
    }

    #[test]
    fn damage_is_listed_object_by_object() {
        insta::assert_snapshot!(view(true).text(), @r"
        DAMAGED  packs/0a1b: its bytes have changed
        checked 2 snapshots, 30 tree nodes, 4 packs (1 read), 1.00 MiB read in 0.25 s
        1 object no snapshot needs, left by interrupted backups; the next backups use what fits
        1 damaged object; restore still gives back every file that does not need them
        ");
    }

    #[test]
    fn a_warning_is_no_damage() {
        assert!(view(false).is_clean());
        assert!(view(false).text().ends_with("no damage found\n"));
    }

    #[test]
    fn the_json_counts_errors_as_restic_does() {
        let json = serde_json::to_value(view(true)).unwrap();
        assert_eq!((&json["num_errors"], &json["num_warnings"], &json["clean"]), (&1.into(), &0.into(), &false.into()));
        assert_eq!(json["findings"][0]["object"], "packs/0a1b");
        assert_eq!(json["findings"][0]["kind"], "pack_damaged");
    }
}
