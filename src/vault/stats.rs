//! How large everything is.

use std::path::Path;

use crate::base::object::ObjectKind;
use crate::base::progress::Event;
use crate::repo::Repository;
use crate::vault::{Context, VaultError, browse};

/// Index entries between two looks at the request to stop.
const STRIDE: u64 = 1 << 16;

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
    /// Snapshots that cannot be read: in none of the figures below.
    pub unreadable: u64,
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

/// Adds everything up. Snapshots that cannot be read are told to the progress and left out.
pub fn run(repository: &Repository, context: Context<'_>) -> Result<StatsReport, VaultError> {
    let mut report = StatsReport::default();
    for kind in ObjectKind::ALL {
        let listed = repository.storage.list(kind)?;
        let bytes = listed.iter().map(|entry| entry.bytes).sum();
        report.stored_bytes += bytes;
        report.classes.push(ClassStats { kind: kind.folder(), objects: listed.len() as u64, bytes });
    }
    browse::each(repository, |name, manifest| match manifest {
        Ok(manifest) => {
            report.snapshots += 1;
            report.logical_bytes += manifest.counts.bytes;
        }
        Err(error) => {
            report.unreadable += 1;
            context.progress.on(Event::Problem { path: Path::new(&name.to_string()), cause: &error.to_string() });
        }
    })?;
    let index = browse::open_index(repository, context)?;
    let mut last = None;
    for (count, entry) in (0u64..).zip(index.scan()) {
        if count.is_multiple_of(STRIDE) && context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        let entry = entry?;
        // Copies of a chunk follow each other.
        if last.replace(entry.prefix) != Some(entry.prefix) {
            report.chunks += 1;
            report.unique_bytes += u64::from(entry.place.length);
        }
    }
    Ok(report)
}
