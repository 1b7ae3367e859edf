use proptest::prelude::*;

use super::entry::{Closed, Pin, Revocation};
use super::*;
use crate::base::clock::Timestamp;
use crate::base::id::{PackId, SegmentId, SessionId, SlotId, SnapshotId, WriterId};

fn packs() -> impl Strategy<Value = Vec<PackId>> {
    proptest::collection::vec((0u8..5).prop_map(|byte| PackId::from_bytes([byte; 32])), 0..4)
}

fn snapshot() -> impl Strategy<Value = SnapshotId> {
    (0u8..5).prop_map(|byte| SnapshotId::from_bytes([byte; 16]))
}

fn objects() -> impl Strategy<Value = Objects> {
    let segments = proptest::collection::vec((0u8..5).prop_map(|byte| SegmentId::from_bytes([byte; 32])), 0..4);
    (packs(), segments).prop_map(|(packs, segments)| Objects { packs, segments })
}

fn entry() -> impl Strategy<Value = Entry> {
    let snapshots = || proptest::collection::vec(snapshot(), 0..4);
    let pin = Pin { note: "kept".to_owned(), until: None };
    let revocation = Revocation { epoch: 1, objects: Objects::default(), snapshots: Vec::new() };
    prop_oneof![
        objects().prop_map(Entry::Mark),
        packs().prop_map(Entry::Lost),
        snapshots().prop_map(|ids| {
            let arrival = |snapshot| Arrival { snapshot, time: Timestamp::default() };
            Entry::Arrived(ids.into_iter().map(arrival).collect())
        }),
        objects().prop_map(Entry::Unmark),
        objects().prop_map(Entry::Doom),
        objects().prop_map(Entry::Swept),
        snapshots().prop_map(Entry::Forget),
        snapshots().prop_map(Entry::Undelete),
        snapshots().prop_map(Entry::Purge),
        snapshot().prop_map(move |id| Entry::Pin(id, pin.clone())),
        snapshots().prop_map(Entry::Unpin),
        snapshot().prop_map(|id| Entry::Quarantine(id, "unreadable".to_owned())),
        (snapshot(), any::<bool>()).prop_map(|(snapshot, committed)| {
            Entry::Close(SessionId::from_bytes(*snapshot.as_bytes()), Closed { snapshot, committed })
        }),
        packs().prop_map(|packs| Entry::Verified(packs.iter().collect(), SlotId::from_bytes([3; 16]))),
        (0u8..3).prop_map(move |byte| Entry::Revoke(WriterId::from_bytes([byte; 16]), revocation.clone())),
    ]
}

fn since(number: u64) -> Since {
    Since { number, time: Timestamp::default() }
}

fn fold(entries: &[Entry]) -> Facts {
    let mut facts = Facts::default();
    (1..).zip(entries).for_each(|(number, entry)| facts.apply(since(number), entry));
    facts
}

proptest! {
    #[test]
    fn doom_ends_only_by_being_swept_and_purge_never(entries in proptest::collection::vec(entry(), 0..40)) {
        let mut facts = Facts::default();
        for (number, entry) in (1..).zip(&entries) {
            let before = facts.clone();
            facts.apply(since(number), entry);
            prop_assert!(before.purged.is_subset(&facts.purged));
            for pack in before.packs.doomed.keys().filter(|pack| !facts.is_doomed(pack)) {
                prop_assert!(matches!(entry, Entry::Swept(objects) if objects.packs.contains(pack)));
            }
            prop_assert!(facts.packs.marked.keys().all(|pack| !facts.is_doomed(pack)), "marked or doomed, never both");
            prop_assert!(facts.forgotten.keys().chain(facts.pins.keys()).all(|id| !facts.is_purged(id)));
        }
    }

    #[test]
    fn the_fold_does_not_care_where_a_checkpoint_stands(
        entries in proptest::collection::vec(entry(), 1..40), at in any::<prop::sample::Index>(),
    ) {
        let (front, back) = entries.split_at(at.index(entries.len()));
        let middle = fold(front);
        let mut resumed: Facts =
            plain::decode_body(&ObjectName::numbered(ObjectKind::Journal, 1), &plain::encode_body(&middle)).unwrap();
        prop_assert_eq!(&resumed, &middle, "a checkpoint reads back as it was written");
        (front.len() as u64 + 1..).zip(back).for_each(|(number, entry)| resumed.apply(since(number), entry));
        prop_assert_eq!(resumed, fold(&entries));
    }

    #[test]
    fn unmark_undoes_exactly_what_mark_did(entries in proptest::collection::vec(entry(), 0..20), objects in objects()) {
        let before = fold(&entries);
        let fresh = Objects {
            packs: objects.packs.into_iter().filter(|id| !before.is_marked(id)).collect(),
            segments: Vec::new(),
        };
        let mut after = before.clone();
        after.apply(since(90), &Entry::Mark(fresh.clone()));
        prop_assert!(fresh.packs.iter().all(|id| after.is_marked(id)));
        after.apply(since(91), &Entry::Unmark(fresh));
        prop_assert_eq!(after, before);
    }

    #[test]
    fn every_entry_reads_back_as_it_was_written(entry in entry()) {
        let record = Record { previous: None, time: Timestamp::default(), entry };
        let name = ObjectName::numbered(ObjectKind::Journal, 1);
        prop_assert_eq!(plain::decode_body::<Record>(&name, &plain::encode_body(&record)).unwrap(), record);
    }
}

#[test]
fn a_mark_keeps_the_number_of_its_first_entry() {
    let mark = Entry::Mark(Objects::packs([PackId::from_bytes([1; 32])]));
    let facts = fold(&[mark.clone(), mark]);
    assert_eq!(facts.packs.marked.values().map(|since| since.number).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_name_closed_uncommitted_is_void_and_a_committed_one_is_not() {
    let close = |byte, committed| {
        let snapshot = SnapshotId::from_bytes([byte; 16]);
        Entry::Close(SessionId::from_bytes([byte; 16]), Closed { snapshot, committed })
    };
    let facts = fold(&[close(1, false), close(2, true)]);
    assert!(facts.is_void(&SnapshotId::from_bytes([1; 16])));
    assert!(!facts.is_void(&SnapshotId::from_bytes([2; 16])));
}
