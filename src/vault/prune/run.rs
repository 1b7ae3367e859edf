//! A prune from begin to end.

use std::collections::HashSet;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::id::{ChunkId, PackId, SnapshotId};
use crate::base::progress::{Event, Phase};
use crate::repo::crypt::Sealer;
use crate::repo::error::SnapshotLookup;
use crate::repo::index::{Index, IndexOptions, Strictness, Verdicts};
use crate::repo::journal::{Entry, Objects, State};
use crate::repo::pack::{self, reader};
use crate::repo::snapshot;
use crate::repo::{RepoError, Repository};
use crate::vault::parity::Room;
use crate::vault::prune::census::{Census, Pack};
use crate::vault::prune::copies::{self, BadBlocks, Copies};
use crate::vault::prune::deletion;
use crate::vault::prune::live::Live;
use crate::vault::prune::look::{Known, Look};
use crate::vault::prune::plan::{self, Limits, Plan};
use crate::vault::prune::repack::Repack;
use crate::vault::prune::report::{PruneReport, Tally};
use crate::vault::prune::segments::Merged;
use crate::vault::prune::{PruneOptions, doom, marks, segments, tidy};
use crate::vault::{Context, VaultError, backup, forget, sealer};

/// How often a decision is made again because others wrote the journal meanwhile.
const ATTEMPTS: u32 = 16;
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
}

