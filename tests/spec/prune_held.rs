//! Marked packs that are damaged, and whose chunks nothing else has: they stay, and so does the mark, until a backup
//! has stored those chunks again.

use std::time::Duration;

use dssvault::base::id::PackId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::journal::{Entry, Objects, State};
use dssvault::storage::Storage;
use dssvault::vault::backup::BackupOptions;
use dssvault::vault::check::{Kind, ReadData};
use dssvault::vault::prune::{self, PruneOptions, PruneReport};

use crate::check_fixture::{Vault, noise};
use crate::repair_fixture::{forget_cache, largest, repair_packs, repair_snapshots, restorable, snapshot_ids};

fn at_once() -> PruneOptions {
    PruneOptions { grace: Duration::ZERO, undo_window: Duration::ZERO, ..PruneOptions::default() }
}

fn prune(vault: &Vault, options: &PruneOptions) -> PruneReport {
    prune::run(&vault.open(), options, vault.context()).unwrap()
}

fn packs(vault: &Vault) -> Vec<PackId> {
    vault.names(ObjectKind::Pack).iter().map(|name| name.text().parse().unwrap()).collect()
}

fn is_marked(vault: &Vault, pack: PackId) -> bool {
    vault.open().journal().load().unwrap().packs.marked.contains_key(&pack)
}

/// A repository whose largest pack had one bad block, and has been through `repair packs`.
fn repaired() -> (Vault, PackId) {
    let vault = Vault::new(8);
    (0..5).for_each(|number| vault.write(&format!("file-{number}"), &noise(number, 1_500_000)));
    vault.backup();
    let pack = largest(&vault, ObjectKind::Pack);
    vault.flip(&pack, 5000);
    repair_packs(&vault).unwrap();
    (vault, pack.text().parse().unwrap())
}

/// Reads every file again, and stores what the index no longer vouches for.
fn back_up_all(vault: &Vault) {
    vault.backup_with(&BackupOptions { force: true, ..BackupOptions::default() });
}

fn affected(vault: &Vault) -> usize {
    let report = vault.check(ReadData::All);
    report.findings.iter().filter(|finding| finding.kind == Kind::FileAffected).count()
}

#[test]
fn a_prune_leaves_the_mark_so_that_the_next_backup_heals() {
    let (vault, pack) = repaired();
    for round in 0..2 {
        let report = prune(&vault, &at_once());
        assert_eq!((report.held.count, report.unmarked.count, report.deleted.count), (1, 0, 0), "{round}: {report:?}");
        assert!(report.problems.iter().any(|(name, _)| name.contains(&pack.to_string())), "{report:?}");
        assert!(is_marked(&vault, pack) && packs(&vault).contains(&pack));
    }
    vault.backup();
    assert_eq!(affected(&vault), 0, "every snapshot is whole again");
    let report = prune(&vault, &at_once());
    assert_eq!((report.held.count, report.problems.len()), (0, 0), "{report:?}");
    assert!(!packs(&vault).contains(&pack), "nothing needs the damaged one any more");
    assert!(vault.check(ReadData::All).is_clean());
}

#[test]
fn what_a_repair_marked_as_lost_is_no_problem_and_heals_all_the_same() {
    let (vault, pack) = repaired();
    vault.check(ReadData::All);
    dssvault::vault::repair::snapshots::apply(&vault.open(), ReadData::All, vault.context()).unwrap();
    let report = prune(&vault, &PruneOptions { undo_window: Duration::MAX, ..at_once() });
    assert_eq!((report.held.count, report.unmarked.count), (1, 0), "{report:?}");
    // The damaged snapshot is forgotten, and purged from here on; in what took its place all losses are marked.
    let report = prune(&vault, &at_once());
    assert_eq!((report.purged.len(), report.held.count), (1, 1), "{report:?}");
    assert_eq!(report.problems, []);
    assert!(is_marked(&vault, pack) && packs(&vault).contains(&pack));
    vault.backup();
    let healed = restorable(&vault.open(), &snapshot_ids(&vault), vault.context());
    assert_eq!(healed.len(), 2 * 5, "all files of both snapshots");
    assert_eq!(prune(&vault, &at_once()).held.count, 0);
    assert!(!packs(&vault).contains(&pack));
    assert!(repair_snapshots(&vault).unwrap().is_empty());
}

