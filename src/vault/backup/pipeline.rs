//! The threads of a backup and how they end: lister threads, the walk, readers on rayon, the assembler, the
//! publisher. Every channel is bounded; every end, good or bad, ends all of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, bounded, unbounded};

use crate::base::progress::Event;
use crate::repo::RepoError;
use crate::repo::pack::writer::PackWriter;
use crate::repo::session::Session;
use crate::repo::snapshot::Counts;
use crate::repo::tree::Entry;
use crate::vault::backup::assemble::{Assembled, Assembler};
use crate::vault::backup::batch::{Batch, Batcher, Outcomes, Permits};
use crate::vault::backup::item::{Reader, Reading, Stop};
use crate::vault::backup::lister::Lister;
use crate::vault::backup::problems::ProblemLog;
use crate::vault::backup::roots::Root;
use crate::vault::backup::state::{StateReader, StateWriter};
use crate::vault::backup::store::{ChunkStore, Filler, Lane, TreeChunks};
use crate::vault::backup::stored::Stored;
use crate::vault::backup::walk::Walk;
use crate::vault::{Context, VaultError};

/// Directories between walk and assembler.
const JOBS_AHEAD: usize = 1024;
/// How often a running session says that it lives.
const LEASE_INTERVAL: std::time::Duration = std::time::Duration::from_secs(600);

/// What a walk of paths is given.
pub struct Plan<'a> {
    /// The sources.
    pub root: Root,
    /// Lists directories.
    pub lister: &'a Lister,
    /// The last state.
    pub state: Option<StateReader>,
    /// See [`Walk::doubt`].
    pub doubt: Option<Stored<'a>>,
    /// Takes the new state.
    pub next_state: Option<StateWriter>,
    /// Takes problems.
    pub problems: &'a ProblemLog<'a>,
    /// Entries of the root besides those the walk meets, in the order of their names.
    pub grafts: Vec<Entry>,
}

/// What the walk saw and made.
pub struct Walked {
    /// Counts of entries and of what was read.
    pub counts: Counts,
    /// Entries and bytes left out.
    pub left_out: (u64, u64),
    /// Trees and state.
    pub assembled: Assembled,
}

/// Runs `work` while packs are published and the lease is renewed; then everything that was added is durable and
/// listed. After a failure of `work`, what was stored is kept for the next run as far as that is quick.
pub fn with_publisher<T>(
    store: &ChunkStore<'_>,
    full: &Receiver<Option<PackWriter>>,
    session: &Session<'_>,
    context: Context<'_>,
    work: impl FnOnce() -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    let (ended, end) = bounded::<()>(0);
    std::thread::scope(|threads| {
        let publisher = threads.spawn(|| store.publish(full));
        threads.spawn(move || {
            while end.recv_timeout(LEASE_INTERVAL) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
                // A lease that cannot be renewed shows at the commit: whoever fenced the session took its name.
                if let Err(error) = session.renew() {
                    let path = std::path::Path::new("sessions");
                    context.progress.on(Event::Problem { path, cause: &format!("lease not renewed: {error}") });
                }
            }
        });
        let made = work();
        let flushed = store.flush();
        store.close();
        let joined = publisher.join();
        drop(ended);
        let listed = store.list_rest();
        let made = made?;
        flushed?;
        if joined.is_err() {
            return Err(gone("the publishing thread"));
        }
        listed?;
        Ok(made)
    })
}

fn gone(what: &str) -> VaultError {
    RepoError::Local { action: "finish", what: what.to_owned(), why: "it ended unexpectedly".to_owned() }.into()
}

/// Walks, reads and assembles.
pub fn walk(
    plan: Plan<'_>,
    reading: &Reading<'_>,
    clock: &dyn crate::base::clock::Clock,
) -> Result<Walked, VaultError> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let pool = pool(threads)?;
    let permits = Permits::default();
    let (jobs_in, jobs_out) = bounded(JOBS_AHEAD);
    let (order_in, order_out) = unbounded();
    let readers = Readers { reading, threads, spread: AtomicUsize::new(0), windows: Mutex::default() };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(8) {
            scope.spawn(|| plan.lister.serve());
        }
        let assembler = Assembler::new(
            TreeChunks::new(reading.store),
            Outcomes::new(order_out, &permits),
            plan.problems,
            plan.next_state,
            clock,
        )
        .with_grafts(plan.grafts);
        let permits = &permits;
        let assembler = scope.spawn(move || {
            let assembled = assembler.run(&jobs_out);
            // Whoever waits for a permit would wait for ever once nobody releases any.
            permits.close();
            assembled
        });
        let walked = pool.in_place_scope_fifo(|tasks| {
            let dispatch = |batch: Batch| readers.dispatch(tasks, batch);
            let mut walk = Walk {
                lister: plan.lister,
                state: plan.state,
                doubt: plan.doubt,
                batcher: Some(Batcher::new(permits, order_in, &dispatch)),
                jobs: jobs_in,
                problems: plan.problems,
                cancel: reading.cancel,
                counts: Counts::default(),
                left_out: (0, 0),
                devices: Vec::new(),
            };
            let outcome = walk.run(plan.root);
            (outcome, walk.counts, walk.left_out)
        });
        plan.lister.close();
        let (outcome, counts, left_out) = walked;
        let assembled = assembler.join().map_err(|_| gone("the assembling thread"))?;
        match (outcome, assembled) {
            (Ok(()), Ok(assembled)) => Ok(Walked { counts, left_out, assembled }),
            // The assembler knows the cause when a reader or the repository failed.
            (_, Err(Stop::Repo(error))) | (Err(Stop::Repo(error)), _) => Err(error.into()),
            (Err(Stop::Cancelled), _) | (_, Err(Stop::Cancelled)) => Err(VaultError::Interrupted),
        }
    })
}

