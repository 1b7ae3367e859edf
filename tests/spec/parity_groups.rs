//! Groups come, grow, lose packs and go, and a crash at any moment leaves whole groups or what the next run clears up.

use std::collections::HashSet;
use std::sync::Arc;

use dssvault::base::id::PackId;
use dssvault::base::object::ObjectKind;
use dssvault::storage::Storage;
use dssvault::storage::testing::{Fault, Faulty};
use dssvault::vault::check::Mending;
use dssvault::vault::parity::{self, AddOptions, Room, Which};

use crate::parity_fixture::{SHARD, Shelf, mended, pack};

/// Every single pack, lost alone, comes back; checked on copies of the store.
#[track_caller]
fn require_each_pack_mends(shelf: &Shelf, packs: &[PackId]) {
    let whole = shelf.store.contents();
    for id in packs {
        shelf.store.delete(&pack(*id)).unwrap();
        let report = shelf.check(Mending::Do);
        assert!(shelf.readable(*id), "{:?}", shelf.findings(&report));
        shelf.store.delete(&mended(*id)).unwrap();
        shelf.store.replace(&pack(*id), shelf.packs[id].clone());
    }
    assert_eq!(shelf.store.contents(), whole);
}

fn groups(shelf: &Shelf) -> Vec<(u64, u16)> {
    let mut groups: Vec<_> = shelf.list().groups.iter().map(|group| (group.packs, group.recovery)).collect();
    groups.sort_unstable();
    groups
}

#[test]
fn adding_again_covers_only_what_is_new() {
    let mut shelf = Shelf::with(&[1000; 30]);
    shelf.add(5);
    let before = shelf.store.contents();
    assert_eq!(shelf.add(5).groups, []);
    assert_eq!(shelf.store.contents(), before);
    let new: Vec<_> = (100..103).map(|seed| shelf.put(seed, 2000)).collect();
    let report = shelf.add(5);
    assert_eq!((report.groups[0].packs, report.replaced.len()), (3, 0));
    assert!(before.keys().all(|name| shelf.store.contents().contains_key(name)), "what was there is left alone");
    let list = shelf.list();
    assert_eq!((list.packs, list.protected_packs), (33, 33));
    require_each_pack_mends(&shelf, &new);
}

#[test]
fn packs_that_come_a_few_at_a_time_end_in_few_groups() {
    let mut shelf = Shelf::with(&[]);
    for night in 0..60 {
        shelf.put(night * 2 + 1, 700);
        shelf.put(night * 2 + 2, 300);
        shelf.add(5);
        assert_eq!(shelf.list().protected_packs, (night + 1) * 2);
    }
    let groups = groups(&shelf);
    assert!(groups.len() <= 9, "{groups:?}");
    require_each_pack_mends(&shelf, &shelf.ids()[..10]);
}

#[test]
fn the_overhead_is_that_of_the_groups_there_are_unless_they_differ() {
    let mut shelf = Shelf::with(&[1000; 50]);
    shelf.add(10);
    shelf.put(90, 10);
    let unsaid = AddOptions::default();
    assert_eq!(parity::add(&shelf.store, &unsaid, shelf.context()).unwrap().overhead_hundredths, 1000);
    shelf.put(91, 10);
    shelf.add(20);
    shelf.put(92, 10);
    let error = parity::add(&shelf.store, &unsaid, shelf.context()).unwrap_err();
    assert!(error.to_string().contains("several overheads, 10 % and 20 %"), "{error}");
}

#[test]
fn what_it_costs_is_what_was_asked_for_and_a_dry_run_knows() {
    let shelf = Shelf::with(&[2 * SHARD; 40]);
    let options = AddOptions { dry_run: true, ..AddOptions::default() };
    let before = shelf.store.contents();
    let foreseen = parity::add(&shelf.store, &options, shelf.context()).unwrap();
    assert_eq!(shelf.store.contents(), before);
    let made = shelf.add(5);
    let list = shelf.list();
    assert_eq!((foreseen.groups[0].bytes, made.groups[0].bytes), (list.bytes, list.bytes));
    let share = list.bytes as f64 / list.pack_bytes as f64;
    assert!((0.05..0.051).contains(&share), "{share}");
    assert_eq!(
        list.bytes,
        shelf.names(ObjectKind::Parity).iter().map(|n| shelf.store.contents()[n].len() as u64).sum::<u64>()
    );
}

