//! `dssvault stats`.

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::views::stats::StatsView;
use crate::vault::stats;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault stats
  dssvault -r /srv/vault stats --json | jq .stored_bytes";

/// Show sizes: what all snapshots hold, what of it is unique, and what is stored.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Adds up.
pub fn run(_: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let reporter = session.reporter();
    let report = stats::run(&opened.repository, opened.context(&reporter, &session.cancel))?;
    reporter.finish();
    let all_read = report.unreadable == 0;
    session.output.show(&StatsView::new(report))?;
    Ok(Outcome::clean_if(all_read))
}
