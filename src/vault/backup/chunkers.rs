//! Which files are cut to which sizes (`docs/decisions/0003-chunk-sizes.md`).

use std::sync::Arc;

use crate::codec::chunk::Chunker;
use crate::repo::Repository;

/// Cuts each class of files.
pub struct Chunkers {
    files: Chunker,
    large: Chunker,
    large_from: u64,
}

impl Chunkers {
    /// The chunkers of a repository.
    pub fn new(repository: &Repository) -> Self {
        let (config, gear) = (&repository.config, repository.secrets.gear_table());
        Self {
            files: Chunker::new(config.files, Arc::clone(&gear)),
            large: Chunker::new(config.large_files, gear),
            large_from: config.large_from,
        }
    }

    /// The chunker for a file of this length; of a stream nobody knows it.
    pub fn for_length(&self, length: Option<u64>) -> &Chunker {
        if length.is_some_and(|length| length >= self.large_from) { &self.large } else { &self.files }
    }
}