#[test]
fn a_dry_run_tells_of_them_too() {
    let (vault, _) = repaired();
    let before = vault.store.contents();
    for grace in [Duration::from_secs(86_400 * 400), Duration::ZERO] {
        let options = PruneOptions { grace, ..at_once() };
        let told = prune(&vault, &PruneOptions { dry_run: true, ..options.clone() });
        if !grace.is_zero() {
            assert_eq!(vault.store.contents(), before);
        }
        let done = prune(&vault, &options);
        assert_eq!((told.held, told.unmarked, told.marked), (done.held, done.unmarked, done.marked));
        assert_eq!((told.deleted, told.waiting, told.problems), (done.deleted, done.waiting, done.problems));
        assert_eq!((done.waiting.count, done.waiting_until), (0, None), "what is held waits for nothing");
    }
}

#[test]
fn a_pack_that_was_cut_short_stops_no_prune() {
    let (vault, pack) = repaired();
    let name = largest(&vault, ObjectKind::Pack);
    for length in [vault.bytes(&name).len() / 2, 0] {
        let bytes = vault.bytes(&name)[..length].to_vec();
        vault.store.replace(&name, bytes);
        for _ in 0..2 {
            let report = prune(&vault, &at_once());
            assert_eq!(report.held.count, 1, "{report:?}");
            assert!(is_marked(&vault, pack));
        }
    }
    vault.backup();
    assert_eq!(affected(&vault), 0, "every snapshot is whole again");
    prune(&vault, &at_once());
}

#[test]
fn a_damaged_copy_does_not_hide_a_whole_one() {
    let (vault, _) = repaired();
    back_up_all(&vault);
    prune(&vault, &at_once());
    let first = largest(&vault, ObjectKind::Pack);
    let mark = |packs: Vec<PackId>| {
        let repository = vault.open();
        let entry = |_: &State| Ok(Some(Entry::Mark(Objects::packs(packs.clone()))));
        repository.journal().append(&repository.secrets, &*repository.seams.clock, entry).unwrap();
    };
    // Everything twice; then the newer copies rot, and all are marked.
    let before = packs(&vault);
    mark(before.clone());
    forget_cache(&vault);
    back_up_all(&vault);
    let newer: Vec<PackId> = packs(&vault).into_iter().filter(|pack| !before.contains(pack)).collect();
    let newest = newer.iter().map(|id| ObjectName::of(ObjectKind::Pack, *id));
    let rotten = newest.max_by_key(|name| vault.bytes(name).len()).unwrap();
    assert_ne!(rotten, first);
    vault.flip(&rotten, 5000);
    mark(newer);
    let options = PruneOptions { no_repack: true, ..at_once() };
    let told = prune(&vault, &PruneOptions { dry_run: true, ..options.clone() });
    let done = prune(&vault, &options);
    assert_eq!((told.unmarked, told.deleted), (done.unmarked, done.deleted));
    assert!(packs(&vault).contains(&first.text().parse().unwrap()), "the whole copy stays");
    assert_eq!(affected(&vault), 0);
}

#[test]
fn a_whole_pack_that_was_marked_by_mistake_is_taken_back() {
    let (vault, pack) = repaired();
    vault.backup();
    prune(&vault, &at_once());
    assert!(!packs(&vault).contains(&pack));
    let repository = vault.open();
    let whole = Objects::packs(packs(&vault));
    let mark = |_: &State| Ok(Some(Entry::Mark(whole.clone())));
    repository.journal().append(&repository.secrets, &*repository.seams.clock, mark).unwrap();
    let report = prune(&vault, &PruneOptions { no_repack: true, ..at_once() });
    assert_eq!((report.unmarked.count as usize, report.held.count), (packs(&vault).len(), 0), "{report:?}");
}

#[test]
fn an_index_that_is_gone_is_told_and_nothing_is_deleted() {
    let (vault, _) = repaired();
    vault.backup();
    prune(&vault, &at_once());
    vault.names(ObjectKind::Index).iter().for_each(|name| vault.store.delete(name).unwrap());
    forget_cache(&vault);
    let before = packs(&vault);
    let report = prune(&vault, &at_once());
    assert!(report.problems.iter().any(|(_, cause)| cause.contains("repair index")), "{report:?}");
    assert_eq!((report.deleted.count, packs(&vault)), (0, before));
}
