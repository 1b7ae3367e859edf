//! The journal: linear, signed, complete.

use dssvault::base::id::{PackId, SnapshotId};
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::journal::{Entry, Journal, Objects};
use dssvault::repo::{RepoError, Repository};

use crate::keys_fixture::{Memory, Noon, repository};

fn pack(byte: u8) -> PackId {
    PackId::from_bytes([byte; 32])
}

fn append(repository: &Repository, entry: Entry) -> Result<u64, RepoError> {
    let mut once = Some(entry);
    let state = repository.journal().append(&repository.secrets, &Noon, |_| Ok(once.take()))?;
    Ok(state.head)
}

fn name(number: u64) -> ObjectName {
    ObjectName::numbered(ObjectKind::Journal, number)
}

fn with_marks() -> (Memory, Repository) {
    let (store, repository) = repository();
    append(&repository, Entry::Mark(Objects::packs([pack(1), pack(2)]))).unwrap();
    append(&repository, Entry::Unmark(Objects::packs([pack(1)]))).unwrap();
    append(&repository, Entry::Doom(Objects::packs([pack(2)]))).unwrap();
    (store, repository)
}

#[test]
fn init_begins_the_journal_with_an_empty_checkpoint() {
    let (_, repository) = repository();
    let state = repository.journal().load().unwrap();
    assert_eq!(state.head, 1);
    assert_eq!(state.facts, Default::default());
}

#[test]
fn entries_add_up_and_are_read_back_the_same() {
    let (_, repository) = with_marks();
    let state = repository.journal().load().unwrap();
    assert_eq!(state.head, 4);
    assert!(!state.is_marked(&pack(1)));
    assert!(state.is_marked(&pack(2)) && state.is_doomed(&pack(2)));
}

#[test]
fn whoever_loses_a_number_decides_again_on_what_won() {
    let (_, repository) = repository();
    let mut rival = Some(Entry::Mark(Objects::packs([pack(1)])));
    let mut seen = Vec::new();
    let state = repository
        .journal()
        .append(&repository.secrets, &Noon, |state| {
            seen.push(state.head);
            if let Some(entry) = rival.take() {
                append(&repository, entry)?;
            }
            Ok((!state.is_doomed(&pack(9))).then(|| Entry::Mark(Objects::packs([pack(9)]))))
        })
        .unwrap();
    assert_eq!(seen, [1, 2]);
    assert!(state.is_marked(&pack(1)) && state.is_marked(&pack(9)));
}

#[test]
fn nothing_is_written_that_contradicts_the_state() {
    let (store, repository) = with_marks();
    let id = SnapshotId::from_bytes([5; 16]);
    let refused = [
        Entry::Unmark(Objects::packs([pack(2)])),
        Entry::Doom(Objects::packs([pack(7)])),
        Entry::Swept(Objects::packs([pack(1)])),
        Entry::Mark(Objects::default()),
        Entry::Undelete(vec![id]),
        Entry::Purge(vec![id]),
        Entry::Unpin(vec![id]),
        Entry::Checkpoint(Box::default()),
    ];
    for entry in refused {
        let error = append(&repository, entry.clone()).unwrap_err();
        assert!(matches!(error, RepoError::Refused { .. }), "{entry:?}: {error}");
    }
    assert_eq!(store.names(ObjectKind::Journal).len(), 4);
}

#[test]
fn a_missing_entry_is_named() {
    let (store, repository) = with_marks();
    dssvault::storage::Storage::delete(&store, &name(2)).unwrap();
    let error = repository.journal().load().unwrap_err();
    assert!(matches!(&error, RepoError::Damaged { name: missing, .. } if *missing == name(2)), "{error}");
}

#[test]
fn a_journal_whose_front_is_missing_is_refused_unless_a_checkpoint_stands_there() {
    let (store, repository) = with_marks();
    let full = repository.journal().load().unwrap();
    dssvault::storage::Storage::delete(&store, &name(1)).unwrap();
    assert!(repository.journal().load().is_err());

    let (store, repository) = with_marks();
    append(&repository, Entry::Checkpoint(Box::new(full.facts.clone()))).unwrap();
    append(&repository, Entry::Mark(Objects::packs([pack(8)]))).unwrap();
    let before = repository.journal().load().unwrap();
    (1..=4).for_each(|number| dssvault::storage::Storage::delete(&store, &name(number)).unwrap());
    assert_eq!(repository.journal().load().unwrap(), before);
}

#[test]
fn an_entry_moved_to_another_number_or_repository_is_refused() {
    let (store, repository) = with_marks();
    store.tamper(&name(5), store.bytes(&name(4)));
    assert!(repository.journal().load().is_err());

    let (other, stranger) = with_marks_of(2);
    store.tamper(&name(5), other.bytes(&name(4)));
    assert!(repository.journal().load().is_err());
    drop(stranger);
}

fn with_marks_of(seed: u64) -> (Memory, Repository) {
    let store = Memory::default();
    crate::keys_fixture::init(&store, "correct", seed).unwrap();
    let repository = crate::keys_fixture::open(&store, &crate::keys_fixture::password("correct")).unwrap();
    for byte in 1..4 {
        append(&repository, Entry::Mark(Objects::packs([pack(byte)]))).unwrap();
    }
    (store, repository)
}

#[test]
fn a_fork_of_the_chain_is_noticed_even_when_the_owner_signed_it() {
    let (store, first) = with_marks();
    let (fork, second) = repository();
    // The same repository seen by two stores, as after a restore of an old copy of the store.
    append(&second, Entry::Mark(Objects::packs([pack(3)]))).unwrap();
    store.tamper(&name(2), fork.bytes(&name(2)));
    let error = first.journal().load().unwrap_err();
    assert!(matches!(&error, RepoError::Damaged { name: broken, .. } if *broken == name(3)), "{error}");
}

#[test]
fn an_unknown_kind_of_entry_is_of_a_newer_program() {
    let (store, repository) = repository();
    let last = repository.journal().load().unwrap().last.unwrap();
    let mut body = Vec::new();
    let mut e = minicbor::Encoder::new(&mut body);
    e.map(3).unwrap().u8(0).unwrap().encode(last).unwrap();
    e.u8(1).unwrap().array(2).unwrap().i64(0).unwrap().u32(0).unwrap();
    e.u8(2).unwrap().array(2).unwrap().u32(77).unwrap().array(0).unwrap();
    let signing = repository.secrets.signing();
    store.tamper(&name(2), dssvault::repo::plain::encode(&signing, &name(2), repository.id(), 1, &body));
    let journal = Journal::new(&store, repository.id(), repository.secrets.owner_public());
    assert!(matches!(journal.load().unwrap_err(), RepoError::TooNew { .. }));
}
