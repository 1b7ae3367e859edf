//! What was verified is remembered in the repository, per pack, with the time and the key.

use dssvault::base::clock::CalendarSpan;
use dssvault::base::id::PackId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::journal::{Entry, Objects};
use dssvault::vault::check::{self, CheckReport, LedgerReport, ReadData, Request};

use crate::check_fixture::{Vault, noise};

/// Four packs in two snapshots.
fn vault() -> Vault {
    let vault = Vault::new(1);
    vault.write("one", &noise(1, 300_000));
    vault.backup();
    vault.write("two", &noise(2, 300_000));
    vault.backup();
    vault
}

fn check(vault: &Vault, request: Request) -> CheckReport {
    check::run(&vault.open(), request, vault.context()).unwrap()
}

const ALL: Request = Request { read: ReadData::All, max_age: None, record: true, marked: false };
const fn hours(hours: u32) -> Request {
    Request { read: ReadData::None, max_age: Some(CalendarSpan::hours(hours)), record: true, marked: false }
}

fn packs(vault: &Vault) -> Vec<PackId> {
    vault.names(ObjectKind::Pack).iter().map(|name| name.text().parse().unwrap()).collect()
}

fn ledger(report: &CheckReport) -> LedgerReport {
    report.ledger.clone().unwrap()
}

#[test]
fn verified_packs_are_remembered_with_the_time_and_the_key_that_opened_the_repository() {
    let vault = vault();
    let report = check(&vault, ALL);
    let count = packs(&vault).len() as u64;
    assert_eq!((ledger(&report).recorded, ledger(&report).never_verified), (count, 0));
    let repository = vault.open();
    let journal = repository.journal().load().unwrap();
    for pack in packs(&vault) {
        assert_eq!(journal.verified.of(&pack).unwrap().by, repository.opened_by.slot);
    }
}

#[test]
fn only_what_was_not_verified_for_that_long_is_read_again() {
    let vault = vault();
    let count = packs(&vault).len() as u64;
    assert_eq!(check(&vault, hours(10_000)).packs_read, count, "nothing was ever verified");
    assert_eq!(check(&vault, hours(10_000)).packs_read, 0);
    vault.write("three", &noise(3, 300_000));
    vault.backup();
    let fresh = packs(&vault).len() as u64 - count;
    assert_eq!(check(&vault, hours(10_000)).packs_read, fresh);
    // The clock of the fixture goes on by an hour with every look.
    assert_eq!(check(&vault, hours(1)).packs_read, count + fresh);
}

#[test]
fn a_nightly_budget_comes_round_to_every_pack() {
    let vault = vault();
    let largest = vault.names(ObjectKind::Pack).iter().map(|name| vault.bytes(name).len() as u64).max().unwrap();
    let nightly = Request { read: ReadData::Bytes(largest), ..hours(10_000) };
    let nights: Vec<u64> = (0..packs(&vault).len()).map(|_| check(&vault, nightly).packs_read).collect();
    assert_eq!(nights.iter().sum::<u64>(), packs(&vault).len() as u64, "{nights:?}");
    assert_eq!(ledger(&check(&vault, nightly)).never_verified, 0);
}

#[test]
fn a_damaged_pack_is_not_remembered_and_the_finding_tells_when_it_was_whole() {
    let vault = vault();
    check(&vault, ALL);
    let pack = packs(&vault).remove(0);
    let before = vault.open().journal().load().unwrap().verified.of(&pack);
    vault.flip(&ObjectName::of(ObjectKind::Pack, pack), 1500);
    let report = check(&vault, ALL);
    assert_eq!(ledger(&report).recorded, packs(&vault).len() as u64 - 1);
    assert_eq!(vault.open().journal().load().unwrap().verified.of(&pack), before);
    let told = report.findings.iter().any(|finding| finding.cause.contains("it was whole on 2025-"));
    assert!(told, "{:#?}", report.findings);
}

#[test]
fn a_store_that_takes_no_entry_leaves_the_ledger_as_it_was_and_the_check_says_so() {
    let vault = vault();
    let repository = vault.open();
    let refusing = vault.store.fork();
    let name = ObjectName::numbered(ObjectKind::Journal, 2);
    let damaged = vault.open_store(&refusing);
    refusing.replace(&name, &b"taken"[..]);
    let report = check::run(&damaged, ALL, vault.context()).unwrap();
    assert!(ledger(&report).note.is_some_and(|note| note.starts_with("the ledger was left as it was: ")));
    assert_eq!((ledger(&report).recorded, report.packs_read), (0, packs(&vault).len() as u64));
    assert_eq!(repository.journal().load().unwrap().head, 1);
}

#[test]
fn swept_packs_leave_the_ledger() {
    let vault = vault();
    check(&vault, ALL);
    let pack = packs(&vault).remove(0);
    let repository = vault.open();
    for entry in [Entry::Mark, Entry::Doom, Entry::Swept] {
        let decide = |_: &_| Ok(Some(entry(Objects::packs([pack]))));
        repository.journal().append(&repository.secrets, &*repository.seams.clock, decide).unwrap();
    }
    let journal = repository.journal().load().unwrap();
    assert_eq!((journal.verified.of(&pack), journal.verified.len()), (None, packs(&vault).len() - 1));
}

#[test]
fn what_was_verified_before_a_stop_is_remembered() {
    let vault = vault();
    let repository = vault.open();
    let stop = StopAfterOnePack { cancel: &vault.cancel };
    let context = dssvault::vault::Context { progress: &stop, ..vault.context() };
    let outcome = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap()
        .install(|| check::run(&repository, ALL, context));
    assert!(matches!(outcome, Err(dssvault::vault::VaultError::Interrupted)));
    assert_eq!(repository.journal().load().unwrap().verified.len(), 1);
}

/// Asks for a stop when the second pack is begun.
struct StopAfterOnePack<'a> {
    cancel: &'a dssvault::base::cancel::Cancel,
}

impl dssvault::base::progress::Progress for StopAfterOnePack<'_> {
    fn on(&self, event: dssvault::base::progress::Event<'_>) {
        use dssvault::base::progress::Event;
        if let Event::Advanced { bytes: 0, files: 1 } = event {
            self.cancel.request();
        }
    }
}

#[test]
fn a_check_that_reads_no_data_writes_nothing() {
    let vault = vault();
    let before = vault.store.contents();
    check(&vault, Request { record: true, ..ReadData::None.into() });
    assert_eq!(vault.store.contents(), before);
}
