//! The cache of a process that may not use the one on disk: values in a temporary file without a name, their
//! places in memory. It vanishes with the process.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use crate::repo::index::shelf::{Fault, Shelf};

/// A shelf in a temporary file. Removed values leave their space unused.
pub struct ScratchShelf {
    file: File,
    places: RwLock<Places>,
}

#[derive(Default)]
struct Places {
    by_key: BTreeMap<Box<[u8]>, (u64, u32)>,
    end: u64,
}

impl ScratchShelf {
    /// An empty shelf, its file in `folder`.
    pub fn create(folder: &Path) -> Result<Self, Fault> {
        Ok(Self { file: tempfile::tempfile_in(folder)?, places: RwLock::default() })
    }
}

impl Shelf for ScratchShelf {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let place = self.places.read().unwrap_or_else(PoisonError::into_inner).by_key.get(key).copied();
        let Some((at, length)) = place else { return Ok(None) };
        let mut value = vec![0; length as usize];
        self.file.read_exact_at(&mut value, at)?;
        Ok(Some(value))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let length = u32::try_from(value.len()).map_err(|_| Fault("a value is too large".to_owned()))?;
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        self.file.write_all_at(value, places.end)?;
        let at = places.end;
        places.by_key.insert(key.into(), (at, length));
        places.end += u64::from(length);
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> Result<(), Fault> {
        self.places.write().unwrap_or_else(PoisonError::into_inner).by_key.remove(key);
        Ok(())
    }

    fn first_from(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        let from = (std::ops::Bound::Included(key), std::ops::Bound::Unbounded);
        Ok(places.by_key.range::<[u8], _>(from).next().map(|(found, _)| found.to_vec()))
    }

    fn flush(&self) -> Result<(), Fault> {
        Ok(())
    }
}
