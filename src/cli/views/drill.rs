//! What trying database dumps showed.

use serde::Serialize;

use crate::base::id::SnapshotId;
use crate::cli::output::View;
use crate::cli::text::{count, counted, duration, printable};
use crate::postgres::drill::Drilled;

/// The report.
#[derive(Debug, Serialize)]
pub struct DrillView {
    message_type: &'static str,
    snapshot_id: SnapshotId,
    databases: Vec<Drilled>,
}

impl DrillView {
    /// Of these dumps.
    pub fn new(snapshot_id: SnapshotId, databases: Vec<Drilled>) -> Self {
        Self { message_type: "drill", snapshot_id, databases }
    }
}

impl View for DrillView {
    fn text(&self) -> String {
        let mut text = String::new();
        for database in &self.databases {
            let rows: u64 = database.tables.iter().map(|table| table.rows).sum();
            let wide = database.tables.iter().map(|table| count(table.rows).len()).max().unwrap_or(0);
            for table in &database.tables {
                let name = printable(format!("{}.{}", table.schema, table.name).as_bytes());
                text.push_str(&format!("{:>wide$}  {name}\n", count(table.rows)));
            }
            let large = match database.large_objects {
                0 => String::new(),
                number => format!(", {}", counted(number, "large object", "large objects")),
            };
            text.push_str(&format!(
                "{}: restored in {}, {} in {}{large}; the throw-away server is removed\n",
                printable(database.name.as_bytes()),
                duration(database.took.as_secs_f64()),
                counted(rows, "row", "rows"),
                counted(database.tables.len() as u64, "table", "tables")
            ));
        }
        text
    }
}
