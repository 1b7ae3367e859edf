//! Restoring: plan from trees, then read each pack once and write many files at once.

mod compare;
mod descriptors;
mod execute;
mod fetch;
mod filter;
mod folder;
mod job;
mod layout;
mod link;
mod owner;
mod pass;
mod plan;
mod record;
mod room;
mod shared;
mod source;
mod special;
mod walk;
mod window;

use std::path::PathBuf;
use std::time::Instant;

use crate::base::id::SnapshotId;
use crate::base::progress::{Event, Phase};
use crate::repo::Repository;
use crate::repo::chunks::ChunkReader;
use crate::repo::snapshot::Manifest;
use crate::vault::restore::filter::Filter;
use crate::vault::restore::owner::Owners;
use crate::vault::restore::pass::{Setting, Target};
use crate::vault::restore::record::Record;
use crate::vault::restore::shared::Pass;
use crate::vault::{Context, VaultError, browse};

/// What to do with files that are already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// Compare content and rewrite only what differs.
    #[default]
    Always,
    /// Leave files alone whose size and modification time agree; treat others as `Always`.
    IfChanged,
    /// Leave existing files alone.
    Never,
}

/// Whose files they become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OwnerMode {
    /// Names where they exist here, numbers otherwise.
    #[default]
    Names,
    /// Numbers.
    Numeric,
    /// The account that runs the restore.
    Current,
}

/// One line of an owner map: `user:OLD:NEW` or `group:OLD:NEW`, names or numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRule {
    /// Whether it speaks of groups.
    pub group: bool,
    /// Name or number in the snapshot.
    pub from: String,
    /// Name or number here.
    pub to: String,
}

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Everything is made beneath this directory. It is made if need be, and then given the attributes of the subpath.
    pub target: PathBuf,
    /// Give the target the attributes of the subpath also if it was there: it stands in the place of that directory.
    pub target_is_subpath: bool,
    /// Only this path of the snapshot (raw bytes, as in the tree); its content lands directly in the target.
    pub subpath: Option<Vec<u8>>,
    /// Restore only what matches one of these globs, if there are any, with the directories on the way. Paths, and
    /// so a leading `/`, begin at what is restored: at the subpath if there is one.
    pub include: Vec<String>,
    /// Do not restore what matches one of these globs.
    pub exclude: Vec<String>,
    /// Change nothing; report what would be done.
    pub dry_run: bool,
    /// What to do with existing files.
    pub overwrite: Overwrite,
    /// Remove what the snapshot does not have, in directories it has.
    pub delete: bool,
    /// Read everything back and compare its hash.
    pub verify: bool,
    /// Whose files they become.
    pub owner: OwnerMode,
    /// Exceptions to `owner`.
    pub owner_map: Vec<OwnerRule>,
}

/// A file that was not (wholly) restored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// Its path in the snapshot, lossy UTF-8.
    pub path: String,
    /// Why.
    pub cause: String,
}

/// What a restore did.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct RestoreReport {
    /// Regular files made or rewritten.
    pub files: u64,
    /// Regular files left as they were because they were right or kept.
    pub unchanged: u64,
    /// Directories.
    pub directories: u64,
    /// Links, pipes, devices.
    pub others: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Entries removed by `delete`.
    pub deleted: u64,
    /// Files read back and found right.
    pub verified: u64,
    /// Things left out on purpose (sockets), or attributes that this account may not set: warnings.
    pub warnings: Vec<Failure>,
    /// What failed: not empty means exit code 1.
    pub failures: Vec<Failure>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// Restores a snapshot, or a part of it, beneath the target.
///
/// Files are complete when this returns, but the kernel may still have to write them out: as with a copy, nothing
/// is forced to disk. `verify` forces it before it reads back.
pub fn run(
    repository: &Repository,
    _snapshot: SnapshotId,
    manifest: &Manifest,
    options: &RestoreOptions,
    context: Context<'_>,
) -> Result<RestoreReport, VaultError> {
    let started = Instant::now();
    let filter = Filter::new(options)?;
    let owners = Owners::new(options.owner, &options.owner_map)?;
    context.progress.on(Event::Phase { phase: Phase::Index, total: None });
    let index = browse::open_index(repository, context)?;
    let reader = ChunkReader::new(repository, &index);
    context.progress.on(Event::Phase { phase: Phase::Plan, total: None });
    let source = source::find(&reader, manifest.root, options.subpath.as_deref().unwrap_or_default())?;
    let target = Target::open(options)?;
    let whole = options.subpath.is_none() && options.include.is_empty() && options.exclude.is_empty();
    let record = Record::new(context, options.target.clone(), whole);
    let setting = Setting {
        reader: &reader,
        options,
        filter: &filter,
        owners: &owners,
        record: &record,
        target: &target,
        source: &source,
    };
    let total = whole.then_some(manifest.counts.bytes);
    context.progress.on(Event::Phase { phase: Phase::Restore, total });
    pass::run(&setting, if options.dry_run { Pass::DryRun } else { Pass::Write });
    if options.verify && !options.dry_run && !record.must_stop() {
        pass::settle(&target);
        context.progress.on(Event::Phase { phase: Phase::Verify, total });
        pass::run(&setting, Pass::Verify);
    }
    record.finish(started.elapsed().as_secs_f64())
}
