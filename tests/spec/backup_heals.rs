//! After a repair has written down what was lost, backups store it again, though the files look as they did.

use std::time::Duration;

use dssvault::base::id::PackId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::journal::{Entry, Objects};
use dssvault::storage::Storage;
use dssvault::vault::backup::BackupOptions;
use dssvault::vault::check::{self, ReadData};
use dssvault::vault::repair::index::{self, Extent};
use dssvault::vault::repair::packs::{self, PacksRepair};

use crate::copy_fixture::{Kinship, Office, names, shared};
use crate::machine::{at_once, noise};

const NONE: [&str; 0] = [];

/// A repository of two snapshots of the same files.
fn office() -> Office {
    let office = Office::new(Kinship::Strange);
    (0..5).for_each(|number| office.write(&format!("file-{number}"), &noise(number, 1_500_000)));
    std::thread::sleep(Duration::from_millis(25));
    (0..2).for_each(|_| drop(office.back_up()));
    office
}

fn largest(office: &Office) -> ObjectName {
    let contents = office.home.contents();
    names(&office.home, ObjectKind::Pack).into_iter().max_by_key(|name| contents[name].len()).unwrap()
}

fn flip(office: &Office, name: &ObjectName, at: usize) {
    let mut bytes = office.home.contents()[name].to_vec();
    bytes[at] ^= 1;
    office.home.replace(name, bytes);
}

fn repair(office: &Office) -> PacksRepair {
    let (home, context) = (office.open(&office.home), office.context(&office.machine.folders));
    packs::apply(&home, packs::plan(&home, &[], context).unwrap(), context).unwrap()
}

fn files_read(office: &Office) -> u64 {
    office.back_up().manifest.counts.files_read
}

/// Objects something is wrong with, and what: paths of files among them.
fn damage(office: &Office) -> Vec<String> {
    let (home, context) = (office.open(&office.home), office.context(&office.machine.folders));
    let report = check::run(&home, ReadData::All, context).unwrap();
    let damage = report.findings.iter().filter(|finding| finding.damage && finding.kind != check::Kind::PackDamaged);
    damage.map(|finding| format!("{}: {}", finding.object, finding.cause)).collect()
}

#[test]
fn of_unchanged_files_only_those_that_lost_something_are_read_again_and_only_once() {
    let office = office();
    flip(&office, &largest(&office), 5000);
    assert_eq!(files_read(&office), 0, "nobody knows of it");
    assert!(!damage(&office).is_empty());
    assert_eq!(repair(&office).marked, 1);
    let read = files_read(&office);
    assert!((1..=2).contains(&read), "a block holds chunks of one file or two: {read}");
    assert_eq!(damage(&office), NONE, "in no snapshot");
    assert_eq!(files_read(&office), 0);
}

#[test]
fn a_pack_that_is_gone_comes_back_with_the_next_backup() {
    let office = office();
    office.home.delete(&largest(&office)).unwrap();
    assert_eq!(repair(&office).plan.missing.len(), 1);
    assert_eq!(files_read(&office), 5);
    assert_eq!(damage(&office), NONE);
    assert_eq!(files_read(&office), 0);
}

#[test]
fn directories_that_were_lost_are_stored_again_though_no_file_is() {
    let office = office();
    let data = largest(&office);
    for name in names(&office.home, ObjectKind::Pack).iter().filter(|name| **name != data) {
        office.home.delete(name).unwrap();
    }
    repair(&office);
    let newest = office.back_up();
    assert_eq!(newest.manifest.counts.files_read, 0);
    // What has changed since in the directories above is lost to the older ones for good.
    let of_newest = |line: &String| line.starts_with(&newest.id.short());
    assert!(!damage(&office).iter().any(of_newest), "{:?}", damage(&office));
}

#[test]
fn a_dry_run_says_what_will_be_read_again() {
    let office = office();
    office.home.delete(&largest(&office)).unwrap();
    repair(&office);
    let dry = BackupOptions { dry_run: true, ..BackupOptions::default() };
    let told = office.try_back_up(&dry).unwrap().manifest.counts.files_read;
    assert_eq!((told, files_read(&office)), (5, 5));
    assert_eq!(office.try_back_up(&dry).unwrap().manifest.counts.files_read, 0);
}

#[test]
fn what_is_lost_with_packs_nobody_knows_any_more_comes_back_too() {
    let office = office();
    office.home.delete(&largest(&office)).unwrap();
    for name in names(&office.home, ObjectKind::Index) {
        office.home.delete(&name).unwrap();
    }
    std::fs::remove_dir_all(&office.machine.folders.cache).unwrap();
    let (home, context) = (office.open(&office.home), office.context(&office.machine.folders));
    index::apply(&home, index::plan(&home, Extent::Damaged, context).unwrap(), context).unwrap();
    let repaired = repair(&office);
    assert!(repaired.plan.unknown > 0 && repaired.plan.missing.is_empty(), "{:?}", repaired.plan);
    assert!(repair(&office).plan.is_empty(), "that is said once");
    // The cache was the only place where the last state was, too.
    assert_eq!(files_read(&office), 5);
    assert_eq!(damage(&office), NONE);
}

#[test]
fn a_repair_after_which_nothing_is_missed_makes_no_snapshot_doubtful() {
    let office = office();
    let lost = || office.open(&office.home).journal().load().unwrap().last_lost;
    // Packs that a prune has deleted, and that a segment still lists.
    office.write("short-lived", &noise(20, 900_000));
    let third = office.back_up().id;
    std::fs::remove_file(office.machine.source().join("short-lived")).unwrap();
    office.back_up();
    office.machine.forget(&shared(&office.home), third);
    let report = office.machine.prune(&shared(&office.home), &office.machine.folders, &at_once()).unwrap();
    assert!(report.deleted.count > 0, "{report:?}");
    repair(&office);
    assert_eq!(lost(), None, "what was deleted on purpose is not missed");
    // A damaged pack of which every chunk lies elsewhere.
    let (pack, known) = (largest(&office), names(&office.home, ObjectKind::Pack));
    let home = office.open(&office.home);
    let mark = Entry::Mark(Objects::packs(known.iter().map(|name| name.text().parse().unwrap())));
    home.journal().append(&home.secrets, &*home.seams.clock, |_| Ok(Some(mark.clone()))).unwrap();
    let forced = BackupOptions { force: true, ..BackupOptions::default() };
    office.back_up_with(&forced);
    flip(&office, &pack, 5000);
    repair(&office);
    assert_eq!((lost(), files_read(&office), damage(&office).len()), (None, 0, 0));
}

#[test]
fn a_pack_that_rots_after_it_was_marked_by_a_prune_is_written_down_as_lost_all_the_same() {
    let office = office();
    let pack = largest(&office);
    let id: PackId = pack.text().parse().unwrap();
    let home = office.open(&office.home);
    let mark = Entry::Mark(Objects::packs([id]));
    home.journal().append(&home.secrets, &*home.seams.clock, |_| Ok(Some(mark.clone()))).unwrap();
    flip(&office, &pack, 5000);
    assert_eq!(files_read(&office), 0, "the parent stands, and nobody says that it lacks anything");
    let repaired = repair(&office);
    assert_eq!((repaired.plan.damaged.len(), repaired.marked), (1, 0), "it was marked before");
    assert!(home.journal().load().unwrap().is_lost(&id));
    assert_ne!(files_read(&office), 0);
    assert_eq!(damage(&office), NONE);
    assert!(repair(&office).plan.is_empty());
}
