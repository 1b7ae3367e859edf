//! Carrying out one window: find each chunk, leave out what the target has already, fetch the rest pack by pack.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::base::id::ChunkId;
use crate::repo::RepoError;
use crate::vault::restore::compare;
use crate::vault::restore::fetch::{self, Fetcher};
use crate::vault::restore::shared::{Pass, Shared};
use crate::vault::restore::window::{Part, Piece, Window};

/// Executes a window. What goes wrong with single files is recorded; only a stop ends it early.
pub(super) fn execute<'r>(shared: &Shared<'r>, mut window: Window<'r>) {
    window.specials.par_iter().for_each(|special| {
        if !shared.record.must_stop() {
            special.run(shared);
        }
    });
    window.specials = Vec::new();
    locate(shared, &mut window);
    compare::compare(shared, &mut window);
    let wanted = |part: &Part<'_>, pieces: &[Piece]| {
        pieces[part.pieces.clone()].iter().filter(|piece| piece.wanted).count() as u64
    };
    for part in &window.files {
        part.job.progress.pending.fetch_add(wanted(part, &window.pieces), Ordering::Relaxed);
    }
    if shared.pass == Pass::Write {
        finish_ready(shared, &window);
        fetch_all(shared, &window);
    } else {
        window.files.par_iter().for_each(|part| settle_unwritten(&window, part));
    }
    if shared.record.must_stop() {
        return abandon(&window);
    }
    window.links.into_iter().for_each(|(group, job)| group.add(job));
}

/// The restore was stopped: no file is left half written.
pub(super) fn abandon(window: &Window<'_>) {
    window.files.iter().for_each(|part| part.job.abandon());
}

/// Gives every piece its place in the repository and in its file.
fn locate(shared: &Shared<'_>, window: &mut Window<'_>) {
    let index = shared.reader.index();
    let lost: Vec<(u32, ChunkId)> = window
        .pieces
        .par_iter_mut()
        .filter_map(|piece| match index.places(&piece.id) {
            Ok(places) if !places.is_empty() => {
                piece.place = places[0];
                None
            }
            Ok(_) => Some((piece.part, piece.id)),
            Err(error) => {
                shared.record.stop(error.into());
                None
            }
        })
        .collect();
    for (part, id) in lost {
        // Without the chunk's length nothing behind it has a place either.
        window.files[part as usize].job.fail(RepoError::ChunkMissing { id });
    }
    for part in &window.files {
        let pieces = &mut window.pieces[part.pieces.clone()];
        let mut at = part.job.progress.planned.load(Ordering::Relaxed);
        for piece in pieces.iter_mut() {
            piece.at = at;
            at = at.saturating_add(u64::from(piece.length()));
        }
        part.job.progress.planned.store(at, Ordering::Relaxed);
        let expected = part.job.data_bytes();
        if at > expected || (part.ends && at != expected) {
            part.job.fail(format_args!("its chunks hold {at} bytes, its length asks for {expected}"));
        }
        if part.job.has_failed() {
            pieces.iter_mut().for_each(|piece| piece.wanted = false);
        }
    }
}

/// Files that end here and wait for nothing are finished now; the others end with their last piece.
fn finish_ready(shared: &Shared<'_>, window: &Window<'_>) {
    window.files.par_iter().filter(|part| part.ends && !is_whole(window, part)).for_each(|part| {
        if !shared.record.must_stop() {
            part.job.release();
        }
    });
}

/// Whether a file is made by its only piece.
pub(super) fn is_whole(window: &Window<'_>, part: &Part<'_>) -> bool {
    let plain = part.ends && !part.continued && part.pieces.len() == 1;
    plain && part.job.layout.is_none() && part.job.in_place().is_none() && window.pieces[part.pieces.start].wanted
}

/// A pass that writes nothing: a piece that would have to be fetched counts as changed.
fn settle_unwritten(window: &Window<'_>, part: &Part<'_>) {
    let progress = &part.job.progress;
    for piece in window.pieces[part.pieces.clone()].iter().filter(|piece| piece.wanted) {
        progress.touched.store(true, Ordering::Relaxed);
        part.job.count_unwritten(u64::from(piece.length()));
        progress.pending.fetch_sub(1, Ordering::Relaxed);
    }
    if part.ends {
        part.job.release();
    }
}

/// Fetches all wanted pieces, each block once, on all cores. The reads are taken in order, so that the files and
/// directories at work are few.
fn fetch_all<'r>(shared: &Shared<'r>, window: &Window<'r>) {
    let mut order: Vec<u32> =
        (0..window.pieces.len() as u32).filter(|&number| window.pieces[number as usize].wanted).collect();
    order.par_sort_unstable_by_key(|&number| {
        let piece = &window.pieces[number as usize];
        (piece.place, number)
    });
    let reads = fetch::plan_reads(shared, window, &order);
    let next = AtomicUsize::new(0);
    rayon::broadcast(|_| {
        let mut fetcher = Fetcher::new(shared, window);
        while let Some(read) = reads.get(next.fetch_add(1, Ordering::Relaxed)) {
            if shared.record.must_stop() {
                break;
            }
            fetcher.run(read, &order);
        }
    });
}
