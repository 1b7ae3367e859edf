//! The pristine restore: a node comes back in its own place. The content is restored beside the data directory while
//! that stays as it is, and then the two are exchanged in one step, so that there is never half a node; where the directory
//! itself cannot be renamed its entries are exchanged, with a journal. What was replaced is kept until it is told to go.

pub(in crate::dss) mod databases;
mod error;
mod inside;
mod kept;
pub(in crate::dss) mod made;
mod place;
mod project;
pub(in crate::dss) mod ready;
mod repoint;
pub(in crate::dss) mod stale;
pub(in crate::dss) mod swap;
mod unfinished;

use std::path::PathBuf;
use std::time::Duration;

use crate::base::cancel::Cancel;
use crate::base::id::SnapshotId;
use crate::dss::backup::DATADIR;
use crate::dss::control::health;
use crate::dss::control::instance::Instance;
use crate::dss::control::journal::StopJournal;
use crate::dss::control::lock::DataDirLock;
use crate::dss::control::service::{START_LIMIT, Service};
use crate::dss::control::swap_journal::{Phase, Swap, SwapJournal};
use crate::dss::control::window::{StopWindow, WindowOptions};
use crate::dss::datadir::DataDir;
use crate::dss::datadir::host::Host;
use crate::dss::datadir::ours;
use crate::dss::restore::unfinished::{Unfinished, Wish};
use crate::postgres::restore::{Ready, Restored};
use crate::repo::Repository;
use crate::repo::snapshot::{Manifest, NodeRecord};
use crate::vault::restore::{self as vault_restore, OwnerMode, RestoreOptions, RestoreReport};
use crate::vault::{Context, VaultError};

pub use databases::stored_password;
pub use error::RestoreError;
pub use kept::{Undone, forget_old, undo};
pub use place::{Place, Room, Way, can_rename, kit_version};
pub use project::{Part, Project, classes, project};

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
    /// How it was replaced.
    pub way: Way,
    /// What that needed and what there was.
    pub room: Room,
    /// Whether an exchange was completed that a killed restore had begun: nothing was restored anew.
    pub completed: bool,
    /// Where the replaced one is kept.
    pub kept: Option<PathBuf>,
    /// What should be known, as sentences.
    pub cautions: Vec<String>,
    /// The restore itself; its failures mean that nothing was exchanged.
    pub files: RestoreReport,
    /// What a running node had left in the snapshot and was removed, below the data directory.
    pub stale: Vec<PathBuf>,
    /// Whether it was started and answers; `None` if nobody asked for a start.
    pub healthy: Option<Result<(), String>>,
    /// Databases that were put back.
    pub databases: Vec<Restored>,
    /// What would be or was done, one line each.
    pub steps: Vec<String>,
}

/// Brings a node back to its place.
pub fn run(
    repository: &Repository,
    snapshot: SnapshotId,
    manifest: &Manifest,
    options: &PristineOptions,
    databases: &[Ready<'_>],
    context: Context<'_>,
) -> Result<PristineReport, RestoreError> {
    let record = manifest.dss.as_deref().ok_or(RestoreError::NoNode)?;
    let place = Place::of(record, &snapshot)?;
    place::same_machine(manifest)?;
    place::is_no_link(&place)?;
    place::is_own(&place, record)?;
    let state = &context.folders.state;
    let _lock = DataDirLock::take(state, &place.data_dir)?;
    let unfinished = unfinished::find(SwapJournal::of(state, &place.data_dir), &place, &snapshot)?;
    if !options.dry_run {
        made::settle(state, &place)?;
    }
    let there = if unfinished.is_some() { None } else { place::node_there(&place, record)? };
    let instance = match &unfinished {
        Some(unfinished) => unfinished.swap.instance.clone(),
        None => there.as_ref().map(|there| Instance::new(&there.root, &there.facts)),
    };
    let runs = ready::stopped_or_stoppable(instance.as_ref(), options.stop)?;
    place::kit_fits(record)?;
    let place = if unfinished.is_some() { place.inside(&snapshot) } else { place.suited(&snapshot, options) };
    let room = if unfinished.is_some() { Room::default() } else { place::suits(&place, &snapshot, manifest)? };
    if options.start {
        ready::startable(&place, record, instance.as_ref(), runs)?;
    }
    if unfinished.is_none() {
        databases.iter().try_for_each(Ready::is_free)?;
    }
    let mut report = PristineReport {
        steps: steps(&place, there.is_some(), runs, unfinished.is_some(), room, options, databases),
        data_dir: place.data_dir.clone(),
        way: place.way,
        room,
        completed: unfinished.is_some(),
        kept: None,
        cautions: ready::cautions(&place, record, options),
        files: RestoreReport::default(),
        stale: Vec::new(),
        healthy: None,
        databases: Vec::new(),
    };
    if options.dry_run {
        return Ok(report);
    }
    let attended = Attended { repository, manifest, snapshot, options, databases, context, place, instance, runs };
    match (unfinished, attended.place.way) {
        (Some(unfinished), _) => attended.complete(unfinished, &mut report)?,
        (None, Way::InPlace) => attended.in_place(&mut report)?,
        (None, Way::Inside) => attended.inside(&mut report)?,
        (None, Way::Beside) => attended.beside(&mut report, there.is_some())?,
    }
    if options.start && report.files.failures.is_empty() {
        report.healthy = Some(start(&attended.place, record, options));
    }
    Ok(report)
}

/// A restore at work.
struct Attended<'a> {
    repository: &'a Repository,
    manifest: &'a Manifest,
    snapshot: SnapshotId,
    options: &'a PristineOptions,
    databases: &'a [Ready<'a>],
    context: Context<'a>,
    place: Place,
    instance: Option<Instance>,
    runs: bool,
}

