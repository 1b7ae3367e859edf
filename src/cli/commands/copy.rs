//! `dssvault copy`.

use std::ffi::OsString;

use crate::cli::environment;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::second::ToArgs;
use crate::cli::session::Session;
use crate::cli::snapshot::FilterArgs;
use crate::cli::views::copy::{CopiedView, CopyView};
use crate::vault::copy::{self, CopyOptions, End};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /mnt/offsite init --like /srv/vault
      once: a second repository with its own keys that is filled with the least work
  dssvault -r /srv/vault copy --to /mnt/offsite --to-password-file /root/offsite.pw
      every snapshot that is not there yet
  dssvault -r /srv/vault copy --to /mnt/offsite latest --node design-prod
  dssvault -r /srv/vault copy --to /mnt/offsite --tag monthly --dry-run
  dssvault -r /srv/vault copy --to /mnt/offsite --force
      after `repair packs` of the other one: brings what it has lost";

/// Copy snapshots into a second repository.
///
/// Everything is opened here and sealed anew with the keys of the other repository; this one is only read. Snapshots
/// that are there already are passed over, and what was copied before a run was stopped is not copied again. Pins do
/// not travel, and forgotten snapshots only if they are named.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Id (its beginning is enough), `latest` or `latest~N`; none: all
    #[arg(value_name = "SNAPSHOT")]
    named: Vec<String>,
    /// The same as an option; several with commas
    #[arg(long, value_name = "SNAPSHOT", value_delimiter = ',')]
    snapshots: Vec<String>,
    /// The repository to copy to
    #[arg(long, value_name = "LOCATION", env = environment::TO_REPO, hide_env_values = true)]
    to: OsString,
    /// Store nothing; tell which snapshots would be copied
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Go through snapshots that are there already, too, and store again what the other repository has lost of them
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    password: ToArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Copies.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let source = session.open()?;
    let target = args.password.open(args.to, session)?;
    let reporter = session.reporter();
    let snapshots = args.named.into_iter().chain(args.snapshots).collect();
    let options = CopyOptions { snapshots, filter: args.filter.filter(), dry_run: args.dry_run, force: args.force };
    let ends = [&source, &target]
        .map(|end| End { repository: &end.repository, context: end.context(&reporter, &session.cancel) });
    let output = session.output;
    let mut unwritten = None;
    let report = copy::run(ends[0], ends[1], &options, &mut |copied| {
        // Only JSON tells of each at once; the text comes at the end, whole.
        if output.is_json()
            && let Err(error) = output.json_line(&CopiedView::new(copied))
        {
            unwritten.get_or_insert(error);
        }
    });
    drop(reporter);
    let view = CopyView::new(report?);
    if let Some(error) = unwritten {
        return Err(error);
    }
    for failure in view.failures() {
        session.output.warn(&failure);
    }
    session.output.report(&view)?;
    Ok(Outcome::clean_if(view.is_complete()))
}
