//! Reading a node that is stopped, that is stopped for it, or that runs.

use crate::dss::backup::Subject;
use crate::dss::backup::error::NodeError;
use crate::dss::control::evidence::Running;
use crate::dss::control::proc;
use crate::dss::control::window::{StopWindow, WindowOptions};
use crate::dss::datadir::databases::DatabaseKind;
use crate::dss::jobs;
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
    let embedded = subject.facts.databases.iter().any(|database| database.kind == DatabaseKind::Embedded);
    if embedded {
        subject.record.caveats.push("H2 databases are not guaranteed: they were read while DSS could write".to_owned());
    }
    subject.back_up(&subject.root, &mut Live { record: &subject.record, embedded })
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
    let window = StopWindow::new(&subject.instance, options, subject.clock(), subject.context.cancel);
    let mut steward = Stopping { window, subject, record: subject.record.clone(), notebooks: Vec::new(), error: None };
    let report = subject.back_up(&subject.root, &mut steward);
    let Stopping { mut window, notebooks, error, .. } = steward;
    warnings.extend(notebooks.iter().map(|notebook| format!("{notebook} had a kernel, which ended with the stop")));
    // What went wrong itself is told before the time it cost.
    if let Some(error) = error {
        return Err(error);
    }
    if window.has_expired() && report.is_err() {
        window.settle()?;
        return Err(NodeError::Downtime { seconds: subject.options.max_downtime.as_secs() });
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
    /// Whether it has H2 databases.
    embedded: bool,
}

impl Steward for Live<'_> {
    /// The walk has one order, so databases cannot come last in it. A second pass reads again only what changed during
    /// the first: a living database is read in that short time, close to all that belongs to it.
    fn has_two_passes(&self) -> bool {
        self.embedded
    }

    fn testify(&mut self, manifest: &mut Manifest) -> Result<(), VaultError> {
        manifest.consistency = Consistency::Live;
        manifest.dss = Some(Box::new(self.record.clone()));
        Ok(())
    }
}

struct Stopping<'w> {
    window: StopWindow<'w>,
    subject: &'w Subject<'w>,
    record: NodeRecord,
    notebooks: Vec<RunningJob>,
    /// Why it could not be stopped or started, which the engine cannot carry.
    error: Option<NodeError>,
}

impl Stopping<'_> {
    /// What comes before the stop: nothing is at work, and nobody is sent here any more.
    fn prepare(&mut self) -> Result<(), NodeError> {
        let options = self.subject.options;
        self.notebooks = jobs::until_idle(options.on_work, &mut self.subject.watch(), self.subject.context.cancel)?;
        if let Some(pause) = options.rolling {
            self.window.leave_rotation(pause)?;
        }
        Ok(())
    }

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
        self.prepare().map_err(|error| self.failed(error))?;
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
