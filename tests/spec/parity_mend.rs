//! Damaged and missing packs come back without a key, up to what the parity promises, and it says where that ends.

use dssvault::base::object::ObjectKind;
use dssvault::storage::Storage;
use dssvault::vault::check::Mending;
use proptest::prelude::*;

use crate::parity_fixture::{SHARD, Shelf, mended, pack};

/// Six packs of one to three shards, any of which, or any two, may be lost.
fn shelf(recovery: u16) -> Shelf {
    let shelf = Shelf::with(&[3 * SHARD, 2 * SHARD + 17, 2 * SHARD, SHARD + 1, SHARD, 100]);
    let report = shelf.add(recovery * 17);
    assert_eq!((report.groups.len(), report.groups[0].recovery), (1, recovery));
    shelf
}

#[test]
fn a_whole_store_with_parity_gives_no_finding() {
    let shelf = shelf(2);
    for mending in [Mending::No, Mending::DryRun, Mending::Do] {
        let before = shelf.store.contents();
        let report = shelf.check(mending);
        assert_eq!(shelf.findings(&report), [""; 0]);
        assert_eq!((report.parity_objects, report.mended_packs), (3, 0));
        assert_eq!(shelf.store.contents(), before);
    }
}

#[test]
fn a_flip_in_any_shard_of_any_pack_is_mended() {
    let shelf = shelf(1);
    for id in shelf.ids() {
        let length = shelf.packs[&id].len();
        for at in (0..length).step_by(SHARD).chain([length - 1]) {
            shelf.flip(&pack(id), at);
            let found = shelf.check(Mending::No);
            assert_eq!(shelf.findings(&found), [format!("! {}: its bytes are not those it is named by", pack(id))]);

            let report = shelf.check(Mending::Do);

            assert_eq!(report.repair.as_ref().unwrap().mended[0].shards, 1);
            let says = format!("its bytes are not those it is named by; its copy {} stands in for it", mended(id));
            assert_eq!(shelf.findings(&report), [format!("? {}: {says}", pack(id))]);
            assert_eq!(shelf.store.contents()[&mended(id)].to_vec(), shelf.packs[&id]);
            assert_eq!(
                shelf.findings(&shelf.check(Mending::No)),
                shelf.findings(&report),
                "a look later says the same"
            );
            shelf.store.delete(&mended(id)).unwrap();
            shelf.flip(&pack(id), at);
        }
    }
}

#[test]
fn a_pack_that_was_cut_anywhere_is_mended() {
    let shelf = shelf(1);
    let longest = *shelf.packs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0;
    for length in [0, 1, SHARD - 1, SHARD, SHARD + 1, 3 * SHARD - 1] {
        shelf.cut(&pack(longest), length);
        shelf.check(Mending::Do);
        assert_eq!(shelf.store.contents()[&mended(longest)].to_vec(), shelf.packs[&longest], "{length}");
        shelf.store.delete(&mended(longest)).unwrap();
        shelf.store.replace(&pack(longest), shelf.packs[&longest].clone());
    }
}

#[test]
fn a_pack_that_grew_is_mended() {
    let shelf = shelf(1);
    let id = shelf.ids()[0];
    shelf.store.replace(&pack(id), [shelf.packs[&id].as_slice(), b"more"].concat());
    let report = shelf.check(Mending::Do);
    assert!(shelf.is_clean(&report) && shelf.readable(id));
}

#[test]
fn as_many_packs_as_there_are_recovery_shards_may_be_gone_and_not_one_more() {
    for recovery in [1u16, 2] {
        for first in 0..6 {
            let shelf = shelf(recovery);
            let lost: Vec<_> = (0..usize::from(recovery)).map(|more| shelf.ids()[(first + more) % 6]).collect();
            lost.iter().for_each(|id| shelf.store.delete(&pack(*id)).unwrap());
            assert!(!shelf.is_clean(&shelf.check(Mending::No)), "parity knows which packs there were");

            let report = shelf.check(Mending::Do);

            assert!(shelf.is_clean(&report), "{:?}", shelf.findings(&report));
            lost.iter().for_each(|id| assert_eq!(shelf.store.contents()[&mended(*id)].to_vec(), shelf.packs[id]));
        }
        let shelf = shelf(recovery);
        let mut largest = shelf.ids();
        largest.sort_by_key(|id| std::cmp::Reverse(shelf.packs[id].len()));
        largest.truncate(usize::from(recovery) + 1);
        largest.iter().for_each(|id| shelf.store.delete(&pack(*id)).unwrap());
        let before = shelf.store.contents();

        let report = shelf.check(Mending::Do);

        let findings = shelf.findings(&report);
        let short = format!("{} of the 6 shards of stripe 0 of group", recovery + 1);
        let of = findings.iter().filter(|line| line.contains(&short) && line.starts_with("! packs/"));
        assert_eq!(of.count(), largest.len(), "{findings:#?}");
        assert!(findings[0].ends_with(&format!("are damaged or gone, and {recovery} can be mended")), "{findings:#?}");
        assert_eq!(shelf.store.contents(), before, "nothing is written that is not a pack");
    }
}

