//! Taking the steps of a plan, one after the other, with the journal around each: from any moment on the same command goes
//! on. What may have changed since the plan was made is looked at again right before it matters.

use std::cell::RefCell;

use crate::base::id::SnapshotId;
use crate::base::progress::Event;
use crate::dss::control::ControlError;
use crate::dss::datadir::markers;
use crate::dss::migrate::MigrateOptions;
use crate::dss::migrate::error::MigrateError;
use crate::dss::migrate::files::Files;
use crate::dss::migrate::journal::{Journal, Progress, State};
use crate::dss::migrate::perform::Tools;
use crate::dss::migrate::source::Source;
use crate::dss::migrate::step::{Act, Offered, Plan, Step};
use crate::dss::migrate::{conditions, files, ground, plan};
use crate::dss::restore::databases;
use crate::postgres::restore::Ready;
use crate::repo::Repository;
use crate::repo::snapshot::Manifest;
use crate::vault::Context;
use crate::vault::restore::RestoreReport;

/// What an installer says of a snapshot that was made in the middle of an upgrade nobody knows.
const OF_THE_SNAPSHOT: &str = "the snapshot itself is of an upgrade that died half way, which the installer rolls back \
     first: look at DSS-MIGRATION-IN-PROGRESS.json and what it names, mend that, and give the same command again; or take \
     an earlier snapshot";

/// A migration at work.
pub struct Attended<'a> {
    pub repository: &'a Repository,
    pub manifest: &'a Manifest,
    pub snapshot: SnapshotId,
    pub source: &'a Source,
    pub options: &'a MigrateOptions,
    pub databases: &'a [Ready<'a>],
    pub context: Context<'a>,
    pub journal: &'a Journal,
    /// The restore of the files, if it was done in this run.
    pub restored: RefCell<Option<RestoreReport>>,
}

