//! Snapshot manifests: one restore point, sealed, whole or not at all (`docs/format.md`, "Snapshots").

mod database;
mod origin;

use minicbor::{Decode, Encode};

use crate::base::clock::Timestamp;
use crate::base::id::{ChunkId, NodeId, SessionId, SnapshotId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::repo::error::RepoError;
use crate::repo::header::Header;
use crate::repo::plain;
use crate::repo::repository::Repository;

pub use database::DatabaseRecord;
pub use origin::Origin;

/// How the files were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// The owner of the files was stopped.
    #[n(0)]
    Stopped,
    /// From an atomic volume snapshot.
    #[n(1)]
    Frozen,
    /// While they could change.
    #[n(2)]
    Live,
    /// Nobody knows: they come from an archive that does not tell.
    #[n(3)]
    Unknown,
}

/// A part of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Member {
    /// `path`, `stdin`, `command`, `datadir`, `host`, `archive` or `postgresql`.
    #[n(0)]
    pub kind: String,
    /// Absolute path or stream name, as given; lossy UTF-8, for people. The tree holds the exact bytes.
    #[n(1)]
    pub name: String,
}

/// What a snapshot holds and what making it cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Counts {
    /// Regular files.
    #[n(0)]
    pub files: u64,
    /// Directories.
    #[n(1)]
    pub directories: u64,
    /// Everything else.
    #[n(2)]
    pub others: u64,
    /// Logical bytes of all files, holes left out.
    #[n(3)]
    pub bytes: u64,
    /// Files read because they were new or had changed.
    #[n(4)]
    pub files_read: u64,
    /// Bytes read.
    #[n(5)]
    pub bytes_read: u64,
    /// Chunks that were not in the repository yet.
    #[n(6)]
    pub chunks_added: u64,
    /// Their plaintext bytes.
    #[n(7)]
    pub bytes_added: u64,
    /// Bytes of the packs written to the store.
    #[n(8)]
    pub bytes_stored: u64,
}

/// A file that could not be read, or changed while it was.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Problem {
    /// Its path, lossy UTF-8.
    #[n(0)]
    pub path: String,
    /// What went wrong.
    #[n(1)]
    pub cause: String,
    /// Whether the snapshot lacks content because of it (exit code 3).
    #[n(2)]
    pub lost: bool,
}

/// What was left out and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Exclusions {
    /// The patterns and rules in force, as given.
    #[n(0)]
    pub rules: Vec<String>,
    /// Entries left out (a directory counts once).
    #[n(1)]
    pub entries: u64,
    /// Bytes of the files among them that were seen; what lies below left-out directories is not looked at.
    #[n(2)]
    pub bytes: u64,
}

/// One restore point.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Manifest {
    /// When the backup began (or `--time`).
    #[n(0)]
    pub time: Timestamp,
    /// When the last byte had been read.
    #[n(1)]
    pub ended: Timestamp,
    /// The node.
    #[n(2)]
    pub node: NodeId,
    /// Its label at that time.
    #[n(3)]
    pub label: String,
    /// Host name.
    #[n(4)]
    pub host: String,
    /// Account that ran the backup.
    #[n(5)]
    pub user: String,
    /// What was backed up.
    #[n(6)]
    pub members: Vec<Member>,
    /// The root directory's tree; absolute paths of plain sources begin here.
    #[n(7)]
    pub root: ChunkId,
    /// How the files were read.
    #[n(8)]
    pub consistency: Consistency,
    /// What it holds.
    #[n(9)]
    pub counts: Counts,
    /// Files that were not read or changed meanwhile; at most 10,000 are named.
    #[n(10)]
    pub problems: Vec<Problem>,
    /// How many there were.
    #[n(11)]
    pub problem_count: u64,
    /// What was left out.
    #[n(12)]
    pub exclusions: Exclusions,
    /// Tags, sorted.
    #[n(13)]
    pub tags: Vec<String>,
    /// Program version.
    #[n(14)]
    pub program: String,
    /// The snapshot unchanged files were taken from.
    #[n(15)]
    pub parent: Option<SnapshotId>,
    /// The session that wrote it.
    #[n(16)]
    pub session: SessionId,
    /// What the snapshot is of, if that is a DSS node.
    #[n(17)]
    pub dss: Option<Box<NodeRecord>>,
    /// The archive it was made from, if it was not read from the files themselves.
    #[n(18)]
    pub imported: Option<Imported>,
    /// The databases whose dumps it holds; `None` if none was to be dumped.
    #[n(19)]
    pub databases: Option<Vec<DatabaseRecord>>,
    /// What it stands for, if it was made in place of a snapshot that lost something.
    #[n(20)]
    pub repaired: Option<Repaired>,
    /// The snapshot it is a copy of; `None` for one that was made here.
    #[n(21)]
    pub origin: Option<Origin>,
    /// The journal entry up to which its session had read when it began: all it refers to was there by that.
    #[n(22)]
    pub seen: Option<u64>,
}

