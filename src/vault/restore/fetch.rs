//! Fetching blocks: neighbours in one read, every chunk re-hashed, other copies tried before a file is given up.

use std::ops::Range;

use crate::codec::compress::Inflater;
use crate::repo::RepoError;
use crate::repo::index::{BlockPlace, PackPlace};
use crate::repo::pack::reader::{self, Opening};
use crate::vault::restore::execute::is_whole;
use crate::vault::restore::shared::Shared;
use crate::vault::restore::window::{Piece, Window};

/// Stored bytes fetched at once.
const READ_BYTES: u64 = 4 << 20;
/// Stored bytes nobody asked for that are read along rather than asking twice.
const GAP_BYTES: u64 = 128 << 10;

/// Blocks of one pack that are read together, and which pieces (by their place in the order) lie in them.
pub(super) struct Read {
    pack: u32,
    start: u64,
    bytes: u64,
    pieces: Range<usize>,
}

/// Puts pieces, ordered by place, together into reads.
pub(super) fn plan_reads(shared: &Shared<'_>, window: &Window<'_>, order: &[u32]) -> Vec<Read> {
    let mut reads: Vec<Read> = Vec::new();
    let mut pack: Option<(u32, std::sync::Arc<PackPlace>)> = None;
    for (position, &number) in order.iter().enumerate() {
        let place = window.pieces[number as usize].place;
        if pack.as_ref().is_none_or(|(known, _)| *known != place.pack) {
            pack = shared.reader.index().pack(place.pack).ok().map(|found| (place.pack, found));
        }
        let block = pack.as_ref().and_then(|(_, pack)| pack.blocks.get(place.block as usize));
        // A piece without a block is a read of nothing: it falls back to the reader, which says what is wrong.
        let (start, end) = block.map_or((0, 0), |block| (block.offset, block.offset + u64::from(block.stored_bytes)));
        match reads.last_mut() {
            Some(last)
                if last.pack == place.pack
                    && start >= last.start
                    && end - last.start <= READ_BYTES
                    && start <= last.start + last.bytes + GAP_BYTES =>
            {
                last.bytes = last.bytes.max(end - last.start);
                last.pieces.end = position + 1;
            }
            _ => reads.push(Read { pack: place.pack, start, bytes: end - start, pieces: position..position + 1 }),
        }
    }
    reads
}

/// One thread's tools.
pub(super) struct Fetcher<'w, 'r> {
    shared: &'w Shared<'r>,
    window: &'w Window<'r>,
    inflater: Option<Inflater>,
    block: Vec<u8>,
}

impl<'w, 'r> Fetcher<'w, 'r> {
    pub fn new(shared: &'w Shared<'r>, window: &'w Window<'r>) -> Self {
        Self { shared, window, inflater: Inflater::new().ok(), block: Vec::new() }
    }

    /// Reads, opens and hands out; a block that cannot be opened is handed to the slow way.
    pub fn run(&mut self, read: &Read, order: &[u32]) {
        let stored = self.stored(read);
        let mut left = &order[read.pieces.clone()];
        while let Some(&first) = left.first() {
            let slot = self.piece(first).place.block;
            let count = left.iter().take_while(|&&number| self.piece(number).place.block == slot).count();
            let (now, later) = left.split_at(count);
            left = later;
            let opened = match &stored {
                Ok((pack, bytes)) => self.open(read, pack, slot, bytes),
                Err(_) => None,
            };
            match opened {
                Some(pack) => self.hand_out(&pack, now),
                None => now.iter().for_each(|&number| self.fetch_slowly(self.piece(number))),
            }
            if self.shared.record.must_stop() {
                return;
            }
        }
    }

    fn piece(&self, number: u32) -> &'w Piece {
        &self.window.pieces[number as usize]
    }

    fn stored(&self, read: &Read) -> Result<(std::sync::Arc<PackPlace>, Vec<u8>), RepoError> {
        let pack = self.shared.reader.index().pack(read.pack)?;
        let storage = &self.shared.reader.repository().storage;
        let bytes = storage.get_range(&reader::name(pack.id), read.start, read.bytes as usize)?;
        Ok((pack, bytes))
    }

    /// Opens one block of a read into `self.block`.
    fn open(
        &mut self,
        read: &Read,
        pack: &std::sync::Arc<PackPlace>,
        slot: u32,
        bytes: &[u8],
    ) -> Option<std::sync::Arc<PackPlace>> {
        let block: BlockPlace = *pack.blocks.get(slot as usize)?;
        let start = usize::try_from(block.offset.checked_sub(read.start)?).ok()?;
        let stored = bytes.get(start..start.checked_add(block.stored_bytes as usize)?)?.to_vec();
        let cipher = self.shared.reader.cipher(read.pack, pack).ok()?;
        let name = reader::name(pack.id);
        let opening = Opening { name: &name, cipher: &cipher, slot };
        opening.block(block.codec, block.raw_bytes, stored, self.inflater.as_mut()?, &mut self.block).ok()?;
        Some(std::sync::Arc::clone(pack))
    }

    /// Gives the chunks of the open block to their files, those whose hash is right.
    fn hand_out(&self, pack: &PackPlace, numbers: &[u32]) {
        let key = self.shared.reader.id_key(pack.domain);
        let mut proven = None;
        for &number in numbers {
            let piece = self.piece(number);
            let start = piece.place.offset as usize;
            let chunk = start.checked_add(piece.place.length as usize).and_then(|end| self.block.get(start..end));
            let known = proven == Some((piece.place, piece.id));
            match chunk {
                Some(chunk) if known || key.id(chunk) == piece.id => {
                    proven = Some((piece.place, piece.id));
                    self.deliver(piece, chunk);
                }
                _ => self.fetch_slowly(piece),
            }
        }
    }

    /// Tries every copy the index knows.
    fn fetch_slowly(&self, piece: &Piece) {
        let job = &self.window.files[piece.part as usize].job;
        if job.has_failed() {
            return job.release();
        }
        match self.shared.reader.read(&piece.id) {
            Ok(chunk) if chunk.len() == piece.place.length as usize => self.deliver(piece, &chunk),
            Ok(_) => self.give_up(piece, &"the index gives a wrong length for one of its chunks"),
            Err(error) => self.give_up(piece, &error),
        }
    }

    fn give_up(&self, piece: &Piece, cause: &dyn std::fmt::Display) {
        let part = &self.window.files[piece.part as usize];
        part.job.fail(cause);
        part.job.release();
        if is_whole(self.window, part) {
            part.job.release();
        }
    }

    fn deliver(&self, piece: &Piece, chunk: &[u8]) {
        let part = &self.window.files[piece.part as usize];
        let Some(chunk) = piece.part_of(chunk) else {
            return self.give_up(piece, &"the chunk it shares with other files is shorter than it must be");
        };
        if is_whole(self.window, part) {
            return part.job.write_whole(chunk);
        }
        if !part.job.has_failed()
            && let Err(error) = part.job.write(piece.at, chunk)
        {
            part.job.write_failed(&error);
        }
        part.job.release();
    }
}
