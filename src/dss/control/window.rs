//! The stop window of a backup: the node is stopped after the first pass and started when the last byte was read, in
//! every case.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::base::clock::{Clock, Timestamp};
use crate::dss::control::error::ControlError;
use crate::dss::control::evidence::Running;
use crate::dss::control::guard::Guard;
use crate::dss::control::health;
use crate::dss::control::instance::Instance;
use crate::dss::control::journal::{Phase, StopJournal};
use crate::dss::control::proc;
use crate::dss::control::rotation;
use crate::dss::control::service::{START_LIMIT, STOP_LIMIT, Service, Starting};

/// What a window may cost and where it keeps its journal.
#[derive(Debug, Clone)]
pub struct WindowOptions {
    /// How long the node may be down before it is started with the backup unfinished.
    pub max_downtime: Duration,
    /// How long it is waited for its health after the start.
    pub health_limit: Duration,
    /// State folder of this machine.
    pub state: PathBuf,
    /// This program, to run the guard.
    pub program: PathBuf,
}

/// How a window ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WindowReport {
    /// Whether the node ran before, and so was stopped and started.
    pub stopped: bool,
    /// From the order to stop until it answered again, or was given up waiting for.
    pub downtime: Duration,
    /// From the proof that it had stopped until the order to start: what the backup itself took.
    pub reading: Duration,
    /// Why it is not known to be healthy.
    pub unhealthy: Option<String>,
}

/// A node's stop window.
pub struct StopWindow<'w> {
    instance: &'w Instance,
    options: WindowOptions,
    clock: &'w dyn Clock,
    cancel: &'w Cancel,
    journal: StopJournal,
    guard: Option<Guard>,
    /// Asked for once: sudo may have to ask a directory service.
    service: Option<Service<'w>>,
    /// Whether it was taken out of rotation here and not put back yet.
    is_out: bool,
    /// When the window began.
    since: Option<Timestamp>,
    deadline: Option<Deadline>,
    expired: Arc<AtomicBool>,
    stopped_at: Option<Instant>,
    rested_at: Option<Instant>,
    starting: Option<Result<Starting, ControlError>>,
    report: WindowReport,
}

impl<'w> StopWindow<'w> {
    /// A window that has not opened yet. `cancel` is requested when the node has been down for too long.
    pub fn new(instance: &'w Instance, options: WindowOptions, clock: &'w dyn Clock, cancel: &'w Cancel) -> Self {
        Self {
            instance,
            journal: StopJournal::of(&options.state, instance),
            options,
            clock,
            cancel,
            guard: None,
            service: None,
            is_out: false,
            since: None,
            deadline: None,
            expired: Arc::default(),
            stopped_at: None,
            rested_at: None,
            starting: None,
            report: WindowReport::default(),
        }
    }

    /// Takes an API node that runs out of rotation, and waits until it says so and `pause` longer. Whatever comes then,
    /// it is put back; a file somebody else had put there stays. After an error it is being put back.
    pub fn leave_rotation(&mut self, pause: Duration) -> Result<(), ControlError> {
        let data_dir = &self.instance.data_dir;
        if rotation::is_out(data_dir) || proc::look(self.instance).running() == Running::Stopped {
            return Ok(());
        }
        self.post_guard()?;
        self.is_out = true;
        self.note(Phase::Leaving)?;
        if !rotation::leave(data_dir)? {
            self.is_out = false;
            return self.note(Phase::Leaving);
        }
        rotation::drain(self.instance, pause, self.cancel)
    }

    /// First the guard: without a journal it owes nothing, while a journal without a guard would wait for a call.
    fn post_guard(&mut self) -> Result<(), ControlError> {
        self.since.get_or_insert(self.clock.now());
        if self.guard.is_none() {
            self.guard = Some(Guard::post(&self.options.program, &self.journal)?);
        }
        Ok(())
    }

    fn note(&self, phase: Phase) -> Result<(), ControlError> {
        let since = self.since.unwrap_or_else(|| self.clock.now());
        self.journal.write(self.instance, phase, since, self.is_out)
    }