#[test]
fn a_damaged_pack_is_told_and_left_out_and_everything_else_is_protected() {
    let shelf = Shelf::with(&[5000; 8]);
    let bad = shelf.ids()[3];
    shelf.flip(&pack(bad), 77);
    let report = shelf.add(5);
    assert_eq!(report.skipped.iter().map(|skipped| skipped.pack).collect::<Vec<_>>(), [bad]);
    assert_eq!(shelf.list().protected_packs, 7);
    shelf.store.put(&mended(bad), &shelf.packs[&bad]).unwrap();
    assert_eq!(shelf.add(5).skipped, []);
    assert_eq!(shelf.list().protected_packs, 8, "the mended copy serves");
    let mut others = shelf.ids();
    others.retain(|id| *id != bad);
    require_each_pack_mends(&shelf, &others);
}

#[test]
fn a_pack_that_ends_too_early_spoils_no_other() {
    let shelf = Shelf::with(&[3 * SHARD, 3 * SHARD - 7, 2 * SHARD, 2 * SHARD, 900]);
    let bad = *shelf.packs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0;
    let foreseen = AddOptions { dry_run: true, ..AddOptions::default() };
    assert_eq!(parity::add(&shelf.store, &foreseen, shelf.context()).unwrap().groups[0].packs, 5);
    // Listed whole and read short, as on a disk with a bad place.
    let faulty = Faulty::new(Arc::new(shelf.store.clone()), Fault::Once(14));
    let report = shelf.try_add(&faulty, 5).unwrap();
    assert_eq!(report.skipped.len(), 1, "{report:?}");
    assert_eq!(shelf.list().protected_packs, 4);
    shelf.cut(&pack(bad), 2 * SHARD + 5);
    parity::drop_groups(&shelf.store, &Which::All, shelf.context()).unwrap();
    let report = shelf.add(5);
    assert_eq!(report.skipped.iter().map(|skipped| skipped.pack).collect::<Vec<_>>(), [bad]);
    assert_eq!(shelf.list().protected_packs, 4);
}

#[test]
fn dropping_takes_all_of_a_group_and_nothing_else() {
    let mut shelf = Shelf::with(&[1000; 25]);
    shelf.add(5);
    let first = shelf.list().groups[0].id;
    shelf.put(77, 50);
    shelf.add(5);
    let drop = |which| parity::drop_groups(&shelf.store, &which, shelf.context());
    assert!(drop(Which::Named(vec!["zz".to_owned()])).is_err());
    let report = drop(Which::Named(vec![first.short()])).unwrap();
    assert_eq!((report.groups, groups(&shelf)), (vec![first], vec![(1, 1)]));
    drop(Which::All).unwrap();
    assert_eq!((shelf.names(ObjectKind::Parity), shelf.names(ObjectKind::Pack).len()), (vec![], 26));
}

/// Ten packs in one group, three of which are about to go.
fn before_deleting() -> (Shelf, HashSet<PackId>, Vec<PackId>) {
    before_deleting_from(&[3 * SHARD, 3 * SHARD - 9, SHARD, SHARD, 900, 800, 700, 600, 500, 400])
}

fn before_deleting_from(sizes: &[usize; 10]) -> (Shelf, HashSet<PackId>, Vec<PackId>) {
    let shelf = Shelf::with(sizes);
    shelf.add(20);
    let mut by_size = shelf.ids();
    by_size.sort_by_key(|id| std::cmp::Reverse(shelf.packs[id].len()));
    let gone: HashSet<PackId> = [by_size[0], by_size[2], by_size[9]].into();
    let stay = by_size.into_iter().filter(|id| !gone.contains(id)).collect();
    (shelf, gone, stay)
}