/// Runs `work` on this thread; blocks of `lane` it gives away are compressed on others.
pub fn with_spread<T>(
    reading: &Reading<'_>,
    lane: Lane,
    work: impl FnOnce(&dyn Fn(Filler) -> Result<(), RepoError>) -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    with_spread_lanes(reading, |spread| work(&|block| spread(lane, block)))
}

/// The same for blocks of any lane.
pub fn with_spread_lanes<T>(
    reading: &Reading<'_>,
    work: impl FnOnce(&dyn Fn(Lane, Filler) -> Result<(), RepoError>) -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let pool = pool(threads)?;
    let readers = Readers { reading, threads, spread: AtomicUsize::new(0), windows: Mutex::default() };
    pool.in_place_scope_fifo(|tasks| work(&|lane, block| readers.store_block(tasks, lane, true, block)))
}

fn pool(threads: usize) -> Result<rayon::ThreadPool, VaultError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("read-{number}"))
        .build()
        .map_err(|error| VaultError::local("start threads for", ".", std::io::Error::other(error)))
}

/// Sees what a backup would read, without reading it.
pub fn dry_walk(plan: Plan<'_>, context: Context<'_>) -> Result<(Counts, (u64, u64)), VaultError> {
    let (jobs, _) = bounded(1);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from).min(8) {
            scope.spawn(|| plan.lister.serve());
        }
        let mut walk = Walk {
            lister: plan.lister,
            state: plan.state,
            doubt: plan.doubt,
            batcher: None,
            jobs,
            problems: plan.problems,
            cancel: context.cancel,
            counts: Counts::default(),
            left_out: (0, 0),
            devices: Vec::new(),
        };
        let outcome = walk.run(plan.root);
        plan.lister.close();
        match outcome {
            Ok(()) => Ok((walk.counts, walk.left_out)),
            Err(Stop::Repo(error)) => Err(error.into()),
            Err(Stop::Cancelled) => Err(VaultError::Interrupted),
        }
    })
}

/// Reads batches on rayon's threads.
struct Readers<'r, 'a> {
    reading: &'r Reading<'a>,
    threads: usize,
    /// Blocks on their way to another thread.
    spread: AtomicUsize,
    /// Read windows for reuse.
    windows: Mutex<Vec<Vec<u8>>>,
}

impl<'r, 'a> Readers<'r, 'a> {
    fn dispatch<'s>(&'s self, tasks: &rayon::ScopeFifo<'s>, batch: Batch) {
        tasks.spawn_fifo(move |tasks| {
            let result = self.read(tasks, &batch);
            // If nobody waits for it the backup is ending already.
            let _ = batch.done.send(result);
        });
    }

    fn read<'s>(
        &'s self,
        tasks: &rayon::ScopeFifo<'s>,
        batch: &Batch,
    ) -> Result<Vec<crate::vault::backup::item::Outcome>, Stop> {
        let large = batch.items.iter().map(|item| item.stat.size).sum::<u64>() > (8 << 20);
        let spread = |block: Filler| self.store_block(tasks, Lane::Data, large, block);
        let window = lock(&self.windows).pop().unwrap_or_default();
        let mut reader = Reader::new(self.reading, Lane::Data, window, &spread);
        let outcomes = reader.read_all(&batch.items);
        lock(&self.windows).push(reader.finish());
        outcomes
    }

    /// Compresses a block of a large file on another thread if there is likely to be an idle one; a reader that
    /// is ahead of all others does it itself, which also bounds the blocks in memory.
    fn store_block<'s>(
        &'s self,
        tasks: &rayon::ScopeFifo<'s>,
        lane: Lane,
        large: bool,
        block: Filler,
    ) -> Result<(), RepoError> {
        if !large || self.spread.fetch_add(1, Ordering::Relaxed) >= self.threads * 2 {
            if large {
                self.spread.fetch_sub(1, Ordering::Relaxed);
            }
            return self.reading.store.store_block(lane, block);
        }
        tasks.spawn_fifo(move |_| {
            if let Err(error) = self.reading.store.store_block(lane, block) {
                self.reading.store.fail(error);
            }
            self.spread.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
