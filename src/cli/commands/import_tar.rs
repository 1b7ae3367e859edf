//! `dssvault import-tar`.

use std::path::PathBuf;

use crate::base::clock::Zone;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::views::import::ImportView;
use crate::dss::import::{self, ImportOptions, TimeFrom};
use crate::vault::backup::BackupOptions;

const EXAMPLES: &str = "\
Examples:
  dssvault -r /srv/vault import-tar /backups/backup-dss-data-*.tar.gz
  dssvault -r /srv/vault import-tar -n /backups/*.tar.gz        only tell what they are
  dssvault -r /srv/vault import-tar --timezone Europe/Paris --tag cron /backups/*.tar.gz
  dssvault -r /srv/vault import-tar --time '2025-03-01 02:30:00' old.tar

Each archive becomes a snapshot with the date in its name, oldest first. Plain, gzip and
zstd archives are told apart by their content. Nothing is unpacked to a disk. A damaged
archive becomes no snapshot; those before it stay, and the run ends there.

Exit status 3: snapshots were written, but some members could not be taken over.";

/// Turn archives of the documented cron script into snapshots with their own dates.
///
/// An archive of a DSS data directory becomes a snapshot of that node, beside those made directly. Any other archive
/// is kept as plain files.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The archives
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Label of the node [default: that of its other snapshots]
    #[arg(long = "node", value_name = "LABEL")]
    label: Option<String>,
    /// `from-name`: the date in the name; `from-mtime`: the time of the file; or a time
    /// [default: from-name where there is a date, else from-mtime]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    time: Option<TimeFrom>,
    /// Where a date in a name means midnight [default: the machine's time zone]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<Zone>,
    /// Mark the snapshots; may be given again or with commas
    #[arg(long = "tag", value_name = "TAG", value_delimiter = ',')]
    tags: Vec<String>,
    /// Store nothing; look through the archives and tell what they are
    #[arg(long, short = 'n')]
    dry_run: bool,
}

impl Args {
    fn options(self) -> (Vec<PathBuf>, ImportOptions) {
        let tags = self.tags.iter().map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect();
        let backup = BackupOptions { dry_run: self.dry_run, tags, node: self.label, ..BackupOptions::default() };
        let options =
            ImportOptions { backup, time: self.time.unwrap_or_default(), zone: self.timezone.unwrap_or_default() };
        (self.files, options)
    }
}

/// Imports.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let (files, options) = args.options();
    let planned = import::plan(&files, &options)?;
    let opened = session.open()?;
    let mut outcome = Outcome::Clean;
    for one in &planned {
        let reporter = session.reporter();
        let imported = import::run(&opened.repository, one, &options, opened.context(&reporter, &session.cancel));
        reporter.finish();
        let view = ImportView::new(imported?);
        session.output.report(&view)?;
        if view.lacks_files() {
            outcome = Outcome::Incomplete;
        }
    }
    Ok(outcome)
}
