//! A prune from begin to end.

mod decide;
mod foretell;
mod forgotten;
mod optimize;

pub use optimize::optimize;

use std::collections::HashSet;

use crate::base::clock::Timestamp;
use crate::base::id::{ChunkId, PackId};
use crate::base::progress::{Event, Phase};
use crate::repo::Repository;
use crate::repo::crypt::Sealer;
use crate::repo::index::{Index, IndexOptions, Strictness, Verdicts};
use crate::repo::journal::State;
use crate::repo::pack::reader;
use crate::vault::parity::Room;
use crate::vault::prune::census::{Census, Pack};
use crate::vault::prune::held::Held;
use crate::vault::prune::live::Live;
use crate::vault::prune::look::{Known, Look};
use crate::vault::prune::plan::{self, Limits, Plan};
use crate::vault::prune::repack::Repack;
use crate::vault::prune::report::PruneReport;
use crate::vault::prune::segments::Merged;
use crate::vault::prune::{PruneOptions, deletion, doom, marks, segments, tidy};
use crate::vault::{Context, VaultError, backup, sealer};

/// Small segments that a prune lets be.
const FEW_SEGMENTS: usize = 8;

/// One prune.
pub struct Prune<'a> {
    repository: &'a Repository,
    options: &'a PruneOptions,
    context: Context<'a>,
    sealer: Sealer,
    report: PruneReport,
    /// Snapshots that were read.
    known: Known,
    /// Trees that were walked.
    walked: HashSet<ChunkId>,
    /// Damaged packs that stay, and stay marked.
    held: Held,
}

impl<'a> Prune<'a> {
    /// Nothing has happened yet.
    pub fn new(
        repository: &'a Repository,
        options: &'a PruneOptions,
        context: Context<'a>,
    ) -> Result<Self, VaultError> {
        let sealer = sealer::begin(repository)?;
        let (report, known, walked, held) = Default::default();
        Ok(Self { repository, options, context, sealer, report, known, walked, held })
    }

    /// All steps.
    pub fn run(mut self) -> Result<PruneReport, VaultError> {
        if !self.options.dry_run {
            // What an earlier prune decided and did not finish: space comes back before more is needed.
            self.report.deleted += deletion::delete(self.repository, self.room(), self.context)?.packs;
            self.tidy()?;
        }
        self.quarantine()?;
        self.report.purged = self.purge()?;
        let mut look = self.look()?;
        if self.options.dry_run {
            self.report.fenced = look.without_lapsed(self.options.fence_after, self.now());
            look.without(&self.report.purged);
        }
        self.report.snapshots = look.roots.len() as u64;
        let index = self.open(&look.journal)?;
        let live = self.walk(&index, &look)?;
        let mut census = Census::take(&index, &look.journal)?;
        census.weigh(&live, &index, self.context)?;
        // A damaged copy may have hidden a whole one, so what is needed is asked again with each that is found.
        loop {
            let is_needed = |pack: &&Pack| pack.mark.is_some() && pack.used > 0;
            let needed: Vec<Pack> = census.packs().filter(is_needed).copied().collect();
            if !self.held.take(self.repository, &index, &needed, self.context)? {
                break;
            }
            census.hold(&self.held);
            census.weigh(&live, &index, self.context)?;
        }
        self.held.weigh(&census);
        let plan = self.plan(&look, &census)?;
        self.tell(&look, &census, &plan);
        if self.options.dry_run {
            return self.foretell(&look, census, &plan);
        }
        self.carry_out(&plan, &index, &census, &live)?;
        drop(index);
        let packs = census.packs().map(|pack| pack.id).collect();
        self.doom(live, &packs)?;
        self.finish()
    }

    fn tidy(&mut self) -> Result<(), VaultError> {
        let fence_after = self.options.fence_after;
        self.report.fenced = tidy::sessions(self.repository, &self.sealer, fence_after, self.context)?;
        Ok(marks::unmark_segments(self.repository)?)
    }

    fn look(&mut self) -> Result<Look, VaultError> {
        Look::take(self.repository, &mut self.known, &self.report.purged, self.context)
    }

    /// The index by a journal, with packs that no segment lists judged by their own tables. A segment that cannot be
    /// read would hide what is needed.
    fn open(&self, journal: &State) -> Result<Index, VaultError> {
        let Context { progress, cancel, folders } = self.context;
        progress.on(Event::Phase { phase: Phase::Index, total: None });
        let verdicts = Verdicts::of(journal);
        let options = IndexOptions { verdicts, strictness: Strictness::Strict, ..IndexOptions::new(&folders.cache) };
        let index = Index::open_with(self.repository, options, progress, cancel)?;
        index.adopt_unlisted_packs(self.repository, progress, cancel)?;
        Ok(index)
    }

