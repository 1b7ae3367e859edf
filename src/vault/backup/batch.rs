//! Items on their way to the readers, and their outcomes on the way back, both in the order of the walk.

use std::sync::{Condvar, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::vault::backup::item::{Item, Outcome, Stop};

/// Items read as one task: enough to outweigh its cost, few enough to keep all cores busy.
const BATCH_ITEMS: usize = 256;
/// Items in a batch at most.
const BATCH_ITEMS_MAX: usize = 512;
/// Content bytes after which a batch is closed.
const BATCH_BYTES: u64 = 4 << 20;
/// Items dispatched and not yet built into trees; bounds the memory for outcomes.
const OUTSTANDING_MAX: usize = 1 << 16;

/// What a batch becomes: its outcomes in order, or why reading stopped.
pub type BatchResult = Result<Vec<Outcome>, Stop>;

/// A batch and where its outcomes go.
pub struct Batch {
    /// What to read.
    pub items: Vec<Item>,
    /// Takes one result.
    pub done: Sender<BatchResult>,
}

/// Limits the items between walk and trees.
#[derive(Default)]
pub struct Permits {
    outstanding: Mutex<(usize, bool)>,
    released: Condvar,
}

impl Permits {
    fn acquire(&self, items: usize) {
        let mut state = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        while state.0 > OUTSTANDING_MAX && !state.1 {
            state = self.released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.0 += items;
    }

    /// Gives permits back.
    pub fn release(&self, items: usize) {
        let mut state = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = state.0.saturating_sub(items);
        self.released.notify_all();
    }

    /// Nobody will release any more: waiting ends for good.
    pub fn close(&self) {
        self.outstanding.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.released.notify_all();
    }
}

/// Gathers items into batches.
pub struct Batcher<'a> {
    items: Vec<Item>,
    bytes: u64,
    permits: &'a Permits,
    order: Sender<Receiver<BatchResult>>,
    dispatch: &'a dyn Fn(Batch),
}

impl<'a> Batcher<'a> {
    /// A batcher that tells `order` where each batch's outcomes will appear, and gives batches to `dispatch`.
    pub fn new(permits: &'a Permits, order: Sender<Receiver<BatchResult>>, dispatch: &'a dyn Fn(Batch)) -> Self {
        Self { items: Vec::new(), bytes: 0, permits, order, dispatch }
    }

    /// Adds an item of so many content bytes. Files that may share a chunk are not torn apart, so that where a
    /// batch ends has no influence on what is stored; only a long row of names without an end is.
    pub fn push(&mut self, item: Item, bytes: u64) {
        let full = self.items.len() >= BATCH_ITEMS || self.bytes >= BATCH_BYTES;
        let shares = self.items.last().is_some_and(|last| last.may_share_with(&item));
        if full && (!shares || self.items.len() >= BATCH_ITEMS_MAX) {
            self.flush();
        }
        self.bytes += bytes;
        self.items.push(item);
    }

    /// Dispatches what was gathered.
    pub fn flush(&mut self) {
        if self.items.is_empty() {
            return;
        }
        let items = std::mem::take(&mut self.items);
        self.bytes = 0;
        self.permits.acquire(items.len());
        let (done, outcome) = bounded(1);
        // If nobody wants outcomes any more the walk is about to be told so.
        let _ = self.order.send(outcome);
        (self.dispatch)(Batch { items, done });
    }
}

/// Hands outcomes out one by one, in the order their items were pushed.
pub struct Outcomes<'a> {
    order: Receiver<Receiver<BatchResult>>,
    permits: &'a Permits,
    current: std::vec::IntoIter<Outcome>,
}

impl<'a> Outcomes<'a> {
    /// The receiving side of a [`Batcher`].
    pub fn new(order: Receiver<Receiver<BatchResult>>, permits: &'a Permits) -> Self {
        Self { order, permits, current: Vec::new().into_iter() }
    }

    /// The next outcome; `Cancelled` if there will be none.
    pub fn next(&mut self) -> Result<Outcome, Stop> {
        loop {
            if let Some(outcome) = self.current.next() {
                return Ok(outcome);
            }
            let batch = self.order.recv().ok().and_then(|batch| batch.recv().ok());
            let outcomes = batch.unwrap_or(Err(Stop::Cancelled))?;
            self.permits.release(outcomes.len());
            self.current = outcomes.into_iter();
        }
    }
}
