//! A second repository that lost something gets it again from the first.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::storage::testing::{MemoryStore, Watched};
use dssvault::storage::{Storage, StorageError};
use dssvault::vault::copy::CopyOptions;
use dssvault::vault::repair::packs;

use crate::copy_fixture::{BOTH, Kinship, Office, names, shared};
use crate::machine::noise;

/// Two snapshots, copied; the largest pack of the second repository is gone, and that is written down there.
fn robbed(kinship: Kinship) -> Office {
    let office = Office::new(kinship);
    (0..4).for_each(|number| office.write(&format!("data/file-{number}"), &noise(number, 1_500_000)));
    office.back_up();
    office.write("data/more", &noise(9, 50_000));
    office.back_up();
    office.copy();
    let packs = names(&office.away, ObjectKind::Pack);
    let largest = packs.iter().max_by_key(|name| office.away.contents()[name].len()).unwrap();
    office.away.delete(largest).unwrap();
    assert_ne!(office.findings(), Vec::<String>::new());
    write_down(&office);
    office
}

fn write_down(office: &Office) {
    let (away, context) = (office.open(&office.away), office.context(&office.away_folders));
    let plan = packs::plan(&away, &[], context).unwrap();
    packs::apply(&away, plan, context).unwrap();
}

fn force() -> CopyOptions {
    CopyOptions { force: true, ..CopyOptions::default() }
}

#[test]
fn the_next_snapshot_brings_what_it_needs_of_it_though_it_did_not_change() {
    for kinship in BOTH {
        let office = robbed(kinship);
        office.write("data/new", b"new");
        let plain = office.machine.copy_source("plain");
        office.back_up();
        let report = office.copy();
        assert_eq!((report.copied.len(), report.present.len()), (1, 2));
        let newest = office.copies().pop().unwrap();
        assert_eq!(office.misses(&newest.manifest, &plain), Vec::<String>::new(), "{kinship:?}");
        assert_eq!(office.findings(), Vec::<String>::new(), "{kinship:?}: nothing else was lost");
        // The source's journal has nothing to do with it.
        assert!(newest.manifest.seen.unwrap() <= office.open(&office.away).journal().load().unwrap().head);
        assert_eq!(newest.manifest.parent, Some(office.copies()[1].id), "the chain of copies goes on");
        office.back_up();
        assert!(office.copy().travel().directories_taken_over > 0, "{kinship:?}: what is whole is trusted again");
    }
}

#[test]
fn with_force_snapshots_that_are_there_get_it_again_and_no_snapshot_is_made() {
    for kinship in BOTH {
        let office = robbed(kinship);
        let before = names(&office.away, ObjectKind::Snapshot);
        let passed_over = office.copy();
        assert_eq!(passed_over.travel(), Default::default());
        let report = office.copy_with(&force()).unwrap();
        assert_eq!((report.copied.len(), report.present.len(), report.failed.len()), (0, 2, 0));
        assert!(report.travel().chunks_added > 0);
        let added = |name: &ObjectName| !before.contains(name);
        let ended = names(&office.away, ObjectKind::Snapshot).iter().filter(|name| added(name)).count();
        assert_eq!((office.copies().len(), ended), (2, 1), "one session, ended without a snapshot");
        assert_eq!(office.findings(), Vec::<String>::new(), "{kinship:?}");
        let again = office.copy_with(&force()).unwrap();
        assert_eq!((again.travel().chunks_added, again.failed.len()), (0, 0), "{kinship:?}: nothing is missing now");
    }
}

#[test]
fn what_the_source_has_lost_too_is_named_and_everything_else_is_brought() {
    for kinship in BOTH {
        let office = robbed(kinship);
        let packs = names(&office.home, ObjectKind::Pack);
        let largest = packs.iter().max_by_key(|name| office.home.contents()[name].len()).unwrap();
        let mut bytes = office.home.contents()[largest].to_vec();
        bytes[5000] ^= 1;
        office.home.replace(largest, bytes);
        let report = office.copy_with(&force()).unwrap();
        assert_eq!((report.present.len(), report.failed.len()), (2, 2), "{kinship:?}");
        assert!(report.failed.iter().all(|failed| failed.path.is_some() && failed.present), "{:?}", report.failed);
        let lost: Vec<_> = office.findings().into_iter().filter(|line| line.contains("/data/file-")).collect();
        assert!((2..=4).contains(&lost.len()), "{kinship:?}: one or two of four files, in two snapshots: {lost:#?}");
    }
}

#[test]
fn a_copy_that_was_forgotten_there_gets_it_again_too() {
    let office = robbed(Kinship::Alike);
    let away = shared(&office.away);
    let ids: Vec<_> = office.copies().iter().map(|copy| copy.id).collect();
    ids.iter().for_each(|id| office.machine.forget(&away, *id));
    let report = office.copy_with(&force()).unwrap();
    assert!(report.present.iter().all(|present| present.forgotten && present.refilled));
    let wanted: Vec<String> = ids.iter().map(ToString::to_string).collect();
    dssvault::vault::forget::undelete(&office.open(&office.away), &wanted).unwrap();
    assert_eq!(office.findings(), Vec::<String>::new());
}

#[test]
fn a_dry_run_with_force_stores_nothing() {
    let office = robbed(Kinship::Alike);
    let before = office.away.contents();
    let report = office.copy_with(&CopyOptions { dry_run: true, ..force() }).unwrap();
    assert_eq!((report.present.len(), office.away.contents()), (2, before));
}

/// A source of which nothing is left, or that no longer answers, once some packs were read.
fn fading(home: &MemoryStore, answers: bool) -> Watched {
    let (store, reads) = (home.clone(), AtomicUsize::new(0));
    Watched::new(shared(home), move |call| {
        if reads.fetch_add(usize::from(call.reads_pack()), SeqCst) < 3 {
            return Ok(());
        }
        if answers {
            store.contents().keys().for_each(|name| store.delete(name).unwrap());
            return Ok(());
        }
        let source = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        Err(StorageError::Io { action: "read", what: "packs".to_owned(), source })
    })
}

#[test]
fn a_source_that_goes_away_ends_the_run_and_is_no_damage_of_its_snapshots() {
    for answers in [true, false] {
        let office = Office::new(Kinship::Strange);
        (0..4).for_each(|number| office.write(&format!("{number}/file"), &noise(number, 400_000)));
        office.back_up();
        office.back_up();
        let contents = office.home.contents();
        let home: Arc<dyn Storage> = Arc::new(fading(&office.home, answers));
        let away = shared(&office.away);
        let error = office.copy_between(&home, &away, &office.away_folders, &CopyOptions::default()).unwrap_err();
        match answers {
            true => assert!(error.to_string().contains("no repository"), "{error}"),
            false => assert!(error.to_string().contains("cannot read packs"), "{error}"),
        }
        assert_eq!(office.copies().len(), 0);
        contents.into_iter().for_each(|(name, bytes)| office.home.replace(&name, bytes));
        assert_eq!(office.copy().copied.len(), 2, "the next run has all");
    }
}
