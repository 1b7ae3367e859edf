//! What can be had from a damaged repository, for the specifications of mending.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dssvault::base::id::SnapshotId;
use dssvault::base::object::{ObjectKind, ObjectName};
use dssvault::repo::Repository;
use dssvault::repo::snapshot::{self, SnapshotRecord};
use dssvault::storage::Storage;
use dssvault::vault::check::ReadData;
use dssvault::vault::repair::{index, packs, snapshots};
use dssvault::vault::restore::{self, OwnerMode, RestoreOptions};
use dssvault::vault::{Context, VaultError};

use crate::check_fixture::{Vault, noise};

/// Every file that comes back whole, by snapshot and path.
pub type Files = BTreeMap<(SnapshotId, PathBuf), Vec<u8>>;

/// Three snapshots: files large and small, of several directories, some changed and some shared.
pub fn vault() -> Vault {
    let vault = Vault::new(5);
    vault.write("a/large", &noise(1, 400_000));
    (0..6).for_each(|number| vault.write(&format!("a/small-{number}"), format!("small {number}").as_bytes()));
    vault.write("b/two", &noise(2, 90_000));
    vault.backup();
    vault.write("b/three", &noise(3, 120_000));
    vault.backup();
    vault.write("c/d/four", &noise(4, 70_000));
    std::fs::remove_file(vault.source().join("b/two")).unwrap();
    vault.backup();
    vault
}

/// Restores each of these snapshots and gives what came back and was not reported.
pub fn restorable(repository: &Repository, snapshots: &[SnapshotId], context: Context<'_>) -> Files {
    let mut files = Files::new();
    for id in snapshots {
        let Ok((_, SnapshotRecord::Committed(manifest))) = snapshot::load(repository, id) else { continue };
        let target = tempfile::tempdir().unwrap();
        let path = target.path().to_owned();
        let options = RestoreOptions { target: path.clone(), owner: OwnerMode::Current, ..Default::default() };
        // What a restore that ended early left behind is not claimed to be whole.
        let Ok(report) = restore::run(repository, *id, &manifest, &options, context) else { continue };
        let mut open = vec![path.clone()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let full = entry.path();
                if entry.file_type().unwrap().is_dir() {
                    open.push(full);
                } else {
                    let inner = full.strip_prefix(&path).unwrap().to_owned();
                    let failed = report.failures.iter().any(|failure| failure.path == inner.to_string_lossy());
                    assert!(!failed, "{} failed and is there all the same", inner.display());
                    files.insert((*id, inner), std::fs::read(&full).unwrap());
                }
            }
        }
    }
    files
}

pub fn snapshot_ids(vault: &Vault) -> Vec<SnapshotId> {
    vault.names(ObjectKind::Snapshot).iter().filter_map(|name| name.text().parse().ok()).collect()
}

/// Forgets what the machine knows of the index, so that it is read from the store.
pub fn forget_cache(vault: &Vault) {
    let _ = std::fs::remove_dir_all(vault.dir.path().join("cache"));
}

/// And what it remembers of how far the journal reached.
pub fn forget_machine(vault: &Vault) {
    forget_cache(vault);
    let _ = std::fs::remove_dir_all(vault.dir.path().join("state"));
}

pub fn repair_index(vault: &Vault, extent: index::Extent) -> Result<index::IndexRepair, VaultError> {
    let repository = vault.open();
    let plan = index::plan(&repository, extent, vault.context())?;
    index::apply(&repository, plan, vault.context())
}

pub fn repair_packs(vault: &Vault) -> Result<packs::PacksRepair, VaultError> {
    let repository = vault.open();
    let plan = packs::plan(&repository, &[], vault.context())?;
    packs::apply(&repository, plan, vault.context())
}

pub fn repair_snapshots(vault: &Vault) -> Result<snapshots::SnapshotsPlan, VaultError> {
    snapshots::apply(&vault.open(), ReadData::None, vault.context())
}

pub fn largest(vault: &Vault, kind: ObjectKind) -> ObjectName {
    vault.names(kind).into_iter().max_by_key(|name| vault.bytes(name).len()).unwrap()
}

pub fn shared(vault: &Vault) -> Arc<dyn Storage> {
    Arc::new(vault.store.clone())
}
