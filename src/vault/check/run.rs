//! Checking with keys, step by step.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use crate::base::id::PackId;
use crate::base::object::ObjectKind;
use crate::base::progress::{Event, Phase};
use crate::repo::chunks::ChunkReader;
use crate::repo::index::{Index, IndexOptions, Prefix, Verdicts};
use crate::repo::journal::State;
use crate::repo::{RepoError, Repository};
use crate::vault::check::affected::Affected;
use crate::vault::check::damage::{Damage, Lost, Why};
use crate::vault::check::data::{self, ReadPacks, Reading, StoredPack};
use crate::vault::check::findings::Findings;
use crate::vault::check::join::Joined;
use crate::vault::check::ledger::{self, Due};
use crate::vault::check::objects::{self, Root};
use crate::vault::check::packs::{self, Survey};
use crate::vault::check::references::References;
use crate::vault::check::segments::{self, Tables};
use crate::vault::check::trees::Walk;
use crate::vault::check::treeset::TreeSet;
use crate::vault::check::{CheckReport, Kind, Request, join, names};
use crate::vault::{Context, VaultError};

/// Everything one check holds on to.
pub struct Check<'a> {
    pub repository: &'a Repository,
    pub request: Request,
    pub context: Context<'a>,
    pub findings: &'a Findings<'a>,
    pub journal: State,
    pub damage: Damage,
    pub report: CheckReport,
}

/// What following all references showed.
pub struct Followed {
    survey: Survey,
    /// All tree chunks the index knows; those that were reached are seen.
    pub trees: TreeSet,
    read: ReadPacks,
    /// Packs that are needed, and those a lost chunk was in.
    pub joined: Joined,
    /// Chunks no copy of which can be read.
    pub lost: HashMap<Prefix, Why>,
}

/// See [`super::run()`].
pub fn run(repository: &Repository, request: Request, context: Context<'_>) -> Result<CheckReport, VaultError> {
    data::validate(request)?;
    let findings = Findings::new(context.progress);
    let (damage, report) = (Damage::default(), CheckReport::default());
    let journal = objects::journal(repository, &findings, context);
    let check = Check { repository, request, journal, context, findings: &findings, damage, report };
    let report = check.everything()?;
    Ok(CheckReport { findings: findings.into_sorted(), ..report })
}

