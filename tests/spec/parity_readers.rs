//! Whoever reads packs reads mended ones as well: restore, dump, check, and a backup that looks for what it knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use dssvault::base::clock::SystemClock;
use dssvault::base::id::PackId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::progress::Silent;
use dssvault::repo::journal::{Entry, Objects};
use dssvault::repo::pack::copies;
use dssvault::storage::Storage;
use dssvault::storage::testing::{Call, Fault, Faulty, MemoryStore, Watched};
use dssvault::vault::browse::{self, Filter};
use dssvault::vault::check::{self, CheckReport, Mending};
use dssvault::vault::context::Folders;
use dssvault::vault::parity::{self, AddOptions};
use dssvault::vault::{Context, dump};

use crate::check_fixture::lines;
use crate::machine::{Machine, found_in, noise};
use crate::parity_fixture::mended;

/// A repository of several backups, with parity.
struct Scene {
    machine: Machine,
    store: MemoryStore,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { machine: Machine::new(), store: MemoryStore::new() };
        found_in(&scene.store);
        scene.machine.write("deep/er/text.csv", "1,2,3\n".repeat(20_000).as_bytes());
        for round in 0..3 {
            scene.machine.write(&format!("data/{round}.bin"), &noise(round, 700_000 + 1000 * round as usize));
            scene.machine.write(&format!("small/{round}.json"), format!("{{\"a\": {round}}}").as_bytes());
            assert!(scene.back_up() > 700_000);
        }
        parity::add(&scene.store, &AddOptions::default(), scene.context()).unwrap();
        scene
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.store.clone())
    }

    fn context(&self) -> Context<'_> {
        Context { progress: &Silent, cancel: &self.machine.cancel, folders: &self.machine.folders }
    }

    /// Bytes of packs that it added.
    fn back_up(&self) -> u64 {
        let before = self.store.contents();
        self.machine.back_up(&self.storage(), &self.machine.folders).unwrap();
        let new = self.store.contents().into_iter().filter(|(name, _)| !before.contains_key(name));
        new.filter(|(name, _)| name.kind() == ObjectKind::Pack).map(|(_, bytes)| bytes.len() as u64).sum()
    }

    fn packs(&self) -> Vec<PackId> {
        let names = self.store.contents().into_keys();
        names.filter(|name| name.kind() == ObjectKind::Pack).map(|name| name.text().parse().unwrap()).collect()
    }

    fn mend(&self) -> CheckReport {
        check::storage_only_mending(&self.storage(), Mending::Do, self.context()).unwrap()
    }

    /// The latest snapshot comes back whole, by restore and by dump.
    #[track_caller]
    fn require_readable(&self, what: &str) {
        let storage = self.storage();
        let (_, manifest) =
            self.machine.snapshots(&storage).into_iter().max_by_key(|(_, manifest)| manifest.time).unwrap();
        let source = self.machine.source();
        assert_eq!(self.machine.misses(&storage, &self.machine.folders, &manifest, &source), [""; 0], "{what}");
        let repository = self.machine.open(&storage).unwrap();
        let listed = browse::find(&repository, "latest", &Filter::default()).unwrap();
        let path = source.join("data/0.bin").to_str().unwrap().as_bytes()[1..].to_vec();
        let mut out = Vec::new();
        dump::run(&repository, &listed.manifest, &path, self.context(), &mut out).unwrap();
        assert_eq!(out, noise(0, 700_000), "{what}");
    }

    /// Check says that the copy stands in, and that nothing is lost.
    #[track_caller]
    fn require_said(&self, pack: PackId, what: &str) {
        let report = self.machine.check(&self.storage(), &self.machine.folders).unwrap();
        let stands = format!("its copy {} stands in for it", mended(pack));
        let said = lines(&report);
        assert!(!said.is_empty() && said.iter().all(|line| line.starts_with("? packs/")), "{what}: {said:#?}");
        assert!(said.iter().any(|line| line.ends_with(&stands)), "{what}: {said:#?}");
        assert_eq!(report.mended_packs, 1);
    }
}

fn name(pack: PackId) -> ObjectName {
    ObjectName::of(ObjectKind::Pack, pack)
}

/// Ways to spoil a pack: gone, cut, flipped in the header, in a block, near the end, other bytes altogether.
fn spoils(whole: &[u8], other: &[u8]) -> BTreeMap<&'static str, Option<Vec<u8>>> {
    let flipped = |at: usize| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        Some(bytes)
    };
    [
        ("gone", None),
        ("cut to nothing", Some(Vec::new())),
        ("cut in the middle", Some(whole[..whole.len() / 2].to_vec())),
        ("flipped in its magic", flipped(3)),
        ("flipped in its salt", flipped(100)),
        ("flipped in its first block", flipped(1400)),
        ("flipped in its trailer", flipped(whole.len() - 80)),
        ("flipped in its signature", flipped(whole.len() - 5)),
        ("another pack under its name", Some(other.to_vec())),
    ]
    .into()
}

