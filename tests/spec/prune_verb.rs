//! What `prune` deletes, what it leaves, and whom it waits for.

use std::sync::Arc;
use std::time::Duration;

use dssvault::base::clock::SystemClock;
use dssvault::base::hint::Hint;
use dssvault::base::id::{NodeId, PackId, SnapshotId};
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::RepoError;
use dssvault::repo::journal::{Entry, Objects, State};
use dssvault::repo::session::{Abandoned, Session, SessionStart, Standing};
use dssvault::repo::snapshot::{self, SnapshotRecord};
use dssvault::storage::Storage;
use dssvault::storage::testing::{Call, MemoryStore, Watched};
use dssvault::vault::prune::{PruneOptions, PruneReport, Unused};
use dssvault::vault::{VaultError, sealer};

use crate::machine::{Machine, at_once, found_in, noise};

const DAY: Duration = Duration::from_secs(86_400);

/// A repository with snapshots, and the machine that made them.
struct Scene {
    machine: Machine,
    memory: MemoryStore,
    store: Arc<dyn Storage>,
}

/// Nobody's session is ended, however old it looks: the store in memory has a clock of its own.
fn patient() -> PruneOptions {
    PruneOptions { fence_after: DAY * 36_500, ..at_once() }
}

impl Scene {
    fn new() -> Self {
        let memory = MemoryStore::new();
        found_in(&memory);
        Self { machine: Machine::new(), store: Arc::new(memory.clone()), memory }
    }

    fn back_up(&self) -> SnapshotId {
        self.machine.back_up(&self.store, &self.machine.folders).unwrap().snapshot.unwrap()
    }

    fn prune(&self, options: &PruneOptions) -> PruneReport {
        self.machine.prune(&self.store, &self.machine.folders, options).unwrap()
    }

    fn journal(&self) -> State {
        self.machine.open(&self.store).unwrap().journal().load().unwrap()
    }

    fn append(&self, entry: Entry) {
        let repository = self.machine.open(&self.store).unwrap();
        let decide = |_: &State| Ok(Some(entry.clone()));
        repository.journal().append(&repository.secrets, &SystemClock, decide).unwrap();
    }

    fn packs(&self) -> Vec<PackId> {
        let listed = self.store.list(ObjectKind::Pack).unwrap();
        listed.iter().map(|entry| entry.name.text().parse().unwrap()).collect()
    }

    fn names(&self, kind: ObjectKind) -> Vec<ObjectName> {
        self.store.list(kind).unwrap().into_iter().map(|entry| entry.name).collect()
    }

    /// Check finds no fault, and the snapshot comes back as the source is now.
    fn require_whole(&self, id: SnapshotId) {
        let report = self.machine.check(&self.store, &self.machine.folders).unwrap();
        assert!(report.is_clean(), "{:?}", report.findings);
        self.require_restorable(id);
    }

    fn require_restorable(&self, id: SnapshotId) {
        let repository = self.machine.open(&self.store).unwrap();
        let (_, SnapshotRecord::Committed(manifest)) = snapshot::load(&repository, &id).unwrap() else {
            panic!("{id} is no snapshot")
        };
        let misses = self.machine.misses(&self.store, &self.machine.folders, &manifest, &self.machine.source());
        assert_eq!(misses, Vec::<String>::new());
    }

    /// Two snapshots; the first, which holds a megabyte of its own, is forgotten.
    fn with_waste() -> (Self, SnapshotId, SnapshotId) {
        let scene = Self::new();
        scene.machine.write("kept.bin", &noise(1, 200_000));
        scene.machine.write("dropped.bin", &noise(2, 1_000_000));
        let first = scene.back_up();
        std::fs::remove_file(scene.machine.source().join("dropped.bin")).unwrap();
        let second = scene.back_up();
        scene.machine.forget(&scene.store, first);
        (scene, first, second)
    }
}

#[test]
fn what_was_forgotten_lately_is_kept_and_can_be_brought_back() {
    let (scene, first, second) = Scene::with_waste();
    let packs = scene.packs();
    let report = scene.prune(&PruneOptions { undo_window: 7 * DAY, ..patient() });
    assert_eq!((report.purged.len(), report.snapshots), (0, 2));
    assert_eq!((report.marked.count, report.deleted.count, scene.packs()), (0, 0, packs));
    scene.append(Entry::Undelete(vec![first]));
    scene.require_whole(second);
}

