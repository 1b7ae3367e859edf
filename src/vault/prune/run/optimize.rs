//! Merging segments, without looking at snapshots.

use crate::repo::Repository;
use crate::vault::parity::Room;
use crate::vault::prune::report::PruneReport;
use crate::vault::prune::run::Prune;
use crate::vault::prune::{PruneOptions, deletion, segments};
use crate::vault::{Context, VaultError};

/// See [`crate::vault::prune::optimize`].
pub fn optimize(repository: &Repository, dry_run: bool, context: Context<'_>) -> Result<PruneReport, VaultError> {
    let options = PruneOptions { dry_run, ..PruneOptions::default() };
    let mut prune = Prune::new(repository, &options, context)?;
    let journal = repository.journal().load()?;
    let index = prune.open(&journal)?;
    let figures = segments::figures(repository, &index, &journal)?;
    drop(index);
    let chosen = segments::choose(&figures, 2);
    prune.report.segments_merged = chosen.len() as u64;
    if !dry_run {
        prune.note(segments::merge(repository, &prune.sealer, &journal, &chosen, context)?);
        let deletion = deletion::delete(repository, Room::Enough, context)?;
        prune.report.deleted = deletion.packs;
        prune.report.problems.extend(deletion.problems());
        deletion.sweep(repository)?;
    }
    Ok(prune.report)
}
