//! `repair index`: every pack is listed again, damaged segments go, and nothing else changes.

use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::index::segment;
use dssvault::repo::pack::reader;
use dssvault::storage::Storage;
use dssvault::storage::testing::{Fault, Faulty};
use dssvault::vault::check::ReadData;
use dssvault::vault::repair::index::{self, Extent};
use dssvault::vault::sealer;

use crate::check_fixture::Vault;
use crate::repair_fixture::{forget_cache, forget_machine, repair_index, restorable, shared, snapshot_ids, vault};

fn plan(vault: &Vault, extent: Extent) -> index::IndexPlan {
    index::plan(&vault.open(), extent, vault.context()).unwrap()
}

#[test]
fn there_is_nothing_to_do_for_a_whole_repository() {
    let vault = vault();
    let before = vault.store.contents();
    assert!(plan(&vault, Extent::Damaged).is_empty());
    repair_index(&vault, Extent::Damaged).unwrap();
    assert_eq!(vault.store.contents(), before);
}

#[test]
fn packs_of_lost_and_damaged_segments_are_listed_again_and_the_damaged_ones_go() {
    let vault = vault();
    let whole = restorable(&vault.open(), &snapshot_ids(&vault), vault.context());
    let segments = vault.names(ObjectKind::Index);
    vault.store.delete(&segments[0]).unwrap();
    vault.flip(&segments[1], 200);
    forget_cache(&vault);
    let repair = repair_index(&vault, Extent::Damaged).unwrap();
    assert_eq!((repair.deleted, repair.plan.retire.len(), repair.kept.len()), (1, 1, 0));
    assert!(!vault.names(ObjectKind::Index).contains(&segments[1]));
    forget_cache(&vault);
    assert_eq!(vault.findings(ReadData::All), [""; 0]);
    assert!(vault.storage_only().findings.is_empty());
    assert_eq!(restorable(&vault.open(), &snapshot_ids(&vault), vault.context()), whole);
    assert!(plan(&vault, Extent::Damaged).is_empty(), "a second run finds nothing to do");
}

#[test]
fn a_dry_run_changes_nothing() {
    let vault = vault();
    vault.flip(&vault.names(ObjectKind::Index)[0], 200);
    let before = vault.store.contents();
    let plan = plan(&vault, Extent::Damaged);
    assert!(!plan.is_empty() && !plan.list.is_empty());
    assert_eq!(vault.store.contents(), before);
}

#[test]
fn a_damaged_segment_stays_while_it_may_be_what_lists_a_pack_that_cannot_tell_itself() {
    let vault = vault();
    let segment = vault.names(ObjectKind::Index).remove(0);
    let repository = vault.open();
    let listed = segment::Segment::load(&repository, segment.text().parse().unwrap()).unwrap();
    let pack = reader::name(listed.packs().next().unwrap().unwrap().0);
    vault.flip(&segment, 200);
    let end = vault.bytes(&pack).len();
    vault.flip(&pack, end - 80);
    forget_cache(&vault);
    let repair = repair_index(&vault, Extent::Damaged).unwrap();
    assert_eq!((repair.plan.unreadable.len(), repair.deleted, repair.kept.len()), (1, 0, 1));
    assert!(repair.kept[0].1.contains(&pack.to_string()), "{:?}", repair.kept);
    assert!(vault.names(ObjectKind::Index).contains(&segment));
}

#[test]
fn rebuilding_all_of_it_replaces_segments_that_say_something_wrong() {
    let vault = vault();
    let repository = vault.open();
    let mut packs = vault.names(ObjectKind::Pack);
    packs.sort_by_key(|name| vault.bytes(name).len());
    let (small, large) = (&packs[0], &packs[packs.len() - 1]);
    let size = |name: &ObjectName| vault.bytes(name).len() as u64;
    let table = reader::read_table(&repository, small.text().parse().unwrap(), size(small)).unwrap();
    let wrong = (large.text().parse().unwrap(), size(large), table);
    let sealer = sealer::begin(&repository).unwrap();
    segment::write_one(&repository, &sealer, &repository.secrets.signing(), &[], &[wrong]).unwrap();
    forget_cache(&vault);
    assert!(!vault.check(ReadData::None).is_clean());
    let before = vault.names(ObjectKind::Index);
    let repair = repair_index(&vault, Extent::All).unwrap();
    assert_eq!((repair.deleted as usize, repair.kept.len()), (before.len(), 0));
    assert!(vault.names(ObjectKind::Index).iter().all(|name| !before.contains(name)));
    forget_cache(&vault);
    assert_eq!(vault.findings(ReadData::All), [""; 0]);
    let journal = vault.open().journal().load().unwrap();
    assert!(journal.segments.doomed.is_empty() && journal.segments.marked.is_empty());
}

#[test]
fn a_missing_pack_stays_known_when_all_is_rebuilt() {
    let vault = vault();
    let pack = vault.names(ObjectKind::Pack).remove(0);
    vault.store.delete(&pack).unwrap();
    let repair = repair_index(&vault, Extent::All).unwrap();
    assert_eq!(repair.kept.len(), 1);
    forget_cache(&vault);
    assert!(vault.findings(ReadData::None).iter().any(|line| line.contains(&pack.to_string())));
}

#[test]
fn a_damaged_journal_is_refused_by_name() {
    let vault = vault();
    let repository = vault.open();
    vault.flip(&ObjectName::numbered(ObjectKind::Journal, 1), 60);
    let error = index::plan(&repository, Extent::Damaged, vault.context()).unwrap_err();
    assert!(error.to_string().contains("journal/0000000001"), "{error}");
}

#[test]
fn cut_at_any_call_it_harms_nothing_and_a_rerun_finishes() {
    let scene = vault();
    let whole = restorable(&scene.open(), &snapshot_ids(&scene), scene.context());
    let segments = scene.names(ObjectKind::Index);
    scene.store.delete(&segments[0]).unwrap();
    scene.flip(&segments[1], 200);
    let damaged = scene.store.contents();
    for nth in 1.. {
        let struck = [Fault::From(nth), Fault::LostAnswer(nth)].map(|fault| {
            // The same damage anew.
            let now = scene.store.contents();
            now.keys().filter(|name| !damaged.contains_key(name)).for_each(|name| scene.store.delete(name).unwrap());
            damaged.iter().for_each(|(name, bytes)| scene.store.replace(name, bytes.clone()));
            forget_machine(&scene);
            let mut repository = scene.open();
            let faulty = Faulty::new(shared(&scene), fault);
            repository.storage = std::sync::Arc::new(faulty.clone());
            let run = || {
                index::apply(&repository, index::plan(&repository, Extent::Damaged, scene.context())?, scene.context())
            };
            let _ = run();
            repair_index(&scene, Extent::Damaged).unwrap_or_else(|why| panic!("{fault:?}: the rerun failed: {why}"));
            forget_cache(&scene);
            assert_eq!(scene.findings(ReadData::None), [""; 0], "{fault:?}");
            assert!(plan(&scene, Extent::Damaged).is_empty(), "{fault:?}");
            faulty.has_struck()
        });
        if struck == [false, false] {
            break;
        }
    }
    assert_eq!(restorable(&scene.open(), &snapshot_ids(&scene), scene.context()), whole);
}
