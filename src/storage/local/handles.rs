//! A few dozen open objects: restoring asks for many ranges of few packs, and opening costs more than reading.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::object::ObjectName;

/// How many stay open: more than the threads of a restore, far less than a process may have.
const HANDLES_MAX: usize = 48;

/// An open object. Objects never change, so its size stays true.
pub(super) struct Handle {
    pub(super) file: File,
    pub(super) bytes: u64,
}

/// The most recently used objects, the latest last.
#[derive(Default)]
pub(super) struct Handles(Mutex<Vec<(ObjectName, Arc<Handle>)>>);

impl Handles {
    pub(super) fn get(&self, name: &ObjectName) -> Option<Arc<Handle>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The one wanted is nearly always among the last.
        let position = open.iter().rposition(|(known, _)| known == name)?;
        let entry = open.remove(position);
        let handle = Arc::clone(&entry.1);
        open.push(entry);
        Some(handle)
    }

    pub(super) fn keep(&self, name: &ObjectName, handle: Arc<Handle>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(known, _)| known != name);
        if open.len() >= HANDLES_MAX {
            open.remove(0);
        }
        open.push((name.clone(), handle));
    }

    pub(super) fn forget(&self, name: &ObjectName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| known != name);
    }
}
