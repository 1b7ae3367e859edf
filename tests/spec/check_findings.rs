//! Every kind of damage gives exactly the finding that names it.

use std::sync::Arc;

use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::storage::Storage;
use dssvault::storage::testing::{Call, Watched};
use dssvault::vault::check::ReadData;

use crate::check_fixture::{Vault, lines, noise};

/// Two snapshots: `a/one`, `a/two` and then also `b/three`. Each backup makes a pack of data and one of trees.
fn vault() -> Vault {
    let vault = Vault::new(1);
    vault.write("a/one", &noise(1, 5000));
    vault.write("a/two", &noise(2, 5000));
    vault.backup();
    vault.write("b/three", &noise(3, 5000));
    vault.backup();
    vault
}

/// The pack that holds `b/three`, and the snapshot that needs it.
fn second_data_pack() -> (Vault, ObjectName, String) {
    let vault = Vault::new(1);
    vault.write("a/one", &noise(1, 3000));
    vault.backup();
    let before = vault.store.contents();
    vault.write("b/three", &noise(3, 300_000));
    let snapshot = vault.backup();
    let packs = vault.new_names(ObjectKind::Pack, &before);
    let largest = packs.into_iter().max_by_key(|name| vault.bytes(name).len()).unwrap();
    (vault, largest, snapshot.short())
}

/// Two findings: one about a file of a snapshot, one about a pack.
fn file_and_pack(findings: &[String]) -> (&str, &str) {
    let [first, second] = findings else { panic!("{findings:#?}") };
    if first.starts_with("! packs/") { (second, first) } else { (first, second) }
}

#[test]
fn a_whole_repository_gives_no_finding() {
    let vault = vault();
    for read in [ReadData::None, ReadData::All, ReadData::Percent(50.0), ReadData::Part { part: 1, of: 2 }] {
        assert_eq!(vault.findings(read), [""; 0], "{read:?}");
    }
    assert_eq!(lines(&vault.storage_only()), [""; 0]);
}

#[test]
fn the_report_counts_what_was_seen() {
    let vault = vault();
    let report = vault.check(ReadData::All);
    let packs = vault.names(ObjectKind::Pack).len() as u64;
    assert_eq!((report.snapshots, report.packs, report.packs_read), (2, packs, packs));
    assert!(report.trees > 4 && report.chunks >= report.trees + 3, "{report:?}");
    assert_eq!(report.unused_packs, 0);
    let stored: u64 = vault.store.contents().values().map(|bytes| bytes.len() as u64).sum();
    assert!(report.bytes_read >= stored, "{report:?} of {stored}");
    assert_eq!(vault.check(ReadData::None).packs_read, 0);
}

#[test]
fn a_missing_pack_is_named_with_the_files_that_need_it() {
    let (vault, pack, snapshot) = second_data_pack();
    vault.store.delete(&pack).unwrap();
    let findings = vault.findings(ReadData::None);
    let file = format!("! {snapshot}:{}: chunk ", vault.shown("b/three"));
    let (lost, missing) = file_and_pack(&findings);
    assert!(lost.starts_with(&file) && lost.ends_with(&format!("is lost with {pack}")), "{lost}");
    assert_eq!(missing, format!("! {pack}: it is missing, and snapshots need it"));
}

#[test]
fn a_damaged_block_is_noticed_by_reading_data_only_and_names_the_files_that_need_it() {
    let (vault, pack, snapshot) = second_data_pack();
    vault.flip(&pack, 5000);
    assert_eq!(vault.findings(ReadData::None), [""; 0]);
    let findings = vault.findings(ReadData::All);
    let (lost, damaged) = file_and_pack(&findings);
    assert!(damaged.starts_with(&format!("! {pack}: 1 of its ")), "{damaged}");
    assert!(lost.starts_with(&format!("! {snapshot}:{}: ", vault.shown("b/three"))), "{lost}");
    assert!(lost.ends_with(&format!("is in a damaged part of {pack}")), "{lost}");
}

