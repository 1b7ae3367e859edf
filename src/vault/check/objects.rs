//! Everything but packs and index: configuration, key slots, journal, sessions, snapshots.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::base::id::{ChunkId, SnapshotId, StoredHash};
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::progress::Event;
use crate::codec::kdf::plain_hash;
use crate::repo::config::RepositoryConfig;
use crate::repo::format::object_bytes_max;
use crate::repo::heads::{self, Heads};
use crate::repo::journal::State;
use crate::repo::keys::slot::Slot;
use crate::repo::plain::{self, Unverified};
use crate::repo::sealed;
use crate::repo::session::{self, Lease, SnapshotLink};
use crate::repo::snapshot::{self, SnapshotRecord};
use crate::repo::{RepoError, Repository};
use crate::storage::{ObjectEntry, StorageError};
use crate::vault::check::Kind;
use crate::vault::check::findings::{Findings, cause_for};
use crate::vault::check::{names, workers};
use crate::vault::{Context, VaultError};

/// A committed snapshot to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// Its id.
    pub snapshot: SnapshotId,
    /// Its root directory.
    pub tree: ChunkId,
    /// Whether it is forgotten, and a repair made another snapshot in its place.
    pub replaced: bool,
    /// Whether it is forgotten.
    pub forgotten: bool,
    /// The snapshot it was made in place of.
    pub stands_for: Option<SnapshotId>,
    /// The journal entry up to which its session had read.
    pub seen: Option<u64>,
}

/// Checks every configuration, key slot, journal entry and session. Returns the bytes read.
pub fn small(repository: &Repository, findings: &Findings<'_>, context: Context<'_>) -> Result<u64, VaultError> {
    let mut bytes = 0;
    for kind in [ObjectKind::Config, ObjectKind::Key, ObjectKind::Journal, ObjectKind::Session] {
        for entry in names::list(&*repository.storage, kind, findings) {
            if context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            match one(repository, &entry.name) {
                Ok(None) => {}
                Ok(Some(oddity)) => findings.warning(Kind::KeyForeign, &entry.name, oddity),
                // A session that ended since the listing.
                Err(RepoError::Storage(StorageError::NotFound { .. })) if kind == ObjectKind::Session => {}
                Err(error) => findings.damage(Kind::damaged(kind), &entry.name, cause_for(&entry.name, &error)),
            }
            bytes += entry.bytes;
            context.progress.on(Event::Advanced { bytes: entry.bytes, files: 1 });
        }
    }
    Ok(bytes)
}

/// Checks one object; something odd that is no damage is told.
fn one(repository: &Repository, name: &ObjectName) -> Result<Option<&'static str>, RepoError> {
    if name.kind() == ObjectKind::Session {
        match session::parse_name(name) {
            Some((_, 0)) => _ = session::load(repository, name)?,
            _ => _ = plain::decode_body::<Lease>(name, &repository.unseal(name)?.body)?,
        }
        return Ok(None);
    }
    let stored = repository.storage.get(name, object_bytes_max(name.kind()))?;
    let owner = repository.secrets.owner_public();
    if name.kind() == ObjectKind::Key {
        let slot = Slot::parse(name, &stored, &[(repository.id(), owner)])?;
        return Ok(slot.is_none().then_some("it is not signed by the owner of this repository and opens nothing"));
    }
    let body = Unverified::parse(name, &stored)?.verify(&owner, repository.id())?;
    if name.kind() == ObjectKind::Config {
        plain::decode_body::<RepositoryConfig>(name, body)?;
    }
    Ok(None)
}

/// The journal, its whole chain checked, and compared with how far this machine has seen it reach; empty, with the
/// finding made, if it cannot be followed.
pub fn journal(repository: &Repository, findings: &Findings<'_>, context: Context<'_>) -> State {
    match repository.journal().load() {
        Ok(journal) => {
            heads(repository, &journal, findings, context);
            return journal;
        }
        Err(RepoError::Damaged { name, why }) => findings.damage(Kind::JournalDamaged, name, why),
        Err(error) => findings.damage(Kind::JournalDamaged, ObjectKind::Journal.folder(), error),
    }
    State::default()
}

/// Compares how far configuration and journal reach with what this machine has seen of them before.
fn heads(repository: &Repository, journal: &State, findings: &Findings<'_>, context: Context<'_>) {
    let found = Heads { config: repository.config_number, journal: journal.head };
    // A memory that cannot be written loses only this one comparison, in the next run.
    if let Ok(Some(rolled_back)) = heads::remember(&context.folders.state, repository.id(), found) {
        findings.damage(Kind::RolledBack, ObjectKind::Journal.folder(), rolled_back);
    }
}

