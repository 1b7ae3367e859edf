//! Gathering what is wrong, from several threads, without repeats.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::base::object::ObjectName;
use crate::base::progress::{Event, Progress};
use crate::repo::RepoError;
use crate::vault::check::{Finding, Kind};

/// Findings so far. Each is also told to the progress when it is new.
pub struct Findings<'a> {
    progress: &'a dyn Progress,
    found: Mutex<BTreeSet<Finding>>,
}

impl<'a> Findings<'a> {
    /// None yet.
    pub fn new(progress: &'a dyn Progress) -> Self {
        Self { progress, found: Mutex::default() }
    }

    /// Something a restore will miss, or bytes that are not those that were stored.
    pub fn damage(&self, kind: Kind, object: impl ToString, cause: impl ToString) {
        self.add(Finding { kind, object: object.to_string(), cause: cause.to_string(), damage: true });
    }

    /// Something odd that no restore will miss.
    pub fn warning(&self, kind: Kind, object: impl ToString, cause: impl ToString) {
        self.add(Finding { kind, object: object.to_string(), cause: cause.to_string(), damage: false });
    }

    /// Everything found, sorted.
    pub fn into_sorted(self) -> Vec<Finding> {
        self.found.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
    }

    fn add(&self, finding: Finding) {
        let path = Path::new(&finding.object).to_owned();
        let cause = finding.cause.clone();
        let new = self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(finding);
        if new {
            self.progress.on(Event::Problem { path: &path, cause: &cause });
        }
    }
}

/// Why reading `name` failed, without repeating its name where the error begins with it.
pub fn cause_for(name: &ObjectName, error: &RepoError) -> String {
    let prefix = format!("{name} is damaged: ");
    let text = error.to_string();
    text.strip_prefix(&prefix).map_or(text.clone(), str::to_owned)
}
