//! `repair snapshots`: what is lost is marked in a snapshot that takes the place of the damaged one, and is whole again
//! when a backup has stored it again.

use dssvault::base::id::SnapshotId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::journal::{Entry, entry::Pin};
use dssvault::repo::snapshot::{self, Manifest, SnapshotRecord};
use dssvault::repo::tree::Entry as TreeEntry;
use dssvault::storage::Storage;
use dssvault::storage::testing::{Fault, Faulty};
use dssvault::vault::browse::{self, Filter};
use dssvault::vault::check::ReadData;
use dssvault::vault::repair::snapshots::{self, Action};
use dssvault::vault::restore::{self, OwnerMode, RestoreOptions};

use crate::check_fixture::{Vault, lines, noise};
use crate::repair_fixture::{
    forget_cache, forget_machine, largest, repair_packs, repair_snapshots, restorable, shared,
};

/// One snapshot whose largest pack, with the content of `lost`, is gone and marked.
fn one_lost_pack() -> (Vault, SnapshotId) {
    let vault = Vault::new(7);
    vault.write("kept/one", b"one");
    vault.write("dir/kept", b"kept");
    vault.backup();
    vault.write("dir/lost", &noise(1, 300_000));
    let id = vault.backup();
    vault.store.delete(&largest(&vault, ObjectKind::Pack)).unwrap();
    repair_packs(&vault).unwrap();
    (vault, id)
}

fn manifest(vault: &Vault, id: SnapshotId) -> Manifest {
    match snapshot::load(&vault.open(), &id).unwrap().1 {
        SnapshotRecord::Committed(manifest) => *manifest,
        SnapshotRecord::Aborted(why) => panic!("{why}"),
    }
}

fn entries(vault: &Vault, id: SnapshotId) -> Vec<TreeEntry> {
    let mut found = Vec::new();
    browse::walk(&vault.open(), &manifest(vault, id), b"", vault.context(), &mut |_, entry| {
        found.push(entry.clone());
        Ok(true)
    })
    .unwrap();
    found
}

fn marked(vault: &Vault, id: SnapshotId) -> Vec<String> {
    let entries = entries(vault, id);
    let marked = entries.iter().filter(|entry| entry.damaged.is_some());
    marked.map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect()
}

fn shown(vault: &Vault) -> Vec<SnapshotId> {
    let listing = browse::list(&vault.open(), &Filter::default()).unwrap();
    listing.snapshots.iter().map(|listed| listed.id).collect()
}

#[test]
fn there_is_nothing_to_do_for_a_whole_repository() {
    let vault = crate::repair_fixture::vault();
    let before = vault.store.contents();
    let plan = repair_snapshots(&vault).unwrap();
    assert!(plan.is_empty() && plan.marked == 0);
    assert_eq!(vault.store.contents(), before);
}

#[test]
fn a_snapshot_in_which_damaged_files_are_marked_takes_the_place_of_the_damaged_one() {
    let (vault, id) = one_lost_pack();
    let before = restorable(&vault.open(), &[id], vault.context());
    let plan = repair_snapshots(&vault).unwrap();
    let [damaged] = plan.damaged.as_slice() else { panic!("{plan:?}") };
    let new = damaged.replacement.unwrap();
    assert_eq!((damaged.id, damaged.action, damaged.marks.files), (id, Action::Replace, 1));
    assert_eq!(marked(&vault, new), ["lost"]);
    let (old, made) = (manifest(&vault, id), manifest(&vault, new));
    let repaired = made.repaired.clone().unwrap();
    assert_eq!((repaired.of, repaired.files, made.time, made.tags), (id, 1, old.time, old.tags));
    assert!(!shown(&vault).contains(&id) && shown(&vault).contains(&new));
    // What could be had can be had, from both.
    assert_eq!(restorable(&vault.open(), &[id], vault.context()), before);
    let after = restorable(&vault.open(), &[new], vault.context());
    assert_eq!(after.len(), before.len());
    assert!(before.iter().all(|((_, path), bytes)| after.get(&(new, path.clone())) == Some(bytes)));
}

#[test]
fn a_second_run_finds_nothing_to_do_and_a_check_calls_the_rest_known() {
    let (vault, _) = one_lost_pack();
    assert!(!vault.check(ReadData::None).is_clean());
    repair_snapshots(&vault).unwrap();
    let before = vault.store.contents();
    let plan = repair_snapshots(&vault).unwrap();
    assert!(plan.is_empty() && plan.marked == 1, "{plan:?}");
    assert_eq!(vault.store.contents(), before);
    let report = vault.check(ReadData::All);
    assert!(report.is_clean(), "{:#?}", lines(&report));
    assert!(report.findings.iter().any(|finding| finding.cause.ends_with("it is marked as damaged")));
}

#[test]
fn a_marked_file_is_reported_and_not_written_and_is_whole_when_its_chunks_are_back() {
    let (vault, _) = one_lost_pack();
    let new = repair_snapshots(&vault).unwrap().damaged[0].replacement.unwrap();
    let target = vault.dir.path().join("target");
    let options = RestoreOptions { target: target.clone(), owner: OwnerMode::Current, ..Default::default() };
    let report = restore::run(&vault.open(), new, &manifest(&vault, new), &options, vault.context()).unwrap();
    let [failure] = report.failures.as_slice() else { panic!("{:?}", report.failures) };
    assert!(failure.path.ends_with("dir/lost") && failure.cause.contains("marked as damaged"), "{failure:?}");
    // The next backup stores the file again, although it did not change: its parent is forgotten.
    vault.backup();
    let healed = restorable(&vault.open(), &[new], vault.context());
    let lost = healed.iter().find(|((_, path), _)| path.ends_with("dir/lost"));
    assert_eq!(lost.map(|(_, bytes)| bytes.clone()), Some(noise(1, 300_000)));
    let report = vault.check(ReadData::All);
    assert!(report.findings.iter().all(|finding| finding.object.starts_with("packs/")), "{:#?}", lines(&report));
    assert_eq!(repair_snapshots(&vault).unwrap().marked, 0);
}

