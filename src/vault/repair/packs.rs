//! Mending packs: what can still be read of damaged ones is stored again, in new packs that segments list, and then
//! the journal marks the damaged ones, and missing ones too. What is lost with them it says as such: from then on backups
//! store those chunks again, also of files that look unchanged.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::base::id::PackId;
use crate::base::progress::{Event, Phase};
use crate::repo::Repository;
use crate::repo::chunks::ChunkReader;
use crate::repo::index::unlisted::list_unlisted_packs;
use crate::repo::index::{Index, IndexOptions, Verdicts};
use crate::repo::journal::{Entry, State};
use crate::repo::pack::copies;
use crate::vault::check::{Job, Losses, ReadData, Request, Root, Scratch, Verdict, workers};
use crate::vault::prune::marks;
use crate::vault::repair::salvage::{Bad, Salvaged, Salvager};
use crate::vault::repair::tables;
use crate::vault::sealer;
use crate::vault::{ChunkWriter, Context, VaultError};

/// A damaged pack and what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DamagedPack {
    /// Its name.
    pub id: PackId,
    /// What is wrong with it.
    pub cause: String,
    /// Whether it was marked before.
    pub marked: bool,
    /// What becomes of its chunks.
    #[serde(flatten)]
    pub chunks: Salvaged,
    #[serde(skip)]
    bad: Bad,
}

impl DamagedPack {
    /// Whether something is lost with it, as far as anybody can tell.
    fn is_loss(&self) -> bool {
        self.chunks.lost > 0 || self.bad.table.is_none()
    }
}

/// What mending packs takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PacksPlan {
    /// Packs read.
    pub read: u64,
    /// Damaged packs that something is to be done about.
    pub damaged: Vec<DamagedPack>,
    /// Packs the index lists, the store does not have, and snapshots need that count as whole.
    pub missing: Vec<PackId>,
    /// Packs the index lists and the store does not have, not marked yet, which no snapshot misses.
    pub unneeded: Vec<PackId>,
    /// Chunks in no pack anybody knows, which snapshots need that count as whole.
    pub unknown: u64,
    /// Damaged and missing packs about which everything was done before.
    pub done: u64,
}

impl PacksPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.damaged.is_empty() && self.missing.is_empty() && self.unneeded.is_empty() && self.unknown == 0
    }

    /// Whether something is lost of which the journal does not say so yet.
    pub fn is_loss(&self) -> bool {
        self.damaged.iter().any(DamagedPack::is_loss) || !self.missing.is_empty() || self.unknown > 0
    }
}

/// What became of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PacksRepair {
    /// The plan.
    pub plan: PacksPlan,
    /// Packs written.
    pub written: u64,
    /// Packs marked.
    pub marked: u64,
}

/// Everything looked at together.
struct Desk<'a> {
    repository: &'a Repository,
    context: Context<'a>,
    journal: State,
    index: Index,
}

impl<'a> Desk<'a> {
    fn open(repository: &'a Repository, context: Context<'a>) -> Result<Self, VaultError> {
        let journal = repository.journal().load()?;
        // Packs that segments list and that are gone must be known here, to be told and marked.
        let verdicts = Verdicts::of(&journal);
        let options = IndexOptions { verdicts, believing: true, ..IndexOptions::new(&context.folders.cache) };
        let index = Index::open_with(repository, options, context.progress, context.cancel)?;
        Ok(Self { repository, context, journal, index })
    }

    /// Numbers and names of all packs the index knows.
    fn known(&self) -> Result<BTreeMap<PackId, u32>, VaultError> {
        self.index.packs().map(|entry| Ok(entry.map(|(number, pack)| (pack.id, number))?)).collect()
    }

    /// What snapshots lack that count as whole. Data is not read for it.
    fn losses(&self) -> Result<Losses, VaultError> {
        let Self { repository, index, journal, context } = self;
        let request = Request::from(ReadData::None);
        let is_whole = |journal: &State, root: &Root| journal.is_whole_at(root.seen);
        Losses::find(repository, index, journal.clone(), request, is_whole, *context)
    }

