//! Reading the sources: once, or once in use and then, at rest, what has changed since.

use std::path::Path;

use crate::base::id::ChunkId;
use crate::base::progress::Silent;
use crate::repo::index::Index;
use crate::repo::snapshot::{Counts, Imported};
use crate::sys::meta::Names;
use crate::vault::VaultError;
use crate::vault::backup::chunkers::Chunkers;
use crate::vault::backup::grafts::Grafts;
use crate::vault::backup::import;
use crate::vault::backup::input::{Input, Stream};
use crate::vault::backup::item::Reading;
use crate::vault::backup::lister::Lister;
use crate::vault::backup::pipeline::{self, Plan, Walked};
use crate::vault::backup::problems::ProblemLog;
use crate::vault::backup::run::Job;
use crate::vault::backup::state::{StateReader, StateWriter};
use crate::vault::backup::steward::Steward;
use crate::vault::backup::store::{ChunkStore, TreeChunks};
use crate::vault::backup::stored::Stored;
use crate::vault::backup::stream;

/// What goes into the manifest from the work itself.
pub struct Gathered {
    /// Tree of the root.
    pub root: ChunkId,
    /// Counts of entries and of what was read.
    pub counts: Counts,
    /// Entries and bytes left out.
    pub left_out: (u64, u64),
    /// To be put in place after the commit.
    pub state: Option<StateWriter>,
    /// The archive it was read from, if it was one.
    pub imported: Option<Imported>,
}

/// What all passes share.
pub struct Passes<'p, 'a> {
    /// The backup.
    pub job: &'p Job<'a>,
    /// Takes chunks.
    pub store: &'p ChunkStore<'a>,
    /// What the repository has.
    pub index: &'p Index,
    /// Takes the problems of the pass that counts.
    pub problems: &'p ProblemLog<'p>,
    /// The snapshot to be.
    pub snapshot: crate::base::id::SnapshotId,
}

impl Passes<'_, '_> {
    /// Reads the sources. `old` is the last state, `trusted` whether it may be believed.
    pub fn run(
        &self,
        old: Option<StateReader>,
        trusted: bool,
        steward: &mut dyn Steward,
    ) -> Result<Gathered, VaultError> {
        let chunkers = Chunkers::new(self.job.repository);
        let names = Names::default();
        let (progress, cancel) = (self.job.context.progress, self.job.context.cancel);
        let reading = Reading { store: self.store, chunkers: &chunkers, names: &names, progress, cancel };
        let mut grafts = Grafts::new(&reading, self.job.now);
        match &self.job.input {
            Input::Archive(archive) => {
                let before = self.job.neighbours()?;
                return import::read(archive, &reading, self.index, &before, self.problems, self.job.context);
            }
            Input::Streams(streams) => return self.streams(streams, grafts, steward),
            Input::Attended(_) => return self.streams(&[], grafts, steward),
            Input::Paths(_) | Input::Assembled(..) => {}
        }
        if !steward.has_two_passes() {
            steward.bring(&mut grafts)?;
            let only = self.pass(&reading, self.problems, &self.job.state_path, old, trusted, Some(&grafts))?;
            return Ok(gathered(only, &grafts));
        }
        // What changes or vanishes now is met again at rest.
        let passing = ProblemLog::new(&Silent);
        let between = self.job.state_path.with_file_name(format!("{}-first", file_name(&self.job.state_path)));
        let first = self.pass(&reading, &passing, &between, old, trusted, None)?;
        // Without it the second pass reads everything again, which is slow but right.
        let kept = first.assembled.state.is_some_and(|state| state.finish().is_ok());
        steward.rest()?;
        let known = kept.then(|| StateReader::open(&between, self.job.repository.id())).flatten();
        let second = steward
            .bring(&mut grafts)
            .and_then(|()| self.pass(&reading, self.problems, &self.job.state_path, known, true, Some(&grafts)));
        steward.wake();
        // Nobody else reads it; the next run replaces it.
        let _ = std::fs::remove_file(&between);
        let mut gathered = gathered(second?, &grafts);
        gathered.counts.files_read += first.counts.files_read;
        gathered.counts.bytes_read += first.counts.bytes_read;
        Ok(gathered)
    }

    fn pass(
        &self,
        reading: &Reading<'_>,
        problems: &ProblemLog<'_>,
        next_state: &Path,
        state: Option<StateReader>,
        trusted: bool,
        grafts: Option<&Grafts<'_, '_>>,
    ) -> Result<Walked, VaultError> {
        let lister = Lister::new(self.job.rules()?);
        let next_state = StateWriter::create(next_state, self.job.repository.id(), self.snapshot).ok();
        let root = self.job.input.root();
        let grafts = match grafts {
            Some(grafts) => {
                let mut sink = TreeChunks::new(self.store);
                let entries = grafts.entries(&mut sink);
                sink.finish();
                entries?
            }
            None => Vec::new(),
        };
        let doubt = (!trusted).then(|| Stored::new(self.job.repository, self.index, Some(self.store)));
        let plan = Plan { root, lister: &lister, state, doubt, next_state, problems, grafts };
        pipeline::walk(plan, reading, &*self.job.repository.seams.clock)
    }

    fn streams(
        &self,
        sources: &[Stream<'_>],
        mut grafts: Grafts<'_, '_>,
        steward: &mut dyn Steward,
    ) -> Result<Gathered, VaultError> {
        for source in sources {
            stream::read(source, &mut grafts, self.job.context.cancel)?;
        }
        steward.bring(&mut grafts)?;
        let mut sink = TreeChunks::new(self.store);
        let root = grafts.root(&mut sink);
        sink.finish();
        Ok(Gathered { root: root?, counts: grafts.counts(), left_out: (0, 0), state: None, imported: None })
    }
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn gathered(walked: Walked, grafts: &Grafts<'_, '_>) -> Gathered {
    let (root, state) = (walked.assembled.root, walked.assembled.state);
    let (mut counts, brought) = (walked.counts, grafts.counts());
    counts.files += brought.files;
    counts.directories += brought.directories;
    counts.bytes += brought.bytes;
    counts.files_read += brought.files_read;
    counts.bytes_read += brought.bytes_read;
    Gathered { root, counts, left_out: walked.left_out, state, imported: None }
}
