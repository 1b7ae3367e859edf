//! Whatever happens to the cache, the answers are right: the truth is the segments.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dssvault::base::cancel::Cancel;
use dssvault::base::object::ObjectKind;
use dssvault::base::progress::Silent;
use dssvault::base::random::{Entropy, SeededEntropy};
use dssvault::repo::index::Index;
use dssvault::repo::index::testing::{Fixture, chunk_id, pack_id, table_of};
use dssvault::storage::testing::{Fault, Faulty, MemoryStore};

const FOLDS: u64 = 4;
const CHUNKS: u32 = 6_000;

struct Scene {
    store: MemoryStore,
    fixture: Fixture,
    cache: tempfile::TempDir,
}

impl Scene {
    /// A repository of some segments, and a cache that was used for it and closed.
    fn new() -> Self {
        let store = MemoryStore::new();
        let fixture = Fixture::on(Arc::new(store.clone()), 5);
        let scene = Self { store, fixture, cache: tempfile::tempdir().unwrap() };
        let index = scene.open();
        let (sealer, signing) = (scene.fixture.sealer(), scene.fixture.signing());
        for pack in 0..FOLDS {
            let packs = [(pack_id(pack), 1 << 20, table_of(pack, CHUNKS))];
            scene.fixture.stand_in(&packs).unwrap();
            index.store(&scene.fixture.repository, &sealer, &signing, &packs).unwrap();
        }
        drop(index);
        scene
    }

    fn open(&self) -> Index {
        Index::open(&self.fixture.repository, self.cache.path(), &Silent, &Cancel::default()).unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.cache.path().join("index")
    }

