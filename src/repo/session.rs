//! One running writer, and the commit (`docs/format.md`, "Sessions").
//!
//! The order of storage calls here is what lets deletion run beside writers without locks: the record that names
//! the parent first, only then the journal is read, and the lease says how far.

use std::sync::atomic::{AtomicU32, Ordering};

use minicbor::{Decode, Encode};

use crate::base::clock::Timestamp;
use crate::base::id::{NodeId, SessionId, SnapshotId, StoredHash};
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::random::array;
use crate::repo::crypt::Sealer;
use crate::repo::error::RepoError;
use crate::repo::format::object_bytes_max;
use crate::repo::journal::State;
use crate::repo::plain;
use crate::repo::repository::Repository;
use crate::repo::sealed::{self, Target};
use crate::repo::snapshot::{Manifest, SnapshotRecord};
use crate::storage::{Published, StorageError};

/// Links a snapshot names at most; older ones are found through the snapshots it does name.
pub const LINKS_MAX: usize = 64;

/// What `sessions/<id>-0` says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SessionRecord {
    /// Whose trees it may reuse: a root as long as the session lives.
    #[n(0)]
    pub parent: Option<SnapshotId>,
    /// The name its snapshot will have. Sealed, so that only owners know it before it is there.
    #[n(1)]
    pub snapshot: SnapshotId,
    /// The node it backs up.
    #[n(2)]
    pub node: NodeId,
    /// Where it runs.
    #[n(3)]
    pub host: String,
    /// Its process there.
    #[n(4)]
    pub pid: u32,
    /// Since when.
    #[n(5)]
    pub started: Timestamp,
}

/// What `sessions/<id>-<k>`, k from 1, says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Lease {
    /// The journal was read up to this entry before anything was looked up in the index.
    #[n(0)]
    pub seen: u64,
    /// When it was written.
    #[n(1)]
    pub time: Timestamp,
}

/// A snapshot that the writer of another one knew: identity and hash of its stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SnapshotLink {
    /// Which.
    #[n(0)]
    pub snapshot: SnapshotId,
    /// What was stored.
    #[n(1)]
    pub hash: StoredHash,
}

/// Who begins a session, and on top of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStart {
    /// The node to back up.
    pub node: NodeId,
    /// The snapshot unchanged files are taken from.
    pub parent: Option<SnapshotId>,
    /// This machine, for people.
    pub host: String,
}

/// How giving up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abandoned {
    /// The session has ended without a snapshot.
    Ended,
    /// Its snapshot had been committed before.
    Committed(SnapshotId),
}

/// A running writer.
pub struct Session<'a> {
    repository: &'a Repository,
    sealer: &'a Sealer,
    snapshot: SnapshotId,
    journal: State,
    parent: Option<SnapshotId>,
    leases: AtomicU32,
}

/// What a session may make of its parent (`docs/protocol.md`, W7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is none, or it was forgotten: nothing of it may be relied on.
    None,
    /// It is committed and shown, but something was lost since its own session read the journal: each chunk has to be
    /// looked up.
    Doubtful,
    /// Unchanged directories may be taken over without looking their chunks up.
    Whole,
}

impl<'a> Session<'a> {
    /// Announces a writer, then reads the journal, then says how far it was read. Only after that may the index
    /// be loaded, with what [`journal`](Self::journal) says left out.
    pub fn begin(repository: &'a Repository, sealer: &'a Sealer, start: SessionStart) -> Result<Self, RepoError> {
        let snapshot = SnapshotId::from_bytes(array(&*repository.seams.entropy));
        let mut session = Self {
            repository,
            sealer,
            snapshot,
            journal: State::default(),
            parent: start.parent,
            leases: AtomicU32::new(0),
        };
        let record = SessionRecord {
            parent: start.parent,
            snapshot,
            node: start.node,
            host: start.host,
            pid: std::process::id(),
            started: repository.seams.clock.now(),
        };
        session.put_numbered(0, &plain::encode_body(&record))?;
        session.journal = repository.journal().load()?;
        session.renew()?;
        Ok(session)
    }

