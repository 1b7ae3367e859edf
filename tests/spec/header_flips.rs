//! A flipped bit of a header is damage. It never passes for the mark of a newer program, which would stop everything.

use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::header::FIXED_BYTES;
use dssvault::repo::pack::reader;
use dssvault::repo::{RepoError, parity};
use dssvault::storage::Storage;
use dssvault::vault::check::ReadData;
use dssvault::vault::prune::{self, PruneOptions};
use dssvault::vault::repair::index::{self, Extent};

use crate::check_fixture::{Vault, noise};
use crate::parity_fixture::Shelf;
use crate::repair_fixture::{forget_cache, largest, repair_packs};

/// Where a header says of which version of the format it is (`docs/format.md`, "Header").
const VERSION_AT: usize = 9;

fn vault() -> Vault {
    let vault = Vault::new(3);
    vault.write("a", &noise(1, 60_000));
    vault.backup();
    vault
}

#[test]
fn no_flipped_bit_of_a_pack_makes_it_one_of_a_newer_program() {
    let vault = vault();
    let (name, repository) = (largest(&vault, ObjectKind::Pack), vault.open());
    let (id, good) = (name.text().parse().unwrap(), vault.bytes(&name));
    for at in 0..FIXED_BYTES {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            vault.store.replace(&name, bytes);
            let table = reader::read_table(&repository, id, good.len() as u64);
            assert!(matches!(table, Err(RepoError::Damaged { .. })), "byte {at}, bit {bit}: {table:?}");
            // What nothing in it contradicts may still be read: the seals say whether it is right.
            if let Err(error) = reader::header(&repository, id, good.len() as u64) {
                assert!(matches!(error, RepoError::Damaged { .. }), "byte {at}, bit {bit}: {error}");
            }
        }
    }
}

#[test]
fn a_pack_that_is_whole_and_newer_is_told_as_that() {
    let vault = vault();
    let mut bytes = vault.bytes(&largest(&vault, ObjectKind::Pack));
    bytes[VERSION_AT] = 200;
    let name = ObjectName::new(ObjectKind::Pack, blake3::hash(&bytes).to_hex().as_str()).unwrap();
    vault.store.put(&name, &bytes).unwrap();
    let error = reader::read_table(&vault.open(), name.text().parse().unwrap(), bytes.len() as u64).unwrap_err();
    assert!(matches!(error, RepoError::TooNew { .. }), "{error}");
}

#[test]
fn neither_check_nor_repair_nor_prune_is_stopped_by_it() {
    for listed in [true, false] {
        let vault = vault();
        vault.flip(&largest(&vault, ObjectKind::Pack), VERSION_AT);
        if !listed {
            vault.names(ObjectKind::Index).iter().for_each(|name| vault.store.delete(name).unwrap());
        }
        forget_cache(&vault);
        assert!(!vault.check(ReadData::All).is_clean(), "listed: {listed}");
        let (repository, context) = (vault.open(), vault.context());
        let plan = index::plan(&repository, Extent::Damaged, context).unwrap();
        assert_eq!(plan.unreadable.len(), usize::from(!listed));
        index::apply(&repository, plan, context).unwrap();
        assert_eq!(repair_packs(&vault).unwrap().plan.damaged.len(), 1, "listed: {listed}");
        vault.backup();
        assert!(vault.check(ReadData::All).is_clean(), "{:#?}", vault.findings(ReadData::All));
        prune::run(&repository, &PruneOptions::default(), context).unwrap();
    }
}

#[test]
fn nor_is_mending_by_a_description_of_a_group_of_which_that_byte_is_wrong() {
    let shelf = Shelf::with(&[300_000; 4]);
    shelf.add(30);
    let parts = shelf.names(ObjectKind::Parity);
    for name in &parts {
        shelf.flip(name, VERSION_AT);
        let bytes = shelf.store.contents()[name].len() as u64;
        parity::object::read_table(&shelf.store, name, bytes).unwrap();
    }
    shelf.flip(&crate::parity_fixture::pack(shelf.ids()[0]), 7);
    let report = shelf.check(dssvault::vault::check::Mending::Do);
    assert!(shelf.is_clean(&report) && shelf.readable(shelf.ids()[0]), "{:?}", shelf.findings(&report));
}

#[test]
fn parity_that_is_whole_and_newer_is_told_as_that() {
    let shelf = Shelf::with(&[300_000; 4]);
    shelf.add(30);
    let name = shelf.names(ObjectKind::Parity)[0].clone();
    let mut bytes = shelf.store.contents()[&name].to_vec();
    bytes[VERSION_AT] = 200;
    let end = bytes.len() - 32;
    let checksum = *blake3::hash(&bytes[..end]).as_bytes();
    bytes[end..].copy_from_slice(&checksum);
    shelf.store.replace(&name, bytes.clone());
    let error = parity::object::read_table(&shelf.store, &name, bytes.len() as u64).unwrap_err();
    assert!(matches!(error, RepoError::TooNew { .. }), "{error}");
}
