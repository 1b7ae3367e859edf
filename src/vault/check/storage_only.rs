//! Checking without keys: every object's bytes against its name or checksum.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::object::{ObjectKind, ObjectName};
use crate::base::progress::{Event, Phase};
use crate::repo::format::object_bytes_max;
use crate::storage::{ObjectEntry, Storage, StorageError};
use crate::vault::check::findings::Findings;
use crate::vault::check::{CheckReport, Mending, mending, names, workers};
use crate::vault::{Context, VaultError};

/// Bytes read at once.
const SLICE_BYTES: u64 = 4 << 20;
const CHECKSUM_BYTES: u64 = 32;

/// Hashes everything; see [`super::storage_only()`].
pub fn run(storage: &Arc<dyn Storage>, mending: Mending, context: Context<'_>) -> Result<CheckReport, VaultError> {
    let findings = Findings::new(context.progress);
    let mut entries = Vec::new();
    for kind in ObjectKind::ALL {
        entries.extend(names::list(&**storage, kind, &findings));
    }
    // The largest first, so that no worker is left alone with one at the end.
    entries.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    let bad = Mutex::new(BTreeMap::new());
    let total = entries.iter().map(|entry| entry.bytes).sum();
    context.progress.on(Event::Phase { phase: Phase::Storage, total: Some(total) });
    workers::each(
        &entries,
        workers::PACK_WORKERS,
        context.cancel,
        || (),
        |(), entry| {
            if let Err(Fault::Damaged(cause)) = verify(&**storage, entry, context) {
                bad.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.name.clone(), cause);
            }
            context.progress.on(Event::Advanced { bytes: 0, files: 1 });
        },
    )?;
    let bad = bad.into_inner().unwrap_or_else(PoisonError::into_inner);
    let repair = mending::conclude(&**storage, bad, mending, &findings, context)?;
    let count = |kind| entries.iter().filter(|entry| entry.name.kind() == kind).count() as u64;
    let packs = count(ObjectKind::Pack);
    Ok(CheckReport {
        snapshots: count(ObjectKind::Snapshot),
        packs,
        mended_packs: count(ObjectKind::Mended),
        parity_objects: count(ObjectKind::Parity),
        repair,
        packs_read: packs,
        bytes_read: total,
        findings: findings.into_sorted(),
        ..CheckReport::default()
    })
}

/// Why an object was not found right.
enum Fault {
    /// It was deleted since it was listed. If that should not be, others miss it: parity, or the next check.
    Gone,
    /// What does not fit, for people.
    Damaged(String),
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NotFound { .. } => Self::Gone,
            error => Self::Damaged(error.to_string()),
        }
    }
}

/// Compares one object with its name or checksum.
fn verify(storage: &dyn Storage, entry: &ObjectEntry, context: Context<'_>) -> Result<(), Fault> {
    let name = &entry.name;
    let limit = object_bytes_max(name.kind());
    if entry.bytes > limit {
        let what = format!("it is {} bytes long, more than the {limit} an object of its kind may have", entry.bytes);
        return Err(Fault::Damaged(what));
    }
    if name.kind().is_named_by_hash() {
        return match hash_front(storage, name, entry.bytes, context)? {
            Some(hash) if hash.to_hex().as_str() != name.text() => {
                Err(Fault::Damaged("its bytes are not those it is named by".to_owned()))
            }
            _ => Ok(()),
        };
    }
    let Some(body) = entry.bytes.checked_sub(CHECKSUM_BYTES) else {
        return Err(Fault::Damaged("it is too short".to_owned()));
    };
    let Some(hash) = hash_front(storage, name, body, context)? else { return Ok(()) };
    let checksum = storage.get_range(name, body, CHECKSUM_BYTES as usize)?;
    match hash.as_bytes().as_slice() == checksum {
        true => Ok(()),
        false => Err(Fault::Damaged("its checksum does not fit its bytes".to_owned())),
    }
}

/// The hash of the first `bytes`, read in slices; `None` after a request to stop.
fn hash_front(
    storage: &dyn Storage,
    name: &ObjectName,
    bytes: u64,
    context: Context<'_>,
) -> Result<Option<blake3::Hash>, StorageError> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < bytes {
        if context.cancel.is_requested() {
            return Ok(None);
        }
        let slice = (bytes - at).min(SLICE_BYTES) as usize;
        hasher.update(&storage.get_range(name, at, slice)?);
        at += slice as u64;
        context.progress.on(Event::Advanced { bytes: slice as u64, files: 0 });
    }
    Ok(Some(hasher.finalize()))
}
