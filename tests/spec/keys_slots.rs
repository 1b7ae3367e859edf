//! Adding, listing and removing keys.

use dssvault::base::hint::Hint;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::RepoError;
use dssvault::repo::keys::{Method, SlotCosts};
use dssvault::vault::VaultError;
use dssvault::vault::keys;

use crate::keys_fixture::{Memory, init, open, password, repository, words};

#[test]
fn the_list_tells_method_costs_and_which_slot_is_in_use() {
    let (_, repository) = repository();
    let listed = keys::list(&repository).unwrap();
    assert!(listed.faults.is_empty());
    assert_eq!(listed.slots.iter().filter(|slot| slot.current).count(), 1);
    let methods: Vec<_> = listed.slots.iter().map(|slot| (slot.current, slot.info.method)).collect();
    assert!(methods.contains(&(true, Method::Password(SlotCosts::MIN))));
    assert!(methods.contains(&(false, Method::RecoveryWords)));
}

#[test]
fn an_added_password_and_added_words_open_the_repository_too() {
    let (store, repository) = repository();
    keys::add_password(&repository, &password("second"), "Ops", SlotCosts::MIN).unwrap();
    let (_, phrase) = keys::add_recovery(&repository, "safe").unwrap();
    for credential in [password("correct"), password("second"), words(&phrase)] {
        assert_eq!(open(&store, &credential).unwrap().id(), repository.id());
    }
}

#[test]
fn a_removed_slot_opens_nothing_any_more() {
    let (store, repository) = repository();
    let added = keys::add_password(&repository, &password("second"), "", SlotCosts::MIN).unwrap();
    keys::remove(&repository, added.slot, false).unwrap();
    assert!(matches!(open(&store, &password("second")).err().unwrap(), RepoError::WrongPassword { .. }));
}

#[test]
fn the_slot_in_use_goes_only_by_force_and_the_last_one_never() {
    let (_, repository) = repository();
    let in_use = repository.opened_by.slot;
    let error = keys::remove(&repository, in_use, false).unwrap_err();
    assert!(error.hint().unwrap().contains("--force"));
    keys::remove(&repository, in_use, true).unwrap();

    let last = keys::list(&repository).unwrap().slots[0].info.slot;
    assert!(matches!(keys::remove(&repository, last, true), Err(VaultError::Request { .. })));
    assert!(matches!(keys::remove(&repository, in_use, true), Err(VaultError::Request { .. })));
}

#[test]
fn a_damaged_slot_is_listed_as_such_and_does_not_count_as_a_way_in() {
    let (store, repository) = repository();
    let other = keys::list(&repository).unwrap().slots.into_iter().find(|slot| !slot.current).unwrap();
    let name = ObjectName::of(ObjectKind::Key, other.info.slot);
    store.tamper(&name, b"DSSVAULT".to_vec());
    assert_eq!(keys::list(&repository).unwrap().faults.len(), 1);
    assert!(keys::remove(&repository, repository.opened_by.slot, true).is_err());
    keys::remove(&repository, other.info.slot, false).unwrap();
    assert!(keys::list(&repository).unwrap().faults.is_empty());
}

#[test]
fn changing_the_password_leaves_the_new_one_and_the_words() {
    let store = Memory::default();
    let phrase = init(&store, "old", 1).unwrap().recovery_words.unwrap();
    let repository = open(&store, &password("old")).unwrap();

    let changed = keys::change_password(&repository, &password("new"), SlotCosts::MIN).unwrap();

    assert_eq!(changed.removed, Some(repository.opened_by.slot));
    assert!(changed.others.is_empty());
    assert_eq!(changed.added.label, repository.opened_by.label);
    assert!(open(&store, &password("old")).is_err());
    assert!(open(&store, &password("new")).is_ok());
    assert!(open(&store, &words(&phrase)).is_ok());
}

#[test]
fn the_words_alone_can_set_a_new_password_when_the_old_one_is_lost() {
    let store = Memory::default();
    let phrase = init(&store, "lost", 1).unwrap().recovery_words.unwrap();
    let repository = open(&store, &words(&phrase)).unwrap();
    keys::change_password(&repository, &password("new"), SlotCosts::MIN).unwrap();
    assert!(open(&store, &password("new")).is_ok());
    assert!(open(&store, &password("lost")).is_err());
}

#[test]
fn the_words_replace_no_password_when_it_is_not_clear_which() {
    let store = Memory::default();
    let phrase = init(&store, "first", 1).unwrap().recovery_words.unwrap();
    let repository = open(&store, &words(&phrase)).unwrap();
    keys::add_password(&repository, &password("second"), "", SlotCosts::MIN).unwrap();
    let changed = keys::change_password(&repository, &password("third"), SlotCosts::MIN).unwrap();
    assert_eq!((changed.removed, changed.others.len()), (None, 2));
    for text in ["first", "second", "third"] {
        assert!(open(&store, &password(text)).is_ok(), "{text}");
    }
}

#[test]
fn labels_that_could_confuse_a_terminal_are_refused() {
    let (_, repository) = repository();
    for label in ["\u{1b}[2J", "two\nlines", &"x".repeat(201)] {
        assert!(keys::add_password(&repository, &password("x"), label, SlotCosts::MIN).is_err());
    }
}