#[test]
fn whatever_happened_to_a_pack_its_mended_copy_serves_every_reader() {
    let scene = Scene::new();
    let whole = scene.store.contents();
    let packs = scene.packs();
    assert!(packs.len() >= 6);
    let size = |pack: &&PackId| whole[&name(**pack)].len();
    let (of_trees, of_data) = (packs.iter().min_by_key(size).unwrap(), packs.iter().max_by_key(size).unwrap());
    for (pack, other) in [(of_trees, *of_data), (of_data, *of_trees)] {
        for (what, bytes) in spoils(&whole[&name(*pack)], &whole[&name(other)]) {
            match bytes {
                Some(bytes) => scene.store.replace(&name(*pack), bytes),
                None => scene.store.delete(&name(*pack)).unwrap(),
            }
            let report = scene.mend();
            assert!(report.is_clean(), "{what}: {:#?}", lines(&report));
            assert_eq!(report.repair.unwrap().mended.iter().map(|m| m.pack).collect::<Vec<_>>(), [*pack], "{what}");
            scene.require_readable(what);
            scene.require_said(*pack, what);
            scene.store.replace(&name(*pack), whole[&name(*pack)].to_vec());
            scene.store.delete(&mended(*pack)).unwrap();
        }
    }
}

#[test]
fn packs_of_a_killed_backup_that_are_there_only_mended_are_found_and_not_stored_again() {
    let mut scene = Scene { machine: Machine::new(), store: MemoryStore::new() };
    found_in(&scene.store);
    scene.machine.write("data.bin", &noise(9, 3_000_000));
    scene.machine.write("text", b"text");
    // Killed as late as possible before the first segment.
    let segments = |store: &MemoryStore| store.contents().keys().any(|name| name.kind() == ObjectKind::Index);
    let killed_at = |nth| {
        let store = scene.store.fork();
        let faulty: Arc<dyn Storage> = Arc::new(Faulty::new(Arc::new(store.clone()), Fault::From(nth)));
        let path = |of| scene.machine.path(&format!("killed-{nth}-{of}"));
        let folders = Folders { cache: path("cache"), state: path("state") };
        assert!(scene.machine.back_up(&faulty, &folders).is_err());
        store
    };
    scene.store = (1..).map(killed_at).take_while(|store| !segments(store)).last().unwrap();
    let packs = scene.packs();
    assert_eq!(packs.len(), 2, "one of data, one of trees");
    parity::add(&scene.store, &AddOptions::default(), scene.context()).unwrap();
    for (number, lost) in packs.iter().enumerate() {
        scene.store.delete(&name(*lost)).unwrap();
        let report = scene.mend();
        assert!(report.is_clean(), "{:#?}", lines(&report));
        assert_eq!(report.mended_packs as usize, number, "counted as they were found");
    }

    let added = scene.back_up();

    assert!(added < 10_000, "{added} bytes: what the copies hold was stored again; trees are another node's");
    let (_, manifest) = scene.machine.snapshots(&scene.storage()).remove(0);
    let (storage, source) = (scene.storage(), scene.machine.source());
    assert_eq!(scene.machine.misses(&storage, &scene.machine.folders, &manifest, &source), [""; 0]);
    let report = scene.machine.check(&storage, &scene.machine.folders).unwrap();
    assert!(report.is_clean(), "{:#?}", lines(&report));
    let list = parity::list(&scene.store, scene.context()).unwrap();
    assert_eq!((list.packs, list.protected_packs), (3, 2));
}

#[test]
fn without_segments_check_reads_a_pack_that_is_there_only_mended() {
    let scene = Scene::new();
    let lost = scene.packs()[1];
    scene.store.delete(&name(lost)).unwrap();
    scene.mend();
    for segment in scene.store.contents().into_keys().filter(|name| name.kind() == ObjectKind::Index) {
        scene.store.delete(&segment).unwrap();
    }
    let _ = std::fs::remove_dir_all(&scene.machine.folders.cache);
    let report = scene.machine.check(&scene.storage(), &scene.machine.folders).unwrap();
    assert!(report.is_clean(), "{:#?}", lines(&report));
    assert!(lines(&report).iter().all(|line| line.starts_with("? packs/")));
}

