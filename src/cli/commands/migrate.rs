//! The part of `dssvault restore` that brings a node to another place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::commands::restore::chosen;
use crate::cli::database::{Databases, PutBackArgs};
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::snapshot::{self, FilterArgs, SnapshotPath};
use crate::cli::text::printable;
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
#[command(next_help_heading = HEADING)]
pub struct MigrateArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Take also the steps that need root or the internet, which else are only named
    #[arg(long, requires = "another_place")]
    all_steps: bool,
    /// Leave out a step, by the name `--dry-run` shows; may be given again
    #[arg(long, value_name = "NAME", requires = "another_place")]
    skip_step: Vec<String>,
}

const HEADING: &str = "Bringing a DSS node to another place, machine or newer version";

/// What makes a restore one to another place: each alone does. Nothing that belongs to another kind of restore goes
/// with them, for it would be passed over in silence.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = HEADING)]
#[group(id = "another_place", multiple = true, conflicts_with_all =
    ["target", "in_place", "undo", "forget_old", "stop", "delete", "overwrite", "owner", "owner_map"])]
struct PlaceArgs {
    /// Where it shall come to [default: where it was]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The kit it shall run on, of the same or a newer version [default: where it was]
    #[arg(long, value_name = "DIR")]
    install_dir: Option<PathBuf>,
    /// The first of its ten ports [default: as it was]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The account it shall run as [default: as it was]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The Python its built-in environment is made from
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Try a copy in this empty directory: other ports, another install id, no scenario active;
    /// it is started, asked, stopped, and stays to be looked at
    #[arg(long, value_name = "DIR", conflicts_with_all = ["start", "data_dir"])]
    drill: Option<PathBuf>,
}

impl MigrateArgs {
    /// Whether another place is meant than its own.
    pub fn is_given(&self) -> bool {
        let PlaceArgs { data_dir, install_dir, port, user, python, drill } = &self.place;
        let named = data_dir.is_some() || install_dir.is_some() || python.is_some() || drill.is_some();
        named || port.is_some() || user.is_some()
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
        let PlaceArgs { data_dir, install_dir, port, user, python, drill } = self.place;
        let options = MigrateOptions {
            drill: drill.is_some(),
            data_dir: drill.or(data_dir),
            install_dir,
            port,
            user,
            python,
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
            session.output.warn(&printable(warning.as_bytes()));
        }
        let view = MigrateView::new(listed.id, options.dry_run, report);
        session.output.show(&view)?;
        Ok(view.outcome())
    }
}
