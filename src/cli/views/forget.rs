//! What a policy keeps and drops, each with its reasons.

use std::time::Duration;

use serde::Serialize;

use crate::base::clock::{Timestamp, Zone};
use crate::base::id::{NodeId, SnapshotId};
use crate::cli::output::View;
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::vault::forget::ForgetReport;
use crate::vault::retention::{Judged, Loss, Standing, Terms, Verdict};

/// The whole decision.
#[derive(Debug, Serialize)]
pub struct ForgetView {
    message_type: &'static str,
    dry_run: bool,
    /// The rules, in words; none for snapshots that were named.
    policy: Vec<String>,
    timezone: Option<String>,
    snapshots: Vec<JudgedView>,
    kept: usize,
    dropped: usize,
    forgotten: Vec<SnapshotId>,
    refused: Option<String>,
    unreadable: usize,
    #[serde(skip)]
    zone: Zone,
    /// How long what was forgotten can be brought back.
    #[serde(skip)]
    undo_window: Duration,
}

#[derive(Debug, Serialize)]
struct JudgedView {
    id: SnapshotId,
    short_id: String,
    time: Timestamp,
    node: NodeView,
    keep: bool,
    standing: &'static str,
    reasons: Vec<ReasonView>,
    #[serde(skip)]
    text: String,
}

#[derive(Debug, Serialize)]
struct NodeView {
    id: NodeId,
    label: String,
}

#[derive(Debug, Serialize)]
struct ReasonView {
    kind: &'static str,
    text: String,
}

const fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Full => "full",
        Standing::Partial => "partial",
        Standing::Adrift(_) => "adrift",
        Standing::Future => "future",
    }
}

impl JudgedView {
    fn new(judged: &Judged, label: &str) -> Self {
        let reason = |kind, text: String| ReasonView { kind, text };
        let (reasons, mut text): (Vec<_>, String) = match &judged.verdict {
            Verdict::Keep(whys) => {
                let reasons: Vec<_> = whys.iter().map(|why| reason(why.word(), why.to_string())).collect();
                let text = reasons.iter().map(|reason| reason.text.clone()).collect::<Vec<_>>().join(", ");
                (reasons, text)
            }
            Verdict::Drop(losses) => {
                (losses.iter().map(|loss| reason(loss.word(), loss.to_string())).collect(), summed_up(losses))
            }
        };
        if judged.standing != Standing::Full {
            text.push_str(&format!(" ({})", judged.standing));
        }
        Self {
            id: judged.id,
            short_id: judged.id.short(),
            time: judged.time,
            node: NodeView { id: judged.node, label: label.to_owned() },
            keep: judged.is_kept(),
            standing: word(judged.standing),
            reasons,
            text,
        }
    }
}

/// Losses with those to the same winner in one: `daily, weekly: 1a2b3c4d is newer`.
fn summed_up(losses: &[Loss]) -> String {
    let mut parts: Vec<(String, String)> = Vec::new();
    for loss in losses {
        let text = loss.to_string();
        let Some((subject, predicate)) = text.split_once(": ") else { return text };
        match parts.iter_mut().find(|(_, known)| known == predicate) {
            Some((subjects, _)) => *subjects = format!("{subjects}, {subject}"),
            None => parts.push((subject.to_owned(), predicate.to_owned())),
        }
    }
    parts.iter().map(|(subject, predicate)| format!("{subject}: {predicate}")).collect::<Vec<_>>().join("; ")
}

impl ForgetView {
    /// The view of a report.
    pub fn new(report: &ForgetReport, terms: &Terms, dry_run: bool, undo_window: Duration) -> Self {
        let view = |judged: &Judged| JudgedView::new(judged, report.survey.label(&judged.node));
        let snapshots: Vec<JudgedView> = report.judged.iter().map(view).collect();
        let kept = snapshots.iter().filter(|snapshot| snapshot.keep).count();
        let tags = terms.policy.tags.iter().map(|tags| format!("tag {}", tags.join("+")));
        Self {
            message_type: "forget",
            dry_run,
            policy: terms.policy.rules.iter().map(ToString::to_string).chain(tags).collect(),
            timezone: terms.zone.name().map(str::to_owned),
            dropped: snapshots.len() - kept,
            kept,
            snapshots,
            forgotten: report.forgotten.clone(),
            refused: report.breach.as_ref().map(ToString::to_string),
            unreadable: report.survey.unreadable.len(),
            zone: terms.zone.clone(),
            undo_window,
        }
    }

    fn table(&self) -> String {
        let columns = ["", "id", "time", "node", "why"];
        let mut table = Table::new(&columns.map(Column::Left));
        for snapshot in &self.snapshots {
            table.row([
                (if snapshot.keep { "keep" } else { "drop" }).to_owned(),
                snapshot.short_id.clone(),
                self.zone.show(snapshot.time),
                text::printable(snapshot.node.label.as_bytes()),
                text::printable(snapshot.text.as_bytes()),
            ]);
        }
        table.text()
    }
}

impl View for ForgetView {
    fn text(&self) -> String {
        if self.snapshots.is_empty() {
            return "no snapshots\n".to_owned();
        }
        let mut text = self.table();
        if !self.policy.is_empty() {
            let zone = self.timezone.as_deref().unwrap_or("of this machine");
            text.push_str(&format!(
                "policy     {}; time zone {zone}\n",
                text::printable(self.policy.join(", ").as_bytes())
            ));
        }
        let dropped = text::counted(self.dropped as u64, "snapshot", "snapshots");
        let kept = text::count(self.kept as u64);
        if self.refused.is_some() {
            text.push_str(&format!("refused    would forget {dropped} and keep {kept}\n"));
        } else if self.dry_run {
            text.push_str(&format!("would forget {dropped} and keep {kept}\n"));
        } else if self.forgotten.is_empty() {
            text.push_str(&format!("nothing to forget; {kept} kept\n"));
        } else {
            let forgotten = text::counted(self.forgotten.len() as u64, "snapshot", "snapshots");
            let others = if self.policy.is_empty() { String::new() } else { format!(", {kept} kept") };
            text.push_str(&format!("forgot {forgotten}{others}\n"));
            if !self.undo_window.is_zero() {
                let window = text::time_span(self.undo_window);
                text.push_str(&format!(
                    "`dssvault undelete ID` brings one back within {window}; then `prune` frees the space\n"
                ));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::retention::{Extent, Period, Rule};

    #[test]
    fn rules_that_were_lost_to_the_same_snapshot_are_told_together() {
        let rule = |period| Rule { period, extent: Extent::Count(7) };
        let winner = SnapshotId::from_bytes([0xaa; 16]);
        let losses = [
            Loss::Enough(rule(Period::Day)),
            Loss::Newer(rule(Period::Week), winner),
            Loss::Newer(rule(Period::Month), winner),
        ];
        assert_eq!(summed_up(&losses), "daily: beyond 7; weekly, monthly: aaaaaaaa is newer");
        assert_eq!(summed_up(&[Loss::Untagged]), "none of the tags");
    }
}