#[test]
fn a_flip_in_the_padding_of_a_pack_is_noticed() {
    let (vault, pack, _) = second_data_pack();
    let at = vault.bytes(&pack).len() - 100;
    vault.flip(&pack, at);
    let findings = vault.findings(ReadData::All);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(findings[0].starts_with(&format!("! {pack}: ")), "{findings:#?}");
}

#[test]
fn a_torn_pack_is_known_by_its_size_without_reading_it() {
    let (vault, pack, _) = second_data_pack();
    let bytes = vault.bytes(&pack);
    vault.store.replace(&pack, &bytes[..bytes.len() - 1]);
    let length = bytes.len();
    let expected = format!("! {pack}: it is {} bytes long, not {length} as the index has it", length - 1);
    assert_eq!(vault.findings(ReadData::None), [expected]);
}

#[test]
fn damaged_trees_are_noticed_without_reading_data() {
    let vault = Vault::new(1);
    vault.write("a/one", &noise(1, 50_000));
    let snapshot = vault.backup().short();
    let smallest = vault.names(ObjectKind::Pack).into_iter().min_by_key(|name| vault.bytes(name).len()).unwrap();
    vault.flip(&smallest, 1400);
    let findings = vault.findings(ReadData::None);
    assert!(findings.iter().any(|line| line.starts_with(&format!("! {smallest}: block 0: "))), "{findings:#?}");
    let directory = format!("! {snapshot}:/: a part of this directory is lost: chunk ");
    assert!(findings.iter().any(|line| line.starts_with(&directory)), "{findings:#?}");
    assert_eq!(findings.len(), 2, "{findings:#?}");
    let with_data = vault.findings(ReadData::All);
    assert!(
        with_data.iter().any(|line| line.starts_with(&format!("! {smallest}: 1 of its 1 blocks"))),
        "{with_data:#?}"
    );
    assert_eq!(with_data.len(), 2, "{with_data:#?}");
}

#[test]
fn a_pack_no_segment_names_is_a_warning() {
    let vault = vault();
    let segment = vault.names(ObjectKind::Index).pop().unwrap();
    let before = vault.check(ReadData::All);
    vault.store.delete(&segment).unwrap();
    let report = vault.check(ReadData::All);
    assert!(report.is_clean(), "{:#?}", lines(&report));
    assert!(!report.findings.is_empty());
    for line in lines(&report) {
        assert!(line.starts_with("? packs/") && line.contains("no index segment names it"), "{line}");
    }
    assert_eq!((report.packs, report.trees), (before.packs, before.trees));
}

#[test]
fn a_pack_nobody_needs_is_counted_and_no_finding() {
    let vault = vault();
    vault.write("c/four", &noise(4, 3000));
    let snapshot = vault.backup();
    vault.store.delete(&ObjectName::of(ObjectKind::Snapshot, snapshot)).unwrap();
    let report = vault.check(ReadData::None);
    assert_eq!(lines(&report), [""; 0]);
    assert_eq!(report.unused_packs, 2);
}

#[test]
fn a_missing_pack_nobody_needs_is_a_warning() {
    let vault = vault();
    let before = vault.store.contents();
    vault.write("c/four", &noise(4, 3000));
    let snapshot = vault.backup();
    vault.store.delete(&ObjectName::of(ObjectKind::Snapshot, snapshot)).unwrap();
    let pack = vault.new_names(ObjectKind::Pack, &before).pop().unwrap();
    vault.store.delete(&pack).unwrap();
    assert_eq!(vault.findings(ReadData::None), [format!("? {pack}: it is missing, but no snapshot needs it")]);
}

#[test]
fn a_snapshot_that_was_taken_away_is_missed_by_its_successor() {
    let vault = Vault::new(1);
    vault.write("a/one", b"one");
    let first = vault.backup();
    vault.write("a/two", b"two");
    vault.backup();
    let name = ObjectName::of(ObjectKind::Snapshot, first);
    vault.store.delete(&name).unwrap();
    let expected = format!("! {name}: it is missing: a later snapshot was made on top of it, and nobody purged it");
    assert_eq!(vault.findings(ReadData::None), [expected]);
}

