//! Carrying out one step. Every one may be repeated: a run may have been killed in the middle of it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::dss::control::evidence::Running;
use crate::dss::control::instance::Instance;
use crate::dss::control::service::{START_LIMIT, STOP_LIMIT, Service};
use crate::dss::control::{health, proc};
use crate::dss::datadir::DataDir;
use crate::dss::datadir::host::Host;
use crate::dss::migrate::error::MigrateError;
use crate::dss::migrate::step::{Act, By, Plan, Step};
use crate::dss::migrate::{aside, configure, quiet};
use crate::dss::restore::kit_version;
use crate::sys::process;
use crate::sys::small_file;

/// The installer and the programs that install on top take minutes; one that takes longer waits for something.
const PROGRAM_LIMIT: Duration = Duration::from_hours(2);
/// A child that keeps failing is given up by the supervisor within this time (DSS docs and kit: look again after 15 s).
const SETTLE: Duration = Duration::from_secs(15);
/// Where the installer notes the place it attached the directory to, as the last thing it does.
const EXPECTED_HOME: &str = "install-support/expected-dip-home.txt";
const POLL: Duration = Duration::from_millis(200);

/// What a step is carried out with.
pub struct Tools<'t> {
    /// The plan it is part of.
    pub plan: &'t Plan,
    /// `pip freeze` of the built-in environment.
    pub packages: Option<&'t str>,
    /// How long it is waited for its health.
    pub health_limit: Duration,
    /// Ends waiting.
    pub cancel: &'t Cancel,
}

impl Tools<'_> {
    /// Carries out a step, which is not that of restoring. `Ok(Err)`: it was started and does not answer.
    pub fn perform(&self, step: &Step) -> Result<Result<(), String>, MigrateError> {
        let data_dir = &self.plan.data_dir;
        let failed = |why: String| MigrateError::Step { step: step.name.clone(), why };
        let told = |error: std::io::Error| failed(error.to_string());
        match &step.act {
            Act::Restore | Act::Advice => {}
            Act::Configure { settings } => configure::set(data_dir, settings).map_err(told)?,
            Act::QuietScenarios => {
                quiet::scenarios_off(data_dir).map_err(told)?;
            }
            Act::SetPythonAside => aside::set_aside(data_dir, self.packages).map_err(told)?,
            Act::Attach { command } => {
                self.run(command, step.by).map_err(failed)?;
                self.is_attached().map_err(failed)?;
            }
            Act::Run { command } => self.run(command, step.by).map_err(failed)?,
            Act::Start => return self.start(),
            Act::Stop => self.stop()?,
        }
        Ok(Ok(()))
    }

    fn run(&self, words: &[String], by: By) -> Result<(), String> {
        let Some((program, arguments)) = words.split_first() else { return Err("it names no program".to_owned()) };
        self.wait_for_orphan(words);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let account = by == By::Account && rustix::process::geteuid().is_root();
        let mut command = if account {
            process::as_account(&self.plan.account, Path::new(program), &arguments)
        } else {
            let mut command = Command::new(program);
            command.args(arguments).current_dir("/");
            command
        };
        let finished = process::run(&mut command, PROGRAM_LIMIT).map_err(|error| format!("{program}: {error}"))?;
        if finished.is_success() {
            return Ok(());
        }
        let how = finished.status.map_or_else(|| "it did not end".to_owned(), |status| status.to_string());
        Err(format!("`{}` failed ({how}): {}", process::line(words), finished.output))
    }

    /// A program that a killed run of ours had begun goes on without it; two at once would be in each other's way.
    fn wait_for_orphan(&self, words: &[String]) {
        let since = Instant::now();
        let Some(program) = words.iter().find(|word| word.starts_with('/') && !word.ends_with("/env")) else { return };
        let named = [Path::new(program), self.plan.data_dir.as_path()];
        while proc::is_run_by_somebody(&named) && since.elapsed() < PROGRAM_LIMIT && !self.cancel.is_requested() {
            std::thread::sleep(POLL);
        }
    }

    /// Its exit code alone proves nothing (measured).
    fn is_attached(&self) -> Result<(), String> {
        let Plan { data_dir, kit_version: kit, .. } = self.plan;
        let home = small_file::read(&data_dir.join(EXPECTED_HOME), 1 << 16).map_err(|error| error.to_string())?;
        let home = String::from_utf8_lossy(&home).trim().to_owned();
        if Path::new(&home) != data_dir {
            return Err(format!("the installer ended well, and the directory says that it lives in {home}"));
        }
        match kit_version(data_dir) {
            Some(version) if version.to_string() == *kit => Ok(()),
            other => Err(format!(
                "the installer ended well, and the directory says version {} instead of {kit}",
                other.map_or_else(|| "nothing".to_owned(), |version| version.to_string())
            )),
        }
    }

    fn instance(&self) -> Result<Instance, MigrateError> {
        let DataDir { root, facts } = DataDir::open(&self.plan.data_dir, &Host::new(None))?;
        let mut instance = Instance::new(&root, &facts);
        instance.base_port = instance.base_port.or(self.plan.port);
        Ok(instance)
    }

    fn start(&self) -> Result<Result<(), String>, MigrateError> {
        let instance = self.instance()?;
        let started = match proc::look(&instance).running() {
            // A killed run had started it.
            Running::Running => Ok(()),
            _ => Service::of(&instance)?.begin_start()?.wait(START_LIMIT),
        };
        match (started, health::wait(&instance, self.health_limit, self.cancel)) {
            (_, Ok(())) => {}
            (Ok(()), Err(why)) => return Ok(Err(why)),
            (Err(error), Err(_)) => return Err(error.into()),
        }
        let since = Instant::now();
        while since.elapsed() < SETTLE && !self.cancel.is_requested() {
            std::thread::sleep(POLL);
        }
        Ok(health::wait(&instance, Duration::ZERO, self.cancel).map_err(|why| format!("it answered, and then: {why}")))
    }

    /// Stops it if it runs.
    pub fn stop(&self) -> Result<(), MigrateError> {
        let instance = self.instance()?;
        match proc::look(&instance).running() {
            Running::Stopped => Ok(()),
            _ => Ok(Service::of(&instance)?.stop(STOP_LIMIT)?),
        }
    }
}
