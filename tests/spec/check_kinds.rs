//! Every kind of finding that `docs/json.md` lists can occur, under the word it lists.

use std::collections::BTreeSet;
use std::sync::Arc;

use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::index::segment;
use dssvault::repo::journal::Entry;
use dssvault::repo::pack::reader;
use dssvault::storage::Storage;
use dssvault::storage::testing::{Fault, Faulty};
use dssvault::vault::check::{self, CheckReport, Kind, ReadData};
use dssvault::vault::parity::{self, AddOptions};
use dssvault::vault::{Context, VaultError};

use crate::check_fixture::{Vault, noise};

const DOCUMENT: &str = include_str!("../../docs/json.md");

/// A snapshot of `a/one` and `a/two`, and a later one of the same.
fn vault() -> Vault {
    let vault = Vault::new(1);
    vault.write("a/one", &noise(1, 300_000));
    vault.write("a/two", &noise(2, 5000));
    vault.backup();
    vault.write("a/three", b"three");
    vault.backup();
    vault
}

fn first(vault: &Vault, kind: ObjectKind) -> ObjectName {
    vault.names(kind).remove(0)
}

fn largest_pack(vault: &Vault) -> ObjectName {
    vault.names(ObjectKind::Pack).into_iter().max_by_key(|name| vault.bytes(name).len()).unwrap()
}

fn smallest_pack(vault: &Vault) -> ObjectName {
    vault.names(ObjectKind::Pack).into_iter().min_by_key(|name| vault.bytes(name).len()).unwrap()
}

fn kinds(report: &CheckReport) -> BTreeSet<Kind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

/// The kinds found after `harm` was done to an opened repository.
fn after(harm: impl FnOnce(&Vault)) -> BTreeSet<Kind> {
    let vault = vault();
    let repository = vault.open();
    harm(&vault);
    std::fs::remove_dir_all(vault.dir.path().join("cache")).unwrap();
    kinds(&check::run(&repository, ReadData::All, vault.context()).unwrap())
}

fn flip(kind: ObjectKind) -> impl FnOnce(&Vault) {
    move |vault| vault.flip(&first(vault, kind), 100)
}

fn append(vault: &Vault, entry: Entry) {
    let repository = vault.open();
    let decide = |_: &_| Ok(Some(entry.clone()));
    repository.journal().append(&repository.secrets, &*repository.seams.clock, decide).unwrap();
}

/// A segment that gives a pack the table of another one.
fn wrong_segment(vault: &Vault) {
    let repository = vault.open();
    let (one, other) = (largest_pack(vault), smallest_pack(vault));
    let bytes = vault.bytes(&other).len() as u64;
    let table = reader::read_table(&repository, other.text().parse().unwrap(), bytes).unwrap();
    let listed = (one.text().parse().unwrap(), vault.bytes(&one).len() as u64, table);
    let sealer = dssvault::vault::sealer::begin(&repository).unwrap();
    segment::write_one(&repository, &sealer, &repository.secrets.signing(), &[], &[listed]).unwrap();
}

/// More files than are named, all lost with one pack.
fn many_lost_files() -> BTreeSet<Kind> {
    let vault = Vault::new(2);
    (0..120).for_each(|number| vault.write(&format!("{number}"), &noise(number, 9000)));
    vault.backup();
    vault.store.delete(&largest_pack(&vault)).unwrap();
    kinds(&vault.check(ReadData::None))
}

/// A journal shorter than this machine has seen it.
fn rolled_back() -> BTreeSet<Kind> {
    let vault = vault();
    append(&vault, Entry::Forget(vec![first(&vault, ObjectKind::Snapshot).text().parse().unwrap()]));
    vault.check(ReadData::None);
    vault.store.delete(&ObjectName::numbered(ObjectKind::Journal, 2)).unwrap();
    kinds(&vault.check(ReadData::None))
}

/// An object of parity has other bytes.
fn parity_damaged() -> BTreeSet<Kind> {
    let vault = vault();
    let store: Arc<dyn Storage> = Arc::new(vault.store.clone());
    parity::add(&*store, &AddOptions::default(), vault.context()).unwrap();
    vault.flip(&first(&vault, ObjectKind::Parity), 100);
    kinds(&check::storage_only(&store, vault.context()).unwrap())
}

/// Listings fail, all but those that opening the repository asked for.
fn unlistable() -> BTreeSet<Kind> {
    let vault = vault();
    let whole: Arc<dyn Storage> = Arc::new(vault.store.clone());
    let refused = (1..).find_map(|call| {
        let faulty: Arc<dyn Storage> = Arc::new(Faulty::new(Arc::clone(&whole), Fault::From(call)));
        let report = check::storage_only(&faulty, Context { ..vault.context() }).ok()?;
        kinds(&report).contains(&Kind::Unlistable).then(|| kinds(&report))
    });
    refused.unwrap()
}