/// What reading all snapshots gathers.
#[derive(Default)]
struct Gathered {
    roots: Vec<Root>,
    /// Snapshots that are there, and the hash of their bytes.
    hashes: HashMap<SnapshotId, StoredHash>,
    /// Snapshots that others were made on top of, and the hash they had then.
    links: HashMap<SnapshotId, StoredHash>,
}

/// Reads every snapshot; the committed ones, forgotten or not, are returned in order of id, with the bytes read.
pub fn snapshots(
    repository: &Repository,
    journal: &State,
    findings: &Findings<'_>,
    context: Context<'_>,
) -> Result<(Vec<Root>, u64), VaultError> {
    let entries = names::list(&*repository.storage, ObjectKind::Snapshot, findings);
    let gathered = Mutex::new(Gathered::default());
    workers::each(
        &entries,
        workers::PACK_WORKERS,
        context.cancel,
        || (),
        |(), entry| {
            match snapshot(repository, journal, &entry.name, &gathered) {
                Ok(()) => {}
                // Purged since the listing.
                Err(RepoError::Storage(StorageError::NotFound { .. })) => {}
                Err(error) => report_snapshot(&entry.name, journal, &error, findings),
            }
            context.progress.on(Event::Advanced { bytes: entry.bytes, files: 1 });
        },
    )?;
    let mut gathered = gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
    report_links(&gathered, &entries, journal, findings);
    let repaired: HashSet<SnapshotId> = gathered.roots.iter().filter_map(|root| root.stands_for).collect();
    for root in &mut gathered.roots {
        root.replaced = root.forgotten && repaired.contains(&root.snapshot);
    }
    gathered.roots.sort_unstable();
    Ok((gathered.roots, entries.iter().map(|entry| entry.bytes).sum()))
}

/// Reads one snapshot whole.
fn snapshot(
    repository: &Repository,
    journal: &State,
    name: &ObjectName,
    gathered: &Mutex<Gathered>,
) -> Result<(), RepoError> {
    let Ok(id) = name.text().parse::<SnapshotId>() else { return Ok(()) };
    let stored = repository.storage.get(name, object_bytes_max(ObjectKind::Snapshot))?;
    let unsealed = sealed::decode(&repository.opener, &|writer| repository.signer(writer), name, &stored)?;
    let record: SnapshotRecord = plain::decode_body(name, &unsealed.body)?;
    let links: Vec<SnapshotLink> = plain::decode_body(name, &unsealed.header.plain)?;
    let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
    gathered.hashes.insert(id, StoredHash::from_bytes(plain_hash(&stored)));
    gathered.links.extend(links.into_iter().map(|link| (link.snapshot, link.hash)));
    if let SnapshotRecord::Committed(manifest) = record
        && !journal.is_purged(&id)
        && !journal.is_void(&id)
    {
        let stands_for = manifest.repaired.as_ref().map(|repaired| repaired.of);
        let (forgotten, seen) = (journal.is_forgotten(&id), manifest.seen);
        gathered.roots.push(Root { snapshot: id, tree: manifest.root, replaced: false, forgotten, stands_for, seen });
    }
    Ok(())
}

/// A snapshot that an owner has set aside is no news.
fn report_snapshot(name: &ObjectName, journal: &State, error: &RepoError, findings: &Findings<'_>) {
    let quarantined = name.text().parse().is_ok_and(|id| journal.quarantined.contains_key(&id));
    if quarantined {
        let what = format_args!("it was set aside as unreadable: {}", cause_for(name, error));
        findings.warning(Kind::SnapshotQuarantined, name, what);
    } else {
        findings.damage(Kind::SnapshotDamaged, name, cause_for(name, error));
    }
}

/// Every snapshot names the one it was made on top of: one that vanished without a purge was taken away.
fn report_links(gathered: &Gathered, entries: &[ObjectEntry], journal: &State, findings: &Findings<'_>) {
    for (id, hash) in &gathered.links {
        let name = snapshot::name(id);
        let listed = || entries.binary_search_by(|entry| entry.name.cmp(&name)).is_ok();
        match gathered.hashes.get(id) {
            Some(now) if now == hash => {}
            Some(_) => {
                let what = "it is not the snapshot that a later one was made on top of";
                findings.damage(Kind::SnapshotDamaged, name, what);
            }
            None if journal.is_purged(id) || listed() => {}
            None => {
                let what = "it is missing: a later snapshot was made on top of it, and nobody purged it";
                findings.damage(Kind::SnapshotMissing, name, what);
            }
        }
    }
}