#[test]
fn a_mark_stands_for_the_grace_time_before_anything_is_deleted() {
    let (scene, first, second) = Scene::with_waste();
    let before = scene.packs();
    let report = scene.prune(&PruneOptions { grace: DAY, ..patient() });
    assert_eq!((report.purged.as_slice(), report.deleted.count), ([first].as_slice(), 0));
    assert!(report.waiting.bytes > 1_000_000 && report.waiting_until.is_some(), "{report:?}");
    assert!(before.iter().all(|pack| scene.packs().contains(pack)));
    let undelete = scene.machine.open(&scene.store).unwrap().journal().append(
        &scene.machine.open(&scene.store).unwrap().secrets,
        &SystemClock,
        |_| Ok(Some(Entry::Undelete(vec![first]))),
    );
    assert!(undelete.is_err(), "a purge is final");
    // Whoever backs up meanwhile relies on nothing that is marked.
    scene.machine.write("again.bin", &noise(2, 1_000_000));
    let third = scene.back_up();
    let report = scene.prune(&patient());
    assert!(report.deleted.bytes > 1_000_000, "{report:?}");
    scene.require_whole(third);
    assert!(scene.journal().last_swept.is_some());
    assert!(!scene.names(ObjectKind::Snapshot).contains(&snapshot::name(&first)));
    assert!(scene.names(ObjectKind::Snapshot).contains(&snapshot::name(&second)));
}

#[test]
fn a_dry_run_tells_the_same_and_writes_nothing() {
    let (scene, first, _) = Scene::with_waste();
    let before = scene.memory.contents();
    let told = scene.prune(&PruneOptions { dry_run: true, ..patient() });
    assert_eq!(scene.memory.contents(), before);
    let done = scene.prune(&patient());
    assert_eq!(told.purged, [first]);
    assert_eq!(
        (told.purged, told.marked, told.repacked, told.deleted),
        (done.purged, done.marked, done.repacked, done.deleted)
    );
}

/// A session of another machine that has looked chunks up.
fn begin<'a>(
    repository: &'a dssvault::repo::Repository,
    sealer: &'a dssvault::repo::crypt::Sealer,
    parent: Option<SnapshotId>,
) -> Session<'a> {
    let start = SessionStart { node: NodeId::from_bytes([9; 16]), parent, host: "elsewhere".to_owned() };
    Session::begin(repository, sealer, start).unwrap()
}

#[test]
fn a_running_backup_that_has_not_seen_the_mark_holds_it_up_until_it_ends() {
    let (scene, _, second) = Scene::with_waste();
    let repository = scene.machine.open(&scene.store).unwrap();
    let sealer = sealer::begin(&repository).unwrap();
    let session = begin(&repository, &sealer, None);
    let report = scene.prune(&patient());
    assert_eq!((report.deleted.count, report.waiting_for.len()), (0, 1), "{report:?}");
    assert_eq!((report.waiting_for[0].session, report.waiting_for[0].host.as_str()), (session.id(), "elsewhere"));
    assert_eq!(session.abandon("enough").unwrap(), Abandoned::Ended);
    let report = scene.prune(&patient());
    assert!(report.deleted.bytes > 1_000_000, "{report:?}");
    assert_eq!(scene.names(ObjectKind::Session), [], "its record and leases are gone");
    scene.require_whole(second);
}

#[test]
fn a_running_backup_that_has_seen_the_mark_does_not() {
    let (scene, _, second) = Scene::with_waste();
    scene.prune(&PruneOptions { grace: DAY, ..patient() });
    let repository = scene.machine.open(&scene.store).unwrap();
    let sealer = sealer::begin(&repository).unwrap();
    let session = begin(&repository, &sealer, None);
    assert!(scene.prune(&patient()).deleted.bytes > 1_000_000);
    drop(session);
    scene.require_whole(second);
}

#[test]
fn the_parent_of_a_running_backup_stays_though_it_is_purged() {
    let (scene, first, _) = Scene::with_waste();
    let repository = scene.machine.open(&scene.store).unwrap();
    let sealer = sealer::begin(&repository).unwrap();
    scene.append(Entry::Purge(vec![first]));
    let session = begin(&repository, &sealer, Some(first));
    assert_eq!(session.standing().unwrap(), Standing::None, "new backups do not build upon it");
    let report = scene.prune(&patient());
    assert_eq!((report.marked.count, report.snapshots), (0, 2));
    assert!(scene.names(ObjectKind::Snapshot).contains(&snapshot::name(&first)));
    session.abandon("enough").unwrap();
    assert!(scene.prune(&patient()).deleted.bytes > 1_000_000);
    assert!(!scene.names(ObjectKind::Snapshot).contains(&snapshot::name(&first)));
}

