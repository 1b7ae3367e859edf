//! `dssvault history`.

use std::ffi::OsString;

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::snapshot::{FilterArgs, inner_path};
use crate::cli::views::history::HistoryView;
use crate::vault::history;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault history /etc/hosts
  dssvault -r /srv/vault history /datadir/config/general-settings.json --node prod
  dssvault -r /srv/vault history /datadir/config/projects/CHURN --json

The path is the one `dssvault ls SNAPSHOT` shows. Of a directory it is told when
anything below it changed.";

/// Show when a file changed over the snapshots.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A file or directory, by its path in the snapshots
    #[arg(value_name = "PATH")]
    path: OsString,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Follows it.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let usage = |why| CliError::usage(why, "name a file or directory as `dssvault ls SNAPSHOT` shows it");
    let path = inner_path(&args.path).map_err(usage)?;
    if path.is_empty() {
        return Err(usage("the root of a snapshot has no history of its own".to_owned()));
    }
    let opened = session.open()?;
    let reporter = session.problems_only();
    let context = opened.context(&reporter, &session.cancel);
    let history = history::run(&opened.repository, &path, &args.filter.filter(), context)?;
    let view = HistoryView::new(&path, &history);
    for problem in view.problems() {
        session.output.warn(&problem);
    }
    session.output.show(&view)?;
    Ok(Outcome::clean_if(view.is_complete()))
}
