//! One writer's life: announce, read the journal, lease, commit or give up.

use dssvault::base::id::{ChunkId, NodeId, PackId, SessionId, SnapshotId, StoredHash};
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::base::random::array;
use dssvault::repo::crypt::Sealer;
use dssvault::repo::journal::{Entry, Objects};
use dssvault::repo::session::{
    Abandoned, LINKS_MAX, Lease, Session, SessionRecord, SessionStart, SnapshotLink, Standing, parse_name, read_record,
};
use dssvault::repo::snapshot::{Consistency, Counts, Exclusions, Manifest, SnapshotRecord};
use dssvault::repo::{RepoError, Repository};

use crate::keys_fixture::{Noon, repository};

pub fn sealer(repository: &Repository) -> Sealer {
    let secrets = &repository.secrets;
    Sealer::begin(
        repository.id(),
        secrets.epoch(repository.config.epoch).unwrap(),
        secrets.owner_writer(),
        SessionId::from_bytes(array(&*repository.seams.entropy)),
        &repository.config.public_key,
        repository.seams.entropy.clone(),
    )
    .unwrap()
}

fn start(parent: Option<SnapshotId>) -> SessionStart {
    SessionStart { node: NodeId::from_bytes([4; 16]), parent, host: "host".to_owned() }
}

pub fn manifest(session: SessionId) -> Manifest {
    Manifest {
        time: Default::default(),
        ended: Default::default(),
        node: NodeId::from_bytes([4; 16]),
        label: "node".to_owned(),
        host: "host".to_owned(),
        user: "user".to_owned(),
        members: Vec::new(),
        root: ChunkId::from_bytes([3; 32]),
        consistency: Consistency::Live,
        counts: Counts::default(),
        problems: Vec::new(),
        problem_count: 0,
        exclusions: Exclusions::default(),
        tags: Vec::new(),
        program: "test".to_owned(),
        parent: None,
        session,
        dss: None,
        imported: None,
        databases: None,
        repaired: None,
        origin: None,
        seen: None,
    }
}

#[test]
fn a_session_announces_itself_before_it_reads_the_journal_and_then_says_how_far() {
    let (store, repository) = repository();
    let sealer = sealer(&repository);
    let parent = Some(SnapshotId::from_bytes([9; 16]));
    let session = Session::begin(&repository, &sealer, start(parent)).unwrap();
    session.renew().unwrap();

    let names = store.names(ObjectKind::Session);
    let numbers: Vec<_> = names.iter().map(|name| parse_name(name).unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2].map(|number| (session.id(), number)));
    let record: SessionRecord = minicbor::decode(&repository.unseal(&names[0]).unwrap().body).unwrap();
    assert_eq!((record.parent, record.snapshot), (parent, session.snapshot()));
    for name in &names[1..] {
        let lease: Lease = minicbor::decode(&repository.unseal(name).unwrap().body).unwrap();
        assert_eq!(lease.seen, 1);
    }
}

#[test]
fn a_lease_never_claims_more_than_was_read_before_the_index() {
    let (store, repository) = repository();
    let sealer = sealer(&repository);
    let session = Session::begin(&repository, &sealer, start(None)).unwrap();
    let pack = PackId::from_bytes([1; 32]);
    let mut mark = Some(Entry::Mark(Objects::packs([pack])));
    repository.journal().append(&repository.secrets, &Noon, |_| Ok(mark.take())).unwrap();
    session.renew().unwrap();
    let newest = store.names(ObjectKind::Session).pop().unwrap();
    let lease: Lease = minicbor::decode(&repository.unseal(&newest).unwrap().body).unwrap();
    assert_eq!(lease.seen, 1);
}

#[test]
fn the_committed_manifest_reads_back_with_its_links() {
    let (_, repository) = repository();
    let sealer = sealer(&repository);
    let session = Session::begin(&repository, &sealer, start(None)).unwrap();
    let link =
        |byte| SnapshotLink { snapshot: SnapshotId::from_bytes([byte; 16]), hash: StoredHash::from_bytes([byte; 32]) };
    let known: Vec<SnapshotLink> = (0..100).map(link).collect();

    let id = session.commit(manifest(session.id()), &known).unwrap();

    let name = ObjectName::of(ObjectKind::Snapshot, id);
    let record = read_record(&repository, &name).unwrap();
    assert_eq!(record, SnapshotRecord::Committed(Box::new(manifest(session.id()))));
    let header = repository.unseal(&name).unwrap().header;
    let links: Vec<SnapshotLink> = minicbor::decode(&header.plain).unwrap();
    assert_eq!(links, known[..LINKS_MAX]);
}

