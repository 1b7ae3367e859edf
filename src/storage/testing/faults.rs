//! A store that fails on command, for tests that cut every run at every call.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::object::{ObjectKind, ObjectName};
use crate::base::random::{Entropy, SeededEntropy, array};
use crate::storage::{ObjectEntry, Published, Staged, Storage, StorageError};

/// Which calls fail, counted from 1 across all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This call and all later ones do nothing and fail: a power cut before it.
    From(usize),
    /// This call alone does nothing and fails.
    Once(usize),
    /// This call is cut in its middle and all later ones fail: a `write` stores a part of its bytes, and the
    /// temporary file stays behind as after a power cut; any other call does nothing.
    Tear(usize),
    /// This call is carried out and its answer lost: the caller sees an error.
    LostAnswer(usize),
}

enum Verdict {
    Pass,
    Fail,
    Tear,
    LoseAnswer,
}

/// Passes calls on to another store until the fault strikes. Clones share the count.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn Storage>,
    fault: Fault,
    calls: Arc<AtomicUsize>,
}

impl Faulty {
    /// A store that behaves as `inner` but for the fault.
    pub fn new(inner: Arc<dyn Storage>, fault: Fault) -> Self {
        Self { inner, fault, calls: Arc::default() }
    }

    /// Whether the call that is to fail was ever made. A loop over every `nth` may end when it was not.
    pub fn has_struck(&self) -> bool {
        let (Fault::From(nth) | Fault::Once(nth) | Fault::Tear(nth) | Fault::LostAnswer(nth)) = self.fault;
        self.calls.load(Ordering::SeqCst) >= nth
    }

    fn next(&self) -> Verdict {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        match self.fault {
            Fault::From(nth) if call >= nth => Verdict::Fail,
            Fault::Once(nth) if call == nth => Verdict::Fail,
            Fault::Tear(nth) if call == nth => Verdict::Tear,
            Fault::Tear(nth) if call > nth => Verdict::Fail,
            Fault::LostAnswer(nth) if call == nth => Verdict::LoseAnswer,
            _ => Verdict::Pass,
        }
    }

    fn failure(&self) -> StorageError {
        let source = io::Error::other(format!("a fault strikes on purpose: {:?}", self.fault));
        StorageError::Io { action: "reach", what: self.location(), source }
    }

    fn answer<T>(&self, call: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
        match self.next() {
            Verdict::Pass => call(),
            Verdict::Fail | Verdict::Tear => Err(self.failure()),
            Verdict::LoseAnswer => call().and_then(|_| Err(self.failure())),
        }
    }

    /// How much of a torn write is stored: between nothing and all but a byte, the same at every run.
    fn torn_length(&self, length: usize) -> usize {
        let random: [u8; 8] = array(&SeededEntropy::new(self.calls.load(Ordering::SeqCst) as u64) as &dyn Entropy);
        u64::from_le_bytes(random).checked_rem(length as u64).unwrap_or(0) as usize
    }
}

impl Storage for Faulty {
    fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        let inner = self.answer(|| self.inner.stage())?;
        Ok(Box::new(FaultyStage { inner: Some(inner), store: self.clone() }))
    }

    fn get(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, StorageError> {
        self.answer(|| self.inner.get(name, limit))
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StorageError> {
        self.answer(|| self.inner.get_range(name, offset, length))
    }

    fn list(&self, kind: ObjectKind) -> Result<Vec<ObjectEntry>, StorageError> {
        self.answer(|| self.inner.list(kind))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.answer(|| self.inner.delete(name))
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

struct FaultyStage {
    /// `None` after a tear.
    inner: Option<Box<dyn Staged>>,
    store: Faulty,
}

impl FaultyStage {
    /// Leaves the temporary file behind: after a power cut nobody tidies up.
    fn abandon(&mut self) -> StorageError {
        std::mem::forget(self.inner.take());
        self.store.failure()
    }
}

impl Staged for FaultyStage {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let verdict = self.store.next();
        let Some(inner) = &mut self.inner else { return Err(self.store.failure()) };
        match verdict {
            Verdict::Pass => inner.write(bytes),
            Verdict::Fail => Err(self.store.failure()),
            Verdict::LoseAnswer => inner.write(bytes).and_then(|()| Err(self.store.failure())),
            Verdict::Tear => {
                let stored = self.store.torn_length(bytes.len());
                inner.write(bytes.get(..stored).unwrap_or(bytes))?;
                Err(self.abandon())
            }
        }
    }

    fn publish(mut self: Box<Self>, name: &ObjectName) -> Result<Published, StorageError> {
        let verdict = self.store.next();
        let Some(inner) = self.inner.take() else { return Err(self.store.failure()) };
        match verdict {
            Verdict::Pass => inner.publish(name),
            Verdict::Fail => Err(self.store.failure()),
            Verdict::LoseAnswer => inner.publish(name).and_then(|_| Err(self.store.failure())),
            Verdict::Tear => {
                self.inner = Some(inner);
                Err(self.abandon())
            }
        }
    }
}
