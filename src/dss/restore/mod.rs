//! The pristine restore: a node comes back in its own place. The content is restored beside the data directory while
//! that stays as it is, and then the two are exchanged in one step, so that there is never half a node; the replaced
//! directory is kept until it is told to go.

mod error;
mod place;
pub(in crate::dss) mod stale;
pub(in crate::dss) mod swap;

use std::path::PathBuf;
use std::time::Duration;

use crate::base::id::SnapshotId;
use crate::dss::backup::DATADIR;
use crate::dss::control::evidence::Running;
use crate::dss::control::instance::Instance;
use crate::dss::control::lock::DataDirLock;
use crate::dss::control::proc;
use crate::dss::control::service::{START_LIMIT, Service};
use crate::dss::control::window::{StopWindow, WindowOptions};
use crate::dss::control::{ControlError, health};
use crate::dss::datadir::DataDir;
use crate::dss::datadir::host::Host;
use crate::repo::Repository;
use crate::repo::snapshot::{Manifest, NodeRecord};
use crate::vault::restore::{self as vault_restore, OwnerMode, RestoreOptions, RestoreReport};
use crate::vault::{Context, VaultError};

pub use error::RestoreError;
pub use place::{Place, kit_version};

/// How a node is brought back.
#[derive(Debug, Clone)]
pub struct PristineOptions {
    /// Change nothing; only say what would be done.
    pub dry_run: bool,
    /// Stop it if it runs.
    pub stop: bool,
    /// Start it afterwards.
    pub start: bool,
    /// Rewrite what differs in the directory itself: no second copy is needed, and there is no way back.
    pub in_place: bool,
    /// Read everything back and compare.
    pub verify: bool,
    /// How long it is waited for its health.
    pub health_limit: Duration,
    /// This program, to run the guard.
    pub program: PathBuf,
}

/// What was done.
#[derive(Debug)]
pub struct PristineReport {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Whether the directory itself was rewritten.
    pub in_place: bool,
    /// Where the replaced one is kept.
    pub kept: Option<PathBuf>,
    /// The restore itself; its failures mean that nothing was exchanged.
    pub files: RestoreReport,
    /// What a running node had left in the snapshot and was removed, below the data directory.
    pub stale: Vec<PathBuf>,
    /// Whether it was started and answers; `None` if nobody asked for a start.
    pub healthy: Option<Result<(), String>>,
    /// What would be or was done, one line each.
    pub steps: Vec<String>,
}

/// Brings a node back to its place.
pub fn run(
    repository: &Repository,
    snapshot: SnapshotId,
    manifest: &Manifest,
    options: &PristineOptions,
    context: Context<'_>,
) -> Result<PristineReport, RestoreError> {
    let record = manifest.dss.as_deref().ok_or(RestoreError::NoNode)?;
    let place = Place::of(record, &snapshot)?;
    place::same_machine(manifest)?;
    let _lock = DataDirLock::take(&context.folders.state, &place.data_dir)?;
    let there = place::node_there(&place, record)?;
    let instance = there.as_ref().map(|there| Instance::new(&there.root, &there.facts));
    let runs = stopped_or_stoppable(instance.as_ref(), options)?;
    place::kit_fits(record)?;
    place::suits(&place, manifest, options)?;
    let mut report = PristineReport {
        steps: steps(&place, there.is_some(), runs, options),
        data_dir: place.data_dir.clone(),
        in_place: options.in_place,
        kept: None,
        files: RestoreReport::default(),
        stale: Vec::new(),
        healthy: None,
    };
    if options.dry_run {
        return Ok(report);
    }
    let attended = Attended { repository, manifest, snapshot, options, context, place, instance, runs };
    if options.in_place {
        attended.in_place(&mut report)?
    } else {
        attended.beside(&mut report, there.is_some())?
    }
    if options.start && report.files.failures.is_empty() {
        report.healthy = Some(start(&attended.place, record, options)?);
    }
    Ok(report)
}

/// A restore at work.
struct Attended<'a> {
    repository: &'a Repository,
    manifest: &'a Manifest,
    snapshot: SnapshotId,
    options: &'a PristineOptions,
    context: Context<'a>,
    place: Place,
    instance: Option<Instance>,
    runs: bool,
}

