//! From directories and outcomes to trees: one thread, bottom-up, in the order of the walk.

use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::base::clock::Clock;
use crate::base::id::ChunkId;
use crate::repo::RepoError;
use crate::repo::tree::Entry;
use crate::repo::tree::writer::{DirectoryWriter, encode_entry};
use crate::sys::listing::is_directory;
use crate::sys::meta::Stat;
use crate::vault::backup::batch::Outcomes;
use crate::vault::backup::fingerprint::{Fingerprint, is_too_fresh};
use crate::vault::backup::item::{Outcome, Stop};
use crate::vault::backup::lister::join;
use crate::vault::backup::problems::ProblemLog;
use crate::vault::backup::state::{OldEntry, Record, RecordBuilder, StateWriter};
use crate::vault::backup::store::TreeChunks;
use crate::vault::backup::walk::DirectoryJob;

/// Makes trees.
pub struct Assembler<'s, 'a> {
    /// Takes tree chunks.
    pub sink: TreeChunks<'s, 'a>,
    /// Gives outcomes in order.
    pub outcomes: Outcomes<'s>,
    /// Takes problems.
    pub problems: &'s ProblemLog<'s>,
    /// Takes the new last state. Dropped at the first failure: it is only a cache.
    pub state: Option<StateWriter>,
    /// Tells what was touched too lately to be trusted next time.
    pub clock: &'s dyn Clock,
    /// Entries of the root besides those the walk meets, last name first.
    grafts: Vec<Entry>,
    record: RecordBuilder,
    /// Trees of finished directories whose parents are still to come.
    finished: Vec<ChunkId>,
}

/// The root's tree and the new last state, still under its temporary name.
pub struct Assembled {
    /// Tree of the root.
    pub root: ChunkId,
    /// To be put in place after the commit.
    pub state: Option<StateWriter>,
}

impl<'s, 'a> Assembler<'s, 'a> {
    /// An assembler.
    pub fn new(
        sink: TreeChunks<'s, 'a>,
        outcomes: Outcomes<'s>,
        problems: &'s ProblemLog<'s>,
        state: Option<StateWriter>,
        clock: &'s dyn Clock,
    ) -> Self {
        let (record, finished) = (RecordBuilder::default(), Vec::new());
        Self { sink, outcomes, problems, state, clock, grafts: Vec::new(), record, finished }
    }

    /// With entries of the root, in the order of their names, that the walk does not meet.
    pub fn with_grafts(self, mut grafts: Vec<Entry>) -> Self {
        grafts.reverse();
        Self { grafts, ..self }
    }

    /// Takes directories until there are no more; the last one is the root.
    pub fn run(mut self, jobs: &Receiver<Arc<DirectoryJob>>) -> Result<Assembled, Stop> {
        while let Ok(job) = jobs.recv() {
            let tree = self.directory(&job)?;
            self.finished.push(tree);
        }
        self.sink.finish();
        match (self.finished.pop(), self.finished.is_empty()) {
            (Some(root), true) => Ok(Assembled { root, state: self.state }),
            // The walk ended before the root.
            _ => Err(Stop::Cancelled),
        }
    }

    fn directory(&mut self, job: &DirectoryJob) -> Result<ChunkId, Stop> {
        let first = self.finished.len().saturating_sub(job.walked.len());
        let below = self.finished.split_off(first);
        if let (None, Some(old), false) = (&job.same, &job.old, self.has_grafts(job))
            && let Some(tree) = self.unchanged(job, old, &below)?
        {
            return Ok(tree);
        }
        self.build(job, &below)
    }

    fn has_grafts(&self, job: &DirectoryJob) -> bool {
        job.path.is_empty() && !self.grafts.is_empty()
    }

    /// Adds the grafts whose names come before `name`; all that are left if there is none.
    fn graft(&mut self, writer: &mut DirectoryWriter, name: Option<&[u8]>) -> Result<(), RepoError> {
        while let Some(entry) = self.grafts.pop_if(|entry| name.is_none_or(|name| entry.name.as_slice() < name)) {
            let encoded = encode_entry(&entry);
            writer.push(&entry.name, &encoded, &mut self.sink)?;
            // Never the same next time: a directory with grafts is always made anew.
            self.record.push(&entry.name, Fingerprint::NEVER, &encoded);
        }
        Ok(())
    }

    /// The old tree of a directory if nothing in it and below it changed.
    fn unchanged(&mut self, job: &DirectoryJob, old: &Record, below: &[ChunkId]) -> Result<Option<ChunkId>, Stop> {
        let Ok((_, tree, entries)) = old.parse() else { return Ok(None) };
        let mut walked = job.walked.iter().zip(below).peekable();
        for (index, (line, entry)) in job.listing.entries.iter().zip(entries).enumerate() {
            if !is_directory(&line.stat) {
                continue;
            }
            let now = match walked.next_if(|(walked, _)| **walked == index) {
                Some((_, tree)) => *tree,
                None => self.empty_tree()?,
            };
            if minicbor::decode::<Entry>(entry.encoded).ok().and_then(|entry| entry.tree) != Some(now) {
                return Ok(None);
            }
        }
        self.remember(old.bytes());
        Ok(Some(tree))
    }

