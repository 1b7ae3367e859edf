//! `dssvault prune`.

use std::time::Duration;

use crate::base::size::ByteCount;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::text;
use crate::cli::views::prune::PruneView;
use crate::vault::prune::{self, PruneOptions, PruneReport, Unused};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault prune --dry-run           what would be freed, and when
  dssvault -r /srv/vault prune
  dssvault -r /srv/vault forget --policy long --prune
  dssvault -r /srv/vault prune --max-unused 20%    write less anew, leave more waste
  dssvault -r /srv/vault prune --no-repack --undo-window 0s --grace 0s
      the disk is full: free what can be freed now

Backups may run meanwhile. How it works, and what to do on a full disk: docs/prune.md.";

/// Free the space of forgotten snapshots.
///
/// What was forgotten a week ago can no longer be brought back. Packs that no snapshot needs any more are marked, and
/// deleted by the first prune a day later; packs that are mostly waste are written anew. Every copy that is kept
/// instead of another is read and hashed before anything is deleted.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Tell what would happen, and write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Go on without a snapshot that cannot be read and will never be: what only it needs is lost
    #[arg(long, value_name = "SNAPSHOT", conflicts_with = "dry_run")]
    quarantine: Vec<String>,
    #[command(flatten)]
    space: SpaceArgs,
}

/// What is freed, and when.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "What is freed, and when")]
pub struct SpaceArgs {
    /// Waste that may stay in packs that are kept: a share of the repository, a size, or `unlimited` [default: 5%]
    #[arg(long, value_name = "SHARE")]
    max_unused: Option<Unused>,
    /// Write at most this much anew: `10G`
    #[arg(long, value_name = "SIZE")]
    max_repack: Option<ByteCount>,
    /// Write nothing anew, delete whole packs only
    #[arg(long, conflicts_with_all = ["max_unused", "max_repack"])]
    no_repack: bool,
    /// Delete a pack so long after it was marked [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = text::span)]
    grace: Option<Duration>,
    /// Forgotten snapshots can be brought back for so long [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = text::span)]
    undo_window: Option<Duration>,
    /// End backups that gave no sign of life for so long [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = text::span)]
    fence_after: Option<Duration>,
}

impl SpaceArgs {
    /// As the engine takes them.
    pub fn options(&self, dry_run: bool) -> PruneOptions {
        let usual = PruneOptions::default();
        PruneOptions {
            dry_run,
            max_unused: self.max_unused.unwrap_or(usual.max_unused),
            max_repack: self.max_repack.map(|size| size.0),
            no_repack: self.no_repack,
            grace: self.grace.unwrap_or(usual.grace),
            undo_window: self.undo_window.unwrap_or(usual.undo_window),
            fence_after: self.fence_after.unwrap_or(usual.fence_after),
            ..usual
        }
    }

    /// Whether anything of this was said.
    pub fn is_given(&self) -> bool {
        let Self { max_unused, max_repack, no_repack, grace, undo_window, fence_after } = self;
        let times = [grace, undo_window, fence_after].iter().any(|time| time.is_some());
        times || *no_repack || max_unused.is_some() || max_repack.is_some()
    }
}

/// Prunes.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let options = PruneOptions { quarantine: args.quarantine, ..args.space.options(args.dry_run) };
    let report = prune::run(&opened.repository, &options, context)?;
    show(&report, args.dry_run, session)
}

/// Shows what was done.
pub fn show(report: &PruneReport, dry_run: bool, session: &Session) -> Result<Outcome, CliError> {
    for (object, why) in &report.problems {
        session.output.warn(&format!("{object}: {}", text::printable(why.as_bytes())));
    }
    session.output.report(&PruneView::new(report, dry_run))?;
    Ok(Outcome::clean_if(report.problems.is_empty()))
}