/// A snapshot made by a repair, in place of another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Repaired {
    /// The snapshot it stands for.
    #[n(0)]
    pub of: SnapshotId,
    /// When it was made.
    #[n(1)]
    pub time: Timestamp,
    /// Files marked as damaged.
    #[n(2)]
    pub files: u64,
    /// Directories marked as damaged.
    #[n(3)]
    pub directories: u64,
}

/// The archive a snapshot was made from.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct Imported {
    /// Its file name without folder; lossy UTF-8.
    #[n(0)]
    pub archive: String,
    /// How it was packed: `plain`, `gzip` or `zstd`.
    #[n(1)]
    pub packing: String,
    /// Length of its file.
    #[n(2)]
    pub bytes: u64,
    /// When its file was last changed.
    #[n(3)]
    pub modified: Timestamp,
}

/// What a snapshot says of the DSS node it is of. All else that is known stands in the snapshot's `host/inspect.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct NodeRecord {
    /// `design`, `automation`, `deployer`, `api`, `govern` or `fm`.
    #[n(0)]
    pub node_type: String,
    /// DSS version, dotted numbers.
    #[n(1)]
    pub version: Option<String>,
    /// Form of its configuration.
    #[n(2)]
    pub conf_version: Option<u64>,
    /// Names the installation.
    #[n(3)]
    pub install_id: Option<String>,
    /// Where the data directory lay; lossy UTF-8.
    #[n(4)]
    pub data_dir: String,
    /// Where the software lay.
    #[n(5)]
    pub install_dir: Option<String>,
    /// Its first port.
    #[n(6)]
    pub port: Option<u16>,
    /// The account that owned it.
    #[n(7)]
    pub owner: Option<String>,
    /// Milliseconds it was down for this snapshot, from the order to stop until it answered again.
    #[n(8)]
    pub downtime_ms: Option<u64>,
    /// Milliseconds of these that the backup itself took: from the proof that it had stopped until the order to start.
    #[n(13)]
    pub rest_ms: Option<u64>,
    /// Why it was not known to be healthy after its start.
    #[n(9)]
    pub unhealthy: Option<String>,
    /// What froze the volume, and the name of its snapshot.
    #[n(10)]
    pub frozen: Option<String>,
    /// Classes of content left out.
    #[n(11)]
    pub classes_left_out: Vec<String>,
    /// What a restore must know: `H2 not guaranteed`, databases that are not in the snapshot.
    #[n(12)]
    pub caveats: Vec<String>,
    /// What the exclusions left out of each class; `None` if nobody weighed it.
    #[n(14)]
    pub left_out: Option<Vec<LeftOut>>,
}

/// What was left out of a class of content.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cbor(map)]
pub struct LeftOut {
    /// The class.
    #[n(0)]
    pub class: String,
    /// Regular files.
    #[n(1)]
    pub files: u64,
    /// Their bytes, holes left out.
    #[n(2)]
    pub bytes: u64,
}

/// What stands under a snapshot's name.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum SnapshotRecord {
    /// A restore point.
    #[n(0)]
    Committed(#[n(0)] Box<Manifest>),
    /// The session was ended instead.
    #[n(1)]
    Aborted(#[n(0)] String),
}

/// A line of the listing of `snapshots/`: a record of unknown kind, not yet read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// When the store says it was created: comparable only with other times of that store.
    pub created: Timestamp,
}

/// The object name of a snapshot.
pub fn name(id: &SnapshotId) -> ObjectName {
    ObjectName::of(ObjectKind::Snapshot, id)
}

/// Everything listed under `snapshots/`, ordered by id. Names that are no snapshot id are left out; `check`
/// reports them.
pub fn list(repository: &Repository) -> Result<Vec<StoredSnapshot>, RepoError> {
    let entries = repository.storage.list(ObjectKind::Snapshot)?;
    let mut found: Vec<StoredSnapshot> = entries
        .iter()
        .filter_map(|entry| {
            let id = entry.name.text().parse().ok()?;
            Some(StoredSnapshot { id, created: entry.created })
        })
        .collect();
    found.sort_by_key(|stored| stored.id);
    Ok(found)
}

/// Reads what stands under a snapshot's name: checksum, signature, seal and record are verified.
pub fn load(repository: &Repository, id: &SnapshotId) -> Result<(Header, SnapshotRecord), RepoError> {
    let name = name(id);
    let unsealed = repository.unseal(&name)?;
    let record = plain::decode_body(&name, &unsealed.body)?;
    Ok((unsealed.header, record))
}
