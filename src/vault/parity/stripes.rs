//! One pass over a group: the packs that are wanted are read shard by shard, and where one is damaged, all others of
//! its stripe are read and it is computed.

use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::base::id::{PackId, ParityId};
use crate::base::object::ObjectName;
use crate::base::progress::Event;
use crate::codec::erasure;
use crate::codec::kdf::plain_hash;
use crate::repo::pack::{copies, reader};
use crate::repo::parity::{Table, object};
use crate::storage::{Staged, Storage};
use crate::vault::VaultError;
use crate::vault::parity::cover::Scene;

/// What became of a pack that was wanted.
pub enum Verdict {
    /// All of it can be had.
    Whole {
        /// Shards that were damaged.
        shards: u64,
        /// Its bytes.
        bytes: u64,
        /// Its bytes in the store, without a name yet; none in a dry run.
        staged: Option<StagedPack>,
    },
    /// Some of it cannot, and why.
    Short(String),
}

/// A pack that was put together and found to be what it is named by.
pub struct StagedPack {
    pack: PackId,
    staged: Box<dyn Staged>,
}

impl StagedPack {
    /// Gives it its name in `mended/`, in the place of a copy that is known to be damaged.
    pub fn publish(self, storage: &dyn Storage, over_damaged: bool) -> Result<(), VaultError> {
        let name = copies::mended_name(self.pack);
        if over_damaged {
            storage.delete(&name)?;
        }
        self.staged.publish(&name)?;
        Ok(())
    }
}

/// A pack being put together.
struct Wanted {
    column: usize,
    staged: Option<Box<dyn Staged>>,
    hasher: blake3::Hasher,
    shards: u64,
    short: Option<String>,
}

/// The pass.
pub struct Stripes<'a> {
    shards: Shards<'a>,
    wanted: Vec<Wanted>,
}

/// The shards of a group, each from wherever it is right.
struct Shards<'a> {
    scene: &'a Scene<'a>,
    group: ParityId,
    table: &'a Table,
    /// Where the pack of each column can be read, best first.
    sources: Vec<Vec<ObjectName>>,
}

impl<'a> Stripes<'a> {
    /// A pass for those packs of the group that are wanted.
    pub fn new(scene: &'a Scene<'a>, group: ParityId, table: &'a Table, wanted: &BTreeSet<PackId>) -> Self {
        let members = &table.shape.members;
        let sources = members.iter().map(|member| sources(scene, &member.pack)).collect();
        let is_wanted = |column: &usize| !members[*column].is_hole() && wanted.contains(&members[*column].pack);
        let begin = |column| Wanted { column, staged: None, hasher: blake3::Hasher::new(), shards: 0, short: None };
        let wanted = (0..members.len()).filter(is_wanted).map(begin).collect();
        Self { shards: Shards { scene, group, table, sources }, wanted }
    }

    /// Goes through all stripes. Nothing is given a name.
    pub fn run(mut self, dry_run: bool) -> Result<Vec<(PackId, Verdict)>, VaultError> {
        if !dry_run {
            for wanted in &mut self.wanted {
                wanted.staged = Some(self.shards.scene.storage.stage()?);
            }
        }
        for stripe in 0..self.shards.table.shape.stripes() {
            if self.shards.scene.context.cancel.is_requested() {
                return Err(VaultError::Interrupted);
            }
            if self.wanted.iter().all(|wanted| wanted.short.is_some()) {
                break;
            }
            self.stripe(stripe, dry_run)?;
        }
        let table = self.shards.table;
        Ok(self.wanted.into_iter().map(|wanted| wanted.verdict(table)).collect())
    }

    fn stripe(&mut self, stripe: usize, dry_run: bool) -> Result<(), VaultError> {
        let columns: Vec<usize> = self.wanted.iter().map(|wanted| wanted.column).collect();
        let mut shards: Vec<Option<Vec<u8>>> = vec![None; self.shards.table.shape.members.len()];
        self.shards.read(&columns, stripe, &mut shards);
        let damaged: Vec<usize> = columns.iter().copied().filter(|column| shards[*column].is_none()).collect();
        let why_short = match damaged.is_empty() {
            true => None,
            false => self.shards.compute(&columns, stripe, &mut shards, dry_run)?,
        };
        let shape = &self.shards.table.shape;
        for wanted in &mut self.wanted {
            let was_damaged = damaged.contains(&wanted.column);
            wanted.shards += u64::from(was_damaged);
            if was_damaged && let Some(why) = &why_short {
                wanted.give_up(why);
            }
            let length = shape.data_length(&shape.members[wanted.column], stripe);
            if let Some(shard) = shards[wanted.column].as_ref().and_then(|shard| shard.get(..length)) {
                wanted.write(shard)?;
            }
            self.shards.scene.context.progress.on(Event::Advanced { bytes: length as u64, files: 0 });
        }
        Ok(())
    }
}

