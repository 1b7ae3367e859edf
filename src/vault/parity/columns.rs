//! The packs of a group side by side, read stripe by stripe.

use rayon::prelude::*;

use crate::base::id::{PackId, StoredHash};
use crate::base::object::ObjectName;
use crate::codec::kdf::plain_hash;
use crate::repo::parity::{Member, Shape};
use crate::storage::Storage;

/// One pack, as far as it was read.
pub struct Column {
    member: Member,
    source: Option<ObjectName>,
    /// The current shard, filled up with zeros.
    shard: Vec<u8>,
    hashes: Vec<StoredHash>,
    whole: blake3::Hasher,
    fault: Option<String>,
}

/// All packs of a group.
pub struct Columns {
    columns: Vec<Column>,
}

impl Columns {
    /// Columns that read from these objects, one for each member; holes have none.
    pub fn new(shape: &Shape, sources: &[Option<ObjectName>]) -> Self {
        let column = |(member, source): (&Member, &Option<ObjectName>)| Column {
            member: *member,
            source: source.clone(),
            shard: Vec::new(),
            hashes: Vec::new(),
            whole: blake3::Hasher::new(),
            fault: None,
        };
        Self { columns: shape.members.iter().zip(sources).map(column).collect() }
    }

    /// Reads a stripe of every pack, in parallel. What cannot be read is kept for [`finish`](Self::finish): a bad
    /// place of the disk is as likely as a store that is gone, which the next write will notice.
    pub fn read(&mut self, storage: &dyn Storage, shape: &Shape, stripe: usize) {
        self.columns.par_iter_mut().for_each(|column| column.read(storage, shape, stripe));
    }

    /// The shards of the stripe read last.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.columns.iter().map(|column| column.shard.as_slice())
    }

    /// Whether going on makes no sense: a pack is known to be damaged.
    pub fn is_spoilt(&self) -> bool {
        self.columns.iter().any(|column| column.fault.is_some())
    }

    /// The hashes of all shards, if every pack is what it is named by; else the packs that are not, and why.
    pub fn finish(self) -> Result<Vec<Vec<StoredHash>>, Vec<(PackId, String)>> {
        if self.is_spoilt() {
            // The others were not read to their end, so that nothing can be said of them.
            let fault = |column: Column| Some((column.member.pack, column.fault?));
            return Err(self.columns.into_iter().filter_map(fault).collect());
        }
        let (mut hashes, mut bad) = (Vec::new(), Vec::new());
        for column in self.columns {
            match column.verdict() {
                Ok(column) => hashes.push(column),
                Err(fault) => bad.push(fault),
            }
        }
        if bad.is_empty() { Ok(hashes) } else { Err(bad) }
    }
}

impl Column {
    fn read(&mut self, storage: &dyn Storage, shape: &Shape, stripe: usize) {
        self.shard.clear();
        let length = shape.data_length(&self.member, stripe);
        if let (Some(source), None) = (&self.source, &self.fault)
            && length > 0
        {
            match storage.get_range(source, shape.offset(stripe), length) {
                Ok(bytes) => {
                    self.hashes.push(StoredHash::from_bytes(plain_hash(&bytes)));
                    self.whole.update(&bytes);
                    self.shard = bytes;
                }
                Err(fault) => self.fault = Some(fault.to_string()),
            }
        }
        self.shard.resize(shape.shard_length(stripe), 0);
    }

    fn verdict(self) -> Result<Vec<StoredHash>, (PackId, String)> {
        if self.source.is_none() && !self.member.is_hole() {
            return Err((self.member.pack, "it is not there".to_owned()));
        }
        let is_right = || self.whole.finalize().as_bytes() == self.member.pack.as_bytes();
        if self.source.is_none() || is_right() {
            return Ok(self.hashes);
        }
        Err((self.member.pack, "its bytes are not those it is named by".to_owned()))
    }
}
