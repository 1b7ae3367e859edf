//! `dssvault optimize`.

use crate::cli::commands::prune::show;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::vault::prune;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault optimize --dry-run
  dssvault -r /srv/vault optimize

`prune` does this too when there are many; this does it for a few, and frees no data.";

/// Merge small index segments into large ones, so that the index loads quickly.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Tell what would be merged, and write nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Merges.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let reporter = session.reporter();
    let report = prune::optimize(&opened.repository, args.dry_run, opened.context(&reporter, &session.cancel))?;
    show(&report, args.dry_run, session)
}
