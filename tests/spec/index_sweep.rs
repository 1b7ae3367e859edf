//! What a cache believes of packs that were deleted: the rules I1, I2 and I4 of `docs/protocol.md`.

use std::path::Path;

use dssvault::base::cancel::Cancel;
use dssvault::base::id::{ChunkId, SegmentId};
use dssvault::base::progress::Silent;
use dssvault::repo::index::testing::{Fixture, chunk_id, pack_id, table_of};
use dssvault::repo::index::{Index, IndexOptions, ListedPack, Verdicts, segment};
use dssvault::repo::journal::{Entry, Objects};
use dssvault::repo::pack::reader;

struct Scene {
    fixture: Fixture,
    cache: tempfile::TempDir,
}

fn listed(pack: u64) -> ListedPack {
    (pack_id(pack), 1 << 20, table_of(pack, 100))
}

fn chunk(pack: u64) -> ChunkId {
    chunk_id((pack << 32) + 7)
}

impl Scene {
    fn new() -> Self {
        Self { fixture: Fixture::new(4), cache: tempfile::tempdir().unwrap() }
    }

    fn open_in(&self, cache: &Path, verdicts: Verdicts) -> Index {
        let options = IndexOptions { verdicts, ..IndexOptions::new(cache) };
        Index::open_with(&self.fixture.repository, options, &Silent, &Cancel::default()).unwrap()
    }

    fn open(&self, verdicts: Verdicts) -> Index {
        self.open_in(self.cache.path(), verdicts)
    }

    /// Which of the packs 1 to 4 the cache on disk knows, under these verdicts.
    fn knows(&self, verdicts: Verdicts) -> Vec<u64> {
        known(&self.open(verdicts))
    }

    fn delete(&self, pack: u64) {
        self.fixture.repository.storage.delete(&reader::name(pack_id(pack))).unwrap();
    }

    fn delete_segment(&self, id: SegmentId) {
        self.fixture.repository.storage.delete(&segment::name(id)).unwrap();
    }

    fn merge(&self, inputs: &[SegmentId], packs: &[ListedPack]) -> SegmentId {
        let Fixture { repository, .. } = &self.fixture;
        segment::write_one(repository, &self.fixture.sealer(), &self.fixture.signing(), inputs, packs).unwrap()
    }
}

fn known(index: &Index) -> Vec<u64> {
    let known: Vec<u64> = (1..=4).filter(|pack| index.contains(&chunk(*pack)).unwrap()).collect();
    let scanned: std::collections::BTreeSet<u32> = index.scan().map(|entry| entry.unwrap().place.pack).collect();
    assert_eq!(scanned.len(), known.len(), "a scan passes over packs that do not count");
    assert_eq!(index.packs().count(), known.len());
    known
}

fn swept(last_swept: u64) -> Verdicts {
    Verdicts { last_swept, ..Verdicts::default() }
}

fn doomed(packs: &[u64], segments: &[SegmentId]) -> Verdicts {
    let doomed = packs.iter().map(|pack| pack_id(*pack)).collect();
    Verdicts { doomed, doomed_segments: segments.iter().copied().collect(), ..Verdicts::default() }
}

#[test]
fn a_late_segment_is_believed_only_as_far_as_its_packs_are_there() {
    let scene = Scene::new();
    scene.fixture.store(&[listed(1), listed(2)]).unwrap();
    scene.delete(1);
    assert_eq!(scene.knows(Verdicts::default()), [2]);
    assert_eq!(scene.knows(Verdicts::default()), [2], "the same from the cache");
}

#[test]
fn packs_are_looked_for_again_after_every_sweep() {
    let scene = Scene::new();
    scene.fixture.store(&[listed(1), listed(2)]).unwrap();
    scene.fixture.store(&[listed(3)]).unwrap();
    assert_eq!(scene.knows(swept(4)), [1, 2, 3]);
    scene.delete(2);
    assert_eq!(scene.knows(swept(4)), [1, 2, 3], "nobody said that anything is gone");
    assert_eq!(scene.knows(swept(5)), [1, 3]);
    assert_eq!(scene.knows(swept(0)), [1, 3], "what is gone is forgotten for good");
    scene.fixture.store(&[listed(2)]).unwrap();
    assert_eq!(scene.knows(swept(5)), [1, 2, 3], "a new segment may name a pack that came back");
}

