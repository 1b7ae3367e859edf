//! Places objects are kept. The trait is small on purpose: objects are created once, read, listed, deleted.
//!
//! Every store passes one suite, `tests/spec/storage_conformance.rs`. Only `app` names a concrete store.

pub mod error;
pub mod local;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use error::StorageError;

use crate::base::clock::Timestamp;
use crate::base::object::{ObjectKind, ObjectName};

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEntry {
    /// Name of the object.
    pub name: ObjectName,
    /// Stored size in bytes.
    pub bytes: u64,
    /// When the store says it was created; by the store's clock, never compared with ours.
    pub created: Timestamp,
}

/// How a create-only put ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The object is now there, durable, and it is ours.
    Created,
    /// An object of that name was there before and was left alone; it may be an earlier try of this very put.
    AlreadyThere,
}

/// How a store creates an object without overwriting one; found out by `init` (`local::probe`), then part of the
/// repository's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode, serde::Serialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum CreateMethod {
    /// Temporary file, then `link`.
    #[n(0)]
    HardLink,
    /// The final name is claimed by `O_EXCL` or by a rename that refuses to replace.
    #[n(1)]
    Exclusive,
    /// A conditional request of an object store.
    #[n(2)]
    Conditional,
}

/// A store of objects.
///
/// Guarantees every implementation gives: a created object appears whole or not at all, durably, and is never
/// overwritten; of several concurrent creations of one name exactly one wins; a listing either names every
/// object that was there from its beginning to its end, or fails.
pub trait Storage: Send + Sync {
    /// Begins a new object whose name need not be known yet. Dropping the stage leaves nothing that counts.
    fn stage(&self) -> Result<Box<dyn Staged>, StorageError>;

    /// Reads a whole object. Fails with `TooLarge` instead of reading more than `limit` bytes.
    fn get(&self, name: &ObjectName, limit: u64) -> Result<Vec<u8>, StorageError>;

    /// Reads `length` bytes at `offset`; fewer than that is the error `Truncated`.
    fn get_range(&self, name: &ObjectName, offset: u64, length: usize) -> Result<Vec<u8>, StorageError>;

    /// Every object of a kind, in no particular order. Entries that cannot be objects (foreign or temporary
    /// files) are left out.
    fn list(&self, kind: ObjectKind) -> Result<Vec<ObjectEntry>, StorageError>;

    /// Removes an object; one that is not there counts as removed.
    fn delete(&self, name: &ObjectName) -> Result<(), StorageError>;

    /// The place, as the user would write it, for messages.
    fn location(&self) -> String;

    /// The folder it is, if it is one of this machine: to see that it lies outside of what is backed up.
    fn local_folder(&self) -> Option<&std::path::Path> {
        None
    }

    /// Creates a small object in one step.
    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Published, StorageError> {
        let mut staged = self.stage()?;
        staged.write(bytes)?;
        staged.publish(name)
    }
}

/// An object being written.
pub trait Staged: Send {
    /// Appends bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError>;

    /// Makes everything written durable and gives it its name, unless that name is taken.
    fn publish(self: Box<Self>, name: &ObjectName) -> Result<Published, StorageError>;
}
