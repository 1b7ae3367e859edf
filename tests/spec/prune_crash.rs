//! A prune that is cut, torn or lied to at its nth call to the store, for every n, loses nothing: what is kept comes
//! back, check finds no fault, and the next prune finishes the work.

use std::path::PathBuf;
use std::sync::Arc;

use dssvault::base::id::SnapshotId;
use dssvault::base::object::ObjectKind;
use dssvault::storage::Storage;
use dssvault::storage::testing::{Fault, Faulty, MemoryStore};

use crate::machine::{Machine, at_once, found_in, noise};

/// A repository of three snapshots, one of them forgotten, whose packs hold much that only that one needs.
struct Scene {
    machine: Machine,
    store: MemoryStore,
    /// Kept snapshots and copies of their sources.
    kept: Vec<(SnapshotId, PathBuf)>,
    gone: SnapshotId,
    /// Stored bytes of packs when all is done.
    packs_left: u64,
}

impl Scene {
    fn new() -> Self {
        let machine = Machine::new();
        let store = MemoryStore::new();
        found_in(&store);
        let shared: Arc<dyn Storage> = Arc::new(store.clone());
        machine.write("stays/a.bin", &noise(1, 300_000));
        machine.write("goes/b.bin", &noise(2, 900_000));
        machine.write("goes/c.json", b"{\"c\": 1}\n");
        let gone = machine.back_up(&shared, &machine.folders).unwrap().snapshot.unwrap();
        std::fs::remove_dir_all(machine.source().join("goes")).unwrap();
        let mut kept = Vec::new();
        for (number, name) in [(3, "first"), (4, "second")] {
            machine.write(&format!("new/{name}.bin"), &noise(number, 200_000));
            let id = machine.back_up(&shared, &machine.folders).unwrap().snapshot.unwrap();
            kept.push((id, machine.copy_source(name)));
        }
        machine.forget(&shared, gone);
        let mut scene = Self { machine, store, kept, gone, packs_left: 0 };
        let whole = scene.store.fork();
        let all: Arc<dyn Storage> = Arc::new(whole.clone());
        let folders = scene.machine.folders_like(&scene.machine.folders, "whole");
        let report = scene.machine.prune(&all, &folders, &at_once()).unwrap();
        assert!(report.deleted.bytes > 900_000 && report.repacked.count > 0, "{report:?}");
        scene.packs_left = pack_bytes(&all);
        scene.require_sound(&all, &folders, Fault::Once(0));
        scene
    }

    /// Prunes through the fault, then without it. Whether the fault struck.
    fn survives(&self, fault: Fault, thoroughly: bool) -> bool {
        let inner = self.store.fork();
        let shared: Arc<dyn Storage> = Arc::new(inner.clone());
        let folders = self.machine.folders_like(&self.machine.folders, "faulted");
        let faulty = Faulty::new(Arc::clone(&shared), fault);
        let outcome = self.machine.prune(&(Arc::new(faulty.clone()) as Arc<dyn Storage>), &folders, &at_once());
        assert!(faulty.has_struck() || outcome.is_ok(), "{fault:?}: {:?}", outcome.err());

        self.require_sound(&shared, &folders, fault);
        let again = self.machine.prune(&shared, &folders, &at_once());
        again.unwrap_or_else(|why| panic!("{fault:?}: the next prune failed: {why}"));
        if thoroughly {
            // A second one finds nothing: what the first left half done it finished.
            let third = self.machine.prune(&shared, &folders, &at_once()).unwrap();
            assert_eq!((third.deleted.count, third.marked.count), (0, 0), "{fault:?}: {third:?}");
            self.require_sound(&shared, &folders, fault);
        }
        let left = pack_bytes(&shared);
        assert!(
            left <= self.packs_left + self.packs_left / 10,
            "{fault:?}: {left} bytes instead of {}",
            self.packs_left
        );
        let journal = self.machine.open(&shared).unwrap().journal().load().unwrap();
        assert!(journal.packs.doomed.is_empty() && journal.segments.doomed.is_empty(), "{fault:?}");
        for folder in [folders.cache, folders.state] {
            std::fs::remove_dir_all(folder).unwrap();
        }
        faulty.has_struck()
    }

    /// Every kept snapshot comes back, with the cache that met the fault and with a new one.
    fn require_sound(&self, store: &Arc<dyn Storage>, folders: &dssvault::vault::context::Folders, fault: Fault) {
        let report = self.machine.check(store, folders).unwrap();
        assert!(report.is_clean(), "{fault:?}: {:?}", report.findings);
        let snapshots = self.machine.snapshots(store);
        for (id, copy) in &self.kept {
            let (_, manifest) = snapshots.iter().find(|(found, _)| found == id).expect("a kept snapshot is there");
            let misses = self.machine.misses(store, folders, manifest, copy);
            assert_eq!(misses, Vec::<String>::new(), "{fault:?}: snapshot {id}");
        }
        let journal = self.machine.open(store).unwrap().journal().load().unwrap();
        assert!(journal.is_forgotten(&self.gone));
    }

    fn survives_at_every_call(&self, fault: impl Fn(usize) -> Fault) {
        let struck = (1..).take_while(|nth| self.survives(fault(*nth), nth % 8 == 0)).count();
        assert!(struck > 60, "a prune makes more than {struck} calls");
    }
}

fn pack_bytes(store: &Arc<dyn Storage>) -> u64 {
    store.list(ObjectKind::Pack).unwrap().iter().map(|entry| entry.bytes).sum()
}

#[test]
fn a_power_cut_at_any_call_loses_nothing() {
    Scene::new().survives_at_every_call(Fault::From);
}

#[test]
fn any_single_call_may_fail() {
    Scene::new().survives_at_every_call(Fault::Once);
}

#[test]
fn the_answer_to_any_call_may_be_lost() {
    Scene::new().survives_at_every_call(Fault::LostAnswer);
}
