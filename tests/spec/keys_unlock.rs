//! What opens a repository, and what does not.

use dssvault::base::hint::Hint;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::RepoError;
use dssvault::vault::VaultError;

use crate::keys_fixture::{Memory, init, open, password, words};

#[test]
fn the_password_and_the_recovery_words_open_the_same_repository() {
    let store = Memory::default();
    let created = init(&store, "correct", 1).unwrap();
    let phrase = created.recovery_words.unwrap().to_uppercase();

    let by_password = open(&store, &password("correct")).unwrap();
    let by_words = open(&store, &words(&phrase)).unwrap();

    assert_eq!(by_password.id(), created.repository);
    assert_eq!(by_words.config, by_password.config);
    assert_eq!(by_words.secrets.to_cbor(), by_password.secrets.to_cbor());
    assert_ne!(by_words.opened_by.slot, by_password.opened_by.slot);
    assert!(by_password.warnings.is_empty());
}

#[test]
fn a_wrong_password_or_other_words_are_refused() {
    let store = Memory::default();
    init(&store, "correct", 1).unwrap();
    let zeros = "abandon ".repeat(23) + "art";
    for credential in [password("Correct"), password(""), words(&zeros)] {
        assert!(matches!(open(&store, &credential).err().unwrap(), RepoError::WrongPassword { .. }));
    }
}

#[test]
fn text_that_is_no_recovery_key_is_told_apart_from_a_wrong_one() {
    let store = Memory::default();
    init(&store, "correct", 1).unwrap();
    let error = open(&store, &words("abandon hope")).err().unwrap();
    assert!(matches!(error, RepoError::RecoveryWords(_)));
    assert!(error.hint().is_some());
}

#[test]
fn an_empty_store_is_no_repository() {
    let error = open(&Memory::default(), &password("any")).err().unwrap();
    assert!(matches!(error, RepoError::NoRepository { .. }));
}

#[test]
fn a_store_with_packs_but_no_configuration_is_damaged_and_is_not_initialised_over() {
    let store = Memory::default();
    store.tamper(&ObjectName::new(ObjectKind::Pack, "00").unwrap(), vec![1]);
    let error = open(&store, &password("any")).err().unwrap();
    assert!(matches!(&error, RepoError::Damaged { name, .. } if name.kind() == ObjectKind::Config));
    assert!(init(&store, "any", 1).is_err());
}

#[test]
fn a_second_init_is_refused_and_changes_nothing() {
    let store = Memory::default();
    init(&store, "correct", 1).unwrap();
    let before = store.names(ObjectKind::Key);
    let error = init(&store, "other", 2).err().unwrap();
    assert!(matches!(error, VaultError::Repo(RepoError::AlreadyInitialised { .. })));
    assert_eq!(store.names(ObjectKind::Key), before);
}

#[test]
fn slots_of_an_interrupted_init_never_open_anything() {
    // The first try ends before its configuration; it used the very same password.
    let store = Memory::default();
    init(&store, "correct", 1).unwrap();
    store.names(ObjectKind::Config).iter().chain(&store.names(ObjectKind::Journal)).for_each(|name| {
        store.tamper(name, Vec::new());
        dssvault::storage::Storage::delete(&store, name).unwrap();
    });

    let second = init(&store, "correct", 2).unwrap();

    assert_eq!(store.names(ObjectKind::Key).len(), 4);
    assert_eq!(open(&store, &password("correct")).unwrap().id(), second.repository);
    assert!(open(&store, &words(&second.recovery_words.unwrap())).is_ok());
}

#[test]
fn a_damaged_slot_does_not_keep_the_other_from_opening() {
    let store = Memory::default();
    let phrase = init(&store, "correct", 1).unwrap().recovery_words.unwrap();
    let used = open(&store, &password("correct")).unwrap().opened_by.slot;
    let name = ObjectName::of(ObjectKind::Key, used);
    let mut bytes = store.bytes(&name);
    bytes[100] ^= 1;
    store.tamper(&name, bytes);

    assert!(open(&store, &words(&phrase)).is_ok());
    let error = open(&store, &password("correct")).err().unwrap();
    assert!(matches!(error, RepoError::WrongPasswordOrDamaged { damaged: 1, .. }), "{error}");
    assert!(error.to_string().contains(&used.to_string()));
}
