//! `dssvault drill-database`.

use std::path::PathBuf;

use crate::cli::database::AccessArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::snapshot::{self, FilterArgs, SnapshotPath};
use crate::cli::views::drill::DrillView;
use crate::postgres::drill::{self, DrillOptions};
use crate::postgres::stored::Stored;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault drill-database latest
  dssvault -r /srv/vault drill-database latest --name runtime --scratch /scratch

It needs the server programs of PostgreSQL (initdb, postgres) of the dump's version or a
newer one, and room for the database. No other server is ever connected to.";

/// Try the database dumps of a snapshot in a throw-away server, and count the rows of each table.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Id (its beginning is enough), `latest` or `latest~N`
    #[arg(value_name = "SNAPSHOT", value_parser = SnapshotPath::parser())]
    snapshot: SnapshotPath,
    /// Only this dump [default: all of the snapshot]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where the throw-away server lies [default: the folder of temporary files]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Tries them.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let listed = snapshot::find(&opened.repository, &args.snapshot, args.filter)?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let stored = Stored { repository: &opened.repository, manifest: &listed.manifest, context };
    let place = args.scratch.unwrap_or_else(std::env::temp_dir);
    let options = DrillOptions { clients: args.access.folder(), place };
    let drilled = drill::run(stored, args.name.as_deref(), &options)?;
    reporter.finish();
    session.output.show(&DrillView::new(listed.id, drilled))?;
    Ok(Outcome::Clean)
}