impl Attended<'_> {
    fn beside(&self, report: &mut PristineReport, exists: bool) -> Result<(), RestoreError> {
        let Place { data_dir, beside, before, .. } = &self.place;
        if !self.restore_aside(report)? {
            return Ok(());
        }
        let mut window = self.window();
        if let Some(window) = window.as_mut() {
            window.open()?;
        }
        self.still_stopped()?;
        report.databases = databases::restore(self.databases)?;
        if exists {
            swap::exchange(data_dir, beside, before)?;
            report.kept = Some(before.clone());
        } else {
            swap::put(beside, data_dir)?;
        }
        window.as_mut().map_or(Ok(()), StopWindow::leave_stopped)?;
        Ok(())
    }

    fn inside(&self, report: &mut PristineReport) -> Result<(), RestoreError> {
        let Place { data_dir, beside, before, .. } = &self.place;
        // Before a folder is made in it.
        let outgoing = inside::dress_of(data_dir)?;
        if !self.restore_aside(report)? {
            return Ok(());
        }
        let swap = Swap {
            data_dir: data_dir.clone(),
            snapshot: self.snapshot.short(),
            instance: self.instance.clone(),
            clear_to: before.clone(),
            fill_from: beside.clone(),
            phase: Phase::Clearing,
            outgoing,
            incoming: inside::dress_of(beside)?,
        };
        // If this process dies in the middle, the guard finds no program to start: that leaves first and comes last.
        let mut window = self.window();
        if let Some(window) = window.as_mut() {
            window.open()?;
        }
        self.still_stopped()?;
        report.databases = databases::restore(self.databases)?;
        swap::sync(beside);
        inside::exchange(&SwapJournal::of(&self.context.folders.state, data_dir), swap)?;
        report.kept = before.exists().then(|| before.clone());
        window.as_mut().map_or(Ok(()), StopWindow::leave_stopped)?;
        Ok(())
    }

    /// What a killed run had begun.
    fn complete(&self, unfinished: Unfinished, report: &mut PristineReport) -> Result<(), RestoreError> {
        let mut window = self.window();
        if let Some(window) = window.as_mut() {
            window.open()?;
        }
        self.still_stopped()?;
        let place = unfinished.end(Wish::Complete)?;
        report.kept = place.before.exists().then_some(place.before);
        window.as_mut().map_or(Ok(()), StopWindow::leave_stopped)?;
        if let Some(instance) = &self.instance {
            // The killed run had stopped it, and would have left it so.
            StopJournal::of(&self.context.folders.state, instance).clear()?;
        }
        Ok(())
    }

    /// Restores to where it can be moved from; says whether that went well.
    fn restore_aside(&self, report: &mut PristineReport) -> Result<bool, RestoreError> {
        let beside = &self.place.beside;
        // Made here, and so no link that somebody put there meanwhile.
        match self.place.way {
            Way::Inside => {
                inside::sweep(&self.place.data_dir, beside)?;
                swap::make(beside)?;
            }
            Way::Beside | Way::InPlace => made::make(&self.context.folders.state, beside)?,
        }
        report.files = self.restore_to(beside, false).inspect_err(|_| {
            // Half a copy may be large, and is of no use to anybody.
            let _ = swap::sweep(beside);
        })?;
        if !report.files.failures.is_empty() {
            // What came back stays to be looked at; the node itself was not touched.
            return Ok(false);
        }
        report.stale = stale::remove(beside);
        databases::repoint(self.databases, beside)?;
        Ok(true)
    }

    fn in_place(&self, report: &mut PristineReport) -> Result<(), RestoreError> {
        let mut window = self.window();
        if let Some(window) = window.as_mut() {
            window.open()?;
        }
        self.still_stopped()?;
        report.databases = databases::restore(self.databases)?;
        // Half rewritten it must not be started: neither by us after an error, nor by the guard if we die.
        window.as_mut().map_or(Ok(()), StopWindow::leave_stopped)?;
        let data_dir = &self.place.data_dir;
        report.files = self
            .restore_to(data_dir, true)
            .map_err(|cause| RestoreError::HalfRewritten { data_dir: data_dir.clone(), cause: Box::new(cause) })?;
        if report.files.failures.is_empty() {
            databases::repoint(self.databases, data_dir)?;
            report.stale = stale::remove(data_dir);
        }
        Ok(())
    }

    fn restore_to(&self, target: &std::path::Path, rewrite: bool) -> Result<RestoreReport, VaultError> {
        let restore = RestoreOptions {
            target: target.to_owned(),
            target_is_subpath: true,
            subpath: Some(DATADIR.as_bytes().to_vec()),
            exclude: ours::PATTERNS.map(str::to_owned).to_vec(),
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

    fn still_stopped(&self) -> Result<(), RestoreError> {
        ready::still_stopped(self.instance.as_ref(), self.context.cancel)
    }
}

/// Starts what was brought back. That is there whatever comes of this, so a failure belongs into the report.
fn start(place: &Place, record: &NodeRecord, options: &PristineOptions) -> Result<(), String> {
    let begin = || -> Result<Result<(), String>, RestoreError> {
        let DataDir { root, facts } = DataDir::open(&place.data_dir, &Host::new(None))?;
        let mut instance = Instance::new(&root, &facts);
        instance.base_port = instance.base_port.or(record.port);
        let started = Service::of(&instance)?.begin_start()?.wait(START_LIMIT);
        let healthy = health::wait(&instance, options.health_limit, &Cancel::default());
        Ok(health::verdict(&instance, started, healthy)?)
    };
    begin().unwrap_or_else(|error| Err(format!("it could not be started: {error}")))
}

/// The plan, for people.
fn steps(
    place: &Place,
    exists: bool,
    runs: bool,
    unfinished: bool,
    room: Room,
    options: &PristineOptions,
    databases: &[Ready<'_>],
) -> Vec<String> {
    let Place { data_dir, beside, before, way } = place;
    let (data_dir, beside, before) = (data_dir.display(), beside.display(), before.display());
    let mut steps = Vec::new();
    if *way != Way::InPlace && !unfinished {
        steps.push(format!("restore to {beside}: {room}"));
    }
    if runs {
        steps.push("stop the node and prove that it has stopped".to_owned());
    }
    steps.extend(databases.iter().filter(|_| !unfinished).map(Ready::says));
    steps.push(match (unfinished, way, exists) {
        (true, _, _) => format!("complete the exchange of the entries of {data_dir} that was interrupted"),
        (_, Way::InPlace, _) => format!("rewrite what differs in {data_dir}, and remove what the snapshot has not"),
        (_, Way::Inside, true) => format!(
            "move the entries of {data_dir} one by one to {before}, where they are kept, and the restored ones in: the \
             directory itself cannot be renamed"
        ),
        (_, Way::Inside, false) => format!("move the restored entries one by one to {data_dir}"),
        (_, Way::Beside, true) => format!("exchange it with {data_dir}, which is kept as {before}"),
        (_, Way::Beside, false) => format!("rename it to {data_dir}"),
    });
    if options.start {
        steps.push("start the node and wait until it answers".to_owned());
    }
    steps
}
