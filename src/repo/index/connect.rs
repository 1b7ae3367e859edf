//! Bringing a cache up to date: the one on disk if it can be used, else a new one, else one in a temporary file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::cancel::Cancel;
use crate::base::id::{PackId, SegmentId};
use crate::base::object::{ObjectKind, ObjectName};
use crate::base::progress::{Event, Phase, Progress};
use crate::repo::error::RepoError;
use crate::repo::index::builder::{self, Builder, Built, Contents, Trouble};
use crate::repo::index::cache::CacheFolder;
use crate::repo::index::catalog::{Origin, Record, Source};
use crate::repo::index::present::Present;
use crate::repo::index::scratch::ScratchShelf;
use crate::repo::index::segment::{self, Segment};
use crate::repo::index::shelf::{Cache, Fault};
use crate::repo::index::{IndexProblem, Strictness, Verdicts};
use crate::repo::pack::reader;
use crate::repo::repository::Repository;
use crate::storage::{ObjectEntry, StorageError};

/// Where this process may keep its cache.
pub struct Home {
    folder: PathBuf,
    lock: Option<CacheFolder>,
}

/// A kind of cache to try.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Medium {
    OnDisk,
    NewOnDisk,
    /// In a temporary file beside the cache.
    Scratch,
    /// In a temporary file where the system keeps them.
    SystemScratch,
}

impl Home {
    /// Takes the cache below `cache_dir`, if no other process has it and the file system allows it.
    pub fn take(cache_dir: &Path) -> Self {
        let folder = cache_dir.join("index");
        // Whatever is wrong with the folder, a temporary file will do.
        let lock = CacheFolder::take(&folder).ok().flatten();
        Self { folder, lock }
    }

    /// No cache on disk: one for this process alone.
    pub fn private(cache_dir: &Path) -> Self {
        Self { folder: cache_dir.join("index"), lock: None }
    }

    /// Where large things may be sorted.
    pub fn sorting_folder(&self) -> PathBuf {
        if self.folder.is_dir() { self.folder.clone() } else { std::env::temp_dir() }
    }

    fn open(&self, medium: Medium) -> Result<Option<Cache>, Fault> {
        Ok(match (medium, &self.lock) {
            (Medium::OnDisk, Some(lock)) => lock.open()?.map(|shelf| Cache::new(Box::new(shelf))),
            (Medium::NewOnDisk, Some(lock)) => Some(Cache::new(Box::new(lock.create()?))),
            (Medium::OnDisk | Medium::NewOnDisk, None) => None,
            (Medium::Scratch, _) => Some(Cache::new(Box::new(ScratchShelf::create(&self.folder)?))),
            (Medium::SystemScratch, _) => Some(Cache::new(Box::new(ScratchShelf::create(&std::env::temp_dir())?))),
        })
    }

    /// The first medium on which `fill` succeeds.
    fn first_good(
        &self,
        media: &[Medium],
        mut fill: impl FnMut(&Cache, Medium, &Path) -> Result<Contents, Trouble>,
    ) -> Result<(Arc<Cache>, Contents), RepoError> {
        let mut last = Fault("it is in use".to_owned());
        for medium in media {
            let cache = match self.open(*medium) {
                Ok(Some(cache)) => cache,
                Ok(None) => continue,
                Err(fault) => {
                    last = fault;
                    continue;
                }
            };
            let sorting = if *medium == Medium::SystemScratch { std::env::temp_dir() } else { self.sorting_folder() };
            match fill(&cache, *medium, &sorting) {
                Ok(contents) => return Ok((Arc::new(cache), contents)),
                Err(Trouble::Repo(error)) => return Err(error),
                Err(Trouble::Cache(fault)) => last = fault,
            }
        }
        Err(unusable(&self.folder, &last))
    }
}

/// The error of a cache that cannot be used anywhere.
pub fn unusable(folder: &Path, fault: &Fault) -> RepoError {
    RepoError::Local { action: "use", what: format!("the index cache {}", folder.display()), why: fault.to_string() }
}

/// What reading segments needs, and what it could not read.
pub struct Reading<'a> {
    /// Where from.
    pub repository: &'a Repository,
    /// What a damaged segment means.
    pub strictness: Strictness,
    /// What the journal said before anything was listed.
    pub verdicts: &'a Verdicts,
    /// The last *swept* entry the cache will have taken notice of (I2). Only what was read before the index was opened:
    /// a writer enters packs of its own unlooked, which must be older than any entry noticed.
    pub notice: u64,
    /// Whether packs count that are not there.
    pub believing: bool,
    /// Told of each segment.
    pub progress: &'a dyn Progress,
    /// Ends it.
    pub cancel: &'a Cancel,
    /// What could not be read.
    pub problems: Vec<IndexProblem>,
}

