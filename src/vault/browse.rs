//! Looking at snapshots: listing, choosing one, walking its tree.

mod find;
mod list;
mod walk;

use crate::base::id::SnapshotId;
use crate::base::object::ObjectName;
use crate::repo::journal::State;
use crate::repo::snapshot::{self, Manifest};
use crate::repo::tree::{Entry, EntryKind};
use crate::repo::{RepoError, Repository};
use crate::vault::{Context, VaultError};

pub use list::Seen;
pub use walk::{Located, below, locate, open_index};

/// A committed snapshot.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Listed {
    /// Its id.
    pub id: SnapshotId,
    /// Its manifest.
    #[serde(flatten)]
    pub manifest: Manifest,
}

/// Those that are shown, or those that were forgotten and can come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Neither forgotten nor purged.
    Shown,
    /// Forgotten, not purged.
    Forgotten,
}

impl Which {
    fn has(self, journal: &State, snapshot: &SnapshotId) -> bool {
        match self {
            Self::Shown => !journal.is_forgotten(snapshot),
            Self::Forgotten => journal.forgotten.contains_key(snapshot),
        }
    }
}

/// Which snapshots count.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this node label or node id.
    pub node: Option<String>,
    /// Only of this host.
    pub host: Option<String>,
    /// Only with all of these tags.
    pub tags: Vec<String>,
}

impl Filter {
    /// Whether a snapshot counts.
    pub fn matches(&self, manifest: &Manifest) -> bool {
        self.node.as_ref().is_none_or(|node| *node == manifest.label || *node == manifest.node.to_string())
            && self.host.as_ref().is_none_or(|host| *host == manifest.host)
            && self.tags.iter().all(|tag| manifest.tags.contains(tag))
    }
}

/// A listing: readable snapshots, oldest first, and those that could not be read.
pub struct Listing {
    /// Oldest first. The problems of each are counted but not named, so that 100,000 snapshots fit into memory;
    /// [`find()`] gives the whole manifest of one.
    pub snapshots: Vec<Listed>,
    /// Object and reason, in order of name.
    pub unreadable: Vec<(String, String)>,
    /// What the journal said: when a snapshot was forgotten, and why one is pinned.
    pub journal: State,
}

/// Lists committed snapshots that match. Aborted and forgotten ones are left out.
pub fn list(repository: &Repository, filter: &Filter) -> Result<Listing, VaultError> {
    list::run(repository, Which::Shown, filter)
}

/// Lists forgotten snapshots that match and whose data is still kept.
pub fn list_forgotten(repository: &Repository, filter: &Filter) -> Result<Listing, VaultError> {
    list::run(repository, Which::Forgotten, filter)
}

/// Calls `visit` with the name of every committed snapshot that is not forgotten, in order of id, and its manifest
/// or why it cannot be read.
pub fn each(
    repository: &Repository,
    mut visit: impl FnMut(ObjectName, Result<Manifest, RepoError>),
) -> Result<(), VaultError> {
    each_seen(repository, |seen| visit(snapshot::name(&seen.id), seen.manifest)).map(|_| ())
}

/// The same with when each was there first. Gives the journal as it was read on the way.
pub fn each_seen(repository: &Repository, visit: impl FnMut(Seen)) -> Result<State, VaultError> {
    list::each(repository, Which::Shown, |_| true, visit)
}

/// The same for those that are shown, or those that were forgotten.
pub fn each_of(repository: &Repository, which: Which, visit: impl FnMut(Seen)) -> Result<State, VaultError> {
    list::each(repository, which, |_| true, visit)
}

/// Finds `ID-PREFIX`, `latest` or `latest~N` among those that match the filter.
///
/// `latest` fails when a snapshot the store received after the one it would choose cannot be read: that one might
/// be the latest.
pub fn find(repository: &Repository, wanted: &str, filter: &Filter) -> Result<Listed, VaultError> {
    find::run(repository, wanted, filter)
}

/// Whether some snapshot could be meant by this text, for the fuzzer.
#[cfg(feature = "testing")]
pub fn could_name_a_snapshot(text: &str) -> bool {
    find::is_understood(text)
}

/// Walks the tree below `subpath` (empty: all) in order, calling `visit` with each path (raw bytes, from the root
/// of the snapshot, no leading slash) and entry; `visit` returning `false` for a directory skips what is below it.
/// A `subpath` that is no directory is visited itself.
pub fn walk(
    repository: &Repository,
    manifest: &Manifest,
    subpath: &[u8],
    context: Context<'_>,
    visit: &mut Visit<'_>,
) -> Result<(), VaultError> {
    walk::run(repository, manifest, subpath, context, visit)
}

/// Receives a path and its entry; says whether to go below it.
pub type Visit<'a> = dyn FnMut(&[u8], &Entry) -> Result<bool, VaultError> + 'a;

/// Whether an entry has something below it.
fn is_directory(entry: &Entry) -> bool {
    entry.kind == EntryKind::Directory
}
