//! The run-book of a migration, and what became of its steps.

use std::path::PathBuf;

use serde::Serialize;

use crate::base::id::SnapshotId;
use crate::cli::exit::Outcome;
use crate::cli::output::View;
use crate::cli::text::{self, printable};
use crate::dss::migrate::{By, MigrateReport, Offered, Plan, START, STOP, State, Step};
use crate::sys::process::line;

/// The plan with what became of it.
#[derive(Debug, Serialize)]
pub struct MigrateView {
    message_type: &'static str,
    dry_run: bool,
    snapshot_id: SnapshotId,
    data_dir: PathBuf,
    kit: PathBuf,
    account: String,
    port: Option<u16>,
    install_id: Option<String>,
    drill: bool,
    resumed: bool,
    kept: Option<PathBuf>,
    steps: Vec<StepView>,
    files_restored: Option<u64>,
    bytes_restored: Option<u64>,
    healthy: Option<bool>,
    unhealthy_because: Option<String>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct StepView {
    name: String,
    does: String,
    command: Option<Vec<String>>,
    by: By,
    offered: Option<Offered>,
    outcome: Option<State>,
}

impl MigrateView {
    /// The view of a report.
    pub fn new(snapshot_id: SnapshotId, dry_run: bool, report: MigrateReport) -> Self {
        let MigrateReport { plan, states, resumed, files, kept, healthy } = report;
        let state = |name: &str| states.iter().find(|(step, _)| step == name).map(|(_, state)| *state);
        let steps = plan.steps.iter().map(|step| StepView::new(step, state(&step.name))).collect();
        let Plan { data_dir, account, kit, install_id, port, drill, warnings, .. } = plan;
        Self {
            message_type: "summary",
            dry_run,
            snapshot_id,
            data_dir,
            kit,
            account,
            port,
            install_id,
            drill,
            resumed,
            kept,
            steps,
            files_restored: files.as_ref().map(|files| files.files),
            bytes_restored: files.as_ref().map(|files| files.bytes),
            healthy: healthy.as_ref().map(Result::is_ok),
            unhealthy_because: healthy.and_then(Result::err),
            warnings,
        }
    }

    /// How the command ends.
    pub fn outcome(&self) -> Outcome {
        if self.healthy == Some(false) { Outcome::Unhealthy } else { Outcome::Clean }
    }

    /// What there was to do, and is done.
    fn told(&self) -> String {
        let mut text = String::new();
        for step in self.steps.iter().filter(|step| step.outcome != Some(State::Left)) {
            let skipped = if step.outcome == Some(State::Skipped) { " (left out)" } else { "" };
            text.push_str(&format!("done: {}{skipped}\n", printable(step.does.as_bytes())));
        }
        if let Some(kept) = &self.kept {
            text.push_str(&format!("the directory that was there is kept as {}\n", text::path(kept)));
        }
        let left: Vec<&StepView> = self.steps.iter().filter(|step| step.outcome == Some(State::Left)).collect();
        if !left.is_empty() {
            text.push_str("left for you:\n");
            left.iter().for_each(|step| text.push_str(&step.text("  ")));
        }
        text.push_str(&self.ending());
        text
    }

    /// What is there now, told by what became of the steps.
    fn ending(&self) -> String {
        let is_done = |name: &str| {
            let mut steps = self.steps.iter();
            steps.any(|step| step.name == name && step.outcome == Some(State::Done))
        };
        let (data_dir, started, stopped) = (text::path(&self.data_dir), is_done(START), is_done(STOP));
        let why = printable(self.unhealthy_because.as_deref().unwrap_or("nobody knows why").as_bytes());
        match (self.drill, started, self.healthy == Some(true), stopped) {
            (true, false, _, _) => {
                format!("the copy is in {data_dir} and was not started; remove it when you have looked\n")
            }
            (true, true, true, true) => format!(
                "the copy in {data_dir} started, answered, and is stopped again; remove it when you have looked\n"
            ),
            (true, true, true, false) => {
                format!("the copy in {data_dir} started, answers, and goes on running: stop it before you remove it\n")
            }
            (true, true, false, true) => {
                format!("the copy in {data_dir} was started and does not answer: {why}; it is stopped\n")
            }
            (true, true, false, false) => format!(
                "the copy in {data_dir} was started and does not answer: {why}; it was not stopped: do that before you \
                 remove it\n"
            ),
            (false, true, true, _) => format!("the node in {data_dir} was started and answers\n"),
            (false, true, false, _) => format!("the node in {data_dir} was started and does not answer: {why}\n"),
            (false, false, _, _) => format!("the node is in {data_dir} and is not started\n"),
        }
    }
}

impl StepView {
    fn new(step: &Step, outcome: Option<State>) -> Self {
        Self {
            name: step.name.clone(),
            does: step.says.clone(),
            command: step.command().map(<[String]>::to_vec),
            by: step.by,
            offered: step.offered,
            outcome,
        }
    }

    /// Its sentence, and below it what one would type.
    fn text(&self, indent: &str) -> String {
        let mut text = format!("{indent}{}", printable(self.does.as_bytes()));
        text.push_str(match self.offered {
            Some(Offered::Root) => " (needs root)",
            Some(Offered::Internet) => " (needs the internet)",
            Some(Offered::Hand) | None => "",
        });
        text.push('\n');
        if let Some(command) = &self.command {
            let who = if self.by == By::Root { '#' } else { '$' };
            text.push_str(&format!("{indent}  {who} {}\n", line(command)));
        }
        text
    }
}

impl View for MigrateView {
    fn text(&self) -> String {
        if !self.dry_run {
            return self.told();
        }
        let mut text = String::new();
        for (number, step) in self.steps.iter().enumerate() {
            let whose = if step.offered.is_some() { "  (yours)" } else { "" };
            text.push_str(&format!("{:>2}. {}{whose}\n", number + 1, printable(step.name.as_bytes())));
            text.push_str(&step.text("    "));
        }
        text.push_str(&format!(
            "commands behind `$` are run as {}, those behind `#` as root; `--all-steps` takes yours too where it can\n\
             dry run: nothing was done\n",
            printable(self.account.as_bytes())
        ));
        text
    }
}