#[test]
fn a_flip_in_any_other_object_names_that_object() {
    let vault = vault();
    for kind in [ObjectKind::Config, ObjectKind::Key, ObjectKind::Journal, ObjectKind::Session, ObjectKind::Snapshot] {
        for name in vault.names(kind) {
            let good = vault.bytes(&name);
            // Opened before the damage: what opens a repository refuses some of it at once.
            let repository = vault.open();
            vault.flip(&name, good.len() / 2);
            let report = dssvault::vault::check::run(&repository, ReadData::None, vault.context()).unwrap();
            assert_eq!(lines(&report), [format!("! {name}: its checksum does not fit its bytes")]);
            let report = vault.storage_only();
            assert_eq!(lines(&report), [format!("! {name}: its checksum does not fit its bytes")]);
            vault.store.replace(&name, good);
        }
    }
}

#[test]
fn a_damaged_segment_is_named_and_its_packs_are_read_without_it() {
    let vault = vault();
    let segment = vault.names(ObjectKind::Index).pop().unwrap();
    vault.flip(&segment, 200);
    std::fs::remove_dir_all(vault.dir.path().join("cache")).ok();
    let findings = vault.findings(ReadData::None);
    let (damage, warnings): (Vec<_>, Vec<_>) = findings.iter().partition(|line| line.starts_with('!'));
    assert_eq!(damage, [&format!("! {segment}: its bytes are not those it is named by")]);
    assert!(warnings.iter().all(|line| line.contains("no index segment names it")), "{warnings:#?}");
}

#[test]
fn without_a_key_truncated_and_empty_objects_are_findings() {
    let vault = vault();
    let pack = vault.names(ObjectKind::Pack).pop().unwrap();
    let slot = vault.names(ObjectKind::Key).pop().unwrap();
    let bytes = vault.bytes(&pack);
    vault.store.replace(&pack, &bytes[..bytes.len() / 2]);
    vault.store.replace(&slot, &b""[..]);
    assert_eq!(
        lines(&vault.storage_only()),
        [format!("! {slot}: it is too short"), format!("! {pack}: its bytes are not those it is named by")]
    );
}

#[test]
fn without_a_key_what_is_deleted_while_it_is_read_is_no_damage() {
    let vault = vault();
    let store = vault.store.clone();
    let deletes = move || {
        for kind in [ObjectKind::Pack, ObjectKind::Index, ObjectKind::Session] {
            store.contents().keys().filter(|name| name.kind() == kind).for_each(|name| store.delete(name).unwrap());
        }
    };
    let pruned: Arc<dyn Storage> = Arc::new(Watched::once(Arc::new(vault.store.clone()), Call::reads_pack, deletes));
    let report = dssvault::vault::check::storage_only(&pruned, vault.context()).unwrap();
    assert_eq!(lines(&report), [""; 0]);
    assert_eq!(vault.names(ObjectKind::Pack), []);
}

#[test]
fn without_a_key_a_store_without_configuration_is_damage_and_a_strange_name_a_warning() {
    let vault = Vault::new(1);
    vault.names(ObjectKind::Config).iter().for_each(|name| vault.store.delete(name).unwrap());
    let strange = ObjectName::new(ObjectKind::Pack, "readme").unwrap();
    vault.store.replace(&strange, &b"hello"[..]);
    assert_eq!(
        lines(&vault.storage_only()),
        [
            "! config: there is none, and without it nothing can be opened".to_owned(),
            format!("? {strange}: no object of its kind has such a name; nothing will ever read it"),
        ]
    );
}

#[test]
fn a_stop_ends_a_check() {
    let vault = vault();
    let repository = vault.open();
    vault.cancel.request();
    let outcome = dssvault::vault::check::run(&repository, ReadData::All, vault.context());
    assert!(matches!(outcome, Err(dssvault::vault::VaultError::Interrupted)));
}
