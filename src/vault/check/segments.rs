//! Every index segment: name, signature, seal, and every table in it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::id::{PackId, SegmentId};
use crate::base::object::ObjectKind;
use crate::base::progress::Event;
use crate::repo::index::segment::{self, Segment};
use crate::repo::{RepoError, Repository};
use crate::storage::StorageError;
use crate::vault::check::findings::{Findings, cause_for};
use crate::vault::check::{names, workers};
use crate::vault::{Context, VaultError};

/// What the segments say of packs, to be compared with the packs' own tables.
#[derive(Default)]
pub struct Tables {
    /// Hash of the table as stored.
    pub hashes: HashMap<PackId, [u8; 32]>,
    /// Bytes of all segments.
    pub bytes: u64,
}

/// Reads every segment. Tables are hashed only if `hash_tables`, since it is needed only when packs are read.
pub fn check(
    repository: &Repository,
    hash_tables: bool,
    findings: &Findings<'_>,
    context: Context<'_>,
) -> Result<Tables, VaultError> {
    let entries = names::list(&*repository.storage, ObjectKind::Index, findings);
    let tables = Mutex::new(Tables::default());
    workers::each(
        &entries,
        workers::SEGMENT_WORKERS,
        context.cancel,
        || (),
        |(), entry| {
            let Ok(id) = entry.name.text().parse::<SegmentId>() else { return };
            match Segment::load(repository, id) {
                Ok(segment) if hash_tables => note_tables(&segment, id, &tables, findings),
                Ok(_) => {}
                // Merged into another since the listing.
                Err(RepoError::Storage(StorageError::NotFound { .. })) => {}
                Err(error) => findings.damage(&entry.name, cause_for(&entry.name, &error)),
            }
            context.progress.on(Event::Advanced { bytes: entry.bytes, files: 1 });
        },
    )?;
    let mut tables = tables.into_inner().unwrap_or_else(PoisonError::into_inner);
    tables.bytes = entries.iter().map(|entry| entry.bytes).sum();
    Ok(tables)
}

fn note_tables(segment: &Segment, id: SegmentId, tables: &Mutex<Tables>, findings: &Findings<'_>) {
    for (pack, _, table) in segment.packs().flatten() {
        let hash = *blake3::hash(&table.encode()).as_bytes();
        let mut tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.hashes.insert(pack, hash).is_some_and(|other| other != hash) {
            let what = format_args!("it lists another content of packs/{pack} than another segment does");
            findings.damage(segment::name(id), what);
        }
    }
}
