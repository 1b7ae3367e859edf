//! The snapshots of a repository, as far as copying asks: of what each is a copy, and which stands nearest in time.

use std::collections::{BTreeMap, HashMap};

use crate::base::clock::Timestamp;
use crate::base::id::{NodeId, RepositoryId, SnapshotId};
use crate::repo::Repository;
use crate::repo::snapshot::{self, Manifest, Origin};
use crate::vault::VaultError;
use crate::vault::browse::{self, Filter, Seen, Which};

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its id in this repository.
    pub id: SnapshotId,
    /// The node it is of.
    pub node: NodeId,
    /// The node's label.
    pub label: String,
    /// The time it shows.
    pub time: Timestamp,
    /// What it is a copy of, or itself.
    pub origin: Origin,
    /// Whether it was forgotten, and not purged.
    pub forgotten: bool,
    /// Whether the filter means it.
    pub matches: bool,
}

/// Where a snapshot stands among those of its node.
type Spot = (NodeId, Timestamp, SnapshotId);

/// All that count. Some hundred bytes for each.
#[derive(Default)]
pub struct Inventory {
    held: BTreeMap<Spot, Held>,
    by_origin: HashMap<(RepositoryId, SnapshotId), Spot>,
    /// Object and reason.
    pub unreadable: Vec<(String, String)>,
}

impl Inventory {
    /// Reads all manifests, forgotten ones too.
    pub fn read(repository: &Repository, filter: &Filter) -> Result<Self, VaultError> {
        let mut inventory = Self::default();
        for which in [Which::Shown, Which::Forgotten] {
            browse::each_of(repository, which, |Seen { id, received, manifest, .. }| match manifest {
                Ok(manifest) => {
                    let own = Origin { repository: repository.id(), snapshot: id, received };
                    inventory.add(Held::new(id, &manifest, own, which == Which::Forgotten, filter));
                }
                Err(error) => inventory.unreadable.push((snapshot::name(&id).to_string(), error.to_string())),
            })?;
        }
        Ok(inventory)
    }

    /// Takes a snapshot in. Of several copies of one, a shown one counts.
    pub fn add(&mut self, held: Held) {
        let spot = (held.node, held.time, held.id);
        let known = self.by_origin.get(&held.origin.key()).and_then(|spot| self.held.get(spot));
        if known.is_none_or(|known| known.forgotten) {
            self.by_origin.insert(held.origin.key(), spot);
        }
        self.held.insert(spot, held);
    }

    /// The snapshot that is, or is a copy of, this one.
    pub fn copy_of(&self, origin: &Origin) -> Option<&Held> {
        self.held.get(self.by_origin.get(&origin.key())?)
    }

    /// All, node by node and oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    /// The shown snapshot of a node that is nearest before this time, or else nearest behind it, among those that
    /// `fit`.
    pub fn neighbour(&self, node: NodeId, time: Timestamp, fits: impl Fn(&Held) -> bool) -> Option<&Held> {
        let (first, last) = (SnapshotId::from_bytes([0; 16]), SnapshotId::from_bytes([0xff; 16]));
        let counts = |held: &&Held| held.node == node && !held.forgotten && fits(held);
        let spot = (node, time, last);
        let before = self.held.range(..=spot).rev().take_while(|((other, ..), _)| *other == node);
        let behind = self.held.range((node, time, first)..).take_while(|((other, ..), _)| *other == node);
        before.map(|(_, held)| held).find(&counts).or_else(|| behind.map(|(_, held)| held).find(&counts))
    }
}

impl Held {
    fn new(id: SnapshotId, manifest: &Manifest, own: Origin, forgotten: bool, filter: &Filter) -> Self {
        Self {
            id,
            node: manifest.node,
            label: manifest.label.clone(),
            time: manifest.time,
            origin: manifest.origin.unwrap_or(own),
            forgotten,
            matches: filter.matches(manifest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(id: u8, node: u8, seconds: i64) -> Held {
        let id = SnapshotId::from_bytes([id; 16]);
        let time = Timestamp { seconds, nanos: 0 };
        let origin = Origin { repository: RepositoryId::from_bytes([9; 16]), snapshot: id, received: time };
        let node = NodeId::from_bytes([node; 16]);
        Held { id, node, label: String::new(), time, origin, forgotten: false, matches: true }
    }

    fn near(inventory: &Inventory, node: u8, seconds: i64) -> Option<u8> {
        let time = Timestamp { seconds, nanos: 0 };
        let found = inventory.neighbour(NodeId::from_bytes([node; 16]), time, |_| true);
        found.map(|held| held.id.as_bytes()[0])
    }

    #[test]
    fn the_neighbour_is_the_last_one_before_or_else_the_first_behind_and_never_of_another_node() {
        let mut inventory = Inventory::default();
        for held in [held(1, 1, 10), held(2, 1, 20), held(3, 2, 15), held(4, 1, 30)] {
            inventory.add(held);
        }
        assert_eq!(near(&inventory, 1, 25), Some(2));
        assert_eq!(near(&inventory, 1, 20), Some(2));
        assert_eq!(near(&inventory, 1, 5), Some(1));
        assert_eq!(near(&inventory, 2, 99), Some(3));
        assert_eq!(near(&inventory, 3, 15), None);
    }

    #[test]
    fn forgotten_copies_are_known_but_nothing_is_built_on_them() {
        let mut inventory = Inventory::default();
        let forgotten = Held { forgotten: true, ..held(1, 1, 10) };
        inventory.add(forgotten.clone());
        assert_eq!(near(&inventory, 1, 25), None);
        assert_eq!(inventory.copy_of(&forgotten.origin), Some(&forgotten));
        let again = Held { id: SnapshotId::from_bytes([7; 16]), forgotten: false, ..forgotten };
        inventory.add(again.clone());
        assert_eq!(inventory.copy_of(&again.origin), Some(&again));
    }
}