impl Attended<'_> {
    /// Takes every step that is not done. A copy for a drill does not go on running after an error.
    pub fn steps(&self, progress: &mut Progress) -> Result<(), MigrateError> {
        let went = self.begin_again(progress).and_then(|()| self.all(progress));
        went.map_err(|error| self.stop_copy(progress, error))
    }

    /// An installer that was cut short in a migration may have left neither the old nor the new configuration. It was
    /// restored by us, and so it is restored again; unless it was restored like that.
    fn begin_again(&self, progress: &mut Progress) -> Result<(), MigrateError> {
        let tools = self.tools(&progress.plan);
        if progress.state(plan::ATTACH) == Some(State::Begun) && progress.state(plan::RESTORE) == Some(State::Done) {
            if let Some(words) = progress.plan.step(plan::ATTACH).and_then(Step::command) {
                // The killed run's installer may still be at it.
                tools.wait_for_orphan(plan::ATTACH, words)?;
            }
            let was_so = markers::migration_unfinished(&self.source.facts.markers);
            if files::has_broken_migration(&progress.plan.data_dir) && !was_so {
                tools.still_stopped(plan::ATTACH)?;
                progress.set(plan::RESTORE, State::Doomed);
                self.journal.write(progress)?;
            }
        }
        if progress.state(plan::RESTORE) == Some(State::Doomed) {
            self.tools(&progress.plan).still_stopped(plan::RESTORE)?;
            files::discard(&progress.plan)?;
            progress.back_to(plan::RESTORE);
            self.journal.write(progress)?;
        }
        Ok(())
    }

    fn all(&self, progress: &mut Progress) -> Result<(), MigrateError> {
        for step in progress.plan.steps.clone() {
            let is_over = matches!(progress.state(&step.name), Some(State::Done | State::Skipped));
            if is_over && !self.is_asked_again(&step, progress) {
                continue;
            }
            if self.context.cancel.is_requested() {
                return Err(ControlError::Interrupted.into());
            }
            if let Some(state) = self.left_out(&step, progress) {
                progress.set(&step.name, state);
                continue;
            }
            let begun_before = progress.state(&step.name) == Some(State::Begun);
            progress.set(&step.name, State::Begun);
            self.journal.write(progress)?;
            self.context.progress.on(Event::Step { does: &step.says });
            self.take(&step, progress, begun_before)?;
            progress.set(&step.name, State::Done);
            self.journal.write(progress)?;
        }
        Ok(())
    }

    /// A node that did not answer an earlier run may do so by now. The server of a drill went with its run.
    fn is_asked_again(&self, step: &Step, progress: &Progress) -> bool {
        if step.act == Act::Databases && progress.plan.drill {
            return progress.state(plan::STOP) != Some(State::Done);
        }
        let did_not_answer = matches!(progress.healthy, Some(Err(_)));
        step.act == Act::Start && did_not_answer && progress.state(plan::STOP) != Some(State::Done)
    }

    fn take(&self, step: &Step, progress: &mut Progress, begun_before: bool) -> Result<(), MigrateError> {
        let plan = progress.plan.clone();
        let tools = self.tools(&plan);
        match &step.act {
            Act::Restore => {
                let (report, kept) = self.files(&|| tools.still_stopped(&step.name)).bring(&plan, begun_before)?;
                *self.restored.borrow_mut() = report;
                progress.kept = kept;
                if plan.drill {
                    tools.leads_nowhere(&step.name)?;
                }
            }
            Act::Start => {
                self.may_start(&tools, step)?;
                progress.healthy = Some(tools.start(step)?);
            }
            Act::Attach { .. } => {
                tools.still_stopped(&step.name)?;
                tools.perform(step).map_err(|error| self.explained(error))?;
            }
            Act::Databases => {
                tools.still_stopped(&step.name)?;
                databases::restore(self.databases)?;
                databases::repoint(self.databases, &plan.data_dir)?;
            }
            Act::Configure { .. } | Act::QuietScenarios | Act::SetPythonAside => {
                tools.still_stopped(&step.name)?;
                tools.perform(step)?;
            }
            Act::Run { .. } | Act::Stop | Act::Advice => tools.perform(step)?,
        }
        Ok(())
    }

    /// Days may lie between the plan and this.
    fn may_start(&self, tools: &Tools<'_>, step: &Step) -> Result<(), MigrateError> {
        if tools.is_running(step)? {
            // A killed run had started it.
            return Ok(());
        }
        let original = ground::original(&tools.plan.data_dir, self.source);
        let taken = tools.plan.port.map(ground::taken).unwrap_or_default();
        conditions::may_start(self.source, tools.plan, original, &taken)
            .map_err(|why| MigrateError::step(&step.name, why))
    }

    fn explained(&self, error: MigrateError) -> MigrateError {
        match error {
            MigrateError::Step { step, why, .. } if markers::migration_unfinished(&self.source.facts.markers) => {
                MigrateError::Step { step, why, advice: Some(OF_THE_SNAPSHOT.to_owned()) }
            }
            error => error,
        }
    }

    /// Whatever went wrong: a copy that may have been started is stopped.
    fn stop_copy(&self, progress: &Progress, error: MigrateError) -> MigrateError {
        let may_run = matches!(progress.state(plan::START), Some(State::Begun | State::Done));
        // One that was begun has failed itself, and tells so.
        let is_over = progress.state(plan::STOP).is_some();
        if !progress.plan.drill || !may_run || is_over {
            return error;
        }
        let data_dir = progress.plan.data_dir.clone();
        match self.tools(&progress.plan).stop(plan::STOP) {
            Ok(()) => error,
            Err(why) => MigrateError::StillUp { data_dir, cause: Box::new(error), why: why.to_string() },
        }
    }

    fn files<'f>(&'f self, rest: &'f dyn Fn() -> Result<(), MigrateError>) -> Files<'f> {
        Files {
            repository: self.repository,
            manifest: self.manifest,
            snapshot: self.snapshot,
            source: self.source,
            verify: self.options.verify,
            context: self.context,
            rest,
        }
    }

    fn tools<'t>(&'t self, plan: &'t Plan) -> Tools<'t> {
        Tools {
            plan,
            packages: self.source.packages.as_deref(),
            health_limit: self.options.health_limit,
            cancel: self.context.cancel,
        }
    }

    /// Why a step is not taken, if it is not.
    fn left_out(&self, step: &Step, progress: &Progress) -> Option<State> {
        if self.options.skip.contains(&step.name) {
            return Some(State::Skipped);
        }
        let is_up = || progress.state(plan::START) == Some(State::Done) && progress.healthy == Some(Ok(()));
        let may_be_root = rustix::process::geteuid().is_root();
        match step.offered {
            _ if step.act == Act::Advice => Some(State::Left),
            _ if step.needs_node && !is_up() => Some(State::Left),
            None => None,
            Some(Offered::Hand) => Some(State::Left),
            Some(Offered::Root) if self.options.all_steps && may_be_root => None,
            Some(Offered::Internet) if self.options.all_steps => None,
            Some(_) => Some(State::Left),
        }
    }
}
