//! `dssvault dump`.

use std::io::{BufWriter, Write};

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::sink::{Sink, Trouble};
use crate::cli::snapshot::{self, FilterArgs, SnapshotPath};
use crate::vault::dump;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault dump latest:/data/dss/config/license.json
  dssvault -r /srv/vault dump latest:/data/dss/config | tar -tv
  dssvault -r /srv/vault dump latest:/runtime.sql | psql runtime
  dssvault -r /srv/vault dump latest:/ > everything.tar";

/// Write one file, or a directory as a tar archive, to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Id (its beginning is enough), `latest` or `latest~N`, and a path inside it
    #[arg(value_name = "SNAPSHOT:PATH", value_parser = SnapshotPath::parser())]
    snapshot: SnapshotPath,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Writes.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let listed = snapshot::find(&opened.repository, &args.snapshot, args.filter)?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let mut out = BufWriter::with_capacity(1 << 17, Sink::stdout());
    let written = dump::run(&opened.repository, &listed.manifest, args.snapshot.path(), context, &mut out);
    let flushed = out.flush();
    reporter.finish();
    // What went wrong with the output explains what the verb then said.
    match out.get_mut().trouble() {
        Some(Trouble::Binary) => Err(CliError::usage(
            format!("what was asked for of {} is not text, and standard output is a terminal", listed.id.short()),
            "send it to a file with `> FILE`, or through a pipe",
        )),
        Some(Trouble::Output(cause)) => Err(CliError::Output(cause)),
        None => {
            let left_out = written?;
            flushed?;
            Ok(Outcome::clean_if(left_out == 0))
        }
    }
}
