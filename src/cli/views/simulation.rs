//! What a policy would keep over time, drawn.

use serde::Serialize;

use crate::base::clock::{Timestamp, Zone};
use crate::base::id::NodeId;
use crate::cli::output::View;
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::vault::forget::Survey;
use crate::vault::retention::{Simulation, Terms};

/// Characters of a drawing.
const WIDTH: i64 = 60;

const DAY: i64 = 86_400;

/// Every node's time to come.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct SimulationView(Vec<NodeView>);

#[derive(Debug, Serialize)]
struct NodeView {
    message_type: &'static str,
    node: NodeId,
    label: String,
    policy: Vec<String>,
    backup_every_seconds: i64,
    backups: u64,
    looks: Vec<LookView>,
    #[serde(skip)]
    zone: Zone,
}

#[derive(Debug, Serialize)]
struct LookView {
    after_days: i64,
    time: Timestamp,
    count: usize,
    oldest: Option<Timestamp>,
    kept: Vec<Timestamp>,
}

impl SimulationView {
    /// The view of simulations.
    pub fn new(drawn: &[Simulation], survey: &Survey, terms: &Terms) -> Self {
        let tags = terms.policy.tags.iter().map(|tags| format!("tag {}", tags.join("+")));
        let policy: Vec<String> = terms.policy.rules.iter().map(ToString::to_string).chain(tags).collect();
        let node = |one: &Simulation| NodeView {
            message_type: "simulation",
            node: one.node,
            label: survey.label(&one.node).to_owned(),
            policy: policy.clone(),
            backup_every_seconds: one.rhythm,
            backups: one.made,
            looks: one
                .looks
                .iter()
                .map(|look| LookView {
                    after_days: (look.at.seconds - one.begin.seconds) / DAY,
                    time: look.at,
                    count: look.kept.len(),
                    oldest: look.kept.first().copied(),
                    kept: look.kept.clone(),
                })
                .collect(),
            zone: terms.zone.clone(),
        };
        Self(drawn.iter().map(node).collect())
    }
}

/// Where the snapshots of one look lie: the moment itself at the right, one character for so many seconds.
fn drawing(look: &LookView, seconds: i64) -> String {
    let mut cells = [0_u64; WIDTH as usize];
    for time in &look.kept {
        let back = (look.time.seconds - time.seconds).max(0) / seconds.max(1);
        let at = WIDTH - 1 - back.min(WIDTH - 1);
        cells[at as usize] += 1;
    }
    cells
        .iter()
        .map(|count| match count {
            0 => ' ',
            1 => '.',
            2..=3 => ':',
            _ => '#',
        })
        .collect()
}

impl NodeView {
    fn text(&self) -> String {
        // One scale for all rows: from now to the end, or as far as the oldest goes back.
        let reach = self
            .looks
            .iter()
            .filter_map(|look| look.oldest.map(|oldest| look.time.seconds - oldest.seconds))
            .max()
            .unwrap_or(0);
        let seconds = (reach / WIDTH + 1).max(DAY / 24);
        let titles = [Column::Right("after"), Column::Right("kept"), Column::Left("oldest"), Column::Left("where")];
        let mut table = Table::new(&titles);
        for look in &self.looks {
            let oldest = look.oldest.map(|oldest| self.zone.show(oldest).chars().take(10).collect::<String>());
            table.row([
                text::counted(look.after_days as u64, "day", "days"),
                text::count(look.count as u64),
                oldest.unwrap_or_default(),
                format!("|{}|", drawing(look, seconds)),
            ]);
        }
        format!(
            "{}: a backup every {} h; {}\n{}each character is {}, the day itself at the right: . one, : two or three, # more\n",
            text::printable(self.label.as_bytes()),
            text::count((self.backup_every_seconds as u64 + 1800) / 3600),
            text::printable(self.policy.join(", ").as_bytes()),
            table.text(),
            if seconds < DAY {
                format!("{} hours", (seconds + 3599) / 3600)
            } else {
                format!("{:.1} days", seconds as f64 / DAY as f64)
            },
        )
    }
}

impl View for SimulationView {
    fn text(&self) -> String {
        if self.0.is_empty() {
            return "no snapshots; make a backup first, a simulation goes on from there\n".to_owned();
        }
        let nodes: Vec<String> = self.0.iter().map(NodeView::text).collect();
        format!("{}\nnothing was forgotten: this is what would be\n", nodes.join("\n"))
    }
}