    fn stored(&self) -> Result<BTreeMap<PackId, u64>, VaultError> {
        let listed = copies::list(&*self.repository.storage)?;
        let packs = listed.iter().filter_map(|entry| Some((entry.name.text().parse().ok()?, entry.bytes)));
        Ok(packs.filter(|(pack, _)| !self.journal.is_doomed(pack)).collect())
    }
}

/// Reads the named packs, or all, and finds out what is to be done.
pub fn plan(repository: &Repository, named: &[String], context: Context<'_>) -> Result<PacksPlan, VaultError> {
    let desk = Desk::open(repository, context)?;
    desk.index.adopt_unlisted_packs(repository, context.progress, context.cancel)?;
    let (known, stored) = (desk.known()?, desk.stored()?);
    let wanted = wanted(named, known.keys().chain(stored.keys()))?;
    let is_wanted = |pack: &PackId| wanted.as_ref().is_none_or(|wanted| wanted.contains(pack));
    let reading: Vec<(PackId, u64)> =
        stored.iter().filter(|(pack, _)| is_wanted(pack)).map(|(pack, bytes)| (*pack, *bytes)).collect();
    let total = reading.iter().map(|(_, bytes)| bytes).sum();
    context.progress.on(Event::Phase { phase: Phase::Data, total: Some(total) });
    let damaged = damaged(&desk, &known, &reading)?;
    let losses = desk.losses()?;
    let mut plan = PacksPlan { read: reading.len() as u64, ..PacksPlan::default() };
    for (pack, number) in known.iter().filter(|(pack, _)| is_wanted(pack) && !stored.contains_key(pack)) {
        match (losses.guilty.contains(number), desk.journal.is_marked(pack)) {
            (true, _) => plan.missing.push(*pack),
            (false, true) => plan.done += 1,
            (false, false) if losses.is_empty() => plan.unneeded.push(*pack),
            // Below a directory that is lost nobody knows what is needed.
            (false, false) => plan.missing.push(*pack),
        }
    }
    if wanted.is_none() {
        plan.unknown = losses.unknown();
    }
    let tables = tables::of(repository, &desk.journal, damaged.iter().map(|(pack, ..)| *pack).collect(), context)?;
    let mut salvager = salvager(&desk, damaged.iter().map(|(pack, ..)| *pack), &known);
    for (id, verdict) in damaged {
        let bad = Bad { lost: verdict.lost, table: tables.get(&id).cloned() };
        let chunks = salvager.examine(id, &bad, &mut |_, _, _| Ok(()))?;
        let (cause, marked) = (verdict.faults.join("; "), desk.journal.is_marked(&id));
        let pack = DamagedPack { id, cause, marked, chunks, bad };
        let missed = known.get(&id).is_some_and(|number| losses.guilty.contains(number));
        let is_told = !pack.is_loss() || desk.journal.is_lost(&id) && !missed;
        if marked && chunks.salvaged == 0 && is_told {
            plan.done += 1;
        } else {
            plan.damaged.push(pack);
        }
    }
    Ok(plan)
}

/// Does it: new packs, segments that list them, entries in the journal, in this order.
pub fn apply(repository: &Repository, plan: PacksPlan, context: Context<'_>) -> Result<PacksRepair, VaultError> {
    if plan.is_empty() {
        return Ok(PacksRepair { plan, ..PacksRepair::default() });
    }
    let desk = Desk::open(repository, context)?;
    let sealer = sealer::begin(repository)?;
    // What a run that was killed here had salvaged counts as a copy once it is listed.
    list_unlisted_packs(repository, &desk.index, &sealer, context.progress, context.cancel)?;
    let known = desk.known()?;
    let mut writer = ChunkWriter::new(repository, &sealer, &desk.index);
    let mut salvager = salvager(&desk, plan.damaged.iter().map(|pack| pack.id), &known);
    for pack in &plan.damaged {
        salvager.examine(pack.id, &pack.bad, &mut |domain, id, bytes| writer.add(domain, id, bytes.to_vec()))?;
    }
    let written = writer.finish()?.packs;
    let marked = say(&desk, &plan)?;
    Ok(PacksRepair { plan, written, marked })
}

