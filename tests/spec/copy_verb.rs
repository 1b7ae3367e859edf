//! A copy is the snapshot it was made of: what comes back from it, and what travelled to get it there.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use dssvault::base::id::PackId;
use dssvault::base::object::ObjectKind;
use dssvault::repo::index::Index;
use dssvault::repo::secrets::{Content, IdOwner};
use dssvault::storage::testing::{Call, MemoryStore, Watched};
use dssvault::storage::{Storage, StorageError};
use dssvault::vault::backup::{self, BackupOptions, Source, Steward, StreamKind, StreamSink};
use dssvault::vault::browse::{self, Filter};
use dssvault::vault::copy::CopyOptions;
use dssvault::vault::forget::{self, Survey};
use dssvault::vault::prune::{self, PruneOptions};
use dssvault::vault::retention::Guards;
use dssvault::vault::{VaultError, pins};

use crate::copy_fixture::{BOTH, Kinship, Office, named, names, shared};
use crate::machine::noise;

fn no_guards() -> Guards {
    Guards { min_snapshots: 0, max_drop: 100, max_drift: None }
}

/// The packs of the second repository that hold files, and whose ids they have.
fn data_packs(office: &Office) -> Vec<(PackId, IdOwner)> {
    let context = office.context(&office.away_folders);
    let index = Index::open(&office.open(&office.away), &context.folders.cache, context.progress, context.cancel);
    let packs: Vec<_> = index.unwrap().packs().map(|pack| pack.unwrap().1).collect();
    let of_data = packs.into_iter().filter(|pack| pack.domain.content == Content::Data);
    of_data.map(|pack| (pack.id, pack.domain.owner)).collect()
}

/// Everything a tree can hold: small files that share chunks, large ones, holes, links, odd names, repeats.
fn furnish(office: &Office) {
    for number in 0..300 {
        office.write(&format!("config/many/{number:04}.json"), format!("{{\"n\": {number}}}").as_bytes());
    }
    office.write("data/large.bin", &noise(1, 600_000));
    office.write("data/again.bin", &noise(1, 600_000));
    office.write("data/rows.csv", "1,2,3\n".repeat(20_000).as_bytes());
    office.write("empty", b"");
    let source = office.machine.source();
    let sparse = std::fs::File::create(source.join("sparse")).unwrap();
    sparse.set_len(5 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 3 << 20).unwrap();
    std::fs::hard_link(source.join("data/rows.csv"), source.join("data/rows-too.csv")).unwrap();
    symlink("../config", source.join("data/link")).unwrap();
    std::fs::create_dir(source.join("nothing inside")).unwrap();
    let odd = std::ffi::OsStr::new("new\nline");
    std::fs::write(source.join(odd), b"odd").unwrap();
}

#[test]
fn what_comes_back_from_a_copy_is_what_was_backed_up() {
    for kinship in BOTH {
        let office = Office::new(kinship);
        furnish(&office);
        let plain = office.machine.copy_source("plain");
        let original = office.back_up();
        let report = office.copy();
        assert_eq!((report.copied.len(), report.failed.len()), (1, 0), "{kinship:?}");
        let [copy] = office.copies().try_into().unwrap();
        assert_eq!(office.misses(&copy.manifest, &plain), Vec::<String>::new(), "{kinship:?}");
        assert_eq!(office.findings(), Vec::<String>::new(), "{kinship:?}");
        assert_eq!(copy.manifest.root == original.manifest.root, kinship == Kinship::Alike);
    }
}

#[test]
fn a_copy_says_what_the_snapshot_says_and_of_what_it_is_a_copy() {
    let office = Office::new(Kinship::Strange);
    furnish(&office);
    let options = BackupOptions { tags: vec!["monthly".to_owned()], ..BackupOptions::default() };
    let original = office.back_up_with(&options);
    let travel = office.copy().copied[0].travel;
    let [copy] = office.copies().try_into().unwrap();
    let origin = copy.manifest.origin.unwrap();
    assert_eq!(origin.key(), (office.open(&office.home).id(), original.id));
    let mut expected = original.manifest;
    (expected.root, expected.session) = (copy.manifest.root, copy.manifest.session);
    (expected.origin, expected.parent) = (Some(origin), None);
    expected.counts.chunks_added = travel.chunks_added;
    expected.counts.bytes_added = travel.bytes_added;
    expected.counts.bytes_stored = travel.bytes_stored;
    assert_eq!(copy.manifest, expected);
}

#[test]
fn what_is_repeated_in_a_snapshot_is_read_once() {
    for kinship in BOTH {
        let office = Office::new(kinship);
        furnish(&office);
        office.back_up();
        let travel = office.copy().copied[0].travel;
        assert!((720_000..740_000).contains(&travel.bytes_read), "{kinship:?}: {travel:?}");
        assert_eq!(travel.bytes_skipped, travel.bytes - travel.bytes_read);
    }
}

