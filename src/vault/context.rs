//! What every verb is given besides its options.

use std::path::{Path, PathBuf};

use crate::base::cancel::Cancel;
use crate::base::progress::Progress;

/// Where a verb reports to, how it is stopped, and where it may keep local files.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Receives events.
    pub progress: &'a dyn Progress,
    /// Looked at often; a requested stop ends the verb within two seconds.
    pub cancel: &'a Cancel,
    /// Local folders.
    pub folders: &'a Folders,
}

/// Local folders of one repository on this machine.
#[derive(Debug, Clone)]
pub struct Folders {
    /// May be deleted at any time; belongs to this repository alone.
    pub cache: PathBuf,
    /// Node identity, remembered heads, locks; belongs to this machine.
    pub state: PathBuf,
}

impl Folders {
    /// The folder of one repository below the cache root.
    pub fn repository_cache(root: &Path, repository: crate::base::id::RepositoryId) -> PathBuf {
        root.join(repository.to_string())
    }
}
