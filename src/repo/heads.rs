//! The highest numbers this machine has seen of a repository: a store that shows less was rolled back.
//!
//! A small JSON file in the state folder. Losing it loses the warning, nothing else.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::base::id::RepositoryId;
use crate::repo::error::RepoError;
use crate::sys::durable;

/// Highest numbers seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Heads {
    /// Of `config/`.
    pub config: u64,
    /// Of `journal/`.
    pub journal: u64,
}

/// The store shows less than it did before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store was rolled back, or objects were deleted: this machine has seen config/{:010} and journal/{:010}, \
     now the last are {:010} and {:010}", remembered.config, remembered.journal, found.config, found.journal
)]
pub struct RolledBack {
    /// What was seen before.
    pub remembered: Heads,
    /// What is there now.
    pub found: Heads,
}

/// Compares what was found with what this machine remembers, and remembers the higher of each. A memory that
/// cannot be read counts as empty.
pub fn remember(state_dir: &Path, repository: RepositoryId, found: Heads) -> Result<Option<RolledBack>, RepoError> {
    let folder = state_dir.join("heads");
    let file = folder.join(format!("{repository}.json"));
    // A note nobody can read only loses the warning.
    let remembered: Heads = durable::read_json(&file).ok().flatten().unwrap_or_default();
    let highest = Heads { config: remembered.config.max(found.config), journal: remembered.journal.max(found.journal) };
    if highest != remembered {
        durable::write_json(&file, &highest).map_err(|fault| RepoError::Local {
            action: "write",
            what: file.display().to_string(),
            why: fault.to_string(),
        })?;
    }
    Ok((highest != found).then_some(RolledBack { remembered, found }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPOSITORY: RepositoryId = RepositoryId::from_bytes([7; 16]);

    #[test]
    fn the_highest_numbers_are_remembered_and_a_lower_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let seen = |config, journal| remember(dir.path(), REPOSITORY, Heads { config, journal }).unwrap();
        assert_eq!(seen(1, 5), None);
        assert_eq!(seen(2, 5), None);
        let told = seen(2, 4).unwrap();
        assert_eq!(told.remembered, Heads { config: 2, journal: 5 });
        assert!(told.to_string().contains("journal/0000000005"), "{told}");
        assert!(seen(1, 9).is_some());
        assert_eq!(seen(2, 9), None);
    }

    #[test]
    fn a_torn_memory_counts_as_none_and_each_repository_has_its_own() {
        let dir = tempfile::tempdir().unwrap();
        remember(dir.path(), REPOSITORY, Heads { config: 3, journal: 3 }).unwrap();
        let other = RepositoryId::from_bytes([8; 16]);
        assert_eq!(remember(dir.path(), other, Heads { config: 1, journal: 1 }).unwrap(), None);
        std::fs::write(dir.path().join(format!("heads/{REPOSITORY}.json")), b"{").unwrap();
        assert_eq!(remember(dir.path(), REPOSITORY, Heads { config: 1, journal: 1 }).unwrap(), None);
    }
}
