//! State files in the root of a data directory that mean: stop and think.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dss::datadir::concern::{Concern, ConcernKind};
use crate::dss::datadir::look::{Look, text_at};

const INSTALL: &str = "DSS-INITIAL-INSTALL-IN-PROGRESS.txt";
/// Lies there while an upgrade is not finished.
pub const MIGRATION: &str = "DSS-MIGRATION-IN-PROGRESS.json";
const NOT_ALIVE: &str = "apinode-not-alive.txt";

/// Entries shown of one marker; a hostile file may hold any number.
const ENTRIES_MAX: usize = 1000;

/// A state file that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Marker {
    /// The first installation did not end.
    InstallInProgress,
    /// An upgrade did not end. The next `installer.sh -u` rolls back by moving files; where a backup named here is
    /// gone, that loses `config`. Source: kit, migration_backup.py, and measured.
    MigrationInProgress {
        /// When it began, as DSS wrote it.
        timestamp: Option<String>,
        /// What it put where.
        entries: Vec<MigrationEntry>,
    },
    /// An administrator took this API node out of the load balancer. Source: DSS docs, apinode health-monitoring.
    ApiNodeNotAlive,
}

/// A piece of an unfinished migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationEntry {
    /// What was to be changed.
    pub initial: String,
    /// Where its old state was put.
    pub backup: String,
    /// Whether that is there.
    pub backup_exists: bool,
}

/// Whether the first installation did not end.
pub fn install_unfinished(root: &Path) -> bool {
    root.join(INSTALL).symlink_metadata().is_ok()
}

/// The state files of a directory.
pub fn find(look: &Look<'_>) -> Vec<Marker> {
    let mut found = Vec::new();
    if install_unfinished(&look.root) {
        found.push(Marker::InstallInProgress);
    }
    if look.at(MIGRATION).symlink_metadata().is_ok() {
        found.push(migration(look));
    }
    if look.at(NOT_ALIVE).symlink_metadata().is_ok() {
        found.push(Marker::ApiNodeNotAlive);
    }
    found
}

fn migration(look: &Look<'_>) -> Marker {
    let value = look.json(MIGRATION).unwrap_or_default();
    let timestamp = match value.get("timestamp") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let listed = value.get("entries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let entries = listed.iter().take(ENTRIES_MAX).filter_map(|entry| {
        let (initial, backup) = (text_at(entry, &["initial"])?, text_at(entry, &["backup"])?);
        // Joining an absolute path gives that path.
        // What this account may not look at is not gone.
        let gone = look.at(backup).symlink_metadata().is_err_and(|why| why.kind() == std::io::ErrorKind::NotFound);
        let backup_exists = !gone;
        Some(MigrationEntry { initial: initial.to_owned(), backup: backup.to_owned(), backup_exists })
    });
    Marker::MigrationInProgress { timestamp, entries: entries.collect() }
}

/// Whether an upgrade died half way: then `_pre_migration_backup_*` is the only way back and must be kept.
pub fn migration_unfinished(markers: &[Marker]) -> bool {
    markers.iter().any(|marker| matches!(marker, Marker::MigrationInProgress { .. }))
}

impl Marker {
    /// What it means.
    pub fn concern(&self) -> Concern {
        match self {
            Self::InstallInProgress => Concern::stop(
                ConcernKind::InstallUnfinished,
                format!("the first installation did not end ({INSTALL})"),
                "do not run the installer again: it would move this directory aside; ask Dataiku support",
            ),
            Self::MigrationInProgress { entries, .. } => {
                let gone: Vec<&str> =
                    entries.iter().filter(|entry| !entry.backup_exists).map(|entry| entry.backup.as_str()).collect();
                let loss = if gone.is_empty() {
                    "the next `installer.sh -u` will roll it back".to_owned()
                } else {
                    format!("{} is gone, so the next `installer.sh -u` would lose config", gone.join(", "))
                };
                Concern::stop(
                    ConcernKind::MigrationUnfinished,
                    format!("an upgrade died half way ({MIGRATION}); {loss}"),
                    "back the directory up whole before anything else, and do not delete _pre_migration_backup_*",
                )
            }
            Self::ApiNodeNotAlive => Concern::warning(
                ConcernKind::OutOfRotation,
                format!("this API node is out of rotation ({NOT_ALIVE}); a node restored from now stays so"),
                "remove the file once the node shall serve again",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::datadir::host::Host;

    fn found(files: &[(&str, &str)]) -> Vec<Marker> {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        let host = Host::default();
        find(&Look::new(dir.path().to_owned(), &host))
    }

    #[test]
    fn a_quiet_directory_has_no_markers() {
        assert!(found(&[("config.json", "{}")]).is_empty());
    }

    #[test]
    fn an_unfinished_migration_tells_which_backup_is_gone() {
        let text = r#"{"timestamp": "20260102-030405", "entries": [
            {"initial": "config", "backup": "_pre_migration_backup_20260102-030405/config"},
            {"initial": "install.ini", "backup": "kept.ini"}, {"initial": 7}, null]}"#;
        let markers = found(&[(MIGRATION, text), ("kept.ini", "")]);
        assert!(migration_unfinished(&markers));
        let Marker::MigrationInProgress { entries, .. } = &markers[0] else { panic!("{markers:?}") };
        assert_eq!(entries.iter().map(|entry| entry.backup_exists).collect::<Vec<_>>(), [false, true]);
        let concern = markers[0].concern();
        assert!(concern.message.contains("_pre_migration_backup_20260102-030405/config is gone"), "{concern:?}");
    }

    #[test]
    fn a_marker_counts_whatever_it_holds() {
        for content in ["", "[]", "{\"entries\": 5, \"timestamp\": []}", "\u{0}"] {
            assert!(migration_unfinished(&found(&[(MIGRATION, content)])), "{content:?}");
        }
        assert_eq!(found(&[(INSTALL, ""), (NOT_ALIVE, "")]), [Marker::InstallInProgress, Marker::ApiNodeNotAlive]);
    }
}
