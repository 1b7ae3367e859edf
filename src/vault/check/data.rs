//! Reading packs: which of them, and all of them at once.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::id::PackId;
use crate::base::progress::{Event, Phase};
use crate::base::random::{Entropy, array};
use crate::repo::Repository;
use crate::repo::index::Index;
use crate::repo::pack::{copies, reader};
use crate::vault::check::damage::Damage;
use crate::vault::check::findings::Findings;
use crate::vault::check::pack::{Job, Scratch, Verdict};
use crate::vault::check::{ReadData, workers};
use crate::vault::{Context, VaultError};

/// A listed pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPack {
    /// Its name.
    pub id: PackId,
    /// Its size.
    pub bytes: u64,
    /// Size of its mended copy.
    pub mended: Option<u64>,
    /// Nothing but the mended copy is there; `bytes` is its size.
    pub absent: bool,
}

/// Refuses a share that is none.
pub fn validate(read: ReadData) -> Result<(), VaultError> {
    let fits = match read {
        ReadData::None | ReadData::All => true,
        ReadData::Percent(percent) => percent > 0.0 && percent <= 100.0,
        ReadData::Part { part, of } => (1..=of).contains(&part),
    };
    if fits {
        return Ok(());
    }
    Err(VaultError::Request {
        what: "there is no such share of the packs".to_owned(),
        hint: Some("write `5%` (above 0, up to 100) or `2/10` (from 1/10 to 10/10)".to_owned()),
    })
}

/// The packs to read, the largest first.
pub fn select(read: ReadData, mut packs: Vec<StoredPack>, entropy: &dyn Entropy) -> Vec<StoredPack> {
    packs.sort_unstable_by_key(|pack| pack.id);
    match read {
        ReadData::None => packs.clear(),
        ReadData::All => {}
        ReadData::Percent(percent) => {
            let count = ((packs.len() as f64 * percent / 100.0).ceil() as usize).min(packs.len());
            for place in 0..count {
                // The remainder favours the front by less than one part in 2^32.
                let other = place + (u64::from_le_bytes(array(entropy)) % (packs.len() - place) as u64) as usize;
                packs.swap(place, other);
            }
            packs.truncate(count);
        }
        ReadData::Part { part, of } => packs.retain(|pack| group(&pack.id, of) + 1 == part),
    }
    packs.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.id.cmp(&b.id)));
    packs
}

/// Which of `of` groups a pack belongs to, from 0: its leading bits decide, so that it is always the same.
fn group(id: &PackId, of: u32) -> u32 {
    let leading = u64::from_be_bytes(std::array::from_fn(|index| id.as_bytes()[index]));
    (leading % u64::from(of.max(1))) as u32
}

/// What the packs are compared with and where damage is noted.
pub struct Reading<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// The index, if it could be opened.
    pub index: Option<&'a Index>,
    /// Numbers of packs in the index.
    pub numbers: &'a HashMap<PackId, u32>,
    /// Hashes of tables as segments have them.
    pub tables: &'a HashMap<PackId, [u8; 32]>,
    /// Receives packs and blocks that cannot be read.
    pub damage: &'a Damage,
    /// Receives what is wrong.
    pub findings: &'a Findings<'a>,
    /// Progress, cancel.
    pub context: Context<'a>,
}

/// What reading packs came to.
#[derive(Default)]
pub struct ReadPacks {
    /// Packs with something wrong, mended or not, by the index's number.
    pub bad: HashSet<u32>,
    /// Packs read.
    pub packs: u64,
    /// Bytes read.
    pub bytes: u64,
}

