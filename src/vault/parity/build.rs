//! Making the objects of a group: all packs are read once, stripe by stripe.

use std::collections::BTreeSet;

use crate::base::id::{PackId, ParityId, StoredHash};
use crate::base::object::ObjectName;
use crate::base::progress::{Event, Phase};
use crate::codec::erasure::{Encoder, NoCode};
use crate::codec::kdf::plain_hash;
use crate::repo::RepoError;
use crate::repo::parity::object::{self, Writer};
use crate::repo::parity::{Shape, Table};
use crate::storage::Storage;
use crate::vault::parity::columns::Columns;
use crate::vault::{Context, VaultError};

/// Which objects of a group are to be written.
#[derive(Debug, Clone)]
pub struct Parts {
    /// These.
    pub wanted: BTreeSet<u16>,
    /// Of these an object of the name may be there that is known to be damaged: it is deleted just before.
    pub damaged: BTreeSet<ObjectName>,
}

impl Parts {
    /// All of a group.
    pub fn all(shape: &Shape) -> Self {
        Self { wanted: (0..=shape.recovery).collect(), damaged: BTreeSet::new() }
    }
}

/// How making a group ended.
#[derive(Debug)]
pub enum Built {
    /// It is stored.
    Group {
        /// Its name.
        id: ParityId,
        /// Bytes of the objects that were wanted.
        bytes: u64,
    },
    /// Nothing was stored: these packs are not what they are named by.
    BadPacks(Vec<(PackId, String)>),
}

/// Reads the packs from `sources` and stores the wanted objects. Nothing gets a name before every pack was read whole
/// and found right; then the recovery objects do, and the description last.
pub fn build(
    storage: &dyn Storage,
    shape: &Shape,
    sources: &[Option<ObjectName>],
    parts: &Parts,
    context: Context<'_>,
) -> Result<Built, VaultError> {
    let total = shape.packs().map(|member| member.bytes).sum();
    context.progress.on(Event::Phase { phase: Phase::Parity, total: Some(total) });
    let mut columns = Columns::new(shape, sources);
    let mut output = Output::begin(storage, shape, parts)?;
    let mut encoder = Encoder::default();
    for stripe in 0..shape.stripes() {
        if context.cancel.is_requested() {
            return Err(VaultError::Interrupted);
        }
        columns.read(storage, shape, stripe);
        if columns.is_spoilt() {
            break;
        }
        let mut made = Vec::with_capacity(usize::from(shape.recovery));
        let length = shape.shard_length(stripe);
        let keep = |_: usize, shard: &[u8]| made.push(shard.to_vec());
        encoder.encode(columns.shards(), usize::from(shape.recovery), length, keep).map_err(impossible)?;
        output.stripe(&made)?;
        let read = shape.packs().map(|member| shape.data_length(member, stripe) as u64).sum();
        context.progress.on(Event::Advanced { bytes: read, files: 0 });
    }
    match columns.finish() {
        Ok(data) => output.finish(storage, shape.clone(), data, parts),
        Err(bad) => Ok(Built::BadPacks(bad)),
    }
}

/// The code takes every shape that planning makes and reading lets through.
pub fn impossible(error: NoCode) -> VaultError {
    VaultError::Request { what: error.to_string(), hint: Some("report this".to_owned()) }
}

/// Objects on their way to the store.
pub struct Output {
    writers: Vec<Writer>,
    recovery: Vec<Vec<StoredHash>>,
}

impl Output {
    /// Begins the wanted objects.
    pub fn begin(storage: &dyn Storage, shape: &Shape, parts: &Parts) -> Result<Self, RepoError> {
        let writers = parts.wanted.iter().map(|part| Writer::begin(storage, *part)).collect::<Result<_, _>>()?;
        Ok(Self { writers, recovery: vec![Vec::new(); usize::from(shape.recovery)] })
    }

    /// Adds the recovery shards of the next stripe.
    pub fn stripe(&mut self, recovery: &[Vec<u8>]) -> Result<(), RepoError> {
        for (hashes, shard) in self.recovery.iter_mut().zip(recovery) {
            hashes.push(StoredHash::from_bytes(plain_hash(shard)));
        }
        for writer in &mut self.writers {
            if let Some(shard) = usize::from(writer.part()).checked_sub(1).and_then(|at| recovery.get(at)) {
                writer.write(shard)?;
            }
        }
        Ok(())
    }

    /// Writes the table behind all of them and gives them their names, the description last.
    pub fn finish(
        self,
        storage: &dyn Storage,
        shape: Shape,
        data: Vec<Vec<StoredHash>>,
        parts: &Parts,
    ) -> Result<Built, VaultError> {
        let table = Table { shape, data, recovery: self.recovery };
        let (id, encoded) = (table.id(), table.encode());
        let mut bytes = 0;
        for writer in self.writers.into_iter().rev() {
            let (part, name) = (writer.part(), object::name(id, writer.part()));
            if parts.damaged.contains(&name) {
                storage.delete(&name)?;
            }
            writer.finish(id, &encoded)?;
            bytes += object::stored_bytes(&table.shape, part);
        }
        Ok(Built::Group { id, bytes })
    }
}
