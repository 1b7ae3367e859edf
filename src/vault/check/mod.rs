//! Checking: does everything a snapshot needs exist, and is it what was stored?

mod affected;
pub(in crate::vault) mod damage;
mod data;
mod findings;
pub(in crate::vault) mod join;
mod names;
mod objects;
mod pack;
mod packs;
pub(in crate::vault) mod references;
mod run;
mod segments;
mod storage_only;
pub(in crate::vault) mod trees;
pub(in crate::vault) mod treeset;
mod workers;

use std::sync::Arc;
use std::time::Instant;

use crate::repo::Repository;
use crate::storage::Storage;
use crate::vault::{Context, VaultError};

/// How much pack data to read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ReadData {
    /// None: structure only.
    None,
    /// All of it.
    All,
    /// A random share in percent, over 0 and up to 100.
    Percent(f64),
    /// The `part`-th of `of` groups, from 1; ten weekly runs with 1/10 to 10/10 read everything.
    Part {
        /// Which group.
        part: u32,
        /// How many groups.
        of: u32,
    },
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Finding {
    /// The object, or the snapshot and path that need it.
    pub object: String,
    /// What is wrong.
    pub cause: String,
    /// Whether a snapshot cannot be restored wholly because of it; otherwise it is a warning.
    pub damage: bool,
}

/// What a check saw.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct CheckReport {
    /// Snapshots followed.
    pub snapshots: u64,
    /// Tree nodes read.
    pub trees: u64,
    /// Packs known.
    pub packs: u64,
    /// Packs read wholly.
    pub packs_read: u64,
    /// Chunks known to the index.
    pub chunks: u64,
    /// Bytes read from the store.
    pub bytes_read: u64,
    /// Packs and index segments no snapshot needs (left by interrupted backups; prune collects them).
    pub unused_packs: u64,
    /// What is wrong, sorted.
    pub findings: Vec<Finding>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl CheckReport {
    /// Whether nothing is damaged.
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| !finding.damage)
    }
}

/// Checks with keys: signatures, seals, references, and as much pack data as asked for. Whatever is wrong with the
/// repository is a finding; an error means that the check itself could not be made.
pub fn run(repository: &Repository, read: ReadData, context: Context<'_>) -> Result<CheckReport, VaultError> {
    let begun = Instant::now();
    let report = run::run(repository, read, context)?;
    Ok(CheckReport { seconds: begun.elapsed().as_secs_f64(), ..report })
}

/// Checks without keys: every object's bytes against its name or checksum.
pub fn storage_only(storage: &Arc<dyn Storage>, context: Context<'_>) -> Result<CheckReport, VaultError> {
    let begun = Instant::now();
    let report = storage_only::run(storage, context)?;
    Ok(CheckReport { seconds: begun.elapsed().as_secs_f64(), ..report })
}
