//! Giving space back: what no snapshot reaches is marked, later doomed, deleted and forgotten, beside any number of
//! running backups. The rules and why they hold: `docs/protocol.md`; the steps here have its numbers.

mod census;
mod copies;
mod deletion;
mod doom;
mod held;
mod live;
mod look;
pub(super) mod marks;
mod plan;
mod repack;
mod report;
mod run;
mod segments;
mod sessions;
mod tidy;

pub use plan::{BadShare, Unused};
pub use report::{PruneReport, Tally, WaitingFor};

use std::time::{Duration, Instant};

use crate::base::id::SnapshotId;
use crate::repo::Repository;
use crate::vault::{Context, VaultError};

/// How much is given back, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct PruneOptions {
    /// Tell what would happen, and write nothing.
    pub dry_run: bool,
    /// How much may stay in packs that are kept for the sake of others.
    pub max_unused: Unused,
    /// Stored bytes that are written anew, at most.
    pub max_repack: Option<u64>,
    /// Delete whole packs only, so that nothing but small objects is written.
    pub no_repack: bool,
    /// A marked pack is deleted after this time, not before.
    pub grace: Duration,
    /// A forgotten snapshot can be brought back for this time.
    pub undo_window: Duration,
    /// A session without a sign of life for this time is ended.
    pub fence_after: Duration,
    /// In a dry run: snapshots taken as forgotten just now.
    pub as_forgotten: Vec<SnapshotId>,
    /// Snapshots that cannot be read and that deletion shall not wait for, by the beginnings of their ids.
    pub quarantine: Vec<String>,
}

impl Default for PruneOptions {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self {
            dry_run: false,
            max_unused: Unused::DEFAULT,
            max_repack: None,
            no_repack: false,
            grace: day,
            undo_window: 7 * day,
            fence_after: day,
            as_forgotten: Vec::new(),
            quarantine: Vec::new(),
        }
    }
}

/// Purges what was forgotten long enough ago, marks what no snapshot reaches, writes anew what is left of packs that
/// are mostly waste, deletes what was marked long enough ago and merges small index segments.
///
/// May be stopped and repeated at any point, and run beside backups and other prunes. Whatever it is not sure of stays:
/// an error means that nothing was deleted that had not been decided before.
pub fn run(repository: &Repository, options: &PruneOptions, context: Context<'_>) -> Result<PruneReport, VaultError> {
    let begun = Instant::now();
    let report = run::Prune::new(repository, options, context)?.run()?;
    Ok(PruneReport { seconds: begun.elapsed().as_secs_f64(), ..report })
}

/// Merges small index segments, and those that name many packs that are gone. Deletes nothing else.
pub fn optimize(repository: &Repository, dry_run: bool, context: Context<'_>) -> Result<PruneReport, VaultError> {
    let begun = Instant::now();
    let report = run::optimize(repository, dry_run, context)?;
    Ok(PruneReport { seconds: begun.elapsed().as_secs_f64(), ..report })
}
