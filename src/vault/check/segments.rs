//! Every index segment: name, signature, seal, and every table in it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::id::{PackId, SegmentId};
use crate::base::object::ObjectKind;
use crate::base::progress::Event;
use crate::repo::index::segment::{self, Segment};
use crate::repo::journal::State;
use crate::repo::{RepoError, Repository};
use crate::storage::StorageError;
use crate::vault::check::Kind;
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

/// Reads every segment that is not doomed, and compares those that list the same pack.
pub fn check(
    repository: &Repository,
    journal: &State,
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
            if journal.is_segment_doomed(&id) {
                return;
            }
            match Segment::load(repository, id) {
                Ok(segment) => note_tables(&segment, id, &tables, findings),
                // Merged into another since the listing.
                Err(RepoError::Storage(StorageError::NotFound { .. })) => {}
                Err(error) => findings.damage(Kind::SegmentDamaged, &entry.name, cause_for(&entry.name, &error)),
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
        // One hash for each pack, which is the memory this takes.
        let hash = *blake3::hash(&table.encode()).as_bytes();
        let mut tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.hashes.insert(pack, hash).is_some_and(|other| other != hash) {
            let what = format_args!("it lists another content of packs/{pack} than another segment does");
            findings.damage(Kind::IndexWrong, segment::name(id), what);
        }
    }
}