#[test]
fn a_second_copy_moves_nothing() {
    for kinship in BOTH {
        let office = Office::new(kinship);
        furnish(&office);
        let original = office.back_up();
        let copied = office.copy().copied[0].snapshot.unwrap();
        let before = office.away.contents();
        let again = office.copy();
        assert_eq!((again.copied.len(), again.present.len()), (0, 1));
        assert_eq!((again.present[0].source, again.present[0].snapshot), (original.id, copied));
        assert_eq!(office.away.contents(), before, "{kinship:?}");
    }
}

#[test]
fn of_the_next_snapshot_only_what_changed_is_read() {
    for kinship in BOTH {
        let office = Office::new(kinship);
        furnish(&office);
        office.back_up();
        office.copy();
        office.write("data/new.bin", &noise(2, 300_000));
        office.write("config/many/0007.json", b"{\"n\": \"changed\"}");
        let plain = office.machine.copy_source("plain");
        office.back_up();
        let report = office.copy();
        let [first, second] = office.copies().try_into().unwrap();
        let travel = report.copied[0].travel;
        assert!((300_000..320_000).contains(&travel.bytes_read), "{kinship:?}: {travel:?}");
        assert!(travel.bytes_stored < 400_000, "{kinship:?}: {travel:?}");
        assert!(travel.directories_taken_over > 0);
        assert_eq!(second.manifest.parent, Some(first.id));
        assert_eq!(office.misses(&second.manifest, &plain), Vec::<String>::new(), "{kinship:?}");
    }
}

#[test]
fn a_directory_that_was_moved_is_not_read_again_where_ids_are_alike() {
    let office = Office::new(Kinship::Alike);
    furnish(&office);
    office.back_up();
    office.copy();
    let source = office.machine.source();
    std::fs::rename(source.join("data"), source.join("elsewhere")).unwrap();
    let plain = office.machine.copy_source("plain");
    office.back_up();
    let travel = office.copy().copied[0].travel;
    assert_eq!(travel.bytes_read, 0, "{travel:?}");
    assert_eq!(office.misses(&office.copies()[1].manifest, &plain), Vec::<String>::new());
}

#[test]
fn a_backup_into_a_repository_that_is_alike_finds_every_copied_chunk() {
    let office = Office::new(Kinship::Alike);
    furnish(&office);
    let original = office.back_up();
    office.copy();
    let away = office.open(&office.away);
    backup::adopt_node(&office.away_folders.state, away.id(), &original.manifest.label, original.manifest.node)
        .unwrap();
    let context = office.context(&office.away_folders);
    let sources = [Source::Path(office.machine.source())];
    let before = data_packs(&office);
    let report = backup::run(&away, &sources, &BackupOptions::default(), context).unwrap();
    let counts = report.manifest.counts;
    assert!(counts.bytes_read > 1_300_000, "{counts:?}");
    assert_eq!(data_packs(&office), before);
    // The directories above the source are not the test's own, and may have changed meanwhile.
    assert!(counts.chunks_added <= 4 && counts.bytes_added < 10_000, "{counts:?}");
}

#[test]
fn repositories_that_are_alike_share_no_key_that_opens_seals_or_signs() {
    let office = Office::new(Kinship::Alike);
    let (home, away) = (office.open(&office.home).secrets, office.open(&office.away).secrets);
    assert!(home.names_like(&away) && home.cuts_like(&away));
    let own = |secrets: &dssvault::repo::secrets::Secrets| {
        let epoch = secrets.epoch(1).unwrap();
        [&secrets.sealing, &secrets.owner, &epoch.write, &epoch.index].map(|key| *key.expose())
    };
    for (one, other) in own(&home).iter().zip(own(&away)) {
        assert_ne!(*one, other);
    }
}

/// Brings a dump.
struct Dumper(Vec<u8>);

impl Steward for Dumper {
    fn bring(&mut self, sink: &mut dyn StreamSink) -> Result<(), VaultError> {
        let kind = StreamKind::Database { expected: self.0.len() as u64 };
        sink.store(&["postgresql", "govern", "dump"], kind, &mut self.0.as_slice()).map(|_| ())
    }
}

