//! Bringing a machine's cache of the index up to date, and looking the chunk up in it.

use super::Protocol;
use super::rules::Rule;
use super::world::{Cache, SEGMENTS, Set, World, has, one, pack_of, segment_of};

/// The packs a session learns of.
pub fn load(protocol: &Protocol, world: &mut World, number: usize) -> Set {
    let machine = usize::from(protocol.scenario.machines[number]);
    let cache = caught_up(protocol, world, &world.caches[machine], world.sessions[number].listed);
    if protocol.scenario.caches {
        world.caches[machine] = cache;
    }
    cache.packs.iter().fold(0, |set, packs| set | packs)
}

/// The listing that comes first: of segments, so that the packs are looked for after them.
pub fn first_listing(protocol: &Protocol, world: &World) -> Set {
    if protocol.rules.hold(Rule::I5) { world.segments_here() } else { world.packs_here() }
}

fn caught_up(protocol: &Protocol, world: &World, old: &Cache, first: Set) -> Cache {
    let (listed, packs) =
        if protocol.rules.hold(Rule::I5) { (first, world.packs_here()) } else { (world.segments_here(), first) };
    let believed = |segment: usize| -> Set {
        world.segments[segment].packs & if protocol.rules.hold(Rule::I1) { packs } else { Set::MAX }
    };
    let covers = |merged: usize, segment: usize| {
        let readable = if has(world.segments_here(), merged) { believed(merged) } else { 0 };
        let lists = if has(old.folded, merged) { old.packs[merged] } else { readable };
        let lists_all = old.packs[segment] & !lists == 0;
        let replaces = has(world.segments[merged].inputs, segment);
        has(listed, merged) && if protocol.rules.hold(Rule::I3) { lists_all } else { replaces }
    };
    let mut vanished = (0..SEGMENTS).filter(|segment| has(old.folded & !listed, *segment) && old.packs[*segment] != 0);
    let is_stale = |segment: usize| !(0..SEGMENTS).any(|merged| covers(merged, segment));
    let rebuild = protocol.rules.hold(Rule::I2) && vanished.any(is_stale);
    let mut cache = if rebuild { Cache::default() } else { *old };
    // A segment that was deleted since it was listed is passed over.
    let new = listed & world.segments_here() & !cache.folded;
    for segment in (0..SEGMENTS).filter(|segment| has(new, *segment)) {
        cache.packs[segment] = believed(segment);
    }
    cache.folded |= new;
    cache
}

/// What a writer that does not look again enters when its own segment was stored.
pub fn fold_own(protocol: &Protocol, world: &mut World, number: usize) {
    if protocol.scenario.caches {
        let cache = &mut world.caches[usize::from(protocol.scenario.machines[number])];
        cache.folded |= one(segment_of(number));
        cache.packs[segment_of(number)] = one(pack_of(number));
    }
}