#[test]
fn committing_again_after_a_lost_answer_is_the_same_commit() {
    let (store, repository) = repository();
    let sealer = sealer(&repository);
    let session = Session::begin(&repository, &sealer, start(None)).unwrap();
    let first = session.commit(manifest(session.id()), &[]).unwrap();
    let second = session.commit(manifest(session.id()), &[]).unwrap();
    assert_eq!(first, second);
    assert_eq!(store.names(ObjectKind::Snapshot).len(), 1);
}

#[test]
fn an_ended_session_cannot_commit_and_a_committed_one_cannot_be_ended() {
    let (_, repository) = repository();
    let sealer = sealer(&repository);
    let session = Session::begin(&repository, &sealer, start(None)).unwrap();
    assert_eq!(session.abandon("stopped").unwrap(), Abandoned::Ended);
    let error = session.commit(manifest(session.id()), &[]).unwrap_err();
    assert!(matches!(error, RepoError::Fenced { session: fenced } if fenced == session.id()));

    let session = Session::begin(&repository, &self::sealer(&repository), start(None)).map(|_| ()).err();
    assert!(session.is_none());
    let sealer = self::sealer(&repository);
    let session = Session::begin(&repository, &sealer, start(None)).unwrap();
    let id = session.commit(manifest(session.id()), &[]).unwrap();
    assert_eq!(session.abandon("late").unwrap(), Abandoned::Committed(id));
}

#[test]
fn a_parent_stands_only_while_committed_and_not_forgotten() {
    let (_, repository) = repository();
    let sealer = sealer(&repository);
    let session = Session::begin(&repository, &sealer, start(None)).unwrap();
    assert_eq!(standing(&repository, None), Standing::None);
    assert_eq!(standing(&repository, Some(session.snapshot())), Standing::None, "not committed yet");
    let id = session.commit(manifest(session.id()), &[]).unwrap();
    assert_eq!(standing(&repository, Some(id)), Standing::Whole);
    append(&repository, Entry::Forget(vec![id]));
    assert_eq!(standing(&repository, Some(id)), Standing::None);
}

#[test]
fn a_parent_whose_session_had_not_read_of_a_loss_is_doubtful() {
    let (_, repository) = repository();
    let commit = |session: &Session<'_>| {
        let manifest = Manifest { seen: Some(session.journal().head), ..manifest(session.id()) };
        session.commit(manifest, &[]).unwrap()
    };
    let begin = |sealer| Session::begin(&repository, sealer, start(None)).unwrap();
    let sealers = [sealer(&repository), sealer(&repository), sealer(&repository)];
    let before = commit(&begin(&sealers[0]));
    let meanwhile = begin(&sealers[1]);
    append(&repository, Entry::Lost(vec![PackId::from_bytes([1; 32])]));
    let meanwhile = commit(&meanwhile);
    let after = commit(&begin(&sealers[2]));
    assert_eq!(standing(&repository, Some(before)), Standing::Doubtful);
    assert_eq!(standing(&repository, Some(meanwhile)), Standing::Doubtful);
    assert_eq!(standing(&repository, Some(after)), Standing::Whole);
}

fn standing(repository: &Repository, parent: Option<SnapshotId>) -> Standing {
    let sealer = sealer(repository);
    Session::begin(repository, &sealer, start(parent)).unwrap().standing().unwrap()
}

fn append(repository: &Repository, entry: Entry) {
    let mut entry = Some(entry);
    repository.journal().append(&repository.secrets, &Noon, |_| Ok(entry.take())).unwrap();
}

#[test]
fn names_that_are_not_exactly_those_of_sessions_are_not_parsed() {
    let session = SessionId::from_bytes([0xab; 16]);
    for text in ["-1", &format!("{session}"), &format!("{session}-01"), &format!("{session}-x")] {
        let name = ObjectName::new(ObjectKind::Session, text).unwrap();
        assert_eq!(parse_name(&name), None, "{text}");
    }
}