#[test]
fn an_unreadable_directory_is_marked_and_the_others_come_back() {
    let vault = Vault::new(8);
    vault.write("kept/one", b"one");
    vault.backup();
    vault.write("lost/two", b"two");
    let before = vault.store.contents();
    let id = vault.backup();
    // The later backup wrote one pack of trees: `lost`, and what leads there. Store all but `lost` again by hand.
    let repository = vault.open();
    let index = browse::open_index(&repository, vault.context()).unwrap();
    let chunks = dssvault::repo::chunks::ChunkReader::new(&repository, &index);
    let tree = entries(&vault, id).into_iter().find(|entry| entry.name == b"lost").unwrap().tree.unwrap();
    let pack_of = |id| index.pack(index.places(id).unwrap()[0].pack).unwrap();
    let place = pack_of(&tree);
    let table = dssvault::repo::pack::reader::read_table(&repository, place.id, place.bytes).unwrap();
    let sealer = dssvault::vault::sealer::begin(&repository).unwrap();
    let mut writer = dssvault::vault::ChunkWriter::new(&repository, &sealer, &index);
    let others = table.blocks.iter().flat_map(|block| &block.chunks).filter(|chunk| chunk.id != tree);
    others.for_each(|chunk| writer.add(table.domain, chunk.id, chunks.read(&chunk.id).unwrap().to_vec()).unwrap());
    writer.finish().unwrap();
    drop(index);
    assert!(!before.contains_key(&ObjectName::of(ObjectKind::Pack, place.id)));
    vault.store.delete(&ObjectName::of(ObjectKind::Pack, place.id)).unwrap();
    repair_packs(&vault).unwrap();
    let plan = repair_snapshots(&vault).unwrap();
    let new = plan.damaged[0].replacement.unwrap();
    assert_eq!((plan.damaged[0].marks.files, plan.damaged[0].marks.directories), (0, 1));
    assert_eq!(marked(&vault, new), ["lost"]);
    let files = restorable(&vault.open(), &[new], vault.context());
    assert_eq!(files.len(), 1, "{:?}", files.keys());
    assert!(repair_snapshots(&vault).unwrap().is_empty());
}

#[test]
fn a_pin_goes_over_to_the_snapshot_in_its_place() {
    let (vault, id) = one_lost_pack();
    let pin = Pin { note: "release".to_owned(), until: None };
    let repository = vault.open();
    let decide = |_: &_| Ok(Some(Entry::Pin(id, pin.clone())));
    repository.journal().append(&repository.secrets, &*repository.seams.clock, decide).unwrap();
    let new = repair_snapshots(&vault).unwrap().damaged[0].replacement.unwrap();
    let journal = repository.journal().load().unwrap();
    assert_eq!((journal.pins.get(&new), journal.pins.get(&id)), (Some(&pin), None));
    assert!(journal.is_forgotten(&id));
}

#[test]
fn a_dry_run_changes_nothing() {
    let (vault, id) = one_lost_pack();
    let before = vault.store.contents();
    let plan = snapshots::plan(&vault.open(), ReadData::None, vault.context()).unwrap();
    assert_eq!((plan.damaged.len(), plan.damaged[0].id, plan.damaged[0].replacement), (1, id, None));
    assert_eq!(vault.store.contents(), before);
}

#[test]
fn a_snapshot_whose_root_is_lost_is_told_and_left_alone() {
    let vault = Vault::new(9);
    vault.write("one", b"one");
    let id = vault.backup();
    for pack in vault.names(ObjectKind::Pack) {
        vault.store.delete(&pack).unwrap();
    }
    let plan = repair_snapshots(&vault).unwrap();
    assert_eq!((plan.damaged[0].id, plan.damaged[0].action), (id, Action::Beyond));
    assert_eq!(shown(&vault), [id]);
}

#[test]
fn cut_at_any_call_it_loses_nothing_and_a_rerun_leaves_one_snapshot_in_its_place() {
    let (scene, id) = one_lost_pack();
    let files = restorable(&scene.open(), &[id], scene.context()).len();
    let damaged = scene.store.contents();
    for nth in 1.. {
        let struck = [Fault::From(nth), Fault::LostAnswer(nth)].map(|fault| {
            let now = scene.store.contents();
            now.keys().filter(|name| !damaged.contains_key(name)).for_each(|name| scene.store.delete(name).unwrap());
            forget_machine(&scene);
            let mut repository = scene.open();
            let faulty = Faulty::new(shared(&scene), fault);
            repository.storage = std::sync::Arc::new(faulty.clone());
            let _ = snapshots::apply(&repository, ReadData::None, scene.context());
            forget_cache(&scene);
            repair_snapshots(&scene).unwrap_or_else(|why| panic!("{fault:?}: the rerun failed: {why}"));
            let shown = shown(&scene);
            let replaced: Vec<_> = shown
                .iter()
                .filter(|shown| manifest(&scene, **shown).repaired.is_some_and(|repaired| repaired.of == id))
                .collect();
            assert!(
                !shown.contains(&id) && replaced.len() == 1 && shown.len() == 2,
                "{fault:?}: {shown:?} of {id} {:?}",
                shown.iter().map(|one| manifest(&scene, *one).repaired).collect::<Vec<_>>()
            );
            assert_eq!(restorable(&scene.open(), &[*replaced[0]], scene.context()).len(), files, "{fault:?}");
            faulty.has_struck()
        });
        if struck == [false, false] {
            break;
        }
    }
}
