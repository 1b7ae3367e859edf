//! `dssvault demo`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::app::demo::{Difference, Picture, Workshop, make_data_directory, work_for_a_day};
use crate::base::id::SnapshotId;
use crate::cli::error::CliError;
use crate::cli::exit::Outcome;
use crate::cli::session::Session;
use crate::cli::views::demo::{BackupStep, End, Intro, Step, Told};
use crate::vault::VaultError;
use crate::vault::backup::BackupReport;

const EXAMPLES: &str = "\
Examples:
  dssvault demo                 with a small DSS-like data directory it makes itself
  dssvault demo /data/dss       with a tree of yours, which is only read
  TMPDIR=/big dssvault demo /data/dss

Needs room in $TMPDIR for a copy of the tree and its repository; both go away again.";

/// Decide what the demo's tree and its day of work look like.
const TREE_SEED: u64 = 2026;
const DAY_SEED: u64 = 1122;

/// Show a backup, a day of work, and a restore, with true figures.
///
/// Everything happens in a temporary folder and is removed at the end. With PATH the tree there is used, and
/// nothing is ever written to it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A directory to use instead of a made one
    path: Option<PathBuf>,
}

/// The demo as it goes on.
struct Stage<'a> {
    session: &'a Session,
    workshop: Workshop,
    source: PathBuf,
    number: u32,
    differences: Vec<Difference>,
}

/// Tells the story.
pub fn run(args: Args, session: &Session) -> Result<Outcome, CliError> {
    let given = args.path.as_deref().map(existing_directory).transpose()?;
    let folder = Workshop::folder(given.as_deref())?;
    session.output.report(&Intro::new(folder.path(), given.as_deref()))?;
    let source = match &given {
        Some(path) => path.clone(),
        None => {
            folder.path().canonicalize().map_err(|why| VaultError::local("look at", folder.path(), why))?.join("dss")
        }
    };
    let started = Instant::now();
    if given.is_none() {
        make_data_directory(&source, TREE_SEED, &session.cancel)?;
    }
    let before = Picture::take(&source, &session.cancel)?;
    let seen = Step::tree(&before, given.is_some(), started);
    let started = Instant::now();
    let workshop = Workshop::set_up(folder)?;
    let mut stage = Stage { session, workshop, source, number: 0, differences: Vec::new() };
    stage.tell(seen)?;
    stage.tell(Step::Repository { seconds: started.elapsed().as_secs_f64() })?;
    let first = stage.back_up(BackupStep::First)?;
    stage.back_up(BackupStep::Unchanged)?;
    if given.is_some() {
        stage.restore("the tree", first, &before)?;
    } else {
        stage.a_day_later(first, &before)?;
    }
    stage.finish()
}

impl Stage<'_> {
    fn a_day_later(&mut self, first: SnapshotId, before: &Picture) -> Result<(), CliError> {
        let day = work_for_a_day(&self.source, DAY_SEED, &self.session.cancel)?;
        self.tell(Step::Day(day))?;
        let after = Picture::take(&self.source, &self.session.cancel)?;
        let second = self.back_up(BackupStep::Changed)?;
        self.restore("today", second, &after)?;
        self.restore("yesterday", first, before)
    }

    fn tell(&mut self, step: Step) -> Result<(), CliError> {
        self.number += 1;
        self.session.output.report(&Told { message_type: "step", number: self.number, step })
    }

    fn back_up(&mut self, which: BackupStep) -> Result<SnapshotId, CliError> {
        let reporter = self.session.reporter();
        let report = self.workshop.back_up(&self.source, &reporter, &self.session.cancel)?;
        reporter.finish();
        let BackupReport { snapshot, manifest, seconds } = report;
        self.tell(Step::Backup { which, counts: manifest.counts, problems: manifest.problem_count, seconds })?;
        snapshot.ok_or_else(|| CliError::usage("the backup stored nothing", "report this with `-vv`"))
    }

    /// Restores a snapshot and compares it with what was there.
    fn restore(&mut self, what: &'static str, snapshot: SnapshotId, original: &Picture) -> Result<(), CliError> {
        let target = self.workshop.path(&format!("restored-{}", self.number));
        let reporter = self.session.reporter();
        let cancel = &self.session.cancel;
        let report = self.workshop.restore(snapshot, &self.source, &target, &reporter, cancel)?;
        reporter.finish();
        let restored = Picture::take(&target, cancel)?;
        let mut differences = original.differences(&restored);
        differences.extend(
            report
                .failures
                .into_iter()
                .map(|failure| Difference { path: failure.path.into(), what: "could not be restored" }),
        );
        let (files, bytes, compared) = (report.files, report.bytes, original.files);
        let step =
            Step::Restore { what, files, bytes, compared, differences: differences.len(), seconds: report.seconds };
        self.differences.append(&mut differences);
        self.tell(step)
    }

    fn finish(mut self) -> Result<Outcome, CliError> {
        let reporter = self.session.reporter();
        let check = self.workshop.check(&reporter, &self.session.cancel)?;
        reporter.finish();
        let clean = check.is_clean();
        self.tell(Step::Check { packs: check.packs_read, bytes: check.bytes_read, clean, seconds: check.seconds })?;
        let stats = self.workshop.stats(&self.session.problems_only(), &self.session.cancel)?;
        let end = End::new(&stats, clean, self.differences);
        self.session.output.report(&end)?;
        Ok(Outcome::clean_if(end.is_good()))
    }
}

fn existing_directory(path: &Path) -> Result<PathBuf, CliError> {
    let found = path.canonicalize().map_err(|source| CliError::File {
        action: "find",
        what: format!("the directory {}", path.display()),
        source,
    })?;
    if !found.is_dir() {
        let hint = "name a directory, or none to have one made";
        return Err(CliError::usage(format!("{} is not a directory", path.display()), hint));
    }
    Ok(found)
}