#[test]
fn a_session_without_a_sign_of_life_is_ended_and_learns_of_it_when_it_commits() {
    let (scene, _, second) = Scene::with_waste();
    let repository = scene.machine.open(&scene.store).unwrap();
    let sealer = sealer::begin(&repository).unwrap();
    let session = begin(&repository, &sealer, None);
    let report = scene.prune(&PruneOptions { fence_after: Duration::ZERO, ..at_once() });
    assert_eq!(report.fenced, [session.id()]);
    assert!(report.deleted.bytes > 1_000_000 && scene.names(ObjectKind::Session).is_empty(), "{report:?}");
    // The name is free again, and worth nothing: the journal says so.
    assert!(!scene.names(ObjectKind::Snapshot).contains(&snapshot::name(&session.snapshot())));
    let manifest = crate::journal_session::manifest(session.id());
    let committed = session.commit(manifest, &[]);
    assert!(matches!(committed, Err(RepoError::Fenced { .. })), "{committed:?}");
    assert_eq!(scene.prune(&patient()).snapshots, 1);
    assert!(!scene.names(ObjectKind::Snapshot).contains(&snapshot::name(&session.snapshot())));
    scene.require_whole(second);
}

#[test]
fn packs_that_are_marked_and_needed_are_kept() {
    let (scene, _, second) = Scene::with_waste();
    scene.append(Entry::Mark(Objects::packs(scene.packs())));
    let keep = PruneOptions { max_unused: Unused::Unlimited, undo_window: DAY, ..patient() };
    let report = scene.prune(&keep);
    assert_eq!((report.unmarked.count, report.deleted.count), (scene.packs().len() as u64, 0), "{report:?}");
    assert!(scene.journal().packs.marked.is_empty());
    scene.require_whole(second);
}

/// Every chunk twice, each copy in a pack of its own.
fn twice() -> (Scene, SnapshotId, Vec<PackId>, Vec<PackId>) {
    let scene = Scene::new();
    scene.machine.write("a.bin", &noise(5, 400_000));
    scene.back_up();
    let first = scene.packs();
    scene.append(Entry::Mark(Objects::packs(first.clone())));
    let elsewhere = scene.machine.folders_like(&scene.machine.folders, "elsewhere");
    std::fs::remove_dir_all(&elsewhere.cache).unwrap();
    let again = scene.machine.back_up(&scene.store, &elsewhere).unwrap().snapshot.unwrap();
    let second = scene.packs().into_iter().filter(|pack| !first.contains(pack)).collect();
    (scene, again, first, second)
}

#[test]
fn of_two_marked_copies_of_a_chunk_never_both_go() {
    let (scene, snapshot, ..) = twice();
    let all = scene.packs();
    scene.append(Entry::Mark(Objects::packs(all.clone())));
    let report = scene.prune(&PruneOptions { no_repack: true, ..patient() });
    assert!(report.unmarked.count > 0, "{report:?}");
    scene.require_whole(snapshot);
    let again = scene.prune(&PruneOptions { no_repack: true, ..patient() });
    assert!(scene.packs().len() < all.len(), "one of them goes: {again:?}");
    scene.require_whole(snapshot);
}

#[test]
fn a_copy_is_read_before_another_is_given_up_for_it() {
    let (scene, snapshot, first, second) = twice();
    // The marked first copies would go, but the second ones rotted.
    for pack in &second {
        let name = ObjectName::of(ObjectKind::Pack, *pack);
        let mut bytes = scene.memory.contents()[&name].to_vec();
        let middle = bytes.len() / 2;
        if bytes.len() > 300_000 {
            bytes[middle] ^= 1;
        }
        scene.memory.replace(&name, bytes);
    }
    let report = scene.prune(&PruneOptions { no_repack: true, ..patient() });
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert!(report.problems[0].1.contains("no other copy is given up"), "{report:?}");
    let data = first.iter().filter(|pack| scene.packs().contains(pack)).count();
    assert!(data > 0, "the good copy is still there");
    scene.require_restorable(snapshot);
}

#[test]
fn a_snapshot_that_cannot_be_read_stops_deletion_until_it_is_set_aside() {
    let (scene, _, second) = Scene::with_waste();
    scene.machine.write("third.bin", &noise(8, 600_000));
    let third = scene.back_up();
    let name = snapshot::name(&third);
    let mut bytes = scene.memory.contents()[&name].to_vec();
    bytes[900] ^= 1;
    scene.memory.replace(&name, bytes);
    let before = scene.packs();
    let refused = scene.machine.prune(&scene.store, &scene.machine.folders, &patient()).unwrap_err();
    assert!(matches!(refused, VaultError::Undecided { .. }), "{refused}");
    assert!(refused.to_string().contains(&third.to_string()) && refused.hint().unwrap().contains("--quarantine"));
    assert_eq!(scene.packs(), before);
    let readable = PruneOptions { quarantine: vec![second.to_string()], ..patient() };
    assert!(scene.machine.prune(&scene.store, &scene.machine.folders, &readable).is_err(), "that one can be read");
    let report = scene.prune(&PruneOptions { quarantine: vec![third.short()], ..patient() });
    assert!(report.deleted.bytes > 1_500_000, "what only the lost one needed goes too: {report:?}");
    std::fs::remove_file(scene.machine.source().join("third.bin")).unwrap();
    scene.require_whole(second);
}