#[test]
fn damage_in_different_stripes_of_many_packs_is_mended_by_one_recovery_shard() {
    let shelf = Shelf::with(&[4 * SHARD; 4]);
    shelf.add(5);
    for (stripe, id) in shelf.ids().into_iter().enumerate() {
        shelf.flip(&pack(id), stripe * SHARD + 5);
    }
    let report = shelf.check(Mending::Do);
    assert_eq!(report.repair.unwrap().mended.len(), 4);
    shelf.ids().into_iter().for_each(|id| assert!(shelf.readable(id)));
}

#[test]
fn damaged_parity_is_made_again_from_whole_packs() {
    let shelf = shelf(2);
    let whole = shelf.store.contents();
    for name in shelf.names(ObjectKind::Parity) {
        let length = whole[&name].len();
        for at in [0, 11, 12, length / 2, length - 40, length - 36, length - 1] {
            shelf.flip(&name, at.min(length - 1));
            let found = shelf.check(Mending::No);
            assert!(shelf.findings(&found)[0].starts_with(&format!("! {name}: its checksum")), "{found:?}");
            assert!(shelf.is_clean(&shelf.check(Mending::Do)), "{name} at {at}");
            assert_eq!(shelf.store.contents(), whole, "{name} at {at}");
        }
        for length in [0, 5, length / 2, length - 1] {
            shelf.cut(&name, length);
            assert!(shelf.is_clean(&shelf.check(Mending::Do)), "{name} cut to {length}");
            assert_eq!(shelf.store.contents(), whole);
        }
        shelf.store.delete(&name).unwrap();
        assert!(shelf.findings(&shelf.check(Mending::No))[0].starts_with(&format!("? {name}: it is missing")));
        assert!(shelf.is_clean(&shelf.check(Mending::Do)));
        assert_eq!(shelf.store.contents(), whole, "{name} gone");
    }
}

#[test]
fn packs_and_parity_may_be_damaged_together_as_long_as_enough_is_right() {
    let shelf = shelf(2);
    let whole = shelf.store.contents();
    let [description, first, second] = shelf.names(ObjectKind::Parity).try_into().unwrap();
    let id = *shelf.packs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0;
    shelf.store.delete(&pack(id)).unwrap();
    shelf.store.delete(&description).unwrap();
    shelf.flip(&first, 12 + 5); // stripe 0
    shelf.flip(&second, 12 + SHARD + 5); // stripe 1
    let report = shelf.check(Mending::Do);
    assert!(shelf.is_clean(&report), "{:?}", shelf.findings(&report));
    assert!(shelf.readable(id));
    for name in [description, first, second] {
        assert_eq!(shelf.store.contents()[&name], whole[&name], "{name}");
    }
}

#[test]
fn parity_cut_in_its_middle_still_mends_with_what_is_left() {
    let shelf = Shelf::with(&[3 * SHARD; 4]);
    shelf.add(5);
    let id = shelf.ids()[0];
    let recovery = shelf.names(ObjectKind::Parity).pop().unwrap();
    shelf.cut(&recovery, 12 + 2 * SHARD);
    shelf.flip(&pack(id), SHARD + 9);
    let report = shelf.check(Mending::Do);
    assert!(shelf.is_clean(&report) && shelf.readable(id), "{:?}", shelf.findings(&report));
}

#[test]
fn a_group_of_which_nothing_is_left_is_named_and_can_be_dropped() {
    let shelf = shelf(1);
    for name in shelf.names(ObjectKind::Parity) {
        shelf.cut(&name, 20);
    }
    shelf.flip(&pack(shelf.ids()[0]), 1);
    let report = shelf.check(Mending::Do);
    let findings = shelf.findings(&report);
    assert!(findings.iter().any(|line| line.contains("no parity was made over it")), "{findings:#?}");
    assert!(findings.iter().any(|line| line.contains("`dssvault parity drop")), "{findings:#?}");
    assert!(shelf.list().groups[0].unreadable.is_some());
    let all = dssvault::vault::parity::Which::All;
    dssvault::vault::parity::drop_groups(&shelf.store, &all, shelf.context()).unwrap();
    assert_eq!(shelf.names(ObjectKind::Parity), []);
}

