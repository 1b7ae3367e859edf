//! How far a migration has come: written and synced around every step, so that the same command goes on where a run
//! ended, however it ended.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::dss::control::instance::key_of;
use crate::dss::migrate::error::MigrateError;
use crate::dss::migrate::step::Plan;
use crate::sys::durable;

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was begun; nobody knows how far it came.
    Begun,
    /// It is done.
    Done,
    /// It was left out on demand.
    Skipped,
    /// It is left to a person.
    Left,
    /// What it made is of no use and is being removed; then it is done again.
    Doomed,
}

/// A migration under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The snapshot, as text.
    pub snapshot: String,
    /// What was asked for: a run that asks for something else is another one.
    pub asked: String,
    /// The plan as it was made before anything had changed.
    pub plan: Plan,
    /// Names of steps with what became of them, in order.
    pub states: Vec<(String, State)>,
    /// The directory that was there before and is kept, once it was replaced.
    #[serde(default)]
    pub kept: Option<PathBuf>,
    /// Whether it answered after its start, once it was started.
    #[serde(default)]
    pub healthy: Option<Result<(), String>>,
}

impl Progress {
    /// What became of a step.
    pub fn state(&self, name: &str) -> Option<State> {
        self.states.iter().find(|(step, _)| step == name).map(|(_, state)| *state)
    }

    /// Notes what became of it.
    pub fn set(&mut self, name: &str, state: State) {
        match self.states.iter_mut().find(|(step, _)| step == name) {
            Some((_, known)) => *known = state,
            None => self.states.push((name.to_owned(), state)),
        }
    }

    /// Forgets everything from a step on: it will be done again.
    pub fn back_to(&mut self, name: &str) {
        let from = self.states.iter().position(|(step, _)| step == name).unwrap_or(self.states.len());
        self.states.truncate(from);
    }
}

/// The journal of one place, a file in the state folder of this machine.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The journal of the node that comes to this directory.
    pub fn of(state: &Path, data_dir: &Path) -> Self {
        Self { path: state.join("migrations").join(format!("{}.json", key_of(data_dir))) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is under way there.
    pub fn read(&self) -> Result<Option<Progress>, MigrateError> {
        durable::read_json(&self.path).map_err(MigrateError::local("read the journal", &self.path))
    }

    /// Writes it down, durably.
    pub fn write(&self, progress: &Progress) -> Result<(), MigrateError> {
        durable::write_json(&self.path, progress).map_err(MigrateError::local("write the journal", &self.path))
    }

    /// It is over.
    pub fn clear(&self) -> Result<(), MigrateError> {
        durable::remove(&self.path).map_err(MigrateError::local("remove the journal", &self.path))
    }
}