    fn build(&mut self, job: &DirectoryJob, below: &[ChunkId]) -> Result<ChunkId, Stop> {
        let mut writer = DirectoryWriter::default();
        let mut old = job.old.as_ref().and_then(|old| old.parse().ok()).map(|(_, _, entries)| entries.peekable());
        let mut walked = job.walked.iter().zip(below).peekable();
        for (index, line) in job.listing.entries.iter().enumerate() {
            let name = job.listing.name(line);
            if self.has_grafts(job) {
                self.graft(&mut writer, Some(name))?;
            }
            let tree = match walked.next_if(|(walked, _)| **walked == index) {
                Some((_, tree)) => Some(*tree),
                None if is_directory(&line.stat) => Some(self.empty_tree()?),
                None => None,
            };
            let same = job.same.as_ref().is_none_or(|same| same.get(index).copied().unwrap_or(false));
            let (encoded, fingerprint) = if same {
                match old.as_mut().and_then(|old| find(old, name)) {
                    Some(entry) => with_tree(&entry, tree),
                    // The record ended early: it was read soundly before, so this cannot happen unless memory fails.
                    None => continue,
                }
            } else {
                match self.fresh(job, index, name, tree)? {
                    Some(made) => made,
                    None => continue,
                }
            };
            writer.push(name, &encoded, &mut self.sink)?;
            self.record.push(name, fingerprint, &encoded);
        }
        if self.has_grafts(job) {
            self.graft(&mut writer, None)?;
        }
        let tree = writer.finish(&mut self.sink)?;
        let record = self.record.finish(&job.path, tree);
        if job.complete {
            self.remember(&record);
        }
        Ok(tree)
    }

    /// The stored form of an entry that was read, or `None` if there is nothing to store.
    fn fresh(
        &mut self,
        job: &DirectoryJob,
        index: usize,
        name: &[u8],
        tree: Option<ChunkId>,
    ) -> Result<Option<(Vec<u8>, Fingerprint)>, Stop> {
        let (mut entry, stat, torn) = match self.outcomes.next()? {
            Outcome::Read(entry, stat) => (entry, stat, false),
            Outcome::Advised(entry, stat, advice) => {
                self.problems.note(&join(&job.path, name), advice, false);
                (entry, stat, false)
            }
            Outcome::Torn(entry, stat) => {
                self.problems.note(&join(&job.path, name), "it changed while it was read", false);
                (entry, stat, true)
            }
            Outcome::Vanished => {
                self.problems.note(&join(&job.path, name), "it vanished before it was read", false);
                return Ok(None);
            }
            Outcome::Failed(error) => {
                self.problems.note(&join(&job.path, name), &error.to_string(), true);
                return Ok(None);
            }
        };
        if is_directory(&stat) {
            // A file that became a directory since it was listed was not walked.
            entry.tree = Some(match tree {
                Some(tree) => tree,
                None => self.empty_tree()?,
            });
        }
        let trusted = !torn && !is_too_fresh(&stat, self.clock.now()) && same_kind(&stat, job, index);
        let file_system = job.file_systems.get(index).copied().unwrap_or(0);
        let fingerprint = if trusted { Fingerprint::of(&stat, file_system) } else { Fingerprint::NEVER };
        Ok(Some((encode_entry(&entry), fingerprint)))
    }

    fn empty_tree(&mut self) -> Result<ChunkId, RepoError> {
        DirectoryWriter::default().finish(&mut self.sink)
    }

    fn remember(&mut self, record: &[u8]) {
        if let Some(state) = &mut self.state
            && state.push(record).is_err()
        {
            self.state = None;
        }
    }
}

fn same_kind(stat: &Stat, job: &DirectoryJob, index: usize) -> bool {
    job.listing.entries.get(index).is_some_and(|line| line.stat.kind == stat.kind)
}

fn find<'r>(old: &mut std::iter::Peekable<impl Iterator<Item = OldEntry<'r>>>, name: &[u8]) -> Option<OldEntry<'r>> {
    while old.peek().is_some_and(|entry| entry.name < name) {
        old.next();
    }
    old.next_if(|entry| entry.name == name)
}

/// An old entry's stored form, with another tree if the one below it changed.
fn with_tree(old: &OldEntry<'_>, tree: Option<ChunkId>) -> (Vec<u8>, Fingerprint) {
    if let Some(tree) = tree
        && let Ok(mut entry) = minicbor::decode::<Entry>(old.encoded)
        && entry.tree != Some(tree)
    {
        entry.tree = Some(tree);
        return (encode_entry(&entry), old.fingerprint);
    }
    (old.encoded.to_vec(), old.fingerprint)
}
