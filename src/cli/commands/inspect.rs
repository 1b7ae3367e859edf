//! `dssvault inspect`.

use std::path::PathBuf;

use crate::base::clock::SystemClock;
use crate::cli::classes::ClassArgs;
use crate::cli::dss_api::DssApiArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::text::printable;
use crate::cli::views::inspect::InspectView;
use crate::dss::datadir::host::Host;
use crate::dss::inspect::{self, InspectOptions};

const EXAMPLES: &str = "\
Examples:
  dssvault inspect /data/dss
  dssvault inspect /data/dss --no-sizes                    do not walk through all of it
  dssvault inspect /data/dss --exclude-class logs,temp     what would that leave out?
  dssvault inspect /mnt/old/data/dss --host-root /mnt/old  the disk of another machine
  dssvault inspect /data/dss --jobs                        what would a stop kill?
  dssvault inspect /data/dss --json | jq '.facts.databases'

Nothing is changed, started or stopped, and no repository is needed.";

/// Tell what a DSS data directory is, what belongs to it, and what each part weighs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The data directory: where DSS was installed to with `installer.sh -d`
    #[arg(value_name = "DATA_DIR")]
    data_dir: PathBuf,
    /// Weigh every entry (the default)
    #[arg(long, overrides_with = "no_sizes")]
    sizes: bool,
    /// Do not weigh anything: large directories take minutes
    #[arg(long, overrides_with = "sizes")]
    no_sizes: bool,
    #[command(flatten)]
    classes: ClassArgs,
    /// Show what leaving this out would save; a leading `/` is the data directory
    #[arg(long, short = 'e', value_name = "GLOB")]
    exclude: Vec<String>,
    /// Look for /etc, the kit and everything else outside below this directory
    #[arg(long, value_name = "DIR")]
    host_root: Option<PathBuf>,
    /// Tell also what is at work: jobs, scenarios, long tasks, notebooks
    #[arg(long)]
    jobs: bool,
    #[command(flatten)]
    api: DssApiArgs,
}

/// Looks.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let options = InspectOptions { wish: args.classes.wish(args.exclude), sizes: args.sizes || !args.no_sizes };
    let host = Host::new(args.host_root);
    // A key that cannot be used is told before anything is walked through.
    let inquiry = if args.jobs { Some(args.api.inquiry()?) } else { None };
    let mut report = inspect::run(&args.data_dir, &host, &options, &session.cancel)?;
    if let Some(inquiry) = &inquiry {
        report.add_work(inquiry, &SystemClock, &session.cancel)?;
    }
    for idle in report.inventory.iter().flat_map(|inventory| &inventory.idle) {
        let path = printable(report.facts.path.as_bytes());
        session.output.warn(&format!("the exclusion `{}` fits nothing in {path}", printable(idle.as_bytes())));
    }
    session.output.show(&InspectView::new(report))?;
    Ok(Outcome::Clean)
}
