//! Carrying out one step. Every one may be repeated: a run may have been killed in the middle of it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::base::cancel::Cancel;
use crate::dss::control::evidence::Running;
use crate::dss::control::instance::{Instance, Owner};
use crate::dss::control::service::{START_LIMIT, STOP_LIMIT, Service};
use crate::dss::control::{ControlError, health, proc};
use crate::dss::datadir::DataDir;
use crate::dss::datadir::host::Host;
use crate::dss::datadir::install::INSTALLED_PATH;
use crate::dss::migrate::error::MigrateError;
use crate::dss::migrate::step::{Act, By, Plan, Step};
use crate::dss::migrate::{aside, configure, quiet};
use crate::dss::restore::{RestoreError, kit_version, ready};
use crate::sys::process;
use crate::sys::small_file;

/// The installer and the programs that install on top take minutes; one that takes longer waits for something.
const PROGRAM_LIMIT: Duration = Duration::from_hours(2);
/// A child that keeps failing is given up by the supervisor within this time (DSS docs and kit: look again after 15 s).
const SETTLE: Duration = Duration::from_secs(15);
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
    /// Carries out a step, which is neither one of restoring nor that of starting.
    pub fn perform(&self, step: &Step) -> Result<(), MigrateError> {
        let data_dir = &self.plan.data_dir;
        let failed = |why: String| MigrateError::step(&step.name, why);
        let told = |error: std::io::Error| failed(error.to_string());
        match &step.act {
            Act::Restore | Act::Databases | Act::Start | Act::Advice => {}
            Act::Configure { settings } => configure::set(data_dir, settings).map_err(told)?,
            Act::QuietScenarios => {
                quiet::scenarios_off(data_dir).map_err(told)?;
            }
            Act::SetPythonAside => aside::set_aside(data_dir, self.packages).map_err(told)?,
            Act::Attach { command } => {
                self.wait_for_orphan(&step.name, command)?;
                self.run(command, step.by).map_err(failed)?;
                self.is_attached().map_err(failed)?;
            }
            Act::Run { command } => {
                self.wait_for_orphan(&step.name, command)?;
                self.run(command, step.by).map_err(failed)?;
            }
            Act::Stop => self.stop(&step.name)?,
        }
        Ok(())
    }

    /// Whether a copy is alone with its files: what the installer and it wrote through a link would be production's.
    pub fn leads_nowhere(&self, step: &str) -> Result<(), MigrateError> {
        let opened = DataDir::open(&self.plan.data_dir, &Host::new(None));
        let copy = opened.map_err(|error| MigrateError::step(step, error))?;
        match copy.facts.links.iter().find(|link| link.exists != Some(false) && !link.is_only_read()) {
            Some(link) => Err(MigrateError::Step {
                step: step.to_owned(),
                why: format!("{} is a link to {}, where the copy would work too", link.path, link.leads_to),
                advice: Some("remove the link from the copy, and give the same command again".to_owned()),
            }),
            None => Ok(()),
        }
    }

    fn run(&self, words: &[String], by: By) -> Result<(), String> {
        let Some((program, arguments)) = words.split_first() else { return Err("it names no program".to_owned()) };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = if by == By::Account && rustix::process::geteuid().is_root() {
            process::command(&process::login_words(&self.plan.account, Path::new(program), &arguments))
        } else {
            process::command(words)
        };
        let finished = process::run(&mut command, PROGRAM_LIMIT).map_err(|error| format!("{program}: {error}"))?;
        if finished.is_success() {
            return Ok(());
        }
        let how = finished.status.map_or_else(|| "it did not end".to_owned(), |status| status.to_string());
        Err(format!("`{}` failed ({how}): {}", process::line(words), finished.output))
    }

    /// A program that a killed run of ours had begun goes on without it; two at once would be in each other's way.
    pub fn wait_for_orphan(&self, step: &str, words: &[String]) -> Result<(), MigrateError> {
        let since = Instant::now();
        let program = words.iter().find(|word| word.starts_with('/') && !word.ends_with("/env"));
        let Some(program) = program else { return Ok(()) };
        let named = [Path::new(program), self.plan.data_dir.as_path()];
        while proc::is_run_by_somebody(&named) {
            if since.elapsed() >= PROGRAM_LIMIT {
                return Err(MigrateError::step(step, format!("{program}, begun by an earlier run, does not end")));
            }
            if !self.cancel.rest(POLL) {
                return Err(ControlError::Interrupted.into());
            }
        }
        Ok(())
    }

    /// Its exit code alone proves nothing (measured).
    fn is_attached(&self) -> Result<(), String> {
        let Plan { data_dir, kit_version: kit, .. } = self.plan;
        let home = small_file::read(&data_dir.join(INSTALLED_PATH), 1 << 16).map_err(|error| error.to_string())?;
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

    fn instance(&self, step: &str) -> Result<Instance, MigrateError> {
        let opened = DataDir::open(&self.plan.data_dir, &Host::new(None));
        let DataDir { root, facts } = opened.map_err(|error| MigrateError::step(step, error))?;
        let mut instance = Instance::new(&root, &facts);
        instance.base_port = instance.base_port.or(self.plan.port);
        Ok(instance)
    }

    /// Proves that nothing runs in the directory, right before that is changed.
    pub fn still_stopped(&self, step: &str) -> Result<(), MigrateError> {
        ready::still_stopped(self.there().as_ref(), self.cancel).map_err(|error| match error {
            RestoreError::Control(ControlError::Interrupted) => ControlError::Interrupted.into(),
            why => {
                let (step, data_dir) = (step.to_owned(), self.plan.data_dir.clone());
                MigrateError::Runs { step, data_dir, why: why.to_string() }
            }
        })
    }

    /// What lies there, in whatever state: only to be looked at.
    fn there(&self) -> Option<Instance> {
        let data_dir = &self.plan.data_dir;
        let uid = data_dir.symlink_metadata().ok()?.uid();
        let mut instance = match DataDir::open(data_dir, &Host::new(None)) {
            Ok(DataDir { root, facts }) => Instance::new(&root, &facts),
            Err(_) => Instance {
                data_dir: data_dir.clone(),
                owner: Owner { uid, name: uid.to_string() },
                base_port: None,
                is_api: false,
                program: "bin/dss".to_owned(),
                unit: None,
            },
        };
        if !self.plan.replaces {
            // They may be those of the node this is a copy of, which may run.
            instance.base_port = None;
        }
        Some(instance)
    }

    /// Whether it runs already.
    pub fn is_running(&self, step: &Step) -> Result<bool, MigrateError> {
        Ok(proc::look(&self.instance(&step.name)?).running() == Running::Running)
    }

    /// Starts it, unless a killed run had done that. `Ok(Err)`: it was started and does not answer.
    pub fn start(&self, step: &Step) -> Result<Result<(), String>, MigrateError> {
        let failed = |error: ControlError| MigrateError::step(&step.name, error);
        let instance = self.instance(&step.name)?;
        let started = match proc::look(&instance).running() {
            Running::Running => Ok(()),
            _ => Service::of(&instance).and_then(|service| service.begin_start()).map_err(failed)?.wait(START_LIMIT),
        };
        let healthy = health::wait(&instance, self.health_limit, self.cancel);
        if let Err(why) = health::verdict(&instance, started, healthy).map_err(failed)? {
            return Ok(Err(why));
        }
        self.cancel.rest(SETTLE);
        Ok(health::wait(&instance, Duration::ZERO, self.cancel).map_err(|why| format!("it answered, and then: {why}")))
    }

    /// Stops it if it runs.
    pub fn stop(&self, step: &str) -> Result<(), MigrateError> {
        let instance = self.instance(step)?;
        match proc::look(&instance).running() {
            Running::Stopped => Ok(()),
            _ => Service::of(&instance)
                .and_then(|service| service.stop(STOP_LIMIT))
                .map_err(|error| MigrateError::step(step, error)),
        }
    }
}
