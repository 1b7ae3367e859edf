//! Random folds, merges, reopenings and lost caches, against a plain map.

use std::collections::BTreeMap;

use dssvault::base::cancel::Cancel;
use dssvault::base::id::PackId;
use dssvault::base::progress::Silent;
use dssvault::repo::index::testing::{Fixture, chunk_id, pack_id, table_with};
use dssvault::repo::index::{Index, prefix_of};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// This process stores a pack of these chunks.
    Store(Vec<u64>),
    /// Another machine does.
    StoreElsewhere(Vec<u64>),
    /// The command ends and the next begins.
    Reopen,
    /// And somebody deletes the cache in between.
    LoseCache,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let chunks = || {
        prop_oneof![
            prop::collection::vec(0..3_000u64, 1..60),
            (0..3_000u64, 1..6_000u64).prop_map(|(first, count)| (first..first + count).collect::<Vec<_>>()),
        ]
    };
    let step = prop_oneof![
        5 => chunks().prop_map(Step::Store),
        2 => chunks().prop_map(Step::StoreElsewhere),
        2 => Just(Step::Reopen),
        1 => Just(Step::LoseCache),
    ];
    prop::collection::vec(step, 1..25)
}

/// Chunk number to packs, each with how often it holds the chunk.
type Model = BTreeMap<u64, Vec<PackId>>;

fn check(index: &Index, model: &Model) -> Result<(), TestCaseError> {
    for number in (0..9_500).step_by(13) {
        let id = chunk_id(number);
        let places = index.places(&id).unwrap();
        let mut found: Vec<_> = places.iter().map(|place| index.pack(place.pack).unwrap().id).collect();
        let mut expected = model.get(&number).cloned().unwrap_or_default();
        found.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(index.contains(&id).unwrap(), !expected.is_empty());
        prop_assert_eq!(found, expected, "chunk {}", number);
    }
    let mut prefixes: Vec<_> =
        model.iter().flat_map(|(number, packs)| packs.iter().map(|_| prefix_of(&chunk_id(*number)))).collect();
    prefixes.sort_unstable();
    let scanned: Vec<_> = index.scan().map(|entry| entry.unwrap().prefix).collect();
    prop_assert_eq!(scanned, prefixes);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_index_answers_as_a_map_would(steps in steps()) {
        let (fixture, cache) = (Fixture::new(3), tempfile::tempdir().unwrap());
        let open = || Index::open(&fixture.repository, cache.path(), &Silent, &Cancel::default()).unwrap();
        let (sealer, signing) = (fixture.sealer(), fixture.signing());
        let (mut index, mut model, mut seen) = (open(), Model::new(), Model::new());
        for (step, number) in steps.into_iter().zip(0..) {
            match step {
                Step::Store(chunks) | Step::StoreElsewhere(chunks) if chunks.is_empty() => {}
                Step::Store(chunks) => {
                    let packs = [(pack_id(number), 64 << 20, table_with(&chunks))];
                    fixture.stand_in(&packs).unwrap();
                    index.store(&fixture.repository, &sealer, &signing, &packs).unwrap();
                    for chunk in chunks {
                        model.entry(chunk).or_default().push(pack_id(number));
                        seen.entry(chunk).or_default().push(pack_id(number));
                    }
                    check(&index, &seen)?;
                }
                Step::StoreElsewhere(chunks) => {
                    fixture.store(&[(pack_id(number), 64 << 20, table_with(&chunks))]).unwrap();
                    for chunk in chunks {
                        model.entry(chunk).or_default().push(pack_id(number));
                    }
                }
                Step::Reopen | Step::LoseCache => {
                    drop(index);
                    if matches!(step, Step::LoseCache) {
                        std::fs::remove_dir_all(cache.path().join("index")).unwrap();
                    }
                    index = open();
                    seen = model.clone();
                    check(&index, &seen)?;
                }
            }
        }
    }
}