impl Check<'_> {
    fn everything(mut self) -> Result<CheckReport, VaultError> {
        let Self { repository, context, findings, .. } = self;
        context.progress.on(Event::Phase { phase: Phase::Structure, total: None });
        self.report.bytes_read += objects::small(repository, findings, context)?;
        // Snapshots are listed before the index, the index before packs: a backup that ends meanwhile stores them
        // the other way round, so that whatever a listed snapshot needs is seen.
        let (roots, bytes) = objects::snapshots(repository, &self.journal, findings, context)?;
        self.report.bytes_read += bytes;
        self.report.snapshots = roots.len() as u64;
        let tables = segments::check(repository, &self.journal, findings, context)?;
        self.report.bytes_read += tables.bytes;
        let (mut index, mut stored) = (self.open_index(false)?, packs::stored(repository, &self.journal, findings));
        if packs::any_missing(&tables, &stored, &self.journal) {
            // An index leaves out what is gone; what was in it must be known to tell who needs it.
            drop(index);
            (index, stored) = (self.open_index(true)?, packs::stored(repository, &self.journal, findings));
        }
        self.report.packs = stored.len() as u64;
        self.report.mended_packs = stored.iter().filter(|pack| pack.mended.is_some()).count() as u64;
        self.report.parity_objects = names::list(&*repository.storage, ObjectKind::Parity, findings).len() as u64;
        match index {
            Some(index) => self.with_index(&index, &roots, &tables, stored)?,
            None => _ = self.read_packs(None, &tables, &Survey { stored, ..Survey::default() })?,
        }
        Ok(self.report)
    }

    /// An index that cannot be opened at all is a finding; a cache that cannot be written is an error.
    fn open_index(&self, believing: bool) -> Result<Option<Index>, VaultError> {
        let verdicts = Verdicts::of(&self.journal);
        let options = IndexOptions { verdicts, believing, ..IndexOptions::new(&self.context.folders.cache) };
        match Index::open_with(self.repository, options, self.context.progress, self.context.cancel) {
            Ok(index) => Ok(Some(index)),
            Err(RepoError::Interrupted) => Err(VaultError::Interrupted),
            Err(error @ RepoError::Local { .. }) => Err(error.into()),
            Err(error) => {
                let what = format_args!("it cannot be opened, no reference was followed: {error}");
                self.findings.damage(Kind::IndexUnusable, "index", what);
                Ok(None)
            }
        }
    }

    fn with_index(
        &mut self,
        index: &Index,
        roots: &[Root],
        tables: &Tables,
        stored: Vec<StoredPack>,
    ) -> Result<(), VaultError> {
        let Followed { survey, mut trees, read, joined, lost } = self.follow(index, roots, tables, stored)?;
        self.report.unused_packs = survey.unused(&joined.needed);
        packs::report_missing(&survey, &self.journal, &joined.guilty, self.findings);
        packs::report_blocks(index, &self.damage, &read.bad, &self.journal, self.findings);
        if lost.is_empty() {
            return Ok(());
        }
        trees.reset();
        let chunks = ChunkReader::new(self.repository, index);
        let (findings, context, damage) = (self.findings, self.context, &self.damage);
        let mut affected = Affected {
            chunks: &chunks,
            whole: &trees,
            lost: &lost,
            damage,
            findings,
            context,
            named: 0,
            named_here: Cell::new(0),
            marks: Cell::new(0),
        };
        roots.iter().try_for_each(|root| affected.snapshot(root))
    }

    /// Follows every reference and reads what was asked for: which chunks are lost, and with which packs.
    pub fn follow(
        &mut self,
        index: &Index,
        roots: &[Root],
        tables: &Tables,
        stored: Vec<StoredPack>,
    ) -> Result<Followed, VaultError> {
        let survey =
            packs::survey(self.repository, index, &self.journal, stored, &self.damage, self.findings, self.context)?;
        let chunks = ChunkReader::new(self.repository, index);
        let (trees, lost) = (self.tree_set(index, &survey)?, Lost::default());
        let references = Mutex::new(References::new(&self.context.folders.cache));
        let walk = Walk {
            chunks: &chunks,
            trees: &trees,
            damage: &self.damage,
            lost: &lost,
            references,
            excused: None,
            context: self.context,
            nodes: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
        };
        walk.run(roots.iter().map(|root| root.tree))?;
        self.report.trees = walk.nodes.into_inner();
        self.report.bytes_read += walk.bytes_read.into_inner();
        let references = walk.references.into_inner().unwrap_or_else(PoisonError::into_inner);
        let read = self.read_packs(Some(index), tables, &survey)?;
        let joined = join::run(references.into_sorted()?, index, &self.damage, &lost, self.context)?;
        Ok(Followed { survey, trees, read, joined, lost: lost.into_chunks() })
    }

    /// One pass over the index: which tree chunks there are, and how many chunks at all.
    fn tree_set(&mut self, index: &Index, survey: &Survey) -> Result<TreeSet, VaultError> {
        let (mut trees, mut last) = (TreeSet::default(), None);
        for (count, entry) in (0u64..).zip(index.scan()) {
            if count.is_multiple_of(join::STRIDE) && self.context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            let entry = entry?;
            if last.replace(entry.prefix) != Some(entry.prefix) {
                self.report.chunks += 1;
            }
            if survey.trees.contains(&entry.place.pack) {
                trees.push(entry.prefix);
            }
        }
        Ok(trees.close())
    }

    fn read_packs(&mut self, index: Option<&Index>, tables: &Tables, survey: &Survey) -> Result<ReadPacks, VaultError> {
        let Request { read, max_age, record, marked } = self.request;
        let clock = &self.repository.seams.clock;
        let due = max_age.map(|age| Due::within(age, clock.now())).transpose()?;
        let ledger = &self.journal.verified;
        let entropy = &*self.repository.seams.entropy;
        let mut chosen = data::select(read, due, survey.stored.clone(), ledger, entropy);
        if marked {
            let known: HashSet<PackId> = chosen.iter().map(|pack| pack.id).collect();
            let more = |pack: &&StoredPack| self.journal.is_marked(&pack.id) && !known.contains(&pack.id);
            chosen.extend(survey.stored.iter().filter(more));
        }
        let mut verified = ReadPacks::default();
        if !chosen.is_empty() {
            let reading = Reading {
                repository: self.repository,
                index,
                numbers: &survey.numbers,
                tables: &tables.hashes,
                journal: &self.journal,
                damage: &self.damage,
                findings: self.findings,
                context: self.context,
            };
            verified = reading.run(&chosen)?;
        }
        // What was verified before a stop need not be verified again.
        let mut kept = ledger::keep(self.repository, record, &verified.whole);
        if self.context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        ledger::sum_up(&mut kept, ledger, &survey.stored, &verified.whole);
        self.report.ledger = Some(kept);
        self.report.packs_read = verified.packs;
        self.report.bytes_read += verified.bytes;
        Ok(verified)
    }
}
