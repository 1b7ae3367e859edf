//! `dssvault snapshots`.

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::snapshot::FilterArgs;
use crate::cli::text;
use crate::cli::views::snapshots::SnapshotsView;
use crate::vault::browse;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault snapshots
  dssvault -r /srv/vault snapshots --node design-prod --tag nightly
  dssvault -r /srv/vault snapshots --forgotten         what `undelete` can bring back
  dssvault -r /srv/vault snapshots --json | jq -r '.[-1].id'";

/// List snapshots, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// List forgotten snapshots instead, whose data is still there
    #[arg(long)]
    forgotten: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Lists.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let filter = args.filter.filter();
    let listing = if args.forgotten {
        browse::list_forgotten(&opened.repository, &filter)?
    } else {
        browse::list(&opened.repository, &filter)?
    };
    for (object, why) in &listing.unreadable {
        session.output.warn(&format!("{object} cannot be read: {}", text::printable(why.as_bytes())));
    }
    session.output.show(&SnapshotsView::new(&listing.snapshots, &listing.journal))?;
    Ok(Outcome::clean_if(listing.unreadable.is_empty()))
}
