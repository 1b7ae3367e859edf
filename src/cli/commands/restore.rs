//! `dssvault restore`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::lists;
use crate::cli::session::Session;
use crate::cli::snapshot::{self, FilterArgs, SnapshotPath};
use crate::cli::views::restore::RestoreView;
use crate::vault::restore::{self, Overwrite, OwnerMode, RestoreOptions};

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault restore latest --target /tmp/back
  dssvault -r /srv/vault restore latest:/data/dss/config --target /tmp/config
  dssvault -r /srv/vault restore latest~3 -t /tmp/back --include '*.json' --verify
  dssvault -r /srv/vault restore 1a2b3c4d -t / --dry-run
  dssvault -r /srv/vault restore latest -t /srv/copy --delete --owner current

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
    /// The directory everything is made beneath; created if missing
    #[arg(long, short, value_name = "DIR")]
    target: PathBuf,
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
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = OverwriteChoice::Always)]
    overwrite: OverwriteChoice,
    /// Remove what the snapshot does not have, in directories it has
    #[arg(long)]
    delete: bool,
    /// Read everything back afterwards and compare its hash
    #[arg(long)]
    verify: bool,
    /// Whose files they become
    #[arg(long, value_name = "MODE", value_enum, default_value_t = OwnerChoice::Names)]
    owner: OwnerChoice,
    /// Exceptions to --owner: lines of `user:OLD:NEW` and `group:OLD:NEW`
    #[arg(long, value_name = "FILE")]
    owner_map: Option<PathBuf>,
    #[command(flatten)]
    filter: FilterArgs,
}

impl Args {
    fn options(&self) -> Result<RestoreOptions, CliError> {
        let owner_map = match &self.owner_map {
            Some(file) => lists::owner_map(file)?,
            None => Vec::new(),
        };
        Ok(RestoreOptions {
            target: self.target.clone(),
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

/// Restores.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let options = args.options()?;
    let opened = session.open()?;
    let listed = snapshot::find(&opened.repository, &args.snapshot, args.filter)?;
    let reporter = session.reporter();
    let context = opened.context(&reporter, &session.cancel);
    let report = restore::run(&opened.repository, listed.id, &listed.manifest, &options, context)?;
    reporter.finish();
    let view = RestoreView::new(listed.id, &options, report);
    if view.is_whole() {
        session.output.report(&view)?
    } else {
        session.output.show(&view)?
    }
    Ok(Outcome::clean_if(view.is_whole()))
}
