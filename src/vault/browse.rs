//! Looking at snapshots: listing, choosing one, walking its tree.

use crate::base::id::SnapshotId;
use crate::repo::Repository;
use crate::repo::snapshot::Manifest;
use crate::repo::tree::Entry;
use crate::vault::{Context, VaultError};

/// A committed snapshot.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Listed {
    /// Its id.
    pub id: SnapshotId,
    /// Its manifest.
    #[serde(flatten)]
    pub manifest: Manifest,
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

/// A listing: readable snapshots, oldest first, and those that could not be read.
pub struct Listing {
    /// Oldest first.
    pub snapshots: Vec<Listed>,
    /// Object and reason.
    pub unreadable: Vec<(String, String)>,
}

/// Lists committed snapshots that match.
pub fn list(_repository: &Repository, _filter: &Filter) -> Result<Listing, VaultError> {
    unimplemented!("helper: browse")
}

/// Finds `ID-PREFIX`, `latest` or `latest~N` among those that match the filter.
pub fn find(_repository: &Repository, _wanted: &str, _filter: &Filter) -> Result<Listed, VaultError> {
    unimplemented!("helper: browse")
}

/// Walks the tree below `subpath` (empty: all) in order, calling `visit` with each path (raw bytes, no leading
/// slash) and entry; `visit` returning `false` for a directory skips what is below it.
pub fn walk(
    _repository: &Repository,
    _manifest: &Manifest,
    _subpath: &[u8],
    _context: Context<'_>,
    _visit: &mut dyn FnMut(&[u8], &Entry) -> Result<bool, VaultError>,
) -> Result<(), VaultError> {
    unimplemented!("helper: browse")
}
