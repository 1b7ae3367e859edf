//! `dssvault parity`.

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::views::parity::{AddView, DropView, ListView};
use crate::vault::Context;
use crate::vault::parity::{self, AddOptions, Overhead, Which};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault parity add --overhead 5%
  dssvault -r /srv/vault parity list
  dssvault -r /srv/vault check --storage-only --repair      mends what is damaged
  dssvault -r /srv/vault parity drop --all                  frees the space again

No password is needed for any of them.";

const ADD_EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault parity add                    with 5 %, or as much as there is
  dssvault -r /srv/vault parity add --overhead 10%
  dssvault -r /srv/vault parity add --dry-run          what it would cost

Run it after each backup, or once a week: only packs that have no parity yet are read.
With 5 %, any two of about forty packs may be damaged or lost.

Exit status 1: a damaged pack was met; there is no parity over it.";

const LIST_EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault parity list
  dssvault -r /srv/vault parity list --json | jq .protected_packs";

const DROP_EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault parity drop 1a2b3c4d
  dssvault -r /srv/vault parity drop --all             no data is lost with it";

/// Add, list and drop parity: side objects from which damaged and missing packs come back.
///
/// Parity is made over packs as they are stored, at any time and without a password.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make parity over all packs that have none yet
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),
    /// List the groups of packs and what each can mend
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Remove parity
    #[command(after_help = DROP_EXAMPLES)]
    Drop(DropArgs),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// How much to store for what is protected: from 0.5% to 100%
    #[arg(long, value_name = "PERCENT", value_parser = overhead)]
    overhead: Option<Overhead>,
    /// Only say what would be made, and its size
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct DropArgs {
    /// Groups; the beginning of a name is enough
    #[arg(value_name = "GROUP", required_unless_present = "all")]
    groups: Vec<String>,
    /// All of it
    #[arg(long, conflicts_with = "groups")]
    all: bool,
}

/// Runs one of the three.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let store = session.location()?.existing_store()?;
    let folders = session.folder_roots()?.unprepared();
    let reporter = session.reporter();
    let context = Context { progress: &reporter, cancel: &session.cancel, folders: &folders };
    match args.action {
        Action::Add(args) => {
            let options = AddOptions { overhead: args.overhead, dry_run: args.dry_run };
            let report = parity::add(&*store, &options, context)?;
            let clean = report.skipped.is_empty();
            let view = AddView::new(report);
            if clean && !args.dry_run {
                session.output.report(&view)?
            } else {
                session.output.show(&view)?
            }
            Ok(Outcome::clean_if(clean))
        }
        Action::List => {
            session.output.show(&ListView::new(parity::list(&*store, context)?))?;
            Ok(Outcome::Clean)
        }
        Action::Drop(args) => {
            let which = if args.all { Which::All } else { Which::Named(args.groups) };
            session.output.report(&DropView::new(parity::drop_groups(&*store, &which, context)?))?;
            Ok(Outcome::Clean)
        }
    }
}

/// Reads `5%` or `0.5%`.
fn overhead(text: &str) -> Result<Overhead, String> {
    let bad = || format!("`{text}` is no overhead; write a percentage from 0.5% to 100%, like `5%`");
    let number = text.strip_suffix('%').ok_or_else(bad)?;
    let percent: f64 = number.trim().parse().map_err(|_| bad())?;
    if !(0.5..=100.0).contains(&percent) {
        return Err(bad());
    }
    Overhead::from_hundredths((percent * 100.0).round() as u16).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overhead_is_a_percentage_within_bounds() {
        let hundredths = |text| overhead(text).map(Overhead::hundredths);
        assert_eq!([hundredths("5%"), hundredths("0.5%"), hundredths("100%")], [Ok(500), Ok(50), Ok(10_000)]);
        for text in ["5", "", "%", "0%", "0.4%", "101%", "-5%", "NaN%", "inf%", "five%"] {
            assert!(overhead(text).is_err(), "{text}");
        }
    }
}
