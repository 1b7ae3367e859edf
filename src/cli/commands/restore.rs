//! `dssvault restore`.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::commands::migrate::{MigrateArgs, Wanted};
use crate::cli::database::{Databases, PutBackArgs};
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::lists;
use crate::cli::prompt;
use crate::cli::session::Session;
use crate::cli::snapshot::{self, FilterArgs, SnapshotPath};
use crate::cli::text;
use crate::cli::views::databases::DatabasesView;
use crate::cli::views::note::NoteView;
use crate::cli::views::pristine::PristineView;
use crate::cli::views::restore::RestoreView;
use crate::dss::backup::DATADIR;
use crate::dss::datadir::classes::Class;
use crate::dss::datadir::selection::Selection;
use crate::dss::restore::{self as pristine, PristineOptions};
use crate::postgres::restore::{Ready, ready_all};
use crate::postgres::stored::Stored;
use crate::vault::restore::{self, Overwrite, OwnerMode, RestoreOptions};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault restore latest --target /tmp/back
  dssvault -r /srv/vault restore latest:/data/dss/config --target /tmp/config
  dssvault -r /srv/vault restore latest~3 -t /tmp/back --include '*.json' --verify
  dssvault -r /srv/vault restore 1a2b3c4d -t / --dry-run
  dssvault -r /srv/vault restore latest -t /srv/copy --delete --owner current

  dssvault -r /srv/vault restore latest --stop --start   a DSS node, to its own place
  dssvault -r /srv/vault restore latest --project SALES --target /var/tmp/sales
  dssvault restore latest --data-dir /data2/dss --install-dir /opt/dss-14.3 --dry-run
  dssvault restore latest --stop --start --databases restore --clean-database
  dssvault restore latest --databases only --database-map gov=gov_copy --create-database
  dssvault restore latest --drill /scratch/drill         try a copy beside production

Files of /data/dss come back as TARGET/data/dss/...; with SNAPSHOT:PATH the content of
PATH lands directly in TARGET. Exit status 1: something could not be brought back.";

/// Whose files they become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OwnerChoice {
    /// Names where they exist here, numbers otherwise
    Names,
    /// Numbers as they were
    Numeric,
    /// The account that runs the restore
    Current,
}

/// What to do with files that are already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OverwriteChoice {
    /// Compare content and rewrite only what differs
    Always,
    /// Trust size and time; rewrite where they differ
    IfChanged,
    /// Leave existing files alone
    Never,
}

/// Bring a snapshot, or a part of it, back beneath a directory.
///
/// An existing tree is brought to the snapshot's state by rewriting only what differs. Nothing outside the target
/// is ever touched, and files the snapshot does not have stay unless `--delete` is given.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Id (its beginning is enough), `latest` or `latest~N`; `:PATH` brings back only that
    #[arg(value_name = "SNAPSHOT[:PATH]", value_parser = SnapshotPath::parser())]
    snapshot: SnapshotPath,
    /// The directory everything is made beneath; created if missing. Without it a DSS node is
    /// brought back to its own place
    #[arg(long, short, value_name = "DIR")]
    target: Option<PathBuf>,
    /// Bring back only what matches; may be given again
    #[arg(long, short = 'i', value_name = "GLOB")]
    include: Vec<String>,
    /// Leave out what matches; may be given again
    #[arg(long, short = 'e', value_name = "GLOB")]
    exclude: Vec<String>,
    /// Change nothing; tell what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// What to do with files that are already there
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = OverwriteChoice::Always, requires = "target")]
    overwrite: OverwriteChoice,
    /// Remove what the snapshot does not have, in directories it has
    #[arg(long, requires = "target")]
    delete: bool,
    /// Read everything back afterwards and compare its hash
    #[arg(long)]
    verify: bool,
    /// Whose files they become
    #[arg(long, value_name = "MODE", value_enum, default_value_t = OwnerChoice::Names, requires = "target")]
    owner: OwnerChoice,
    /// Exceptions to --owner: lines of `user:OLD:NEW` and `group:OLD:NEW`
    #[arg(long, value_name = "FILE")]
    owner_map: Option<PathBuf>,
    #[command(flatten)]
    node: PristineArgs,
    #[command(flatten)]
    part: PartArgs,
    #[command(flatten)]
    migrate: MigrateArgs,
    #[command(flatten)]
    databases: PutBackArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

