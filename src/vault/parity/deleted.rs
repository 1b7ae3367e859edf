//! Which packs were deleted on purpose, as far as that can be known without a key.
//!
//! Entries of the journal are plain and owner-signed. Which owner is the right one only a key slot can tell, so every
//! owner that a configuration names is believed here: what rests on it is whether a missing pack is worth mending,
//! and nothing is ever deleted for it.

use std::collections::HashSet;

use crate::base::id::PackId;
use crate::base::object::ObjectKind;
use crate::codec::sign::SigningPublic;
use crate::repo::RepoError;
use crate::repo::config::Survey;
use crate::repo::format::object_bytes_max;
use crate::repo::journal::{Entry, Record};
use crate::repo::plain::{self, Unverified};
use crate::storage::{ObjectEntry, Storage, StorageError};
use crate::vault::VaultError;

/// What the journal says of deleted packs.
#[derive(Debug, Default)]
pub struct Deleted {
    /// Doomed now: they do not exist for anybody, whether they are still stored or not.
    pub doomed: HashSet<PackId>,
    /// Doomed at any time.
    pub ever: HashSet<PackId>,
    /// Why some of the journal could not be read.
    pub doubt: Option<String>,
}

impl Deleted {
    /// Whether a pack that is not there was taken away on purpose.
    pub fn explains(&self, pack: &PackId) -> bool {
        self.ever.contains(pack)
    }

    /// Reads every entry alone: a chain that is broken somewhere still tells what was doomed elsewhere.
    pub fn read(storage: &dyn Storage) -> Result<Self, VaultError> {
        let mut deleted = Self::default();
        let owners = match Survey::read(storage) {
            Ok(survey) => survey.authorities(),
            Err(RepoError::Storage(fault @ StorageError::Io { .. })) => return Err(fault.into()),
            Err(fault) => {
                deleted.doubt = Some(fault.to_string());
                return Ok(deleted);
            }
        };
        let mut entries = storage.list(ObjectKind::Journal)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let mut expected = None;
        for entry in &entries {
            let number = entry.name.number();
            if expected.is_some() && number != expected {
                deleted.doubt = Some(format!("an entry is missing before {}", entry.name));
            }
            expected = number.map(|number| number + 1);
            match read(storage, &owners, entry) {
                Ok(record) => deleted.apply(record),
                Err(RepoError::Storage(fault @ StorageError::Io { .. })) => return Err(fault.into()),
                Err(fault) => deleted.doubt = Some(fault.to_string()),
            }
        }
        Ok(deleted)
    }

    fn apply(&mut self, record: Record) {
        match record.entry {
            Entry::Checkpoint(facts) => {
                self.doomed = facts.packs.doomed.keys().copied().collect();
                self.ever.extend(&self.doomed);
            }
            Entry::Doom(objects) => {
                self.ever.extend(&objects.packs);
                self.doomed.extend(objects.packs);
            }
            Entry::Swept(objects) => {
                objects.packs.iter().for_each(|pack| _ = self.doomed.remove(pack));
                self.ever.extend(objects.packs);
            }
            _ => {}
        }
    }
}

fn read(
    storage: &dyn Storage,
    owners: &[(crate::base::id::RepositoryId, SigningPublic)],
    entry: &ObjectEntry,
) -> Result<Record, RepoError> {
    let stored = storage.get(&entry.name, object_bytes_max(ObjectKind::Journal))?;
    let frame = Unverified::parse(&entry.name, &stored)?;
    let mut body = Err(RepoError::damaged(&entry.name, "no owner is known who could have signed it"));
    for (repository, owner) in owners {
        body = frame.verify(owner, *repository);
        if body.is_ok() {
            break;
        }
    }
    plain::decode_body(&entry.name, body?)
}
