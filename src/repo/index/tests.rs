use super::testing::{Fixture, chunk_id, pack_id, table_of};
use super::*;
use crate::base::progress::Silent;

fn open(fixture: &Fixture, cache: &Path) -> Index {
    Index::open(&fixture.repository, cache, &Silent, &Cancel::default()).unwrap()
}

fn listed(number: u64, chunks: u32) -> ListedPack {
    (pack_id(number), 1 << 20, table_of(number, chunks))
}

#[test]
fn what_was_stored_is_found_again_with_its_pack() {
    let (fixture, cache) = (Fixture::new(1), tempfile::tempdir().unwrap());
    let index = open(&fixture, cache.path());
    index.store(&fixture.repository, &fixture.sealer(), &fixture.signing(), &[listed(1, 3000)]).unwrap();
    for index in [index, open(&fixture, cache.path())] {
        let id = chunk_id((1 << 32) + 2001);
        assert!(index.contains(&id).unwrap());
        let places = index.places(&id).unwrap();
        assert_eq!(places.len(), 1);
        assert_eq!((places[0].block, places[0].offset, places[0].length), (2, 10, 10));
        assert_eq!(index.pack(places[0].pack).unwrap().id, pack_id(1));
        assert!(!index.contains(&chunk_id(7)).unwrap());
        assert_eq!((index.chunk_count(), index.pack_count()), (3000, 1));
    }
}
