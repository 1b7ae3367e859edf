//! The stop journal: what a node is owed. Written and synced before it is stopped, removed after it runs again, so
//! that whoever comes next (the guard, `dssvault resume`, the next run) knows that it must be started.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::clock::Timestamp;
use crate::dss::control::error::ControlError;
use crate::dss::control::instance::{Instance, key_of};
use crate::sys::durable;

/// How far a stop window has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It runs, and is being taken out of rotation.
    Leaving,
    /// It was told to stop, or is about to be.
    Stopping,
    /// It was proven stopped.
    Stopped,
    /// It was told to start.
    Starting,
}

/// A node that must be started again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Owed {
    /// The node.
    pub instance: Instance,
    /// How far it came.
    pub phase: Phase,
    /// When it was told to stop: seconds after 1970.
    pub since: i64,
    /// The process that stopped it.
    pub pid: u32,
    /// Whether it was taken out of rotation, and must be put back.
    #[serde(default)]
    pub out_of_rotation: bool,
}

/// The journal of one node, a file in the state folder of this machine: never in a cache, which may be deleted, nor in
/// the data directory, which a restore replaces.
#[derive(Debug, Clone)]
pub struct StopJournal {
    path: PathBuf,
}

impl StopJournal {
    /// The journal of a node.
    pub fn of(state: &Path, instance: &Instance) -> Self {
        Self::for_dir(state, &instance.data_dir)
    }

    /// The journal of the node in this directory, given without links.
    pub fn for_dir(state: &Path, data_dir: &Path) -> Self {
        Self::at(folder(state).join(format!("{}.json", key_of(data_dir))))
    }

    /// The journal in this file.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes, durably, that a node is owed a start.
    pub fn write(
        &self,
        instance: &Instance,
        phase: Phase,
        since: Timestamp,
        out_of_rotation: bool,
    ) -> Result<(), ControlError> {
        let (since, pid) = (since.seconds, std::process::id());
        let owed = Owed { instance: instance.clone(), phase, since, pid, out_of_rotation };
        let written = durable::write_json(&self.path, &owed);
        written.map_err(|error| ControlError::local("write the stop journal", &self.path, error))
    }

    /// What is owed; `None` if nothing is. A journal nobody can read is an error: somebody must look.
    pub fn read(&self) -> Result<Option<Owed>, ControlError> {
        durable::read_json(&self.path).map_err(|error| ControlError::local("read the stop journal", &self.path, error))
    }

    /// The node runs again.
    pub fn clear(&self) -> Result<(), ControlError> {
        durable::remove(&self.path).map_err(|error| ControlError::local("remove the stop journal", &self.path, error))
    }
}

/// Every node that is owed a start on this machine.
pub fn all_owed(state: &Path) -> Result<Vec<StopJournal>, ControlError> {
    let folder = folder(state);
    match std::fs::read_dir(&folder) {
        Ok(listed) => {
            let paths = listed.flatten().map(|entry| entry.path());
            Ok(paths.filter(|path| path.extension().is_some_and(|ext| ext == "json")).map(StopJournal::at).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(ControlError::local("list", folder, error)),
    }
}

fn folder(state: &Path) -> PathBuf {
    state.join("stops")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dss::control::instance::Owner;

    fn instance() -> Instance {
        let owner = Owner { uid: 1000, name: "dataiku".to_owned() };
        Instance {
            data_dir: "/data/dss".into(),
            owner,
            base_port: Some(11000),
            is_api: false,
            program: "bin/dss".to_owned(),
            unit: None,
        }
    }

    #[test]
    fn what_is_owed_is_read_back_until_it_is_cleared() {
        let state = tempfile::tempdir().unwrap();
        let journal = StopJournal::of(state.path(), &instance());
        assert_eq!(journal.read().unwrap(), None);
        let now = Timestamp { seconds: 5, nanos: 0 };
        journal.write(&instance(), Phase::Stopping, now, true).unwrap();
        journal.write(&instance(), Phase::Stopped, now, false).unwrap();
        let owed = journal.read().unwrap().unwrap();
        assert_eq!((owed.phase, owed.since, &owed.instance), (Phase::Stopped, 5, &instance()));
        assert_eq!(all_owed(state.path()).unwrap().len(), 1);
        journal.clear().unwrap();
        journal.clear().unwrap();
        assert_eq!((journal.read().unwrap(), all_owed(state.path()).unwrap().len()), (None, 0));
    }

    #[test]
    fn a_journal_of_before_there_was_a_rotation_is_understood() {
        let owed = serde_json::json!({"instance": instance(), "phase": "stopped", "since": 5, "pid": 7});
        let owed: Owed = serde_json::from_value(owed).unwrap();
        assert!(!owed.out_of_rotation);
    }

    #[test]
    fn a_damaged_journal_is_not_taken_for_none() {
        let state = tempfile::tempdir().unwrap();
        let journal = StopJournal::of(state.path(), &instance());
        std::fs::create_dir_all(journal.path().parent().unwrap()).unwrap();
        std::fs::write(journal.path(), "{").unwrap();
        assert!(matches!(journal.read(), Err(ControlError::Local { .. })));
    }
}
