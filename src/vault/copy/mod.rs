//! Copying snapshots into another repository with keys of its own (`docs/decisions/0013-copies.md`).
//!
//! The source is only read. The target is written as by any backup: one session for each snapshot, chunks before
//! trees, the manifest last. What a run that was killed had stored is met again by the next one.

mod chunks;
mod halt;
mod inventory;
mod one;
mod pair;
mod report;
mod select;
mod tree;

use std::collections::BTreeMap;
use std::time::Instant;

use crate::base::id::NodeId;
use crate::base::object::ObjectKind;
use crate::repo::index::Index;
use crate::repo::{RepoError, Repository};
use crate::vault::browse::{self, Filter};
use crate::vault::copy::chunks::Memo;
use crate::vault::copy::halt::Halt;
use crate::vault::copy::inventory::{Held, Inventory};
use crate::vault::copy::one::Copier;
use crate::vault::{Context, VaultError};

pub use report::{Copied, CopyReport, Failed, Likeness, Present, Travel};

/// What is to be copied.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// Id prefixes, `latest` or `latest~N`; forgotten snapshots too, by id. Empty: all that are shown and match.
    pub snapshots: Vec<String>,
    /// Which snapshots count.
    pub filter: Filter,
    /// Store nothing; tell which would be copied.
    pub dry_run: bool,
    /// Go through those the target has, too, and store what it has lost of them.
    pub force: bool,
}

/// A repository and what goes with it on this machine.
#[derive(Clone, Copy)]
pub struct End<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Its folders; progress and cancel of both ends are the same.
    pub context: Context<'a>,
}

/// Copies. `tell` hears of each snapshot as it arrives. A snapshot the source cannot give fails alone and stands in
/// the report; an error means that the target, or the run, went no further.
pub fn run(
    source: End<'_>,
    target: End<'_>,
    options: &CopyOptions,
    tell: &mut dyn FnMut(&Copied),
) -> Result<CopyReport, VaultError> {
    let started = Instant::now();
    refuse_itself(source.repository, target.repository)?;
    let here = Inventory::read(source.repository, &options.filter)?;
    let there = Inventory::read(target.repository, &Filter::default())?;
    let wanted = select::wanted(source.repository, &here, options)?;
    let mut report = CopyReport::new(Likeness::of(source.repository, target.repository), options.dry_run);
    if options.snapshots.is_empty() {
        report.failed.extend(here.unreadable.iter().map(Failed::unreadable));
    }
    report.unreadable_there = there.unreadable.len();
    let mut run = Run { source, target, here, there, index: None, memo: Memo::default(), begun: false };
    let mut lossy: BTreeMap<NodeId, Vec<(Held, Held)>> = BTreeMap::new();
    for held in wanted {
        if source.context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        if let Some(copy) = run.there.copy_of(&held.origin).cloned() {
            report.present.push(Present::of(&held, &copy, options.force));
            if options.force && !options.dry_run {
                lossy.entry(held.node).or_default().push((held, copy));
            }
            continue;
        }
        if options.dry_run {
            report.copied.push(Copied::planned(&held));
            continue;
        }
        match run.copy(&held) {
            Ok(copied) => {
                run.there.add(copied.arrived(&held));
                tell(&copied);
                report.copied.push(copied);
            }
            Err(Halt::Source { path, cause }) => {
                run.source_answers()?;
                report.failed.push(Failed::of(&held, path, cause));
            }
            Err(Halt::Stop(error)) => return Err(*error),
        }
    }
    for (node, pairs) in lossy {
        let (travel, failed) = run.refill(node, &pairs).map_err(Halt::into_error)?;
        if !failed.is_empty() {
            run.source_answers()?;
        }
        report.refill.add(&travel);
        report.failed.extend(failed);
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// What the snapshots of one run share.
struct Run<'a> {
    source: End<'a>,
    target: End<'a>,
    here: Inventory,
    there: Inventory,
    /// The source's, read when it is first needed.
    index: Option<Index>,
    memo: Memo,
    /// Whether a session of this run has begun.
    begun: bool,
}

impl Run<'_> {
    fn copy(&mut self, held: &Held) -> Result<Copied, Halt> {
        self.with_copier(|copier, memo| copier.copy(held, memo))
    }

    fn refill(&mut self, node: NodeId, pairs: &[(Held, Held)]) -> Result<(Travel, Vec<Failed>), Halt> {
        self.with_copier(|copier, memo| copier.refill(node, pairs, memo))
    }

    fn with_copier<T>(&mut self, work: impl FnOnce(&Copier<'_>, &mut Memo) -> Result<T, Halt>) -> Result<T, Halt> {
        let Self { source, target, here, there, .. } = self;
        let index = match &mut self.index {
            Some(index) => index,
            none => none.insert(browse::open_index(source.repository, source.context).map_err(Halt::stop)?),
        };
        let look_for_orphans = !std::mem::replace(&mut self.begun, true);
        let copier = Copier { source: *source, target: *target, index, here, there, look_for_orphans };
        work(&copier, &mut self.memo)
    }

    /// A source that went away has no object any more, and each would look like a loss.
    fn source_answers(&self) -> Result<(), VaultError> {
        let storage = &self.source.repository.storage;
        if storage.list(ObjectKind::Config).map_err(RepoError::from)?.is_empty() {
            return Err(RepoError::NoRepository { location: storage.location() }.into());
        }
        Ok(())
    }
}

fn refuse_itself(source: &Repository, target: &Repository) -> Result<(), VaultError> {
    if source.id() != target.id() {
        return Ok(());
    }
    Err(VaultError::Request {
        what: format!(
            "{} and {} are the same repository {}",
            source.storage.location(),
            target.storage.location(),
            source.id().short()
        ),
        hint: Some(
            "make another one with `dssvault -r OTHER init --like THIS`; a copy of its files is not another one"
                .to_owned(),
        ),
    })
}