#[test]
fn what_belongs_to_a_node_alone_belongs_to_it_alone_in_the_copy() {
    for kinship in BOTH {
        let office = Office::new(kinship);
        let context = office.context(&office.machine.folders);
        let dump = noise(4, 200_000);
        let sources = [Source::Attended(Vec::new())];
        let home = office.open(&office.home);
        let options = BackupOptions::default();
        backup::run_attended(&home, &sources, &options, context, &mut Dumper(dump.clone())).unwrap();
        assert_eq!(office.copy().failed, []);
        let away = office.open(&office.away);
        let [copy] = office.copies().try_into().unwrap();
        let context = office.context(&office.away_folders);
        let mut out = Vec::new();
        dssvault::vault::dump::run(&away, &copy.manifest, b"postgresql/govern/dump", context, &mut out).unwrap();
        assert!(out == dump, "{kinship:?}");
        let owners: Vec<IdOwner> = data_packs(&office).into_iter().map(|(_, owner)| owner).collect();
        assert_eq!(owners, [IdOwner::Node(copy.manifest.node)], "{kinship:?}");
    }
}

#[test]
fn damage_in_the_source_costs_the_snapshots_that_need_what_is_damaged() {
    for kinship in BOTH {
        let office = Office::new(kinship);
        office.write("steady", &noise(1, 200_000));
        office.back_up();
        let before = names(&office.home, ObjectKind::Pack);
        office.write("dir/second only", &noise(2, 900_000));
        let second = office.back_up();
        let packs = names(&office.home, ObjectKind::Pack).into_iter().filter(|name| !before.contains(name));
        let data = packs.max_by_key(|name| office.home.contents()[name].len()).unwrap();
        std::fs::remove_dir_all(office.machine.source().join("dir")).unwrap();
        office.back_up();
        let mut bytes = office.home.contents()[&data].to_vec();
        bytes[300_000] ^= 1;
        office.home.replace(&data, bytes);

        let report = office.copy();

        assert_eq!(report.copied.len(), 2, "{kinship:?}");
        let [failed] = report.failed.try_into().unwrap();
        assert!(failed.object.contains(&second.id.to_string()), "{failed:?}");
        assert!(failed.path.as_ref().unwrap().ends_with("/dir/second only"), "{failed:?}");
        assert!(failed.cause.contains(&data.to_string()), "{failed:?}");
        assert_eq!(office.findings(), Vec::<String>::new());
        assert_eq!(office.copies().len(), 2);
    }
}

#[test]
fn a_damaged_manifest_is_told_and_the_others_are_copied() {
    let office = Office::new(Kinship::Alike);
    office.write("file", b"one");
    let first = office.back_up();
    office.write("file", b"two");
    office.back_up();
    let name = dssvault::repo::snapshot::name(&first.id);
    let mut bytes = office.home.contents()[&name].to_vec();
    bytes[1300] ^= 1;
    office.home.replace(&name, bytes);
    let report = office.copy();
    assert_eq!((report.copied.len(), report.failed.len()), (1, 1));
    assert_eq!(report.failed[0].object, name.to_string());
}

#[test]
fn forgotten_snapshots_travel_only_if_they_are_named_and_pins_never() {
    let office = Office::new(Kinship::Alike);
    office.write("file", b"one");
    let first = office.back_up();
    office.write("file", b"two");
    let second = office.back_up();
    let home = office.open(&office.home);
    let guards = no_guards();
    let context = office.context(&office.machine.folders);
    forget::named(&home, &[first.id.to_string()], &Filter::default(), &guards, false, context).unwrap();
    pins::pin(&home, second.id, "legal", None).unwrap();
    assert_eq!(office.copy().copied.len(), 1);
    assert_eq!(office.copies().len(), 1);
    assert_eq!(office.copy_with(&named(&[first.id])).unwrap().copied.len(), 1);
    let away = browse::list(&office.open(&office.away), &Filter::default()).unwrap();
    assert_eq!((away.snapshots.len(), away.journal.pins.len()), (2, 0));
}

#[test]
fn a_copy_that_was_forgotten_in_the_target_is_not_made_again_until_it_is_purged() {
    let office = Office::new(Kinship::Alike);
    office.write("file", b"one");
    office.back_up();
    let copy = office.copy().copied[0].snapshot.unwrap();
    let away = office.open(&office.away);
    let guards = no_guards();
    let context = office.context(&office.away_folders);
    forget::named(&away, &[copy.to_string()], &Filter::default(), &guards, false, context).unwrap();
    let again = office.copy();
    assert_eq!((again.copied.len(), again.present[0].forgotten), (0, true));
    let purge = dssvault::repo::journal::entry::Entry::Purge(vec![copy]);
    away.journal().append(&away.secrets, &*away.seams.clock, |_| Ok(Some(purge.clone()))).unwrap();
    assert_eq!(office.copy().copied.len(), 1);
}

