//! Giving a node the start (or the place in rotation) it is owed: what the guard, `dssvault resume` and the next run do.

use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::dss::control::error::ControlError;
use crate::dss::control::evidence::Running;
use crate::dss::control::health;
use crate::dss::control::instance::Instance;
use crate::dss::control::journal::{Owed, Phase, StopJournal};
use crate::dss::control::proc;
use crate::dss::control::rotation;
use crate::dss::control::service::{START_LIMIT, Service};

/// How long a node that was being stopped may take to come to rest before it is taken for one that stays up.
const SETTLE: Duration = Duration::from_secs(25);
/// How long one that was told to start may take to show a process.
const APPEAR: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);
/// How long it is waited for the health of one that said it started.
const HEALTH_LIMIT: Duration = Duration::from_mins(1);
/// How often it is told to start, and how long between.
const ATTEMPTS: usize = 5;
const ATTEMPT_PAUSE: Duration = Duration::from_secs(2);

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
    /// It had not been stopped, only taken out of rotation, and is back in it.
    Rejoined,
}

/// Gives the node what the journal says it is owed, and clears the journal when it has that.
pub fn recover(journal: &StopJournal, cancel: &Cancel) -> Result<Recovered, ControlError> {
    let Some(owed) = journal.read()? else { return Ok(Recovered::Nothing) };
    if owed.phase == Phase::Leaving {
        // Nobody had told it to stop: if it does not run, that is somebody else's will.
        rotation::rejoin(&owed.instance.data_dir)?;
        journal.clear()?;
        return Ok(Recovered::Rejoined);
    }
    let state = comes_to_rest(&owed, cancel);
    // Before its health is asked for, which tells of nothing else; and a start does not wait for a file.
    let rejoined = if owed.out_of_rotation { rotation::rejoin(&owed.instance.data_dir) } else { Ok(()) };
    let outcome = match state {
        Running::Running => match health::wait(&owed.instance, START_LIMIT, cancel) {
            Ok(()) => Recovered::Ran,
            Err(why) => Recovered::Unhealthy(why),
        },
        Running::Stopped | Running::Unknown => start(&owed.instance, cancel)?,
    };
    if cancel.is_requested() && matches!(outcome, Recovered::Unhealthy(_)) {
        return Err(ControlError::Interrupted);
    }
    rejoined?;
    journal.clear()?;
    Ok(outcome)
}

/// Starts it. One attempt may fail for what passes: a port that the stopping node has not let go of yet, or a start by
/// somebody else at the same moment. Health decides, not the exit code.
fn start(instance: &Instance, cancel: &Cancel) -> Result<Recovered, ControlError> {
    let mut attempt = 1;
    loop {
        let started = Service::of(instance)?.begin_start()?.wait(START_LIMIT);
        let patience = if started.is_ok() { HEALTH_LIMIT } else { ATTEMPT_PAUSE };
        match (started, health::wait(instance, patience, cancel)) {
            (Err(_), Err(_)) if attempt < ATTEMPTS && !cancel.is_requested() => attempt += 1,
            (started, healthy) => {
                let healthy = health::verdict(instance, started, healthy)?;
                return Ok(healthy.map_or_else(Recovered::Unhealthy, |()| Recovered::Started));
            }
        }
    }
}

/// Waits until it can be told whether it must be started.
fn comes_to_rest(owed: &Owed, cancel: &Cancel) -> Running {
    let since = Instant::now();
    loop {
        // A stop or start that the dead run began goes on without it: two at once would be in each other's way.
        if proc::is_being_controlled(&owed.instance) && since.elapsed() < START_LIMIT && !cancel.is_requested() {
            std::thread::sleep(POLL);
            continue;
        }
        let running = proc::look(&owed.instance).running();
        let patience = match (owed.phase, running) {
            // The stop was under way: it comes to rest, or was never told. Ports are let go of last.
            (Phase::Stopping, Running::Running) | (_, Running::Unknown) => SETTLE,
            // The start was under way: give it time to show itself.
            (Phase::Starting, Running::Stopped) => APPEAR,
            _ => Duration::ZERO,
        };
        if since.elapsed() >= patience || cancel.is_requested() {
            return running;
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::dss::control::instance::Owner;

    #[test]
    fn a_node_that_was_only_taken_out_of_rotation_is_put_back_and_never_started() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().canonicalize().unwrap().join("data");
        std::fs::create_dir(&data_dir).unwrap();
        let owner = Owner { uid: rustix::process::geteuid().as_raw(), name: "dataiku".to_owned() };
        let program = "bin/dss".to_owned();
        let instance =
            Instance { data_dir: data_dir.clone(), owner, base_port: None, is_api: true, program, unit: None };
        std::fs::create_dir(data_dir.join("bin")).unwrap();
        let program = "#!/bin/sh\ntouch \"$(dirname \"$0\")/called\"\n";
        std::fs::write(instance.program(), program).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(instance.program(), mode).unwrap();
        rotation::leave(&data_dir).unwrap();
        let journal = StopJournal::of(dir.path(), &instance);
        journal.write(&instance, Phase::Leaving, Timestamp { seconds: 5, nanos: 0 }, true).unwrap();
        assert_eq!(recover(&journal, &Cancel::default()).unwrap(), Recovered::Rejoined);
        assert!(!rotation::is_out(&data_dir) && journal.read().unwrap().is_none());
        assert!(!data_dir.join("bin/called").exists());
    }
}
