//! How large everything is.

use crate::repo::Repository;
use crate::vault::{Context, VaultError};

/// One class of objects.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct ClassStats {
    /// `config`, `keys`, …
    pub kind: &'static str,
    /// How many objects.
    pub objects: u64,
    /// Their stored bytes.
    pub bytes: u64,
}

/// Sizes of a repository.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct StatsReport {
    /// Committed snapshots.
    pub snapshots: u64,
    /// Logical bytes of all snapshots: what restoring each would write.
    pub logical_bytes: u64,
    /// Plaintext bytes of all distinct chunks.
    pub unique_bytes: u64,
    /// Bytes of all stored objects.
    pub stored_bytes: u64,
    /// Distinct chunks.
    pub chunks: u64,
    /// Per class of object.
    pub classes: Vec<ClassStats>,
}

impl StatsReport {
    /// Logical bytes for each stored byte.
    pub fn ratio(&self) -> f64 {
        if self.stored_bytes == 0 { 0.0 } else { self.logical_bytes as f64 / self.stored_bytes as f64 }
    }
}

/// Adds everything up.
pub fn run(_repository: &Repository, _context: Context<'_>) -> Result<StatsReport, VaultError> {
    unimplemented!("helper: browse")
}
