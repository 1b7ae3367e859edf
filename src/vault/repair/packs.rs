//! Mending packs: what can still be read of damaged ones is stored again, in new packs that segments list, and then
//! the journal says that the damaged ones are lost, and missing ones too: from then on backups store their chunks again,
//! also of files that look unchanged.

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
use crate::vault::check::{Job, Scratch, Verdict, workers};
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

/// What mending packs takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PacksPlan {
    /// Packs read.
    pub read: u64,
    /// Damaged packs that something is to be done about.
    pub damaged: Vec<DamagedPack>,
    /// Packs the index lists and the store does not have, and of which the journal does not say so yet.
    pub missing: Vec<PackId>,
    /// Damaged and missing packs about which everything was done before.
    pub done: u64,
}

impl PacksPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.damaged.is_empty() && self.missing.is_empty()
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
    let mut plan = PacksPlan::default();
    for pack in known.keys().filter(|pack| is_wanted(pack) && !stored.contains_key(pack)) {
        if desk.journal.is_lost(pack) {
            plan.done += 1;
        } else {
            plan.missing.push(*pack);
        }
    }
    let reading: Vec<(PackId, u64)> = stored.into_iter().filter(|(pack, _)| is_wanted(pack)).collect();
    let total = reading.iter().map(|(_, bytes)| bytes).sum();
    context.progress.on(Event::Phase { phase: Phase::Data, total: Some(total) });
    plan.read = reading.len() as u64;
    let damaged = damaged(&desk, &known, &reading)?;
    let tables = tables::of(repository, &desk.journal, damaged.iter().map(|(pack, ..)| *pack).collect(), context)?;
    let mut salvager = salvager(&desk, damaged.iter().map(|(pack, ..)| *pack), &known);
    for (id, verdict) in damaged {
        let bad = Bad { lost: verdict.lost, table: tables.get(&id).cloned() };
        let chunks = salvager.examine(id, &bad, &mut |_, _, _| Ok(()))?;
        let marked = desk.journal.is_marked(&id);
        if desk.journal.is_lost(&id) && chunks.salvaged == 0 {
            plan.done += 1;
        } else {
            plan.damaged.push(DamagedPack { id, cause: verdict.faults.join("; "), marked, chunks, bad });
        }
    }
    Ok(plan)
}

/// Does it: new packs, segments that list them, the entry in the journal, in this order.
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
    let gone: Vec<PackId> = plan.damaged.iter().map(|pack| pack.id).chain(plan.missing.iter().copied()).collect();
    let marked = mark(repository, &gone)?;
    Ok(PacksRepair { plan, written, marked })
}

/// Marks follow from the journal alone: whoever loses a number asks it again.
fn mark(repository: &Repository, packs: &[PackId]) -> Result<u64, VaultError> {
    let mut marked = 0;
    repository.journal().append(&repository.secrets, &*repository.seams.clock, |state| {
        let is_new = |pack: &&PackId| !state.is_doomed(pack) && !state.is_lost(pack);
        let fresh: Vec<PackId> = packs.iter().filter(is_new).copied().collect();
        marked = fresh.len() as u64;
        Ok((!fresh.is_empty()).then_some(Entry::Lost(fresh)))
    })?;
    Ok(marked)
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
