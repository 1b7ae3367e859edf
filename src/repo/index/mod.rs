//! Where each chunk lies. The truth is the write-once segments in the store; a sled cache makes it quick.

mod bloom;
mod builder;
mod cache;
mod catalog;
mod connect;
mod gone;
mod merge;
mod options;
pub mod place;
mod present;
mod recent;
mod refresh;
mod run;
mod scan;
mod scratch;
pub mod segment;
mod shelf;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tiers;
pub mod unlisted;
mod view;

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::base::cancel::Cancel;
use crate::base::id::{ChunkId, PackId, SegmentId};
use crate::base::progress::{Progress, Silent};
use crate::codec::sign::SigningSecret;
use crate::repo::crypt::Sealer;
use crate::repo::error::RepoError;
use crate::repo::index::builder::{Builder, Built, Trouble};
use crate::repo::index::catalog::Origin;
use crate::repo::index::connect::{Home, Reading};
use crate::repo::index::run::Run;
use crate::repo::index::shelf::Fault;
use crate::repo::index::view::{Changed, View};
use crate::repo::journal::State;
use crate::repo::repository::Repository;

pub use options::{IndexOptions, IndexProblem, ListedSegment, Strictness, Verdicts};
pub use place::{BlockPlace, ChunkPlace, IndexEntry, PackPlace, Prefix, prefix_of};
pub use scan::{Packs, Scan};
pub use segment::ListedPack;

/// The index of one repository, as far as this process knows it. Shared by threads.
///
/// Every value of the cache is checked as it is read. When one is missing or damaged, the cache is built anew from
/// the segments, under the running command and with the same pack numbers, and the question is asked again.
pub struct Index {
    repository: Repository,
    home: Home,
    verdicts: RwLock<Arc<Verdicts>>,
    believing: bool,
    /// The journal as a refresh read it last; none before the first.
    journal: Mutex<Option<State>>,
    generation: AtomicU64,
    view: RwLock<Arc<View>>,
    /// Held by the one thread that changes the cache; the runs that wait to be removed.
    retired: Mutex<Vec<Arc<Run>>>,
    problems: Mutex<Vec<IndexProblem>>,
}

impl Index {
    /// Brings the cache in `cache_dir` up to date with the segments listed in the store, and opens it. All packs
    /// count as live; a damaged segment is reported and left out.
    pub fn open(
        repository: &Repository,
        cache_dir: &Path,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Self, RepoError> {
        Self::open_with(repository, IndexOptions::new(cache_dir), progress, cancel)
    }

    /// The same with the journal's verdicts: doomed packs are left out; marked packs are found by `places` but
    /// not by `contains`.
    ///
    /// Another process may have the cache, or the disk may refuse it: then this process builds one of its own in
    /// a temporary file. Fails if segments cannot be listed, if one was written by a newer version, if a damaged
    /// one must not be left out, or if no temporary file can be made either.
    pub fn open_with(
        repository: &Repository,
        options: IndexOptions<'_>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Self, RepoError> {
        let home = if options.believing { Home::private(options.cache_dir) } else { Home::take(options.cache_dir) };
        let (strictness, believing) = (options.strictness, options.believing);
        let (notice, verdicts) = (options.verdicts.last_swept, options.verdicts);
        let mut reading = Reading {
            repository,
            strictness,
            verdicts: &verdicts,
            notice,
            believing,
            progress,
            cancel,
            problems: Vec::new(),
        };
        let (cache, contents) = reading.connect(&home)?;
        let view = match View::new(cache, contents.clone(), &verdicts) {
            Ok(view) => view,
            Err(_) => {
                let (cache, contents) = reading.replay(&home, &contents.sources)?;
                View::new(cache, contents, &verdicts).map_err(|fault| connect::unusable(options.cache_dir, &fault))?
            }
        };
        let problems = Mutex::new(reading.problems);
        Ok(Self {
            repository: repository.handle(),
            home,
            verdicts: RwLock::new(Arc::new(verdicts)),
            believing,
            journal: Mutex::default(),
            generation: AtomicU64::new(0),
            view: RwLock::new(Arc::new(view)),
            retired: Mutex::default(),
            problems,
        })
    }

    /// Whether a writer may rely on a stored copy of this chunk: one in a live pack that a readable segment
    /// lists.
    pub fn contains(&self, id: &ChunkId) -> Result<bool, RepoError> {
        self.ask(|view| {
            let places = view.places(id)?;
            Ok(places.iter().any(|place| !view.is_unreliable(place.pack)))
        })
    }

    /// All known copies of a chunk, and of any other chunk whose id begins with the same 16 bytes.
    pub fn places(&self, id: &ChunkId) -> Result<Vec<ChunkPlace>, RepoError> {
        self.ask(|view| view.places(id))
    }

    /// The pack of a place.
    pub fn pack(&self, number: u32) -> Result<Arc<PackPlace>, RepoError> {
        self.ask(|view| view.pack(number))?.ok_or_else(|| RepoError::Local {
            action: "find",
            what: format!("pack number {number} in the index cache"),
            why: "no segment gave this number".to_owned(),
        })
    }

    /// Folds a segment this process has just stored into the cache, so that the next run need not read it.
    pub fn fold(&self, segment: SegmentId, packs: &[ListedPack]) -> Result<(), RepoError> {
        self.change(&Cancel::default(), |builder| {
            if builder.contents().holds(segment) {
                return Ok(());
            }
            builder.begin(Origin::Segment(segment));
            for (id, bytes, table) in packs {
                builder.add(*id, *bytes, table)?;
            }
            Ok(builder.end()?)
        })
    }

    /// Stores the packs' tables as segments and folds them.
    pub fn store(
        &self,
        repository: &Repository,
        sealer: &Sealer,
        signing: &SigningSecret,
        packs: &[ListedPack],
    ) -> Result<Vec<SegmentId>, RepoError> {
        let mut ids = Vec::new();
        for written in segment::write(repository, sealer, signing, packs)? {
            self.fold(written.id, &packs[written.packs])?;
            ids.push(written.id);
        }
        Ok(ids)
    }

    /// Whether a readable segment lists this pack.
    pub fn lists(&self, pack: &PackId) -> Result<bool, RepoError> {
        self.ask(|view| view.lists(pack))
    }

    /// The segments the cache holds, in the order they were folded in.
    pub fn segments(&self) -> Result<Vec<ListedSegment>, RepoError> {
        let verdicts = self.verdicts();
        self.ask(|view| view.segments(&verdicts))
    }

    /// Whether the journal marks or dooms this pack.
    pub fn is_condemned(&self, pack: &PackId) -> bool {
        let verdicts = self.verdicts();
        verdicts.marked.contains(pack) || verdicts.doomed.contains(pack)
    }

    /// Segments and packs that could not be read, in the order they were met.
    pub fn problems(&self) -> Vec<IndexProblem> {
        lock(&self.problems).clone()
    }

    /// How many copies of chunks are known; some of them may be in packs that do not count any more.
    pub fn chunk_count(&self) -> u64 {
        self.view().contents.record.entries
    }

    /// How many packs are known.
    pub fn pack_count(&self) -> u64 {
        self.view().contents.record.packs
    }

    /// All entries of packs that are not doomed, in order, as they are now. Streams: memory does not grow with
    /// the index. After a failure nothing more comes.
    pub fn scan(&self) -> Scan<'_> {
        Scan::new(self)
    }

