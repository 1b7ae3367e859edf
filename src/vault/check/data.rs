//! Reading packs: which of them, and all of them at once.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::base::id::PackId;
use crate::base::progress::{Event, Phase};
use crate::base::random::{Entropy, array};
use crate::repo::Repository;
use crate::repo::index::Index;
use crate::repo::journal::{Ledger, State};
use crate::repo::pack::{copies, reader};
use crate::vault::check::damage::Damage;
use crate::vault::check::findings::Findings;
use crate::vault::check::ledger::{self, Due};
use crate::vault::check::pack::{Job, Scratch, Verdict};
use crate::vault::check::{ReadData, Request, packs, workers};
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

/// Refuses a share that is none, and an age of what is chosen by name.
pub fn validate(request: Request) -> Result<(), VaultError> {
    let fits = match request.read {
        ReadData::None | ReadData::All => true,
        ReadData::Percent(percent) => percent > 0.0 && percent <= 100.0,
        ReadData::Bytes(bytes) => bytes > 0,
        ReadData::Part { part, of } => (1..=of).contains(&part),
    };
    let refuse =
        |what: &str, hint: &str| Err(VaultError::Request { what: what.to_owned(), hint: Some(hint.to_owned()) });
    if !fits {
        return refuse(
            "there is no such share of the packs",
            "write `5%` (above 0, up to 100), `5G` (above 0) or `2/10` (from 1/10 to 10/10)",
        );
    }
    if request.max_age.is_some() && matches!(request.read, ReadData::Part { .. }) {
        return refuse(
            "an age and one part of several cannot be asked for at once",
            "with `--max-age` give a budget, `--read-data=5G` or `--read-data=5%`, or none",
        );
    }
    Ok(())
}

/// The packs to read, the largest first.
pub fn select(
    read: ReadData,
    due: Option<Due>,
    mut packs: Vec<StoredPack>,
    ledger: &Ledger,
    entropy: &dyn Entropy,
) -> Vec<StoredPack> {
    packs.sort_unstable_by_key(|pack| pack.id);
    let total: u64 = packs.iter().map(|pack| pack.bytes).sum();
    let overdue = |packs: &mut Vec<StoredPack>| {
        packs.retain(|pack| due.is_none_or(|due| due.is_due(ledger::last(ledger, &pack.id))));
    };
    match (read, due) {
        (ReadData::None, None) => packs.clear(),
        (ReadData::None | ReadData::All, _) => overdue(&mut packs),
        (ReadData::Percent(percent), None) => {
            let count = ((packs.len() as f64 * percent / 100.0).ceil() as usize).min(packs.len());
            for place in 0..count {
                let left = packs.len() - place;
                packs.swap(place, place + random_below(left, entropy));
            }
            packs.truncate(count);
        }
        (ReadData::Percent(percent), Some(_)) => {
            overdue(&mut packs);
            longest_unverified(&mut packs, (total as f64 * percent / 100.0) as u64, ledger, entropy);
        }
        (ReadData::Bytes(bytes), _) => {
            overdue(&mut packs);
            longest_unverified(&mut packs, bytes, ledger, entropy);
        }
        (ReadData::Part { part, of }, _) => packs.retain(|pack| group(&pack.id, of) + 1 == part),
    }
    packs.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.id.cmp(&b.id)));
    packs
}

/// Keeps the packs verified longest ago, so many bytes of them, and one at least. Which of those never verified come
/// first is chance, so that a damaged pack that ends every check does not hide what lies behind it.
fn longest_unverified(packs: &mut Vec<StoredPack>, bytes: u64, ledger: &Ledger, entropy: &dyn Entropy) {
    for place in 0..packs.len() {
        let left = packs.len() - place;
        packs.swap(place, place + random_below(left, entropy));
    }
    packs.sort_by_key(|pack| ledger::last(ledger, &pack.id));
    let mut sum = 0u64;
    let fit = packs.iter().take_while(|pack| {
        sum = sum.saturating_add(pack.bytes);
        sum <= bytes
    });
    let count = fit.count().max(1);
    packs.truncate(count);
}

/// Below `limit`, which is not 0. The remainder favours the front by less than one part in 2^32.
fn random_below(limit: usize, entropy: &dyn Entropy) -> usize {
    (u64::from_le_bytes(array(entropy)) % limit.max(1) as u64) as usize
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
    /// Which packs are marked, and when they were verified before.
    pub journal: &'a State,
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
    /// Packs read wholly and found whole.
    pub whole: Vec<PackId>,
    /// Packs read.
    pub packs: u64,
    /// Bytes read.
    pub bytes: u64,
}