/// What of a DSS node is brought back, beneath a target.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Parts of a DSS node (with --target)")]
struct PartArgs {
    /// Only what belongs to this project: configuration, data, models, notebooks, timeline
    #[arg(long, value_name = "KEY", requires = "target", conflicts_with = "include")]
    project: Option<String>,
    /// Only these classes: essential, data, logs, ignorable, temp
    #[arg(long = "class", value_name = "CLASS", value_delimiter = ',', value_parser = class, requires = "target",
        conflicts_with_all = ["include", "project"])]
    classes: Vec<Class>,
}

fn class(word: &str) -> Result<Class, String> {
    let found = Class::ALL.into_iter().find(|class| class.word() == word);
    found.ok_or_else(|| format!("`{word}` is not one of essential, data, logs, ignorable, temp"))
}

/// How a DSS node is brought back to its own place.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Bringing a DSS node back to its own place (without --target)")]
struct PristineArgs {
    /// Stop the node if it runs
    #[arg(long, conflicts_with = "target")]
    stop: bool,
    /// Start the node afterwards and wait until it answers
    #[arg(long, conflicts_with = "target")]
    start: bool,
    /// How long to wait until it answers after its start
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = text::span)]
    health_timeout: Duration,
    /// Rewrite what differs in the directory itself: needs no room for a second copy, cannot be undone
    #[arg(long, conflicts_with = "target")]
    in_place: bool,
    /// Put back the directory a restore of this snapshot replaced
    #[arg(long, conflicts_with_all = ["target", "in_place", "start", "stop"])]
    undo: bool,
    /// Remove the directory a restore of this snapshot replaced
    #[arg(long, conflicts_with_all = ["target", "in_place", "start", "stop", "undo"])]
    forget_old: bool,
}

impl Args {
    fn options(&self, target: &std::path::Path) -> Result<RestoreOptions, CliError> {
        let owner_map = match &self.owner_map {
            Some(file) => lists::owner_map(file)?,
            None => Vec::new(),
        };
        Ok(RestoreOptions {
            target: target.to_owned(),
            target_is_subpath: false,
            subpath: self.snapshot.path.clone(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            dry_run: self.dry_run,
            overwrite: match self.overwrite {
                OverwriteChoice::Always => Overwrite::Always,
                OverwriteChoice::IfChanged => Overwrite::IfChanged,
                OverwriteChoice::Never => Overwrite::Never,
            },
            delete: self.delete,
            verify: self.verify,
            owner: match self.owner {
                OwnerChoice::Names => OwnerMode::Names,
                OwnerChoice::Numeric => OwnerMode::Numeric,
                OwnerChoice::Current => OwnerMode::Current,
            },
            owner_map,
        })
    }
}

fn refuse_parts(args: &Args) -> Result<(), CliError> {
    if args.snapshot.path.is_some() || !args.include.is_empty() || !args.exclude.is_empty() || args.owner_map.is_some()
    {
        return Err(CliError::usage(
            "a part of a snapshot needs a place to be restored to",
            "name one with `--target DIR`",
        ));
    }
    Ok(())
}

/// Looks at where the databases go: what must fail fails before anything is touched.
fn databases_ready<'a>(args: &PutBackArgs, stored: Stored<'a>) -> Result<Vec<Ready<'a>>, CliError> {
    let given = args.password()?;
    // That of the snapshot also for another server: the node keeps it, and will log in there with it.
    let password = |record: &_| given.clone().or_else(|| pristine::stored_password(stored, record));
    let ready = ready_all(stored, &args.maps()?, &password, &args.options())?;
    // Its driver is one of Java, which knows no sockets.
    match ready.iter().find(|one| one.kind().is_some() && one.is_moved() && !one.seen_at().0.is_far()) {
        Some(one) => Err(CliError::usage(
            format!("DSS cannot reach a database by a socket: {}", one.seen_at().0.label()),
            "name a host and a port in `--database-map`",
        )),
        None => Ok(ready),
    }
}

/// The databases that are to be put back with a node.
pub fn chosen<'a>(args: &PutBackArgs, stored: Stored<'a>, session: &Session) -> Result<Vec<Ready<'a>>, CliError> {
    let may_ask = prompt::is_possible() && !session.global.json;
    match args.choice(stored.records().len(), true, may_ask)? {
        Databases::Skip => Ok(Vec::new()),
        Databases::Restore | Databases::Only => {
            let ready = databases_ready(args, stored)?;
            caution(&ready, session);
            Ok(ready)
        }
    }
}

