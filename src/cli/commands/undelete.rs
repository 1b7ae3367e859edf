//! `dssvault undelete`.

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::views::pin::IdsView;
use crate::vault::forget;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault snapshots --forgotten       what can come back
  dssvault -r /srv/vault undelete 1a2b3c4d 5e6f7a8b";

/// Bring forgotten snapshots back.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Ids of forgotten snapshots; their beginnings are enough
    #[arg(value_name = "SNAPSHOT", required = true)]
    snapshots: Vec<String>,
}

/// Brings back.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let ids = forget::undelete(&opened.repository, &args.snapshots)?;
    session.output.report(&IdsView::undeleted(ids))?;
    Ok(Outcome::Clean)
}
