//! Whether what an old entry refers to is still there to be relied on: asked where the last state may not be believed,
//! because its snapshot was forgotten or may lack something (`docs/protocol.md`, W7).

use crate::base::id::ChunkId;
use crate::repo::chunks::ChunkReader;
use crate::repo::index::Index;
use crate::repo::tree::Entry;
use crate::repo::tree::reader::{TreeSource, for_each_id};
use crate::repo::{RepoError, Repository};
use crate::vault::backup::store::ChunkStore;

/// Looks chunks up.
pub struct Stored<'a> {
    store: Option<&'a ChunkStore<'a>>,
    chunks: ChunkReader<'a>,
}

impl<'a> Stored<'a> {
    /// What a repository has, together with what a backup, if it stores anything, has stored so far.
    pub fn new(repository: &'a Repository, index: &'a Index, store: Option<&'a ChunkStore<'a>>) -> Self {
        Self { store, chunks: ChunkReader::new(repository, index) }
    }

    /// Whether all content of an entry in its stored form is there. Lists of chunks are read, no data is.
    pub fn has(&self, encoded: &[u8]) -> Result<bool, RepoError> {
        let Ok(entry) = minicbor::decode::<Entry>(encoded) else { return Ok(false) };
        let Some(content) = entry.content else { return Ok(true) };
        match for_each_id::<RepoError>(self, &content, &mut |id| self.ask(&id)) {
            Ok(()) => Ok(true),
            Err(error) if error.is_of_store() => Err(error),
            Err(_) => Ok(false),
        }
    }

    fn ask(&self, id: &ChunkId) -> Result<(), RepoError> {
        let has = match self.store {
            Some(store) => store.has(id)?,
            None => self.chunks.index().contains(id)?,
        };
        if has { Ok(()) } else { Err(RepoError::ChunkMissing { id: *id }) }
    }
}

/// Lists that lie only in marked packs do not count either.
impl TreeSource for Stored<'_> {
    fn fetch(&self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        self.ask(id)?;
        self.chunks.read(id)
    }
}
