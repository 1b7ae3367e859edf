//! Where a file has data and where only holes.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// A run of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataExtent {
    /// First byte.
    pub offset: u64,
    /// How many bytes, at least 1.
    pub length: u64,
}

/// Runs kept apart; a file with more has its narrowest holes counted as data, so that an entry stays small.
pub const EXTENTS_MAX: usize = 8192;

/// The runs of data among the first `size` bytes, in order, holes between them; `None` means no holes. Moves the
/// file's position. Worth its calls only if less is allocated than `size` (see `Stat::may_have_holes`).
pub fn data_extents(fd: impl AsFd, size: u64) -> io::Result<Option<Vec<DataExtent>>> {
    let fd = fd.as_fd();
    let mut extents: Vec<DataExtent> = Vec::new();
    let mut narrowest = 0;
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(fd, SeekFrom::Data(at)) {
            Ok(start) => start.max(at),
            Err(Errno::NXIO) => break, // nothing but a hole up to the end
            Err(Errno::INVAL | Errno::OPNOTSUPP) if at == 0 => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if start >= size {
            break;
        }
        let end = match rustix::fs::seek(fd, SeekFrom::Hole(start)) {
            Ok(end) if end > start => end.min(size),
            Ok(_) | Err(Errno::NXIO) => size, // it shrank or was filled meanwhile; reading will tell
            Err(error) => return Err(error.into()),
        };
        append(&mut extents, DataExtent { offset: start, length: end - start }, narrowest);
        if extents.len() > EXTENTS_MAX {
            narrowest = thin_out(&mut extents, narrowest);
        }
        at = end;
    }
    let whole = [DataExtent { offset: 0, length: size }];
    Ok((size > 0 && extents != whole).then_some(extents))
}

/// Adds a run, joined to the last if the hole between them is not wider than `narrowest`.
fn append(extents: &mut Vec<DataExtent>, next: DataExtent, narrowest: u64) {
    match extents.last_mut() {
        Some(last) if next.offset - (last.offset + last.length) <= narrowest => {
            last.length = next.offset + next.length - last.offset;
        }
        _ => extents.push(next),
    }
}

/// Fills holes, narrowest first, until at most half the runs are left; returns the width that was reached.
pub fn thin_out(extents: &mut Vec<DataExtent>, narrowest: u64) -> u64 {
    let mut narrowest = narrowest.max(4096);
    loop {
        let before = std::mem::take(extents);
        before.into_iter().for_each(|extent| append(extents, extent, narrowest));
        if extents.len() <= EXTENTS_MAX / 2 {
            return narrowest;
        }
        narrowest = narrowest.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn data_between_holes_is_found_and_the_last_hole_counts() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        file.write_all_at(&[1; 4096], 1 << 20).unwrap();
        file.write_all_at(&[1; 8192], 5 << 20).unwrap();

        let extents = data_extents(&file, 10 << 20).unwrap().unwrap();

        let run = |offset, length| DataExtent { offset, length };
        assert_eq!(extents, [run(1 << 20, 4096), run(5 << 20, 8192)]);
    }

    #[test]
    fn a_file_that_is_all_hole_has_no_runs_and_a_full_one_no_holes() {
        let hole = tempfile::tempfile().unwrap();
        hole.set_len(1 << 40).unwrap();
        assert_eq!(data_extents(&hole, 1 << 40).unwrap(), Some(Vec::new()));

        let full: File = tempfile::tempfile().unwrap();
        full.write_all_at(&[1; 10_000], 0).unwrap();
        assert_eq!(data_extents(&full, 10_000).unwrap(), None);
        assert_eq!(data_extents(tempfile::tempfile().unwrap(), 0).unwrap(), None);
    }

    #[test]
    fn countless_runs_are_joined_over_their_narrowest_holes() {
        let mut extents: Vec<_> =
            (0..20_000).map(|number| DataExtent { offset: number * 8192, length: 4096 }).collect();
        extents.push(DataExtent { offset: 1 << 40, length: 1 });
        thin_out(&mut extents, 0);
        assert_eq!(extents.len(), 2, "the wide hole is kept");
        assert_eq!(extents[0].length, 19_999 * 8192 + 4096);
    }
}