impl<'a> Prune<'a> {
    /// Nothing has happened yet.
    pub fn new(
        repository: &'a Repository,
        options: &'a PruneOptions,
        context: Context<'a>,
    ) -> Result<Self, VaultError> {
        let sealer = sealer::begin(repository)?;
        let report = PruneReport::default();
        Ok(Self { repository, options, context, sealer, report, known: Known::new(), walked: HashSet::new() })
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
            let purged = &self.report.purged;
            let parents: HashSet<SnapshotId> = look.live().filter_map(|found| found.record.parent).collect();
            look.roots.retain(|id, _| !purged.contains(id) || parents.contains(id));
        }
        self.report.snapshots = look.roots.len() as u64;
        let index = self.open(&look.journal)?;
        let live = self.walk(&index, &look)?;
        let mut census = Census::take(&index, &look.journal)?;
        census.weigh(&live, &index, self.context)?;
        let plan = self.plan(&look, &census)?;
        self.tell(&census, &plan);
        if self.options.dry_run {
            return self.foretell(&look, &census);
        }
        self.carry_out(&plan, &index, &census, &live)?;
        drop(index);
        self.doom(live)?;
        self.finish()
    }

    fn tidy(&mut self) -> Result<(), VaultError> {
        let fence_after = self.options.fence_after;
        self.report.fenced = tidy::sessions(self.repository, &self.sealer, fence_after, self.context)?;
        Ok(marks::unmark_segments(self.repository)?)
    }

    /// Sets snapshots aside that cannot be read. One that can be is refused: what it needs is known.
    fn quarantine(&self) -> Result<(), VaultError> {
        if self.options.quarantine.is_empty() || self.options.dry_run {
            return Ok(());
        }
        let stored: Vec<SnapshotId> = snapshot::list(self.repository)?.into_iter().map(|stored| stored.id).collect();
        for id in forget::among(stored.iter(), &self.options.quarantine, SnapshotLookup::None)? {
            match snapshot::load(self.repository, &id) {
                Err(error @ RepoError::Damaged { .. }) => {
                    let entry = Entry::Quarantine(id, error.to_string());
                    let is_new = |state: &State| !state.quarantined.contains_key(&id);
                    marks::append(self.repository, |state| is_new(state).then(|| entry.clone()))?;
                }
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    return Err(VaultError::Request {
                        what: format!("snapshot {id} can be read, so it is not set aside"),
                        hint: Some("`dssvault forget` takes it out of the history".to_owned()),
                    });
                }
            }
        }
        Ok(())
    }

    fn purge(&self) -> Result<Vec<SnapshotId>, VaultError> {
        let until = before(self.now(), self.options.undo_window);
        if self.options.dry_run {
            let mut due = marks::due(&*self.repository.journal().load()?, until);
            if self.options.undo_window.is_zero() {
                due.extend(&self.options.as_forgotten);
            }
            return Ok(due);
        }
        Ok(marks::purge(self.repository, until)?)
    }

    fn look(&mut self) -> Result<Look, VaultError> {
        Look::take(self.repository, &mut self.known, self.context)
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
        let packs: Vec<Pack> = census.packs().copied().collect();
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
                    Ok(_) | Err(RepoError::Damaged { .. }) => unused.push(number),
                    Err(error) => return Err(error.into()),
                }
            }
            plan.unused = unused;
        }
        Ok(plan)
    }

    fn tell(&mut self, census: &Census, plan: &Plan) {
        let tally = |numbers: &[u32]| doom::tally(numbers.iter().filter_map(|number| census.pack(*number)));
        self.report.packs = doom::tally(census.packs());
        self.report.used_bytes = census.packs().map(Pack::used_stored).sum();
        self.report.unmarked = tally(&plan.unmark);
        self.report.repacked = tally(&plan.repack);
        self.report.marked = tally(&plan.unused);
    }

    /// What would be deleted, or waits, if nothing changed.
    fn foretell(mut self, look: &Look, census: &Census) -> Result<PruneReport, VaultError> {
        let due = doom::due(look, census, self.options.grace, self.now());
        let going = due.going.iter().filter_map(|number| census.pack(*number)).filter(|pack| pack.used == 0);
        self.report.deleted = doom::tally(going);
        self.report.marked += self.report.repacked;
        (self.report.waiting, self.report.waiting_until, self.report.waiting_for) =
            (due.waiting, due.until, due.sessions);
        let waits = self.report.marked;
        if self.options.grace.is_zero() && look.live().next().is_none() {
            self.report.deleted += waits;
        } else {
            self.report.waiting += waits;
        }
        Ok(self.report)
    }

    /// Steps 3 and 4: new packs and their segments first, then the marks.
    fn carry_out(&mut self, plan: &Plan, index: &Index, census: &Census, live: &Live) -> Result<(), VaultError> {
        let Self { repository, sealer, context, .. } = self;
        let ids = |numbers: &[u32]| -> Vec<PackId> {
            numbers.iter().filter_map(|number| census.pack(*number)).map(|pack| pack.id).collect()
        };
        marks::unmark(repository, &ids(&plan.unmark))?;
        let pack_bytes = backup::pack_bytes(index.pack_count());
        let repack = Repack { repository, index, sealer, pack_bytes, context: *context };
        let repacked = repack.run(&plan.repack, census, live)?;
        let done: Vec<u32> = repacked.done.into_iter().collect();
        self.report.repacked = doom::tally(done.iter().filter_map(|number| census.pack(*number)));
        self.report.marked += self.report.repacked;
        self.report.written = repacked.written;
        self.report.problems.extend(repacked.problems);
        let marked: Vec<u32> = plan.unused.iter().chain(&done).copied().collect();
        Ok(marks::mark(self.repository, &ids(&marked))?)
    }

    /// Steps 5 to 7, made again from the beginning when somebody else wrote the journal meanwhile (D11).
    fn doom(&mut self, mut live: Live) -> Result<(), VaultError> {
        let mut bad = BadBlocks::new();
        for _ in 0..ATTEMPTS {
            let look = self.look()?;
            if !look.journal.segments.marked.is_empty() {
                // A copy counts only while a segment that stays lists its pack (D9).
                marks::unmark_segments(self.repository)?;
                continue;
            }
            if !doom::any_ripe(look.journal.packs.marked.values().copied(), self.options.grace, self.now()) {
                self.wait(&look);
                return Ok(());
            }
            let index = self.open(&look.journal)?;
            if look.roots.values().any(|tree| !self.walked.contains(tree)) {
                live = live.and(&self.walk(&index, &look)?)?;
            }
            let census = Census::take(&index, &look.journal)?;
            let due = doom::due(&look, &census, self.options.grace, self.now());
            let copies = Copies {
                repository: self.repository,
                index: &index,
                census: &census,
                live: &live,
                context: self.context,
            };
            bad.clear();
            let needed = copies.needed(&due.going, &mut bad)?;
            for block in &bad {
                let problem = copies::problem(&index, *block)?;
                if !self.report.problems.contains(&problem) {
                    self.report.problems.push(problem);
                }
            }
            let packs = |numbers: &mut dyn Iterator<Item = &u32>| -> Vec<PackId> {
                numbers.filter_map(|number| census.pack(*number)).map(|pack| pack.id).collect()
            };
            if !needed.is_empty() {
                self.report.unmarked += doom::tally(needed.iter().filter_map(|number| census.pack(*number)));
                marks::unmark(self.repository, &packs(&mut needed.iter()))?;
                continue;
            }
            (self.report.waiting, self.report.waiting_until, self.report.waiting_for) =
                (due.waiting, due.until, due.sessions);
            if due.going.is_empty() || self.append_doom(&look.journal, packs(&mut due.going.iter()))? {
                return Ok(());
            }
        }
        Err(VaultError::Undecided {
            what: "other processes wrote the journal each time before this one could".to_owned(),
            hint: "run `dssvault prune` again when fewer of them are at work".to_owned(),
        })
    }

    fn append_doom(&self, journal: &State, mut packs: Vec<PackId>) -> Result<bool, VaultError> {
        let Repository { secrets, seams, .. } = self.repository;
        packs.sort_unstable();
        // The rest is the next prune's: kept copies lie outside of all that may go.
        packs.truncate(marks::PACKS_PER_ENTRY);
        let entry = Entry::Doom(Objects::packs(packs));
        Ok(self.repository.journal().append_at(secrets, &*seams.clock, journal, entry)?.is_some())
    }

    /// Notes what waits when nothing is ripe; the packs' sizes are those of the store's listing.
    fn wait(&mut self, look: &Look) {
        let marks = &look.journal.packs.marked;
        self.report.waiting = Tally { count: marks.len() as u64, bytes: 0 };
        let listed = pack::copies::list(&*self.repository.storage).unwrap_or_default();
        let is_marked = |name: &str| name.parse::<PackId>().is_ok_and(|id| marks.contains_key(&id));
        self.report.waiting.bytes =
            listed.iter().filter(|entry| is_marked(entry.name.text())).map(|entry| entry.bytes).sum();
        let first = marks.values().map(|since| since.time).min();
        self.report.waiting_until = first.map(|time| doom::after(time, self.options.grace));
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
        Ok(self.report)
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

/// See [`super::optimize`].
pub fn optimize(repository: &Repository, dry_run: bool, context: Context<'_>) -> Result<PruneReport, VaultError> {
    let options = PruneOptions { dry_run, ..PruneOptions::default() };
    let mut prune = Prune::new(repository, &options, context)?;
    let journal = repository.journal().load()?;
    let index = prune.open(&journal)?;
    let figures = segments::figures(repository, &index, &journal)?;
    drop(index);
    let chosen = segments::choose(&figures, 2);
    prune.report.segments_merged = chosen.len() as u64;
    if !dry_run {
        prune.note(segments::merge(repository, &prune.sealer, &journal, &chosen, context)?);
        let deletion = deletion::delete(repository, Room::Enough, context)?;
        prune.report.deleted = deletion.packs;
        prune.report.problems.extend(deletion.problems());
        deletion.sweep(repository)?;
    }
    Ok(prune.report)
}

fn before(time: Timestamp, span: Duration) -> Timestamp {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    Timestamp { seconds: time.seconds.saturating_sub(seconds), nanos: time.nanos }
}
