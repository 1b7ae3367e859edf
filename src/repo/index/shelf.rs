//! What the cache is kept on: small values under typed keys, each with a checksum of its own.
//!
//! Values stay at 4 KiB or little more: sled gives larger ones files of their own and never lets go of their
//! memory (`docs/decisions/0006-index-cache.md`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::id::PackId;
use crate::codec::kdf::plain_hash;
use crate::repo::index::place::PackPlace;
use crate::repo::index::recent::Recent;
use crate::repo::index::run::FilterBudget;

/// The cache does not hold what it must hold, or cannot be used. Never an error of the repository: the answer is
/// to build the cache anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A map of bytes to bytes, shared by threads. Only flushed values need outlive the process.
pub trait Shelf: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;
    /// Sets the value of a key.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Fault>;
    /// Removes a key; one that is not there counts as removed.
    fn remove(&self, key: &[u8]) -> Result<(), Fault>;
    /// The first key not below this one.
    fn first_from(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;
    /// Makes everything put before durable.
    fn flush(&self) -> Result<(), Fault>;
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// What all other values add up to.
    Record,
    /// A part of the list of folded segments and adopted packs.
    Sources(u32),
    /// A part of the numbers of packs that do not count any more.
    Gone(u32),
    /// The number of a pack.
    Number(PackId),
    /// A part of a pack's blocks.
    Pack {
        /// The pack's number.
        number: u32,
        /// Which part.
        part: u32,
    },
    /// A part of a run.
    Run {
        /// The run.
        run: u32,
        /// Of what.
        part: RunPart,
        /// Which one.
        number: u32,
    },
}

/// What a run consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunPart {
    /// Pages of entries.
    Page,
    /// Where each page begins.
    Fence,
    /// Slices of the filter.
    Filter,
}

impl Key {
    /// The key as bytes, so that the parts of a run are neighbours in order.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Record => b"i".to_vec(),
            Self::Sources(number) => [b"s".as_slice(), &number.to_be_bytes()].concat(),
            Self::Gone(number) => [b"g".as_slice(), &number.to_be_bytes()].concat(),
            Self::Number(id) => [b"n".as_slice(), id.as_bytes()].concat(),
            Self::Pack { number, part } => [b"p".as_slice(), &number.to_be_bytes(), &part.to_be_bytes()].concat(),
            Self::Run { run, part, number } => {
                [run_front(run).as_slice(), &[part as u8], &number.to_be_bytes()].concat()
            }
        }
    }
}

const RUN_TAG: u8 = b'r';

/// What the keys of a run's parts begin with.
fn run_front(run: u32) -> [u8; 5] {
    let [a, b, c, d] = run.to_be_bytes();
    [RUN_TAG, a, b, c, d]
}

/// Pages kept decoded, in bytes: all of an index of half a million chunks. A page that must be fetched costs fifty
/// times as much as one that is here.
const PAGE_MEMORY: usize = 16 << 20;
/// Packs kept decoded, in blocks.
const PACK_MEMORY: usize = 64 << 10;
/// Filters kept in memory, in bytes: enough for 25 million chunks.
const FILTER_MEMORY: usize = 32 << 20;
const CHECKSUM_BYTES: usize = 8;

/// Pages by run and number.
type RecentPages = Recent<(u32, u32), Arc<[u8]>>;

/// A shelf whose values are checked, and a memory of what was read last.
pub struct Cache {
    shelf: Box<dyn Shelf>,
    pages: Mutex<RecentPages>,
    packs: Mutex<Recent<u32, Arc<PackPlace>>>,
    /// What the filters of its runs may take.
    pub filters: FilterBudget,
}

impl Cache {
    /// The cache on a shelf.
    pub fn new(shelf: Box<dyn Shelf>) -> Self {
        Self {
            shelf,
            pages: Mutex::new(Recent::new(PAGE_MEMORY)),
            packs: Mutex::new(Recent::new(PACK_MEMORY)),
            filters: FilterBudget::new(FILTER_MEMORY),
        }
    }

    /// A value; one whose checksum does not fit is a fault.
    pub fn get(&self, key: Key) -> Result<Option<Vec<u8>>, Fault> {
        let key_bytes = key.to_bytes();
        let Some(mut value) = self.shelf.get(&key_bytes)? else { return Ok(None) };
        let damaged = || Fault(format!("{key:?} is damaged"));
        let length = value.len().checked_sub(CHECKSUM_BYTES).ok_or_else(damaged)?;
        if checksum(&key_bytes, &value[..length]) != value[length..] {
            return Err(damaged());
        }
        value.truncate(length);
        Ok(Some(value))
    }

    /// A value that must be there.
    pub fn need(&self, key: Key) -> Result<Vec<u8>, Fault> {
        self.get(key)?.ok_or_else(|| Fault(format!("{key:?} is missing")))
    }

    /// Sets a value.
    pub fn put(&self, key: Key, body: &[u8]) -> Result<(), Fault> {
        let key_bytes = key.to_bytes();
        let value = [body, &checksum(&key_bytes, body)].concat();
        self.shelf.put(&key_bytes, &value)
    }

    /// Removes a value.
    pub fn remove(&self, key: Key) -> Result<(), Fault> {
        self.shelf.remove(&key.to_bytes())
    }

    /// Makes everything put before durable.
    pub fn flush(&self) -> Result<(), Fault> {
        self.shelf.flush()
    }

    /// A page of a run, from memory if it was read lately.
    pub fn page(&self, run: u32, number: u32) -> Result<Arc<[u8]>, Fault> {
        if let Some(page) = lock(&self.pages).get(&(run, number)) {
            return Ok(page);
        }
        let page: Arc<[u8]> = self.page_once(run, number)?.into();
        lock(&self.pages).insert((run, number), Arc::clone(&page), page.len());
        Ok(page)
    }

    /// A page of a run that is not worth remembering.
    pub fn page_once(&self, run: u32, number: u32) -> Result<Vec<u8>, Fault> {
        self.need(Key::Run { run, part: RunPart::Page, number })
    }

    /// The packs read lately.
    pub fn packs(&self) -> MutexGuard<'_, Recent<u32, Arc<PackPlace>>> {
        lock(&self.packs)
    }

    /// The lowest run not below `run` that has any part here.
    pub fn run_from(&self, run: u32) -> Result<Option<u32>, Fault> {
        let found = self.shelf.first_from(&run_front(run))?;
        let run_of = |key: &[u8]| match key {
            [RUN_TAG, a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => None,
        };
        Ok(found.and_then(|key| run_of(&key)))
    }

    /// Removes every part of a run, whatever is left of it.
    pub fn remove_run(&self, run: u32) -> Result<(), Fault> {
        let front = run_front(run);
        while let Some(key) = self.shelf.first_from(&front)?.filter(|key| key.starts_with(&front)) {
            self.shelf.remove(&key)?;
        }
        Ok(())
    }
}

fn checksum(key: &[u8], body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hash = plain_hash(body);
    // The key takes part, so that a value found under another key is no value.
    for (index, byte) in key.iter().enumerate() {
        hash[index % 32] ^= byte.rotate_left((index / 32) as u32);
    }
    let hash = plain_hash(&hash);
    std::array::from_fn(|index| hash[index])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