/// Shows what should be known of the databases.
fn caution(ready: &[Ready<'_>], session: &Session) {
    ready.iter().flat_map(|one| &one.warnings).for_each(|warning| session.output.warn(warning));
}

fn run_pristine(args: Args, session: &Session) -> Result<Outcome, CliError> {
    refuse_parts(&args)?;
    let program = std::env::current_exe().map_err(|source| CliError::File {
        action: "find",
        what: "this program".to_owned(),
        source,
    })?;
    let opened = session.open()?;
    let listed = snapshot::find(&opened.repository, &args.snapshot, args.filter)?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    if args.node.undo {
        let undone = pristine::undo(&listed.manifest, listed.id, context)?;
        let started = if undone.started { "; the node, which that had stopped, was started" } else { "" };
        let note = format!("{} is what it was before the restore{started}", undone.data_dir.display());
        session.output.report(&NoteView::new(note))?;
        return Ok(Outcome::Clean);
    }
    if args.node.forget_old {
        let removed = pristine::forget_old(&listed.manifest, listed.id, context)?;
        session.output.report(&NoteView::new(format!("{} is removed", removed.display())))?;
        return Ok(Outcome::Clean);
    }
    let stored = Stored { repository: &opened.repository, manifest: &listed.manifest, context };
    let choice = args.databases.choice(
        stored.records().len(),
        listed.manifest.dss.is_some(),
        prompt::is_possible() && !session.global.json,
    )?;
    // A snapshot of nothing but databases has no files to put back.
    let is_node = listed.manifest.dss.is_some();
    let choice = if is_node || choice == Databases::Skip { choice } else { Databases::Only };
    let ready = if choice == Databases::Skip { Vec::new() } else { databases_ready(&args.databases, stored)? };
    if choice == Databases::Only {
        let mut restored = Vec::new();
        if !args.dry_run {
            for one in &ready {
                restored.push(one.restore()?);
            }
        }
        reporter.finish();
        session.output.show(&DatabasesView::new(listed.id, &ready, restored, args.dry_run))?;
        return Ok(Outcome::Clean);
    }
    caution(&ready, session);
    let options = PristineOptions {
        dry_run: args.dry_run,
        stop: args.node.stop,
        start: args.node.start,
        in_place: args.node.in_place,
        verify: args.verify,
        health_limit: args.node.health_timeout,
        program,
    };
    let report = pristine::run(&opened.repository, listed.id, &listed.manifest, &options, &ready, context)?;
    reporter.finish();
    let view = PristineView::new(listed.id, options.dry_run, report);
    session.output.show(&view)?;
    Ok(view.outcome())
}

/// Narrows a restore to what was selected of a data directory.
fn select(options: &mut RestoreOptions, selection: &Selection) {
    options.subpath = Some(DATADIR.as_bytes().to_vec());
    options.include.clone_from(&selection.include);
    options.exclude.splice(0..0, selection.exclude.iter().cloned());
}

/// Restores.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    if args.migrate.is_given() {
        refuse_parts(&args)?;
        let Args { snapshot, filter, migrate, node, dry_run, verify, databases, .. } = args;
        let (start, health_limit) = (node.start, node.health_timeout);
        let wanted = Wanted { snapshot, filter, dry_run, verify, start, health_limit, databases };
        return migrate.run(wanted, session);
    }
    let Some(target) = &args.target else { return run_pristine(args, session) };
    let mut options = args.options(target)?;
    let part = args.part;
    if args.snapshot.path.is_some() && (part.project.is_some() || !part.classes.is_empty()) {
        return Err(CliError::usage(
            "a path and a part of a node were both named",
            "leave `:PATH` out with `--project` and `--class`",
        ));
    }
    let opened = session.open()?;
    let listed = snapshot::find(&opened.repository, &args.snapshot, args.filter)?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let project = match &part.project {
        Some(key) => Some(pristine::project(&opened.repository, &listed.manifest, key, context)?),
        None => None,
    };
    if let Some(project) = &project {
        select(&mut options, &project.selection);
    } else if !part.classes.is_empty() {
        select(&mut options, &pristine::classes(&opened.repository, &listed.manifest, &part.classes, context)?);
    }
    let report = restore::run(&opened.repository, listed.id, &listed.manifest, &options, context)?;
    reporter.finish();
    let view = RestoreView::new(listed.id, &options, report).of_project(project);
    if view.is_whole() {
        session.output.report(&view)?
    } else {
        session.output.show(&view)?
    }
    Ok(Outcome::clean_if(view.is_whole()))
}
