//! When each pack was last read and verified, and with which key: what `verified` entries of the journal add up to
//! (`docs/format.md`, "Ledger").
//!
//! A pack is known by the first bytes of its name. Two packs that share them are taken for each other, which at worst
//! puts one of them off until the other is due again.

use std::collections::BTreeMap;

use minicbor::decode::{Decoder, Error};
use minicbor::encode::{self, Encoder, Write};
use minicbor::{Decode, Encode};

use crate::base::clock::Timestamp;
use crate::base::id::{PackId, SlotId};
use crate::repo::journal::facts::Since;

/// Bytes kept of a pack's name. Among a million packs, one in a million is taken for another.
const FRONT_BYTES: usize = 5;

type Front = [u8; FRONT_BYTES];

fn front_of(pack: &PackId) -> Front {
    std::array::from_fn(|at| pack.as_bytes()[at])
}

/// Packs, by the fronts of their names, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackFronts(Vec<Front>);

impl PackFronts {
    /// Packs one entry may name: a few megabytes.
    pub const MAX: usize = 1 << 20;

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn ascending(fronts: Vec<Front>) -> Result<Self, Error> {
        if fronts.windows(2).all(|pair| pair[0] < pair[1]) {
            return Ok(Self(fronts));
        }
        Err(Error::message("packs are not in order"))
    }
}

impl<'a> FromIterator<&'a PackId> for PackFronts {
    fn from_iter<I: IntoIterator<Item = &'a PackId>>(packs: I) -> Self {
        let mut fronts: Vec<Front> = packs.into_iter().map(front_of).collect();
        fronts.sort_unstable();
        fronts.dedup();
        Self(fronts)
    }
}

impl<C> Encode<C> for PackFronts {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(self.0.as_flattened())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for PackFronts {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        let (fronts, rest) = d.bytes()?.as_chunks::<FRONT_BYTES>();
        if !rest.is_empty() {
            return Err(Error::message("a list of packs has a torn end"));
        }
        Self::ascending(fronts.to_vec())
    }
}

/// When and with which key a pack was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verification {
    /// When that was written down.
    pub time: Timestamp,
    /// The key slot that had opened the repository.
    pub by: SlotId,
}

/// The verifications one entry wrote down and no later one has replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    done: Verification,
    packs: u32,
}

/// The last verification of each pack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// In which entry.
    packs: BTreeMap<Front, u64>,
    /// By number of entry; none is empty.
    runs: BTreeMap<u64, Run>,
}

impl Ledger {
    /// When a pack was last verified.
    pub fn of(&self, pack: &PackId) -> Option<Verification> {
        let entry = self.packs.get(&front_of(pack))?;
        self.runs.get(entry).map(|run| run.done)
    }

    /// How many packs were.
    pub fn len(&self) -> usize {
        self.packs.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
    }

    /// Folds an entry in.
    pub fn note(&mut self, since: Since, by: SlotId, packs: &PackFronts) {
        for front in &packs.0 {
            self.drop_front(front);
            self.packs.insert(*front, since.number);
        }
        if !packs.is_empty() {
            let done = Verification { time: since.time, by };
            self.runs.insert(since.number, Run { done, packs: packs.len() as u32 });
        }
    }

    /// Forgets a pack that is gone.
    pub fn remove(&mut self, pack: &PackId) {
        self.drop_front(&front_of(pack));
    }

    fn drop_front(&mut self, front: &Front) {
        let Some(entry) = self.packs.remove(front) else { return };
        if let Some(run) = self.runs.get_mut(&entry) {
            run.packs -= 1;
            if run.packs == 0 {
                self.runs.remove(&entry);
            }
        }
    }
}

/// One run as a checkpoint has it.
#[derive(Encode, Decode)]
#[cbor(array)]
struct StoredRun {
    #[n(0)]
    since: Since,
    #[n(1)]
    by: SlotId,
    #[n(2)]
    packs: PackFronts,
}

