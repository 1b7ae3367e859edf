//! Bringing a machine's cache of the index up to date.
//!
//! The store is listed twice. Whatever happens in between, and which listing comes first, must not matter: here packs
//! come first, which serves worst.

use super::Protocol;
use super::rules::Rule;
use super::world::{Cache, Set, World, one, pack_of, segment_of};

/// The packs a session learns of.
pub fn load(protocol: &Protocol, world: &mut World, number: usize) -> Set {
    let listed = world.sessions[number].listed;
    let here = world.segments_here() & !world.sessions[number].doomed_segments;
    let machine = usize::from(protocol.scenario.machines[number]);
    let mut cache = world.caches[machine];
    if cache.swept < world.sessions[number].swept && protocol.rules.hold(Rule::I2) {
        cache.packs &= listed;
    }
    cache.swept = world.sessions[number].swept;
    let new = world.listed_by(here & !cache.folded);
    cache.packs |= if protocol.rules.hold(Rule::I1) { new & listed } else { new };
    cache.folded |= here;
    keep(protocol, world, machine, cache);
    if protocol.rules.hold(Rule::I4) { cache.packs & world.listed_by(here) } else { cache.packs }
}

/// A writer's own segment: its packs need not be looked for.
pub fn fold_own(protocol: &Protocol, world: &mut World, number: usize) {
    let machine = usize::from(protocol.scenario.machines[number]);
    let mut cache = world.caches[machine];
    cache.folded |= one(segment_of(number));
    cache.packs |= one(pack_of(number));
    keep(protocol, world, machine, cache);
}

fn keep(protocol: &Protocol, world: &mut World, machine: usize, cache: Cache) {
    if protocol.scenario.caches {
        world.caches[machine] = cache;
    }
}
