//! The swap journal: which directory is being exchanged entry by entry, and how far that came. Written and synced before
//! the first entry is moved, removed after the last: whoever comes next completes it or turns it round.

use std::path::{Path, PathBuf};

use crate::base::clock::Timestamp;
use crate::dss::control::error::ControlError;
use crate::dss::control::instance::{Instance, key_of};
use crate::sys::apply::Attributes;
use crate::sys::durable;

/// What is being done with the entries of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Those that are there are moved away. None of the new ones is there yet.
    Clearing,
    /// The new ones are moved in. None of the old ones is there any more.
    Filling,
}

/// What the directory itself has besides its entries.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Dress {
    /// Permission bits.
    pub mode: u32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time: seconds after 1970.
    pub mtime_seconds: i64,
    /// And nanoseconds.
    pub mtime_nanos: u32,
    /// Names and values of extended attributes, ACLs among them.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl From<Dress> for Attributes {
    fn from(dress: Dress) -> Self {
        Self {
            mode: dress.mode,
            uid: Some(dress.uid),
            gid: Some(dress.gid),
            mtime: Timestamp { seconds: dress.mtime_seconds, nanos: dress.mtime_nanos },
            xattrs: dress.xattrs,
        }
    }
}

/// An exchange that has begun.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Swap {
    /// The directory.
    pub data_dir: PathBuf,
    /// The snapshot, as the user names it.
    pub snapshot: String,
    /// The node that lay there, to prove that it does not run.
    pub instance: Option<Instance>,
    /// Where its entries go.
    pub clear_to: PathBuf,
    /// Where the new ones come from.
    pub fill_from: PathBuf,
    /// How far it came.
    pub phase: Phase,
    /// What the directory has while the old entries are in it.
    pub outgoing: Dress,
    /// What it has with the new ones.
    pub incoming: Dress,
}

impl Swap {
    /// The same the other way, from where it stands now.
    pub fn turned(self) -> Self {
        let phase = match self.phase {
            // Only old ones are there: the others come back to them.
            Phase::Clearing => Phase::Filling,
            Phase::Filling => Phase::Clearing,
        };
        Self {
            clear_to: self.fill_from,
            fill_from: self.clear_to,
            phase,
            outgoing: self.incoming,
            incoming: self.outgoing,
            ..self
        }
    }
}

/// The journal of one directory, a file in the state folder of this machine.
#[derive(Debug, Clone)]
pub struct SwapJournal {
    path: PathBuf,
}

impl SwapJournal {
    /// The journal of the directory, given without links.
    pub fn of(state: &Path, data_dir: &Path) -> Self {
        Self { path: state.join("swaps").join(format!("{}.json", key_of(data_dir))) }
    }

    /// Notes, durably, how far an exchange is about to come.
    pub fn write(&self, swap: &Swap) -> Result<(), ControlError> {
        let written = durable::write_json(&self.path, swap);
        written.map_err(|error| ControlError::local("write the swap journal", &self.path, error))
    }

    /// What has begun; `None` if nothing has. A journal nobody can read is an error: somebody must look.
    pub fn read(&self) -> Result<Option<Swap>, ControlError> {
        durable::read_json(&self.path).map_err(|error| ControlError::local("read the swap journal", &self.path, error))
    }

    /// It is done.
    pub fn clear(&self) -> Result<(), ControlError> {
        durable::remove(&self.path).map_err(|error| ControlError::local("remove the swap journal", &self.path, error))
    }
}

#[cfg(test)]
pub(in crate::dss) mod tests {
    use super::*;

    pub fn swap(data_dir: &Path) -> Swap {
        let dress = |mode| Dress {
            mode,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            mtime_seconds: i64::from(mode),
            mtime_nanos: 5,
            xattrs: Vec::new(),
        };
        Swap {
            data_dir: data_dir.to_owned(),
            snapshot: "ab".to_owned(),
            instance: None,
            clear_to: data_dir.join(".dssvault-before-ab"),
            fill_from: data_dir.join(".dssvault-restore-ab"),
            phase: Phase::Clearing,
            outgoing: dress(0o755),
            incoming: dress(0o711),
        }
    }

    #[test]
    fn what_was_begun_is_read_back_until_it_is_done() {
        let state = tempfile::tempdir().unwrap();
        let dir = Path::new("/data/dss");
        let journal = SwapJournal::of(state.path(), dir);
        assert_eq!(journal.read().unwrap(), None);
        let begun = Swap { phase: Phase::Filling, ..swap(dir) };
        journal.write(&begun).unwrap();
        assert_eq!(journal.read().unwrap(), Some(begun));
        journal.clear().unwrap();
        journal.clear().unwrap();
        assert_eq!(journal.read().unwrap(), None);
        std::fs::write(&journal.path, "{").unwrap();
        assert!(matches!(journal.read(), Err(ControlError::Local { .. })));
    }

    #[test]
    fn turned_twice_it_goes_on_as_before() {
        let begun = swap(Path::new("/data/dss"));
        let turned = begun.clone().turned();
        assert_eq!((&turned.fill_from, turned.phase), (&begun.clear_to, Phase::Filling));
        assert_eq!(turned.turned(), begun);
    }
}
