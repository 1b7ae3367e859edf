//! Which files are cut to which sizes (`docs/decisions/0003-chunk-sizes.md`).

use std::sync::Arc;

use crate::codec::chunk::Chunker;
use crate::repo::Repository;
use crate::vault::backup::grafts::StreamKind;

/// Databases from this size on are cut like small files: their index would be large otherwise.
const COARSE_FROM: u64 = 128 << 30;

/// Cuts each class of files.
pub struct Chunkers {
    files: Chunker,
    large: Chunker,
    database: Chunker,
    large_from: u64,
}

impl Chunkers {
    /// The chunkers of a repository.
    pub fn new(repository: &Repository) -> Self {
        let (config, gear) = (&repository.config, repository.secrets.gear_table());
        Self {
            files: Chunker::new(config.files, Arc::clone(&gear)),
            large: Chunker::new(config.large_files, Arc::clone(&gear)),
            database: Chunker::new(config.database, gear),
            large_from: config.large_from,
        }
    }

    /// The chunker for a file of this length; `None` if nobody knows it.
    pub fn for_length(&self, length: Option<u64>) -> &Chunker {
        if length.is_some_and(|length| length >= self.large_from) { &self.large } else { &self.files }
    }

    /// The chunker for a stream.
    pub fn of_stream(&self, kind: StreamKind) -> &Chunker {
        match kind {
            StreamKind::Database { expected } if expected < COARSE_FROM => &self.database,
            StreamKind::Database { .. } | StreamKind::Plain => &self.files,
        }
    }
}
