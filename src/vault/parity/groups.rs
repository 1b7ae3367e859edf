//! The parity groups of a store.

use std::collections::{BTreeMap, HashMap};

use crate::base::id::{PackId, ParityId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::repo::RepoError;
use crate::repo::parity::{Shape, Table, object};
use crate::storage::{Storage, StorageError};
use crate::vault::VaultError;

/// A group, without the hashes of its shards: a few kilobytes each.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name.
    pub id: ParityId,
    /// Its packs, and how many may be lost.
    pub shape: Shape,
    /// Stored sizes of its objects, by part.
    pub parts: BTreeMap<u16, u64>,
}

impl Group {
    /// Stored bytes.
    pub fn bytes(&self) -> u64 {
        self.parts.values().sum()
    }

    /// Objects that are not there, or have another size than they must have.
    pub fn unfit(&self) -> Vec<u16> {
        let is_fit = |part: &u16| self.parts.get(part) == Some(&object::stored_bytes(&self.shape, *part));
        (0..=self.shape.recovery).filter(|part| !is_fit(part)).collect()
    }

    /// Whether every object of it is there.
    pub fn is_complete(&self) -> bool {
        self.unfit().is_empty()
    }

    /// Its table, from the first object that still has it.
    pub fn table(&self, storage: &dyn Storage) -> Result<Table, RepoError> {
        table(storage, self.id, &self.parts)
    }
}

/// What is found in `parity/`.
#[derive(Debug, Default)]
pub struct Groups {
    /// Groups whose table could be read, by name.
    pub known: Vec<Group>,
    /// Objects of groups no table of which can be read, and why.
    pub unreadable: BTreeMap<ParityId, (Vec<ObjectName>, String)>,
}

impl Groups {
    /// Reads the table of every group. Objects of another form of name are left alone.
    pub fn load(storage: &dyn Storage) -> Result<Self, VaultError> {
        let mut listed: BTreeMap<ParityId, BTreeMap<u16, u64>> = BTreeMap::new();
        for entry in storage.list(ObjectKind::Parity)? {
            if let Some((group, part)) = object::parse_name(&entry.name) {
                listed.entry(group).or_default().insert(part, entry.bytes);
            }
        }
        let mut groups = Self::default();
        for (id, parts) in listed {
            match table(storage, id, &parts) {
                Ok(table) => groups.known.push(Group { id, shape: table.shape, parts }),
                Err(fault @ RepoError::TooNew { .. }) => return Err(fault.into()),
                Err(RepoError::Storage(fault @ StorageError::Io { .. })) => return Err(fault.into()),
                Err(fault) => {
                    let names = parts.keys().map(|part| object::name(id, *part)).collect();
                    groups.unreadable.insert(id, (names, fault.to_string()));
                }
            }
        }
        Ok(groups)
    }

    /// In which complete groups each pack is.
    pub fn coverage(&self) -> HashMap<PackId, Vec<usize>> {
        let mut covered: HashMap<PackId, Vec<usize>> = HashMap::new();
        for (number, group) in self.known.iter().enumerate().filter(|(_, group)| group.is_complete()) {
            for member in group.shape.packs() {
                covered.entry(member.pack).or_default().push(number);
            }
        }
        covered
    }
}

/// The description alone has the table at less cost, so it is asked first.
fn table(storage: &dyn Storage, id: ParityId, parts: &BTreeMap<u16, u64>) -> Result<Table, RepoError> {
    let mut failure = RepoError::damaged(&object::name(id, 0), "it is missing");
    for (part, bytes) in parts {
        match object::read_table(storage, &object::name(id, *part), *bytes) {
            Ok(table) => return Ok(table),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Deletes all objects of a group. The description goes last: what a crash leaves is known for a part of a group.
pub fn delete(
    storage: &dyn Storage,
    id: ParityId,
    parts: impl DoubleEndedIterator<Item = u16>,
) -> Result<(), StorageError> {
    parts.rev().try_for_each(|part| storage.delete(&object::name(id, part)))
}
