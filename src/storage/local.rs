//! A repository in a local (or mounted) directory.

use std::path::{Path, PathBuf};

use crate::base::object::{ObjectKind, ObjectName};
use crate::storage::{ObjectEntry, Staged, Storage, StorageError};

/// A directory as a store.
pub struct LocalStore {
    root: PathBuf,
}

impl LocalStore {
    /// The store rooted at `root`; nothing is touched yet.
    pub fn new(root: impl AsRef<Path>) -> Self {
        Self { root: root.as_ref().to_owned() }
    }
}

impl Storage for LocalStore {
    fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        unimplemented!("helper: storage")
    }
    fn get(&self, _name: &ObjectName, _limit: u64) -> Result<Vec<u8>, StorageError> {
        unimplemented!("helper: storage")
    }
    fn get_range(&self, _name: &ObjectName, _offset: u64, _length: usize) -> Result<Vec<u8>, StorageError> {
        unimplemented!("helper: storage")
    }
    fn list(&self, _kind: ObjectKind) -> Result<Vec<ObjectEntry>, StorageError> {
        unimplemented!("helper: storage")
    }
    fn delete(&self, _name: &ObjectName) -> Result<(), StorageError> {
        unimplemented!("helper: storage")
    }
    fn location(&self) -> String {
        self.root.display().to_string()
    }
}
