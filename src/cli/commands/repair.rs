//! `dssvault repair`.

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::views::repair::{IndexView, PacksView, SnapshotsView};
use crate::vault::check::ReadData;
use crate::vault::repair::index::{self, Extent, IndexRepair};
use crate::vault::repair::packs::{self, PacksRepair};
use crate::vault::repair::snapshots;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault check --read-data           what is damaged?
  dssvault -r /srv/vault repair index --dry-run      what would be done
  dssvault -r /srv/vault repair index                1. list every pack again
  dssvault -r /srv/vault repair packs                2. salvage what can be read
  dssvault -r /srv/vault backup /data/dss            3. store again what is still there
  dssvault -r /srv/vault repair snapshots            4. mark what is lost

Nothing that can still be read is given up. What damage means and what to do, in order:
docs/check.md.";

const INDEX_EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault repair index --dry-run
  dssvault -r /srv/vault repair index
  dssvault -r /srv/vault repair index --all      make all of it anew from the packs";

const PACKS_EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault repair packs --dry-run
  dssvault -r /srv/vault repair packs                  read every pack
  dssvault -r /srv/vault repair packs 3f9a20c1         this one only";

const SNAPSHOTS_EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault repair snapshots --dry-run
  dssvault -r /srv/vault repair snapshots
  dssvault -r /srv/vault repair snapshots --read-data     look for damage first

Each snapshot that lacks something gets another in its place, in which damaged files
and directories are marked, and is forgotten (`undelete` brings it back). A marked file
is whole again as soon as a backup has stored what it lacks.";

/// Mend a damaged repository, as far as what is left allows.
///
/// Each part makes a plan, shows it, and carries it out; with --dry-run it stops after the plan.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, clap::Subcommand)]
enum Part {
    /// List packs again that no readable index segment lists
    #[command(after_help = INDEX_EXAMPLES)]
    Index(Index),
    /// Store again what can be read of damaged packs, and mark those
    #[command(after_help = PACKS_EXAMPLES)]
    Packs(Packs),
    /// Mark what is lost in the snapshots that need it
    #[command(after_help = SNAPSHOTS_EXAMPLES)]
    Snapshots(Snapshots),
}

#[derive(Debug, clap::Args)]
struct Index {
    /// Make the whole index anew from the packs' own tables
    #[arg(long)]
    all: bool,
    /// Show the plan and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Snapshots {
    /// Also read all stored data to find what is lost; without it, only packs that `repair packs` has marked
    #[arg(long)]
    read_data: bool,
    /// Show the plan and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Packs {
    /// Only these: beginnings of names, as `check` shows them
    #[arg(value_name = "PACK")]
    packs: Vec<String>,
    /// Show the plan and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Mends.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    match args.part {
        Part::Index(args) => run_index(&args, session),
        Part::Packs(args) => run_packs(&args, session),
        Part::Snapshots(args) => run_snapshots(&args, session),
    }
}

fn run_index(args: &Index, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let extent = if args.all { Extent::All } else { Extent::Damaged };
    let plan = index::plan(&opened.repository, extent, context)?;
    let repair = match args.dry_run {
        true => IndexRepair { plan, ..IndexRepair::default() },
        false => index::apply(&opened.repository, plan, context)?,
    };
    let whole = repair.plan.unreadable.is_empty() && repair.kept.is_empty();
    session.output.report(&IndexView::new(repair, args.dry_run))?;
    Ok(Outcome::clean_if(whole))
}

fn run_packs(args: &Packs, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let plan = packs::plan(&opened.repository, &args.packs, context)?;
    let repair = match args.dry_run {
        true => PacksRepair { plan, ..PacksRepair::default() },
        false => packs::apply(&opened.repository, plan, context)?,
    };
    let lost = repair.plan.damaged.iter().any(|pack| pack.chunks.lost > 0) || !repair.plan.missing.is_empty();
    session.output.report(&PacksView::new(repair, args.dry_run))?;
    Ok(Outcome::clean_if(!lost))
}

fn run_snapshots(args: &Snapshots, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let read = if args.read_data { ReadData::All } else { ReadData::None };
    let plan = match args.dry_run {
        true => snapshots::plan(&opened.repository, read, context)?,
        false => snapshots::apply(&opened.repository, read, context)?,
    };
    let whole = plan.damaged.is_empty() && plan.marked == 0 && plan.unreadable.is_empty();
    session.output.report(&SnapshotsView::new(plan, args.dry_run))?;
    Ok(Outcome::clean_if(whole))
}
