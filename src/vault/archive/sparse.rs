//! Maps of sparse files: checked, and thinned out where they have more runs than an entry may.

use crate::repo::tree::Extent;
use crate::sys::sparse::{DataExtent, EXTENTS_MAX, thin_out};
use crate::vault::archive::BadArchive;

/// Runs a map may have; what remembers them is bounded by it.
pub const RUNS_MAX: usize = 1 << 20;
/// Bytes of holes that are read as data because a file has too many of them.
const FILLED_MAX: u64 = 1 << 32;

/// Bytes to be read from the archive, and zeros that follow them.
pub type Piece = (u64, u64);

/// How the content of a sparse file is read.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where the data lies; `None` if it has no holes.
    pub extents: Option<Vec<Extent>>,
    /// The data, back to back.
    pub pieces: Vec<Piece>,
}

/// Checks a map against the length of the file and the bytes that are stored.
pub fn plan(mut runs: Vec<Extent>, size: u64, stored: u64) -> Result<Plan, BadArchive> {
    let bad = || BadArchive::malformed("a sparse file's map does not fit its content");
    if runs.len() > RUNS_MAX {
        return Err(BadArchive::malformed("a sparse file has too many holes"));
    }
    runs.retain(|run| run.length > 0);
    let (mut at, mut sum) = (0, 0u64);
    for run in &runs {
        let end = run.offset.checked_add(run.length).filter(|&end| run.offset >= at && end <= size).ok_or_else(bad)?;
        (at, sum) = (end, sum + run.length);
    }
    if sum != stored || size > i64::MAX as u64 {
        return Err(bad());
    }
    let mut joined: Vec<DataExtent> = Vec::with_capacity(runs.len());
    for run in &runs {
        match joined.last_mut() {
            Some(last) if last.offset + last.length == run.offset => last.length += run.length,
            _ => joined.push(DataExtent { offset: run.offset, length: run.length }),
        }
    }
    if joined.len() > EXTENTS_MAX {
        thin_out(&mut joined, 0);
    }
    let data: u64 = joined.iter().map(|extent| extent.length).sum();
    if data - sum > FILLED_MAX {
        return Err(BadArchive::malformed("a sparse file has too many holes"));
    }
    let pieces = pieces(&runs, &joined);
    let whole = [DataExtent { offset: 0, length: size }];
    let extents = joined.iter().map(|extent| Extent { offset: extent.offset, length: extent.length }).collect();
    Ok(Plan { extents: (size > 0 && joined != whole).then_some(extents), pieces })
}

/// Every run, and the zeros up to the next one if both are in one joined run.
fn pieces(runs: &[Extent], joined: &[DataExtent]) -> Vec<Piece> {
    let mut ends = joined.iter().map(|extent| extent.offset + extent.length).peekable();
    let mut pieces = Vec::with_capacity(runs.len());
    for (position, run) in runs.iter().enumerate() {
        let end = run.offset + run.length;
        while ends.peek().is_some_and(|&joined_end| joined_end < end) {
            ends.next();
        }
        let next = runs.get(position + 1).map(|next| next.offset);
        let inside = next.filter(|&next| ends.peek().is_some_and(|&joined_end| next < joined_end));
        pieces.push((run.length, inside.map_or(0, |next| next - end)));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(offset: u64, length: u64) -> Extent {
        Extent { offset, length }
    }

    #[test]
    fn runs_are_kept_and_empty_or_touching_ones_are_not() {
        let made = plan(vec![run(0, 512), run(512, 512), run(8192, 100), run(10_000, 0)], 10_000, 1124).unwrap();
        assert_eq!(made.extents, Some(vec![run(0, 1024), run(8192, 100)]));
        assert_eq!(made.pieces, [(512, 0), (512, 0), (100, 0)]);
        assert_eq!(plan(vec![run(0, 7)], 7, 7).unwrap().extents, None);
        assert_eq!(plan(vec![], 1 << 40, 0).unwrap().extents, Some(vec![]));
        assert_eq!(plan(vec![], 0, 0).unwrap().extents, None);
    }

    #[test]
    fn a_map_that_does_not_fit_is_refused() {
        for (runs, size, stored) in [
            (vec![run(0, 10)], 10, 9),
            (vec![run(5, 10)], 10, 10),
            (vec![run(5, 1), run(5, 1)], 10, 2),
            (vec![run(5, 1), run(0, 1)], 10, 2),
            (vec![run(u64::MAX, 2)], u64::MAX, 2),
            (vec![], u64::MAX, 0),
        ] {
            assert!(plan(runs.clone(), size, stored).is_err(), "{runs:?}");
        }
    }

    #[test]
    fn countless_holes_are_read_as_zeros() {
        let runs: Vec<_> = (0..20_000).map(|number| run(number * 8192, 4096)).collect();
        let made = plan(runs, 20_000 * 8192, 20_000 * 4096).unwrap();
        assert_eq!(made.extents.unwrap().len(), 1);
        assert_eq!(made.pieces[0], (4096, 4096));
        assert_eq!(made.pieces[19_999], (4096, 0));
        let scattered: Vec<_> = (0..20_000).map(|number| run(number << 40, 1)).collect();
        assert!(plan(scattered, 20_000 << 40, 20_000).is_err());
    }
}
