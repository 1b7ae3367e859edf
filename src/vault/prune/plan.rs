//! Which packs go, which are written anew, which stay: a pure decision. Nothing of safety rests on it.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use crate::base::size::ByteCount;
use crate::repo::secrets::IdDomain;
use crate::vault::prune::census::Pack;

/// Small packs of one kind are written into larger ones when there are so many.
const SMALL_PACKS: usize = 16;

/// How much of the repository may be waste in packs that are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unused {
    /// So many percent of all that is stored afterwards.
    Percent(f64),
    /// So many bytes.
    Bytes(u64),
    /// Any amount.
    Unlimited,
}

/// Text that is no amount of waste.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share or size; write `5%` (below 100), `2G` or `unlimited`")]
pub struct BadShare(String);

impl FromStr for Unused {
    type Err = BadShare;

    fn from_str(text: &str) -> Result<Self, BadShare> {
        let bad = || BadShare(text.to_owned());
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| bad())?;
            return if (0.0..100.0).contains(&percent) { Ok(Self::Percent(percent)) } else { Err(bad()) };
        }
        text.parse().map(|ByteCount(bytes)| Self::Bytes(bytes)).map_err(|_| bad())
    }
}

impl Unused {
    /// What most repositories are well with: 5 %.
    pub const DEFAULT: Self = Self::Percent(5.0);

    /// Bytes of waste beside so many used bytes.
    fn limit(self, used: u64) -> u64 {
        match self {
            Self::Percent(percent) => (used as f64 * percent / (100.0 - percent)) as u64,
            Self::Bytes(bytes) => bytes,
            Self::Unlimited => u64::MAX,
        }
    }
}

/// What limits writing anew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// How much waste may stay.
    pub max_unused: Unused,
    /// Stored bytes to write, at most.
    pub max_repack: u64,
    /// The size packs should have.
    pub pack_bytes: u64,
}

/// What is to be done with packs, by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Marked, and needed.
    pub unmark: Vec<u32>,
    /// Nothing in them is needed.
    pub unused: Vec<u32>,
    /// What is used of them is to be written anew.
    pub repack: Vec<u32>,
}

/// Plans. Packs that are marked and needed are taken back or written anew like all others; packs no segment lists are
/// never written anew.
pub fn plan(packs: &[Pack], limits: &Limits) -> Plan {
    let unused = packs.iter().filter(|pack| pack.used == 0 && pack.mark.is_none());
    let mut plan = Plan { unused: unused.map(|pack| pack.number).collect(), ..Plan::default() };
    let mut needed: Vec<&Pack> = packs.iter().filter(|pack| pack.used > 0).collect();
    let repack = choose(&mut needed, limits);
    plan.unmark = needed
        .iter()
        .filter(|pack| pack.mark.is_some() && !repack.contains(&pack.number))
        .map(|pack| pack.number)
        .collect();
    plan.repack = needed.iter().map(|pack| pack.number).filter(|number| repack.contains(number)).collect();
    plan.unmark.sort_unstable();
    plan.repack.sort_unstable();
    plan
}

/// The packs to write anew: the most wasteful first until little enough waste is left, then small ones.
fn choose(needed: &mut Vec<&Pack>, limits: &Limits) -> HashSet<u32> {
    let used: u64 = needed.iter().map(|pack| pack.used_stored()).sum();
    let mut waste: u64 = needed.iter().map(|pack| pack.waste()).sum();
    let allowed = limits.max_unused.limit(used);
    let mut budget = limits.max_repack;
    let mut chosen = HashSet::new();
    let mut take = |pack: &Pack, chosen: &mut HashSet<u32>| match budget.checked_sub(pack.used_stored()) {
        Some(left) if pack.listed => {
            budget = left;
            chosen.insert(pack.number)
        }
        _ => false,
    };
    needed.sort_by(|a, b| share(b).total_cmp(&share(a)).then(a.number.cmp(&b.number)));
    for pack in needed.iter() {
        if waste <= allowed {
            break;
        }
        if take(pack, &mut chosen) {
            waste -= pack.waste();
        }
    }
    for packs in small(needed, &chosen, limits.pack_bytes).into_values() {
        let bytes: u64 = packs.iter().map(|pack| pack.stored).sum();
        if packs.len() >= SMALL_PACKS || (packs.len() > 1 && bytes >= limits.pack_bytes) {
            for pack in packs {
                take(pack, &mut chosen);
            }
        }
    }
    chosen
}

/// Packs far below the size they should have, by kind. What was written anew once to a full size is never small again.
fn small<'p>(needed: &[&'p Pack], chosen: &HashSet<u32>, pack_bytes: u64) -> BTreeMap<IdDomain, Vec<&'p Pack>> {
    let mut small = BTreeMap::<_, Vec<&Pack>>::new();
    let is_small = |pack: &&&Pack| pack.stored < pack_bytes / 4 && pack.listed && !chosen.contains(&pack.number);
    for pack in needed.iter().filter(is_small) {
        small.entry(pack.domain).or_default().push(pack);
    }
    small
}

