//! Which packs a store holds, as themselves and mended, and where to read each.

use std::collections::{BTreeMap, HashSet};

use crate::base::id::PackId;
use crate::base::object::{ObjectKind, ObjectName};
use crate::repo::pack::{copies, reader};
use crate::repo::parity::Shape;
use crate::storage::{Storage, StorageError};

/// Stored sizes by name.
#[derive(Debug, Default, Clone)]
pub struct StoredPacks {
    /// Of `packs/`.
    pub packs: BTreeMap<PackId, u64>,
    /// Of `mended/`.
    pub mended: BTreeMap<PackId, u64>,
    /// Packs known to be damaged, whose mended copy is to be read.
    pub spoilt: HashSet<PackId>,
}

impl StoredPacks {
    /// Lists both folders.
    pub fn list(storage: &dyn Storage) -> Result<Self, StorageError> {
        let sizes = |kind| -> Result<BTreeMap<PackId, u64>, StorageError> {
            let listed = storage.list(kind)?;
            Ok(listed.iter().filter_map(|entry| Some((entry.name.text().parse().ok()?, entry.bytes))).collect())
        };
        Ok(Self { packs: sizes(ObjectKind::Pack)?, mended: sizes(ObjectKind::Mended)?, spoilt: HashSet::new() })
    }

    /// Whether anything is stored under the pack's name.
    pub fn has(&self, pack: &PackId) -> bool {
        self.packs.contains_key(pack) || self.mended.contains_key(pack)
    }

    /// Every pack, with the size of what would be read.
    pub fn all(&self) -> BTreeMap<PackId, u64> {
        let mut all = self.mended.clone();
        all.extend(self.packs.iter().filter(|(pack, _)| !self.reads_mended(pack)));
        all
    }

    /// Where to read a pack; nowhere if it is not stored.
    pub fn source(&self, pack: &PackId) -> Option<ObjectName> {
        match self.reads_mended(pack) {
            true => Some(copies::mended_name(*pack)),
            false => self.packs.contains_key(pack).then(|| reader::name(*pack)),
        }
    }

    /// Where to read each pack of a group.
    pub fn sources(&self, shape: &Shape) -> Vec<Option<ObjectName>> {
        shape.members.iter().map(|member| self.source(&member.pack).filter(|_| !member.is_hole())).collect()
    }

    fn reads_mended(&self, pack: &PackId) -> bool {
        self.mended.contains_key(pack) && (self.spoilt.contains(pack) || !self.packs.contains_key(pack))
    }
}
