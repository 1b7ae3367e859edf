//! `dssvault find`.

use std::io;

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::output::Lines;
use crate::cli::session::Session;
use crate::cli::snapshot::FilterArgs;
use crate::cli::views::entry::{EntryView, LsHead, Names};
use crate::cli::views::find::{FindView, heading};
use crate::repo::tree::Entry;
use crate::vault::VaultError;
use crate::vault::browse::Listed;
use crate::vault::find::{self, FindOptions, Finder};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault find compute_churn.json
  dssvault -r /srv/vault find '*.ipynb' --node design-prod -l
  dssvault -r /srv/vault find '/datadir/config/projects/*/recipes/' --snapshot latest
  dssvault -r /srv/vault find '/data/**/core' --json

A pattern without a slash fits a name at any depth, one that begins with a slash a whole
path; `*` stops at a slash, `**` does not; a slash at the end asks for directories.";

/// Look for files in all snapshots.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What the names are like
    #[arg(value_name = "PATTERN", required = true)]
    patterns: Vec<String>,
    /// Look only into these snapshots: ids (their beginnings are enough), `latest` or `latest~N`
    #[arg(long, short, value_name = "SNAPSHOT", value_delimiter = ',')]
    snapshot: Vec<String>,
    /// Show kind, permissions, owner, size and time
    #[arg(long, short)]
    long: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Looks.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let reporter = session.problems_only();
    let context = opened.context(&reporter, &session.cancel);
    let options = FindOptions { patterns: args.patterns, filter: args.filter.filter(), snapshots: args.snapshot };
    let output = &session.output;
    let mut printer = Printer { lines: output.lines(), json: output.is_json(), long: args.long, first: true };
    let mut report = None;
    let found = find::run(&opened.repository, &options, context, &mut printer);
    printer.lines.end(found.map(|found| report = Some(found)))?;
    let view = FindView::new(report.unwrap_or_default());
    for problem in view.problems() {
        output.warn(&problem);
    }
    output.report(&view)?;
    Ok(Outcome::clean_if(view.is_complete()))
}

/// Prints matches below the snapshot they are in.
struct Printer {
    lines: Lines,
    json: bool,
    long: bool,
    first: bool,
}

impl Printer {
    fn push(&mut self, line: &str) -> Result<(), VaultError> {
        self.lines.push(line).map_err(|why| VaultError::local("write to", "standard output", why))
    }
}

impl Finder for Printer {
    fn snapshot(&mut self, listed: &Listed) -> Result<(), VaultError> {
        if self.json {
            let head = serde_json::to_string(&LsHead::new(listed)).map_err(io::Error::other);
            return self.push(&head.map_err(|why| VaultError::local("write to", "standard output", why))?);
        }
        if !std::mem::take(&mut self.first) {
            self.push("")?;
        }
        self.push(&heading(listed))
    }

    fn found(&mut self, path: &[u8], entry: &Entry) -> Result<(), VaultError> {
        let view = EntryView::new(path, entry);
        let line = if self.json { view.json()? } else { view.line(self.long, Names::Names) };
        self.push(&line)
    }
}