impl Attended<'_> {
    fn beside(&self, report: &mut PristineReport, exists: bool) -> Result<(), RestoreError> {
        let Place { data_dir, beside, before } = &self.place;
        swap::sweep(beside)?;
        // Made here, and so no link that somebody put there meanwhile.
        swap::make(beside)?;
        report.files = self.restore_to(beside, false).inspect_err(|_| {
            // Half a copy may be large, and is of no use to anybody.
            let _ = swap::sweep(beside);
        })?;
        if !report.files.failures.is_empty() {
            // What came back stays to be looked at; the node itself was not touched.
            return Ok(());
        }
        report.stale = stale::remove(beside);
        let mut window = self.window();
        if let Some(window) = window.as_mut() {
            window.open()?;
        }
        self.still_stopped()?;
        if exists {
            swap::exchange(data_dir, beside, before)?;
            report.kept = Some(before.clone());
        } else {
            swap::put(beside, data_dir)?;
        }
        window.as_mut().map_or(Ok(()), StopWindow::leave_stopped)?;
        Ok(())
    }

    fn in_place(&self, report: &mut PristineReport) -> Result<(), RestoreError> {
        let mut window = self.window();
        if let Some(window) = window.as_mut() {
            window.open()?;
        }
        self.still_stopped()?;
        report.files = self.restore_to(&self.place.data_dir, true)?;
        if report.files.failures.is_empty() {
            report.stale = stale::remove(&self.place.data_dir);
        }
        // Half rewritten it must not be started, whatever it was before.
        window.as_mut().map_or(Ok(()), StopWindow::leave_stopped)?;
        Ok(())
    }

    fn restore_to(&self, target: &std::path::Path, rewrite: bool) -> Result<RestoreReport, VaultError> {
        let restore = RestoreOptions {
            target: target.to_owned(),
            target_is_subpath: true,
            subpath: Some(DATADIR.as_bytes().to_vec()),
            delete: rewrite,
            verify: self.options.verify,
            owner: OwnerMode::Names,
            ..RestoreOptions::default()
        };
        vault_restore::run(self.repository, self.snapshot, self.manifest, &restore, self.context)
    }

    fn window(&self) -> Option<StopWindow<'_>> {
        let instance = self.instance.as_ref().filter(|_| self.runs)?;
        let window = WindowOptions {
            // A restore takes what it takes.
            max_downtime: Duration::from_hours(24 * 365),
            health_limit: self.options.health_limit,
            state: self.context.folders.state.clone(),
            program: self.options.program.clone(),
        };
        Some(StopWindow::new(instance, window, &*self.repository.seams.clock, self.context.cancel))
    }

    /// Somebody may have started it meanwhile.
    fn still_stopped(&self) -> Result<(), RestoreError> {
        let Some(instance) = &self.instance else { return Ok(()) };
        let evidence = proc::look(instance);
        match evidence.running() {
            Running::Stopped => Ok(()),
            _ => Err(RestoreError::Runs { evidence: evidence.summary() }),
        }
    }
}

/// Whether it runs and must be stopped; refused if it may not be.
fn stopped_or_stoppable(instance: Option<&Instance>, options: &PristineOptions) -> Result<bool, RestoreError> {
    let Some(instance) = instance else { return Ok(false) };
    let evidence = proc::look(instance);
    match evidence.running() {
        Running::Stopped => Ok(false),
        Running::Running if options.stop => Service::of(instance).map(|_| true).map_err(RestoreError::from),
        Running::Running => Err(RestoreError::Runs { evidence: evidence.summary() }),
        Running::Unknown => Err(ControlError::Unclear { data_dir: instance.data_dir.clone(), evidence }.into()),
    }
}

fn start(place: &Place, record: &NodeRecord, options: &PristineOptions) -> Result<Result<(), String>, RestoreError> {
    let DataDir { root, facts } = DataDir::open(&place.data_dir, &Host::new(None))?;
    let mut instance = Instance::new(&root, &facts);
    instance.base_port = instance.base_port.or(record.port);
    let started = Service::of(&instance)?.begin_start()?.wait(START_LIMIT);
    let healthy = health::wait(&instance, options.health_limit, &crate::base::cancel::Cancel::default());
    match (started, healthy) {
        (_, Ok(())) => Ok(Ok(())),
        (Ok(()), Err(why)) => Ok(Err(why)),
        (Err(error), Err(_)) => Ok(Err(error.to_string())),
    }
}

/// Puts back what a restore of this snapshot replaced.
pub fn undo(manifest: &Manifest, snapshot: SnapshotId, context: Context<'_>) -> Result<PathBuf, RestoreError> {
    let (place, _lock) = kept_place(manifest, snapshot, context)?;
    if let Ok(there) = DataDir::open(&place.data_dir, &Host::new(None)) {
        let evidence = proc::look(&Instance::new(&there.root, &there.facts));
        if evidence.running() != Running::Stopped {
            return Err(RestoreError::Runs { evidence: evidence.summary() });
        }
    }
    swap::put_back(&place)?;
    Ok(place.data_dir)
}

/// Removes what a restore of this snapshot replaced.
pub fn forget_old(manifest: &Manifest, snapshot: SnapshotId, context: Context<'_>) -> Result<PathBuf, RestoreError> {
    let (place, _lock) = kept_place(manifest, snapshot, context)?;
    swap::sweep(&place.before)?;
    Ok(place.before)
}

fn kept_place(
    manifest: &Manifest,
    snapshot: SnapshotId,
    context: Context<'_>,
) -> Result<(Place, DataDirLock), RestoreError> {
    let record = manifest.dss.as_deref().ok_or(RestoreError::NoNode)?;
    let place = Place::of(record, &snapshot)?;
    let lock = DataDirLock::take(&context.folders.state, &place.data_dir)?;
    if !place.before.exists() {
        return Err(RestoreError::NothingKept { before: place.before });
    }
    Ok((place, lock))
}

/// The plan, for people.
fn steps(place: &Place, exists: bool, runs: bool, options: &PristineOptions) -> Vec<String> {
    let Place { data_dir, beside, before } = place;
    let (data_dir, beside, before) = (data_dir.display(), beside.display(), before.display());
    let mut steps = Vec::new();
    if !options.in_place {
        steps.push(format!("restore to {beside}"));
    }
    if runs {
        steps.push("stop the node and prove that it has stopped".to_owned());
    }
    match (options.in_place, exists) {
        (true, _) => steps.push(format!("rewrite what differs in {data_dir}, and remove what the snapshot has not")),
        (false, true) => steps.push(format!("exchange it with {data_dir}, which is kept as {before}")),
        (false, false) => steps.push(format!("rename it to {data_dir}")),
    }
    if options.start {
        steps.push("start the node and wait until it answers".to_owned());
    }
    steps
}
