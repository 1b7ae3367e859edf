//! The part of `dssvault restore` that brings a node to another place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::commands::restore::chosen;
use crate::cli::database::{Databases, PutBackArgs};
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::snapshot::{self, FilterArgs, SnapshotPath};
use crate::cli::views::migrate::MigrateView;
use crate::dss::migrate::{self, MigrateOptions};
use crate::postgres::drill::{self, DrillOptions};
use crate::postgres::stored::Stored;

/// What the other options of `restore` say about it.
pub struct Wanted {
    /// Which snapshot.
    pub snapshot: SnapshotPath,
    /// Among which.
    pub filter: FilterArgs,
    /// Only the plan.
    pub dry_run: bool,
    /// Read everything back.
    pub verify: bool,
    /// Start it in the end.
    pub start: bool,
    /// How long it is waited for its health.
    pub health_limit: Duration,
    /// What becomes of its databases.
    pub databases: PutBackArgs,
}

/// How a DSS node is brought to another place.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Bringing a DSS node to another place, machine or newer version")]
pub struct MigrateArgs {
    /// Where it shall come to [default: where it was]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["target", "in_place", "undo", "forget_old", "stop"])]
    data_dir: Option<PathBuf>,
    /// The kit it shall run on, of the same or a newer version [default: where it was]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["target", "in_place", "undo", "forget_old", "stop"])]
    install_dir: Option<PathBuf>,
    /// The first of its ten ports [default: as it was]
    #[arg(long, value_name = "PORT", conflicts_with_all = ["target", "in_place", "undo", "forget_old", "stop"])]
    port: Option<u16>,
    /// The account it shall run as [default: as it was]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["target", "in_place", "undo", "forget_old", "stop"])]
    user: Option<String>,
    /// The Python its built-in environment is made from
    #[arg(long, value_name = "PATH", conflicts_with_all = ["target", "in_place", "undo", "forget_old", "stop"])]
    python: Option<PathBuf>,
    /// Try a copy in this empty directory: other ports, another install id, no scenario active;
    /// it is started, asked, stopped, and stays to be looked at
    #[arg(long, value_name = "DIR",
        conflicts_with_all = ["target", "in_place", "undo", "forget_old", "stop", "start", "data_dir"])]
    drill: Option<PathBuf>,
    /// Take also the steps that need root or the internet, which else are only named
    #[arg(long)]
    all_steps: bool,
    /// Leave out a step, by the name `--dry-run` shows; may be given again
    #[arg(long, value_name = "NAME")]
    skip_step: Vec<String>,
}

impl MigrateArgs {
    /// Whether another place is meant than its own.
    pub fn is_given(&self) -> bool {
        let Self { data_dir, install_dir, port, user, python, drill, all_steps, skip_step } = self;
        let named = data_dir.is_some() || install_dir.is_some() || python.is_some() || drill.is_some();
        named || port.is_some() || user.is_some() || *all_steps || !skip_step.is_empty()
    }

    /// Brings the node there.
    pub fn run(self, wanted: Wanted, session: &Session) -> Result<Outcome, CliError> {
        let databases = wanted.databases;
        if databases.databases == Some(Databases::Only) {
            return Err(CliError::usage(
                "`--databases only` puts no node anywhere",
                "leave the place of the node out, or say `--databases restore`",
            ));
        }
        let options = MigrateOptions {
            drill: self.drill.is_some(),
            data_dir: self.drill.or(self.data_dir),
            install_dir: self.install_dir,
            port: self.port,
            user: self.user,
            python: self.python,
            start: wanted.start,
            all_steps: self.all_steps,
            skip: self.skip_step,
            dry_run: wanted.dry_run,
            verify: wanted.verify,
            health_limit: wanted.health_limit,
            keep_databases: databases.databases == Some(Databases::Skip),
        };
        let opened = session.open()?;
        let listed = snapshot::find(&opened.repository, &wanted.snapshot, wanted.filter)?;
        let reporter = session.reporter();
        let context = opened.context(&reporter, &session.cancel);
        let stored = Stored { repository: &opened.repository, manifest: &listed.manifest, context };
        // Servers of a drill end with the drill.
        let (_servers, ready) = match &options.data_dir {
            Some(copy) if options.drill && databases.maps()?.is_empty() && !options.keep_databases => {
                let place = copy.ancestors().skip(1).find(|above| above.is_dir()).unwrap_or(Path::new("/")).to_owned();
                let drill = DrillOptions { clients: databases.options().clients, place };
                drill::for_copy(stored, &drill, &*opened.repository.seams.entropy)?
            }
            _ => (Vec::new(), chosen(&databases, stored, session)?),
        };
        let report = migrate::run(&opened.repository, listed.id, &listed.manifest, &options, &ready, context)?;
        reporter.finish();
        for warning in &report.plan.warnings {
            session.output.warn(warning);
        }
        let view = MigrateView::new(listed.id, options.dry_run, report);
        session.output.show(&view)?;
        Ok(view.outcome())
    }
}
