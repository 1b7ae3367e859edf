//! Comparing files that are there with what they should be, chunk by chunk, to leave alone what is right.

use std::fs::File;
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use rustix::fs::Advice;

use crate::sys::beneath::{open_file, unlink};
use crate::vault::restore::shared::{Pass, Shared};
use crate::vault::restore::window::{Part, Piece, Window};

/// Marks the pieces that need not be fetched. When verifying, what would have to be fetched is a failure.
pub(super) fn compare(shared: &Shared<'_>, window: &mut Window<'_>) {
    let Window { files, pieces, .. } = window;
    let present: Vec<Vec<usize>> =
        files.par_iter().map_init(Vec::new, |buffer, part| compare_part(shared, part, pieces, buffer)).collect();
    for number in present.into_iter().flatten() {
        pieces[number].wanted = false;
        shared.record.advanced(u64::from(pieces[number].length()), 0);
    }
}

/// Which pieces of a file are on disk already.
fn compare_part(shared: &Shared<'_>, part: &Part<'_>, pieces: &[Piece], buffer: &mut Vec<u8>) -> Vec<usize> {
    let job = &part.job;
    if job.in_place().is_none() || job.has_failed() || shared.record.must_stop() {
        return Vec::new();
    }
    let may_change = !part.pieces.is_empty() || (job.layout.is_some() && !job.kept);
    let for_writing = shared.pass == Pass::Write && may_change;
    let opened = job.folder.open().and_then(|folder| open_file(&*folder, &job.name, for_writing));
    let open: File = match opened {
        Ok((open, _)) => open.into(),
        Err(error) if shared.pass == Pass::Verify => {
            job.fail(format_args!("it cannot be read back: {error}"));
            return part.pieces.clone().collect();
        }
        // Read-only for this account, or a program that is running: a new file in its place is as good.
        Err(_) => {
            make_way(shared, part);
            return Vec::new();
        }
    };
    if shared.pass == Pass::Verify {
        // So that the disk is asked and not the memory of having written.
        let _ = rustix::fs::fadvise(&open, 0, None, Advice::DontNeed);
    }
    let mut right = |number: &usize| is_right(shared, part, &open, &pieces[*number], buffer);
    let present: Vec<usize> = part.pieces.clone().filter(|number| right(number)).collect();
    let whole = present.len() == part.pieces.len();
    let size_differs = job.found.as_ref().is_some_and(|found| found.size != job.size);
    if shared.pass == Pass::Verify {
        if !whole || size_differs {
            job.fail("it reads back with other content than was stored");
        }
        return part.pieces.clone().collect();
    }
    let shared_inode = job.found.as_ref().is_some_and(|found| found.nlink > 1);
    if shared_inode && (!whole || size_differs) {
        // Its other names may lie anywhere; they keep what they have.
        make_way(shared, part);
        return Vec::new();
    }
    present
}

fn is_right(shared: &Shared<'_>, part: &Part<'_>, open: &File, piece: &Piece, buffer: &mut Vec<u8>) -> bool {
    if shared.record.must_stop() {
        return false;
    }
    if part.job.read_back(open, piece.at, piece.length() as usize, buffer).is_err() {
        return false;
    }
    if piece.fragment.is_some() {
        // No hash is kept of a fragment: only the chunk itself tells.
        let chunk = shared.reader.read(&piece.id);
        return chunk.is_ok_and(|chunk| piece.part_of(&chunk) == Some(buffer.as_slice()));
    }
    let Ok(pack) = shared.reader.index().pack(piece.place.pack) else { return false };
    shared.reader.id_key(pack.domain).id(buffer) == piece.id
}

/// Replaces the file instead of changing it. Only possible while all of it is still to come.
fn make_way(shared: &Shared<'_>, part: &Part<'_>) {
    let job = &part.job;
    if part.continued {
        return job.fail("it cannot be changed in place");
    }
    if shared.pass == Pass::Write {
        let removed = job.folder.open().and_then(|folder| unlink(&*folder, &job.name));
        if let Err(error) = removed {
            return job.fail(format_args!("it cannot be replaced: {error}"));
        }
    }
    job.progress.replaced.store(true, Ordering::Relaxed);
}
