//! What the index answers, from one command to the next.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use dssvault::base::cancel::Cancel;
use dssvault::base::id::{ChunkId, PackId};
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::progress::Silent;
use dssvault::repo::RepoError;
use dssvault::repo::index::testing::{Fixture, chunk_id, pack_id, table_of, table_with};
use dssvault::repo::index::{Index, IndexOptions, ListedPack, Strictness, Verdicts, segment};
use dssvault::repo::pack::writer::{OpenBlock, PackWriter};
use dssvault::repo::pack::{BlockCodec, ChunkInfo};
use dssvault::repo::secrets::{Content, IdDomain, IdOwner};
use dssvault::storage::Storage;
use dssvault::storage::testing::MemoryStore;

fn open(fixture: &Fixture, cache: &Path) -> Index {
    Index::open(&fixture.repository, cache, &Silent, &Cancel::default()).unwrap()
}

fn open_with(fixture: &Fixture, options: IndexOptions<'_>) -> Result<Index, RepoError> {
    Index::open_with(&fixture.repository, options, &Silent, &Cancel::default())
}

fn listed(number: u64, chunks: u32) -> ListedPack {
    (pack_id(number), 1 << 20, table_of(number, chunks))
}

/// The n-th chunk of `listed(pack, _)`.
fn chunk(pack: u64, nth: u64) -> ChunkId {
    chunk_id((pack << 32) + nth)
}

fn store(index: &Index, fixture: &Fixture, packs: &[ListedPack]) {
    fixture.stand_in(packs).unwrap();
    index.store(&fixture.repository, &fixture.sealer(), &fixture.signing(), packs).unwrap();
}

fn pack_of(index: &Index, id: &ChunkId) -> Vec<PackId> {
    index.places(id).unwrap().iter().map(|place| index.pack(place.pack).unwrap().id).collect()
}

#[test]
fn what_was_stored_is_found_at_once_and_by_the_next_command() {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    let index = open(&fixture, cache.path());
    store(&index, &fixture, &[listed(1, 3000), listed(2, 10)]);
    let check = |index: &Index| {
        let places = index.places(&chunk(1, 2001)).unwrap();
        assert_eq!(places.len(), 1);
        assert_eq!((places[0].block, places[0].offset, places[0].length), (2, 10, 10));
        let pack = index.pack(places[0].pack).unwrap();
        assert_eq!((pack.id, pack.bytes, pack.header_bytes), (pack_id(1), 1 << 20, 1280));
        assert_eq!(pack.blocks[2].offset, 1280 + 2 * 60);
        assert!(index.contains(&chunk(2, 9)).unwrap());
        assert!(!index.contains(&chunk(2, 10)).unwrap());
        assert!(index.places(&chunk(3, 0)).unwrap().is_empty());
        assert_eq!((index.chunk_count(), index.pack_count()), (3010, 2));
    };
    check(&index);
    drop(index);
    check(&open(&fixture, cache.path()));
    check(&open(&fixture, tempfile::tempdir().unwrap().path()));
}

#[test]
fn a_second_command_reads_no_segment_again() {
    let storage = MemoryStore::new();
    let (fixture, cache) = (Fixture::on(Arc::new(storage.clone()), 1), tempfile::tempdir().unwrap());
    store(&open(&fixture, cache.path()), &fixture, &[listed(1, 100)]);
    for name in storage.contents().keys() {
        storage.replace(name, []);
    }
    let index = open(&fixture, cache.path());
    assert!(index.contains(&chunk(1, 50)).unwrap());
    assert!(index.problems().is_empty());
}

#[test]
fn segments_of_other_machines_are_folded_when_the_index_is_opened() {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    store(&open(&fixture, cache.path()), &fixture, &[listed(1, 100)]);
    fixture.store(&[listed(2, 100)]).unwrap();
    let index = open(&fixture, cache.path());
    assert_eq!(pack_of(&index, &chunk(1, 7)), [pack_id(1)]);
    assert_eq!(pack_of(&index, &chunk(2, 7)), [pack_id(2)]);
}