    /// Stops the node if it runs. After an error it runs as before, or is being started.
    pub fn open(&mut self) -> Result<(), ControlError> {
        let evidence = proc::look(self.instance);
        match evidence.running() {
            Running::Stopped => return Ok(()),
            Running::Unknown => {
                return Err(ControlError::Unclear { data_dir: self.instance.data_dir.clone(), evidence });
            }
            Running::Running => {}
        }
        if self.cancel.is_requested() {
            return Err(ControlError::Interrupted);
        }
        let service = self.service.insert(Service::of(self.instance)?).clone();
        self.post_guard()?;
        self.note(Phase::Stopping)?;
        self.stopped_at = Some(Instant::now());
        self.report.stopped = true;
        self.deadline =
            Some(Deadline::begin(self.options.max_downtime, self.cancel.clone(), Arc::clone(&self.expired)));
        service.stop(STOP_LIMIT.min(self.options.max_downtime))?;
        self.note(Phase::Stopped)?;
        self.rested_at = Some(Instant::now());
        Ok(())
    }

    /// Tells the node to start, if it was stopped here and was not told yet.
    pub fn close(&mut self) {
        let Some(_) = self.stopped_at.filter(|_| self.starting.is_none()) else { return };
        self.report.reading = self.rested_at.map(|since| since.elapsed()).unwrap_or_default();
        self.deadline = None;
        // A journal that cannot be written now still says that a start is owed.
        let _ = self.note(Phase::Starting);
        let service = self.service.clone().map_or_else(|| Service::of(self.instance), Ok);
        self.starting = Some(service.and_then(|service| service.begin_start()));
    }

    /// Waits until it answers, and says how it went. `Err`: it could not be started; the journal keeps saying so.
    pub fn settle(&mut self) -> Result<WindowReport, ControlError> {
        if self.stopped_at.is_some() && self.rested_at.is_none() {
            return self.watch_on();
        }
        self.close();
        let Some(since) = self.stopped_at.take() else {
            return self.give_up_unstopped().map(|()| self.report.clone());
        };
        let started = self.starting.take().unwrap_or(Err(ControlError::Interrupted));
        let started = started.and_then(|starting| starting.wait(START_LIMIT));
        // In rotation again before it is asked for its health: it would say no.
        let rejoined = self.rejoin();
        // Not to be cut short: whoever pressed Ctrl-C still wants to know that it runs.
        let healthy = health::wait(self.instance, self.options.health_limit, &Cancel::default());
        self.report.downtime = since.elapsed();
        match health::verdict(self.instance, started, healthy) {
            Ok(healthy) => self.report.unhealthy = healthy.err(),
            Err(error) => {
                self.guard = None;
                return Err(error);
            }
        }
        if let Err(error) = rejoined {
            // The guard tries again.
            self.guard = None;
            return Err(error);
        }
        self.journal.clear()?;
        self.guard = None;
        Ok(self.report.clone())
    }

    /// It was told to stop and did not: it may still do so, long after everybody has stopped looking. The journal stays,
    /// and the guard takes over: it waits for the node to come to rest, and then starts it.
    fn watch_on(&mut self) -> Result<WindowReport, ControlError> {
        self.stopped_at = None;
        self.deadline = None;
        self.guard = None;
        Ok(self.report.clone())
    }

    /// The end of a window in which the node was not stopped.
    fn give_up_unstopped(&mut self) -> Result<(), ControlError> {
        if self.guard.is_some() {
            self.rejoin()?;
            self.journal.clear()?;
            self.guard = None;
        }
        Ok(())
    }

    fn rejoin(&mut self) -> Result<(), ControlError> {
        if self.is_out {
            rotation::rejoin(&self.instance.data_dir)?;
            self.is_out = false;
        }
        Ok(())
    }

    /// Leaves the node stopped: what it is owed is somebody else's business now.
    pub fn leave_stopped(&mut self) -> Result<(), ControlError> {
        if self.stopped_at.take().is_some() {
            self.deadline = None;
            self.journal.clear()?;
            self.guard = None;
        }
        Ok(())
    }

    /// Whether the node had been down for too long before everything was read.
    pub fn has_expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }
}

impl Drop for StopWindow<'_> {
    fn drop(&mut self) {
        // After an error or a panic. If this fails too the journal remains, and the guard goes on with it.
        let _ = self.settle();
    }
}

/// Requests a stop when a time has passed, unless it is dropped before.
struct Deadline {
    /// Never sent through: its end is the message.
    _alive: mpsc::Sender<()>,
}

impl Deadline {
    fn begin(limit: Duration, cancel: Cancel, expired: Arc<AtomicBool>) -> Self {
        let (sender, receiver) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if receiver.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                expired.store(true, Ordering::Relaxed);
                cancel.request();
            }
        });
        Self { _alive: sender }
    }
}
