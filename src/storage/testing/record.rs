//! A store that writes down what is asked of it: tests count calls instead of stopping watches, and check order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::object::{ObjectKind, ObjectName};
use crate::storage::{ObjectEntry, Published, Staged, Storage, StorageError};

/// One call to a store, recorded when it returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `stage`.
    Stage,
    /// `write` on a stage.
    Write {
        /// How many.
        bytes: usize,
    },
    /// `publish` on a stage.
    Publish {
        /// The final name.
        name: ObjectName,
        /// How it ended; `None` is an error.
        outcome: Option<Published>,
    },
    /// `get`.
    Get(ObjectName),
    /// `get_range`.
    GetRange {
        /// The object.
        name: ObjectName,
        /// From here.
        offset: u64,
        /// So many bytes.
        length: usize,
    },
    /// `list`.
    List(ObjectKind),
    /// `delete`.
    Delete(ObjectName),
}

impl Call {
    /// The name of the object that this call created, if it did.
    pub fn created(&self) -> Option<&ObjectName> {
        match self {
            Self::Publish { name, outcome: Some(Published::Created) } => Some(name),
            _ => None,
        }
    }

    /// Whether bytes of a pack are asked for.
    pub fn reads_pack(&self) -> bool {
        matches!(self, Self::GetRange { name, .. } | Self::Get(name) if name.kind() == ObjectKind::Pack)
    }

    /// Whether the call can change what is stored.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::Stage | Self::Write { .. } | Self::Publish { .. } | Self::Delete(_))
    }
}

/// Passes everything on to another store and remembers it, in order. Clones share the record.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<dyn Storage>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Recorder {
    /// Records what is asked of `inner`.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, calls: Arc::default() }
    }

    /// Everything so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    /// Everything so far, and begins anew.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.lock())
    }

    /// How many calls there were.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, call: Call, result: T) -> T {
        self.lock().push(call);
        result
    }
}

impl Storage for Recorder {
    fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        let staged = self.note(Call::Stage, self.inner.stage())?;
        Ok(Box::new(RecordedStage { inner: staged, record: self.clone() }))
    }

    fn get(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, StorageError> {
        self.note(Call::Get(name.clone()), self.inner.get(name, limit))
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StorageError> {
        let call = Call::GetRange { name: name.clone(), offset, length };
        self.note(call, self.inner.get_range(name, offset, length))
    }

    fn list(&self, kind: ObjectKind) -> Result<Vec<ObjectEntry>, StorageError> {
        self.note(Call::List(kind), self.inner.list(kind))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.note(Call::Delete(name.clone()), self.inner.delete(name))
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}

struct RecordedStage {
    inner: Box<dyn Staged>,
    record: Recorder,
}

impl Staged for RecordedStage {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let result = self.inner.write(bytes);
        self.record.note(Call::Write { bytes: bytes.len() }, result)
    }

    fn publish(self: Box<Self>, name: &ObjectName) -> Result<Published, StorageError> {
        let result = self.inner.publish(name);
        let call = Call::Publish { name: name.clone(), outcome: result.as_ref().ok().copied() };
        self.record.note(call, result)
    }
}