#[test]
fn all_copies_of_a_chunk_are_found_wherever_they_were_folded() {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    let index = open(&fixture, cache.path());
    for pack in 1..=9 {
        store(&index, &fixture, &[(pack_id(pack), 1 << 20, table_with(&[5, pack << 32, 5]))]);
    }
    let found: HashSet<_> = pack_of(&index, &chunk_id(5)).into_iter().collect();
    assert_eq!(found, (1..=9).map(pack_id).collect());
    assert_eq!(index.places(&chunk_id(5)).unwrap().len(), 18);
}

#[test]
fn chunks_whose_ids_begin_alike_are_both_given() {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    let index = open(&fixture, cache.path());
    let mut table = table_with(&[1, 2]);
    let mut twin = *table.blocks[0].chunks[0].id.as_bytes();
    twin[31] ^= 1;
    table.blocks[0].chunks[1].id = ChunkId::from_bytes(twin);
    store(&index, &fixture, &[(pack_id(1), 1 << 20, table)]);
    assert_eq!(index.places(&chunk_id(1)).unwrap().len(), 2);
}

#[test]
fn ids_that_are_all_alike_are_found_over_many_pages() {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    let index = open(&fixture, cache.path());
    let mut table = table_of(1, 1000);
    for (nth, chunk) in table.blocks[0].chunks.iter_mut().enumerate() {
        chunk.id = ChunkId::from_bytes([if nth % 2 == 0 { 7 } else { 9 }; 32]);
    }
    store(&index, &fixture, &[(pack_id(1), 1 << 20, table)]);
    for (byte, count) in [(6, 0), (7, 500), (8, 0), (9, 500), (10, 0)] {
        assert_eq!(index.places(&ChunkId::from_bytes([byte; 32])).unwrap().len(), count, "{byte}");
    }
}

#[test]
fn a_pack_listed_twice_counts_once() {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    let index = open(&fixture, cache.path());
    store(&index, &fixture, &[listed(1, 10), listed(1, 10)]);
    store(&index, &fixture, &[listed(1, 10), listed(2, 10)]);
    assert_eq!((index.chunk_count(), index.pack_count()), (20, 2));
    assert_eq!(pack_of(&index, &chunk(1, 3)), [pack_id(1)]);
    assert_eq!(index.packs().map(|pack| pack.unwrap().1.id).collect::<Vec<_>>(), [pack_id(1), pack_id(2)]);
}

#[test]
fn marked_packs_are_read_but_not_relied_on_and_doomed_ones_are_gone() {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    store(&open(&fixture, cache.path()), &fixture, &[listed(1, 10), listed(2, 10), listed(3, 10)]);
    let verdicts = Verdicts {
        marked: [pack_id(1), pack_id(77)].into_iter().collect(),
        doomed: [pack_id(2)].into_iter().collect(),
        ..Verdicts::default()
    };
    let options = IndexOptions { verdicts, ..IndexOptions::new(cache.path()) };
    let index = open_with(&fixture, options).unwrap();
    let seen = |pack| (index.contains(&chunk(pack, 1)).unwrap(), index.places(&chunk(pack, 1)).unwrap().len());
    assert_eq!([seen(1), seen(2), seen(3)], [(false, 1), (false, 0), (true, 1)]);
    assert_eq!(index.scan().count(), 20);
    assert_eq!(index.packs().count(), 2);
}

#[test]
fn a_scan_gives_every_entry_in_order() {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    let index = open(&fixture, cache.path());
    for pack in 0..6 {
        store(&index, &fixture, &[listed(pack, 100 + 3000 * (pack as u32 % 2))]);
    }
    let entries: Vec<_> = index.scan().collect::<Result<_, _>>().unwrap();
    assert_eq!(entries.len() as u64, index.chunk_count());
    assert!(entries.is_sorted());
    assert!(entries.iter().any(|entry| chunk(3, 2999).as_bytes().starts_with(&entry.prefix)));
}

