//! `repair packs`: what can be read of damaged packs is stored again before they are marked.

use dssvault::base::object::ObjectKind;
use dssvault::storage::Storage;
use dssvault::storage::testing::{Fault, Faulty};
use dssvault::vault::check::{Kind, ReadData};
use dssvault::vault::repair::packs;

use crate::check_fixture::{Vault, noise};
use crate::repair_fixture::{forget_cache, largest, repair_packs, restorable, shared, snapshot_ids, vault};

/// A repository whose largest pack has one block that cannot be read, and others that can.
fn one_bad_block() -> Vault {
    let vault = Vault::new(6);
    (0..5).for_each(|number| vault.write(&format!("file-{number}"), &noise(number, 1_500_000)));
    vault.backup();
    let pack = largest(&vault, ObjectKind::Pack);
    vault.flip(&pack, 5000);
    vault
}

#[test]
fn there_is_nothing_to_do_for_whole_packs() {
    let vault = vault();
    let before = vault.store.contents();
    let repair = repair_packs(&vault).unwrap();
    assert!(repair.plan.is_empty() && repair.plan.read > 0);
    assert_eq!(vault.store.contents(), before);
}

#[test]
fn readable_blocks_are_stored_again_and_the_damaged_pack_is_marked() {
    let vault = one_bad_block();
    let pack = largest(&vault, ObjectKind::Pack);
    let before = restorable(&vault.open(), &snapshot_ids(&vault), vault.context());
    let repair = repair_packs(&vault).unwrap();
    let chunks = repair.plan.damaged[0].chunks;
    assert!(chunks.salvaged > 0 && chunks.lost > 0 && chunks.elsewhere == 0, "{chunks:?}");
    assert_eq!((repair.plan.damaged.len(), repair.marked), (1, 1));
    assert!(vault.open().journal().load().unwrap().is_marked(&pack.text().parse().unwrap()));
    // The damaged pack is not needed any more for what it still had.
    vault.store.delete(&pack).unwrap();
    forget_cache(&vault);
    assert_eq!(restorable(&vault.open(), &snapshot_ids(&vault), vault.context()), before);
    assert!(!before.is_empty());
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let vault = one_bad_block();
    repair_packs(&vault).unwrap();
    let before = vault.store.contents();
    let again = repair_packs(&vault).unwrap();
    assert!(again.plan.is_empty() && again.plan.done == 1, "{:?}", again.plan);
    assert_eq!(vault.store.contents(), before);
}

#[test]
fn a_backup_stores_again_what_was_only_in_marked_packs() {
    let vault = one_bad_block();
    assert!(!vault.check(ReadData::All).is_clean());
    repair_packs(&vault).unwrap();
    vault.backup();
    let report = vault.check(ReadData::All);
    let affected = report.findings.iter().any(|finding| finding.kind == Kind::FileAffected);
    assert!(!affected, "{:#?}", report.findings);
}

#[test]
fn a_pack_whose_own_table_is_damaged_is_salvaged_by_what_the_index_says() {
    let vault = one_bad_block();
    let pack = largest(&vault, ObjectKind::Pack);
    vault.flip(&pack, vault.bytes(&pack).len() - 80);
    let chunks = repair_packs(&vault).unwrap().plan.damaged[0].chunks;
    assert!(chunks.salvaged > 0 && chunks.lost > 0, "{chunks:?}");
}

#[test]
fn a_missing_pack_is_marked_so_that_backups_store_its_chunks_again() {
    let vault = vault();
    let whole = restorable(&vault.open(), &snapshot_ids(&vault), vault.context());
    let pack = largest(&vault, ObjectKind::Pack);
    vault.store.delete(&pack).unwrap();
    let repair = repair_packs(&vault).unwrap();
    assert_eq!((repair.plan.missing.len(), repair.marked), (1, 1));
    vault.write("b/two", &noise(2, 90_000));
    vault.backup();
    let healed = restorable(&vault.open(), &snapshot_ids(&vault), vault.context());
    assert!(whole.iter().all(|(path, bytes)| healed.get(path) == Some(bytes)), "the chunks are back");
}

#[test]
fn only_packs_that_are_named_are_read_and_names_must_fit_one() {
    let vault = one_bad_block();
    let pack = largest(&vault, ObjectKind::Pack).text()[..10].to_owned();
    let (repository, context) = (vault.open(), vault.context());
    let plan = packs::plan(&repository, &[pack], context).unwrap();
    assert_eq!((plan.read, plan.damaged.len()), (1, 1));
    for wrong in ["zz", ""] {
        assert!(packs::plan(&repository, &[wrong.to_owned()], context).is_err(), "{wrong}");
    }
}

#[test]
fn cut_at_any_call_it_harms_nothing_and_a_rerun_finishes() {
    let scene = vault();
    let pack = largest(&scene, ObjectKind::Pack);
    scene.flip(&pack, 5000);
    let before = restorable(&scene.open(), &snapshot_ids(&scene), scene.context());
    let damaged = scene.store.contents();
    for nth in 1.. {
        let struck = [Fault::Tear(nth), Fault::LostAnswer(nth)].map(|fault| {
            let now = scene.store.contents();
            now.keys().filter(|name| !damaged.contains_key(name)).for_each(|name| scene.store.delete(name).unwrap());
            forget_cache(&scene);
            let mut repository = scene.open();
            let faulty = Faulty::new(shared(&scene), fault);
            repository.storage = std::sync::Arc::new(faulty.clone());
            let run = || packs::apply(&repository, packs::plan(&repository, &[], scene.context())?, scene.context());
            let _ = run();
            repair_packs(&scene).unwrap_or_else(|why| panic!("{fault:?}: the rerun failed: {why}"));
            assert!(repair_packs(&scene).unwrap().plan.is_empty(), "{fault:?}");
            faulty.has_struck()
        });
        let after = restorable(&scene.open(), &snapshot_ids(&scene), scene.context());
        assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)), "call {nth}");
        if struck == [false, false] {
            break;
        }
    }
}
