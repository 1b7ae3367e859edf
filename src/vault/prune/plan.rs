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