/// The share of a pack that is waste.
fn share(pack: &Pack) -> f64 {
    pack.waste() as f64 / pack.stored.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::id::PackId;
    use crate::repo::journal::Since;
    use crate::repo::secrets::{Content, IdOwner};

    const MIB: u64 = 1 << 20;

    fn pack(number: u32, mib: u64, used_percent: u64) -> Pack {
        Pack {
            number,
            id: PackId::from_bytes([number as u8; 32]),
            stored: mib * MIB,
            raw: 2 * mib * MIB,
            domain: IdDomain { content: Content::Data, owner: IdOwner::Shared },
            listed: true,
            mark: None,
            held: false,
            used: 2 * mib * MIB * used_percent / 100,
            excused: 0,
        }
    }

    fn marked(pack: Pack) -> Pack {
        Pack { mark: Some(Since { number: 3, time: Timestamp::default() }), ..pack }
    }

    fn limits(max_unused: &str) -> Limits {
        Limits { max_unused: max_unused.parse().unwrap(), max_repack: u64::MAX, pack_bytes: 16 * MIB }
    }

    #[test]
    fn what_nobody_needs_goes_and_the_most_wasteful_are_written_anew_until_little_is_left() {
        let packs = [pack(0, 16, 100), pack(1, 16, 0), pack(2, 16, 10), pack(3, 16, 95), pack(4, 16, 50)];
        let at = |max_unused| plan(&packs, &limits(max_unused));
        assert_eq!(at("unlimited"), Plan { unused: vec![1], ..Plan::default() });
        // 41 MiB used; 23 MiB are waste: 14.4 in pack 2, 8 in 4, 0.8 in 3.
        assert_eq!(at("30%").repack, [2]);
        assert_eq!(at("5%").repack, [2, 4]);
        assert_eq!(at("0%").repack, [2, 3, 4]);
        assert_eq!(at("9M").repack, [2]);
        assert_eq!(at("0").repack, [2, 3, 4]);
    }

    #[test]
    fn no_more_is_written_than_was_allowed() {
        let packs = [pack(0, 16, 50), pack(1, 16, 40), pack(2, 16, 60)];
        let at = |mib: u64| plan(&packs, &Limits { max_repack: mib * MIB, ..limits("0") }).repack;
        assert_eq!(at(0), Vec::<u32>::new());
        assert_eq!(at(7), [1], "6.4 MiB");
        assert_eq!(at(15), [0, 1]);
    }

    #[test]
    fn a_marked_pack_that_is_needed_is_taken_back_or_written_anew() {
        let packs = [marked(pack(0, 16, 100)), marked(pack(1, 16, 5)), marked(pack(2, 16, 0)), pack(3, 16, 100)];
        let plan = plan(&packs, &limits("5%"));
        assert_eq!(plan, Plan { unmark: vec![0], unused: vec![], repack: vec![1] });
    }

    #[test]
    fn small_packs_of_one_kind_are_gathered_when_they_fill_one_or_there_are_many() {
        let smalls = |count: u32, mib| (0..count).map(|number| pack(number, mib, 100)).collect::<Vec<_>>();
        let repacked = |packs: &[Pack]| plan(packs, &limits("unlimited")).repack.len();
        assert_eq!([repacked(&smalls(15, 1)), repacked(&smalls(16, 1))], [0, 16]);
        assert_eq!([repacked(&smalls(5, 3)), repacked(&smalls(6, 3))], [0, 6], "six of 3 MiB fill one");
        assert_eq!(repacked(&smalls(20, 4)), 0, "a quarter of the size is not small");
        let mut mixed = smalls(16, 1);
        for pack in &mut mixed[..8] {
            pack.domain.content = Content::Tree;
        }
        assert_eq!(repacked(&mixed), 0, "trees and data never share a pack");
    }

    #[test]
    fn what_no_segment_lists_is_never_written_anew() {
        let packs = [Pack { listed: false, ..pack(0, 16, 10) }, Pack { listed: false, ..pack(1, 16, 0) }];
        assert_eq!(plan(&packs, &limits("0")), Plan { unused: vec![1], ..Plan::default() });
    }

    #[test]
    fn shares_and_sizes_are_told_apart() {
        assert_eq!("12.5%".parse(), Ok(Unused::Percent(12.5)));
        assert_eq!("2G".parse(), Ok(Unused::Bytes(2 << 30)));
        for bad in ["100%", "-1%", "", "%", "some", "NaN%"] {
            assert!(bad.parse::<Unused>().is_err(), "{bad}");
        }
    }
}
