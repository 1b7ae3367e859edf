//! Checking without keys: every object's bytes against its name or checksum.

use std::sync::Arc;

use crate::base::object::{ObjectKind, ObjectName};
use crate::base::progress::{Event, Phase};
use crate::repo::format::object_bytes_max;
use crate::storage::{ObjectEntry, Storage};
use crate::vault::check::findings::Findings;
use crate::vault::check::{CheckReport, Kind, names, workers};
use crate::vault::{Context, VaultError};

/// Bytes read at once.
const SLICE_BYTES: u64 = 4 << 20;
const CHECKSUM_BYTES: u64 = 32;

/// Hashes everything; see [`super::storage_only()`].
pub fn run(storage: &Arc<dyn Storage>, context: Context<'_>) -> Result<CheckReport, VaultError> {
    let findings = Findings::new(context.progress);
    let mut entries = Vec::new();
    for kind in ObjectKind::ALL {
        entries.extend(names::list(&**storage, kind, &findings));
    }
    // The largest first, so that no worker is left alone with one at the end.
    entries.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    let total = entries.iter().map(|entry| entry.bytes).sum();
    context.progress.on(Event::Phase { phase: Phase::Storage, total: Some(total) });
    workers::each(
        &entries,
        workers::PACK_WORKERS,
        context.cancel,
        || (),
        |(), entry| {
            if let Err(cause) = verify(&**storage, entry, context) {
                findings.damage(Kind::damaged(entry.name.kind()), &entry.name, cause);
            }
            context.progress.on(Event::Advanced { bytes: 0, files: 1 });
        },
    )?;
    let packs = entries.iter().filter(|entry| entry.name.kind() == ObjectKind::Pack).count() as u64;
    let snapshots = entries.iter().filter(|entry| entry.name.kind() == ObjectKind::Snapshot).count() as u64;
    Ok(CheckReport {
        snapshots,
        packs,
        packs_read: packs,
        bytes_read: total,
        findings: findings.into_sorted(),
        ..CheckReport::default()
    })
}

/// Compares one object with its name or checksum; the error says what does not fit.
fn verify(storage: &dyn Storage, entry: &ObjectEntry, context: Context<'_>) -> Result<(), String> {
    let name = &entry.name;
    let limit = object_bytes_max(name.kind());
    if entry.bytes > limit {
        return Err(format!("it is {} bytes long, more than the {limit} an object of its kind may have", entry.bytes));
    }
    if name.kind().is_named_by_hash() {
        return match hash_front(storage, name, entry.bytes, context)? {
            Some(hash) if hash.to_hex().as_str() != name.text() => {
                Err("its bytes are not those it is named by".to_owned())
            }
            _ => Ok(()),
        };
    }
    let body = entry.bytes.checked_sub(CHECKSUM_BYTES).ok_or("it is too short")?;
    let Some(hash) = hash_front(storage, name, body, context)? else { return Ok(()) };
    let checksum = storage.get_range(name, body, CHECKSUM_BYTES as usize).map_err(|error| error.to_string())?;
    if hash.as_bytes().as_slice() == checksum { Ok(()) } else { Err("its checksum does not fit its bytes".to_owned()) }
}

/// The hash of the first `bytes`, read in slices; `None` after a request to stop.
fn hash_front(
    storage: &dyn Storage,
    name: &ObjectName,
    bytes: u64,
    context: Context<'_>,
) -> Result<Option<blake3::Hash>, String> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < bytes {
        if context.cancel.is_requested() {
            return Ok(None);
        }
        let slice = (bytes - at).min(SLICE_BYTES) as usize;
        hasher.update(&storage.get_range(name, at, slice).map_err(|error| error.to_string())?);
        at += slice as u64;
        context.progress.on(Event::Advanced { bytes: slice as u64, files: 0 });
    }
    Ok(Some(hasher.finalize()))
}
