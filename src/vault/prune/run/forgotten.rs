//! Snapshots that are out of the way: those forgotten long enough ago, and those that cannot be read.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::id::SnapshotId;
use crate::repo::RepoError;
use crate::repo::error::SnapshotLookup;
use crate::repo::journal::{Entry, State};
use crate::repo::snapshot;
use crate::vault::prune::marks;
use crate::vault::prune::run::Prune;
use crate::vault::{VaultError, forget};

impl Prune<'_> {
    /// Sets snapshots aside that cannot be read. One that can be is refused: what it needs is known.
    pub(super) fn quarantine(&self) -> Result<(), VaultError> {
        if self.options.quarantine.is_empty() || self.options.dry_run {
            return Ok(());
        }
        let stored: Vec<SnapshotId> = snapshot::list(self.repository)?.into_iter().map(|stored| stored.id).collect();
        for id in forget::among(stored.iter(), &self.options.quarantine, SnapshotLookup::None)? {
            match snapshot::load(self.repository, &id) {
                Err(error @ RepoError::Damaged { .. }) => {
                    let entry = Entry::Quarantine(id, error.to_string());
                    let is_new = |state: &State| !state.quarantined.contains_key(&id);
                    marks::append(self.repository, |state| is_new(state).then(|| entry.clone()))?;
                }
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    return Err(VaultError::Request {
                        what: format!("snapshot {id} can be read, so it is not set aside"),
                        hint: Some("`dssvault forget` takes it out of the history".to_owned()),
                    });
                }
            }
        }
        Ok(())
    }

    pub(super) fn purge(&self) -> Result<Vec<SnapshotId>, VaultError> {
        let until = before(self.now(), self.options.undo_window);
        if self.options.dry_run {
            let mut due = marks::due(&*self.repository.journal().load()?, until);
            if self.options.undo_window.is_zero() {
                due.extend(&self.options.as_forgotten);
            }
            return Ok(due);
        }
        Ok(marks::purge(self.repository, until)?)
    }
}

fn before(time: Timestamp, span: Duration) -> Timestamp {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    Timestamp { seconds: time.seconds.saturating_sub(seconds), nanos: time.nanos }
}
