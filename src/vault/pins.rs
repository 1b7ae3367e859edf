//! Pins: snapshots that no policy drops, with the reason and maybe an end.

use crate::base::clock::Timestamp;
use crate::base::id::SnapshotId;
use crate::repo::error::SnapshotLookup;
use crate::repo::journal::Entry;
use crate::repo::journal::entry::Pin;
use crate::repo::{RepoError, Repository};
use crate::vault::{VaultError, forget};

/// Bytes of a reason at most: every entry of the journal is read by every command.
const REASON_BYTES_MAX: usize = 1000;

/// Pins a snapshot that is not forgotten. A pin it had is replaced.
pub fn pin(repository: &Repository, id: SnapshotId, reason: &str, until: Option<Timestamp>) -> Result<(), VaultError> {
    let request = |what: String, hint: &str| Err(VaultError::Request { what, hint: Some(hint.to_owned()) });
    if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control) {
        let what = format!("a reason has 1 to {REASON_BYTES_MAX} bytes and no control characters");
        return request(what, "say in a sentence why it must be kept");
    }
    if let Some(until) = until.filter(|until| *until <= repository.seams.clock.now()) {
        return request(format!("{until} is past"), "give a time to come, or none for ever");
    }
    let pin = Pin { note: reason.to_owned(), until };
    repository.journal().append(&repository.secrets, &*repository.seams.clock, |state| {
        if state.is_forgotten(&id) {
            return Err(RepoError::Snapshot(SnapshotLookup::None(id.to_string())));
        }
        Ok((state.pins.get(&id) != Some(&pin)).then(|| Entry::Pin(id, pin.clone())))
    })?;
    Ok(())
}

/// Takes pins off: of the snapshots whose id begins like that. Gives their ids.
pub fn unpin(repository: &Repository, wanted: &[String]) -> Result<Vec<SnapshotId>, VaultError> {
    let mut found = Default::default();
    repository.journal().append(&repository.secrets, &*repository.seams.clock, |state| {
        found = forget::among(state.pins.keys(), wanted, SnapshotLookup::NonePinned)?;
        Ok((!found.is_empty()).then(|| Entry::Unpin(found.iter().copied().collect())))
    })?;
    Ok(found.into_iter().collect())
}
