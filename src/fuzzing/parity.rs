//! The table of a parity group, which anybody who can write to a store can put there.

use crate::base::id::{PackId, StoredHash};
use crate::repo::parity::{Member, Overhead, Shape, Table};

pub(super) fn table(data: &[u8]) {
    let Ok(table) = Table::decode(data) else { return };
    assert_eq!(table.encode(), data, "a table has one form");
    let shape = &table.shape;
    let stripes = 0..shape.stripes();
    let recovery: u64 = stripes.clone().map(|stripe| shape.shard_length(stripe) as u64).sum();
    assert_eq!(recovery, shape.recovery_bytes());
    for (member, hashes) in shape.members.iter().zip(&table.data) {
        let bytes: u64 = stripes.clone().map(|stripe| shape.data_length(member, stripe) as u64).sum();
        assert_eq!((bytes, hashes.len()), (member.bytes, shape.shards_of(member)));
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let member = |byte, bytes| Member { pack: PackId::from_bytes([byte; 32]), bytes };
    let of = |shard_bytes, recovery, members: Vec<Member>| {
        let shape = Shape { shard_bytes, recovery, overhead: Overhead::DEFAULT, members };
        let hashes = |count| vec![StoredHash::from_bytes([9; 32]); count];
        let data = shape.members.iter().map(|member| hashes(shape.shards_of(member))).collect();
        Table { data, recovery: vec![hashes(shape.stripes()); usize::from(recovery)], shape }.encode()
    };
    vec![of(64, 1, vec![member(1, 1)]), of(128, 2, vec![member(1, 300), Member::HOLE, member(2, 128)])]
}