    /// Its id.
    pub fn id(&self) -> SessionId {
        self.sealer.session()
    }

    /// The name its snapshot will have.
    pub fn snapshot(&self) -> SnapshotId {
        self.snapshot
    }

    /// The snapshot unchanged files are taken from.
    pub fn parent(&self) -> Option<SnapshotId> {
        self.parent
    }

    /// The journal as it was read when the session began.
    pub fn journal(&self) -> &State {
        &self.journal
    }

    /// What the parent was worth when the session began.
    pub fn standing(&self) -> Result<Standing, RepoError> {
        standing(self.repository, &self.journal, self.parent)
    }

    /// Says that the session still lives; to be called every ten minutes. It repeats how far the journal was
    /// read at the beginning: what was looked up since then rests on that.
    pub fn renew(&self) -> Result<(), RepoError> {
        let number = self.leases.fetch_add(1, Ordering::Relaxed) + 1;
        let lease = Lease { seen: self.journal.head, time: self.repository.seams.clock.now() };
        self.put_numbered(number, &plain::encode_body(&lease))
    }

    /// Commits the snapshot. `known` are the node's snapshots this writer knew, newest first; the first 64 are
    /// named. May be called again after a failure whose outcome is not known.
    pub fn commit(&self, manifest: Manifest, known: &[SnapshotLink]) -> Result<SnapshotId, RepoError> {
        let links = plain::encode_body(&known[..known.len().min(LINKS_MAX)].to_vec());
        let record = SnapshotRecord::Committed(Box::new(manifest));
        match self.end(&record, links)? {
            SnapshotRecord::Committed(_) if !self.is_closed()? => Ok(self.snapshot),
            _ => Err(RepoError::Fenced { session: self.id() }),
        }
    }

    /// Whether the journal closed this session without a snapshot. Then the name was free only because the record
    /// that took it had done its work and was removed, and nobody will ever count what was put there (W6).
    fn is_closed(&self) -> Result<bool, RepoError> {
        Ok(self.repository.journal().follow_up(self.journal.clone())?.is_void(&self.snapshot))
    }

    /// Gives up, with a reason for people. From then on nobody can commit under this session's name.
    pub fn abandon(&self, reason: &str) -> Result<Abandoned, RepoError> {
        let record = SnapshotRecord::Aborted(reason.to_owned());
        Ok(match self.end(&record, plain::encode_body(&Vec::<SnapshotLink>::new()))? {
            SnapshotRecord::Committed(_) if !self.is_closed()? => Abandoned::Committed(self.snapshot),
            _ => Abandoned::Ended,
        })
    }

    fn end(&self, record: &SnapshotRecord, links: Vec<u8>) -> Result<SnapshotRecord, RepoError> {
        end(self.repository, self.sealer, (self.id(), self.snapshot), record, links)
    }

    fn put_numbered(&self, number: u32, body: &[u8]) -> Result<(), RepoError> {
        let name = object_name(self.id(), number);
        let stored = seal(self.repository, self.sealer, &name, Vec::new(), body)?;
        match self.repository.storage.put(&name, &stored)? {
            Published::Created => Ok(()),
            Published::AlreadyThere => Err(RepoError::damaged(&name, "another session uses this id")),
        }
    }
}

/// What a session that read this journal may make of a parent. The store is asked after the journal was read (W7).
pub fn standing(repository: &Repository, journal: &State, parent: Option<SnapshotId>) -> Result<Standing, RepoError> {
    let Some(parent) = parent else { return Ok(Standing::None) };
    if journal.is_forgotten(&parent) || journal.is_void(&parent) {
        return Ok(Standing::None);
    }
    let name = ObjectName::of(ObjectKind::Snapshot, parent);
    match read_record(repository, &name) {
        Ok(SnapshotRecord::Committed(manifest)) if journal.is_whole_at(manifest.seen) => Ok(Standing::Whole),
        Ok(SnapshotRecord::Committed(_)) => Ok(Standing::Doubtful),
        Ok(SnapshotRecord::Aborted(_)) | Err(RepoError::Storage(StorageError::NotFound { .. })) => Ok(Standing::None),
        Err(fault) => Err(fault),
    }
}

