//! Giving a node the start it is owed: what the guard, `dssvault resume` and the next run do.

use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::dss::control::error::ControlError;
use crate::dss::control::evidence::Running;
use crate::dss::control::health;
use crate::dss::control::instance::Instance;
use crate::dss::control::journal::{Owed, Phase, StopJournal};
use crate::dss::control::proc;
use crate::dss::control::service::{START_LIMIT, Service};

/// How long a node that was being stopped may take to come to rest before it is taken for one that stays up.
const SETTLE: Duration = Duration::from_secs(25);
/// How long one that was told to start may take to show a process.
const APPEAR: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "why")]
pub enum Recovered {
    /// Nothing was owed.
    Nothing,
    /// It was found running.
    Ran,
    /// It was started and is healthy.
    Started,
    /// It was started and does not answer yet.
    Unhealthy(String),
}

/// Starts what the journal says is owed, and clears the journal when it runs.
pub fn recover(journal: &StopJournal, cancel: &Cancel) -> Result<Recovered, ControlError> {
    let Some(owed) = journal.read()? else { return Ok(Recovered::Nothing) };
    let instance = &owed.instance;
    let outcome = if comes_to_rest(&owed, cancel) {
        // A start that began already makes this one fail on its ports: health decides.
        let started = Service::of(instance)?.begin_start()?.wait(START_LIMIT);
        match health::wait(instance, Duration::from_secs(60), cancel) {
            Ok(()) => Recovered::Started,
            Err(why) => {
                started?;
                Recovered::Unhealthy(why)
            }
        }
    } else {
        match health::wait(instance, START_LIMIT, cancel) {
            Ok(()) => Recovered::Ran,
            Err(why) => Recovered::Unhealthy(why),
        }
    };
    if cancel.is_requested() && outcome != Recovered::Ran && outcome != Recovered::Started {
        return Err(ControlError::Interrupted);
    }
    journal.clear()?;
    Ok(outcome)
}

/// Waits until it can be told whether it must be started.
fn comes_to_rest(owed: &Owed, cancel: &Cancel) -> bool {
    let since = Instant::now();
    loop {
        let running = runs(&owed.instance);
        let settled = match (owed.phase, running) {
            // The stop was under way: it comes to rest, or was never told.
            (Phase::Stopping, true) => since.elapsed() >= SETTLE,
            // The start was under way: give it time to show itself.
            (Phase::Starting, false) => since.elapsed() >= APPEAR,
            _ => true,
        };
        if settled || cancel.is_requested() {
            return !running;
        }
        std::thread::sleep(POLL);
    }
}

fn runs(instance: &Instance) -> bool {
    proc::look(instance).running() == Running::Running
}