fn damage_segment(storage: &MemoryStore, id: dssvault::base::id::SegmentId) {
    let name = segment::name(id);
    let mut bytes = storage.contents()[&name].to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    storage.replace(&name, bytes);
}

#[test]
fn a_damaged_segment_is_a_problem_that_names_it_or_an_error_if_asked_for() {
    let storage = MemoryStore::new();
    let (fixture, cache) = (Fixture::on(Arc::new(storage.clone()), 1), tempfile::tempdir().unwrap());
    let bad = fixture.store(&[listed(1, 10)]).unwrap();
    fixture.store(&[listed(2, 10)]).unwrap();
    damage_segment(&storage, bad);
    let index = open(&fixture, cache.path());
    assert_eq!(index.problems().iter().map(|p| p.name.clone()).collect::<Vec<_>>(), [segment::name(bad)]);
    assert!(index.contains(&chunk(2, 1)).unwrap());
    assert!(!index.contains(&chunk(1, 1)).unwrap());
    let strict = IndexOptions { strictness: Strictness::Strict, ..IndexOptions::new(cache.path()) };
    let error = open_with(&fixture, strict).err().unwrap();
    assert!(error.to_string().contains(&segment::name(bad).to_string()), "{error}");
}

#[test]
fn a_foreign_object_among_the_segments_is_a_problem_and_nothing_more() {
    let storage = MemoryStore::new();
    let (fixture, cache) = (Fixture::on(Arc::new(storage.clone()), 1), tempfile::tempdir().unwrap());
    fixture.store(&[listed(1, 10)]).unwrap();
    storage.put(&ObjectName::new(ObjectKind::Index, "readme").unwrap(), b"hello").unwrap();
    let index = open(&fixture, cache.path());
    assert_eq!(index.problems().len(), 1);
    assert!(index.contains(&chunk(1, 1)).unwrap());
}

/// A real pack of one block with these contents, in the store.
fn real_pack(fixture: &Fixture, contents: &[&[u8]]) -> (ListedPack, Vec<ChunkId>) {
    let domain = IdDomain { content: Content::Data, owner: IdOwner::Shared };
    let key = fixture.repository.secrets.id_key(domain);
    let ids: Vec<_> = contents.iter().map(|content| key.id(content)).collect();
    let chunks = ids.iter().zip(contents).map(|(id, content)| ChunkInfo { id: *id, length: content.len() as u32 });
    let bytes = contents.concat();
    let raw_bytes = bytes.len() as u32;
    let block = OpenBlock { codec: BlockCodec::Raw, raw_bytes, bytes, chunks: chunks.collect() };
    let mut pack = PackWriter::begin(&*fixture.repository.storage, &fixture.sealer(), domain).unwrap();
    pack.append(block).unwrap();
    let pack = pack.finish(&fixture.signing(), &*fixture.repository.seams.entropy).unwrap();
    ((pack.id, pack.bytes, pack.table), ids)
}

#[test]
fn chunks_of_a_lost_segment_are_read_from_their_packs_but_not_relied_on() {
    let storage = MemoryStore::new();
    let (fixture, cache) = (Fixture::on(Arc::new(storage.clone()), 1), tempfile::tempdir().unwrap());
    let (lost, ids) = real_pack(&fixture, &[b"one", b"two"]);
    let (kept, _) = real_pack(&fixture, &[b"three"]);
    let segment = fixture.store(std::slice::from_ref(&lost)).unwrap();
    fixture.store(&[kept]).unwrap();
    let whole = storage.contents()[&segment::name(segment)].clone();
    damage_segment(&storage, segment);

    let index = open(&fixture, cache.path());
    assert!(index.places(&ids[1]).unwrap().is_empty());
    let adopt = |index: &Index| index.adopt_unlisted_packs(&fixture.repository, &Silent, &Cancel::default()).unwrap();
    assert_eq!((adopt(&index), adopt(&index)), (1, 0));
    assert_eq!(pack_of(&index, &ids[1]), [lost.0]);
    assert_eq!((index.places(&ids[1]).unwrap()[0].offset, index.contains(&ids[1]).unwrap()), (3, false));
    assert!(!index.lists(&lost.0).unwrap());

    drop(index);
    storage.replace(&segment::name(segment), whole);
    let index = open(&fixture, cache.path());
    assert_eq!(pack_of(&index, &ids[1]), [lost.0]);
    assert!(index.contains(&ids[1]).unwrap(), "a segment lists it again");
    assert!(index.lists(&lost.0).unwrap());
}

