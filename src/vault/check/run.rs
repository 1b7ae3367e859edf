//! Checking with keys, step by step.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use crate::base::progress::{Event, Phase};
use crate::repo::chunks::ChunkReader;
use crate::repo::index::{Index, IndexOptions, Verdicts};
use crate::repo::journal::State;
use crate::repo::{RepoError, Repository};
use crate::vault::check::affected::Affected;
use crate::vault::check::damage::{Damage, Lost};
use crate::vault::check::data::{self, ReadPacks, Reading, StoredPack};
use crate::vault::check::findings::Findings;
use crate::vault::check::objects::{self, Root};
use crate::vault::check::packs::{self, Survey};
use crate::vault::check::references::References;
use crate::vault::check::segments::{self, Tables};
use crate::vault::check::trees::Walk;
use crate::vault::check::treeset::TreeSet;
use crate::vault::check::{CheckReport, ReadData, join};
use crate::vault::{Context, VaultError};

/// Everything one check holds on to.
struct Check<'a> {
    repository: &'a Repository,
    read: ReadData,
    context: Context<'a>,
    findings: &'a Findings<'a>,
    damage: Damage,
    report: CheckReport,
}

/// See [`super::run()`].
pub fn run(repository: &Repository, read: ReadData, context: Context<'_>) -> Result<CheckReport, VaultError> {
    data::validate(read)?;
    let findings = Findings::new(context.progress);
    let (damage, report) = (Damage::default(), CheckReport::default());
    let report = Check { repository, read, context, findings: &findings, damage, report }.everything()?;
    Ok(CheckReport { findings: findings.into_sorted(), ..report })
}

impl Check<'_> {
    fn everything(mut self) -> Result<CheckReport, VaultError> {
        let Self { repository, context, findings, .. } = self;
        context.progress.on(Event::Phase { phase: Phase::Structure, total: None });
        self.report.bytes_read += objects::small(repository, findings, context)?;
        // Snapshots are listed before the index, the index before packs: a backup that ends meanwhile stores them
        // the other way round, so that whatever a listed snapshot needs is seen.
        let journal = objects::journal(repository, findings, context);
        let (roots, bytes) = objects::snapshots(repository, &journal, findings, context)?;
        self.report.bytes_read += bytes;
        self.report.snapshots = roots.len() as u64;
        let tables = segments::check(repository, self.read != ReadData::None, findings, context)?;
        self.report.bytes_read += tables.bytes;
        let index = self.open_index(&journal)?;
        let stored = packs::stored(repository, &journal, findings);
        self.report.packs = stored.len() as u64;
        match index {
            Some(index) => self.with_index(&index, &roots, &tables, stored)?,
            None => _ = self.read_packs(None, &tables, &Survey { stored, ..Survey::default() })?,
        }
        Ok(self.report)
    }

    /// An index that cannot be opened at all is a finding; a cache that cannot be written is an error.
    fn open_index(&self, journal: &State) -> Result<Option<Index>, VaultError> {
        let options =
            IndexOptions { verdicts: Verdicts::of(journal), ..IndexOptions::new(&self.context.folders.cache) };
        match Index::open_with(self.repository, options, self.context.progress, self.context.cancel) {
            Ok(index) => Ok(Some(index)),
            Err(RepoError::Interrupted) => Err(VaultError::Interrupted),
            Err(error @ RepoError::Local { .. }) => Err(error.into()),
            Err(error) => {
                self.findings.damage("index", format_args!("it cannot be opened, no reference was followed: {error}"));
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
        let survey = packs::survey(self.repository, index, stored, &self.damage, self.findings, self.context)?;
        let chunks = ChunkReader::new(self.repository, index);
        let (mut trees, lost) = (self.tree_set(index, &survey)?, Lost::default());
        let references = Mutex::new(References::new(&self.context.folders.cache));
        let walk = Walk {
            chunks: &chunks,
            trees: &trees,
            damage: &self.damage,
            lost: &lost,
            references,
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
        self.report.unused_packs = survey.unused(&joined.needed);
        packs::report_missing(&survey, &joined.guilty, self.findings);
        packs::report_blocks(index, &self.damage, &read.bad, self.findings);
        let lost = lost.into_chunks();
        if lost.is_empty() {
            return Ok(());
        }
        trees.reset();
        let (findings, context, damage) = (self.findings, self.context, &self.damage);
        let mut affected =
            Affected { chunks: &chunks, whole: &trees, lost: &lost, damage, findings, context, named: 0 };
        roots.iter().try_for_each(|root| affected.snapshot(&root.snapshot, root.tree))
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
        if self.read == ReadData::None {
            return Ok(ReadPacks::default());
        }
        let chosen = data::select(self.read, survey.stored.clone(), &*self.repository.seams.entropy);
        let reading = Reading {
            repository: self.repository,
            index,
            numbers: &survey.numbers,
            tables: &tables.hashes,
            damage: &self.damage,
            findings: self.findings,
            context: self.context,
        };
        let read = reading.run(&chosen)?;
        self.report.packs_read = read.packs;
        self.report.bytes_read += read.bytes;
        Ok(read)
    }
}