#[test]
fn a_chunk_that_is_missing_stops_deletion() {
    let (scene, ..) = Scene::with_waste();
    let trees = scene
        .packs()
        .into_iter()
        .min_by_key(|pack| scene.memory.contents()[&ObjectName::of(ObjectKind::Pack, *pack)].len());
    scene.store.delete(&ObjectName::of(ObjectKind::Pack, trees.unwrap())).unwrap();
    let before = scene.packs();
    let refused = scene.machine.prune(&scene.store, &scene.machine.folders, &patient()).unwrap_err();
    assert!(refused.to_string().ends_with("nothing was deleted"), "{refused}");
    assert_eq!(scene.packs(), before);
}

#[test]
fn packs_that_no_segment_lists_go_too() {
    let (scene, _, second) = Scene::with_waste();
    scene.prune(&patient());
    let clean = scene.packs();
    scene.machine.write("lost.bin", &noise(11, 700_000));
    let lost = scene.back_up();
    // As a killed backup leaves it: packs, and nothing that names them.
    scene.store.delete(&snapshot::name(&lost)).unwrap();
    let newest = scene.store.list(ObjectKind::Index).unwrap().into_iter().max_by_key(|entry| entry.created).unwrap();
    scene.store.delete(&newest.name).unwrap();
    let report = scene.prune(&PruneOptions { fence_after: Duration::ZERO, ..at_once() });
    assert!(report.deleted.bytes > 700_000, "{report:?}");
    assert_eq!(scene.packs().len(), clean.len());
    std::fs::remove_file(scene.machine.source().join("lost.bin")).unwrap();
    scene.require_whole(second);
}

#[test]
fn small_packs_of_many_backups_are_gathered() {
    let scene = Scene::new();
    let mut last = None;
    for number in 0..20 {
        scene.machine.write(&format!("{number}.bin"), &noise(100 + number, 20_000));
        last = Some(scene.back_up());
    }
    let before = scene.packs().len();
    let report = scene.prune(&PruneOptions { max_unused: Unused::Unlimited, ..patient() });
    assert!(before >= 40 && scene.packs().len() <= 3, "{before} packs became {}: {report:?}", scene.packs().len());
    assert!(report.segments_merged >= 20 && report.segments_written == 1, "{report:?}");
    assert!(scene.names(ObjectKind::Index).len() <= 3);
    scene.require_whole(last.unwrap());
    let again = scene.prune(&PruneOptions { max_unused: Unused::Unlimited, ..patient() });
    assert_eq!((again.marked.count, again.segments_merged), (0, 0), "nothing is done twice");
}

#[test]
fn a_restore_goes_on_with_the_packs_that_a_prune_wrote_meanwhile() {
    let scene = Arc::new(Scene::with_waste().0);
    let second = scene.machine.snapshots(&scene.store).into_iter().max_by_key(|(_, manifest)| manifest.time).unwrap();
    let pruned = {
        let scene = Arc::clone(&scene);
        move || {
            let other = scene.machine.folders_like(&scene.machine.folders, "other");
            let report = scene.machine.prune(&scene.store, &other, &patient()).unwrap();
            assert!(report.repacked.count > 0 && report.deleted.count > 0, "{report:?}");
        }
    };
    let store: Arc<dyn Storage> = Arc::new(Watched::once(Arc::clone(&scene.store), Call::reads_pack, pruned));
    let misses = scene.machine.misses(&store, &scene.machine.folders, &second.1, &scene.machine.source());
    assert_eq!(misses, Vec::<String>::new());
}

#[test]
fn a_store_is_pruned_by_two_owners_in_turns() {
    let (scene, _, second) = Scene::with_waste();
    let other = scene.machine.folders_like(&scene.machine.folders, "other");
    scene.prune(&PruneOptions { grace: DAY, ..patient() });
    let report = scene.machine.prune(&scene.store, &other, &patient()).unwrap();
    assert!(report.deleted.bytes > 1_000_000, "{report:?}");
    // The first one's cache knows packs that are gone; it takes notice.
    scene.machine.write("dropped.bin", &noise(2, 1_000_000));
    let third = scene.back_up();
    scene.require_whole(third);
    assert_ne!(second, third);
}