    /// Every file of the cache but its lock.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.folder(), &mut files);
        files.retain(|file| !file.ends_with("lock"));
        files.sort();
        assert!(!files.is_empty());
        files
    }

    fn expect_right_answers(&self, index: &Index, what: &str) {
        for pack in 0..FOLDS {
            for nth in (0..u64::from(CHUNKS)).step_by(7) {
                let places = index.places(&chunk_id((pack << 32) + nth)).unwrap();
                assert_eq!(places.len(), 1, "{what}: chunk {nth} of pack {pack}");
                assert_eq!(index.pack(places[0].pack).unwrap().id, pack_id(pack), "{what}");
                assert!(index.contains(&chunk_id((pack << 32) + nth)).unwrap(), "{what}");
            }
        }
        let absent = (0..1000).filter(|nth| index.contains(&chunk_id((77 << 32) + nth)).unwrap()).count();
        assert_eq!(absent, 0, "{what}");
        assert_eq!(index.scan().map(Result::unwrap).count() as u64, FOLDS * u64::from(CHUNKS), "{what}");
        assert_eq!(index.packs().map(Result::unwrap).count() as u64, FOLDS, "{what}");
    }

    fn expect_right_answers_now_and_later(&self, what: &str) {
        self.expect_right_answers(&self.open(), what);
        self.expect_right_answers(&self.open(), what);
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

fn scribble(file: &Path, entropy: &SeededEntropy) {
    let length = fs::metadata(file).unwrap().len();
    let open = File::options().write(true).open(file).unwrap();
    for _ in 0..3 {
        let (mut at, mut garbage) = ([0; 8], [0; 64]);
        entropy.fill(&mut at);
        entropy.fill(&mut garbage);
        open.write_all_at(&garbage, u64::from_le_bytes(at) % length.max(1)).unwrap();
    }
}

#[test]
fn a_deleted_cache_is_built_anew() {
    let scene = Scene::new();
    fs::remove_dir_all(scene.folder()).unwrap();
    scene.expect_right_answers_now_and_later("folder deleted");
    fs::remove_dir_all(scene.cache.path()).unwrap();
    scene.expect_right_answers_now_and_later("all deleted");
}

#[test]
fn garbage_in_any_file_of_the_cache_is_noticed() {
    let entropy = SeededEntropy::new(9);
    for round in 0..8 {
        let scene = Scene::new();
        for file in scene.files() {
            scribble(&file, &entropy);
        }
        scene.expect_right_answers_now_and_later(&format!("all files, round {round}"));
        let files = scene.files();
        scribble(&files[round % files.len()], &entropy);
        scene.expect_right_answers_now_and_later(&format!("one file, round {round}"));
    }
}

#[test]
fn garbage_written_while_the_index_is_open_is_noticed() {
    let entropy = SeededEntropy::new(10);
    for round in 0..4 {
        let scene = Scene::new();
        let index = scene.open();
        for _ in 0..20 {
            scene.files().iter().for_each(|file| scribble(file, &entropy));
        }
        scene.expect_right_answers(&index, &format!("round {round}"));
        drop(index);
        scene.expect_right_answers_now_and_later(&format!("after round {round}"));
    }
}

#[test]
fn places_given_before_the_cache_broke_stay_good() {
    let scene = Scene::new();
    let index = scene.open();
    let places: Vec<_> = (0..FOLDS).map(|pack| index.places(&chunk_id(pack << 32)).unwrap()[0]).collect();
    scene.files().iter().for_each(|file| overwrite(file));
    scene.expect_right_answers(&index, "all overwritten");
    for (pack, place) in places.into_iter().enumerate() {
        assert_eq!(index.pack(place.pack).unwrap().id, pack_id(pack as u64));
    }
}

fn overwrite(file: &Path) {
    let length = fs::metadata(file).unwrap().len() as usize;
    File::options().write(true).open(file).unwrap().write_all_at(&vec![0xa5; length], 0).unwrap();
}

#[test]
fn a_segment_damaged_together_with_the_cache_is_read_again_when_it_is_whole() {
    let scene = Scene::new();
    let index = scene.open();
    scene.files().iter().for_each(|file| overwrite(file));
    let before = scene.store.contents();
    let segment = before.keys().find(|name| name.kind() == ObjectKind::Index).unwrap();
    scene.store.replace(segment, &before[segment][1..]);
    let found =
        |index: &Index| (0..FOLDS).filter(|pack| index.contains(&chunk_id(pack << 32)).unwrap()).collect::<Vec<_>>();
    assert_eq!(found(&index).len() as u64, FOLDS - 1);
    drop(index);
    assert_eq!(found(&scene.open()).len() as u64, FOLDS - 1);
    scene.store.replace(segment, before[segment].clone());
    scene.expect_right_answers_now_and_later("whole again");
}

#[test]
fn a_store_that_fails_while_the_cache_is_built_anew_loses_nothing() {
    let scene = Scene::new();
    let faulty = Arc::new(Faulty::new(Arc::new(scene.store.clone()), Fault::From(3)));
    let fixture = Fixture::on(faulty, 5);
    let index = Index::open(&fixture.repository, scene.cache.path(), &Silent, &Cancel::default()).unwrap();
    scene.files().iter().for_each(|file| overwrite(file));
    let failed = (0..FOLDS).flat_map(|pack| (0..50).map(move |nth| (pack << 32) + nth * 100));
    assert!(failed.map(|number| index.places(&chunk_id(number))).any(|places| places.is_err()));
    drop(index);
    scene.expect_right_answers_now_and_later("the store is back");
}

#[test]
fn files_cut_short_are_noticed() {
    for (part, of) in [(2, 3), (0, 1), (1, 100), (99, 100)] {
        let scene = Scene::new();
        for file in scene.files() {
            let length = fs::metadata(&file).unwrap().len();
            File::options().write(true).open(&file).unwrap().set_len(length * part / of).unwrap();
        }
        scene.expect_right_answers_now_and_later(&format!("cut to {part}/{of}"));
    }
}

#[test]
fn files_deleted_one_at_a_time_are_noticed() {
    let count = Scene::new().files().len();
    for nth in 0..count {
        let scene = Scene::new();
        if let Some(file) = scene.files().get(nth) {
            fs::remove_file(file).unwrap();
            scene.expect_right_answers_now_and_later(&format!("without {}", file.display()));
        }
    }
}

#[test]
fn a_file_in_place_of_a_folder_is_got_out_of_the_way() {
    let scene = Scene::new();
    fs::remove_dir_all(scene.folder()).unwrap();
    fs::write(scene.folder(), "not a folder").unwrap();
    scene.expect_right_answers_now_and_later("file for the cache");
    for entry in fs::read_dir(scene.folder()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        fs::remove_dir_all(entry.path()).unwrap();
        fs::write(entry.path(), "not a database").unwrap();
    }
    scene.expect_right_answers_now_and_later("file for the database");
}

#[test]
fn a_cache_folder_that_cannot_be_made_is_done_without() {
    let scene = Scene::new();
    fs::remove_dir_all(scene.cache.path()).unwrap();
    fs::write(scene.cache.path(), "no folder can be made below a file").unwrap();
    scene.expect_right_answers_now_and_later("nowhere");
    fs::remove_file(scene.cache.path()).unwrap();
}

#[test]
fn the_cache_of_another_repository_is_not_believed() {
    let (scene, other) = (Scene::new(), Fixture::new(6));
    let index = Index::open(&other.repository, scene.cache.path(), &Silent, &Cancel::default()).unwrap();
    assert_eq!((index.chunk_count(), index.contains(&chunk_id(0)).unwrap()), (0, false));
    drop(index);
    scene.expect_right_answers_now_and_later("after the other");
}

#[test]
fn a_cache_in_use_by_another_process_is_done_without() {
    let scene = Scene::new();
    let lock = File::open(scene.folder().join("lock")).unwrap();
    lock.lock().unwrap();
    let index = scene.open();
    scene.expect_right_answers(&index, "locked");
    drop((index, lock));
    scene.expect_right_answers_now_and_later("unlocked");
}

#[test]
fn two_indexes_at_once_both_fold_and_answer() {
    let scene = Scene::new();
    let (first, second) = (scene.open(), scene.open());
    let (sealer, signing) = (scene.fixture.sealer(), scene.fixture.signing());
    for (index, pack) in [(&first, 50), (&second, 51)] {
        let packs = [(pack_id(pack), 1 << 20, table_of(pack, 100))];
        scene.fixture.stand_in(&packs).unwrap();
        index.store(&scene.fixture.repository, &sealer, &signing, &packs).unwrap();
        assert!(index.contains(&chunk_id(pack << 32)).unwrap());
    }
    drop((first, second));
    let third = scene.open();
    assert!([50, 51].iter().all(|pack| third.contains(&chunk_id(pack << 32)).unwrap()));
}