#[test]
fn a_doomed_pack_is_gone_whether_it_is_there_or_not() {
    let scene = Scene::new();
    scene.fixture.store(&[listed(1), listed(2)]).unwrap();
    assert_eq!(scene.knows(Verdicts::default()), [1, 2]);
    assert_eq!(scene.knows(doomed(&[2], &[])), [1]);
    assert_eq!(scene.knows(doomed(&[2], &[])), [1]);
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(known(&scene.open_in(elsewhere.path(), doomed(&[2], &[]))), [1], "in a new cache too");
}

#[test]
fn a_pack_counts_only_while_a_segment_that_stays_lists_it() {
    let scene = Scene::new();
    let first = scene.fixture.store(&[listed(1)]).unwrap();
    scene.fixture.store(&[listed(2)]).unwrap();
    assert_eq!(scene.knows(Verdicts::default()), [1, 2]);
    assert_eq!(scene.knows(doomed(&[], &[first])), [2], "its segment is doomed, though it is still there");
    assert_eq!(scene.knows(doomed(&[], &[first])), [2]);
}

#[test]
fn a_merged_segment_takes_the_place_of_its_inputs_and_the_cache_is_not_built_anew() {
    let scene = Scene::new();
    let inputs = [scene.fixture.store(&[listed(1), listed(2)]).unwrap(), scene.fixture.store(&[listed(3)]).unwrap()];
    let places = |index: &Index| [1, 3].map(|pack| index.places(&chunk(pack)).unwrap()[0].pack);
    let before = places(&scene.open(Verdicts::default()));
    // Pack 2 is doomed and left out.
    scene.merge(&inputs, &[listed(1), listed(3)]);
    inputs.iter().for_each(|input| scene.delete_segment(*input));
    let index = scene.open(doomed(&[2], &inputs));
    assert_eq!(known(&index), [1, 3]);
    assert_eq!(places(&index), before, "the numbers are those of before");
    drop(index);
    scene.delete(2);
    assert_eq!(scene.knows(swept(9)), [1, 3]);
}

#[test]
fn segments_tell_how_many_of_their_packs_are_doomed() {
    let scene = Scene::new();
    let first = scene.fixture.store(&[listed(1), listed(2), listed(3)]).unwrap();
    let second = scene.fixture.store(&[listed(4)]).unwrap();
    let told = |verdicts| {
        let mut told: Vec<_> = scene.open(verdicts).segments().unwrap();
        told.sort_by_key(|segment| std::cmp::Reverse(segment.packs));
        told.into_iter().map(|segment| (segment.id, segment.packs, segment.doomed)).collect::<Vec<_>>()
    };
    assert_eq!(told(Verdicts::default()), [(first, 3, 0), (second, 1, 0)]);
    assert_eq!(told(doomed(&[1, 3], &[])), [(first, 3, 2), (second, 1, 0)]);
    assert_eq!(told(doomed(&[1, 3], &[])), [(first, 3, 2), (second, 1, 0)], "also when the cache has given them up");
}

#[test]
fn reading_on_in_the_middle_takes_no_notice_of_a_sweep() {
    let scene = Scene::new();
    scene.fixture.store(&[listed(1), listed(2)]).unwrap();
    let index = scene.open(Verdicts::default());
    let Fixture { repository, .. } = &scene.fixture;
    let gone = || Objects::packs([pack_id(9)]);
    for entry in [Entry::Mark(gone()), Entry::Doom(gone()), Entry::Swept(gone())] {
        let decide = |_: &_| Ok(Some(entry.clone()));
        repository.journal().append(&repository.secrets, &*repository.seams.clock, decide).unwrap();
    }
    assert!(index.refresh(index.generation()).unwrap());
    assert!(!index.refresh(index.generation()).unwrap(), "nothing has happened since");
    // What this process enters of its own from here on is older than that sweep: the next one looks again.
    drop(index);
    scene.delete(2);
    assert_eq!(scene.knows(swept(3)), [1]);
}
