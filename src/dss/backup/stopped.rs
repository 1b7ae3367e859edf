//! Reading a node that is stopped, that is stopped for it, or that runs.

use crate::dss::backup::Subject;
use crate::dss::backup::error::NodeError;
use crate::dss::control::evidence::Running;
use crate::dss::control::proc;
use crate::dss::control::service::Service;
use crate::dss::control::window::{StopWindow, WindowOptions};
use crate::dss::datadir::databases::DatabaseKind;
use crate::dss::jobs::{self, JobsError, NodeWatch, OnWork};
use crate::dss::running::RunningJob;
use crate::repo::snapshot::{Consistency, Manifest, NodeRecord};
use crate::vault::VaultError;
use crate::vault::backup::{BackupReport, Steward};

/// Reads a node that was found stopped and must stay so.
pub fn read_stopped(subject: &mut Subject<'_>) -> Result<BackupReport, NodeError> {
    let mut steward = Still { subject, found_running: None };
    let report = subject.back_up(&subject.root, &mut steward);
    match steward.found_running {
        Some(evidence) => Err(NodeError::StartedMeanwhile { evidence }),
        None => report,
    }
}

/// Reads a node that runs, as it is.
pub fn read_live(subject: &mut Subject<'_>) -> Result<BackupReport, NodeError> {
    if subject.facts.databases.iter().any(|database| database.kind == DatabaseKind::Embedded) {
        subject.record.caveats.push("H2 databases are not guaranteed: they were read while DSS could write".to_owned());
    }
    subject.back_up(&subject.root, &mut Live { record: &subject.record })
}

/// Stops it between two passes.
pub fn stop_and_read(subject: &mut Subject<'_>, warnings: &mut Vec<String>) -> Result<BackupReport, NodeError> {
    let options = WindowOptions {
        max_downtime: subject.options.max_downtime,
        health_limit: subject.options.health_limit,
        state: subject.context.folders.state.clone(),
        program: subject.options.program.clone(),
    };
    let subject = &*subject;
    // What must fail fails before hours of reading.
    Service::of(&subject.instance)?;
    let work = Work::of(subject);
    warnings.extend(work.begin()?);
    let window = StopWindow::new(&subject.instance, options, subject.clock(), subject.context.cancel);
    let mut steward = Stopping { window, work, record: subject.record.clone(), notebooks: Vec::new(), error: None };
    let report = subject.back_up(&subject.root, &mut steward);
    let Stopping { mut window, notebooks, error, .. } = steward;
    warnings.extend(notebooks.iter().map(|notebook| format!("{notebook} had a kernel, which ended with the stop")));
    if window.has_expired() && report.is_err() {
        window.settle()?;
        return Err(NodeError::Downtime { seconds: subject.options.max_downtime.as_secs() });
    }
    if let Some(error) = error {
        return Err(error);
    }
    let settled = window.settle()?;
    if let Some(why) = &settled.unhealthy {
        warnings.push(format!("the node was started and does not answer yet: {why}"));
    }
    report
}

/// Sees to it that a stopped node stays stopped.
struct Still<'s> {
    subject: &'s Subject<'s>,
    found_running: Option<String>,
}

impl Steward for Still<'_> {
    fn testify(&mut self, manifest: &mut Manifest) -> Result<(), VaultError> {
        let evidence = proc::look(&self.subject.instance);
        if evidence.running() == Running::Running {
            self.found_running = Some(evidence.summary());
            return Err(VaultError::Interrupted);
        }
        manifest.consistency = Consistency::Stopped;
        manifest.dss = Some(Box::new(self.subject.record.clone()));
        Ok(())
    }
}

struct Live<'s> {
    record: &'s NodeRecord,
}

impl Steward for Live<'_> {
    fn testify(&mut self, manifest: &mut Manifest) -> Result<(), VaultError> {
        manifest.consistency = Consistency::Live;
        manifest.dss = Some(Box::new(self.record.clone()));
        Ok(())
    }
}

/// The work in a node that is to be stopped.
struct Work<'w> {
    subject: &'w Subject<'w>,
    on_work: OnWork,
}

impl<'w> Work<'w> {
    fn of(subject: &'w Subject<'w>) -> Self {
        Self { subject, on_work: subject.options.on_work }
    }

    fn watch(&self) -> NodeWatch<'w> {
        let Subject { instance, facts, options, context, .. } = self.subject;
        NodeWatch::new(instance, &facts.node_type, &options.inquiry, self.subject.clock(), context.cancel)
    }

    /// Before the first pass; gives what should be known.
    fn begin(&self) -> Result<Option<String>, JobsError> {
        let seen = jobs::begin(self.on_work, &mut self.watch())?;
        Ok(seen.blind.map(ToOwned::to_owned))
    }

    /// Right before the stop; gives the notebooks that it ends.
    fn end(&self) -> Result<Vec<RunningJob>, JobsError> {
        jobs::until_idle(self.on_work, &mut self.watch(), self.subject.context.cancel)
    }
}

struct Stopping<'w> {
    window: StopWindow<'w>,
    work: Work<'w>,
    record: NodeRecord,
    notebooks: Vec<RunningJob>,
    /// Why it could not be stopped or started, which the engine cannot carry.
    error: Option<NodeError>,
}

impl Stopping<'_> {
    fn failed(&mut self, error: impl Into<NodeError>) -> VaultError {
        self.error = Some(error.into());
        VaultError::Interrupted
    }
}

impl Steward for Stopping<'_> {
    fn has_two_passes(&self) -> bool {
        true
    }

    fn rest(&mut self) -> Result<(), VaultError> {
        match self.work.end() {
            Ok(notebooks) => self.notebooks = notebooks,
            Err(error) => return Err(self.failed(error)),
        }
        if let Some(pause) = self.work.subject.options.rolling
            && let Err(error) = self.window.leave_rotation(pause)
        {
            return Err(self.failed(error));
        }
        self.window.open().map_err(|error| self.failed(error))
    }

    fn wake(&mut self) {
        self.window.close();
    }

    fn testify(&mut self, manifest: &mut Manifest) -> Result<(), VaultError> {
        let settled = match self.window.settle() {
            Ok(settled) => settled,
            Err(error) => return Err(self.failed(error)),
        };
        if self.window.has_expired() {
            return Err(VaultError::Interrupted);
        }
        if settled.stopped {
            let milliseconds = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            self.record.downtime_ms = Some(milliseconds(settled.downtime));
            self.record.rest_ms = Some(milliseconds(settled.reading));
        }
        self.record.unhealthy = settled.unhealthy;
        manifest.consistency = Consistency::Stopped;
        manifest.dss = Some(Box::new(self.record.clone()));
        Ok(())
    }
}
