//! `dssvault forget`.

use crate::base::clock::CalendarSpan;
use crate::cli::commands;
use crate::cli::commands::prune::SpaceArgs;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::retention::{GuardArgs, PolicyArgs, usual_zone};
use crate::cli::session::Session;
use crate::cli::snapshot::FilterArgs;
use crate::cli::text;
use crate::cli::views::forget::ForgetView;
use crate::cli::views::simulation::SimulationView;
use crate::vault::forget::{self, Survey};
use crate::vault::prune::{self, PruneOptions};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault forget --policy long --dry-run        what would go, and why
  dssvault -r /srv/vault forget --policy long --prune          once a day or week
  dssvault -r /srv/vault forget --keep-daily 14 --keep-weekly 8 --keep-tag release
  dssvault -r /srv/vault forget --policy dataiku --simulate 400d
  dssvault -r /srv/vault forget 1a2b3c4d                       this one
  dssvault -r /srv/vault undelete 1a2b3c4d                     it was the wrong one

Forgotten snapshots are no longer shown or restored; their data stays for a week. Space
is freed by `prune`, or here by --prune. The rules: docs/retention.md and docs/prune.md.";

/// Take snapshots out of the history, by policy or by name.
///
/// Each node is judged for itself. The newest snapshot of each period is kept; every decision is explained. Nothing
/// is deleted: `undelete` brings forgotten snapshots back.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Forget these and no others: beginnings of ids, `latest`, `latest~N`
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<String>,
    /// Tell what would be forgotten, and forget nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Draw what would be kept over this time if backups go on as they do; forget nothing
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["snapshots", "dry_run"])]
    simulate: Option<CalendarSpan>,
    /// Free space afterwards, as `prune` does
    #[arg(long, conflicts_with = "simulate")]
    prune: bool,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    guards: GuardArgs,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    space: SpaceArgs,
}

/// Forgets, or tells what would be.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    match (args.snapshots.is_empty(), args.policy.policy().is_empty()) {
        (true, true) => {
            return Err(CliError::usage(
                "neither a policy nor a snapshot was named, so nothing is forgotten",
                "say what is kept (`--policy long`, `--keep-daily 7`), or name snapshots",
            ));
        }
        (false, false) => {
            return Err(CliError::usage(
                "both a policy and snapshots were named",
                "name snapshots to forget these alone, or say what is kept",
            ));
        }
        _ => {}
    }
    if args.space.is_given() && !args.prune {
        return Err(CliError::usage(
            "options that say what is freed were given, and nothing is to be freed",
            "add `--prune`, or give them to `dssvault prune`: `forget` itself remembers none of them",
        ));
    }
    if args.simulate.is_some() && !args.policy.groups_by_node() {
        return Err(CliError::usage(
            "`--simulate` draws each node for itself, and `--group-by` lets nodes compete with each other",
            "look at one run with `--dry-run`",
        ));
    }
    let opened = session.open()?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let (repository, filter) = (&opened.repository, args.filter.filter());
    let usual = usual_zone(repository)?;
    let terms = args.policy.terms(args.guards.guards(), usual.as_ref());
    if let Some(span) = args.simulate {
        let (drawn, survey) = forget::simulate(repository, &filter, &terms, span)?;
        session.output.show(&SimulationView::new(&drawn, &survey, &terms))?;
        return Ok(warn(&survey, session));
    }
    let report = if args.snapshots.is_empty() {
        forget::by_policy(repository, &filter, &terms, args.dry_run, context)?
    } else {
        forget::named(repository, &args.snapshots, &filter, &terms.guards, args.dry_run, context)?
    };
    let outcome = warn(&report.survey, session);
    session.output.report(&ForgetView::new(&report, &terms, args.dry_run, args.space.options(false).undo_window))?;
    if let Some(breach) = report.breach {
        return Err(forget::refusal(breach).into());
    }
    if !args.prune {
        return Ok(outcome);
    }
    let dropped = report.judged.iter().filter(|judged| !judged.is_kept()).map(|judged| judged.id);
    let options = PruneOptions { as_forgotten: dropped.collect(), ..args.space.options(args.dry_run) };
    let pruned = prune::run(repository, &options, context)?;
    let shown = commands::prune::show(&pruned, args.dry_run, session)?;
    Ok(if outcome == Outcome::Clean { shown } else { outcome })
}

/// Tells what could not be read, and therefore was not judged.
fn warn(survey: &Survey, session: &Session) -> Outcome {
    for (object, why) in &survey.unreadable {
        session.output.warn(&format!("{object} cannot be read and is left alone: {}", text::printable(why.as_bytes())));
    }
    Outcome::clean_if(survey.unreadable.is_empty())
}
