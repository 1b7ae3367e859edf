//! The checks of `spec/storage_conformance.rs`: each takes an empty store and panics when a promise of `Storage`
//! is broken.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::storage::{Published, Storage, StorageError};

const ANY_SIZE: u64 = u64::MAX;

fn name(kind: ObjectKind, text: &str) -> ObjectName {
    ObjectName::new(kind, text).unwrap()
}

/// Content that differs between seeds from its first byte to its last.
fn content(seed: usize, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut content);
    content
}

/// Names as packs have them, spread over all fan-out folders.
fn spread(number: usize) -> String {
    blake3::hash(&number.to_le_bytes()).to_hex().to_string()
}

fn names_listed(store: &dyn Storage, kind: ObjectKind) -> BTreeSet<ObjectName> {
    let listed = store.list(kind).unwrap();
    let names: BTreeSet<_> = listed.iter().map(|entry| entry.name.clone()).collect();
    assert_eq!(names.len(), listed.len(), "an object is listed twice");
    names
}

/// Runs `work(0..threads)` at once.
fn together(threads: usize, work: impl Fn(usize) + Sync) {
    let start = Barrier::new(threads);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(thread);
            });
        }
    });
}

pub fn an_object_reads_back_as_it_was_written(store: &dyn Storage) {
    for bytes in [1, 4095, 1 << 20] {
        let name = name(ObjectKind::Pack, &spread(bytes));
        assert_eq!(store.put(&name, &content(bytes, bytes)).unwrap(), Published::Created);
        assert_eq!(store.get(&name, ANY_SIZE).unwrap(), content(bytes, bytes));
        assert_eq!(store.get_range(&name, 0, bytes).unwrap(), content(bytes, bytes));
    }
    let listed = store.list(ObjectKind::Pack).unwrap();
    assert_eq!(listed.iter().map(|entry| entry.bytes).collect::<BTreeSet<_>>(), [1, 4095, 1 << 20].into());
    assert!(listed.iter().all(|entry| entry.created.seconds > 1_700_000_000), "objects carry no times: {listed:?}");
}

pub fn an_object_that_is_there_is_left_alone(store: &dyn Storage) {
    let name = name(ObjectKind::Snapshot, "abcdef");
    assert_eq!(store.put(&name, b"the first").unwrap(), Published::Created);
    assert_eq!(store.put(&name, b"the second").unwrap(), Published::AlreadyThere);
    assert_eq!(store.get(&name, ANY_SIZE).unwrap(), b"the first");
}

pub fn of_many_creators_of_one_name_exactly_one_wins(store: &dyn Storage) {
    for round in 0..20 {
        for kind in [ObjectKind::Snapshot, ObjectKind::Pack] {
            let name = name(kind, &spread(round));
            let (winner, winners) = (AtomicUsize::new(0), AtomicUsize::new(0));
            together(16, |thread| match store.put(&name, &content(thread, 5000)).unwrap() {
                Published::Created => {
                    winner.store(thread, Ordering::SeqCst);
                    winners.fetch_add(1, Ordering::SeqCst);
                }
                // Whoever lost must already find the winner's bytes, whole.
                Published::AlreadyThere => assert_eq!(store.get(&name, ANY_SIZE).unwrap().len(), 5000),
            });
            assert_eq!(winners.into_inner(), 1, "round {round}");
            assert_eq!(store.get(&name, ANY_SIZE).unwrap(), content(winner.into_inner(), 5000));
        }
    }
}

pub fn an_object_appears_whole_or_not_at_all(store: &dyn Storage) {
    const BYTES: usize = 300_000;
    let written = AtomicBool::new(false);
    together(3, |thread| {
        if thread == 0 {
            for number in 0..30 {
                let mut staged = store.stage().unwrap();
                content(number, BYTES).chunks(10_000).for_each(|part| staged.write(part).unwrap());
                staged.publish(&name(ObjectKind::Snapshot, &spread(number))).unwrap();
            }
            written.store(true, Ordering::SeqCst);
        }
        while !written.load(Ordering::SeqCst) {
            for entry in store.list(ObjectKind::Snapshot).unwrap() {
                assert_eq!(entry.bytes, BYTES as u64, "a listing shows a part of {}", entry.name);
                assert_eq!(store.get(&entry.name, ANY_SIZE).unwrap().len(), BYTES);
                assert_eq!(store.get_range(&entry.name, BYTES as u64 - 9, 9).unwrap().len(), 9);
            }
            for number in 0..30 {
                match store.get(&name(ObjectKind::Snapshot, &spread(number)), ANY_SIZE) {
                    Ok(found) => assert_eq!(found, content(number, BYTES)),
                    Err(error) => assert!(matches!(error, StorageError::NotFound { .. }), "{error}"),
                }
            }
        }
    });
}