impl<C> Encode<C> for Ledger {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, context: &mut C) -> Result<(), encode::Error<W::Error>> {
        let mut fronts: BTreeMap<u64, Vec<Front>> = BTreeMap::new();
        for (front, entry) in &self.packs {
            fronts.entry(*entry).or_default().push(*front);
        }
        e.array(self.runs.len() as u64)?;
        for (number, run) in &self.runs {
            let packs = PackFronts(fronts.remove(number).unwrap_or_default());
            let since = Since { number: *number, time: run.done.time };
            StoredRun { since, by: run.done.by, packs }.encode(e, context)?;
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Ledger {
    fn decode(d: &mut Decoder<'b>, context: &mut C) -> Result<Self, Error> {
        let mut ledger = Self::default();
        let runs = d.array()?.ok_or_else(|| Error::message("the ledger has no length"))?;
        for _ in 0..runs {
            let StoredRun { since, by, packs } = StoredRun::decode(d, context)?;
            if packs.is_empty() || ledger.runs.last_key_value().is_some_and(|(last, _)| *last >= since.number) {
                return Err(Error::message("a run of the ledger is empty or out of order"));
            }
            let before = ledger.len();
            ledger.note(since, by, &packs);
            if ledger.len() != before + packs.len() {
                return Err(Error::message("two runs of the ledger name one pack"));
            }
        }
        Ok(ledger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(byte: u8) -> PackId {
        PackId::from_bytes([byte; 32])
    }

    fn since(number: u64) -> Since {
        Since { number, time: Timestamp { seconds: number as i64 * 86_400, nanos: 0 } }
    }

    fn ledger(runs: &[(u64, &[u8])]) -> Ledger {
        let mut ledger = Ledger::default();
        for (number, packs) in runs {
            let packs: Vec<PackId> = packs.iter().map(|byte| pack(*byte)).collect();
            ledger.note(since(*number), SlotId::from_bytes([*number as u8; 16]), &packs.iter().collect());
        }
        ledger
    }

    #[test]
    fn the_last_verification_counts_and_a_pack_that_is_gone_has_none() {
        let mut ledger = ledger(&[(1, &[1, 2, 3]), (2, &[2])]);
        assert_eq!(ledger.of(&pack(1)).map(|done| done.time), Some(since(1).time));
        assert_eq!(ledger.of(&pack(2)).map(|done| done.by), Some(SlotId::from_bytes([2; 16])));
        ledger.remove(&pack(2));
        assert_eq!((ledger.of(&pack(2)), ledger.len()), (None, 2));
    }

    #[test]
    fn runs_that_later_ones_replaced_leave_nothing_behind() {
        let ledger = ledger(&[(1, &[1, 2]), (2, &[1]), (3, &[2])]);
        assert_eq!(ledger.runs.keys().copied().collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_ledger_reads_back_and_costs_five_bytes_for_a_pack() {
        let ids: Vec<PackId> =
            (0..10_000u32).map(|number| PackId::from_bytes(*blake3::hash(&number.to_be_bytes()).as_bytes())).collect();
        let mut ledger = Ledger::default();
        for (number, ids) in (1..).zip(ids.chunks(1000)) {
            ledger.note(since(number), SlotId::from_bytes([7; 16]), &ids.iter().collect());
        }
        let bytes = minicbor::to_vec(&ledger).unwrap();
        assert_eq!(minicbor::decode::<Ledger>(&bytes).unwrap(), ledger);
        assert!(bytes.len() < 5 * ids.len() + 10 * 64, "{} bytes", bytes.len());
    }

    #[test]
    fn packs_out_of_order_or_named_twice_are_refused() {
        let bytes = |ledger: &Ledger| minicbor::to_vec(ledger).unwrap();
        let good = bytes(&ledger(&[(1, &[1, 2])]));
        assert!(minicbor::decode::<Ledger>(&good).is_ok());
        for fronts in [[[2; 5], [1; 5]], [[1; 5], [1; 5]]] {
            let wrong = [&good[..good.len() - 10], fronts.as_flattened()].concat();
            assert!(minicbor::decode::<Ledger>(&wrong).is_err());
        }
        let torn = minicbor::to_vec(minicbor::bytes::ByteVec::from(vec![0; 7])).unwrap();
        assert!(minicbor::decode::<PackFronts>(&torn).is_err());
    }
}