#[test]
fn an_unlisted_pack_that_cannot_be_read_is_a_problem() {
    let storage = MemoryStore::new();
    let (fixture, cache) = (Fixture::on(Arc::new(storage.clone()), 1), tempfile::tempdir().unwrap());
    let (pack, _) = real_pack(&fixture, &[b"one"]);
    let name = ObjectName::of(ObjectKind::Pack, pack.0);
    storage.replace(&name, &storage.contents()[&name][..500]);
    let index = open(&fixture, cache.path());
    assert_eq!(index.adopt_unlisted_packs(&fixture.repository, &Silent, &Cancel::default()).unwrap(), 0);
    assert_eq!(index.problems().iter().map(|problem| problem.name.clone()).collect::<Vec<_>>(), [name]);
}

#[test]
fn packs_of_a_removed_segment_are_forgotten_unless_a_merged_one_lists_them_all() {
    let storage = MemoryStore::new();
    let (fixture, cache) = (Fixture::on(Arc::new(storage.clone()), 1), tempfile::tempdir().unwrap());
    let a = fixture.store(&[listed(1, 10)]).unwrap();
    let b = fixture.store(&[listed(2, 10), listed(3, 10)]).unwrap();
    drop(open(&fixture, cache.path()));
    let (sealer, signing) = (fixture.sealer(), fixture.signing());
    let merge = |packs: &[ListedPack]| {
        segment::write_one(&fixture.repository, &sealer, &signing, &[a, b], packs).unwrap();
    };
    merge(&[listed(1, 10), listed(2, 10)]);
    let index = open(&fixture, cache.path());
    assert_eq!((index.chunk_count(), index.pack_count()), (30, 3));
    drop(index);

    storage.delete(&segment::name(a)).unwrap();
    let index = open(&fixture, cache.path());
    assert!([1, 2, 3].iter().all(|pack| index.contains(&chunk(*pack, 1)).unwrap()));
    drop(index);

    storage.delete(&segment::name(b)).unwrap();
    let index = open(&fixture, cache.path());
    assert_eq!([1, 2, 3].map(|pack| index.contains(&chunk(pack, 1)).unwrap()), [true, true, false]);
}

#[test]
fn a_request_to_stop_ends_opening() {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    fixture.store(&[listed(1, 10)]).unwrap();
    let cancel = Cancel::default();
    cancel.request();
    let opened = Index::open(&fixture.repository, cache.path(), &Silent, &cancel);
    assert!(matches!(opened.err(), Some(RepoError::Interrupted)));
}

#[test]
fn many_threads_look_up_while_one_folds() {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    let index = open(&fixture, cache.path());
    store(&index, &fixture, &[listed(0, 2000)]);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let index = &index;
            scope.spawn(move || {
                for nth in 0..5000u64 {
                    let nth = (nth * 7 + thread) % 2000;
                    assert_eq!(pack_of(index, &chunk(0, nth)), [pack_id(0)]);
                }
            });
        }
        for pack in 1..15 {
            store(&index, &fixture, &[listed(pack, 500)]);
        }
    });
    assert_eq!(index.scan().count(), 2000 + 14 * 500);
}
