//! Verifying one pack in a single pass: the hash that names it while its blocks are opened, expanded and every
//! chunk re-hashed, then its signature.

use crate::base::cancel::Cancel;
use crate::base::id::PackId;
use crate::base::object::ObjectName;
use crate::base::progress::{Event, Progress};
use crate::codec::compress::Inflater;
use crate::codec::seal::{Domain, ObjectCipher};
use crate::codec::sign::{SIGNATURE_BYTES, Subject};
use crate::repo::format::{BLOCK_BYTES_MAX, PACK_BYTES_MAX};
use crate::repo::header::Header;
use crate::repo::index::BlockPlace;
use crate::repo::pack::reader::{self, HEADER_GUESS};
use crate::repo::pack::writer::{TRAILER_BYTES, TRAILER_SEALED_BYTES};
use crate::repo::pack::{BlockCodec, ChunkInfo, PackTable, copies};
use crate::repo::secrets::IdKey;
use crate::repo::{RepoError, Repository};
use crate::vault::check::Kind;
use crate::vault::check::findings::cause_for;

/// Blocks read at once; a larger block is read alone.
const RUN_BYTES: u64 = 4 << 20;

/// What one worker reuses from pack to pack.
pub struct Scratch {
    inflater: Option<Inflater>,
    plain: Vec<u8>,
}

impl Scratch {
    /// Empty buffers.
    pub fn new() -> Self {
        Self { inflater: Inflater::new().ok(), plain: Vec::new() }
    }
}

/// What reading a pack showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is wrong; empty for a good pack.
    pub faults: Vec<String>,
    /// Blocks whose chunks cannot be had from this pack.
    pub bad_blocks: Vec<u32>,
    /// No block can be had from this pack.
    pub lost: bool,
    /// The pack is whole, but not what the index says it is.
    pub index_wrong: bool,
    /// The pack's own table, as stored, hashed: to compare with what the index says of it.
    pub table_hash: Option<[u8; 32]>,
    /// Bytes read.
    pub bytes_read: u64,
    /// What is wrong with the pack itself, whose mended copy all the rest is about.
    pub replaced: Option<String>,
}

impl Verdict {
    /// Whether everything can be had.
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    /// Takes the verdict on the mended copy into account: what either has is not lost.
    pub fn stand_in(&mut self, mended: Self) {
        self.bytes_read += mended.bytes_read;
        if mended.is_good() {
            let bytes_read = self.bytes_read;
            let replaced = Some(std::mem::take(&mut self.faults).join("; "));
            *self = Self { bytes_read, replaced, ..mended };
            return;
        }
        self.faults.push(format!("its mended copy is damaged too: {}", mended.faults.join("; ")));
        if self.lost {
            (self.lost, self.bad_blocks) = (mended.lost, mended.bad_blocks);
        } else if !mended.lost {
            self.bad_blocks.retain(|block| mended.bad_blocks.contains(block));
        }
    }

    /// What kind of thing is wrong, if something is.
    pub fn kind(&self) -> Kind {
        match self.faults.as_slice() {
            [_] if self.index_wrong => Kind::IndexWrong,
            [_] if !self.lost && !self.bad_blocks.is_empty() => Kind::BlockDamaged,
            _ => Kind::PackDamaged,
        }
    }

    /// Nothing of the pack can be read.
    fn all_lost(fault: String) -> Self {
        Self { faults: vec![fault], lost: true, ..Self::default() }
    }
}

/// Where to look and whom to tell.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Looked at between runs.
    pub cancel: &'a Cancel,
    /// Told of every run.
    pub progress: &'a dyn Progress,
}