pub fn a_dropped_stage_leaves_nothing(store: &dyn Storage) {
    let mut staged = store.stage().unwrap();
    staged.write(b"never finished").unwrap();
    drop(staged);
    drop(store.stage().unwrap());
    for kind in ObjectKind::ALL {
        assert_eq!(store.list(kind).unwrap(), [], "{kind:?}");
    }
}

pub fn several_objects_are_written_at_once_and_from_any_thread(store: &dyn Storage) {
    let mut stages: Vec<_> = (0..8).map(|_| store.stage().unwrap()).collect();
    for part in 0..4 {
        for (number, staged) in stages.iter_mut().enumerate() {
            staged.write(&content(number * 10 + part, 1000)).unwrap();
        }
    }
    std::thread::scope(|scope| {
        for (number, staged) in stages.into_iter().enumerate() {
            scope.spawn(move || staged.publish(&name(ObjectKind::Pack, &spread(number))).unwrap());
        }
    });
    for number in 0..8 {
        let expected: Vec<u8> = (0..4).flat_map(|part| content(number * 10 + part, 1000)).collect();
        assert_eq!(store.get(&name(ObjectKind::Pack, &spread(number)), ANY_SIZE).unwrap(), expected);
    }
}

pub fn a_range_is_served_exactly_or_called_truncated(store: &dyn Storage) {
    let name = name(ObjectKind::Pack, "abcdef");
    let whole = content(1, 1000);
    store.put(&name, &whole).unwrap();
    for (offset, length) in [(0, 1000), (0, 1), (999, 1), (123, 456), (1000, 0), (0, 0)] {
        assert_eq!(store.get_range(&name, offset, length).unwrap(), whole[offset as usize..][..length]);
    }
    let beyond = [(0, 1001), (999, 2), (1000, 1), (5000, 1), (u64::MAX, 1), (u64::MAX, usize::MAX), (0, usize::MAX)];
    for (offset, length) in beyond {
        let error = store.get_range(&name, offset, length).unwrap_err();
        assert!(matches!(error, StorageError::Truncated { .. }), "{length} bytes at {offset}: {error}");
        assert!(error.to_string().contains("packs/abcdef"), "{error}");
    }
}

pub fn an_object_above_the_limit_is_not_read(store: &dyn Storage) {
    let name = name(ObjectKind::Key, "abcdef");
    store.put(&name, &content(1, 1000)).unwrap();
    assert_eq!(store.get(&name, 1000).unwrap().len(), 1000);
    let error = store.get(&name, 999).unwrap_err();
    assert!(matches!(error, StorageError::TooLarge { bytes: 1000, limit: 999, .. }), "{error}");
    assert!(error.to_string().contains("keys/abcdef"), "{error}");
}

pub fn a_listing_names_every_object(store: &dyn Storage) {
    const OBJECTS: usize = 2500;
    together(16, |thread| {
        for number in (thread..OBJECTS).step_by(16) {
            let kind = if number % 5 == 0 { ObjectKind::Journal } else { ObjectKind::Pack };
            store.put(&name(kind, &spread(number)), &content(number, 1 + number % 7)).unwrap();
        }
    });
    for (kind, objects) in [(ObjectKind::Journal, OBJECTS / 5), (ObjectKind::Pack, OBJECTS / 5 * 4)] {
        let listed = store.list(kind).unwrap();
        assert_eq!(names_listed(store, kind).len(), objects);
        for number in (0..OBJECTS).filter(|number| (number % 5 == 0) == (kind == ObjectKind::Journal)) {
            let wanted = name(kind, &spread(number));
            let entry = listed.iter().find(|entry| entry.name == wanted);
            assert_eq!(entry.map(|entry| entry.bytes), Some(1 + number as u64 % 7), "{wanted}");
        }
    }
}