impl Shards<'_> {
    /// Reads everything else of the stripe and computes what is missing; or says why that cannot be.
    fn compute(
        &self,
        read: &[usize],
        stripe: usize,
        shards: &mut [Option<Vec<u8>>],
        dry_run: bool,
    ) -> Result<Option<String>, VaultError> {
        let others: Vec<usize> = (0..shards.len()).filter(|column| !read.contains(column)).collect();
        self.read(&others, stripe, shards);
        let missing = shards.iter().filter(|shard| shard.is_none()).count();
        let (mut recovery, mut found) = (vec![None; usize::from(self.table.shape.recovery)], 0);
        for part in 1..=self.table.shape.recovery {
            if found < missing {
                let shard = object::read_shard(self.scene.storage, self.group, self.table, part, stripe);
                found += usize::from(shard.is_some());
                recovery[usize::from(part) - 1] = shard;
            }
        }
        if found < missing {
            return Ok(Some(format!(
                "{missing} of the {} shards of stripe {stripe} of group {} are damaged or gone, and {found} can be mended",
                shards.len(),
                self.group.short()
            )));
        }
        if dry_run {
            return Ok(None);
        }
        let data: Vec<Option<&[u8]>> = shards.iter().map(Option::as_deref).collect();
        let recovery: Vec<Option<&[u8]>> = recovery.iter().map(Option::as_deref).collect();
        let restored = match erasure::restore(&data, &recovery, self.table.shape.shard_length(stripe)) {
            Ok(restored) => restored,
            Err(why) => return Ok(Some(why.to_string())),
        };
        let mut why_short = None;
        for (column, shard) in restored {
            if self.is_right(column, stripe, &shard) {
                shards[column] = Some(shard);
            } else {
                why_short = Some(format!("what stripe {stripe} of group {} gives is not it", self.group.short()));
            }
        }
        Ok(why_short)
    }

    /// Reads shards in parallel, from the first object whose bytes are right.
    fn read(&self, columns: &[usize], stripe: usize, shards: &mut [Option<Vec<u8>>]) {
        let read = |column: &usize| (*column, self.shard(*column, stripe));
        let found: Vec<(usize, Option<Vec<u8>>)> = columns.par_iter().map(read).collect();
        found.into_iter().for_each(|(column, shard)| shards[column] = shard);
    }

    fn shard(&self, column: usize, stripe: usize) -> Option<Vec<u8>> {
        let shape = &self.table.shape;
        let length = shape.data_length(&shape.members[column], stripe);
        if length == 0 {
            return Some(vec![0; shape.shard_length(stripe)]);
        }
        self.sources[column].iter().find_map(|source| {
            // A place of the disk that cannot be read is as good as one that holds other bytes.
            let mut shard = self.scene.storage.get_range(source, shape.offset(stripe), length).ok()?;
            if !self.is_right(column, stripe, &shard) {
                return None;
            }
            shard.resize(shape.shard_length(stripe), 0);
            Some(shard)
        })
    }

    fn is_right(&self, column: usize, stripe: usize, shard: &[u8]) -> bool {
        let length = self.table.shape.data_length(&self.table.shape.members[column], stripe);
        let hash = self.table.data[column].get(stripe);
        shard.get(..length).zip(hash).is_some_and(|(bytes, hash)| plain_hash(bytes) == *hash.as_bytes())
    }
}

impl Wanted {
    fn give_up(&mut self, why: &str) {
        self.short.get_or_insert_with(|| why.to_owned());
        self.staged = None;
    }

    fn write(&mut self, shard: &[u8]) -> Result<(), VaultError> {
        if let Some(staged) = &mut self.staged {
            staged.write(shard)?;
            self.hasher.update(shard);
        }
        Ok(())
    }

    fn verdict(self, table: &Table) -> (PackId, Verdict) {
        let member = table.shape.members[self.column];
        let right = self.hasher.finalize().as_bytes() == member.pack.as_bytes();
        let verdict = match (self.short, self.staged) {
            (Some(why), _) => Verdict::Short(why),
            (None, Some(_)) if !right => Verdict::Short("what its group gives is not it".to_owned()),
            (None, staged) => Verdict::Whole {
                shards: self.shards,
                bytes: member.bytes,
                staged: staged.map(|staged| StagedPack { pack: member.pack, staged }),
            },
        };
        (member.pack, verdict)
    }
}

fn sources(scene: &Scene<'_>, pack: &PackId) -> Vec<ObjectName> {
    let own = scene.stored.packs.contains_key(pack).then(|| reader::name(*pack));
    let mended = scene.stored.mended.contains_key(pack).then(|| copies::mended_name(*pack));
    own.into_iter().chain(mended).collect()
}