impl Job<'_> {
    /// Reads the whole pack, and its mended copy where the pack itself is not good. `stored` and `mended` are the bytes
    /// of the two objects, of those that are there.
    pub fn verify_either(
        self,
        id: PackId,
        (stored, mended): (Option<u64>, Option<u64>),
        indexed: Option<&[BlockPlace]>,
        scratch: &mut Scratch,
    ) -> Verdict {
        let mut verdict = match stored {
            None => Verdict::all_lost("it is missing".to_owned()),
            Some(bytes) => self.verify(id, &reader::name(id), bytes, indexed, scratch),
        };
        if let Some(bytes) = mended.filter(|_| !verdict.is_good()) {
            verdict.stand_in(self.verify(id, &copies::mended_name(id), bytes, indexed, scratch));
        }
        verdict
    }

    /// Reads the whole pack from the object `name`. `indexed` are its blocks as the index has them: with them, blocks of a pack whose own
    /// table is damaged are still told apart. After a request to stop the verdict is incomplete.
    pub fn verify(
        self,
        id: PackId,
        name: &ObjectName,
        bytes: u64,
        indexed: Option<&[BlockPlace]>,
        scratch: &mut Scratch,
    ) -> Verdict {
        if bytes > PACK_BYTES_MAX {
            return Verdict::all_lost(format!("it is {bytes} bytes long, more than any pack"));
        }
        let fail = |error: &RepoError| cause_for(name, error);
        let (header, cipher) = match self.front(name, bytes) {
            Ok(front) => front,
            Err(error) => return Verdict::all_lost(fail(&error)),
        };
        let mut verdict = Verdict::default();
        let plan = match self.table(name, bytes, &header, &cipher) {
            Ok(table) => {
                verdict.table_hash = Some(*blake3::hash(&table.encode()).as_bytes());
                Plan::from_table(table, self.repository)
            }
            Err(error) => {
                verdict.faults.push(fail(&error));
                Plan::from_index(indexed.unwrap_or_default(), bytes)
            }
        };
        let mut pass = Pass { job: self, name, cipher: &cipher, scratch, verdict, stream: Stream::new(bytes) };
        pass.blocks(&plan);
        pass.rest(bytes);
        let Pass { mut verdict, stream, .. } = pass;
        verdict.bytes_read = stream.at;
        if let Some(fault) = plan.summary(&verdict.bad_blocks) {
            verdict.faults.push(fault);
        }
        if verdict.faults.is_empty() && !self.cancel.is_requested() {
            verdict.faults.extend(self.seal_of_writer(id, &header, &stream));
        }
        verdict
    }

    fn front(self, name: &ObjectName, bytes: u64) -> Result<(Header, ObjectCipher), RepoError> {
        let front = self.repository.storage.get_range(name, 0, (bytes as usize).min(HEADER_GUESS))?;
        reader::parse_header(self.repository, name, &front)
    }

    fn table(
        self,
        name: &ObjectName,
        bytes: u64,
        header: &Header,
        cipher: &ObjectCipher,
    ) -> Result<PackTable, RepoError> {
        let too_short = || RepoError::damaged(name, "it is too short for its trailer");
        let end = bytes.checked_sub(TRAILER_BYTES as u64).ok_or_else(too_short)?;
        let header_bytes = header.length() as u64;
        let storage = &self.repository.storage;
        let trailer = storage.get_range(name, end, TRAILER_SEALED_BYTES)?;
        let (offset, length) = reader::open_trailer(name, cipher, trailer, end, header_bytes)?;
        let sealed = storage.get_range(name, offset, length)?;
        reader::open_table(name, cipher, sealed, header_bytes, offset)
    }

    /// Compares the hash of everything with the name, and the signature with the hash of everything before it.
    fn seal_of_writer(self, id: PackId, header: &Header, stream: &Stream) -> Option<String> {
        if stream.torn || PackId::from_bytes(*stream.hasher.finalize().as_bytes()) != id {
            return Some("its bytes are not those it is named by".to_owned());
        }
        let Some(signer) = self.repository.signer(header.writer) else {
            return Some("its writer is unknown".to_owned());
        };
        let subject = Subject { repository: header.repository, kind: header.kind, epoch: header.epoch, name: "" };
        signer.verify(subject, &stream.signed, &stream.signature).err().map(|why| why.to_string())
    }
}

/// The blocks to expect, from the pack's own table or, if that is damaged, from the index.
struct Plan {
    blocks: Vec<BlockPlace>,
    /// The chunks of each block; empty without a table.
    chunks: Vec<Vec<ChunkInfo>>,
    key: Option<IdKey>,
}

impl Plan {
    fn from_table(table: PackTable, repository: &Repository) -> Self {
        let place = |(offset, block): (u64, &crate::repo::pack::BlockInfo)| BlockPlace {
            offset,
            stored_bytes: block.stored_bytes,
            raw_bytes: block.raw_bytes,
            codec: block.codec,
        };
        let blocks = table.offsets().zip(&table.blocks).map(place).collect();
        let key = Some(repository.secrets.id_key(table.domain));
        Self { blocks, chunks: table.blocks.into_iter().map(|block| block.chunks).collect(), key }
    }

    /// Only blocks that follow each other within the pack can be read in one pass.
    fn from_index(indexed: &[BlockPlace], bytes: u64) -> Self {
        let mut at = indexed.first().map_or(0, |block| block.offset);
        let in_line = |block: &&BlockPlace| {
            let fits = block.offset == at && block.offset + u64::from(block.stored_bytes) <= bytes;
            at = block.offset + u64::from(block.stored_bytes);
            fits
        };
        Self { blocks: indexed.iter().take_while(in_line).copied().collect(), chunks: Vec::new(), key: None }
    }

    fn chunks(&self, slot: usize) -> &[ChunkInfo] {
        self.chunks.get(slot).map_or(&[], Vec::as_slice)
    }

    /// Runs of neighbouring blocks: first slot, and one past the last.
    fn runs(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let first = next;
            let mut bytes = 0;
            while let Some(block) = self.blocks.get(next) {
                bytes += u64::from(block.stored_bytes);
                if next > first && bytes > RUN_BYTES {
                    break;
                }
                next += 1;
            }
            (next > first).then_some((first, next))
        })
    }

    fn summary(&self, bad: &[u32]) -> Option<String> {
        let first = bad.first()?;
        let of = self.blocks.len();
        Some(format!(
            "{} of its {of} blocks cannot be read or hold other content (the first is block {first})",
            bad.len()
        ))
    }
}

