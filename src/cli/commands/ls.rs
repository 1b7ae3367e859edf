//! `dssvault ls`.

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::snapshot::{self, FilterArgs, SnapshotPath};
use crate::cli::views::entry::{EntryView, LsHead, Names};
use crate::vault::{VaultError, browse};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault ls latest
  dssvault -r /srv/vault ls -l latest:/data/dss/config/projects
  dssvault -r /srv/vault ls latest~1 --node design-prod --json";

/// List the files of a snapshot, as full paths.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Id (its beginning is enough), `latest` or `latest~N`; `:PATH` lists only what is below
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = SnapshotPath::parser())]
    snapshot: SnapshotPath,
    /// Show kind, permissions, owner, size and time
    #[arg(long, short)]
    long: bool,
    /// Show numbers instead of owners' names
    #[arg(long, requires = "long")]
    numeric: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Lists.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let listed = snapshot::find(&opened.repository, &args.snapshot, args.filter)?;
    let reporter = session.problems_only();
    let context = opened.context(&reporter, &session.cancel);
    let output = &session.output;
    if output.is_json() {
        output.json_line(&LsHead::new(&listed))?;
    }
    let names = if args.numeric { Names::Numbers } else { Names::Names };
    let mut lines = output.lines();
    let walked =
        browse::walk(&opened.repository, &listed.manifest, args.snapshot.path(), context, &mut |path, entry| {
            let view = EntryView::new(path, entry);
            let line = if output.is_json() { view.json()? } else { view.line(args.long, names) };
            lines.push(&line).map_err(|why| VaultError::local("write to", "standard output", why))?;
            Ok(true)
        });
    lines.end(walked)?;
    Ok(Outcome::Clean)
}