#[test]
fn what_was_copied_survives_a_prune_of_the_target_and_what_was_pruned_is_copied_again() {
    for kinship in BOTH {
        let office = Office::new(kinship);
        furnish(&office);
        office.back_up();
        office.copy();
        office.write("data/new.bin", &noise(2, 300_000));
        let plain = office.machine.copy_source("plain");
        office.back_up();
        office.copy();
        let away = office.open(&office.away);
        let [first, _] = office.copies().try_into().unwrap();
        let context = office.context(&office.away_folders);
        forget::named(&away, &[first.id.to_string()], &Filter::default(), &no_guards(), false, context).unwrap();
        let options = PruneOptions { undo_window: Duration::ZERO, grace: Duration::ZERO, ..PruneOptions::default() };
        prune::run(&away, &options, context).unwrap();
        let [second] = office.copies().try_into().unwrap();
        assert_eq!(office.misses(&second.manifest, &plain), Vec::<String>::new(), "{kinship:?}");
        let again = office.copy();
        assert_eq!((again.copied.len(), again.present.len(), again.failed.len()), (1, 1, 0), "{kinship:?}");
        assert_eq!(again.travel().bytes_read, 0, "{kinship:?}: its successor has all of it");
        assert_eq!(office.findings(), Vec::<String>::new(), "{kinship:?}");
    }
}

#[test]
fn a_copy_of_a_copy_is_known_as_what_it_is() {
    let office = Office::new(Kinship::Strange);
    furnish(&office);
    office.back_up();
    office.copy();
    let third = office.another(Kinship::Strange);
    let (home, away, third) = (shared(&office.home), shared(&office.away), shared(&third));
    let folders = |name: &str| dssvault::vault::context::Folders {
        cache: office.machine.path(&format!("{name}-cache")),
        state: office.machine.path(&format!("{name}-state")),
    };
    let all = CopyOptions::default();
    let third_folders = folders("third");
    let copied = |from, to, folders| office.copy_between(from, to, folders, &all).unwrap().copied.len();
    assert_eq!(copied(&away, &third, &third_folders), 1);
    assert_eq!(copied(&home, &third, &third_folders), 0, "the third has it by way of the second");
    assert_eq!(copied(&third, &home, &office.machine.folders), 0, "the first has what all of them are copies of");
}

#[test]
fn copies_keep_their_node_and_are_judged_by_when_they_were_first_seen() {
    let office = Office::new(Kinship::Strange);
    office.write("file", b"one");
    let long_ago = dssvault::base::clock::Timestamp { seconds: 1_600_000_000, nanos: 0 };
    let original = office.back_up_with(&BackupOptions { time: Some(long_ago), ..BackupOptions::default() });
    office.copy();
    let [copy] = office.copies().try_into().unwrap();
    assert_eq!((copy.manifest.node, copy.manifest.time), (original.manifest.node, long_ago));
    let first_seen = |store| Survey::read(&office.open(store), &Filter::default()).unwrap().candidates[0].first_seen;
    assert_eq!(first_seen(&office.home), first_seen(&office.away));
}

#[test]
fn a_dry_run_names_what_would_travel_and_stores_nothing() {
    let office = Office::new(Kinship::Alike);
    office.write("file", b"one");
    let first = office.back_up();
    let before = office.away.contents();
    let report = office.copy_with(&CopyOptions { dry_run: true, ..CopyOptions::default() }).unwrap();
    assert_eq!((report.copied[0].source, report.copied[0].snapshot), (first.id, None));
    assert_eq!(office.away.contents(), before);
}

#[test]
fn the_source_is_only_read_and_is_never_the_target() {
    let office = Office::new(Kinship::Alike);
    furnish(&office);
    office.back_up();
    let before = office.home.contents();
    office.copy();
    assert_eq!(office.home.contents(), before);
    let home = shared(&office.home);
    let error = office.copy_between(&home, &home, &office.away_folders, &CopyOptions::default()).unwrap_err();
    assert!(error.to_string().contains("the same repository"), "{error}");
}

#[test]
fn what_was_moved_to_another_pack_meanwhile_is_looked_for_again() {
    let office = Office::new(Kinship::Alike);
    furnish(&office);
    office.back_up();
    let all = CopyOptions::default();
    // The next packs that are asked for have just been moved away.
    let flickering = |left| {
        let left = AtomicUsize::new(left);
        Watched::new(shared(&office.home), move |call| match call {
            Call::GetRange { name, .. } if call.reads_pack() => {
                match left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
                    Ok(_) => Err(StorageError::NotFound { name: name.clone(), location: "memory".to_owned() }),
                    Err(_) => Ok(()),
                }
            }
            _ => Ok(()),
        })
    };
    let copied = |left, store: &MemoryStore| {
        let source: Arc<dyn Storage> = Arc::new(flickering(left));
        office.copy_between(&source, &shared(store), &office.away_folders, &all).unwrap()
    };
    assert_eq!(copied(1, &office.away).copied.len(), 1);
    let report = copied(usize::MAX, &office.another(Kinship::Alike));
    assert_eq!((report.copied.len(), report.failed.len()), (0, 1), "what is gone for good is told");
}
