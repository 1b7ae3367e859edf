//! A repository in a local (or mounted) directory: `<root>/<folder>/<name>`, with a folder in between for packs
//! and index segments, named by the first two characters. Files being written lie in `<root>/tmp`.

mod create;
mod handles;
mod layout;
mod list;
pub mod probe;
mod publish;
mod stage;
mod sweep;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use self::handles::{Handle, Handles};
pub use self::layout::Modes;
use self::layout::Place;
use self::stage::LocalStage;
use crate::base::object::{ObjectKind, ObjectName};
use crate::storage::{CreateMethod, ObjectEntry, Staged, Storage, StorageError};

/// A directory as a store.
pub struct LocalStore {
    place: Arc<Place>,
    handles: Handles,
}

impl LocalStore {
    /// The store in the directory `root`, which objects are created in by `create`, for the group too if the
    /// repository is shared with one. Temporary files that killed
    /// processes left a day ago are removed. Fails if the directory is missing or cannot be entered.
    pub fn open(root: impl AsRef<Path>, create: CreateMethod) -> Result<Self, StorageError> {
        let root = root.as_ref();
        let store = Self::build(Place::new(root.to_owned(), create, Modes::found_in(root)));
        layout::open_folder(root).map_err(|source| store.place.failed("open", root, source))?;
        store.sweep();
        Ok(store)
    }

    /// The same store creating objects in another way: for the method found in the configuration, which can only
    /// be read from an opened store.
    pub fn with_create_method(self, create: CreateMethod) -> Self {
        Self::build(Place::new(self.place.root.clone(), create, self.place.modes))
    }

    /// Removes temporary files left by killed processes; returns how many.
    pub fn sweep(&self) -> usize {
        sweep::sweep(&self.place)
    }

    fn build(place: Place) -> Self {
        Self { place: Arc::new(place), handles: Handles::default() }
    }

    /// Opens an object for reading. A name that is claimed by an unfinished writer is waited for.
    fn open_object(&self, name: &ObjectName) -> Result<Handle, StorageError> {
        let path = self.place.path(name);
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => StorageError::NotFound { name: name.clone(), location: self.location() },
            _ => self.read_failed("open", name, source),
        };
        if self.place.create == CreateMethod::Exclusive
            && publish::settled_bytes(&path, publish::PATIENCE).map_err(failed)? == 0
        {
            return Err(StorageError::Unfinished { name: name.clone(), location: self.location() });
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::open(&path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        let file = File::from(file);
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::other("it is not a regular file")));
        }
        Ok(Handle { file, bytes: metadata.len() })
    }

    fn handle(&self, name: &ObjectName) -> Result<Arc<Handle>, StorageError> {
        if let Some(handle) = self.handles.get(name) {
            return Ok(handle);
        }
        let handle = Arc::new(self.open_object(name)?);
        self.handles.keep(name, Arc::clone(&handle));
        Ok(handle)
    }

    fn read_failed(&self, action: &'static str, name: &ObjectName, source: io::Error) -> StorageError {
        StorageError::from_io(action, format!("{name} in {}", self.location()), &self.location(), source)
    }
}

impl Storage for LocalStore {
    fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        Ok(Box::new(LocalStage::begin(&self.place)?))
    }

    fn get(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, StorageError> {
        let Handle { file, bytes } = self.open_object(name)?;
        if bytes > limit {
            return Err(StorageError::TooLarge { name: name.clone(), bytes, limit });
        }
        let mut content = Vec::with_capacity(bytes as usize);
        file.take(bytes).read_to_end(&mut content).map_err(|source| self.read_failed("read", name, source))?;
        Ok(content)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StorageError> {
        let handle = self.handle(name)?;
        let end = offset.saturating_add(length as u64);
        let truncated = || StorageError::Truncated { name: name.clone(), wanted: end };
        // Asked before anything is allocated, for the length may come from a damaged object.
        if end > handle.bytes {
            return Err(truncated());
        }
        let mut content = Vec::with_capacity(length);
        while content.len() < length {
            let position = offset + content.len() as u64;
            match rustix::io::pread(&handle.file, spare_capacity(&mut content), position) {
                // Cut by somebody since it was opened.
                Ok(0) => return Err(truncated()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(self.read_failed("read", name, errno.into())),
            }
        }
        // The capacity may be more than was asked for.
        content.truncate(length);
        Ok(content)
    }

    fn list(&self, kind: ObjectKind) -> Result<Vec<ObjectEntry>, StorageError> {
        list::list(&self.place, kind)
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.handles.forget(name);
        match fs::remove_file(self.place.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.read_failed("delete", name, error)),
            _ => Ok(()),
        }
    }

    fn location(&self) -> String {
        self.place.location()
    }

    fn local_folder(&self) -> Option<&Path> {
        Some(&self.place.root)
    }
}

#[cfg(test)]
mod tests;