#[test]
fn a_damaged_copy_of_a_damaged_pack_gives_what_either_has() {
    let scene = Scene::new();
    let largest = scene.packs().into_iter().max_by_key(|pack| scene.store.contents()[&name(*pack)].len()).unwrap();
    let whole = scene.store.contents()[&name(largest)].to_vec();
    let flip = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    // The table of the one and the signature of the other: every block is right in both.
    scene.store.replace(&name(largest), flip(whole.len() - 70));
    scene.store.replace(&mended(largest), flip(whole.len() - 3));
    let storage = scene.storage();
    let (_, manifest) = scene.machine.snapshots(&storage).into_iter().max_by_key(|(_, m)| m.time).unwrap();
    let source = scene.machine.source();
    assert_eq!(scene.machine.misses(&storage, &scene.machine.folders, &manifest, &source), [""; 0]);
    let report = scene.machine.check(&storage, &scene.machine.folders).unwrap();
    assert!(!report.is_clean());
    assert!(lines(&report).iter().any(|line| line.contains("its mended copy is damaged too")), "{:?}", lines(&report));
}

fn append(scene: &Scene, entry: Entry) {
    let repository = scene.machine.open(&scene.storage()).unwrap();
    let mut once = Some(entry);
    repository.journal().append(&repository.secrets, &SystemClock, |_| Ok(once.take())).unwrap();
}

#[test]
fn packs_that_were_deleted_on_purpose_are_neither_missed_nor_brought_back() {
    let scene = Scene::new();
    let gone = scene.packs()[0];
    append(&scene, Entry::Mark(Objects::packs([gone])));
    append(&scene, Entry::Doom(Objects::packs([gone])));
    copies::delete(&scene.store, gone).unwrap();
    for swept in [false, true] {
        if swept {
            append(&scene, Entry::Swept(Objects::packs([gone])));
        }
        let before = scene.store.contents();
        let report = scene.mend();
        assert_eq!(lines(&report), [""; 0], "swept: {swept}");
        assert_eq!(scene.store.contents(), before);
        let list = parity::list(&scene.store, scene.context()).unwrap();
        assert_eq!((list.groups[0].missing_packs, list.groups[0].deleted_packs), (0, 1));
    }
    let report = parity::add(&scene.store, &AddOptions::default(), scene.context()).unwrap();
    assert_eq!((report.groups.len(), report.replaced.len(), report.skipped), (1, 1, vec![]));
    let list = parity::list(&scene.store, scene.context()).unwrap();
    assert_eq!((list.groups.len(), list.groups[0].deleted_packs, list.protected_packs), (1, 0, list.packs));
}

#[test]
fn where_the_journal_cannot_be_read_what_is_missing_comes_back_and_the_doubt_is_told() {
    let scene = Scene::new();
    let lost = scene.packs()[0];
    scene.store.delete(&name(lost)).unwrap();
    let entry = ObjectName::numbered(ObjectKind::Journal, 1);
    let mut bytes = scene.store.contents()[&entry].to_vec();
    bytes[60] ^= 1;
    scene.store.replace(&entry, bytes);
    let found = lines(&check::storage_only(&scene.storage(), scene.context()).unwrap());
    assert!(found.iter().any(|line| line.starts_with("? journal: it cannot be told which")), "{found:#?}");
    let report = scene.mend();
    assert_eq!(report.repair.as_ref().unwrap().mended.len(), 1, "what wrongly comes back costs space alone");
    assert!(!report.is_clean(), "the journal itself is damaged still");
}

#[test]
fn a_pack_that_is_deleted_while_it_is_mended_or_protected_does_not_come_back() {
    for mends in [true, false] {
        let scene = Scene::new();
        let gone = scene.packs()[0];
        if mends {
            scene.store.delete(&name(gone)).unwrap();
        } else {
            parity::drop_groups(&scene.store, &parity::Which::All, scene.context()).unwrap();
        }
        let (store, repository) = (scene.store.clone(), scene.machine.open(&scene.storage()).unwrap());
        let deletes = move || {
            for entry in [Entry::Mark(Objects::packs([gone])), Entry::Doom(Objects::packs([gone]))] {
                let mut once = Some(entry);
                repository.journal().append(&repository.secrets, &SystemClock, |_| Ok(once.take())).unwrap();
            }
            copies::delete(&store, gone).unwrap();
        };
        let meddled: Arc<dyn Storage> = Arc::new(Watched::once(scene.storage(), |call| *call == Call::Stage, deletes));
        if mends {
            let report = check::storage_only_mending(&meddled, Mending::Do, scene.context()).unwrap();
            assert_eq!(report.repair.unwrap().mended, []);
            assert!(!scene.store.contents().contains_key(&mended(gone)));
        } else {
            let report = parity::add(&*meddled, &AddOptions::default(), scene.context()).unwrap();
            assert_eq!(report.skipped, [], "that it is gone is no damage");
            let list = parity::list(&scene.store, scene.context()).unwrap();
            assert_eq!((list.groups[0].deleted_packs, list.protected_packs), (0, list.packs));
        }
    }
}
