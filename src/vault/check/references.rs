//! The references snapshots make, sorted and without repeats, in bounded memory.

use std::path::{Path, PathBuf};

use crate::repo::index::Prefix;
use crate::sys::spill::{self, Spill};
use crate::vault::VaultError;

/// References sorted in memory at once: 32 MiB.
const SORTED_AT_ONCE: usize = 2 << 20;
const PREFIX_BYTES: usize = size_of::<Prefix>();

/// References so far.
pub struct References {
    folder: PathBuf,
    spill: Spill<PREFIX_BYTES>,
}

impl References {
    /// None yet; what does not fit in memory goes to `folder`, which is made if need be.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), spill: Spill::distinct(folder, SORTED_AT_ONCE) }
    }

    /// Adds references; repeats are welcome.
    pub fn add(&mut self, prefixes: impl IntoIterator<Item = Prefix>) -> Result<(), VaultError> {
        for prefix in prefixes {
            self.spill.push(prefix).map_err(|error| VaultError::local("write a sorted run to", &self.folder, error))?;
        }
        Ok(())
    }

    /// All references, ascending, each once.
    pub fn into_sorted(self) -> Result<Sorted, VaultError> {
        let sorted = self.spill.sorted();
        let sorted = sorted.map_err(|error| VaultError::local("write a sorted run to", &self.folder, error))?;
        Ok(Sorted { sorted, folder: self.folder })
    }
}

/// References in order.
pub struct Sorted {
    sorted: spill::Sorted<PREFIX_BYTES>,
    folder: PathBuf,
}

impl Iterator for Sorted {
    type Item = Result<Prefix, VaultError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.sorted.next()?;
        Some(next.map_err(|error| VaultError::local("read back a sorted run in", &self.folder, error)))
    }
}