pub fn a_listing_misses_nothing_while_others_come_and_go(store: &dyn Storage) {
    let stay: BTreeSet<_> = (0..100).map(|number| name(ObjectKind::Pack, &spread(number))).collect();
    stay.iter().for_each(|name| assert_eq!(store.put(name, b"stays").unwrap(), Published::Created));
    let listed = AtomicBool::new(false);
    together(3, |thread| {
        if thread == 0 {
            for _ in 0..40 {
                assert!(names_listed(store, ObjectKind::Pack).is_superset(&stay));
            }
            listed.store(true, Ordering::SeqCst);
        }
        for number in (1000 * thread..).take_while(|_| !listed.load(Ordering::SeqCst)) {
            let name = name(ObjectKind::Pack, &spread(number));
            store.put(&name, b"goes").unwrap();
            store.delete(&name).unwrap();
        }
    });
}

pub fn deleting_twice_is_deleting_once(store: &dyn Storage) {
    let name = name(ObjectKind::Index, "abcdef");
    store.put(&name, b"old").unwrap();
    assert_eq!(store.get_range(&name, 0, 3).unwrap(), b"old");
    store.delete(&name).unwrap();
    store.delete(&name).unwrap();
    assert!(matches!(store.get(&name, ANY_SIZE), Err(StorageError::NotFound { .. })));
    assert!(matches!(store.get_range(&name, 0, 3), Err(StorageError::NotFound { .. })));
    assert_eq!(store.list(ObjectKind::Index).unwrap(), []);
    assert_eq!(store.put(&name, b"new").unwrap(), Published::Created);
    assert_eq!(store.get_range(&name, 0, 3).unwrap(), b"new");
}

pub fn what_is_missing_is_named(store: &dyn Storage) {
    for kind in ObjectKind::ALL {
        let name = name(kind, "abcdef");
        for error in [store.get(&name, ANY_SIZE).unwrap_err(), store.get_range(&name, 0, 0).unwrap_err()] {
            assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
            assert!(error.to_string().contains(&name.to_string()), "{error}");
            assert!(error.to_string().contains(&store.location()), "{error}");
        }
        store.delete(&name).unwrap();
    }
}

pub fn a_large_object_is_streamed(store: &dyn Storage) {
    const PARTS: usize = 64;
    const PART: usize = 1 << 20;
    let name = name(ObjectKind::Pack, "abcdef");
    let part = content(7, PART);
    let mut staged = store.stage().unwrap();
    for _ in 0..PARTS {
        part.chunks(100_000).for_each(|piece| staged.write(piece).unwrap());
    }
    assert_eq!(staged.publish(&name).unwrap(), Published::Created);
    assert_eq!(store.list(ObjectKind::Pack).unwrap()[0].bytes, (PARTS * PART) as u64);
    for index in (0..PARTS).rev() {
        assert!(store.get_range(&name, (index * PART) as u64, PART).unwrap() == part, "part {index} differs");
    }
    assert!(store.get(&name, ANY_SIZE).unwrap().chunks(PART).all(|found| found == part));
}

pub fn names_of_different_kinds_do_not_clash(store: &dyn Storage) {
    for kind in ObjectKind::ALL {
        assert_eq!(store.put(&name(kind, "abcdef"), kind.folder().as_bytes()).unwrap(), Published::Created);
    }
    for kind in ObjectKind::ALL {
        assert_eq!(store.get(&name(kind, "abcdef"), ANY_SIZE).unwrap(), kind.folder().as_bytes());
        assert_eq!(names_listed(store, kind), [name(kind, "abcdef")].into());
    }
    store.delete(&name(ObjectKind::Pack, "abcdef")).unwrap();
    assert_eq!(names_listed(store, ObjectKind::Index).len(), 1);
}

pub fn every_name_an_object_can_have_works(store: &dyn Storage) {
    let long = "z9-".repeat(33) + "a";
    let texts = ["a", "ab", "abc", "-", "--", "0", "0000000001", "tmp", "a-b", long.as_str()];
    for kind in [ObjectKind::Pack, ObjectKind::Session] {
        let names: BTreeSet<_> = texts.iter().map(|text| name(kind, text)).collect();
        names.iter().for_each(|name| assert_eq!(store.put(name, name.text().as_bytes()).unwrap(), Published::Created));
        assert_eq!(names_listed(store, kind), names);
        names.iter().for_each(|name| assert_eq!(store.get(name, 100).unwrap(), name.text().as_bytes()));
    }
}
