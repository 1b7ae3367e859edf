//! A store in which something happens just before a call: somebody else writes, an object vanishes, the line breaks.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::object::{ObjectKind, ObjectName};
use crate::storage::testing::Call;
use crate::storage::{ObjectEntry, Staged, Storage, StorageError};

type Before = Box<dyn Fn(&Call) -> Result<(), StorageError> + Send + Sync>;

/// Asks before each call of `stage`, `get`, `get_range`, `list` and `delete`; an error is the answer to that call.
pub struct Watched {
    inner: Arc<dyn Storage>,
    before: Before,
}

impl Watched {
    /// Asks `before`, then `inner`.
    pub fn new(
        inner: Arc<dyn Storage>,
        before: impl Fn(&Call) -> Result<(), StorageError> + Send + Sync + 'static,
    ) -> Self {
        Self { inner, before: Box::new(before) }
    }

    /// Does something once, before the first call that `fits`.
    pub fn once(
        inner: Arc<dyn Storage>,
        fits: impl Fn(&Call) -> bool + Send + Sync + 'static,
        then: impl FnOnce() + Send + 'static,
    ) -> Self {
        let then: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(Some(Box::new(then)));
        Self::new(inner, move |call| {
            let then = if fits(call) { then.lock().unwrap_or_else(PoisonError::into_inner).take() } else { None };
            then.into_iter().for_each(|then| then());
            Ok(())
        })
    }
}

impl Storage for Watched {
    fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        (self.before)(&Call::Stage)?;
        self.inner.stage()
    }

    fn get(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, StorageError> {
        (self.before)(&Call::Get(name.clone()))?;
        self.inner.get(name, limit)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StorageError> {
        (self.before)(&Call::GetRange { name: name.clone(), offset, length })?;
        self.inner.get_range(name, offset, length)
    }

    fn list(&self, kind: ObjectKind) -> Result<Vec<ObjectEntry>, StorageError> {
        (self.before)(&Call::List(kind))?;
        self.inner.list(kind)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        (self.before)(&Call::Delete(name.clone()))?;
        self.inner.delete(name)
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}
