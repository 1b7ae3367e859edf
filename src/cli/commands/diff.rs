//! `dssvault diff`.

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::snapshot::{self, FilterArgs, SnapshotPath};
use crate::cli::views::diff::{ChangeView, StatisticsView};
use crate::dss::backup::DATADIR;
use crate::dss::objects::{Fate, ObjectTally};
use crate::vault::VaultError;
use crate::vault::browse::Listed;
use crate::vault::diff::{self, Change, Difference, Side};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault diff latest~1 latest --node design-prod
  dssvault -r /srv/vault diff 1a2b3c4d:/datadir/config latest:/datadir/config
  dssvault -r /srv/vault diff latest~7 latest --metadata --json

Each line has a letter: + added, - removed, M content changed, U mode, owner or
attributes changed (with --metadata also times), T another type.";

/// Show what differs between two snapshots.
///
/// For snapshots of a DSS node the summary also counts, by project, the recipes, datasets, models, notebooks and so on
/// that came, went or changed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The first snapshot; `:PATH` compares only what is there or below
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = SnapshotPath::parser())]
    before: SnapshotPath,
    /// The second snapshot
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = SnapshotPath::parser())]
    after: SnapshotPath,
    /// Show entries too of which only the time differs
    #[arg(long)]
    metadata: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Compares.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let opened = session.open()?;
    let before = snapshot::find(&opened.repository, &args.before, args.filter.clone())?;
    let after = snapshot::find(&opened.repository, &args.after, args.filter)?;
    let reporter = session.problems_only();
    let context = opened.context(&reporter, &session.cancel);
    let sides = (
        Side { manifest: &before.manifest, path: args.before.path() },
        Side { manifest: &after.manifest, path: args.after.path() },
    );
    let is_node = |listed: &Listed| listed.manifest.dss.is_some();
    let mut objects = (is_node(&before) && is_node(&after)).then(ObjectTally::default);
    let output = &session.output;
    let mut lines = output.lines();
    let mut compared = None;
    let walked = diff::run(&opened.repository, sides.0, sides.1, context, &mut |path, change| {
        if let Some(objects) = &mut objects {
            let side = if matches!(change, Change::Removed(_)) { &sides.0 } else { &sides.1 };
            note(objects, side.path, path, &change);
        }
        if !args.metadata && only_times(&change) {
            return Ok(());
        }
        let shown = if matches!(change, Change::Removed(_)) { args.before.path() } else { args.after.path() };
        let view = ChangeView::new(shown, path, &change);
        let line = if output.is_json() { view.json()? } else { view.line() };
        lines.push(&line).map_err(|why| VaultError::local("write to", "standard output", why))
    });
    lines.end(walked.map(|counted| compared = Some(counted)))?;
    let objects = objects.map(ObjectTally::finish);
    let (tally, unreadable) = compared.unwrap_or_default();
    session.output.show(&StatisticsView::new(before.id, after.id, tally, objects))?;
    Ok(Outcome::clean_if(unreadable == 0))
}

fn only_times(change: &Change<'_>) -> bool {
    matches!(change, Change::Changed { difference, .. } if difference.is_only_times())
}

/// Counts a change for the object it belongs to. What has only another time is the same object still.
fn note(objects: &mut ObjectTally, narrowed: &[u8], path: &[u8], change: &Change<'_>) {
    let fate = match change {
        Change::Added(_) => Fate::Added,
        Change::Removed(_) => Fate::Removed,
        Change::Changed { difference: Difference { kind, content, .. }, .. } if *kind || *content => Fate::Changed,
        Change::Changed { .. } => return,
    };
    let whole = match (narrowed.is_empty(), path.is_empty()) {
        (true, _) => path.to_vec(),
        (false, true) => narrowed.to_vec(),
        (false, false) => [narrowed, b"/", path].concat(),
    };
    if let Some(inside) = whole.strip_prefix(DATADIR.as_bytes()).and_then(|rest| rest.strip_prefix(b"/")) {
        objects.count(inside, fate);
    }
}
