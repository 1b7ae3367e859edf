//! The wrappers themselves must be right, or the crash tests that use them prove nothing.

use std::sync::Arc;

use super::*;
use crate::base::object::{ObjectKind, ObjectName};
use crate::storage::{Published, Storage};

fn name(text: &str) -> ObjectName {
    ObjectName::new(ObjectKind::Pack, text).unwrap()
}

fn faulty(fault: Fault) -> (MemoryStore, Faulty) {
    let memory = MemoryStore::new();
    (memory.clone(), Faulty::new(Arc::new(memory), fault))
}

#[test]
fn every_call_is_recorded_in_order() {
    let store = Recorder::new(Arc::new(MemoryStore::new()));
    store.put(&name("aa"), b"one").unwrap();
    store.put(&name("aa"), b"one").unwrap();
    let publish = |outcome| Call::Publish { name: name("aa"), outcome: Some(outcome) };
    let put = |outcome| [Call::Stage, Call::Write { bytes: 3 }, publish(outcome)];
    assert_eq!(store.take(), [put(Published::Created), put(Published::AlreadyThere)].concat());
    store.get(&name("aa"), 10).unwrap();
    store.list(ObjectKind::Pack).unwrap();
    assert_eq!(store.calls(), [Call::Get(name("aa")), Call::List(ObjectKind::Pack)]);
}

#[test]
fn after_a_power_cut_nothing_works_and_nothing_changed() {
    for nth in 1..=3 {
        let (memory, store) = faulty(Fault::From(nth));
        assert!(store.put(&name("aa"), b"one").is_err());
        assert!(store.list(ObjectKind::Pack).is_err());
        assert!(store.has_struck());
        assert!(memory.contents().is_empty());
    }
    let (memory, store) = faulty(Fault::From(4));
    store.put(&name("aa"), b"one").unwrap();
    assert!(!store.has_struck());
    assert_eq!(memory.contents().len(), 1);
}

#[test]
fn a_single_failure_passes_by() {
    let (_, store) = faulty(Fault::Once(2));
    assert!(store.put(&name("aa"), b"one").is_err());
    assert_eq!(store.put(&name("aa"), b"one").unwrap(), Published::Created);
}

#[test]
fn a_lost_answer_hides_that_the_object_is_there() {
    let (memory, store) = faulty(Fault::LostAnswer(3));
    assert!(store.put(&name("aa"), b"one").is_err());
    assert_eq!(memory.contents().len(), 1);
    assert_eq!(store.put(&name("aa"), b"one").unwrap(), Published::AlreadyThere);
}

#[test]
fn a_torn_write_never_reaches_a_name() {
    for nth in 1..=3 {
        let (memory, store) = faulty(Fault::Tear(nth));
        assert!(store.put(&name("aa"), b"one").is_err());
        assert!(store.put(&name("bb"), b"two").is_err());
        assert!(memory.contents().is_empty());
    }
}

#[test]
fn a_fork_of_a_store_in_memory_goes_its_own_way() {
    let store = MemoryStore::new();
    store.put(&name("aa"), b"one").unwrap();
    let fork = store.fork();
    fork.delete(&name("aa")).unwrap();
    assert_eq!(store.get(&name("aa"), 3).unwrap(), b"one");
}
