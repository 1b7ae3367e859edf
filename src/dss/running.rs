//! Whether DSS runs, and what it is doing: the shape of the answer. `control` looks for it; a data directory alone
//! cannot tell.

use serde::{Deserialize, Serialize};

use crate::dss::control;

/// Whether DSS runs. Never concluded from one sign alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Some part of it does.
    Running,
    /// Proven to be stopped.
    Stopped,
    /// The signs contradict each other, or could not be read.
    Unknown,
}

/// One sign and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where was looked: `processes`, `ports`, `locks`, `status`, …
    pub sign: String,
    /// What it says by itself.
    pub says: RunState,
    /// What was seen, for people.
    pub detail: String,
}

/// The answer with everything it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The answer.
    pub state: RunState,
    /// The signs.
    pub evidence: Vec<Evidence>,
}

/// A piece of work that stopping DSS would kill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningJob {
    /// What it is.
    pub kind: WorkKind,
    /// The project it belongs to.
    pub project: Option<String>,
    /// Its id in DSS.
    pub id: String,
    /// How it was found.
    pub found_by: FoundBy,
}

/// Kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    /// A job: datasets being built.
    Job,
    /// A scenario.
    Scenario,
    /// Any other long task.
    Task,
    /// The kernel of a notebook. These live for weeks (DSS docs, operations/processes): nobody waits for them.
    Notebook,
}

/// Who told of a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// DSS itself, asked with a key.
    Api,
    /// Its folder, in which files change.
    JobFolder,
}

impl std::fmt::Display for RunningJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            WorkKind::Job => "job",
            WorkKind::Scenario => "scenario",
            WorkKind::Task => "task",
            WorkKind::Notebook => "notebook",
        };
        let project = self.project.as_ref().map(|project| format!(" of {project}")).unwrap_or_default();
        write!(f, "{kind} {}{project}", self.id)
    }
}

impl From<&control::Evidence> for Running {
    fn from(seen: &control::Evidence) -> Self {
        let state = match seen.running() {
            control::Running::Running => RunState::Running,
            control::Running::Stopped => RunState::Stopped,
            control::Running::Unknown => RunState::Unknown,
        };
        Self { state, evidence: seen.signals.iter().map(Evidence::from).collect() }
    }
}

impl From<&control::Signal> for Evidence {
    fn from(signal: &control::Signal) -> Self {
        let (sign, says) = match signal {
            control::Signal::Process { .. } => ("processes", RunState::Running),
            control::Signal::Port { .. } => ("ports", RunState::Unknown),
            control::Signal::Lock { .. } => ("locks", RunState::Running),
            control::Signal::Hidden { .. } | control::Signal::Unreadable { .. } => ("unseen", RunState::Unknown),
        };
        Self { sign: sign.to_owned(), says, detail: signal.to_string() }
    }
}