/// The one pass over a pack's bytes.
struct Pass<'a> {
    job: Job<'a>,
    name: &'a ObjectName,
    cipher: &'a ObjectCipher,
    scratch: &'a mut Scratch,
    verdict: Verdict,
    stream: Stream,
}

impl Pass<'_> {
    fn blocks(&mut self, plan: &Plan) {
        let Some(first) = plan.blocks.first() else { return };
        self.skip_to(first.offset);
        for (from, to) in plan.runs() {
            if self.job.cancel.is_requested() {
                return;
            }
            let blocks = &plan.blocks[from..to];
            let bytes = blocks.iter().map(|block| block.stored_bytes as usize).sum();
            let Some(mut run) = self.read(bytes) else {
                self.verdict.bad_blocks.extend(from as u32..to as u32);
                continue;
            };
            let mut rest = run.as_mut_slice();
            for (slot, block) in (from..to).zip(blocks) {
                let Some((sealed, behind)) = rest.split_at_mut_checked(block.stored_bytes as usize) else { break };
                if !self.block_is_good(slot as u32, block, sealed, plan) {
                    self.verdict.bad_blocks.push(slot as u32);
                }
                rest = behind;
            }
        }
    }

    /// Opens, expands and re-hashes.
    fn block_is_good(&mut self, slot: u32, block: &BlockPlace, sealed: &mut [u8], plan: &Plan) -> bool {
        if block.raw_bytes as usize > BLOCK_BYTES_MAX {
            return false;
        }
        let Ok(packed) = self.cipher.open_slice(Domain::Block, u64::from(slot), sealed) else { return false };
        let plain = match (block.codec, &mut self.scratch.inflater) {
            (BlockCodec::Raw, _) => packed,
            (BlockCodec::Zstd, None) => return false,
            (BlockCodec::Zstd, Some(inflater)) => {
                let plain = &mut self.scratch.plain;
                if inflater.inflate(packed, block.raw_bytes as usize, plain).is_err() {
                    return false;
                }
                plain.as_slice()
            }
        };
        if plain.len() != block.raw_bytes as usize {
            return false;
        }
        let Some(key) = &plan.key else { return true };
        let mut rest = plain;
        plan.chunks(slot as usize).iter().all(|chunk| {
            let Some((bytes, behind)) = rest.split_at_checked(chunk.length as usize) else { return false };
            rest = behind;
            key.id(bytes) == chunk.id
        })
    }

    /// Everything behind the blocks: table, padding, trailer, signature.
    fn rest(&mut self, bytes: u64) {
        self.skip_to(bytes);
    }

    /// Hashes what lies before `offset` without looking at it.
    fn skip_to(&mut self, offset: u64) {
        while self.stream.at < offset && !self.job.cancel.is_requested() {
            let bytes = (offset - self.stream.at).min(RUN_BYTES);
            _ = self.read(bytes as usize);
        }
    }

    /// Reads and hashes the next bytes; `None`, with the fault noted, if they cannot be read.
    fn read(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let read = self.job.repository.storage.get_range(self.name, self.stream.at, bytes);
        self.job.progress.on(Event::Advanced { bytes: bytes as u64, files: 0 });
        match read {
            Ok(run) => {
                self.stream.feed(&run);
                Some(run)
            }
            Err(error) => {
                if !self.stream.torn {
                    self.verdict.faults.push(error.to_string());
                }
                self.stream.skip(bytes as u64);
                None
            }
        }
    }
}

/// The hash of a pack as it goes by, the hash before the signature, and the signature.
struct Stream {
    hasher: blake3::Hasher,
    at: u64,
    signature_at: u64,
    signed: [u8; 32],
    signature: [u8; SIGNATURE_BYTES],
    /// Some bytes could not be read.
    torn: bool,
}

impl Stream {
    fn new(bytes: u64) -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            at: 0,
            signature_at: bytes.saturating_sub(SIGNATURE_BYTES as u64),
            signed: [0; 32],
            signature: [0; SIGNATURE_BYTES],
            torn: false,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let before = self.signature_at.saturating_sub(self.at).min(bytes.len() as u64) as usize;
        let (signed, signature) = bytes.split_at(before);
        self.hasher.update(signed);
        self.at += signed.len() as u64;
        if signature.is_empty() {
            return;
        }
        if self.at == self.signature_at {
            self.signed = *self.hasher.finalize().as_bytes();
        }
        for byte in signature {
            let place = (self.at - self.signature_at) as usize;
            if let Some(slot) = self.signature.get_mut(place) {
                *slot = *byte;
            }
            self.at += 1;
        }
        self.hasher.update(signature);
    }

    fn skip(&mut self, bytes: u64) {
        self.at += bytes;
        self.torn = true;
    }
}