impl Reading<'_> {
    /// A cache that holds every readable segment of the store.
    pub fn connect(&mut self, home: &Home) -> Result<(Arc<Cache>, Contents), RepoError> {
        let listing = self.listing()?;
        let media = [Medium::OnDisk, Medium::NewOnDisk, Medium::Scratch, Medium::SystemScratch];
        let present = Present::new(self.repository, self.verdicts, self.believing);
        let filled = home.first_good(&media, |cache, medium, sorting| {
            self.problems.clear();
            let contents = match builder::contents(cache, self.repository.id())? {
                Some(contents) => contents,
                None if medium == Medium::OnDisk => return Err(Fault("it is not of this repository".into()).into()),
                None => Contents::new(Record::new(self.repository.id())),
            };
            let built = self.catch_up(cache, contents, &listing, &present, sorting)?;
            remove_retired(cache, &built)?;
            Ok(built.contents)
        });
        for problem in &self.problems {
            let path = problem.name.to_string();
            self.progress.on(Event::Problem { path: Path::new(&path), cause: &problem.cause });
        }
        filled
    }

    /// What is new since a cache in use was brought up to date. The runs it merged may be in use too.
    pub fn refresh(&mut self, cache: &Cache, contents: Contents, sorting: &Path) -> Result<Built, Trouble> {
        let listing = self.listing()?;
        let present = Present::new(self.repository, self.verdicts, self.believing);
        self.catch_up(cache, contents, &listing, &present, sorting)
    }

    /// The segments that are not doomed, the oldest first: a doomed one vanishes any moment and lists nothing (I4).
    fn listing(&self) -> Result<Vec<ObjectEntry>, RepoError> {
        let mut listing = self.repository.storage.list(ObjectKind::Index)?;
        let doomed = &self.verdicts.doomed_segments;
        listing.retain(|entry| segment::id_of(&entry.name).is_none_or(|id| !doomed.contains(&id)));
        listing.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        Ok(listing)
    }

    /// A cache built from the same sources in the same order as one that failed, so that pack numbers stay.
    pub fn replay(&mut self, home: &Home, sources: &[Source]) -> Result<(Arc<Cache>, Contents), RepoError> {
        let media = [Medium::NewOnDisk, Medium::Scratch, Medium::SystemScratch];
        let present = Present::new(self.repository, self.verdicts, self.believing);
        home.first_good(&media, |cache, _, sorting| {
            let mut builder = Builder::new(cache, Contents::new(Record::new(self.repository.id())), sorting);
            for source in sources {
                self.replay_one(&mut builder, source, &present)?;
            }
            builder.take_notice(self.notice);
            Ok(builder.finish(self.cancel)?.contents)
        })
    }

    fn catch_up(
        &mut self,
        cache: &Cache,
        contents: Contents,
        listing: &[ObjectEntry],
        present: &Present<'_>,
        sorting: &Path,
    ) -> Result<Built, Trouble> {
        let folded: HashSet<SegmentId> = contents.sources.iter().filter_map(Source::segment).collect();
        let is_new = |entry: &&ObjectEntry| segment::id_of(&entry.name).is_none_or(|id| !folded.contains(&id));
        let new: Vec<&ObjectEntry> = listing.iter().filter(is_new).collect();
        let looks_again = self.must_look_again(cache, &contents)?;
        if new.is_empty() && !looks_again {
            require_listed(&contents, listing)?;
            return Ok(Built { contents, retired: Vec::new() });
        }
        let mut builder = Builder::new(cache, contents, sorting);
        if looks_again {
            let packs = present.packs()?;
            builder.look_again(|id| packs.contains_key(id) || present.believes(id))?;
        }
        let total = Some(new.iter().map(|entry| entry.bytes).sum());
        self.progress.on(Event::Phase { phase: Phase::Index, total });
        for entry in new {
            self.fold_listed(&mut builder, entry, present)?;
            self.progress.on(Event::Advanced { bytes: entry.bytes, files: 1 });
        }
        builder.take_notice(self.notice);
        // Only now is it known which vanished segments a merged one stands for.
        require_listed(builder.contents(), listing)?;
        builder.finish(self.cancel)
    }

    /// Whether packs of the cache may be gone: swept since it last took notice (I2), or doomed.
    fn must_look_again(&self, cache: &Cache, contents: &Contents) -> Result<bool, Fault> {
        if self.verdicts.last_swept > contents.record.last_swept {
            return Ok(true);
        }
        for pack in &self.verdicts.doomed {
            if contents.number_of(cache, pack)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fold_listed(
        &mut self,
        builder: &mut Builder<'_>,
        entry: &ObjectEntry,
        present: &Present<'_>,
    ) -> Result<(), Trouble> {
        if self.cancel.is_requested() {
            return Err(RepoError::Interrupted.into());
        }
        let Some(id) = segment::id_of(&entry.name) else {
            return Ok(self.tolerate(&entry.name, RepoError::damaged(&entry.name, "its name is not a hash"))?);
        };
        match Segment::load(self.repository, id) {
            Ok(segment) => {
                builder.begin(Origin::Segment(id));
                fold_packs(builder, id, &segment, present)?;
                Ok(builder.end()?)
            }
            // Merged into another and removed since the listing was made.
            Err(RepoError::Storage(StorageError::NotFound { .. })) => Ok(()),
            Err(error) => Ok(self.tolerate(&entry.name, error)?),
        }
    }

    /// Notes that an object cannot be read, or fails if that is what was asked for, or if the reason is not the
    /// object's own.
    pub fn tolerate(&mut self, name: &ObjectName, error: RepoError) -> Result<(), RepoError> {
        let of_this_object = matches!(error, RepoError::Damaged { .. } | RepoError::Storage(_));
        if !of_this_object || self.strictness == Strictness::Strict {
            return Err(error);
        }
        self.problems.push(IndexProblem { name: name.clone(), cause: error.to_string() });
        Ok(())
    }

    fn replay_one(&mut self, builder: &mut Builder<'_>, source: &Source, present: &Present<'_>) -> Result<(), Trouble> {
        if self.cancel.is_requested() {
            return Err(RepoError::Interrupted.into());
        }
        builder.begin(source.origin);
        let read = match source.origin {
            Origin::Segment(id) => match Segment::load(self.repository, id) {
                Ok(segment) => Ok(fold_packs(builder, id, &segment, present)?),
                Err(error) => Err(error),
            },
            Origin::Adopted(id) | Origin::Listed(id) => match self.read_table(id, present) {
                Ok((bytes, table)) => Ok(builder.add(id, bytes, &table)?),
                Err(error) => Err(error),
            },
            Origin::Lost => return Ok(builder.lose(source.packs)?),
        };
        match read {
            Ok(()) => Ok(builder.end()?),
            Err(RepoError::Damaged { .. } | RepoError::Storage(StorageError::NotFound { .. })) => {
                Ok(builder.lose(source.packs)?)
            }
            // What cannot be reached now is not lost.
            Err(error) => Err(error.into()),
        }
    }

    fn read_table(&self, id: PackId, present: &Present<'_>) -> Result<(u64, crate::repo::pack::PackTable), RepoError> {
        let gone = || RepoError::damaged(&reader::name(id), "it is gone");
        let bytes = *present.packs()?.get(&id).ok_or_else(gone)?;
        Ok((bytes, reader::read_table(self.repository, id, bytes)?))
    }
}

fn fold_packs(
    builder: &mut Builder<'_>,
    id: SegmentId,
    segment: &Segment,
    present: &Present<'_>,
) -> Result<(), Trouble> {
    let packs = present.packs()?;
    for pack in segment.packs() {
        let (pack, bytes, table) = pack.map_err(|why| RepoError::damaged(&segment::name(id), why))?;
        // A late segment may name packs that were deleted long ago (I1).
        if packs.contains_key(&pack) || present.believes(&pack) {
            builder.add(pack, bytes, &table)?
        } else {
            builder.skip()?
        }
    }
    Ok(())
}

/// A segment that vanished may take its packs along, unless another one lists them too (I4).
fn require_listed(contents: &Contents, listing: &[ObjectEntry]) -> Result<(), Fault> {
    let listed: HashSet<SegmentId> = listing.iter().filter_map(|entry| segment::id_of(&entry.name)).collect();
    for source in contents.sources.iter().filter(|source| source.new_packs > 0) {
        let covered = source.covered_by.is_some_and(|cover| listed.contains(&cover));
        let stands = match source.origin {
            Origin::Segment(id) => listed.contains(&id) || covered,
            Origin::Listed(_) => covered,
            Origin::Adopted(_) | Origin::Lost => true,
        };
        if !stands {
            return Err(Fault("a segment is gone, and with it perhaps its packs".to_owned()));
        }
    }
    Ok(())
}

/// Removes runs that were merged and that nobody can be reading.
fn remove_retired(cache: &Cache, built: &Built) -> Result<(), Fault> {
    built.retired.iter().try_for_each(|run| run.remove(cache))
}
