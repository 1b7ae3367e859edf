//! Forgetting, bringing back, pinning: what the journal says afterwards, and what happens beside others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dssvault::base::cancel::Cancel;
use dssvault::base::clock::{Clock, Timestamp};
use dssvault::base::hint::Hint;
use dssvault::base::id::{NodeId, SnapshotId};
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::progress::Silent;
use dssvault::repo::journal::Entry;
use dssvault::repo::journal::entry::Pin;
use dssvault::repo::session::{Session, SessionStart};
use dssvault::repo::snapshot::{self, Manifest, Problem, Repaired};
use dssvault::repo::{RepoError, Repository};
use dssvault::storage::{ObjectEntry, Published, Staged, Storage, StorageError};
use dssvault::vault::browse::{self, Filter};
use dssvault::vault::context::Folders;
use dssvault::vault::forget::{self, ForgetReport};
use dssvault::vault::retention::{Guards, Standing, Terms};
use dssvault::vault::{Context, VaultError, pins};

use crate::journal_session::{manifest, sealer};
use crate::keys_fixture::{Memory, Noon, open, password, repository};
use crate::retention_cases;

/// The moment it is here: `keys_fixture::Noon`.
const NOW: i64 = 1_763_812_800;

const DAY: i64 = 86_400;

type Hook = Box<dyn FnOnce() + Send>;

/// A store that says when it received what, and lets somebody else be faster with the journal once.
struct Shelf {
    inner: Memory,
    received: Mutex<BTreeMap<ObjectName, Timestamp>>,
    before_journal: Mutex<Option<Hook>>,
}

