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
    /// `job`, `scenario`, `task` or `notebook`.
    pub kind: String,
    /// The project it belongs to.
    pub project: Option<String>,
    /// Its id in DSS.
    pub id: String,
    /// How it was found: the API, a process, a job folder.
    pub found_by: String,
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