#[test]
fn a_damaged_copy_is_mended_anew_and_not_taken_for_a_pack() {
    let shelf = shelf(1);
    let id = shelf.ids()[0];
    shelf.store.delete(&pack(id)).unwrap();
    shelf.check(Mending::Do);
    shelf.flip(&mended(id), 3);
    let found = shelf.check(Mending::No);
    assert!(!shelf.is_clean(&found), "{:?}", shelf.findings(&found));
    let report = shelf.check(Mending::Do);
    assert!(shelf.is_clean(&report) && shelf.readable(id), "{:?}", shelf.findings(&report));
}

#[test]
fn two_halves_of_a_pack_in_two_places_are_enough() {
    let shelf = Shelf::with(&[3 * SHARD; 3]);
    shelf.add(5);
    let id = shelf.ids()[0];
    shelf.store.put(&mended(id), &shelf.packs[&id]).unwrap();
    shelf.flip(&mended(id), 1);
    shelf.flip(&pack(id), 2 * SHARD);
    shelf.store.delete(&pack(shelf.ids()[1])).unwrap();
    let report = shelf.check(Mending::Do);
    assert!(shelf.is_clean(&report), "the first shard is right here, the last there: {:?}", shelf.findings(&report));
    shelf.mended_are_right();
}

#[test]
fn a_dry_run_says_what_would_be_mended_and_writes_nothing() {
    let shelf = shelf(1);
    shelf.flip(&pack(shelf.ids()[0]), 1);
    let before = shelf.store.contents();
    let report = shelf.check(Mending::DryRun);
    assert!(!shelf.is_clean(&report));
    assert!(shelf.findings(&report)[0].ends_with("; it would be mended"), "{:?}", shelf.findings(&report));
    assert_eq!(report.repair.unwrap().mended.len(), 1);
    assert_eq!(shelf.store.contents(), before);
}

/// One thing that happens to a store.
#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index, prop::sample::Index),
    Lose(prop::sample::Index),
}

fn harm() -> impl Strategy<Value = Harm> {
    let any = any::<prop::sample::Index>;
    prop_oneof![
        4 => (any(), any()).prop_map(|(object, at)| Harm::Flip(object, at)),
        1 => (any(), any()).prop_map(|(object, at)| Harm::Cut(object, at)),
        1 => any().prop_map(Harm::Lose),
    ]
}

fn inflict(shelf: &Shelf, harm: &Harm) {
    let contents = shelf.store.contents();
    if contents.is_empty() {
        return; // every object is lost already
    }
    let chosen = |index: &prop::sample::Index| contents.iter().nth(index.index(contents.len())).unwrap();
    match harm {
        Harm::Flip(object, at) => match chosen(object) {
            (name, bytes) if !bytes.is_empty() => shelf.flip(name, at.index(bytes.len())),
            _ => {}
        },
        Harm::Cut(object, at) => {
            let (name, bytes) = chosen(object);
            shelf.cut(name, at.index(bytes.len() + 1));
        }
        Harm::Lose(object) => shelf.store.delete(chosen(object).0).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_damaged_mending_never_worsens_and_never_writes_a_wrong_byte(
        sizes in proptest::collection::vec(1usize..700_000, 1..7),
        percent in 1u16..60,
        harms in proptest::collection::vec(harm(), 1..7),
    ) {
        let shelf = Shelf::with(&sizes);
        let recovery = usize::from(shelf.add(percent).groups[0].recovery);
        let whole = shelf.store.contents();
        harms.iter().for_each(|harm| inflict(&shelf, harm));
        let (before, readable): (_, Vec<_>) =
            (shelf.store.contents(), shelf.ids().into_iter().filter(|id| shelf.readable(*id)).collect());

        let harmed = whole.iter().filter(|(name, bytes)| before.get(name) != Some(bytes)).count();

        let report = shelf.check(Mending::Do);

        for id in readable {
            prop_assert!(shelf.readable(id));
        }
        shelf.mended_are_right();
        let after = shelf.store.contents();
        for (name, bytes) in before.iter().filter(|(name, _)| name.kind() == ObjectKind::Pack) {
            prop_assert_eq!(after.get(name), Some(bytes), "a pack is never touched");
        }
        let repair = report.repair.as_ref().unwrap();
        for mended in &repair.mended {
            prop_assert!(shelf.readable(mended.pack));
        }
        let lost: Vec<_> = shelf.ids().into_iter().filter(|id| !shelf.readable(*id)).collect();
        prop_assert!(harmed > recovery || lost.is_empty(), "the promise: as many objects as there are recovery shards");
        let stored = |id: &&dssvault::base::id::PackId| after.contains_key(&pack(**id));
        prop_assert!(lost.iter().find(stored).is_none() || !shelf.is_clean(&report), "what stays damaged is told");
        let again = shelf.check(Mending::Do);
        prop_assert!(again.repair.as_ref().unwrap().mended.is_empty(), "what can be mended is mended at once");
        prop_assert_eq!(after, shelf.store.contents());
    }
}
