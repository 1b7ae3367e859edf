//! `dssvault pin` and `dssvault unpin`.

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::retention::usual_zone;
use crate::cli::session::Session;
use crate::cli::snapshot::FilterArgs;
use crate::cli::views::pin::{IdsView, PinnedView};
use crate::vault::{browse, pins};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault pin 1a2b3c4d --reason 'state before the merger'
  dssvault -r /srv/vault pin latest --node prod --reason 'case 4711' --until 2036-12-31

`dssvault snapshots` shows pins and their reasons.";

const UNPIN_EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault unpin 1a2b3c4d";

/// Keep a snapshot, whatever any policy says.
///
/// A pinned snapshot is not forgotten until it is unpinned, or the pin has ended.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Beginning of an id, `latest` or `latest~N`
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,
    /// Why it must be kept
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only until the end of this day, or until this day and time, in the repository's time zone [default: for ever]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Take the pin off a snapshot.
#[derive(Debug, clap::Args)]
#[command(after_help = UNPIN_EXAMPLES)]
pub struct UnpinArgs {
    /// Ids of pinned snapshots; their beginnings are enough
    #[arg(value_name = "SNAPSHOT", required = true)]
    snapshots: Vec<String>,
}

/// Pins.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let zone = usual_zone(&opened.repository)?.unwrap_or_default();
    let end = |text: &String| zone.end_of(text).map_err(|error| CliError::usage(error.to_string(), "see `--help`"));
    let until = args.until.as_ref().map(end).transpose()?;
    let id = browse::find(&opened.repository, &args.snapshot, &args.filter.filter())?.id;
    pins::pin(&opened.repository, id, &args.reason, until)?;
    session.output.report(&PinnedView::new(id, args.reason, until))?;
    Ok(Outcome::Clean)
}

/// Unpins.
pub fn run_unpin(args: UnpinArgs, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let ids = pins::unpin(&opened.repository, &args.snapshots)?;
    session.output.report(&IdsView::unpinned(ids))?;
    Ok(Outcome::Clean)
}