/// Ends another session, if it has not ended: from then on it cannot commit. Only for owners, whose `sealer` it is.
pub fn fence(
    repository: &Repository,
    sealer: &Sealer,
    session: SessionId,
    snapshot: SnapshotId,
    reason: &str,
) -> Result<Abandoned, RepoError> {
    let record = SnapshotRecord::Aborted(reason.to_owned());
    let links = plain::encode_body(&Vec::<SnapshotLink>::new());
    match end(repository, sealer, (session, snapshot), &record, links) {
        Ok(SnapshotRecord::Committed(_)) => Ok(Abandoned::Committed(snapshot)),
        Ok(SnapshotRecord::Aborted(_)) | Err(RepoError::Fenced { .. }) => Ok(Abandoned::Ended),
        Err(error) => Err(error),
    }
}

/// Puts a record under a session's reserved name and gives the one that stands there: ours, or what was faster.
fn end(
    repository: &Repository,
    sealer: &Sealer,
    (session, snapshot): (SessionId, SnapshotId),
    record: &SnapshotRecord,
    links: Vec<u8>,
) -> Result<SnapshotRecord, RepoError> {
    let name = ObjectName::of(ObjectKind::Snapshot, snapshot);
    let stored = seal(repository, sealer, &name, links, &plain::encode_body(record))?;
    if repository.storage.put(&name, &stored)? == Published::Created {
        return Ok(record.clone());
    }
    let there = match repository.storage.get(&name, object_bytes_max(ObjectKind::Snapshot)) {
        // An owner closed the session and removed what stood there: nobody can take the name for a commit any more.
        Err(StorageError::NotFound { .. }) => return Err(RepoError::Fenced { session }),
        there => there?,
    };
    if there == stored {
        return Ok(record.clone());
    }
    let found = read_record(repository, &name)?;
    match &found {
        // An earlier try of its own, sealed anew since.
        SnapshotRecord::Committed(manifest) if manifest.session == session => Ok(found),
        SnapshotRecord::Aborted(_) => Ok(found),
        SnapshotRecord::Committed(_) => Err(RepoError::damaged(&name, "another session committed under this name")),
    }
}

fn seal(
    repository: &Repository,
    sealer: &Sealer,
    name: &ObjectName,
    plain: Vec<u8>,
    body: &[u8],
) -> Result<Vec<u8>, RepoError> {
    let Repository { secrets, seams, .. } = repository;
    sealed::encode(sealer, &secrets.signing(), &*seams.entropy, Target::Named(name), plain, body)
        .map(|(_, stored)| stored)
        .map_err(|fault| RepoError::Local { action: "seal", what: name.to_string(), why: fault.to_string() })
}

/// The name of a session's record (0) or lease (from 1).
pub fn object_name(session: SessionId, number: u32) -> ObjectName {
    ObjectName::of(ObjectKind::Session, format_args!("{session}-{number}"))
}

/// The session and number that an object of `sessions/` is named by.
pub fn parse_name(name: &ObjectName) -> Option<(SessionId, u32)> {
    let (session, number) = name.text().split_once('-')?;
    let parsed = (session.parse().ok()?, number.parse().ok()?);
    (object_name(parsed.0, parsed.1) == *name).then_some(parsed)
}

/// Reads the record a session began with.
pub fn load(repository: &Repository, name: &ObjectName) -> Result<SessionRecord, RepoError> {
    plain::decode_body(name, &repository.unseal(name)?.body)
}

/// Reads what stands under a snapshot's name.
pub fn read_record(repository: &Repository, name: &ObjectName) -> Result<SnapshotRecord, RepoError> {
    let unsealed = repository.unseal(name)?;
    plain::decode_body(name, &unsealed.body)
}