impl Reading<'_> {
    /// Reads the packs in parallel.
    pub fn run(&self, packs: &[StoredPack]) -> Result<ReadPacks, VaultError> {
        let total = packs.iter().map(|pack| pack.bytes).sum();
        self.context.progress.on(Event::Phase { phase: Phase::Data, total: Some(total) });
        let (bytes, bad) = (AtomicU64::new(0), Mutex::new(HashSet::new()));
        workers::each(packs, workers::PACK_WORKERS, self.context.cancel, Scratch::new, |scratch, pack| {
            let verdict = self.one(pack, scratch);
            bytes.fetch_add(verdict.bytes_read, Ordering::Relaxed);
            if !self.context.cancel.is_requested() && self.report(pack, &verdict) {
                let mut bad = bad.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                bad.extend(self.numbers.get(&pack.id));
            }
            self.context.progress.on(Event::Advanced { bytes: 0, files: 1 });
        })?;
        let bad = bad.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(ReadPacks { bad, packs: packs.len() as u64, bytes: bytes.into_inner() })
    }

    fn one(&self, pack: &StoredPack, scratch: &mut Scratch) -> Verdict {
        let Context { cancel, progress, .. } = self.context;
        let indexed = self.numbers.get(&pack.id).and_then(|number| self.index?.pack(*number).ok());
        let blocks = indexed.as_ref().map(|place| place.blocks.as_slice());
        let job = Job { repository: self.repository, cancel, progress };
        let mut verdict = match pack.absent {
            true => Verdict { faults: vec!["it is missing".to_owned()], lost: true, ..Verdict::default() },
            false => job.verify(pack.id, &reader::name(pack.id), pack.bytes, blocks, scratch),
        };
        if let Some(bytes) = pack.mended.filter(|_| !verdict.faults.is_empty()) {
            let second = job.verify(pack.id, &copies::mended_name(pack.id), bytes, blocks, scratch);
            verdict.stand_in(second);
        }
        let differs = |hash: [u8; 32]| self.tables.get(&pack.id).is_some_and(|other| *other != hash);
        if verdict.is_good() && verdict.table_hash.is_some_and(differs) {
            verdict.faults.push("the index gives it another content than its own table".to_owned());
        }
        verdict
    }

    /// Notes what a verdict says; `true` if there was anything to say.
    fn report(&self, pack: &StoredPack, verdict: &Verdict) -> bool {
        if let Some(number) = self.numbers.get(&pack.id) {
            if verdict.lost {
                self.damage.lose_pack(*number);
            }
            for block in &verdict.bad_blocks {
                self.damage.lose_block(*number, *block, None);
            }
        }
        let name = reader::name(pack.id);
        if verdict.is_good() {
            if let Some(fault) = &verdict.replaced {
                self.findings.warning(&name, mended_says(pack.id, fault));
            }
            return verdict.replaced.is_some();
        }
        self.findings.damage(name, verdict.faults.join("; "));
        true
    }
}

/// What is said of a pack whose mended copy stands in for it.
pub fn mended_says(id: PackId, fault: &str) -> String {
    format!("{fault}; its copy {} stands in for it", copies::mended_name(id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::random::SeededEntropy;

    fn packs(count: u64) -> Vec<StoredPack> {
        let id = |number: u64| PackId::from_bytes(*blake3::hash(&number.to_be_bytes()).as_bytes());
        (0..count).map(|number| StoredPack { id: id(number), bytes: number, mended: None, absent: false }).collect()
    }

    fn chosen(read: ReadData, seed: u64) -> Vec<PackId> {
        select(read, packs(1000), &SeededEntropy::new(seed)).iter().map(|pack| pack.id).collect()
    }

    #[test]
    fn all_parts_together_are_every_pack_once() {
        let parts: Vec<PackId> = (1..=10).flat_map(|part| chosen(ReadData::Part { part, of: 10 }, 0)).collect();
        assert_eq!(parts.len(), 1000);
        assert_eq!(parts.iter().collect::<BTreeSet<_>>().len(), 1000);
        assert_eq!(chosen(ReadData::Part { part: 3, of: 10 }, 1), chosen(ReadData::Part { part: 3, of: 10 }, 2));
    }

    #[test]
    fn a_percentage_is_another_choice_each_time() {
        assert_eq!(chosen(ReadData::Percent(5.0), 1).len(), 50);
        assert_eq!(chosen(ReadData::Percent(0.01), 1).len(), 1);
        assert_eq!(chosen(ReadData::Percent(100.0), 1).len(), 1000);
        assert_ne!(chosen(ReadData::Percent(5.0), 1), chosen(ReadData::Percent(5.0), 2));
    }

    #[test]
    fn shares_that_are_none_are_refused() {
        let bad = [
            ReadData::Percent(0.0),
            ReadData::Percent(100.5),
            ReadData::Percent(f64::NAN),
            ReadData::Part { part: 0, of: 3 },
            ReadData::Part { part: 4, of: 3 },
            ReadData::Part { part: 0, of: 0 },
        ];
        assert!(bad.into_iter().all(|read| validate(read).is_err()));
        assert!(validate(ReadData::Part { part: 3, of: 3 }).is_ok());
    }
}