/// A segment of a newer program: the index as a whole cannot be used.
fn newer_segment() -> BTreeSet<Kind> {
    after(|vault| {
        let name = first(vault, ObjectKind::Index);
        let mut bytes = vault.bytes(&name);
        bytes[9] = 2;
        let hash = blake3::hash(&bytes).to_hex();
        vault.store.replace(&ObjectName::new(ObjectKind::Index, hash.as_str()).unwrap(), bytes);
    })
}

#[test]
fn every_kind_of_finding_occurs_and_is_documented() {
    let foreign = |vault: &Vault| {
        let other = Vault::new(9);
        let slot = first(&other, ObjectKind::Key);
        vault.store.replace(&slot, other.bytes(&slot));
    };
    let quarantined = |vault: &Vault| {
        let name = first(vault, ObjectKind::Snapshot);
        append(vault, Entry::Quarantine(name.text().parse().unwrap(), "torn".to_owned()));
        vault.flip(&name, 300);
    };
    let not_indexed = |vault: &Vault| {
        vault.store.delete(&largest_pack(vault)).unwrap();
        vault.names(ObjectKind::Index).iter().for_each(|name| vault.store.delete(name).unwrap());
    };
    let seen: Vec<(Kind, BTreeSet<Kind>)> = vec![
        (Kind::ConfigDamaged, after(flip(ObjectKind::Config))),
        (Kind::KeyDamaged, after(flip(ObjectKind::Key))),
        (Kind::KeyForeign, after(foreign)),
        (Kind::JournalDamaged, after(flip(ObjectKind::Journal))),
        (Kind::RolledBack, rolled_back()),
        (Kind::SessionDamaged, after(flip(ObjectKind::Session))),
        (Kind::SnapshotDamaged, after(flip(ObjectKind::Snapshot))),
        (
            Kind::SnapshotMissing,
            after(|vault| {
                let newest = vault.backup();
                let parent =
                    vault.names(ObjectKind::Snapshot).into_iter().filter(|name| *name.text() != newest.to_string());
                parent.for_each(|name| vault.store.delete(&name).unwrap());
            }),
        ),
        (Kind::SnapshotQuarantined, after(quarantined)),
        (Kind::SegmentDamaged, after(flip(ObjectKind::Index))),
        (Kind::IndexWrong, after(wrong_segment)),
        (Kind::IndexUnusable, newer_segment()),
        (Kind::PackMissing, after(|vault| vault.store.delete(&largest_pack(vault)).unwrap())),
        (Kind::PackDamaged, after(|vault| vault.flip(&largest_pack(vault), 20))),
        (Kind::BlockDamaged, after(|vault| vault.flip(&largest_pack(vault), 5000))),
        (Kind::PackUnlisted, after(|vault| vault.store.delete(&first(vault, ObjectKind::Index)).unwrap())),
        (Kind::ParityDamaged, parity_damaged()),
        (Kind::ChunkMissing, after(not_indexed)),
        (Kind::FileAffected, after(|vault| vault.store.delete(&largest_pack(vault)).unwrap())),
        (
            Kind::DirectoryAffected,
            after(|vault| vault.names(ObjectKind::Pack).iter().for_each(|name| vault.store.delete(name).unwrap())),
        ),
        (Kind::MoreAffected, many_lost_files()),
        (
            Kind::NameUnknown,
            after(|vault| {
                vault.store.replace(&ObjectName::new(ObjectKind::Pack, "readme").unwrap(), &b"hello"[..]);
            }),
        ),
        (Kind::Unlistable, unlistable()),
    ];
    for (kind, found) in &seen {
        assert!(found.contains(kind), "{kind:?} among {found:?}");
        let word = serde_json::to_value(kind).unwrap();
        assert!(DOCUMENT.contains(&format!("| `{}` |", word.as_str().unwrap())), "{word} is not in docs/json.md");
    }
    assert_eq!(seen.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>(), Kind::ALL);
}

#[test]
fn two_segments_that_disagree_are_told_apart_without_reading_data() {
    let vault = vault();
    wrong_segment(&vault);
    let found = vault.check(ReadData::None);
    assert!(kinds(&found).contains(&Kind::IndexWrong), "{:?}", found.findings);
}

#[test]
fn a_check_that_cannot_be_made_is_an_error_and_no_finding() {
    let outcome = check::run(&vault().open(), ReadData::Bytes(0), Vault::new(3).context());
    assert!(matches!(outcome, Err(VaultError::Request { .. })));
}
