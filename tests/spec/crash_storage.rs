//! A backup that is cut, torn or lied to at its nth call to the store, for every n, harms nothing: the repository
//! stays sound, what was committed before comes back, what is committed comes back whole, and the next backup works.

use std::path::PathBuf;
use std::sync::Arc;

use dssvault::base::id::SnapshotId;
use dssvault::storage::Storage;
use dssvault::storage::testing::{Fault, Faulty, MemoryStore};
use dssvault::vault::context::Folders;

use crate::machine::{Machine, found_in, noise};

/// A repository with one snapshot, and the source edited since.
struct Scene {
    machine: Machine,
    store: MemoryStore,
    first: SnapshotId,
    before: PathBuf,
    after: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let machine = Machine::new();
        machine.write("config/a.json", b"{\"a\": 1}\n");
        machine.write("config/b.json", b"{\"b\": 2}\n");
        machine.write("data/large.bin", &noise(1, 1_500_000));
        machine.write("data/text.csv", "1,2,3\n".repeat(20_000).as_bytes());
        let before = machine.copy_source("before");
        let store = MemoryStore::new();
        found_in(&store);
        let report = machine.back_up(&shared(&store), &machine.folders).unwrap();
        machine.write("config/b.json", b"{\"b\": 3}\n");
        machine.write("data/new.bin", &noise(2, 1_200_000));
        machine.write("data/deeper/still.txt", b"new");
        std::fs::remove_file(machine.source().join("config/a.json")).unwrap();
        let after = machine.copy_source("after");
        Self { machine, store, first: report.snapshot.unwrap(), before, after }
    }

    /// Backs up through the fault, from where the first snapshot left everything, and proves that nothing is lost.
    /// Whether the fault struck.
    fn survives(&self, fault: Fault) -> bool {
        let inner = self.store.fork();
        let folders = self.machine.folders_like(&self.machine.folders, "faulted");
        let faulty = Faulty::new(shared(&inner), fault);

        let outcome = self.machine.back_up(&(Arc::new(faulty.clone()) as Arc<dyn Storage>), &folders);

        let committed = self.require_sound(&inner, &folders, fault);
        if let Ok(report) = &outcome {
            assert!(committed.contains(&report.snapshot.unwrap()), "{fault:?}: success without a snapshot");
        } else if !is_for_good(fault) {
            assert_eq!(committed, [self.first], "{fault:?}: a snapshot was committed, and the backup said it was not");
        }
        assert!(faulty.has_struck() || outcome.is_ok(), "{fault:?}: {:?}", outcome.err());
        let retried = self.machine.back_up(&shared(&inner), &folders);
        let retried = retried.unwrap_or_else(|why| panic!("{fault:?}: the next backup failed: {why}"));
        assert!(self.require_sound(&inner, &folders, fault).contains(&retried.snapshot.unwrap()), "{fault:?}");
        std::fs::remove_dir_all(folders.cache).unwrap();
        std::fs::remove_dir_all(folders.state).unwrap();
        faulty.has_struck()
    }

    /// The committed snapshots; each comes back, and check finds no fault, with the cache that met the fault.
    fn require_sound(&self, store: &MemoryStore, folders: &Folders, fault: Fault) -> Vec<SnapshotId> {
        let store = shared(store);
        let report = self.machine.check(&store, folders).unwrap();
        assert!(report.is_clean(), "{fault:?}: {:?}", report.findings);
        let snapshots = self.machine.snapshots(&store);
        assert!(snapshots.iter().any(|(id, _)| *id == self.first), "{fault:?}: the first snapshot is gone");
        for (id, manifest) in &snapshots {
            let copy = if *id == self.first { &self.before } else { &self.after };
            let misses = self.machine.misses(&store, folders, manifest, copy);
            assert_eq!(misses, Vec::<String>::new(), "{fault:?}: snapshot {id}");
        }
        snapshots.into_iter().map(|(id, _)| id).collect()
    }

    /// Strikes at every call in turn, until a backup makes fewer calls than that.
    fn survives_at_every_call(&self, fault: impl Fn(usize) -> Fault) {
        let struck = (1..).take_while(|nth| self.survives(fault(*nth))).count();
        assert!(struck > 20, "a backup makes more than {struck} calls");
    }
}

/// Whether the store stays unreachable, so that nobody can ask it what became of a call.
fn is_for_good(fault: Fault) -> bool {
    matches!(fault, Fault::From(_) | Fault::Tear(_))
}

fn shared(store: &MemoryStore) -> Arc<dyn Storage> {
    Arc::new(store.clone())
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
fn any_call_may_be_torn() {
    Scene::new().survives_at_every_call(Fault::Tear);
}

#[test]
fn the_answer_to_any_call_may_be_lost() {
    Scene::new().survives_at_every_call(Fault::LostAnswer);
}
