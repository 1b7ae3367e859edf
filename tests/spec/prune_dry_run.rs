//! What a dry run of `prune` tells is what the prune right after it does, in each of the states a repository may be
//! found in.

use std::sync::Arc;
use std::time::Duration;

use dssvault::base::clock::SystemClock;
use dssvault::base::hint::Hint;
use dssvault::base::id::{NodeId, PackId};
use dssvault::base::object::ObjectKind;
use dssvault::repo::journal::{Entry, Objects, State};
use dssvault::repo::session::{self, Session, SessionStart};
use dssvault::storage::Storage;
use dssvault::vault::prune::{self, PruneOptions, PruneReport};
use dssvault::vault::sealer;

use crate::check_fixture::{Vault, noise};

/// The store in memory has a clock of its own, on which every session looks old.
const PATIENT: Duration = Duration::from_secs(86_400 * 36_500);

fn at_once() -> PruneOptions {
    let none = Duration::ZERO;
    PruneOptions { grace: none, undo_window: none, fence_after: PATIENT, ..PruneOptions::default() }
}

/// A megabyte that nothing needs any more in one pack, and in another half of one.
fn with_waste() -> Vault {
    let vault = Vault::new(9);
    (0..4).for_each(|number| vault.write(&format!("kept-{number}"), &noise(number, 200_000)));
    (0..4).for_each(|number| vault.write(&format!("dropped-{number}"), &noise(10 + number, 200_000)));
    let first = vault.backup();
    vault.write("dropped-5", &noise(15, 900_000));
    let second = vault.backup();
    (0..6).for_each(|number| _ = std::fs::remove_file(vault.source().join(format!("dropped-{number}"))));
    vault.backup();
    append(&vault, Entry::Forget(vec![first, second]));
    vault
}

fn append(vault: &Vault, entry: Entry) {
    let repository = vault.open();
    let decide = |_: &State| Ok(Some(entry.clone()));
    repository.journal().append(&repository.secrets, &*repository.seams.clock, decide).unwrap();
}

fn run(vault: &Vault, options: &PruneOptions) -> PruneReport {
    let mut repository = vault.open();
    // Later than everything in the store, whose clock is its own.
    repository.seams.clock = Arc::new(SystemClock);
    prune::run(&repository, options, vault.context()).unwrap()
}

/// Asks, then does it, and holds the one against the other. Gives what was done.
fn require_foretold(vault: &Vault, options: &PruneOptions) -> PruneReport {
    let before = vault.store.contents();
    let told = run(vault, &PruneOptions { dry_run: true, ..options.clone() });
    assert_eq!(vault.store.contents(), before, "a dry run writes nothing");
    let done = run(vault, options);
    let shared = |report: &PruneReport| {
        let PruneReport { snapshots, purged, fenced, packs, used_bytes, .. } = report.clone();
        (snapshots, purged, fenced, packs, used_bytes)
    };
    assert_eq!(shared(&told), shared(&done));
    let fate = |report: &PruneReport| {
        let PruneReport { marked, unmarked, held, repacked, deleted, waiting, .. } = report.clone();
        let sessions: Vec<_> = report.waiting_for.iter().map(|waiting| waiting.session).collect();
        (marked, unmarked, held, repacked, deleted, waiting, sessions)
    };
    assert_eq!(fate(&told), fate(&done));
    done
}

fn packs(vault: &Vault) -> Vec<PackId> {
    vault.names(ObjectKind::Pack).iter().map(|name| name.text().parse().unwrap()).collect()
}

fn begin<'a>(repository: &'a dssvault::repo::Repository, sealer: &'a dssvault::repo::crypt::Sealer) -> Session<'a> {
    let start = SessionStart { node: NodeId::from_bytes([9; 16]), parent: None, host: "elsewhere".to_owned() };
    Session::begin(repository, sealer, start).unwrap()
}

#[test]
fn with_and_without_a_grace_time() {
    let vault = with_waste();
    let waiting = require_foretold(&vault, &PruneOptions { grace: Duration::from_secs(86_400 * 400), ..at_once() });
    assert!(waiting.waiting.count > 0 && waiting.deleted.count == 0, "{waiting:?}");
    // Now they are marked, and the grace time has passed.
    let done = require_foretold(&vault, &at_once());
    assert!(done.deleted.bytes > 1_000_000, "{done:?}");
    require_foretold(&vault, &at_once());
}

#[test]
fn where_packs_are_rewritten_that_were_marked_before() {
    let vault = with_waste();
    append(&vault, Entry::Mark(Objects::packs(packs(&vault))));
    let done = require_foretold(&vault, &at_once());
    assert!(done.repacked.count > 0 && done.unmarked.count > 0, "{done:?}");
}

#[test]
fn where_a_prune_decided_and_was_cut_off() {
    let vault = with_waste();
    let unused = run(&vault, &PruneOptions { grace: Duration::MAX, ..at_once() });
    assert!(unused.marked.count > 0);
    let journal = vault.open().journal().load().unwrap();
    let marked: Vec<PackId> = journal.packs.marked.keys().copied().collect();
    append(&vault, Entry::Doom(Objects::packs(marked.clone())));
    let done = require_foretold(&vault, &at_once());
    assert_eq!(done.deleted.count as usize, marked.len(), "{done:?}");
}

#[test]
fn where_a_backup_runs_and_where_it_gave_no_sign_of_life() {
    let vault = with_waste();
    let repository = vault.open();
    let sealer = sealer::begin(&repository).unwrap();
    let session = begin(&repository, &sealer);
    let held_up = require_foretold(&vault, &at_once());
    assert_eq!((held_up.waiting_for.len(), held_up.deleted.count), (1, 0), "{held_up:?}");
    let ended = require_foretold(&vault, &PruneOptions { fence_after: Duration::ZERO, ..at_once() });
    assert_eq!(ended.fenced, [session.id()]);
    assert!(ended.deleted.count > 0, "{ended:?}");
}

#[test]
fn where_a_snapshot_that_is_due_cannot_be_read() {
    let vault = with_waste();
    let forgotten: Vec<_> = vault.open().journal().load().unwrap().forgotten.keys().copied().collect();
    vault.flip(&dssvault::repo::snapshot::name(&forgotten[0]), 300);
    let done = require_foretold(&vault, &at_once());
    assert_eq!(done.purged.len(), 2, "nobody asks any more what they need");
}

#[test]
fn a_backup_whose_record_cannot_be_read_is_told_with_the_way_out() {
    let vault = with_waste();
    let repository = vault.open();
    let sealer = sealer::begin(&repository).unwrap();
    let session = begin(&repository, &sealer);
    let record = session::object_name(session.id(), 0);
    vault.flip(&record, 300);
    let before = packs(&vault);
    for dry_run in [true, false] {
        let options = PruneOptions { dry_run, ..at_once() };
        let refused = prune::run(&vault.open(), &options, vault.context()).unwrap_err();
        assert!(refused.to_string().contains(record.text()), "{refused}");
        assert!(refused.hint().unwrap().contains("delete the object"), "{refused}");
        assert_eq!(packs(&vault), before);
    }
    // As it says: nothing runs, so the object goes.
    vault.store.delete(&record).unwrap();
    assert!(run(&vault, &at_once()).deleted.count > 0);
}
