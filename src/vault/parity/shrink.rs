//! Taking packs out of a group without reading the others. The code is linear: what a pack put into the recovery
//! shards is made again of that pack alone, and taken back out.

use std::collections::HashSet;

use crate::base::id::PackId;
use crate::base::object::ObjectName;
use crate::base::progress::{Event, Phase};
use crate::codec::erasure::Encoder;
use crate::repo::parity::{Member, Shape, Table, object};
use crate::storage::Storage;
use crate::vault::parity::build::{Built, Output, Parts, impossible};
use crate::vault::parity::columns::Columns;
use crate::vault::parity::groups::Group;
use crate::vault::{Context, VaultError};

/// Stores a group of the same packs but those that go, each of which must still be readable from `source`. `None`:
/// that cannot be done, since a pack that goes or a recovery shard is damaged, or no pack stays.
pub fn shrink(
    storage: &dyn Storage,
    group: &Group,
    gone: &HashSet<PackId>,
    source: &dyn Fn(&PackId) -> Option<ObjectName>,
    context: Context<'_>,
) -> Result<Option<Built>, VaultError> {
    let Ok(table) = group.table(storage) else { return Ok(None) };
    let shape = without(&table.shape, gone);
    if shape.packs().next().is_none() {
        return Ok(None);
    }
    let (leaving, sources) = only(&table.shape, gone, source);
    context.progress.on(Event::Phase { phase: Phase::Parity, total: Some(shape.recovery_bytes()) });
    let mut columns = Columns::new(&leaving, &sources);
    let parts = Parts::all(&shape);
    let mut output = Output::begin(storage, &shape, &parts)?;
    let mut encoder = Encoder::default();
    for stripe in 0..leaving.stripes().max(shape.stripes()) {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        // The packs that leave are read to their end, for only their hash tells that they were read right.
        columns.read(storage, &table.shape, stripe);
        if columns.is_spoilt() {
            return Ok(None);
        }
        if stripe >= shape.stripes() {
            continue;
        }
        let Some(mut recovery) = old_shards(storage, group, &table, stripe) else { return Ok(None) };
        let length = table.shape.shard_length(stripe);
        let take_out = |number: usize, part: &[u8]| {
            if let Some(shard) = recovery.get_mut(number) {
                shard.iter_mut().zip(part).for_each(|(byte, part)| *byte ^= part);
            }
        };
        encoder.encode(columns.shards(), usize::from(shape.recovery), length, take_out).map_err(impossible)?;
        recovery.iter_mut().for_each(|shard| shard.truncate(shape.shard_length(stripe)));
        output.stripe(&recovery)?;
        context.progress.on(Event::Advanced { bytes: length as u64, files: 0 });
    }
    if columns.finish().is_err() {
        return Ok(None);
    }
    let stays = |(member, hashes): (&Member, _)| if member.is_hole() { Vec::new() } else { hashes };
    let data = shape.members.iter().zip(table.data).map(stays).collect();
    output.finish(storage, shape, data, &parts).map(Some)
}

/// The shape with holes where packs go.
fn without(shape: &Shape, gone: &HashSet<PackId>) -> Shape {
    let stay = |member: &Member| if gone.contains(&member.pack) { Member::HOLE } else { *member };
    Shape { members: shape.members.iter().map(stay).collect(), ..shape.clone() }
}

/// The shape with holes where packs stay, and where to read the others.
fn only(
    shape: &Shape,
    gone: &HashSet<PackId>,
    source: &dyn Fn(&PackId) -> Option<ObjectName>,
) -> (Shape, Vec<Option<ObjectName>>) {
    let leave = |member: &Member| if gone.contains(&member.pack) { *member } else { Member::HOLE };
    let members: Vec<Member> = shape.members.iter().map(leave).collect();
    // A pack without a source has the name it would have, where reading it fails.
    let name = |member: &Member| source(&member.pack).unwrap_or(crate::repo::pack::reader::name(member.pack));
    let sources = members.iter().map(|member| (!member.is_hole()).then(|| name(member))).collect();
    (Shape { members, ..shape.clone() }, sources)
}

fn old_shards(storage: &dyn Storage, group: &Group, table: &Table, stripe: usize) -> Option<Vec<Vec<u8>>> {
    (1..=table.shape.recovery).map(|part| object::read_shard(storage, group.id, table, part, stripe)).collect()
}
