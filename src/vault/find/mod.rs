//! Looking for names in many snapshots. Snapshots of a node share most of their trees: each is read once, and what it
//! has, or that it has nothing, is remembered as far as memory is meant for that.

mod memory;
mod walk;

use crate::base::id::SnapshotId;
use crate::repo::Repository;
use crate::repo::chunks::ChunkReader;
use crate::repo::snapshot::{self, SnapshotRecord};
use crate::repo::tree::Entry;
use crate::sys::pattern::PatternSet;
use crate::vault::browse::{self, Filter, Listed};
use crate::vault::find::memory::Memory;
use crate::vault::find::walk::Search;
use crate::vault::{Context, VaultError};

/// What is looked for, and where.
#[derive(Debug, Clone, Default)]
pub struct FindOptions {
    /// Patterns as `--exclude` of a backup reads them.
    pub patterns: Vec<String>,
    /// Which snapshots count.
    pub filter: Filter,
    /// Only these of them; empty: all. Id prefixes, `latest` or `latest~N`.
    pub snapshots: Vec<String>,
}

/// What was looked through.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct FindReport {
    /// Snapshots that were looked through.
    pub snapshots: u64,
    /// Of these, with a match.
    pub with_matches: u64,
    /// Matches, in each snapshot anew.
    pub matches: u64,
    /// Directories that were read.
    pub trees_read: u64,
    /// Snapshots that could not be looked through, or not wholly: object and reason.
    pub unreadable: Vec<(String, String)>,
}

/// Receives a snapshot that is about to have its first match, and each match with its path (raw bytes, no leading
/// slash). Of a file everything is there but its chunks.
pub trait Finder {
    /// Matches of this snapshot follow.
    fn snapshot(&mut self, listed: &Listed) -> Result<(), VaultError>;
    /// One match.
    fn found(&mut self, path: &[u8], entry: &Entry) -> Result<(), VaultError>;
}

/// Looks through snapshots, oldest first. Damage in one costs what cannot be read of it.
pub fn run(
    repository: &Repository,
    options: &FindOptions,
    context: Context<'_>,
    finder: &mut dyn Finder,
) -> Result<FindReport, VaultError> {
    let patterns = PatternSet::new(&options.patterns).map_err(|bad| VaultError::Request {
        what: bad.to_string(),
        hint: Some("see `dssvault find --help` for the form of patterns".to_owned()),
    })?;
    let (snapshots, unreadable) = meant(repository, options)?;
    let mut report = FindReport { unreadable, ..FindReport::default() };
    let index = browse::open_index(repository, context)?;
    let chunks = ChunkReader::new(repository, &index);
    let mut memory = Memory::new(&options.patterns);
    for id in snapshots {
        let listed = match load(repository, id) {
            Ok(Some(listed)) => listed,
            Ok(None) => continue,
            Err(error) => {
                report.unreadable.push((snapshot::name(&id).to_string(), error.to_string()));
                continue;
            }
        };
        report.snapshots += 1;
        let mut hits = 0;
        let mut tell = |path: &[u8], entry: &Entry| {
            if hits == 0 {
                finder.snapshot(&listed)?;
            }
            hits += 1;
            finder.found(path, entry)
        };
        let mut search =
            Search { source: &chunks, patterns: &patterns, memory: &mut memory, cancel: context.cancel, trees_read: 0 };
        let faults = search.run(listed.manifest.root, &mut tell)?;
        report.trees_read += search.trees_read;
        let name = snapshot::name(&id).to_string();
        report.unreadable.extend(faults.into_iter().map(|(path, cause)| (format!("{name}: {path}"), cause)));
        report.with_matches += u64::from(hits > 0);
        report.matches += hits;
    }
    Ok(report)
}

/// Ids of snapshots, and those that could not be read.
type Meant = (Vec<SnapshotId>, Vec<(String, String)>);

/// The snapshots that are meant, oldest first. Their manifests are read again one by one.
fn meant(repository: &Repository, options: &FindOptions) -> Result<Meant, VaultError> {
    if options.snapshots.is_empty() {
        let listing = browse::list(repository, &options.filter)?;
        return Ok((listing.snapshots.iter().map(|listed| listed.id).collect(), listing.unreadable));
    }
    let find = |wanted: &String| browse::find(repository, wanted, &options.filter);
    let mut found = options.snapshots.iter().map(find).collect::<Result<Vec<Listed>, VaultError>>()?;
    found.sort_by_key(|listed| (listed.manifest.time, listed.id));
    found.dedup_by_key(|listed| listed.id);
    Ok((found.into_iter().map(|listed| listed.id).collect(), Vec::new()))
}

fn load(repository: &Repository, id: SnapshotId) -> Result<Option<Listed>, VaultError> {
    match snapshot::load(repository, &id)?.1 {
        SnapshotRecord::Committed(manifest) => Ok(Some(Listed { id, manifest: *manifest })),
        SnapshotRecord::Aborted(_) => Ok(None),
    }
}