    /// What the roots reach that were not walked before.
    fn walk(&mut self, index: &Index, look: &Look) -> Result<Live, VaultError> {
        let new: Vec<ChunkId> = look.roots.values().filter(|tree| !self.walked.contains(tree)).copied().collect();
        let live = Live::walk(self.repository, index, new.iter().copied(), self.context)?;
        self.walked.extend(new);
        Ok(live)
    }

    fn plan(&self, look: &Look, census: &Census) -> Result<Plan, VaultError> {
        let packs: Vec<Pack> = census.packs().filter(|pack| !self.held.has(&pack.id)).copied().collect();
        let limits = Limits {
            max_unused: self.options.max_unused,
            max_repack: if self.options.no_repack { 0 } else { self.options.max_repack.unwrap_or(u64::MAX) },
            pack_bytes: backup::pack_bytes(packs.len() as u64),
        };
        let mut plan = plan::plan(&packs, &limits);
        let live: Vec<_> = look.live().map(|found| found.id).collect();
        if !live.is_empty() {
            // What a running session wrote is only waiting to be needed.
            let mut unused = Vec::new();
            for number in plan.unused {
                let Some(pack) = census.pack(number) else { continue };
                match reader::header(self.repository, pack.id, pack.stored) {
                    Ok(header) if live.contains(&header.session) => {}
                    Err(error) if error.is_of_store() => return Err(error.into()),
                    Ok(_) | Err(_) => unused.push(number),
                }
            }
            plan.unused = unused;
        }
        Ok(plan)
    }

    fn tell(&mut self, look: &Look, census: &Census, plan: &Plan) {
        let tally = |numbers: &[u32]| doom::tally(numbers.iter().filter_map(|number| census.pack(*number)));
        self.report.packs = doom::tally(census.packs());
        self.report.used_bytes = census.packs().map(Pack::used_stored).sum();
        self.report.unmarked = tally(&plan.unmark);
        self.report.repacked = tally(&plan.repack);
        self.report.marked = tally(&plan.unused);
        let unlisted = census.packs().filter(|pack| pack.used > 0 && !pack.listed).count();
        // What a running backup has stored is listed a little later.
        if unlisted > 0 && look.live().next().is_none() {
            let cause = format!("it lists nothing of {unlisted} packs that snapshots need: `dssvault repair index`");
            self.report.problems.push(("the index".to_owned(), cause));
        }
    }

    /// Steps 3 and 4: new packs and their segments first, then the marks.
    fn carry_out(&mut self, plan: &Plan, index: &Index, census: &Census, live: &Live) -> Result<(), VaultError> {
        let Self { repository, sealer, context, .. } = self;
        let ids = |numbers: &[u32]| -> Vec<PackId> {
            numbers.iter().filter_map(|number| census.pack(*number)).map(|pack| pack.id).collect()
        };
        marks::unmark(repository, &ids(&plan.unmark))?;
        let repack = Repack { repository, index, sealer, context: *context };
        let repacked = repack.run(&plan.repack, census, live)?;
        let done: Vec<u32> = repacked.done.into_iter().collect();
        self.report.repacked = doom::tally(done.iter().filter_map(|number| census.pack(*number)));
        self.report.marked += self.report.repacked;
        self.report.written = repacked.written;
        self.report.problems.extend(repacked.problems);
        let marked: Vec<u32> = plan.unused.iter().chain(&done).copied().collect();
        Ok(marks::mark(self.repository, &ids(&marked))?)
    }

    /// Steps 8 and 9: segments without the names of what is doomed, then the deletions, then the sweep.
    fn finish(mut self) -> Result<PruneReport, VaultError> {
        let journal = self.repository.journal().load()?;
        let index = self.open(&journal)?;
        let figures = segments::figures(self.repository, &index, &journal)?;
        drop(index);
        let chosen = segments::choose(&figures, FEW_SEGMENTS);
        let merged = segments::merge(self.repository, &self.sealer, &journal, &chosen, self.context)?;
        self.note(merged);
        let deletion = deletion::delete(self.repository, self.room(), self.context)?;
        self.report.deleted += deletion.packs;
        self.report.problems.extend(deletion.problems());
        deletion.sweep(self.repository)?;
        tidy::snapshots(self.repository, self.context)?;
        Ok(self.conclude())
    }

    fn conclude(mut self) -> PruneReport {
        self.report.held = self.held.tally();
        self.report.problems.extend(self.held.problems());
        self.report
    }

    /// Whether groups of parity may be made anew: not where nothing is to be written.
    fn room(&self) -> Room {
        if self.options.no_repack { Room::None } else { Room::Enough }
    }

    fn note(&mut self, merged: Merged) {
        self.report.segments_merged = merged.replaced;
        self.report.segments_written = merged.written;
        self.report.problems.extend(merged.problems);
    }

    fn now(&self) -> Timestamp {
        self.repository.seams.clock.now()
    }
}
