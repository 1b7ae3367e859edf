//! A store in memory: as strict as the others and much faster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::clock::Timestamp;
use crate::base::object::{ObjectKind, ObjectName};
use crate::storage::{ObjectEntry, Published, Staged, Storage, StorageError};

/// Where the clock of the store begins: 2026-01-01. Every object created is one second younger than the last.
const FIRST_SECOND: i64 = 1_767_225_600;

#[derive(Clone)]
struct Object {
    content: Arc<[u8]>,
    created: Timestamp,
}

#[derive(Clone, Default)]
struct Objects {
    by_name: BTreeMap<ObjectName, Object>,
    /// Objects ever created: the store's clock.
    created: i64,
}

/// Objects in memory. Clones share their objects; [`MemoryStore::fork`] makes an independent copy.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Objects>>);

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy that changes no more with this one; contents are shared, so that it costs little.
    pub fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.objects().clone())))
    }

    /// The stored bytes of every object, by name.
    pub fn contents(&self) -> BTreeMap<ObjectName, Arc<[u8]>> {
        self.objects().by_name.iter().map(|(name, object)| (name.clone(), Arc::clone(&object.content))).collect()
    }

    /// Damages the store: gives an object other bytes, which no `Storage` ever does. Creates it if need be.
    pub fn replace(&self, name: &ObjectName, content: impl Into<Arc<[u8]>>) {
        let mut objects = self.objects();
        let created = objects.by_name.get(name).map_or_else(Timestamp::default, |object| object.created);
        objects.by_name.insert(name.clone(), Object { content: content.into(), created });
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self, name: &ObjectName) -> Result<Arc<[u8]>, StorageError> {
        let objects = self.objects();
        let object = objects.by_name.get(name);
        object
            .map(|object| Arc::clone(&object.content))
            .ok_or_else(|| StorageError::NotFound { name: name.clone(), location: self.location() })
    }
}

impl Storage for MemoryStore {
    fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        Ok(Box::new(MemoryStage { store: self.clone(), content: Vec::new() }))
    }

    fn get(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, StorageError> {
        let content = self.content(name)?;
        let bytes = content.len() as u64;
        if bytes > limit {
            return Err(StorageError::TooLarge { name: name.clone(), bytes, limit });
        }
        Ok(content.to_vec())
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StorageError> {
        let content = self.content(name)?;
        let wanted = offset.saturating_add(length as u64);
        let range = usize::try_from(offset).ok().and_then(|start| content.get(start..start.checked_add(length)?));
        range.map(<[u8]>::to_vec).ok_or_else(|| StorageError::Truncated { name: name.clone(), wanted })
    }

    fn list(&self, kind: ObjectKind) -> Result<Vec<ObjectEntry>, StorageError> {
        let objects = self.objects();
        let of_kind = objects.by_name.iter().filter(|(name, _)| name.kind() == kind);
        let entry = |(name, object): (&ObjectName, &Object)| ObjectEntry {
            name: name.clone(),
            bytes: object.content.len() as u64,
            created: object.created,
        };
        Ok(of_kind.map(entry).collect())
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.objects().by_name.remove(name);
        Ok(())
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}

struct MemoryStage {
    store: MemoryStore,
    content: Vec<u8>,
}

impl Staged for MemoryStage {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.content.extend_from_slice(bytes);
        Ok(())
    }

    fn publish(self: Box<Self>, name: &ObjectName) -> Result<Published, StorageError> {
        let mut objects = self.store.objects();
        if objects.by_name.contains_key(name) {
            return Ok(Published::AlreadyThere);
        }
        objects.created += 1;
        let created = Timestamp { seconds: FIRST_SECOND + objects.created, nanos: 0 };
        objects.by_name.insert(name.clone(), Object { content: self.content.into(), created });
        Ok(Published::Created)
    }
}