impl Reading<'_> {
    /// Reads the packs in parallel. After a request to stop, what was read so far.
    pub fn run(&self, packs: &[StoredPack]) -> Result<ReadPacks, VaultError> {
        let total = packs.iter().map(|pack| pack.bytes).sum();
        self.context.progress.on(Event::Phase { phase: Phase::Data, total: Some(total) });
        let (bytes, read) = (AtomicU64::new(0), Mutex::new(ReadPacks::default()));
        let outcome =
            workers::each(packs, workers::PACK_WORKERS, self.context.cancel, Scratch::new, |scratch, pack| {
                let verdict = self.one(pack, scratch);
                bytes.fetch_add(verdict.bytes_read, Ordering::Relaxed);
                // A stop in the middle of a pack leaves its verdict incomplete.
                if !self.context.cancel.is_requested() {
                    let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
                    read.packs += 1;
                    if self.report(pack, &verdict) {
                        read.bad.extend(self.numbers.get(&pack.id));
                    } else {
                        read.whole.push(pack.id);
                    }
                }
                self.context.progress.on(Event::Advanced { bytes: 0, files: 1 });
            });
        match outcome {
            Ok(()) | Err(VaultError::Interrupted) => {}
            Err(error) => return Err(error),
        }
        let read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(ReadPacks { bytes: bytes.into_inner(), ..read })
    }

    fn one(&self, pack: &StoredPack, scratch: &mut Scratch) -> Verdict {
        let Context { cancel, progress, .. } = self.context;
        let indexed = self.numbers.get(&pack.id).and_then(|number| self.index?.pack(*number).ok());
        let blocks = indexed.as_ref().map(|place| place.blocks.as_slice());
        let job = Job { repository: self.repository, cancel, progress };
        let there = ((!pack.absent).then_some(pack.bytes), pack.mended);
        let mut verdict = job.verify_either(pack.id, there, blocks, scratch);
        let differs = |hash: [u8; 32]| self.tables.get(&pack.id).is_some_and(|other| *other != hash);
        if verdict.is_good() && verdict.table_hash.is_some_and(differs) {
            verdict.faults.push("the index gives it another content than its own table".to_owned());
            verdict.index_wrong = true;
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
                self.findings.warning(verdict.kind(), &name, mended_says(pack.id, fault));
            }
            return verdict.replaced.is_some();
        }
        let mut cause = verdict.faults.join("; ");
        if let Some(done) = self.journal.verified.of(&pack.id) {
            cause.push_str(&format!(" (it was whole on {}, verified with key {})", done.time, done.by.short()));
        }
        packs::tell(self.journal, pack.id, verdict.kind(), cause, self.findings);
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
    use crate::base::clock::{CalendarSpan, Timestamp};
    use crate::base::id::SlotId;
    use crate::base::random::SeededEntropy;
    use crate::repo::journal::Since;

    fn packs(count: u64) -> Vec<StoredPack> {
        let id = |number: u64| PackId::from_bytes(*blake3::hash(&number.to_be_bytes()).as_bytes());
        (0..count).map(|number| StoredPack { id: id(number), bytes: number, mended: None, absent: false }).collect()
    }

    fn chosen(read: ReadData, seed: u64) -> Vec<PackId> {
        select(read, None, packs(1000), &Ledger::default(), &SeededEntropy::new(seed))
            .iter()
            .map(|pack| pack.id)
            .collect()
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
            ReadData::Bytes(0),
            ReadData::Percent(f64::NAN),
            ReadData::Part { part: 0, of: 3 },
            ReadData::Part { part: 4, of: 3 },
            ReadData::Part { part: 0, of: 0 },
        ];
        assert!(bad.into_iter().all(|read| validate(read.into()).is_err()));
        assert!(validate(ReadData::Part { part: 3, of: 3 }.into()).is_ok());
    }

    /// A ledger in which day `d` verified the `d`-th hundred of the packs, and nothing verified the last.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for (day, group) in (1..10u64).zip(packs(1000).chunks(100)) {
            let ids: Vec<PackId> = group.iter().map(|pack| pack.id).collect();
            let since = Since { number: day, time: Timestamp { seconds: day as i64 * 86_400, nanos: 0 } };
            ledger.note(since, SlotId::from_bytes([1; 16]), &ids.iter().collect());
        }
        ledger
    }

    fn days(chosen: &[StoredPack]) -> BTreeSet<Option<i64>> {
        chosen.iter().map(|pack| ledger::last(&ledger(), &pack.id).map(|time| time.seconds / 86_400)).collect()
    }

    #[test]
    fn a_budget_in_bytes_takes_what_was_never_verified_and_then_the_longest_ago() {
        let entropy = SeededEntropy::new(1);
        let take = |bytes| select(ReadData::Bytes(bytes), None, packs(1000), &ledger(), &entropy);
        let last_hundred: u64 = (900..1000).sum();
        assert_eq!(days(&take(last_hundred)), BTreeSet::from([None]));
        assert_eq!(days(&take(last_hundred + (0..100).sum::<u64>())), BTreeSet::from([None, Some(1)]));
        assert_eq!(take(1).len(), 1, "one pack is always read");
    }

    #[test]
    fn an_age_takes_all_that_is_due_and_no_more_than_a_budget() {
        let (entropy, now) = (SeededEntropy::new(1), Timestamp { seconds: 10 * 86_400, nanos: 0 });
        let due = Some(Due::within(CalendarSpan::hours(5 * 24), now).unwrap());
        let take = |read| select(read, due, packs(1000), &ledger(), &entropy);
        let all_due = BTreeSet::from([None, Some(1), Some(2), Some(3), Some(4), Some(5)]);
        for read in [ReadData::None, ReadData::All, ReadData::Bytes(u64::MAX), ReadData::Percent(100.0)] {
            assert_eq!((days(&take(read)), take(read).len()), (all_due.clone(), 600), "{read:?}");
        }
        assert_eq!(days(&take(ReadData::Percent(10.0))), BTreeSet::from([None]));
        let part = Request { max_age: Some(CalendarSpan::days(5)), ..ReadData::Part { part: 1, of: 2 }.into() };
        assert!(validate(part).is_err());
    }
}
