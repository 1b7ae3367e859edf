//! Marked packs that snapshots still need. One that is whole is taken back; one that is damaged keeps its mark, so that
//! backups store again what only it had, and stays for what may still be read of it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::id::PackId;
use crate::repo::Repository;
use crate::repo::index::Index;
use crate::repo::pack::{copies, reader};
use crate::vault::check::{Job, Scratch, workers};
use crate::vault::prune::census::{Census, Pack};
use crate::vault::prune::report::Tally;
use crate::vault::{Context, VaultError};

/// Packs found damaged, kept together with what was found.
#[derive(Debug, Default)]
pub struct Held(HashMap<PackId, Pack>);

impl Held {
    /// Reads marked packs that are needed, and holds those that are damaged; `true` if any is. There are few: what was
    /// marked was not needed then, or is damaged.
    pub fn take(
        &mut self,
        repository: &Repository,
        index: &Index,
        needed: &[Pack],
        context: Context<'_>,
    ) -> Result<bool, VaultError> {
        let before = self.0.len();
        let unread: Vec<Pack> = needed.iter().filter(|pack| !self.has(&pack.id)).copied().collect();
        if unread.is_empty() {
            return Ok(false);
        }
        let Context { cancel, progress, .. } = context;
        let mended = copies::mended(&*repository.storage)?;
        let held = Mutex::new(&mut self.0);
        workers::each(&unread, workers::PACK_WORKERS, cancel, Scratch::new, |scratch, pack| {
            let place = index.pack(pack.number).ok();
            let there = (Some(pack.stored), mended.get(&pack.id).copied());
            let blocks = place.as_ref().map(|place| place.blocks.as_slice());
            let verdict = Job { repository, cancel, progress }.verify_either(pack.id, there, blocks, scratch);
            if !verdict.is_good() {
                held.lock().unwrap_or_else(PoisonError::into_inner).insert(pack.id, *pack);
            }
        })?;
        Ok(self.0.len() > before)
    }

    /// Takes over what is used of them.
    pub fn weigh(&mut self, census: &Census) {
        for pack in census.packs() {
            self.0.entry(pack.id).and_modify(|held| *held = *pack);
        }
    }

    /// Whether it is held.
    pub fn has(&self, pack: &PackId) -> bool {
        self.0.contains_key(pack)
    }

    /// All of them.
    pub fn tally(&self) -> Tally {
        self.0.values().map(Pack::tally).sum()
    }

    /// Object and cause: those of which something is missed that no repair has marked as lost.
    pub fn problems(&self) -> Vec<(String, String)> {
        let missed = self.0.values().filter(|pack| pack.used > pack.excused);
        let cause = "it is damaged, and nothing else has what snapshots need of it, so it stays: after \
                     `dssvault repair packs` the next backup of each node stores again what that still has; docs/check.md says more";
        let mut problems: Vec<_> = missed.map(|pack| (reader::name(pack.id).to_string(), cause.to_owned())).collect();
        problems.sort_unstable();
        problems
    }
}
