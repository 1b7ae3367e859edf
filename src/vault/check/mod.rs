//! Checking: does everything a snapshot needs exist, and is it what was stored?

mod affected;
pub(in crate::vault) mod damage;
mod data;
mod findings;
pub(in crate::vault) mod join;
mod kind;
mod ledger;
mod losses;
mod mending;
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
pub(in crate::vault) mod workers;

use std::sync::Arc;
use std::time::Instant;

use crate::base::clock::{CalendarSpan, Timestamp};
use crate::repo::Repository;
use crate::storage::Storage;
use crate::vault::parity::Repair;
use crate::vault::{Context, VaultError};

pub use kind::Kind;
pub(in crate::vault) use losses::Losses;
pub(in crate::vault) use objects::Root;
pub(in crate::vault) use pack::{Job, Scratch, Verdict};

/// How much pack data to read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ReadData {
    /// None: structure only.
    None,
    /// All of it.
    All,
    /// A random share in percent, over 0 and up to 100.
    Percent(f64),
    /// So many bytes: what was never verified first, then what was verified longest ago. At least one pack.
    Bytes(u64),
    /// The `part`-th of `of` groups, from 1; ten weekly runs with 1/10 to 10/10 read everything.
    Part {
        /// Which group.
        part: u32,
        /// How many groups.
        of: u32,
    },
}

/// What to check.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request {
    /// How much pack data to read.
    pub read: ReadData,
    /// Only packs that were not verified for so long, the longest first. With `ReadData::None`: all of these.
    pub max_age: Option<CalendarSpan>,
    /// Whether packs that were read and found whole are written into the ledger.
    pub record: bool,
    /// Whether packs the journal marked are read in any case.
    pub marked: bool,
}

/// Leaves the ledger alone.
impl From<ReadData> for Request {
    fn from(read: ReadData) -> Self {
        Self { read, max_age: None, record: false, marked: false }
    }
}

/// What the ledger of verified packs says in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct LedgerReport {
    /// Packs written into it by this check.
    pub recorded: u64,
    /// Packs that were never verified.
    pub never_verified: u64,
    /// When the pack was verified whose verification is the oldest.
    pub oldest: Option<Timestamp>,
    /// Why nothing was written into it although there was something.
    pub note: Option<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Finding {
    /// The object, or the snapshot and path that need it.
    pub object: String,
    /// What kind of thing is wrong.
    pub kind: Kind,
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
    /// Packs that were mended: a copy lies in `mended/`.
    pub mended_packs: u64,
    /// Parity objects in the store.
    pub parity_objects: u64,
    /// What a keyless check mended; none if it was not to.
    pub repair: Option<Repair>,
    /// What the ledger of verified packs says; absent without a key.
    pub ledger: Option<LedgerReport>,
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
pub fn run(
    repository: &Repository,
    request: impl Into<Request>,
    context: Context<'_>,
) -> Result<CheckReport, VaultError> {
    let begun = Instant::now();
    let report = run::run(repository, request.into(), context)?;
    Ok(CheckReport { seconds: begun.elapsed().as_secs_f64(), ..report })
}

/// Checks without keys: every object's bytes against its name or checksum.
pub fn storage_only(storage: &Arc<dyn Storage>, context: Context<'_>) -> Result<CheckReport, VaultError> {
    let begun = Instant::now();
    let report = storage_only::run(storage, Mending::No, context)?;
    Ok(CheckReport { seconds: begun.elapsed().as_secs_f64(), ..report })
}

/// Whether a keyless check mends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mending {
    /// It writes nothing.
    No,
    /// It writes nothing, and says what would be mended.
    DryRun,
    /// It mends what parity can mend.
    Do,
}

/// The same, mending on the way.
pub fn storage_only_mending(
    storage: &Arc<dyn Storage>,
    mending: Mending,
    context: Context<'_>,
) -> Result<CheckReport, VaultError> {
    let begun = Instant::now();
    let report = storage_only::run(storage, mending, context)?;
    Ok(CheckReport { seconds: begun.elapsed().as_secs_f64(), ..report })
}