impl Storage for Shelf {
    fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        self.inner.stage()
    }

    fn get(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, StorageError> {
        self.inner.get(name, limit)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StorageError> {
        self.inner.get_range(name, offset, length)
    }

    fn list(&self, kind: ObjectKind) -> Result<Vec<ObjectEntry>, StorageError> {
        let received = self.received.lock().unwrap();
        let mut entries = self.inner.list(kind)?;
        for entry in &mut entries {
            entry.created = received.get(&entry.name).copied().unwrap_or_default();
        }
        Ok(entries)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.inner.delete(name)
    }

    fn location(&self) -> String {
        self.inner.location()
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Published, StorageError> {
        if name.kind() == ObjectKind::Journal
            && let Some(hook) = self.before_journal.lock().unwrap().take()
        {
            hook();
        }
        self.inner.put(name, bytes)
    }
}

struct Past {
    memory: Memory,
    shelf: Arc<Shelf>,
    repository: Repository,
    folders: Folders,
    cancel: Cancel,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

impl Past {
    fn new() -> Self {
        let (memory, mut repository) = repository();
        let shelf =
            Arc::new(Shelf { inner: memory.clone(), received: Mutex::default(), before_journal: Mutex::default() });
        repository.storage = Arc::clone(&shelf) as Arc<dyn Storage>;
        let folders = Folders { cache: "unused".into(), state: "unused".into() };
        Self { memory, shelf, repository, folders, cancel: Cancel::default() }
    }

    /// Daily snapshots of one node, the newest an hour old; their ids, oldest first.
    fn with_days(days: i64) -> (Self, Vec<SnapshotId>) {
        let past = Self::new();
        let ids = (0..days).rev().map(|back| past.commit(NOW - 3600 - back * DAY, |_| {})).collect();
        (past, ids)
    }

    /// A snapshot that the store received when it claims to be of.
    fn commit(&self, seconds: i64, edit: impl FnOnce(&mut Manifest)) -> SnapshotId {
        let sealer = sealer(&self.repository);
        let start = SessionStart { node: NodeId::from_bytes([4; 16]), parent: None, host: "host".to_owned() };
        let session = Session::begin(&self.repository, &sealer, start).unwrap();
        let mut manifest = manifest(session.id());
        manifest.time = at(seconds);
        edit(&mut manifest);
        let id = session.commit(manifest, &[]).unwrap();
        self.shelf.received.lock().unwrap().insert(snapshot::name(&id), at(seconds));
        id
    }

    fn context(&self) -> Context<'_> {
        Context { progress: &Silent, cancel: &self.cancel, folders: &self.folders }
    }

    fn forget(&self, policy: &str, dry_run: bool) -> ForgetReport {
        let terms = retention_cases::terms("UTC", policy);
        forget::by_policy(&self.repository, &Filter::default(), &terms, dry_run, self.context()).unwrap()
    }

    fn forget_named(&self, ids: &[SnapshotId], min_snapshots: u32) -> Result<ForgetReport, VaultError> {
        let wanted: Vec<String> = ids.iter().map(SnapshotId::to_string).collect();
        let guards = Guards { min_snapshots, ..Guards::default() };
        forget::named(&self.repository, &wanted, &Filter::default(), &guards, false, self.context())
    }

    fn shown(&self) -> Vec<SnapshotId> {
        let listing = browse::list(&self.repository, &Filter::default()).unwrap();
        listing.snapshots.iter().map(|listed| listed.id).collect()
    }

    fn forgotten(&self) -> Vec<SnapshotId> {
        let listing = browse::list_forgotten(&self.repository, &Filter::default()).unwrap();
        listing.snapshots.iter().map(|listed| listed.id).collect()
    }

    fn head(&self) -> u64 {
        self.repository.journal().load().unwrap().head
    }

    /// Somebody else writes this entry just before we would write ours.
    fn rival(&self, entry: Entry) {
        let memory = self.memory.clone();
        let hook = move || {
            let other = open(&memory, &password("correct")).unwrap();
            say(&other, entry);
        };
        *self.shelf.before_journal.lock().unwrap() = Some(Box::new(hook));
    }
}

fn say(repository: &Repository, entry: Entry) {
    let mut once = Some(entry);
    repository.journal().append(&repository.secrets, &Noon, |_| Ok(once.take())).unwrap();
}

fn pin(until: Option<i64>) -> Pin {
    Pin { note: "audit".to_owned(), until: until.map(at) }
}

#[test]
fn what_a_policy_drops_is_forgotten_in_one_entry_and_shown_nowhere() {
    let (past, ids) = Past::with_days(5);
    let before = past.head();
    let report = past.forget("last 2", false);
    assert_eq!(past.head(), before + 2, "one says which snapshots there were, and one which are forgotten");
    assert_eq!(past.shown(), ids[3..]);
    assert_eq!(past.forgotten(), ids[..3]);
    assert_eq!(report.forgotten.len(), 3);
    assert!(matches!(
        browse::find(&past.repository, &ids[0].to_string(), &Filter::default()),
        Err(VaultError::Repo(RepoError::Snapshot(_)))
    ));
    assert_eq!(browse::find(&past.repository, "latest~1", &Filter::default()).unwrap().id, ids[3]);
    assert!(browse::find(&past.repository, "latest~2", &Filter::default()).is_err());
    // Decided once, there is nothing left to write.
    assert!(past.forget("last 2", false).forgotten.is_empty());
    assert_eq!(past.head(), before + 2);
}

#[test]
fn a_dry_run_and_a_guard_in_the_way_write_nothing() {
    let (past, ids) = Past::with_days(5);
    let before = past.head();
    let report = past.forget("last 2", true);
    assert_eq!((report.judged.iter().filter(|one| !one.is_kept()).count(), report.forgotten.len()), (3, 0));
    let report = past.forget("last 2, max-drop 50", false);
    assert!(report.breach.is_some() && report.forgotten.is_empty());
    assert_eq!((past.head(), past.shown()), (before, ids));
}

#[test]
fn forgotten_snapshots_come_back_and_purged_ones_do_not() {
    let (past, ids) = Past::with_days(4);
    past.forget("last 1", false);
    say(&past.repository, Entry::Purge(vec![ids[0]]));
    assert_eq!(past.forgotten(), ids[1..3]);
    let undelete = |id: &SnapshotId| forget::undelete(&past.repository, &[id.to_string()[..12].to_owned()]);
    assert_eq!(undelete(&ids[1]).unwrap(), [ids[1]]);
    assert_eq!(past.shown(), [ids[1], ids[3]]);
    let error = undelete(&ids[0]).unwrap_err();
    assert!(error.hint().unwrap().contains("snapshots --forgotten"), "{error}");
    // One that is shown was not forgotten.
    assert!(undelete(&ids[3]).is_err());
}

#[test]
fn whoever_loses_the_number_reads_and_decides_again() {
    let (past, ids) = Past::with_days(5);
    past.rival(Entry::Pin(ids[0], pin(None)));
    let report = past.forget("last 2", false);
    assert_eq!(report.forgotten.len(), 2, "the one that was pinned meanwhile stays");
    assert_eq!(past.shown(), [ids[0], ids[3], ids[4]]);
}

#[test]
fn what_somebody_else_forgot_meanwhile_is_not_counted_as_kept() {
    let (past, ids) = Past::with_days(5);
    // The two newest go: on what is left, the policy keeps two others.
    past.rival(Entry::Forget(ids[3..].to_vec()));
    past.forget("last 2", false);
    assert_eq!(past.shown(), ids[1..3]);
}

#[test]
fn a_pin_holds_until_its_end_and_is_then_taken_off() {
    let (past, ids) = Past::with_days(4);
    let named = |id: &SnapshotId| vec![id.to_string()];
    pins::pin(&past.repository, ids[0], "audit", None).unwrap();
    say(&past.repository, Entry::Pin(ids[1], pin(Some(NOW - 1))));
    let report = past.forget("last 1", false);
    assert_eq!(report.forgotten, [ids[2], ids[1]]);
    let facts = past.repository.journal().load().unwrap().facts;
    assert_eq!(facts.pins.keys().collect::<Vec<_>>(), [&ids[0]]);
    assert_eq!(pins::unpin(&past.repository, &named(&ids[0])).unwrap(), [ids[0]]);
    assert!(pins::unpin(&past.repository, &named(&ids[0])).is_err());
    assert_eq!(past.forget("last 1", false).forgotten, [ids[0]]);
    let error = pins::pin(&past.repository, ids[0], "too late", None).unwrap_err();
    assert!(error.to_string().contains("no snapshot matches"), "{error}");
}

#[test]
fn a_pin_needs_a_reason_and_an_end_to_come() {
    let (past, ids) = Past::with_days(1);
    let before = past.head();
    for (reason, until) in [("", None), (" ", None), ("a\nb", None), ("audit", Some(at(NOW)))] {
        assert!(pins::pin(&past.repository, ids[0], reason, until).is_err(), "{reason:?}");
    }
    assert!(pins::pin(&past.repository, ids[0], &"x".repeat(1001), None).is_err());
    assert_eq!(past.head(), before);
    // Said twice, it is written once.
    pins::pin(&past.repository, ids[0], "audit", Some(at(NOW + 1))).unwrap();
    pins::pin(&past.repository, ids[0], "audit", Some(at(NOW + 1))).unwrap();
    assert_eq!(past.head(), before + 1);
}

#[test]
fn named_snapshots_go_as_long_as_the_node_keeps_its_minimum() {
    let (past, ids) = Past::with_days(4);
    assert_eq!(past.forget_named(&ids[..1], 3).unwrap().forgotten, [ids[0]]);
    let report = past.forget_named(&ids[1..2], 3).unwrap();
    assert_eq!((report.forgotten.len(), report.judged.len()), (0, 1), "what was meant is shown");
    let error = forget::refusal(report.breach.unwrap());
    assert!(matches!(error, VaultError::Guarded { .. }), "{error}");
    assert_eq!(error.hint().unwrap(), "if it is meant, allow it with `--min-snapshots 2`");
    assert_eq!(past.shown(), ids[1..]);
    past.forget_named(&ids[1..], 0).unwrap();
    assert!(past.shown().is_empty(), "named, and with the guard down, even the last one goes");
}

#[test]
fn a_pinned_snapshot_is_not_forgotten_by_name() {
    let (past, ids) = Past::with_days(4);
    pins::pin(&past.repository, ids[0], "case 4711", None).unwrap();
    let error = forget::refusal(past.forget_named(&ids[..1], 0).unwrap().breach.unwrap());
    assert!(error.to_string().contains("case 4711"), "{error}");
    assert!(error.hint().unwrap().contains("unpin"));
}

#[test]
fn a_node_that_has_only_incomplete_snapshots_keeps_its_minimum_of_these() {
    let past = Past::new();
    let lacks = |manifest: &mut Manifest| {
        manifest.problems = vec![Problem { path: "a".into(), cause: "denied".into(), lost: true }];
        manifest.problem_count = 1;
    };
    let ids: Vec<_> = (0..5).rev().map(|back| past.commit(NOW - 3600 - back * DAY, lacks)).collect();
    assert!(past.forget_named(&ids[..3], 3).unwrap().breach.is_some());
    assert_eq!(past.forget_named(&ids[..2], 3).unwrap().forgotten.len(), 2);
}

#[test]
fn what_was_forgotten_by_name_and_brought_back_is_as_old_as_it_was() {
    let (past, ids) = Past::with_days(6);
    past.forget_named(&ids[..1], 3).unwrap();
    past.commit(NOW - 600, |_| {});
    past.forget("last 9", false);
    forget::undelete(&past.repository, &[ids[0].to_string()]).unwrap();
    let report = past.forget("last 9", true);
    assert!(report.judged.iter().all(|judged| judged.standing == Standing::Full), "{:?}", report.judged);
}

#[test]
fn a_snapshot_made_in_place_of_a_damaged_one_is_incomplete_and_not_adrift() {
    let past = Past::new();
    let made = past.commit(NOW - 40 * DAY, |manifest| {
        let of = SnapshotId::from_bytes([7; 16]);
        manifest.repaired = Some(Repaired { of, time: at(NOW), files: 1, directories: 0 });
    });
    past.shelf.received.lock().unwrap().insert(snapshot::name(&made), at(NOW));
    assert_eq!(past.forget("last 9", true).judged[0].standing, Standing::Partial);
}

#[test]
fn garbage_and_incomplete_snapshots_are_told_from_good_ones() {
    let past = Past::new();
    let good = past.commit(NOW - DAY, |_| {});
    let lost = past.commit(NOW - 3600, |manifest| {
        manifest.problems = vec![Problem { path: "a".into(), cause: "denied".into(), lost: true }];
        manifest.problem_count = 1;
    });
    let torn = past.commit(NOW - 3000, |manifest| {
        manifest.problems = vec![Problem { path: "a".into(), cause: "changed".into(), lost: false }];
        manifest.problem_count = 1;
    });
    let garbage = past.commit(NOW - 2000, |_| {});
    past.shelf.received.lock().unwrap().insert(snapshot::name(&garbage), at(NOW - 2000 + 2 * DAY));
    let report = past.forget("last 1", true);
    let standing = |id| report.judged.iter().find(|one| one.id == id).unwrap().standing;
    assert_eq!(standing(good), Standing::Full);
    assert_eq!(standing(lost), Standing::Partial);
    assert_eq!(standing(torn), Standing::Full, "nothing is missing in it");
    assert_eq!(standing(garbage), Standing::Adrift(-2 * DAY));
}

#[test]
fn what_the_store_says_of_their_age_after_they_were_seen_does_not_count() {
    let (past, ids) = Past::with_days(5);
    past.forget("last 5", false);
    // The repository was copied to another disk just now, without keeping file times.
    past.shelf.received.lock().unwrap().values_mut().for_each(|time| *time = at(NOW));
    let report = past.forget("last 2", false);
    assert_eq!(report.forgotten.len(), 3, "{:?}", report.judged);
    assert_eq!(past.shown(), ids[3..]);
}

#[test]
fn a_snapshot_that_was_not_there_at_the_last_look_is_not_older_than_that() {
    let (past, ids) = Past::with_days(5);
    past.forget("last 5", false);
    // A node makes up a date, and gives the file the same.
    let garbage = past.commit(NOW - 3 * DAY, |_| {});
    let report = past.forget("daily 9", true);
    let judged = |id: &SnapshotId| report.judged.iter().find(|judged| judged.id == *id).unwrap();
    assert!(matches!(judged(&garbage).standing, Standing::Adrift(_)), "{:?}", judged(&garbage));
    assert!(ids.iter().all(|id| judged(id).is_kept()), "{:?}", report.judged);
}

#[test]
fn a_clock_that_is_ahead_makes_nobody_adrift() {
    let (past, _) = Past::with_days(3);
    let mut repository = open(&past.memory, &password("correct")).unwrap();
    repository.storage = Arc::clone(&past.shelf) as Arc<dyn Storage>;
    repository.seams.clock = Arc::new(Later);
    let terms = retention_cases::terms("UTC", "last 9");
    forget::by_policy(&repository, &Filter::default(), &terms, false, past.context()).unwrap();
    (1..20).rev().for_each(|minutes| _ = past.commit(NOW - minutes * 60, |_| {}));
    for dry_run in [false, true] {
        let report = past.forget("last 50", dry_run);
        assert!(report.judged.iter().all(|judged| judged.standing == Standing::Full), "{:?}", report.judged);
    }
}

/// A clock ten years ahead.
struct Later;

impl Clock for Later {
    fn now(&self) -> Timestamp {
        at(NOW + 3650 * DAY)
    }
}

#[test]
fn an_age_that_is_yet_to_come_is_not_written_down() {
    let (past, ids) = Past::with_days(3);
    past.shelf.received.lock().unwrap().values_mut().for_each(|time| time.seconds += 9 * DAY);
    past.forget("last 9", false);
    past.shelf.received.lock().unwrap().values_mut().for_each(|time| time.seconds -= 9 * DAY);
    assert_eq!(past.forget("last 1", false).forgotten, [ids[1], ids[0]], "the store's clock was put right");
}

#[test]
fn who_changes_the_times_of_all_files_brings_no_garbage_into_the_past() {
    let (past, ids) = Past::with_days(6);
    past.forget("last 9", false);
    let garbage = past.commit(NOW - 4 * DAY, |_| {});
    past.shelf.received.lock().unwrap().values_mut().for_each(|time| *time = at(NOW - 4 * DAY));
    let report = past.forget("daily 9", true);
    let judged = |id: &SnapshotId| report.judged.iter().find(|judged| judged.id == *id).unwrap();
    assert!(matches!(judged(&garbage).standing, Standing::Adrift(_)), "{:?}", judged(&garbage));
    assert!(ids.iter().all(|id| judged(id).is_kept()), "{:?}", report.judged);
}

#[test]
fn what_was_forgotten_before_anything_was_written_down_is_as_old_as_it_was() {
    let (past, ids) = Past::with_days(6);
    say(&past.repository, Entry::Forget(vec![ids[0]]));
    past.forget("last 9", false);
    forget::undelete(&past.repository, &[ids[0].to_string()]).unwrap();
    let report = past.forget("last 9", true);
    assert!(report.judged.iter().all(|judged| judged.standing == Standing::Full), "{:?}", report.judged);
}

#[test]
fn what_cannot_be_read_is_told_and_never_dropped() {
    let (past, ids) = Past::with_days(4);
    let name = snapshot::name(&ids[0]);
    let mut bytes = past.memory.bytes(&name);
    bytes[40] ^= 1;
    past.memory.tamper(&name, bytes);
    let report = past.forget("last 1", false);
    assert_eq!(report.forgotten, [ids[2], ids[1]]);
    assert_eq!(report.survey.unreadable.len(), 1);
    assert!(report.survey.unreadable[0].0.contains(&ids[0].to_string()));
}

#[test]
fn only_what_the_filter_lets_through_is_judged() {
    let past = Past::new();
    let tagged = |manifest: &mut Manifest| manifest.tags = vec!["hand".to_owned()];
    let hand: Vec<SnapshotId> = (1..4).map(|day| past.commit(NOW - day * DAY, tagged)).collect();
    let other = past.commit(NOW - 9 * DAY, |_| {});
    let terms: Terms = retention_cases::terms("UTC", "last 1");
    let filter = Filter { tags: vec!["hand".to_owned()], ..Filter::default() };
    forget::by_policy(&past.repository, &filter, &terms, false, past.context()).unwrap();
    assert_eq!(past.shown(), [other, hand[0]]);
}