    /// All packs that are not doomed, with their numbers, in order of number. Streams.
    pub fn packs(&self) -> Packs<'_> {
        Packs::new(self)
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn verdicts(&self) -> Arc<Verdicts> {
        Arc::clone(&self.verdicts.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn install(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// Asks the cache; if it is broken, once more after it was built anew.
    fn ask<T>(&self, question: impl Fn(&View) -> Result<T, Fault>) -> Result<T, RepoError> {
        let view = self.view();
        match question(&view) {
            Ok(answer) => Ok(answer),
            Err(_) => {
                self.heal(&view)?;
                question(&self.view()).map_err(|fault| self.unusable(&fault))
            }
        }
    }

    /// Changes the cache; if it is broken, once more after it was built anew.
    fn change(
        &self,
        cancel: &Cancel,
        mut add: impl FnMut(&mut Builder<'_>) -> Result<(), Trouble>,
    ) -> Result<(), RepoError> {
        let mut retired = lock(&self.retired);
        let mut last = Fault(String::new());
        for _ in 0..2 {
            let view = self.view();
            match self.changed(&view, cancel, &mut add) {
                Ok(None) => return Ok(()),
                Ok(Some((changed, merged))) => {
                    self.install(changed);
                    retired.extend(merged);
                    drop(view);
                    return self.remove_retired(&mut retired);
                }
                Err(Trouble::Repo(error)) => return Err(error),
                Err(Trouble::Cache(fault)) => {
                    last = fault;
                    self.heal_locked(&mut retired, &view)?;
                }
            }
        }
        Err(self.unusable(&last))
    }

    fn changed(
        &self,
        view: &View,
        cancel: &Cancel,
        add: &mut dyn FnMut(&mut Builder<'_>) -> Result<(), Trouble>,
    ) -> Result<Option<Changed>, Trouble> {
        let mut builder = Builder::new(&view.cache, view.contents.clone(), &self.home.sorting_folder());
        add(&mut builder)?;
        if builder.contents().sources.len() == view.contents.sources.len() {
            return Ok(None);
        }
        let Built { contents, retired } = builder.finish(cancel)?;
        Ok(Some((View::new(Arc::clone(&view.cache), contents, &self.verdicts())?, retired)))
    }

    /// Removes merged runs that no reader holds any more.
    fn remove_retired(&self, retired: &mut Vec<Arc<Run>>) -> Result<(), RepoError> {
        let view = self.view();
        let (gone, held) = std::mem::take(retired).into_iter().partition(|run| Arc::strong_count(run) == 1);
        *retired = held;
        let removed = Vec::<Arc<Run>>::into_iter(gone).try_for_each(|run| run.remove(&view.cache));
        removed.or_else(|_| self.heal_locked(retired, &view))
    }

    fn heal(&self, broken: &Arc<View>) -> Result<(), RepoError> {
        self.heal_locked(&mut lock(&self.retired), broken)
    }

    /// Builds the cache anew, unless another thread has done so meanwhile.
    fn heal_locked(&self, retired: &mut Vec<Arc<Run>>, broken: &Arc<View>) -> Result<(), RepoError> {
        let view = self.view();
        if !Arc::ptr_eq(&view.cache, &broken.cache) {
            return Ok(());
        }
        retired.clear();
        let (repository, cancel) = (&self.repository, &Cancel::default());
        let strictness = Strictness::Lenient;
        let verdicts = &*self.verdicts();
        let mut reading = Reading {
            repository,
            strictness,
            verdicts,
            notice: verdicts.last_swept,
            believing: self.believing,
            progress: &Silent,
            cancel,
            problems: Vec::new(),
        };
        let (cache, contents) = reading.replay(&self.home, &view.contents.sources)?;
        self.install(View::new(cache, contents, verdicts).map_err(|fault| self.unusable(&fault))?);
        Ok(())
    }

    fn unusable(&self, fault: &Fault) -> RepoError {
        connect::unusable(&self.home.sorting_folder(), fault)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