/// Says in the journal which packs are lost, and marks those of which nothing is. Gives how many were not marked
/// before. Both follow from the journal alone: whoever loses a number asks it again.
fn say(desk: &Desk<'_>, plan: &PacksPlan) -> Result<u64, VaultError> {
    let mut marked = 0;
    if plan.is_loss() {
        let damaged = plan.damaged.iter().filter(|pack| pack.is_loss()).map(|pack| pack.id);
        let packs: Vec<PackId> = damaged.chain(plan.missing.iter().copied()).collect();
        marks::append(desk.repository, |state| {
            let packs: Vec<PackId> = packs.iter().filter(|pack| !state.is_doomed(pack)).copied().collect();
            // Another repair was faster.
            let is_said = state.last_lost > desk.journal.last_lost && packs.iter().all(|pack| state.is_lost(pack));
            marked = packs.iter().filter(|pack| !is_said && !state.is_marked(pack)).count() as u64;
            (!is_said).then_some(Entry::Lost(packs))
        })?;
    }
    let salvaged = plan.damaged.iter().filter(|pack| !pack.is_loss()).map(|pack| pack.id);
    let rest: Vec<PackId> = salvaged.chain(plan.unneeded.iter().copied()).collect();
    let before = desk.repository.journal().load()?;
    marks::mark(desk.repository, &rest)?;
    Ok(marked + rest.iter().filter(|pack| !before.is_marked(pack)).count() as u64)
}

/// Reads packs and gives those with something wrong, in order of name.
fn damaged(
    desk: &Desk<'_>,
    known: &BTreeMap<PackId, u32>,
    reading: &[(PackId, u64)],
) -> Result<Vec<(PackId, Verdict)>, VaultError> {
    let Context { cancel, progress, .. } = desk.context;
    let found = Mutex::new(BTreeMap::new());
    let mended = copies::mended(&*desk.repository.storage)?;
    workers::each(reading, workers::PACK_WORKERS, cancel, Scratch::new, |scratch, (pack, bytes)| {
        let indexed = known.get(pack).and_then(|number| desk.index.pack(*number).ok());
        let blocks = indexed.as_ref().map(|place| place.blocks.as_slice());
        let job = Job { repository: desk.repository, cancel, progress };
        let there = (Some(*bytes), mended.get(pack).copied());
        let verdict = job.verify_either(*pack, there, blocks, scratch);
        progress.on(Event::Advanced { bytes: 0, files: 1 });
        if !verdict.is_good() {
            found.lock().unwrap_or_else(PoisonError::into_inner).insert(*pack, verdict);
        }
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect())
}

fn salvager<'d>(
    desk: &'d Desk<'_>,
    damaged: impl Iterator<Item = PackId>,
    known: &BTreeMap<PackId, u32>,
) -> Salvager<'d> {
    let marked = desk.journal.packs.marked.keys().copied();
    let unreliable: HashSet<u32> = damaged.chain(marked).filter_map(|pack| known.get(&pack).copied()).collect();
    Salvager { chunks: ChunkReader::new(desk.repository, &desk.index), unreliable, taken: HashSet::new() }
}

/// The packs whose names begin as the user wrote; `None` if nothing was named: all.
fn wanted<'p>(
    named: &[String],
    all: impl Iterator<Item = &'p PackId> + Clone,
) -> Result<Option<BTreeSet<PackId>>, VaultError> {
    if named.is_empty() {
        return Ok(None);
    }
    let mut wanted = BTreeSet::new();
    for text in named {
        let front = text.strip_prefix("packs/").unwrap_or(text).to_ascii_lowercase();
        let fitting: BTreeSet<PackId> =
            all.clone().filter(|pack| !front.is_empty() && pack.to_string().starts_with(&front)).copied().collect();
        if fitting.len() != 1 {
            let what = match fitting.len() {
                0 => format!("there is no pack whose name begins with `{text}`"),
                several => format!("{several} packs have names that begin with `{text}`"),
            };
            let hint = Some("name packs as `dssvault check` does, or none to read all".to_owned());
            return Err(VaultError::Request { what, hint });
        }
        wanted.extend(fitting);
    }
    Ok(Some(wanted))
}
