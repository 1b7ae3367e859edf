//! Which packs are in the store, listed once and only if somebody asks.

use std::cell::OnceCell;
use std::collections::HashMap;

use crate::base::id::PackId;
use crate::base::object::ObjectKind;
use crate::repo::error::RepoError;
use crate::repo::index::Verdicts;
use crate::repo::repository::Repository;

/// The packs of the store and their sizes, without doomed ones. To be made after the journal was read and after the
/// segments were listed: what they name and this does not show is gone, or not worth knowing.
pub struct Present<'a> {
    repository: &'a Repository,
    verdicts: &'a Verdicts,
    packs: OnceCell<HashMap<PackId, u64>>,
}

impl<'a> Present<'a> {
    /// Nothing is listed yet.
    pub fn new(repository: &'a Repository, verdicts: &'a Verdicts) -> Self {
        Self { repository, verdicts, packs: OnceCell::new() }
    }

    /// The packs.
    pub fn packs(&self) -> Result<&HashMap<PackId, u64>, RepoError> {
        if let Some(packs) = self.packs.get() {
            return Ok(packs);
        }
        let listing = self.repository.storage.list(ObjectKind::Pack)?;
        let packs = listing.into_iter().filter_map(|entry| Some((entry.name.text().parse().ok()?, entry.bytes)));
        let packs = packs.filter(|(id, _)| !self.verdicts.doomed.contains(id)).collect();
        Ok(self.packs.get_or_init(|| packs))
    }
}
