//! Which databases were put back, or would be.

use serde::Serialize;

use crate::base::id::SnapshotId;
use crate::cli::output::View;
use crate::cli::text::{counted, duration, printable};
use crate::postgres::restore::{Ready, Restored};

/// The summary.
#[derive(Debug, Serialize)]
pub struct DatabasesView {
    message_type: &'static str,
    dry_run: bool,
    snapshot_id: SnapshotId,
    steps: Vec<String>,
    cautions: Vec<String>,
    databases: Vec<Restored>,
}

impl DatabasesView {
    /// What was planned and, unless it is a dry run, done.
    pub fn new(snapshot_id: SnapshotId, ready: &[Ready<'_>], databases: Vec<Restored>, dry_run: bool) -> Self {
        let steps = ready.iter().map(Ready::says).collect();
        let cautions = ready.iter().flat_map(|one| one.warnings.iter().cloned()).collect();
        Self { message_type: "summary", dry_run, snapshot_id, steps, cautions, databases }
    }
}

/// A line of a database that was put back.
pub fn line(database: &Restored) -> String {
    let relations = counted(database.relations, "table, view or sequence", "tables, views and sequences");
    let took = duration(database.took.as_secs_f64());
    printable(format!("database {} is in {}: {relations}, in {took}", database.name, database.database).as_bytes())
        + "\n"
}

impl View for DatabasesView {
    fn text(&self) -> String {
        let note = |caution: &String| format!("note: {}\n", printable(caution.as_bytes()));
        let mut text: String = self.cautions.iter().map(note).collect();
        if self.dry_run {
            for (number, step) in self.steps.iter().enumerate() {
                text.push_str(&format!("{}. {}\n", number + 1, printable(step.as_bytes())));
            }
            text.push_str("dry run: nothing was done\n");
        }
        text.extend(self.databases.iter().map(line));
        text
    }
}