#[test]
fn packs_leave_a_group_before_they_are_deleted_without_the_others_being_read() {
    let (mut shelf, gone, stay) = before_deleting();
    // A pack that stays and cannot be read shows that it is not.
    shelf.flip(&pack(stay[0]), 5);
    let report = parity::regroup(&shelf.store, &gone, Room::Enough, shelf.context()).unwrap();
    assert_eq!((report.made.len(), report.removed.len(), report.skipped), (1, 1, vec![]));
    for id in &gone {
        shelf.store.delete(&pack(*id)).unwrap();
        shelf.packs.remove(id);
    }
    assert!(shelf.is_clean(&shelf.check(Mending::Do)), "nothing of what went is missed, and the damaged one is mended");
    assert!(shelf.readable(stay[0]));
    shelf.flip(&pack(stay[0]), 5);
    shelf.store.delete(&mended(stay[0])).unwrap();
    require_each_pack_mends(&shelf, &stay);
    assert_eq!(groups(&shelf), [(7, 2)], "two of those that stay may still be lost");
    for pair in stay.windows(2) {
        pair.iter().for_each(|id| shelf.store.delete(&pack(*id)).unwrap());
        assert!(shelf.is_clean(&shelf.check(Mending::Do)));
        for id in pair {
            shelf.store.delete(&mended(*id)).unwrap();
            shelf.store.replace(&pack(*id), shelf.packs[id].clone());
        }
    }
}

#[test]
fn after_packs_were_deleted_a_group_is_made_anew_over_those_that_stay() {
    let (mut shelf, gone, stay) = before_deleting();
    for id in &gone {
        shelf.store.delete(&pack(*id)).unwrap();
        shelf.packs.remove(id);
    }
    let report = parity::regroup(&shelf.store, &gone, Room::Enough, shelf.context()).unwrap();
    assert_eq!((report.made.len(), report.removed.len()), (1, 1));
    assert_eq!(groups(&shelf), [(7, 1)]);
    require_each_pack_mends(&shelf, &stay);
    let again = parity::regroup(&shelf.store, &gone, Room::Enough, shelf.context()).unwrap();
    assert_eq!(again, parity::RegroupReport::default());
}

#[test]
fn on_a_full_store_nothing_is_made_and_only_what_is_worthless_goes() {
    let (shelf, gone, _) = before_deleting();
    let before = shelf.store.contents();
    let one: HashSet<PackId> = gone.iter().take(1).copied().collect();
    let report = parity::regroup(&shelf.store, &one, Room::None, shelf.context()).unwrap();
    assert_eq!(report, parity::RegroupReport::default());
    assert_eq!(shelf.store.contents(), before, "it can still mend one");
    let report = parity::regroup(&shelf.store, &gone, Room::None, shelf.context()).unwrap();
    assert_eq!(report.removed.len(), 1);
    assert_eq!(shelf.names(ObjectKind::Parity), []);
    let all: HashSet<PackId> = shelf.ids().into_iter().collect();
    shelf.add(5);
    let report = parity::regroup(&shelf.store, &all, Room::Enough, shelf.context()).unwrap();
    assert_eq!((report.made.len(), report.removed.len()), (0, 1), "no pack stays");
}

/// Does `act` on copies of a store, failing at every call in turn, and hands each outcome on.
fn at_every_call(
    shelf: &Shelf,
    fault: fn(usize) -> Fault,
    act: impl Fn(&Shelf, Arc<dyn Storage>) -> bool,
    then: impl Fn(&mut Shelf, bool),
) -> usize {
    for nth in 1.. {
        let mut copy = Shelf { store: shelf.store.fork(), packs: shelf.packs.clone(), ..Shelf::with(&[]) };
        let faulty = Faulty::new(Arc::new(copy.store.clone()), fault(nth));
        let done = act(&copy, Arc::new(faulty.clone()));
        then(&mut copy, done);
        if !faulty.has_struck() {
            return nth;
        }
    }
    unreachable!()
}

const FAULTS: [fn(usize) -> Fault; 4] = [Fault::From, Fault::Once, Fault::Tear, Fault::LostAnswer];

