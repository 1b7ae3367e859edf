//! Stopping and starting a node by whoever owns it: its systemd unit, else `bin/dss` as its account. The docs forbid to
//! mix the two.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::dss::control::error::ControlError;
use crate::dss::control::evidence::{Evidence, Running};
use crate::dss::control::instance::Instance;
use crate::dss::control::proc;
use crate::sys::process::{self, Started, as_account};

/// `bin/dss stop` waits 20 s for the supervisor and then gives up, though it may still be stopping (kit); so does the
/// unit's default.
pub const STOP_LIMIT: Duration = Duration::from_secs(120);
/// `bin/dss start` waits up to 140 s for the back end (kit).
pub const START_LIMIT: Duration = Duration::from_secs(300);
/// How often it is looked whether it has stopped.
const POLL: Duration = Duration::from_millis(100);

/// A node's on and off switch.
#[derive(Debug, Clone)]
pub struct Service<'i> {
    instance: &'i Instance,
}

impl<'i> Service<'i> {
    /// The switch of a node, if it is there and this account may use it.
    pub fn of(instance: &'i Instance) -> Result<Self, ControlError> {
        let uid = rustix::process::geteuid().as_raw();
        if uid == 0 || (uid == instance.owner.uid && instance.unit.is_none()) {
            let program = instance.program();
            if instance.unit.is_none() && program.try_exists().is_ok_and(|there| !there) {
                return Err(ControlError::NoProgram { data_dir: instance.data_dir.clone(), program });
            }
            return Ok(Self { instance });
        }
        Err(ControlError::NotAllowed { data_dir: instance.data_dir.clone(), owner: instance.owner.name.clone() })
    }

    /// Stops it and proves that it has stopped. What the program says is not believed: it may say "failed" of a node
    /// that stops a moment later, and "not running" of one that runs.
    pub fn stop(&self, limit: Duration) -> Result<(), ControlError> {
        let since = Instant::now();
        let (mut command, shown) = self.command("stop");
        let said = process::run(&mut command, limit)
            .map_err(|source| ControlError::Spawn { command: shown.clone(), source })?;
        let mut evidence = proc::look(self.instance);
        while evidence.running() != Running::Stopped && since.elapsed() < limit && said.is_success() {
            std::thread::sleep(POLL);
            evidence = proc::look(self.instance);
        }
        // One that said it failed gets a moment too: it may still be stopping.
        let grace = Instant::now();
        while evidence.running() != Running::Stopped && !said.is_success() && grace.elapsed() < Duration::from_secs(15)
        {
            std::thread::sleep(POLL);
            evidence = proc::look(self.instance);
        }
        match evidence.running() {
            Running::Stopped => Ok(()),
            _ if said.is_success() => Err(self.still_running(since.elapsed(), evidence)),
            _ => Err(failed(shown, &said)),
        }
    }

    fn still_running(&self, waited: Duration, evidence: Evidence) -> ControlError {
        ControlError::StillRunning { data_dir: self.instance.data_dir.clone(), seconds: waited.as_secs(), evidence }
    }

    /// Tells it to start; does not wait.
    pub fn begin_start(&self) -> Result<Starting, ControlError> {
        let (mut command, shown) = self.command("start");
        match process::start(&mut command) {
            Ok(started) => Ok(Starting { started, shown }),
            Err(source) => Err(ControlError::Spawn { command: shown, source }),
        }
    }

    /// The command for a verb, and how one would type it.
    fn command(&self, verb: &str) -> (Command, String) {
        let Instance { unit, owner, .. } = self.instance;
        let program = self.instance.program();
        let as_root = rustix::process::geteuid().is_root();
        match unit {
            Some(unit) => (plain(Path::new("systemctl"), &[verb, unit]), format!("systemctl {verb} {unit}")),
            None if as_root && owner.uid != 0 => {
                let shown = format!("runuser -l {} -c '{} {verb}'", owner.name, program.display());
                (as_account(&owner.name, &program, &[verb]), shown)
            }
            None => (plain(&program, &[verb]), format!("{} {verb}", program.display())),
        }
    }
}

fn plain(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/");
    command
}

/// A node that was told to start.
pub struct Starting {
    started: Started,
    shown: String,
}

impl Starting {
    /// Waits for the program to end, at most until `limit` after its start.
    pub fn wait(self, limit: Duration) -> Result<(), ControlError> {
        let Self { started, shown } = self;
        let said = match started.wait(limit) {
            Ok(said) => said,
            Err(source) => return Err(ControlError::Spawn { command: shown, source }),
        };
        if said.is_success() { Ok(()) } else { Err(failed(shown, &said)) }
    }
}

fn failed(command: String, said: &process::Finished) -> ControlError {
    let how = match said.status {
        Some(status) => status.to_string(),
        None => "it did not end in time".to_owned(),
    };
    let output = if said.output.is_empty() { "it said nothing".to_owned() } else { said.output.clone() };
    ControlError::Program { command, how, output }
}