#[test]
fn a_crash_at_any_call_of_adding_leaves_packs_alone_and_the_next_run_finishes() {
    let mut shelf = Shelf::with(&[SHARD + 5, 1000, 900, 800]);
    shelf.add(30);
    shelf.put(50, 2 * SHARD);
    shelf.put(51, 10);
    for fault in FAULTS {
        let calls = at_every_call(
            &shelf,
            fault,
            |copy, store| copy.try_add(&*store, 30).is_ok_and(|report| report.skipped.is_empty()),
            |copy, _| {
                for (id, bytes) in &copy.packs {
                    assert_eq!(copy.store.contents()[&pack(*id)].to_vec(), *bytes);
                }
                let report = copy.check(Mending::No);
                assert!(copy.is_clean(&report), "{:?}", copy.findings(&report));
                // The four that were protected still are, before anything is cleared up.
                let lost = *shelf.packs.iter().find(|(_, bytes)| bytes.len() == SHARD + 5).unwrap().0;
                copy.store.delete(&pack(lost)).unwrap();
                copy.check(Mending::Do);
                assert!(copy.readable(lost), "a pack was without parity for a moment");
                let bytes = copy.packs[&lost].clone();
                copy.store.replace(&pack(lost), bytes);
                copy.store.delete(&mended(lost)).unwrap();
                assert_eq!(copy.add(30).skipped, []);
                let list = copy.list();
                // A pack that could not be read once is left out of one group and stays in an older one.
                let groups = if matches!(fault(1), Fault::From(_) | Fault::Tear(_)) { 1..=1 } else { 1..=3 };
                assert!(list.protected_packs == 6 && groups.contains(&list.groups.len()), "{list:?}");
                assert_eq!(copy.findings(&copy.check(Mending::No)), [""; 0]);
            },
        );
        assert!(calls > 20, "{calls}");
    }
}

#[test]
fn a_crash_at_any_call_of_mending_worsens_nothing_and_the_next_run_finishes() {
    let shelf = Shelf::with(&[SHARD + 5, 2 * SHARD, 900, 800]);
    shelf.add(50);
    let [first, second, ..] = shelf.ids()[..] else { unreachable!() };
    shelf.flip(&pack(first), 3);
    shelf.store.delete(&pack(second)).unwrap();
    let parity = shelf.names(ObjectKind::Parity).remove(1);
    shelf.flip(&parity, shelf.store.contents()[&parity].len() - 40);
    for fault in FAULTS {
        let calls = at_every_call(
            &shelf,
            fault,
            |copy, store| copy.try_check(store, Mending::Do).is_ok(),
            |copy, _| {
                copy.mended_are_right();
                let report = copy.check(Mending::Do);
                assert!(copy.is_clean(&report), "{:?}", copy.findings(&report));
                copy.ids().into_iter().for_each(|id| assert!(copy.readable(id)));
            },
        );
        assert!(calls > 30, "{calls}");
    }
}

#[test]
fn a_crash_at_any_call_of_regrouping_leaves_those_that_stay_protected() {
    let (shelf, gone, stay) = before_deleting_from(&[SHARD + 9, 5000, 4000, 1000, 900, 800, 700, 600, 500, 400]);
    for fault in FAULTS {
        at_every_call(
            &shelf,
            fault,
            |copy, store| parity::regroup(&*store, &gone, Room::Enough, copy.context()).is_ok(),
            |copy, _| {
                copy.store.delete(&pack(stay[0])).unwrap();
                copy.check(Mending::Do);
                assert!(copy.readable(stay[0]));
                let bytes = copy.packs[&stay[0]].clone();
                copy.store.replace(&pack(stay[0]), bytes);
                let done = parity::regroup(&copy.store, &gone, Room::Enough, copy.context()).unwrap();
                assert_eq!(done.skipped, []);
                let groups = copy.list().groups;
                assert!(groups.iter().all(|group| group.packs == 7), "{groups:?}");
            },
        );
    }
}

#[test]
fn packs_without_bytes_and_stores_without_packs_are_no_trouble() {
    let shelf = Shelf::with(&[]);
    assert_eq!(shelf.add(5).groups, []);
    assert_eq!(shelf.list(), parity::ListReport::default());
    let id = PackId::from_bytes([7; 32]);
    shelf.store.replace(&pack(id), Vec::new());
    shelf.add(5);
    assert_eq!(shelf.names(ObjectKind::Parity), []);
}
